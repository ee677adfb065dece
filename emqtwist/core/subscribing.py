"""SUBSCRIBE and UNSUBSCRIBE, a result for each Topic Filter."""
from typing import Final, cast

from emqtwist.core import asking, causes
from emqtwist.core.acl import SUBSCRIBE as TO_SUBSCRIBE
from emqtwist.core.acl import denial
from emqtwist.core.connection import CLOSED, Connection
from emqtwist.core.hooks import (
    CLIENT_AUTHORIZE,
    CLIENT_SUBSCRIBE,
    CLIENT_UNSUBSCRIBE,
    SESSION_SUBSCRIBED,
    SESSION_UNSUBSCRIBED,
)
from emqtwist.core.link import Link
from emqtwist.core.message import NO_IDENTIFIERS
from emqtwist.core.mounting import mounted, seen
from emqtwist.core.pool import Job
from emqtwist.core.prefixes import Prefix, canonical, check_filter, subscription_to
from emqtwist.core.session import Session
from emqtwist.core.settings import Settings
from emqtwist.core.subscriber import OPTION_UPGRADE_QOS, Subscription
from emqtwist.core.subscriptions import Write
from emqtwist.core.who import asker
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, NotAuthorized, PacketTooLarge, ProtocolError, QuotaExceeded, TopicFilterInvalid
from emqtwist.mqtt.packets import Suback, Subscribe, Unsuback, Unsubscribe
from emqtwist.mqtt.properties import Properties

LONGEST_REASON: Final = 1000  # characters that explain the refused filters of one SUBSCRIBE
NOT_ALLOWED: Final = "this client may not subscribe to this"
DEFECT: Final = "a defect of the broker kept it from doing this"
FATAL: Final = (c.MALFORMED_PACKET, c.PROTOCOL_ERROR)  # they end the connection


def subscribe(connection: Connection, session: Session, packet: Subscribe) -> None:
    """Answer each filter; retained messages follow the SUBACK [MQTT-3.8.4-1], [MQTT-3.8.4-6]."""
    hooks = connection.broker.hooks.at
    if hooks[CLIENT_SUBSCRIBE] or hooks[CLIENT_AUTHORIZE]:
        asking.Subscribing(packet, _make).begin(connection)
    else:
        _make(connection, packet, packet.filters, None)


def _make(connection: Connection, packet: Subscribe, filters: list[tuple[bytes, int]], allowed: list[bool] | None) -> None:
    _submit(connection, _Subscribing(connection, cast(Session, connection.session), packet, filters, allowed))


def subscribe_unasked(connection: Connection, filters: list[tuple[bytes, int]]) -> None:
    """Subscribe a client to what it has not asked for, as if it had, but without a SUBACK."""
    hooks = connection.broker.hooks.at
    packet = Subscribe(0, filters)
    if hooks[CLIENT_SUBSCRIBE] or hooks[CLIENT_AUTHORIZE]:
        asking.Subscribing(packet, _give).begin(connection)
    else:
        _give(connection, packet, filters, None)


def _give(connection: Connection, packet: Subscribe, filters: list[tuple[bytes, int]], allowed: list[bool] | None) -> None:
    _submit(connection, _Giving(connection, cast(Session, connection.session), packet, filters, allowed))


def unsubscribe(connection: Connection, session: Session, packet: Unsubscribe) -> None:
    """Answer each filter [MQTT-3.10.4-1], [MQTT-3.10.4-5]."""
    if connection.broker.hooks.at[CLIENT_UNSUBSCRIBE]:
        asking.Unsubscribing(packet, _unmake).begin(connection)
    else:
        _unmake(connection, packet, packet.filters, False)


def _unmake(connection: Connection, packet: Unsubscribe, filters: list[bytes], stopped: bool) -> None:
    unsubscribing = _Unsubscribing(connection, cast(Session, connection.session), packet.packet_id, filters)
    if stopped:
        unsubscribing.reason_codes = [c.NOT_AUTHORIZED] * len(packet.filters)
    _submit(connection, unsubscribing)


