"""The properties of MQTT 5.0, section 2.2.2: one class that holds them, one table that describes them."""
from typing import Final

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MalformedPacket, ProtocolError, TopicAliasInvalid
from emqtwist.mqtt.wire import (
    decode_binary,
    decode_byte,
    decode_four,
    decode_string,
    decode_two,
    decode_variable,
    encode_binary,
    encode_four,
    encode_string,
    encode_two,
    encode_variable,
)


class Properties:
    """The properties of one packet or Will: None, or an empty list for the two that may repeat, where absent.

    Values are as on the wire: intervals in whole seconds, flags 0 or 1. `subscription_identifiers` and
    `user_properties` keep the order of the packet [MQTT-3.3.2-18].
    """

    __slots__ = (
        "payload_format_indicator",
        "message_expiry_interval",
        "content_type",
        "response_topic",
        "correlation_data",
        "subscription_identifiers",
        "session_expiry_interval",
        "assigned_client_identifier",
        "server_keep_alive",
        "authentication_method",
        "authentication_data",
        "request_problem_information",
        "will_delay_interval",
        "request_response_information",
        "response_information",
        "server_reference",
        "reason_string",
        "receive_maximum",
        "topic_alias_maximum",
        "topic_alias",
        "maximum_qos",
        "retain_available",
        "user_properties",
        "maximum_packet_size",
        "wildcard_subscription_available",
        "subscription_identifier_available",
        "shared_subscription_available",
    )

    def __init__(self) -> None:
        self.payload_format_indicator: int | None = None
        self.message_expiry_interval: int | None = None
        self.content_type: str | None = None
        self.response_topic: str | None = None
        self.correlation_data: bytes | None = None
        self.subscription_identifiers: list[int] = []
        self.session_expiry_interval: int | None = None
        self.assigned_client_identifier: str | None = None
        self.server_keep_alive: int | None = None
        self.authentication_method: str | None = None
        self.authentication_data: bytes | None = None
        self.request_problem_information: int | None = None
        self.will_delay_interval: int | None = None
        self.request_response_information: int | None = None
        self.response_information: str | None = None
        self.server_reference: str | None = None
        self.reason_string: str | None = None
        self.receive_maximum: int | None = None
        self.topic_alias_maximum: int | None = None
        self.topic_alias: int | None = None
        self.maximum_qos: int | None = None
        self.retain_available: int | None = None
        self.user_properties: list[tuple[str, str]] = []
        self.maximum_packet_size: int | None = None
        self.wildcard_subscription_available: int | None = None
        self.subscription_identifier_available: int | None = None
        self.shared_subscription_available: int | None = None


WILL: Final = 0  # the holder that is no packet type: the Will Properties in a CONNECT

# The types of values. FLAG is a byte that is 0 or 1; NONZERO_ are integers for which 0 is a Protocol Error.
FLAG: Final = 1
TWO: Final = 2
NONZERO_TWO: Final = 3
FOUR: Final = 4
NONZERO_FOUR: Final = 5
NONZERO_VARIABLE: Final = 6
STRING: Final = 7
BINARY: Final = 8
STRING_PAIR: Final = 9


NO_PROPERTIES: Final = b"\0"  # their length, there even without them [MQTT-2.2.2-1]


class PropertyRow:
    """One row of table 2-4; `holders` has bit `1 << packet type` set for each packet that may hold it."""

    __slots__ = ("identifier", "name", "type", "holders")

    def __init__(self, identifier: int, name: str, type: int, holders: tuple[int, ...]) -> None:
        self.identifier = identifier
        self.name = name
        self.type = type
        self.holders = sum([1 << holder for holder in holders])


_MESSAGES: Final = (c.PUBLISH, WILL)
_OPENING: Final = (c.CONNECT, c.CONNACK)
_AUTHENTICATION: Final = (c.CONNECT, c.CONNACK, c.AUTH)
_EXPLAINED: Final = (
    c.CONNACK, c.PUBACK, c.PUBREC, c.PUBREL, c.PUBCOMP, c.SUBACK, c.UNSUBACK, c.DISCONNECT, c.AUTH,
)

