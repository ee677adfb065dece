"""What the access rules mean beside PUBLISH and SUBSCRIBE: for Wills, for sessions that are resumed, and when they change."""
from typing import Final, cast

from emqtwist.core import causes
from emqtwist.core.access import Client
from emqtwist.core.acl import PUBLISH, SUBSCRIBE, Acl, denial
from emqtwist.core.broker import Broker
from emqtwist.core.connection import Connection
from emqtwist.core.hooks import SESSION_UNSUBSCRIBED
from emqtwist.core.link import Link
from emqtwist.core.mounting import seen
from emqtwist.core.pool import Job
from emqtwist.core.router import is_reserved
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscriptions import Write
from emqtwist.core.who import Asker, asker
from emqtwist.mqtt.constants import MQTT_5_0
from emqtwist.mqtt.errors import MQTTError, NotAuthorized
from emqtwist.mqtt.packets import Will

NO_WILL: Final = "this client may not publish to the topic of its Will"


def refusal(connection: Connection, user_name: str | None, will: Will) -> MQTTError | None:
    """Why the client, which is `user_name`, may not have this Will."""
    broker = connection.broker
    rule = None
    if broker.acl is not None:
        rule = broker.acl.decide(asker(claimed(connection, user_name)), PUBLISH, will.topic_name)
    if rule is not None and not rule.allow:
        broker.metrics.deny(causes.WILL_DENIED)
        error = denial(broker.settings, NO_WILL, rule)
        return error if connection.version == MQTT_5_0 else NotAuthorized(error.reason)  # others know of no more reasons
    if is_reserved(will.topic_name) and (rule is None or not rule.opens()):
        return NotAuthorized("the topic of the Will is reserved for the broker")
    return None


def opens(connection: Connection, topic_name: bytes) -> bool:
    """Whether a rule lets the client publish to a topic of the broker's own."""
    acl = connection.broker.acl
    return acl is not None and acl.decide(asker(connection.client()), PUBLISH, topic_name).opens()


def may_resume(connection: Connection, user_name: str | None, session: Session) -> bool:
    """Whether all that the session has subscribed to is allowed to the client, so that what waits in it is for its eyes."""
    acl = connection.broker.acl
    left = [] if acl is None else forbidden(acl, asker(claimed(connection, user_name)), session, connection.mount)
    if left:
        connection.broker.metrics.deny(causes.SESSION_DENIED)
        connection.broker.observer.session_forbidden(session.client_id, left[0].name())
    return not left


def claimed(connection: Connection, user_name: str | None) -> Client:
    """The client, before its session is open: until then the connection does not know the user name."""
    client = connection.client()
    client.user_name = user_name
    return client


def forbidden(acl: Acl, asker: Asker, session: Session, mount: bytes) -> list[Subscription]:
    """The subscriptions that are not allowed."""
    return [each for each in session.subscriptions.values() if not acl.allows(asker, SUBSCRIBE, seen(mount, each.topic_filter))]


def use_rules(broker: Broker, acl: Acl | None) -> None:
    """Go by these rules from now on: what clients have subscribed to and may not any more ends."""
    broker.acl = acl
    for link in list(broker.links):
        connection = cast(Connection, link)
        if connection.grants is not None:
            connection.grants.forget()  # also for the packets that came with the one that is served just now
        if acl is not None and connection.session is not None:
            broker.pools.server.submit(Review(connection, connection.session))


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
        acl = connection.broker.acl
        if acl is not None and connection.session is self._session:
            self._left = forbidden(acl, asker(connection.client()), self._session, connection.mount)
            self._end_next()

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