def _submit(connection: Connection, request: "_Request") -> None:
    connection.broker.pools.server.submit(request)
    if not request.over:
        connection.wait(request.when_over(), request.done)
    elif connection.state != CLOSED:  # by a function at session.unsubscribed
        request.answer(connection)


class _Request(Job):
    """A SUBSCRIBE or UNSUBSCRIBE, a job of the server pool; each filter is one of the pubsub pool.

    `reason_codes` grow filter by filter, in order. `current` is what is being written, by `write`. `fatal` ends the connection.
    """

    __slots__ = ("connection", "session", "packet_id", "reason_codes", "reasons", "count", "current", "write", "fatal")

    def __init__(self, connection: Connection, session: Session, packet_id: int, count: int) -> None:
        Job.__init__(self, session.client_id)
        self.connection = connection
        self.session = session
        self.packet_id = packet_id
        self.count = count
        self.reason_codes: list[int] = []
        self.reasons: list[str] = []
        self.current: Subscription | None = None
        self.write: Write | None = None
        self.fatal: MQTTError | None = None

    def run(self) -> None:
        journal = self.connection.broker.journal
        if journal is not None:
            self.connection.since = journal.count
        self.go_on()

    def go_on(self) -> None:
        """Serve one filter after the other, until one has to wait."""
        while len(self.reason_codes) < self.count and self.fatal is None:
            try:
                write = self.begin()
            except MQTTError as error:
                self.refuse(error)
                continue
            if write is None:
                continue
            if not write.over:
                self.write = write
                self.wait(write.when_over(), self.written)
                return
            self.note(write)

    def begin(self) -> Write | None:
        """Begin with the next filter; None when nothing is to be written."""
        raise NotImplementedError

    def note(self, write: Write) -> None:
        """The write is over."""
        raise NotImplementedError

    def undo(self) -> None:
        """`current` was not written, or not wholly."""
        raise NotImplementedError

    def answer(self, connection: Connection) -> None:
        """Tell the client."""
        raise NotImplementedError

    def refuse(self, error: MQTTError) -> None:
        if error.reason_code in FATAL:  # [MQTT-3.8.3-1] [MQTT3-3.8.3-1]
            self.fatal = error
        else:
            self.reason_codes.append(error.reason_code)  # [MQTT-3.8.4-7]
            self.reasons.append(error.reason)

    def give_up(self, error: Exception) -> None:
        """`current` failed."""
        self.undo()
        self.current = None
        self.refuse(error if isinstance(error, MQTTError) else MQTTError(DEFECT, c.UNSPECIFIED_ERROR))

    def written(self, link: Link, decision: bool) -> None:
        if self.write is not None:
            self.note(self.write)
        self.go_on()

    def failed(self) -> None:
        """What is not done yet is refused."""
        left = self.count - len(self.reason_codes)
        self.reason_codes += [c.UNSPECIFIED_ERROR] * left
        self.reasons.append(DEFECT)
        if self.current is not None:
            self.undo()

    def done(self, link: Link, decision: bool) -> None:
        self.answer(cast(Connection, link))


