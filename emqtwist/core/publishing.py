"""PUBLISH from a client, and the acknowledgements of both directions."""
from typing import Final

from emqtwist.core import causes
from emqtwist.core.connection import Connection
from emqtwist.core.delayed import DelayInvalid
from emqtwist.core.forwarded import check_forwarded
from emqtwist.core.hooks import MESSAGE_PUBLISH
from emqtwist.core.journal import Journal
from emqtwist.core.message import MQTT_5_BIT, NEVER, PUBLISH_BYTE, Message
from emqtwist.core.pubsub import fan_out, refused_by
from emqtwist.core.records import COMPLETED, RECEIVED
from emqtwist.core.reserved import DOLLAR, is_reserved
from emqtwist.core.router import Route
from emqtwist.core.ruling import opens
from emqtwist.core.session import Session
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import (
    MQTTError,
    NotAuthorized,
    PayloadFormatInvalid,
    ProtocolError,
    QuotaExceeded,
    ReceiveMaximumExceeded,
)
from emqtwist.mqtt.packets import Acknowledgement, AliasedPublish, Publish
from emqtwist.mqtt.properties import Properties, forwarded_properties
from emqtwist.mqtt.topics import check_topic_name

SMALL: Final = 4096  # bytes
REFUSALS: Final = (NotAuthorized, QuotaExceeded, PayloadFormatInvalid, DelayInvalid)
DEALT_WITH: Final = -1  # in place of a reason code: nothing more is to be answered


def publish(connection: Connection, session: Session, packet: Publish) -> None:
    """Pass a PUBLISH on and acknowledge it as its QoS asks [MQTT-3.3.4-1]."""
    qos = packet.qos
    if packet.frame and not qos:  # nothing to check that the route cache does not know, and nothing to answer
        router = connection.broker.router
        route = router.cache.get(packet.topic_name)
        if route is None:
            route = router.by_name(packet.topic_name)
        if route is None:
            route = _route_of_frame(connection, packet)
        if route is not None:
            _pass_frame(connection, packet, route)
        return  # [MQTT-3.3.4-1]
    if qos == 1 and packet.frame and _pass_plain(connection, packet):
        reason_code = c.SUCCESS
    else:
        reason_code = _take(connection, session, packet)
    if reason_code == DEALT_WITH:
        return
    if qos == 1:  # [MQTT-3.3.4-1]
        if reason_code:
            connection.acknowledge(c.PUBACK, packet.packet_id, reason_code)
        else:
            connection.answer(c.PUBACK, packet.packet_id)  # [MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-4.3.2-5] [MQTT-4.6.0-2]
    elif qos == 2:
        if reason_code:
            connection.acknowledge(c.PUBREC, packet.packet_id, reason_code)
        else:
            connection.answer(c.PUBREC, packet.packet_id)  # [MQTT-3.3.4-1] [MQTT-4.3.3-8] [MQTT-4.6.0-3]


def _take(connection: Connection, session: Session, packet: Publish) -> int:
    """Pass it on, unless it is refused or was passed on before; the reason code to answer, or DEALT_WITH."""
    qos = packet.qos
    if qos == 2:
        connection.broker.metrics.qos2_received += 1
    if type(packet) is AliasedPublish:
        aliases = connection.incoming or connection.take_aliases()
        packet.topic_name = aliases.resolve(packet.topic_alias, packet.topic_name)
        if not qos and not packet.retain and packet.properties is None:
            route = connection.broker.router.cache.get(packet.topic_name)
            if route is not None:
                packet.frame = aliases.frame(packet.topic_alias, packet.payload)
                _pass_frame(connection, packet, route)
                return DEALT_WITH
    if qos == 2 and packet.packet_id in session.received:
        connection.since = -1  # what it brought may not be stored yet
        connection.acknowledge(c.PUBREC, packet.packet_id)  # known already: not passed on again [MQTT-4.3.3-10]
        return DEALT_WITH
    if qos == 2 and len(session.received) >= connection.receive_maximum and connection.version == c.MQTT_5_0:
        connection.broker.metrics.qos2_dropped += 1
        raise ReceiveMaximumExceeded(f"more than {connection.receive_maximum} QoS 2 messages unfinished")  # [MQTT-3.3.4-7]
    if qos == 2:
        _note_received(session, packet.packet_id)  # [MQTT-4.3.3-10] before it goes on: to other nodes once that is stored
    try:
        if not packet.retain and packet.properties is None and _pass_plain(connection, packet):
            return c.SUCCESS
        return _pass_on(connection, packet)
    except Exception as error:
        if qos == 2:
            _note_completed(session, packet.packet_id)
        if not isinstance(error, REFUSALS):
            raise
        refuse(connection, packet, error)
        return DEALT_WITH


