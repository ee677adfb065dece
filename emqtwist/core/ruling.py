"""What the access rules mean beside PUBLISH and SUBSCRIBE: for sessions that are resumed, and when they change."""
from collections.abc import Callable
from typing import cast

from emqtwist.core import causes
from emqtwist.core.access import Client
from emqtwist.core.acl import CANNOT_TELL, PUBLISH, SUBSCRIBE, Acl, Ruling
from emqtwist.core.broker import Broker
from emqtwist.core.connection import Connection
from emqtwist.core.guard import Guard
from emqtwist.core.hooks import SESSION_UNSUBSCRIBED
from emqtwist.core.link import Link
from emqtwist.core.mounting import seen
from emqtwist.core.pool import Job
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscriptions import Write
from emqtwist.core.who import asker
from emqtwist.mqtt.errors import ServerBusy


def opens(connection: Connection, topic_name: bytes) -> bool:
    """Whether a rule lets the client publish to a topic of the broker's own."""
    acl = connection.broker.acl
    return acl is not None and acl.decide(asker(connection.client()), PUBLISH, topic_name).opens()


def claimed(connection: Connection, user_name: str | None) -> Client:
    """The client, before its session is open: until then the connection does not know the user name."""
    client = connection.client()
    client.user_name = user_name
    return client


class Sweep:
    """Whether a client may have each subscription of a session, asked one after the other as part of a `job`.

    `done` is called in the end: `left` are those that it may not have. It has `failed` where somebody could not be asked.
    """

    __slots__ = ("acl", "left", "failed", "_job", "_client", "_session", "_mount", "_names", "_asked", "_done")

    def __init__(self, job: Job, acl: Acl | None, client: Client, session: Session, mount: bytes, done: "Done") -> None:
        self.acl = acl
        self.left: list[Subscription] = []
        self.failed = False
        self._job = job
        self._client = client
        self._session = session
        self._mount = mount
        self._names = [] if acl is None else list(session.subscriptions)
        self._asked: Subscription | None = None
        self._done = done

    def go_on(self) -> None:
        acl = self.acl
        while self._names and acl is not None and not self.failed:
            subscription = self._asked = self._session.subscriptions.get(self._names.pop())
            if subscription is None:
                continue
            pending = acl.judge(self._client, SUBSCRIBE, seen(self._mount, subscription.topic_filter))
            if pending.decision is None:
                self._job.wait(pending, self._judged)
                return
            self._take(pending.decision)
        self._done(self)

    def guard(self, broker: Broker) -> None:
        """Have what waits in the session, or might be sent again, looked at when it is its turn.

        Where all is as it was when it came to wait, there is nothing to look at, or somebody is looking already.
        """
        session, inputs = self._session, inputs_of(self.acl, self._client, self._mount)
        if inputs is not None and session.judged == inputs:
            return
        session.judged = inputs
        session.gate = None
        if self.acl is not None and (session.move is not None or session.queued() or session.inflight.held):
            groups = broker.subscriptions.groups
            session.gate = Guard(session, groups, self.acl, self._client, self._mount, list(self.left))

    def _judged(self, link: Link, ruling: Ruling) -> None:
        self._take(ruling)
        self.go_on()

    def _take(self, ruling: Ruling) -> None:
        if ruling.rule.failed:
            self.failed = True
        elif not ruling.rule.allow and self._asked is not None:
            self.left.append(self._asked)


Done = Callable[[Sweep], None]


def inputs_of(acl: Acl | None, client: Client, mount: bytes) -> tuple[object, ...] | None:
    """All that it depends on what the client may have; None where others are asked, who may say something else the next time."""
    if acl is None or acl.authority is not None:
        return None
    return acl, *client.inputs(), mount


def regret(connection: Connection, session: Session, sweep: Sweep) -> None:
    """The client may not have its session any more, and what waits in it is not for its eyes."""
    connection.broker.metrics.deny(causes.SESSION_DENIED)
    connection.broker.observer.session_forbidden(session.client_id, sweep.left[-1].name())


def use_rules(broker: Broker, acl: Acl | None) -> None:
    """Go by these rules from now on: what clients have subscribed to and may not any more ends."""
    broker.acl = acl
    for link in list(broker.links):
        connection = cast(Connection, link)
        if connection.grants is not None:
            connection.grants.forget()  # also for the packets that came with the one that is served just now
        session = connection.session
        if acl is not None and session is not None:
            broker.pools.server.submit(Review(connection, session))
        elif session is not None and session.gate is not None:
            session.gate = None
            session.pump()


class Review(Job):
    """The end of the subscriptions that are not allowed any more, a job of the server pool."""

    __slots__ = ("_connection", "_session", "_left", "_write")

    def __init__(self, connection: Connection, session: Session) -> None:
        super().__init__(session.client_id)
        self._connection = connection
        self._session = session
        self._left: list[Subscription] = []
        self._write: Write | None = None

    def run(self) -> None:
        connection = self._connection
        if connection.session is self._session:
            Sweep(self, connection.broker.acl, connection.client(), self._session, connection.mount, self._swept).go_on()

    def _swept(self, sweep: Sweep) -> None:
        """A client of whom it cannot be found out has to come again; its session is looked at then."""
        connection = self._connection
        if connection.session is not self._session:
            return
        if sweep.failed:
            connection.fail(ServerBusy(CANNOT_TELL))
        else:
            sweep.guard(connection.broker)
            self._left = sweep.left
            self._end_next()
            self._session.pump()

    def failed(self) -> None:
        """What a defect left half undone costs the client its connection: when it is back, its session is looked at."""
        self._session.broken(self.error or RuntimeError("subscriptions could not be ended"))

    def _end_next(self) -> None:
        while self._left and self.error is None:
            write = self._connection.broker.sessions.unsubscribe(self._session, self._left[-1])
            if not write.over:
                self._write = write
                self.wait(write.when_over(), self._written)
                return
            self._note(write)

    def _written(self, link: Link, decision: bool) -> None:
        if self._write is not None:
            self._note(self._write)
        self._end_next()

    def _note(self, write: Write) -> None:
        broker, session = self._connection.broker, self._session
        subscription = self._left.pop()
        if write.error is not None:
            broker.sessions.retain(session, subscription)
            self.error = write.error
            self.failed()
            return
        broker.sessions.unsubscribed(session, subscription.name())
        broker.metrics.deny(causes.SUBSCRIPTION_OVER)
        broker.observer.subscription_ended(session.client_id, subscription.name())
        broker.hooks.run(SESSION_UNSUBSCRIBED, (session.client_id, session.user_name, subscription.name()))