class _Subscribing(_Request):
    """`made` are the subscriptions whose retained messages follow the SUBACK, and whether each is new."""

    __slots__ = ("filters", "allowed", "identifiers", "before", "made")

    def __init__(self, connection: Connection, session: Session, packet: Subscribe, filters: list[tuple[bytes, int]],
                 allowed: list[bool] | None) -> None:
        _Request.__init__(self, connection, session, packet.packet_id, len(filters))
        self.filters = filters
        self.allowed = allowed  # None when nobody has anything against any of them
        self.identifiers = tuple(packet.properties.subscription_identifiers) if packet.properties else NO_IDENTIFIERS
        self.before: Subscription | None = None
        self.made: list[tuple[Subscription, bool]] = []

    def begin(self) -> Write:
        connection, session = self.connection, self.session
        settings = connection.broker.settings
        number = len(self.reason_codes)
        topic_filter, options = self.filters[number]  # [MQTT-3.8.4-5] [MQTT-3.8.4-6]
        if connection.mount:
            topic_filter = mounted(connection.mount, topic_filter)
        _check(connection, session, topic_filter, options)
        if self.allowed is not None and not self.allowed[number]:
            connection.broker.metrics.deny(causes.SUBSCRIPTION_DENIED)
            raise NotAuthorized(NOT_ALLOWED)
        _check_available(settings, topic_filter, self.identifiers)
        current = subscription_to(session, topic_filter, granted_options(options, settings), self.identifiers)
        _check_rules(connection, current)
        self.current = current
        self.before = session.subscriptions.get(current.name())
        return connection.broker.sessions.subscribe(session, current)

    def note(self, write: Write) -> None:
        current = self.current
        if write.error is not None:
            self.give_up(write.error)
        elif current is not None:
            self.connection.broker.sessions.subscribed(self.session, current)
            self.current = None
            self.made.append((current, self.before is None))
            self.reason_codes.append(current.options & c.OPTION_QOS)  # [MQTT-3.9.3-1] [MQTT-3.8.4-6] [MQTT-3.8.4-7]

    def undo(self) -> None:
        if self.current is not None:
            self.connection.broker.sessions.withdraw(self.session, self.current, self.before)

    def answer(self, connection: Connection) -> None:
        """Where a store keeps them, the SUBACK that retained messages follow waits until that has them."""
        if self.fatal is not None:
            raise self.fatal
        broker, journal = connection.broker, connection.broker.journal
        if journal is not None and journal.count != connection.since and len(broker.retained):
            connection.wait(journal.wait(journal.barrier()), self.stored)
        else:
            self.send(connection)

    def stored(self, link: Link, decision: bool) -> None:
        """The store has the subscriptions."""
        self.send(cast(Connection, link))

    def send(self, connection: Connection) -> None:
        """SUBACK, and what follows it."""
        # [MQTT-2.2.1-6] [MQTT-3.8.4-1] [MQTT-3.8.4-2]
        _answer(connection, Suback(self.packet_id, self.reason_codes, _explain(connection, self.reasons)))
        self.follow_up(connection)

    def follow_up(self, connection: Connection) -> None:
        """Tell hooks what was made, and have retained messages handed over."""
        for subscription, new in self.made:
            connection.broker.hooks.run(SESSION_SUBSCRIBED, (connection.client_id, connection.user_name, subscription.name(),
                                                             subscription.options))
            connection.broker.replay_retained(subscription, new)  # [MQTT-3.8.4-4]


class _Giving(_Subscribing):
    """What the client has not asked for: where it is refused, the observer is told."""

    __slots__ = ()

    def refuse(self, error: MQTTError) -> None:
        topic_filter = self.filters[len(self.reason_codes)][0]
        self.reason_codes.append(error.reason_code)
        self.connection.broker.observer.not_subscribed(self.session.client_id, topic_filter, error.reason)

    def send(self, connection: Connection) -> None:
        self.follow_up(connection)


class _Unsubscribing(_Request):

    __slots__ = ("filters",)

    def __init__(self, connection: Connection, session: Session, packet_id: int, filters: list[bytes]) -> None:
        _Request.__init__(self, connection, session, packet_id, len(filters))
        self.filters = filters

    def begin(self) -> Write | None:
        topic_filter = self.filters[len(self.reason_codes)]  # [MQTT-3.10.4-6]
        current = self.current = self.session.subscriptions.get(canonical(mounted(self.connection.mount, topic_filter)))
        if current is None:  # [MQTT-3.10.4-1]
            self.reason_codes.append(_why_none(topic_filter, self.reasons))  # [MQTT-3.11.3-1]
            return None
        return self.connection.broker.sessions.unsubscribe(self.session, current)  # [MQTT-3.10.4-1]

    def note(self, write: Write) -> None:
        connection, current = self.connection, self.current
        if write.error is not None:
            self.give_up(write.error)
        elif current is not None:
            connection.broker.sessions.unsubscribed(self.session, current.name())
            self.current = None
            topic_filter = self.filters[len(self.reason_codes)]
            connection.broker.hooks.run(SESSION_UNSUBSCRIBED, (connection.client_id, connection.user_name, topic_filter))
            self.reason_codes.append(c.SUCCESS)  # [MQTT-3.11.3-1]

    def undo(self) -> None:
        if self.current is not None:
            self.connection.broker.sessions.retain(self.session, self.current)

    def answer(self, connection: Connection) -> None:
        if self.fatal is not None:
            raise self.fatal
        # [MQTT-2.2.1-6] [MQTT-3.10.4-4] [MQTT-3.10.4-5]
        _answer(connection, Unsuback(self.packet_id, self.reason_codes, _explain(connection, self.reasons)))


