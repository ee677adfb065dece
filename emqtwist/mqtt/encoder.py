"""Control packets to bytes, for MQTT 3.1, 3.1.1 and 5.0; and the shared beginning of a PUBLISH.

ValueError means that the caller asked for what the wire cannot express: a string with U+0000, a packet without form in
that version.
"""
from typing import Final

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    Acknowledgement,
    AliasedPublish,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Explained,
    Packet,
    Publish,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from emqtwist.mqtt.properties import (
    NO_PROPERTIES,
    PROPERTIES,
    Properties,
    alias_property,
    encode_properties,
    publish_properties,
)
from emqtwist.mqtt.wire import encode_binary, encode_string, encode_two, encode_variable

# Reason codes of CONNACK that MQTT 3.1 and 3.1.1 can tell, as their return codes.
RETURN_CODES: Final[dict[int, int]] = {
    c.UNSUPPORTED_PROTOCOL_VERSION: c.REFUSED_PROTOCOL_VERSION,
    c.CLIENT_IDENTIFIER_NOT_VALID: c.REFUSED_IDENTIFIER,
    c.BAD_USER_NAME_OR_PASSWORD: c.REFUSED_BAD_USER_NAME_OR_PASSWORD,
    c.NOT_AUTHORIZED: c.REFUSED_NOT_AUTHORIZED,
    c.BANNED: c.REFUSED_NOT_AUTHORIZED,
    c.SERVER_UNAVAILABLE: c.REFUSED_SERVER_UNAVAILABLE,
    c.SERVER_BUSY: c.REFUSED_SERVER_UNAVAILABLE,
    c.SERVER_SHUTTING_DOWN: c.REFUSED_SERVER_UNAVAILABLE,
    c.QUOTA_EXCEEDED: c.REFUSED_SERVER_UNAVAILABLE,
    c.USE_ANOTHER_SERVER: c.REFUSED_SERVER_UNAVAILABLE,
    c.SERVER_MOVED: c.REFUSED_SERVER_UNAVAILABLE,
    c.CONNECTION_RATE_EXCEEDED: c.REFUSED_SERVER_UNAVAILABLE,
}


def encode(packet: Packet, version: int) -> bytes:
    """The whole packet; a CONNECT is encoded as its own version says."""
    if isinstance(packet, Publish):
        return _publish(packet, version)
    if isinstance(packet, Explained):
        return _explained(packet, version, packet.properties)
    if isinstance(packet, Connect):
        return _connect(packet)
    if isinstance(packet, Subscribe):
        body = b"".join([encode_binary(topic_filter) + bytes((options,)) for topic_filter, options in packet.filters])
        return _framed(0x82, encode_two(packet.packet_id) + _properties(packet.properties, version) + body)
    if isinstance(packet, Unsubscribe):
        body = b"".join([encode_binary(topic_filter) for topic_filter in packet.filters])
        return _framed(0xA2, encode_two(packet.packet_id) + _properties(packet.properties, version) + body)
    return bytes((packet.type << 4, 0))  # PINGREQ, PINGRESP


def encode_within(packet: Packet, version: int, maximum: int) -> bytes | None:
    """The packet in at most `maximum` bytes, None when that cannot be.

    User Properties go first, then the Reason String. The same rule for each packet that may hold a Reason String:
    [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2]
    [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2]
    [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2] [MQTT-3.15.2-3]. A PUBLISH keeps what its publisher said
    [MQTT-3.3.2-17].
    """
    encoded = encode(packet, version)
    if len(encoded) <= maximum:
        return encoded
    if version < c.MQTT_5_0 or not isinstance(packet, Explained) or packet.properties is None:
        return None
    # [MQTT-3.2.2-20] [MQTT-3.4.2-3] [MQTT-3.5.2-3] [MQTT-3.6.2-3] [MQTT-3.7.2-3] [MQTT-3.9.2-2] [MQTT-3.11.2-2]
    # [MQTT-3.14.2-4] [MQTT-3.15.2-3]
    shorter = _without_user_properties(packet.properties)
    encoded = _explained(packet, version, shorter)
    if len(encoded) > maximum:
        # [MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.6.2-2] [MQTT-3.7.2-2] [MQTT-3.9.2-1] [MQTT-3.11.2-1]
        # [MQTT-3.14.2-3] [MQTT-3.15.2-2]
        shorter.reason_string = None
        encoded = _explained(packet, version, shorter)
    return encoded if len(encoded) <= maximum else None


def publish_head(first_byte: int, topic_name: bytes, tail_length: int) -> bytes:
    """Fixed header and Topic Name of a PUBLISH; the Packet Identifier, where the QoS asks for one, and the tail follow.

    `tail_length` counts the properties of MQTT 5.0 and the payload.
    """
    length = len(topic_name)
    remaining = 2 + length + tail_length + (2 if first_byte & 0x06 else 0)  # [MQTT-2.2.1-2]
    if remaining < 0x80:
        return bytes((first_byte, remaining, 0, length)) + topic_name
    return bytes((first_byte,)) + encode_variable(remaining) + bytes((length >> 8, length & 0xFF)) + topic_name


