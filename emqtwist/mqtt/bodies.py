"""What follows the fixed header of every control packet but PUBLISH: bytes to packets.

Each function takes `(data, pos, end, version)`, the body being `data[pos:end]`; `version` is 3, 4 or 5. Positions in
errors are positions in `data`.
"""
from typing import Final

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MalformedPacket, ProtocolError
from emqtwist.mqtt.packets import (
    Acknowledgement,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from emqtwist.mqtt.properties import WILL, Properties, decode_properties
from emqtwist.mqtt.wire import decode_binary, decode_byte, decode_string, decode_two

# (Protocol Name, level) -> version; the levels with the bridge bit are Mosquitto's, for the versions it sets it in.
PROTOCOLS: Final[dict[tuple[bytes, int], int]] = {
    (b"MQIsdp", 3): c.MQTT_3_1,
    (b"MQIsdp", 3 | c.BRIDGE_BIT): c.MQTT_3_1,
    (b"MQTT", 4): c.MQTT_3_1_1,
    (b"MQTT", 4 | c.BRIDGE_BIT): c.MQTT_3_1_1,
    (b"MQTT", 5): c.MQTT_5_0,
}

ACKNOWLEDGEMENTS: Final[dict[int, type[Acknowledgement]]] = {
    c.PUBACK: Puback, c.PUBREC: Pubrec, c.PUBREL: Pubrel, c.PUBCOMP: Pubcomp,
}

# The bits of the Connect Flags.
RESERVED_FLAG: Final = 0x01
CLEAN_START_FLAG: Final = 0x02
WILL_FLAG: Final = 0x04
WILL_QOS_FLAGS: Final = 0x18
WILL_RETAIN_FLAG: Final = 0x20
PASSWORD_FLAG: Final = 0x40
USER_NAME_FLAG: Final = 0x80


def decode_body(packet_type: int, data: bytes, pos: int, end: int, version: int) -> Packet:
    """The packet of any type but CONNECT and PUBLISH."""
    if packet_type in ACKNOWLEDGEMENTS:
        return _acknowledgement(packet_type, data, pos, end, version)
    if packet_type == c.SUBSCRIBE:
        return _subscribe(data, pos, end, version)
    if packet_type == c.UNSUBSCRIBE:
        return _unsubscribe(data, pos, end, version)
    if packet_type == c.PINGREQ or packet_type == c.PINGRESP:  # the good ones are known already
        _expect_end(pos, end)
        return Pingreq() if packet_type == c.PINGREQ else Pingresp()
    if packet_type == c.DISCONNECT:
        return _disconnect(data, pos, end, version)
    if packet_type == c.AUTH:
        return _auth(data, pos, end, version)
    if packet_type == c.CONNACK:
        return _connack(data, pos, end, version)
    if packet_type == c.SUBACK:
        return _suback(data, pos, end, version)
    if packet_type == c.UNSUBACK:
        return _unsuback(data, pos, end, version)
    raise MalformedPacket("packet type 0 is reserved")


def decode_connect(data: bytes, pos: int, end: int, version: int, bridge: bool) -> Connect:
    """The CONNECT whose Connect Flags stand at `pos`."""
    start = pos
    flags, pos = decode_byte(data, pos, end, "Connect Flags")
    if flags & ~CLEAN_START_FLAG:  # for which each is good
        _check_connect_flags(flags, start, version)
    keep_alive, pos = decode_two(data, pos, end, "Keep Alive")
    properties: Properties | None = None
    if version == c.MQTT_5_0:
        properties, pos = decode_properties(data, pos, end, c.CONNECT)
    if properties is not None and properties.authentication_method is None:
        if properties.authentication_data is not None:
            raise ProtocolError("Authentication Data without Authentication Method", position=start + 3)
    client_id, pos = decode_string(data, pos, end, "Client Identifier")  # [MQTT-3.1.3-3] [MQTT-3.1.3-4]
    will: Will | None = None
    if flags & WILL_FLAG:
        will, pos = _will(flags, data, pos, end, version)
    user_name: str | None = None
    if flags & USER_NAME_FLAG:
        user_name, pos = decode_string(data, pos, end, "User Name")  # [MQTT-3.1.2-17] [MQTT-3.1.3-12]
    password: bytes | None = None
    if flags & PASSWORD_FLAG:
        password, pos = decode_binary(data, pos, end, "Password")  # [MQTT-3.1.2-19]
    _expect_end(pos, end)
    clean_start = flags & CLEAN_START_FLAG != 0
    return Connect(version, client_id, clean_start, keep_alive, user_name, password, will, bridge, properties)


def _check_connect_flags(flags: int, position: int, version: int) -> None:
    if flags & RESERVED_FLAG:
        raise MalformedPacket("the reserved Connect Flag is set [MQTT-3.1.2-3]", position=position)
    if flags & WILL_QOS_FLAGS == WILL_QOS_FLAGS:
        raise MalformedPacket("Will QoS 3 [MQTT-3.1.2-12]", position=position)
    if not flags & WILL_FLAG and flags & WILL_QOS_FLAGS:
        raise MalformedPacket("Will QoS without Will [MQTT-3.1.2-11]", position=position)
    if not flags & WILL_FLAG and flags & WILL_RETAIN_FLAG:
        raise MalformedPacket("Will Retain without Will [MQTT-3.1.2-13]", position=position)
    if version == c.MQTT_3_1_1 and flags & PASSWORD_FLAG and not flags & USER_NAME_FLAG:
        raise MalformedPacket("Password without User Name [MQTT3-3.1.2-22]", position=position)


def _will(flags: int, data: bytes, pos: int, end: int, version: int) -> tuple[Will, int]:
    properties, pos = _properties(data, pos, end, version, WILL)
    start = pos
    _, pos = decode_string(data, pos, end, "Will Topic")  # [MQTT-3.1.3-11]
    topic_name = data[start + 2:pos]
    payload, pos = decode_binary(data, pos, end, "Will Payload")
    return Will(topic_name, payload, (flags & WILL_QOS_FLAGS) >> 3, flags & WILL_RETAIN_FLAG != 0, properties), pos


def _connack(data: bytes, pos: int, end: int, version: int) -> Connack:
    flags, pos = decode_byte(data, pos, end, "Connect Acknowledge Flags")
    if version == c.MQTT_3_1:
        flags = 0  # the byte has no meaning there
    if flags > 1:
        raise MalformedPacket("reserved Connect Acknowledge Flags are set [MQTT-3.2.2-1]", position=pos - 1)
    code, pos = decode_byte(data, pos, end, "reason code")
    if version == c.MQTT_5_0:
        _check_reason(c.CONNACK, code, pos - 1)
    elif code > c.REFUSED_NOT_AUTHORIZED:
        raise ProtocolError(f"return code {code} is reserved", position=pos - 1)
    if flags and code:
        raise ProtocolError("Session Present in a refusal [MQTT-3.2.2-6]", position=pos - 1)
    properties, pos = _properties(data, pos, end, version, c.CONNACK)
    _expect_end(pos, end)
    return Connack(flags == 1, code, properties)


def _acknowledgement(packet_type: int, data: bytes, pos: int, end: int, version: int) -> Acknowledgement:
    packet_id, pos = _packet_id(data, pos, end)
    code = c.SUCCESS
    properties: Properties | None = None
    if version == c.MQTT_5_0 and pos < end:
        code, pos = decode_byte(data, pos, end, "reason code")
        _check_reason(packet_type, code, pos - 1)
        if pos < end:  # with a Remaining Length below 4 there is no Property Length
            properties, pos = decode_properties(data, pos, end, packet_type)
    _expect_end(pos, end)
    return ACKNOWLEDGEMENTS[packet_type](packet_id, code, properties)


def _subscribe(data: bytes, pos: int, end: int, version: int) -> Subscribe:
    packet_id, pos = _packet_id(data, pos, end)
    properties, pos = _properties(data, pos, end, version, c.SUBSCRIBE)
    if pos == end:
        raise ProtocolError("no Topic Filter [MQTT-3.8.3-2]", position=pos)
    filters: list[tuple[bytes, int]] = []
    while pos < end:
        topic_filter, pos = decode_binary(data, pos, end, "Topic Filter")
        options, pos = decode_byte(data, pos, end, "Subscription Options")
        _check_options(options, pos - 1, version)
        filters.append((topic_filter, options))
    return Subscribe(packet_id, filters, properties)


def _check_options(options: int, position: int, version: int) -> None:
    if options & c.OPTION_QOS == 3:
        raise ProtocolError("QoS 3 requested [MQTT3-3.8.3-4]", position=position)
    if version < c.MQTT_5_0:
        if options > 2:
            # [MQTT3-3.8.3-4]
            raise MalformedPacket("reserved bits of the QoS are set [MQTT3-3.8.3-4]", position=position)
    elif options & c.OPTION_RESERVED:
        raise MalformedPacket("reserved bits of the Subscription Options are set [MQTT-3.8.3-5]", position=position)
    elif options & c.OPTION_RETAIN_HANDLING == c.OPTION_RETAIN_HANDLING:
        raise ProtocolError("Retain Handling 3", position=position)


def _suback(data: bytes, pos: int, end: int, version: int) -> Suback:
    packet_id, pos = _packet_id(data, pos, end)
    properties, pos = _properties(data, pos, end, version, c.SUBACK)
    return Suback(packet_id, _reason_codes(c.SUBACK, data, pos, end, version), properties)


def _unsubscribe(data: bytes, pos: int, end: int, version: int) -> Unsubscribe:
    packet_id, pos = _packet_id(data, pos, end)
    properties, pos = _properties(data, pos, end, version, c.UNSUBSCRIBE)
    if pos == end:
        raise ProtocolError("no Topic Filter [MQTT-3.10.3-2]", position=pos)
    filters: list[bytes] = []
    while pos < end:
        topic_filter, pos = decode_binary(data, pos, end, "Topic Filter")
        filters.append(topic_filter)
    return Unsubscribe(packet_id, filters, properties)


def _unsuback(data: bytes, pos: int, end: int, version: int) -> Unsuback:
    packet_id, pos = _packet_id(data, pos, end)
    if version < c.MQTT_5_0:
        _expect_end(pos, end)
        return Unsuback(packet_id, [])
    properties, pos = _properties(data, pos, end, version, c.UNSUBACK)
    return Unsuback(packet_id, _reason_codes(c.UNSUBACK, data, pos, end, version), properties)


def _reason_codes(packet_type: int, data: bytes, pos: int, end: int, version: int) -> list[int]:
    """One or more reason codes up to `end`."""
    if pos == end:
        raise ProtocolError("no reason code", position=pos)
    for place in range(pos, end):
        code = data[place]
        if version < c.MQTT_5_0 and code > c.GRANTED_QOS_2 and code != c.SUBSCRIBE_FAILURE:
            raise ProtocolError(f"return code 0x{code:02X} is reserved [MQTT3-3.9.3-2]", position=place)
        _check_reason(packet_type, code, place)
    return list(data[pos:end])


def _disconnect(data: bytes, pos: int, end: int, version: int) -> Disconnect:
    code = c.SUCCESS
    properties: Properties | None = None
    if version == c.MQTT_5_0 and pos < end:
        code, pos = decode_byte(data, pos, end, "reason code")
        _check_reason(c.DISCONNECT, code, pos - 1)
        if pos < end:  # with a Remaining Length below 2 there is no Property Length
            properties, pos = decode_properties(data, pos, end, c.DISCONNECT)
    _expect_end(pos, end)
    return Disconnect(code, properties)


def _auth(data: bytes, pos: int, end: int, version: int) -> Auth:
    if version < c.MQTT_5_0:
        raise MalformedPacket("packet type 15 is reserved before MQTT 5.0")
    if pos == end:
        return Auth()
    code, pos = decode_byte(data, pos, end, "reason code")
    _check_reason(c.AUTH, code, pos - 1)
    properties, pos = _properties(data, pos, end, version, c.AUTH)
    if properties is None or properties.authentication_method is None:
        raise ProtocolError("no Authentication Method", position=pos)
    _expect_end(pos, end)
    return Auth(code, properties)


def _packet_id(data: bytes, pos: int, end: int) -> tuple[int, int]:
    packet_id, stop = decode_two(data, pos, end, "Packet Identifier")
    if not packet_id:
        raise ProtocolError("Packet Identifier 0 [MQTT-2.2.1-3]", position=pos)
    return packet_id, stop


def _properties(data: bytes, pos: int, end: int, version: int, holder: int) -> tuple[Properties | None, int]:
    if version < c.MQTT_5_0:
        return None, pos
    return decode_properties(data, pos, end, holder)


def _check_reason(packet_type: int, code: int, position: int) -> None:
    if code not in c.REASON_CODES[packet_type]:
        raise ProtocolError(f"reason code 0x{code:02X} does not belong to it", position=position)


def _expect_end(pos: int, end: int) -> None:
    if pos != end:
        raise MalformedPacket(f"{end - pos} bytes too many", position=pos)