def _pass_frame(connection: Connection, packet: Publish, route: Route) -> None:
    """Route a PUBLISH at QoS 0 without RETAIN and properties: its own bytes serve receivers of its version."""
    shape = -1
    if packet.frame:
        shape = PUBLISH_BYTE | MQTT_5_BIT if connection.version == c.MQTT_5_0 else PUBLISH_BYTE
    message = Message(packet.topic_name, packet.payload, 0, False, b"", NEVER, connection.client_id, packet.frame, shape)
    if route:
        fan_out(route, message, connection.broker.circle)
    else:
        connection.broker.deliver(message, route)


def _pass_plain(connection: Connection, packet: Publish) -> bool:
    """Route a PUBLISH as `_pass_on` would, where nothing is to be asked about it; whether that is so.

    Its own bytes serve receivers of its QoS and version, as if `Message.encode` had made them.
    """
    broker, qos = connection.broker, packet.qos
    circle, journal = broker.circle, broker.journal
    route = broker.router.cache.get(packet.topic_name)
    if not route or qos > broker.plain_qos or circle.crowded or circle.tight or (journal is not None and journal.failing):
        return False
    payload, head = packet.payload, packet.frame
    shape = -1
    if head:
        shape = PUBLISH_BYTE | qos << 1
        if connection.version == c.MQTT_5_0:
            shape = shape | MQTT_5_BIT if len(payload) < SMALL else -1  # a copy, for receivers that there may not be
    message = Message(packet.topic_name, payload, qos, False, b"", NEVER, connection.client_id, head, shape)
    if shape >= 0:
        message.tail = b"\0" + payload if shape & MQTT_5_BIT else payload
    fan_out(route, message, circle)
    return True


def _route_of_frame(connection: Connection, packet: Publish) -> Route | None:
    """Where no look-up tells; None when nothing may be published there now, which at QoS 0 nobody is told."""
    try:
        if connection.broker.delayed.takes(packet.topic_name):
            _delay(connection, packet)
            return None
        return _new_route(connection, packet)
    except (NotAuthorized, QuotaExceeded, DelayInvalid):
        return None


def _pass_on(connection: Connection, packet: Publish) -> int:
    """Route the message; the reason code of success. The errors raised are refusals."""
    broker = connection.broker
    plain = packet.qos <= broker.plain_qos
    if not plain and packet.qos > broker.settings.max_qos:
        raise MQTTError(f"QoS {packet.qos} is not supported", c.QOS_NOT_SUPPORTED)  # [MQTT-3.2.2-11]
    if packet.retain and not broker.retains():
        raise MQTTError("retained messages are not available", c.RETAIN_NOT_SUPPORTED)  # [MQTT-3.2.2-14]
    properties = packet.properties
    route = broker.router.cache.get(packet.topic_name)
    if route is None:
        route = broker.router.by_name(packet.topic_name)
    if route is None:
        if broker.delayed.takes(packet.topic_name):
            _delay(connection, packet)
            return c.SUCCESS
        route = _new_route(connection, packet)
    if properties is None:
        # [MQTT-3.3.1-3]
        message = Message(packet.topic_name, packet.payload, packet.qos, packet.retain, b"", NEVER, connection.client_id)
    else:
        message = _message(connection, packet, properties)
    if not plain and broker.hooks.at[MESSAGE_PUBLISH]:
        screened = broker.screen(message)
        if screened is None:
            return c.SUCCESS
        message = screened
        route = broker.router.route(message.topic)
    if message.qos:
        _check_room(connection, message, route)
    if message.retain:  # [MQTT-3.3.1-8]
        broker.retain(message)
    if broker.deliver(message, route) or connection.version != c.MQTT_5_0:
        return c.SUCCESS
    return c.NO_MATCHING_SUBSCRIBERS


def _new_route(connection: Connection, packet: Publish) -> Route:
    """Check a Topic Name that is not in the cache; what is in it was checked before."""
    broker = connection.broker
    if not packet.topic_name and connection.version == c.MQTT_5_0:
        raise ProtocolError("an empty Topic Name without Topic Alias")
    check_topic_name(packet.topic_name, broker.settings.max_topic_levels)  # [MQTT-3.3.2-2] [MQTT-3.3.2-1]
    if packet.topic_name[0] == DOLLAR and is_reserved(packet.topic_name):
        if opens(connection, packet.topic_name):
            return broker.router.route(packet.topic_name)
        message = Message(packet.topic_name, packet.payload, packet.qos, packet.retain, b"", NEVER, connection.client_id)
        broker.circle.lose(message, causes.RESERVED_TOPIC)
        raise NotAuthorized("this topic is the broker's own: clients may not publish to it")
    return broker.router.new_route(packet.topic_name)