PROPERTIES: Final = (
    PropertyRow(0x01, "payload_format_indicator", FLAG, _MESSAGES),
    PropertyRow(0x02, "message_expiry_interval", FOUR, _MESSAGES),
    PropertyRow(0x03, "content_type", STRING, _MESSAGES),
    PropertyRow(0x08, "response_topic", STRING, _MESSAGES),
    PropertyRow(0x09, "correlation_data", BINARY, _MESSAGES),
    PropertyRow(0x0B, "subscription_identifiers", NONZERO_VARIABLE, (c.PUBLISH, c.SUBSCRIBE)),
    PropertyRow(0x11, "session_expiry_interval", FOUR, (c.CONNECT, c.CONNACK, c.DISCONNECT)),
    PropertyRow(0x12, "assigned_client_identifier", STRING, (c.CONNACK,)),
    PropertyRow(0x13, "server_keep_alive", TWO, (c.CONNACK,)),
    PropertyRow(0x15, "authentication_method", STRING, _AUTHENTICATION),
    PropertyRow(0x16, "authentication_data", BINARY, _AUTHENTICATION),
    PropertyRow(0x17, "request_problem_information", FLAG, (c.CONNECT,)),
    PropertyRow(0x18, "will_delay_interval", FOUR, (WILL,)),
    PropertyRow(0x19, "request_response_information", FLAG, (c.CONNECT,)),
    PropertyRow(0x1A, "response_information", STRING, (c.CONNACK,)),
    PropertyRow(0x1C, "server_reference", STRING, (c.CONNACK, c.DISCONNECT)),
    PropertyRow(0x1F, "reason_string", STRING, _EXPLAINED),
    PropertyRow(0x21, "receive_maximum", NONZERO_TWO, _OPENING),
    PropertyRow(0x22, "topic_alias_maximum", TWO, _OPENING),
    PropertyRow(0x23, "topic_alias", NONZERO_TWO, (c.PUBLISH,)),
    PropertyRow(0x24, "maximum_qos", FLAG, (c.CONNACK,)),
    PropertyRow(0x25, "retain_available", FLAG, (c.CONNACK,)),
    PropertyRow(0x26, "user_properties", STRING_PAIR,
                _EXPLAINED + (c.CONNECT, WILL, c.PUBLISH, c.SUBSCRIBE, c.UNSUBSCRIBE)),
    PropertyRow(0x27, "maximum_packet_size", NONZERO_FOUR, _OPENING),
    PropertyRow(0x28, "wildcard_subscription_available", FLAG, (c.CONNACK,)),
    PropertyRow(0x29, "subscription_identifier_available", FLAG, (c.CONNACK,)),
    PropertyRow(0x2A, "shared_subscription_available", FLAG, (c.CONNACK,)),
)
_BY_IDENTIFIER: Final = {row.identifier: row for row in PROPERTIES}


def decode_properties(data: bytes, pos: int, end: int, holder: int) -> tuple[Properties | None, int]:
    """The Property Length and the properties at `pos`, None when the length is 0; and the position after them.

    `holder` is a packet type or WILL. Raises MalformedPacket for what cannot be parsed or does not belong to the
    holder, ProtocolError for duplicates and forbidden values, TopicAliasInvalid for the Topic Alias 0 [MQTT-3.3.2-8].
    """
    length, pos = decode_variable(data, pos, end, "Property Length")
    if length == 0:
        return None, pos
    stop = pos + length
    if length < 0 or stop > end:
        raise MalformedPacket("the properties pass the end of the packet", position=pos)  # their length is missing [MQTT-2.2.2-1]
    properties = Properties()
    while pos < stop:
        row = _BY_IDENTIFIER.get(data[pos])
        if row is None:
            raise MalformedPacket(f"0x{data[pos]:02X} is no property", position=pos)
        if not row.holders >> holder & 1:
            raise MalformedPacket(f"{row.name} does not belong to {_holder_name(holder)}", position=pos)
        pos = _decode_into(properties, row, data, pos, stop, holder)
    return properties, pos


def _holder_name(holder: int) -> str:
    return c.PACKET_NAMES[holder] if holder else "Will Properties"


def _decode_into(properties: Properties, row: PropertyRow, data: bytes, start: int, end: int, holder: int) -> int:
    """Decode the property whose identifier stands at `start`; give the position after its value."""
    pos = start + 1
    if row.type == STRING_PAIR:
        name, pos = decode_string(data, pos, end, "name in user_properties")  # [MQTT-1.5.7-1]
        value, pos = decode_string(data, pos, end, "value in user_properties")  # [MQTT-1.5.7-1]
        properties.user_properties.append((name, value))
        return pos
    if row.type == NONZERO_VARIABLE:
        if properties.subscription_identifiers and holder != c.PUBLISH:
            raise _duplicate(row, start)
        number, pos = decode_variable(data, pos, end, row.name)
        if number < 0:
            raise MalformedPacket(f"{row.name}: the packet ends before it", position=end)
        _check_number(row, number, start)
        properties.subscription_identifiers.append(number)
        return pos
    if getattr(properties, row.name) is not None:
        raise _duplicate(row, start)
    if row.type == STRING:
        text, pos = decode_string(data, pos, end, row.name)
        setattr(properties, row.name, text)
    elif row.type == BINARY:
        binary, pos = decode_binary(data, pos, end, row.name)
        setattr(properties, row.name, binary)
    else:
        number, pos = _decode_number(row, data, pos, end)
        _check_number(row, number, start)
        setattr(properties, row.name, number)
    return pos


