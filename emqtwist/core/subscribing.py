"""SUBSCRIBE and UNSUBSCRIBE, a result for each Topic Filter."""
from typing import Final, cast

from emqtwist.core import asking, causes
from emqtwist.core.acl import SUBSCRIBE as TO_SUBSCRIBE
from emqtwist.core.acl import Acl, Rule, Ruling, denial
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
from emqtwist.core.prefixes import Prefix, canonical, check_filter, subscription_to
from emqtwist.core.request import Request
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


def _submit(connection: Connection, request: "Request") -> None:
    connection.broker.pools.server.submit(request)
    if not request.over:
        connection.wait(request.when_over(), request.done)
    elif connection.state != CLOSED:  # by a function at session.unsubscribed
        request.answer(connection)


class _Subscribing(Request):
    """`made` are the subscriptions whose retained messages follow the SUBACK, and whether each is new. The authority of `acl` is
    asked about `asked`, and says `rule`."""

    __slots__ = ("filters", "allowed", "identifiers", "before", "made", "asked", "acl", "rule")

    def __init__(self, connection: Connection, session: Session, packet: Subscribe, filters: list[tuple[bytes, int]],
                 allowed: list[bool] | None) -> None:
        Request.__init__(self, connection, session, packet.packet_id, len(filters))
        self.filters = filters
        self.allowed = allowed  # None when nobody has anything against any of them
        self.identifiers = tuple(packet.properties.subscription_identifiers) if packet.properties else NO_IDENTIFIERS
        self.before: Subscription | None = None
        self.asked: Subscription | None = None
        self.acl: Acl | None = None
        self.rule: Rule | None = None
        self.made: list[tuple[Subscription, bool]] = []

    def begin(self) -> Write | None:
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
        acl = connection.broker.acl
        if acl is not None and acl.authority is not None:
            return self.ask(acl, current)
        if acl is not None:
            rule = acl.decide(asker(connection.client()), TO_SUBSCRIBE, seen(connection.mount, current.topic_filter))
            _check_rule(connection, rule)
        return self.enter(current)

    def ask(self, acl: Acl, current: Subscription) -> Write | None:
        """Have the authority asked whether it may be."""
        self.asked, self.acl = current, acl
        pending = acl.judge(self.connection.client(), TO_SUBSCRIBE, seen(self.connection.mount, current.topic_filter))
        if pending.decision is not None:
            self.rule = pending.decision.rule
            return self.obey()
        self.wait(pending, self.judged)
        return None

    def judged(self, link: Link, ruling: Ruling) -> None:
        """What others have ruled in the meantime is asked about once more. Who has gone needs no answer, and no subscription."""
        if self.connection.state == CLOSED:
            self.reason_codes += [c.UNSPECIFIED_ERROR] * (self.count - len(self.reason_codes))
        elif self.connection.broker.acl is self.acl:
            self.rule = ruling.rule
            self.step(self.obey)
        self.go_on()

    def obey(self) -> Write | None:
        if self.asked is None or self.rule is None:
            return None
        _check_rule(self.connection, self.rule)
        return self.enter(self.asked)

    def enter(self, current: Subscription) -> Write:
        self.current = current
        self.before = self.session.subscriptions.get(current.name())
        return self.connection.broker.sessions.subscribe(self.session, current)

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
        """Other nodes have to know of the subscriptions first."""
        if self.fatal is not None:
            raise self.fatal
        cluster = connection.broker.cluster
        settled = cluster.settled() if cluster is not None and self.made else None
        if settled is None:
            self.record(connection)
        else:
            connection.wait(settled, self.announced)

    def announced(self, link: Link, late: tuple[str, ...]) -> None:
        """All nodes that are connected know of the subscriptions, but for those that did not answer in time."""
        connection = cast(Connection, link)
        if late and self.is_explained(connection):
            self.reasons.append("not told to " + ", ".join(late))
        elif late:
            connection.broker.observer.unannounced(connection.client_id, len(self.made), ", ".join(late))
        self.record(connection)

    def is_explained(self, connection: Connection) -> bool:
        """Whether the client is given a Reason String."""
        return _takes_reasons(connection)

    def record(self, connection: Connection) -> None:
        """Where a store keeps them, the SUBACK that retained messages follow waits until that has them."""
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

    def is_explained(self, connection: Connection) -> bool:
        return False

    def send(self, connection: Connection) -> None:
        self.follow_up(connection)


class _Unsubscribing(Request):

    __slots__ = ("filters",)

    def __init__(self, connection: Connection, session: Session, packet_id: int, filters: list[bytes]) -> None:
        Request.__init__(self, connection, session, packet_id, len(filters))
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


def _check_rule(connection: Connection, rule: Rule) -> None:
    if not rule.allow:
        connection.broker.metrics.deny(causes.SUBSCRIPTION_DENIED)
        raise denial(connection.broker.settings, NOT_ALLOWED, rule)


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


def _takes_reasons(connection: Connection) -> bool:
    return connection.version == c.MQTT_5_0 and connection.problem_information


def _explain(connection: Connection, reasons: list[str]) -> Properties | None:
    if not reasons or not _takes_reasons(connection):
        return None
    properties = Properties()
    properties.reason_string = "; ".join(dict.fromkeys(reasons))[:LONGEST_REASON]
    return properties