def _delay(connection: Connection, packet: Publish) -> None:
    """Let a message wait, unless it is for a topic of the broker's own: DelayInvalid, NotAuthorized, QuotaExceeded."""
    broker = connection.broker
    message = _message(connection, packet, packet.properties or Properties())
    topic_name = broker.delayed.meant(message.topic)
    if is_reserved(topic_name) and not opens(connection, topic_name):
        broker.circle.lose(message, causes.RESERVED_TOPIC)
        raise NotAuthorized("this topic is the broker's own: clients may not publish to it")
    broker.delayed.keep(message)


def _message(connection: Connection, packet: Publish, properties: Properties) -> Message:
    """A Message from a PUBLISH with properties, after the checks that these ask for."""
    broker = connection.broker
    if properties.subscription_identifiers:
        raise ProtocolError("a client may not send a Subscription Identifier in PUBLISH")  # [MQTT-3.3.4-6]
    check_forwarded(properties, packet.payload, broker.settings.max_topic_levels)
    expiry = properties.message_expiry_interval
    expires_at = NEVER if expiry is None else broker.turn.now + expiry
    return Message(packet.topic_name, packet.payload, packet.qos, packet.retain, forwarded_properties(properties),
                   expires_at, connection.client_id)


def _check_room(connection: Connection, message: Message, route: Route) -> None:
    """Refuse what could not be kept: an acknowledged message is not dropped for want of room."""
    broker = connection.broker
    if broker.journal is not None and broker.journal.failing:
        _check_store(broker.journal, message, route)
    full = refused_by(route, message, broker.circle)
    if full is not None:
        broker.circle.lose(message, causes.QUEUE_FULL_REFUSED)
        raise QuotaExceeded("the queue of a subscriber's session is full")
    if message.retain and connection.version == c.MQTT_5_0:
        cause = broker.retained.refusal(message)
        if cause:
            broker.circle.lose(message, cause)
            raise QuotaExceeded(causes.DROPS[cause])


def _check_store(journal: Journal, message: Message, route: Route) -> None:
    """Refuse what the store should keep and cannot."""
    for subscription in route:
        if message.retain or subscription.subscriber.keeps():
            raise QuotaExceeded(f"messages cannot be kept now: {journal.failing}")
    if message.retain:
        raise QuotaExceeded(f"messages cannot be kept now: {journal.failing}")


def refuse(connection: Connection, packet: Publish, error: MQTTError) -> None:
    """Acknowledge with the reason, or end the connection where that would tell nothing, or something else.

    A 3.x client cannot be told. It would take the acknowledgement of what found no room for a promise: its connection is
    closed, so that it tries again. What is not for it to publish it only sees done with.
    """
    told = connection.version == c.MQTT_5_0
    unanswered = isinstance(error, PayloadFormatInvalid) and not packet.qos
    if unanswered or (isinstance(error, QuotaExceeded) and packet.qos and not told):
        raise error
    if packet.qos == 1:
        connection.acknowledge(c.PUBACK, packet.packet_id, error.reason_code, error.reason)
    elif packet.qos == 2:
        if not told and connection.session is not None:
            _note_received(connection.session, packet.packet_id)  # [MQTT3-3.3.5-2]
        connection.acknowledge(c.PUBREC, packet.packet_id, error.reason_code, error.reason)  # [MQTT-4.3.3-9]


def pubrec(connection: Connection, session: Session, packet: Acknowledgement) -> None:
    if session.pubrec(packet.packet_id, packet.reason_code):
        session.send_pubrel(packet.packet_id)  # [MQTT-4.3.3-4]
    elif packet.reason_code < 0x80:
        connection.acknowledge(c.PUBREL, packet.packet_id, c.PACKET_IDENTIFIER_NOT_FOUND, "no such Packet Identifier in flight")


def pubrel(connection: Connection, session: Session, packet: Acknowledgement) -> None:
    if packet.packet_id in session.received:
        _note_completed(session, packet.packet_id)  # [MQTT-4.3.3-12]
        connection.answer(c.PUBCOMP, packet.packet_id)  # [MQTT-4.3.3-11] [MQTT-4.3.3-13]
    else:
        connection.since = -1  # that it was completed may not be stored yet
        connection.broker.metrics.missed[c.PUBREL] += 1
        connection.acknowledge(c.PUBCOMP, packet.packet_id, c.PACKET_IDENTIFIER_NOT_FOUND, "no such Packet Identifier received")


def _note_received(session: Session, packet_id: int) -> None:
    """A QoS 2 message with this identifier is passed on."""
    session.received[packet_id] = None
    if session.ledger is not None:
        session.ledger.journal.add((RECEIVED, session.ledger.number, packet_id))


def _note_completed(session: Session, packet_id: int) -> None:
    """Its PUBREL came."""
    del session.received[packet_id]
    if session.ledger is not None:
        session.ledger.journal.add((COMPLETED, session.ledger.number, packet_id))


def pubcomp(connection: Connection, session: Session, packet: Acknowledgement) -> None:
    session.pubcomp(packet.packet_id)