def _duplicate(row: PropertyRow, position: int) -> ProtocolError:
    return ProtocolError(f"{row.name} is there twice", position=position)


def _decode_number(row: PropertyRow, data: bytes, pos: int, end: int) -> tuple[int, int]:
    if row.type == FLAG:
        return decode_byte(data, pos, end, row.name)
    if row.type == TWO or row.type == NONZERO_TWO:
        return decode_two(data, pos, end, row.name)
    return decode_four(data, pos, end, row.name)


def _check_number(row: PropertyRow, number: int, position: int) -> None:
    if row.type == FLAG and number > 1:
        raise ProtocolError(f"{row.name} is {number}, neither 0 nor 1", position=position)
    if number == 0 and row.type in (NONZERO_TWO, NONZERO_FOUR, NONZERO_VARIABLE):
        if row.identifier == 0x23:
            raise TopicAliasInvalid("topic_alias is 0 [MQTT-3.3.2-8]", position=position)
        raise ProtocolError(f"{row.name} is 0", position=position)


def encode_properties(properties: Properties | None) -> bytes:
    """The Property Length and the properties, in the order of their identifiers."""
    if properties is None:
        return NO_PROPERTIES
    encoded = b"".join([_encode_one(row, properties) for row in PROPERTIES])
    return encode_variable(len(encoded)) + encoded


def _encode_one(row: PropertyRow, properties: Properties) -> bytes:
    """All occurrences of one property, nothing where it is absent."""
    if row.type == STRING_PAIR:
        pairs = properties.user_properties
        # [MQTT-3.3.2-18] [MQTT-3.1.3-10]
        return b"".join([b"\x26" + encode_string(name) + encode_string(value) for name, value in pairs])
    if row.type == NONZERO_VARIABLE:
        return b"".join([b"\x0B" + encode_variable(number) for number in properties.subscription_identifiers])
    value = getattr(properties, row.name)
    if value is None:
        return b""
    return bytes((row.identifier,)) + _encode_value(row.type, value)


def _encode_value(type: int, value: int | str | bytes) -> bytes:
    if isinstance(value, str):
        return encode_string(value)
    if isinstance(value, bytes):
        return encode_binary(value)
    if type == FLAG:
        return bytes((value,))
    return encode_two(value) if type == TWO or type == NONZERO_TWO else encode_four(value)


# What a server forwards unaltered: [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20].
_FORWARDED: Final = [row for row in PROPERTIES if row.identifier in (0x01, 0x03, 0x08, 0x09, 0x26)]


def forwarded_properties(properties: Properties) -> bytes:
    """The properties of a PUBLISH or Will that go unaltered to its receivers, encoded, without length.

    User properties keep their order [MQTT-3.3.2-18].
    """
    return b"".join([_encode_one(row, properties) for row in _FORWARDED])


def publish_properties(forwarded: bytes, expiry: int, subscription_identifiers: tuple[int, ...]) -> bytes:
    """Property Length and properties of a PUBLISH to a subscriber.

    `forwarded` is what `forwarded_properties` gave, `expiry` the Message Expiry Interval, -1 for none.
    """
    encoded = forwarded
    if expiry >= 0:
        encoded += b"\x02" + encode_four(expiry)  # [MQTT-3.3.2-6]
    for identifier in subscription_identifiers:
        encoded += b"\x0B" + encode_variable(identifier)  # [MQTT-3.3.4-3]
    return encode_variable(len(encoded)) + encoded


def alias_property(topic_alias: int) -> bytes:
    """A Topic Alias, encoded as what goes before the forwarded properties of a PUBLISH."""
    return bytes((0x23, topic_alias >> 8, topic_alias & 0xFF))


def decode_forwarded(forwarded: bytes) -> Properties:
    """The properties that `forwarded_properties` encoded."""
    encoded = encode_variable(len(forwarded)) + forwarded
    properties, _ = decode_properties(encoded, 0, len(encoded), c.PUBLISH)
    return Properties() if properties is None else properties
