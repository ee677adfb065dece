"""Subscriptions that somebody else than its client makes or ends for a session.

These are jobs of the same worker as those of the client, so that one of either is over before the next begins. Nobody is asked
whether they may be, and the client is not told.
"""
from emqtwist.core.broker import Broker
from emqtwist.core.hooks import SESSION_SUBSCRIBED, SESSION_UNSUBSCRIBED
from emqtwist.core.link import Link
from emqtwist.core.message import NO_IDENTIFIERS
from emqtwist.core.pending import Pending
from emqtwist.core.pool import Job
from emqtwist.core.prefixes import canonical, check_filter, subscription_to
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscribing import granted_options
from emqtwist.core.subscriptions import Write
from emqtwist.mqtt.constants import UNSPECIFIED_ERROR
from emqtwist.mqtt.errors import MQTTError, QuotaExceeded


class ByHand(Job):
    """One subscription of `session`; `error` is an MQTTError when it is refused. `current` is what is being written."""

    __slots__ = ("broker", "session", "topic_filter", "current", "_write")

    def __init__(self, broker: Broker, session: Session, topic_filter: bytes) -> None:
        Job.__init__(self, session.client_id)
        self.broker = broker
        self.session = session
        self.topic_filter = topic_filter
        self.current: Subscription | None = None
        self._write: Write | None = None

    def run(self) -> None:
        try:
            self._check()
            write = self.begin()
        except MQTTError as error:
            self.error = error
            return
        if write is None:
            return
        if write.over:
            self._written(write)
        else:
            self._write = write
            self.wait(write.when_over(), self._waited)

    def _check(self) -> None:
        journal = self.broker.journal
        if self.broker.sessions.by_id.get(self.session.client_id) is not self.session:
            raise MQTTError("the session has ended", UNSPECIFIED_ERROR)
        if journal is not None and journal.failing and self.session.keeps():
            raise QuotaExceeded(f"subscriptions cannot be kept now: {journal.failing}")

    def begin(self) -> Write | None:
        """Begin to write; None when there is nothing to write. What is raised is a refusal."""
        raise NotImplementedError

    def note(self, current: Subscription) -> None:
        """It is written."""
        raise NotImplementedError

    def failed(self) -> None:
        """It was not written, or not wholly."""
        raise NotImplementedError

    def stored(self) -> Pending[bool]:
        """Decided when the store has it, where one keeps the session."""
        journal = self.broker.journal
        if journal is None or not self.session.keeps():
            return Pending(True)
        return journal.wait(journal.barrier())

    def _waited(self, link: Link, decision: bool) -> None:
        if self._write is not None:
            self._written(self._write)

    def _written(self, write: Write) -> None:
        if write.error is not None:
            self.error = write.error
            self.failed()
        elif self.current is not None:
            self.note(self.current)


class Subscribing(ByHand):
    """Subscribes with the options that the client would be granted; how many subscriptions it has does not matter."""

    __slots__ = ("qos", "_before")

    def __init__(self, broker: Broker, session: Session, topic_filter: bytes, qos: int) -> None:
        ByHand.__init__(self, broker, session, topic_filter)
        self.qos = qos
        self._before: Subscription | None = None

    def begin(self) -> Write:
        broker, session = self.broker, self.session
        prefix = check_filter(self.topic_filter, broker.settings.max_topic_levels)
        if prefix is not None:
            broker.subscriptions.check_owner(prefix, session)
        options = granted_options(self.qos, broker.settings)
        current = self.current = subscription_to(session, self.topic_filter, options, NO_IDENTIFIERS)
        self._before = session.subscriptions.get(current.name())
        return broker.sessions.subscribe(session, current)

    def note(self, current: Subscription) -> None:
        broker, session = self.broker, self.session
        broker.sessions.subscribed(session, current)
        broker.hooks.run(SESSION_SUBSCRIBED, (session.client_id, session.user_name, current.name(), current.options))
        broker.replay_retained(current, self._before is None)

    def failed(self) -> None:
        if self.current is not None:
            self.broker.sessions.withdraw(self.session, self.current, self._before)


class Unsubscribing(ByHand):
    """Ends a subscription, if there is one."""

    __slots__ = ()

    def begin(self) -> Write | None:
        current = self.current = self.session.subscriptions.get(canonical(self.topic_filter))
        return None if current is None else self.broker.sessions.unsubscribe(self.session, current)

    def note(self, current: Subscription) -> None:
        broker, session = self.broker, self.session
        broker.sessions.unsubscribed(session, current.name())
        broker.hooks.run(SESSION_UNSUBSCRIBED, (session.client_id, session.user_name, self.topic_filter))

    def failed(self) -> None:
        if self.current is not None:
            self.broker.sessions.retain(self.session, self.current)