def _why_none(topic_filter: bytes, reasons: list[str]) -> int:
    """Why there was no such subscription to remove; MalformedPacket for what is no string [MQTT-3.10.3-1]."""
    try:
        check_filter(topic_filter, 0)  # [MQTT-3.10.3-1] [MQTT3-3.10.3-1]
    except TopicFilterInvalid as error:
        reasons.append(error.reason)
        return error.reason_code
    return c.NO_SUBSCRIPTION_EXISTED


def _answer(connection: Connection, packet: Suback | Unsuback) -> None:
    """Send it, or end a connection that does not let its own requests be answered."""
    if not connection.send_packet(packet, True):
        raise PacketTooLarge(f"{c.PACKET_NAMES[packet.type]} exceeds the client's Maximum Packet Size")


def _check(connection: Connection, session: Session, topic_filter: bytes, options: int) -> None:
    settings = connection.broker.settings
    journal = connection.broker.journal
    prefix = check_filter(topic_filter, settings.max_topic_levels)
    if journal is not None and journal.failing and session.ledger is not None:
        raise QuotaExceeded(f"subscriptions cannot be kept now: {journal.failing}")
    if prefix is not None:
        _check_prefix(connection, session, prefix, options)
    most = settings.max_subscriptions
    if most and len(session.subscriptions) >= most and canonical(topic_filter) not in session.subscriptions:
        raise QuotaExceeded(f"a session may have {most} subscriptions")


def _check_prefix(connection: Connection, session: Session, prefix: Prefix, options: int) -> None:
    if prefix.group:
        if options & c.OPTION_NO_LOCAL:
            raise ProtocolError("No Local with a shared subscription")  # [MQTT-3.8.3-4]
        if not connection.broker.settings.shared_subscription:
            raise MQTTError("shared subscriptions are not available", c.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
    connection.broker.subscriptions.check_owner(prefix, session)


def _check_rules(connection: Connection, subscription: Subscription) -> None:
    broker = connection.broker
    if broker.acl is not None:
        rule = broker.acl.decide(asker(connection.client()), TO_SUBSCRIBE, seen(connection.mount, subscription.topic_filter))
        if not rule.allow:
            broker.metrics.deny(causes.SUBSCRIPTION_DENIED)
            raise denial(broker.settings, NOT_ALLOWED, rule)


def _check_available(settings: Settings, topic_filter: bytes, identifiers: tuple[int, ...]) -> None:
    if not settings.wildcard_subscription and (b"+" in topic_filter or b"#" in topic_filter):
        raise MQTTError("wildcard subscriptions are not supported", c.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED)
    if identifiers and not settings.subscription_identifiers:
        raise MQTTError("subscription identifiers are not supported", c.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)


def granted_options(options: int, settings: Settings) -> int:
    """What is granted of the Subscription Options."""
    if options & c.OPTION_QOS > settings.max_qos:
        options = options & ~c.OPTION_QOS | settings.max_qos  # [MQTT-3.2.2-10]
    if settings.upgrade_qos:
        options |= OPTION_UPGRADE_QOS
    if settings.no_own_messages:
        options |= c.OPTION_NO_LOCAL
    return options


def _explain(connection: Connection, reasons: list[str]) -> Properties | None:
    if not reasons or connection.version != c.MQTT_5_0 or not connection.problem_information:
        return None
    properties = Properties()
    properties.reason_string = "; ".join(dict.fromkeys(reasons))[:LONGEST_REASON]
    return properties
