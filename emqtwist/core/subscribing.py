"""SUBSCRIBE and UNSUBSCRIBE, a result for each Topic Filter."""
from typing import Final, cast

from emqtwist.core.connection import Connection
from emqtwist.core.hooks import CLIENT_SUBSCRIBE, CLIENT_UNSUBSCRIBE, SESSION_SUBSCRIBED, SESSION_UNSUBSCRIBED
from emqtwist.core.link import Link
from emqtwist.core.message import NO_IDENTIFIERS
from emqtwist.core.prefixes import Prefix, canonical, check_filter, subscription_to
from emqtwist.core.session import Session
from emqtwist.core.settings import Settings
from emqtwist.core.subscriber import OPTION_UPGRADE_QOS, Subscription
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, PacketTooLarge, ProtocolError, QuotaExceeded, TopicFilterInvalid
from emqtwist.mqtt.packets import Suback, Subscribe, Unsuback, Unsubscribe
from emqtwist.mqtt.properties import Properties

LONGEST_REASON: Final = 1000  # characters that explain the refused filters of one SUBSCRIBE
FATAL: Final = (c.MALFORMED_PACKET, c.PROTOCOL_ERROR)  # they end the connection


def subscribe(connection: Connection, session: Session, packet: Subscribe) -> None:
    """Answer each filter; retained messages follow the SUBACK [MQTT-3.8.4-1], [MQTT-3.8.4-6]."""
    broker = connection.broker
    identifiers = tuple(packet.properties.subscription_identifiers) if packet.properties else NO_IDENTIFIERS
    reason_codes: list[int] = []
    reasons: list[str] = []
    made: list[tuple[Subscription, bool]] = []
    asked = broker.hooks.fold(CLIENT_SUBSCRIBE, (connection.client_id, connection.user_name), packet.filters)
    if asked.stopped:
        reason_codes = [c.NOT_AUTHORIZED] * len(packet.filters)
        asked.value = []
    for topic_filter, options in asked.value:  # [MQTT-3.8.4-5] [MQTT-3.8.4-6]
        try:
            _check(connection, session, topic_filter, options)
            _check_available(connection.broker.settings, topic_filter, identifiers)
        except MQTTError as error:
            if error.reason_code in FATAL:  # [MQTT-3.8.3-1] [MQTT3-3.8.3-1]
                raise
            reason_codes.append(error.reason_code)  # [MQTT-3.8.4-7]
            reasons.append(error.reason)
        else:
            options = _options(options, broker.settings)
            subscription = subscription_to(session, topic_filter, options, identifiers)
            made.append((subscription, broker.sessions.subscribe(session, subscription)))
            reason_codes.append(options & c.OPTION_QOS)  # [MQTT-3.9.3-1] [MQTT-3.8.4-6] [MQTT-3.8.4-7]
    answer = _Answer(Suback(packet.packet_id, reason_codes, _explain(connection, reasons)), made)
    journal = broker.journal
    if journal is not None and journal.count != connection.since and len(broker.retained):
        connection.wait(journal.wait(journal.barrier()), answer.stored)
    else:
        answer.send(connection)


class _Answer:
    """A SUBACK, and the subscriptions whose retained messages follow it."""

    __slots__ = ("suback", "made")

    def __init__(self, suback: Suback, made: list[tuple[Subscription, bool]]) -> None:
        self.suback = suback
        self.made = made

    def stored(self, link: Link, decision: bool) -> None:
        """The store has the subscriptions."""
        self.send(cast(Connection, link))

    def send(self, connection: Connection) -> None:
        _answer(connection, self.suback)  # [MQTT-2.2.1-6] [MQTT-3.8.4-1] [MQTT-3.8.4-2]
        for subscription, new in self.made:
            connection.broker.hooks.run(SESSION_SUBSCRIBED, (connection.client_id, connection.user_name, subscription.name(),
                                                             subscription.options))
            connection.broker.replay_retained(subscription, new)  # [MQTT-3.8.4-4]


def unsubscribe(connection: Connection, session: Session, packet: Unsubscribe) -> None:
    """Answer each filter [MQTT-3.10.4-1], [MQTT-3.10.4-5]."""
    broker = connection.broker
    reason_codes: list[int] = []
    reasons: list[str] = []
    asked = broker.hooks.fold(CLIENT_UNSUBSCRIBE, (connection.client_id, connection.user_name), packet.filters)
    if asked.stopped:
        reason_codes = [c.NOT_AUTHORIZED] * len(packet.filters)
        asked.value = []
    for topic_filter in asked.value:  # [MQTT-3.10.4-6]
        removed = broker.sessions.unsubscribe(session, canonical(topic_filter))  # [MQTT-3.10.4-1]
        if removed:
            broker.hooks.run(SESSION_UNSUBSCRIBED, (connection.client_id, connection.user_name, topic_filter))
        reason_codes.append(c.SUCCESS if removed else _why_none(topic_filter, reasons))  # [MQTT-3.11.3-1]
    # [MQTT-2.2.1-6] [MQTT-3.10.4-4] [MQTT-3.10.4-5]
    _answer(connection, Unsuback(packet.packet_id, reason_codes, _explain(connection, reasons)))


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


def _check_available(settings: Settings, topic_filter: bytes, identifiers: tuple[int, ...]) -> None:
    if not settings.wildcard_subscription and (b"+" in topic_filter or b"#" in topic_filter):
        raise MQTTError("wildcard subscriptions are not supported", c.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED)
    if identifiers and not settings.subscription_identifiers:
        raise MQTTError("subscription identifiers are not supported", c.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)


def _options(options: int, settings: Settings) -> int:
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