def _publish(packet: Publish, version: int) -> bytes:
    first_byte = c.PUBLISH << 4 | packet.dup << 3 | packet.qos << 1 | packet.retain
    packet_id = encode_two(packet.packet_id) if packet.qos else b""
    if isinstance(packet, AliasedPublish) and packet.properties is None:
        tail = publish_properties(alias_property(packet.topic_alias), -1, ()) + packet.payload
    else:
        tail = _properties(packet.properties, version) + packet.payload
    return publish_head(first_byte, packet.topic_name, len(tail)) + packet_id + tail


def _framed(first_byte: int, body: bytes) -> bytes:
    return bytes((first_byte,)) + encode_variable(len(body)) + body


def _properties(properties: Properties | None, version: int) -> bytes:
    return encode_properties(properties) if version == c.MQTT_5_0 else b""


def _explained(packet: Explained, version: int, properties: Properties | None) -> bytes:
    """The packet with `properties` in place of its own."""
    if isinstance(packet, Acknowledgement):
        return _acknowledgement(packet, version, properties)
    if isinstance(packet, Connack):
        return _connack(packet, version, properties)
    if isinstance(packet, Suback):
        codes = packet.reason_codes
        if version < c.MQTT_5_0:  # one failure in 3.1.1; none in 3.1, whose clients get the same
            codes = [code if code < 0x80 else c.SUBSCRIBE_FAILURE for code in codes]  # [MQTT3-3.9.3-2]
        return _framed(0x90, encode_two(packet.packet_id) + _properties(properties, version) + bytes(codes))
    if isinstance(packet, Unsuback):
        if version < c.MQTT_5_0:
            return bytes((0xB0, 2)) + encode_two(packet.packet_id)
        return _framed(0xB0, encode_two(packet.packet_id) + encode_properties(properties) + bytes(packet.reason_codes))
    if isinstance(packet, Disconnect):
        return _disconnect(packet, version, properties)
    assert isinstance(packet, Auth)
    return _auth(packet, version, properties)


def _acknowledgement(packet: Acknowledgement, version: int, properties: Properties | None) -> bytes:
    first_byte = packet.type << 4 | (0x02 if isinstance(packet, Pubrel) else 0)  # [MQTT-3.6.1-1]
    packet_id = packet.packet_id
    code = packet.reason_code if version == c.MQTT_5_0 else c.SUCCESS
    encoded = encode_properties(properties) if version == c.MQTT_5_0 else NO_PROPERTIES
    if encoded != NO_PROPERTIES:
        return _framed(first_byte, encode_two(packet_id) + bytes((code,)) + encoded)
    if code:
        return bytes((first_byte, 3, packet_id >> 8, packet_id & 0xFF, code))
    return bytes((first_byte, 2, packet_id >> 8, packet_id & 0xFF))


def _connack(packet: Connack, version: int, properties: Properties | None) -> bytes:
    code = packet.reason_code
    if version == c.MQTT_5_0:
        return _framed(0x20, bytes((packet.session_present, code)) + encode_properties(properties))  # [MQTT-3.2.2-1]
    if code > c.REFUSED_NOT_AUTHORIZED:
        code = RETURN_CODES.get(code, c.REFUSED_SERVER_UNAVAILABLE)
    return bytes((0x20, 2, packet.session_present and version > c.MQTT_3_1, code))  # 3.1 knows no Session Present


def _disconnect(packet: Disconnect, version: int, properties: Properties | None) -> bytes:
    if version < c.MQTT_5_0:
        if packet.reason_code:
            raise ValueError("a DISCONNECT with a reason code has no form before MQTT 5.0")
        return b"\xE0\0"
    encoded = encode_properties(properties)
    if encoded != NO_PROPERTIES:
        return _framed(0xE0, bytes((packet.reason_code,)) + encoded)
    return bytes((0xE0, 1, packet.reason_code)) if packet.reason_code else b"\xE0\0"


def _auth(packet: Auth, version: int, properties: Properties | None) -> bytes:
    if version < c.MQTT_5_0:
        raise ValueError("AUTH has no form before MQTT 5.0")
    encoded = encode_properties(properties)
    if packet.reason_code or encoded != NO_PROPERTIES:
        return _framed(0xF0, bytes((packet.reason_code,)) + encoded)
    return b"\xF0\0"


def _connect(packet: Connect) -> bytes:
    name = b"\0\6MQIsdp" if packet.version == c.MQTT_3_1 else b"\0\4MQTT"
    level = packet.version | (c.BRIDGE_BIT if packet.bridge else 0)
    body = name + bytes((level, _connect_flags(packet))) + encode_two(packet.keep_alive)
    body += _properties(packet.properties, packet.version) + encode_string(packet.client_id)
    if packet.will is not None:
        body += _will(packet.will, packet.version)
    if packet.user_name is not None:
        body += encode_string(packet.user_name)
    if packet.password is not None:
        body += encode_binary(packet.password)
    return _framed(0x10, body)


def _connect_flags(packet: Connect) -> int:
    flags = 0x02 if packet.clean_start else 0
    if packet.will is not None:
        flags |= 0x04 | packet.will.qos << 3 | packet.will.retain << 5
    if packet.password is not None:
        flags |= 0x40
    if packet.user_name is not None:
        flags |= 0x80
    return flags


def _will(will: Will, version: int) -> bytes:
    return _properties(will.properties, version) + encode_binary(will.topic_name) + encode_binary(will.payload)


def _without_user_properties(properties: Properties) -> Properties:
    shorter = Properties()
    for row in PROPERTIES:
        setattr(shorter, row.name, getattr(properties, row.name))
    shorter.user_properties = []
    return shorter
