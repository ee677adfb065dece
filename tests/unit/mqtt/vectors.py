"""Packets and their bytes, written by hand from the standard; those marked so are from emqttd's protocol_SUITE.

VECTORS hold in both directions. DECODED are bytes that the standard allows and our encoder does not write.
"""
from typing import NamedTuple

from emqtwist.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.unit.mqtt.comparing import properties
from tests.unit.mqtt.wire_text import raw


class Vector(NamedTuple):
    name: str
    version: int
    data: bytes
    packet: Packet


def vector(name: str, version: int, text: str, packet: Packet) -> Vector:
    return Vector(name, version, raw(text), packet)


CONNECTS = [
    vector("3.1, emqttd parse_connect", 3, "10 25 0006 'MQIsdp' 03 02 003c 0017 'mosqpub/10451-iMac.loca'",
           Connect(3, "mosqpub/10451-iMac.loca", True, 60)),
    vector("3.1.1, emqttd parse_connect", 4, "10 23 0004 'MQTT' 04 02 003c 0017 'mosqpub/10451-iMac.loca'",
           Connect(4, "mosqpub/10451-iMac.loca", True, 60)),
    vector("3.1.1 empty identifier, emqttd parse_connect", 4, "10 0c 0004 'MQTT' 04 02 003c 0000",
           Connect(4, "", True, 60)),
    vector("3.1 Will, emqttd parse_connect", 3,
           "10 43 0006 'MQIsdp' 03 ce 003c 0017 'mosqpub/10452-iMac.loca' 0005 '/will' 0007 'willmsg'"
           " 0004 'test' 0006 'public'",
           Connect(3, "mosqpub/10452-iMac.loca", True, 60, "test", b"public", Will(b"/will", b"willmsg", 1))),
    vector("3.1 bridge, emqttd parse_bridge", 3,
           "10 56 0006 'MQIsdp' 83 2c 003c 0013 'C_00:0C:29:2B:77:52' "
           "0030 '$SYS/broker/connection/C_00:0C:29:2B:77:52/state' 0001 '0'",
           Connect(3, "C_00:0C:29:2B:77:52", False, 60, bridge=True,
                   will=Will(b"$SYS/broker/connection/C_00:0C:29:2B:77:52/state", b"0", 1, True))),
    vector("3.1 Password without User Name", 3, "10 12 0006 'MQIsdp' 03 42 0000 0001 'c' 0001 ff",
           Connect(3, "c", password=b"\xff")),
    vector("3.1 long identifier", 3, "10 26 0006 'MQIsdp' 03 02 0000 0018 '123456789012345678901234'",
           Connect(3, "123456789012345678901234")),
    vector("3.1.1 bridge", 4, "10 0d 0004 'MQTT' 84 00 ffff 0001 'b'", Connect(4, "b", False, 65535, bridge=True)),
    vector("3.1.1 empty Will, User Name and Password", 4,
           "10 15 0004 'MQTT' 04 d6 0000 0001 'c' 0000 0000 0000 0000",
           Connect(4, "c", True, 0, "", b"", Will(b"", b"", 2))),
    vector("3.1.1 User Name alone, not ASCII", 4, "10 11 0004 'MQTT' 04 80 000a 0001 'c' 0002 'ü'",
           Connect(4, "c", False, 10, "ü")),
    vector("5.0 smallest", 5, "10 0f 0004 'MQTT' 05 02 003c 00 0002 'id'", Connect(5, "id", True, 60)),
    vector("5.0 Password without User Name", 5, "10 13 0004 'MQTT' 05 40 0000 00 0002 'id' 0002 c080",
           Connect(5, "id", False, 0, None, b"\xc0\x80")),
    vector("5.0 empty Authentication Method", 5, "10 13 0004 'MQTT' 05 00 0000 06 15 0000 16 0000 0000",
           Connect(5, "", False, properties=properties(authentication_method="", authentication_data=b""))),
    vector("5.0 all there is", 5,
           "10 76 0004 'MQTT' 05 f6 000a"
           " 29 11 0000000a 15 0005 'SCRAM' 16 0003 010203 17 00 19 01 21 0064 22 000a 26 0001 'k' 0001 'v' 27 00010000"
           " 0000"
           " 2e 01 01 02 0000003c 03 0004 'text' 08 0005 'reply' 09 0002 beef 18 00000005 26 0001 'a' 0001 'c'"
           " 26 0001 'a' 0001 'b'"
           " 0004 'will' 0003 'bye' 0001 'u' 0001 ff",
           Connect(5, "", True, 10, "u", b"\xff",
                   Will(b"will", b"bye", 2, True, properties(
                       payload_format_indicator=1, message_expiry_interval=60, content_type="text",
                       response_topic="reply", correlation_data=b"\xbe\xef", will_delay_interval=5,
                       user_properties=[("a", "c"), ("a", "b")])),
                   properties=properties(
                       session_expiry_interval=10, authentication_method="SCRAM", authentication_data=b"\1\2\3",
                       request_problem_information=0, request_response_information=1, receive_maximum=100,
                       topic_alias_maximum=10, user_properties=[("k", "v")], maximum_packet_size=65536))),
]

VECTORS_3 = [
    vector("CONNACK, emqttd serialize_connack", 3, "20 02 00 00", Connack()),
    vector("CONNACK refused", 3, "20 02 00 04", Connack(False, 4)),
    vector("PUBLISH", 3, "3d 0a 0001 'a' ffff 'hello'", Publish(b"a", b"hello", 2, True, True, 65535)),
    vector("PUBACK", 3, "40 02 0001", Puback(1)),
    vector("PUBREC", 3, "50 02 0001", Pubrec(1)),
    vector("PUBREL", 3, "62 02 0001", Pubrel(1)),
    vector("PUBCOMP", 3, "70 02 0001", Pubcomp(1)),
    vector("SUBSCRIBE", 3, "82 0b 0002 0006 'TopicA' 02", Subscribe(2, [(b"TopicA", 2)])),
    vector("SUBACK", 3, "90 05 0002 00 01 02", Suback(2, [0, 1, 2])),
    vector("UNSUBSCRIBE", 3, "a2 0a 0002 0006 'TopicA'", Unsubscribe(2, [b"TopicA"])),
    vector("UNSUBACK", 3, "b0 02 0002", Unsuback(2, [])),
    vector("PINGREQ", 3, "c0 00", Pingreq()),
    vector("PINGRESP", 3, "d0 00", Pingresp()),
    vector("DISCONNECT", 3, "e0 00", Disconnect()),
]

VECTORS_4 = [
    vector("CONNACK, Session Present", 4, "20 02 01 00", Connack(True)),
    vector("CONNACK refused", 4, "20 02 00 05", Connack(False, 5)),
    vector("PUBLISH QoS 1, emqttd parse_publish", 4, "32 0e 0005 'a/b/c' 0001 'hahah'",
           Publish(b"a/b/c", b"hahah", 1, packet_id=1)),
    vector("PUBLISH QoS 0, emqttd parse_publish", 4, "30 0e 0007 'xxx/yyy' 'hello'", Publish(b"xxx/yyy", b"hello")),
    vector("PUBLISH without payload, retained", 4, "31 03 0001 'a'", Publish(b"a", b"", 0, True)),
    vector("PUBLISH QoS 2, DUP", 4, "3c 05 0001 'a' 0100", Publish(b"a", b"", 2, False, True, 256)),
    vector("PUBLISH of nothing, which is left to others", 4, "30 02 0000", Publish(b"", b"")),
    vector("PUBLISH with a topic over 255 bytes", 4, "30 8402 0101" + "61" * 257 + "00", Publish(b"a" * 257, b"\0")),
    vector("PUBLISH, whose Topic Name is left to others", 4, "30 04 0002 c080", Publish(b"\xc0\x80", b"")),
    vector("PUBACK, emqttd parse_puback", 4, "40 02 0001", Puback(1)),
    vector("PUBREC, emqttd parse_pubrec", 4, "50 02 0001", Pubrec(1)),
    vector("PUBREL, emqttd parse_pubrel", 4, "62 02 0001", Pubrel(1)),
    vector("PUBCOMP, emqttd parse_pubcomp", 4, "70 02 0001", Pubcomp(1)),
    vector("SUBSCRIBE, emqttd parse_subscribe", 4, "82 0b 0002 0006 'TopicA' 02", Subscribe(2, [(b"TopicA", 2)])),
    vector("SUBSCRIBE, the example of 3.8.3.1", 4, "82 0e 000a 0003 'a/b' 01 0003 'c/d' 02",
           Subscribe(10, [(b"a/b", 1), (b"c/d", 2)])),
    vector("SUBACK, the example of 3.9.3", 4, "90 05 000a 00 02 80", Suback(10, [0, 2, 0x80])),
    vector("UNSUBSCRIBE, emqttd parse_unsubscribe", 4, "a2 0a 0002 0006 'TopicA'", Unsubscribe(2, [b"TopicA"])),
    vector("UNSUBSCRIBE, two filters", 4, "a2 0c 000a 0003 'a/b' 0003 'c/d'", Unsubscribe(10, [b"a/b", b"c/d"])),
    vector("UNSUBACK, emqttd serialize_unsuback", 4, "b0 02 000a", Unsuback(10, [])),
    vector("PINGREQ, emqttd parse_pingreq", 4, "c0 00", Pingreq()),
    vector("PINGRESP, emqttd serialize_pingresp", 4, "d0 00", Pingresp()),
    vector("DISCONNECT, emqttd parse_disconnect", 4, "e0 00", Disconnect()),
]

VECTORS_5 = [
    vector("CONNACK", 5, "20 03 01 00 00", Connack(True)),
    vector("CONNACK refused", 5, "20 08 00 97 05 1f 0002 'no'", Connack(False, 0x97, properties(reason_string="no"))),
    vector("CONNACK, all properties", 5,
           "20 46 01 00 43 11 00000078 12 0004 'auto' 13 001e 15 0001 'm' 16 0001 00 1a 0004 'resp' 1c 0003 'srv'"
           " 1f 0002 'ok' 21 0001 22 0000 24 01 25 00 26 0000 0000 27 00000064 28 00 29 01 2a 01",
           Connack(True, 0, properties(
               session_expiry_interval=120, assigned_client_identifier="auto", server_keep_alive=30,
               authentication_method="m", authentication_data=b"\0", response_information="resp",
               server_reference="srv", reason_string="ok", receive_maximum=1, topic_alias_maximum=0, maximum_qos=1,
               retain_available=0, user_properties=[("", "")], maximum_packet_size=100,
               wildcard_subscription_available=0, subscription_identifier_available=1,
               shared_subscription_available=1))),
    vector("PUBLISH", 5, "30 06 0001 'a' 00 'xy'", Publish(b"a", b"xy")),
    vector("PUBLISH QoS 1", 5, "33 08 0001 'a' 0007 00 'xy'", Publish(b"a", b"xy", 1, True, packet_id=7)),
    vector("PUBLISH, Topic Alias for the Topic Name", 5, "30 06 0000 03 23 0005",
           Publish(b"", b"", properties=properties(topic_alias=5))),
    vector("PUBLISH, all properties", 5,
           "3d 2c 0003 'a/b' 000a 22 01 00 02 00000000 03 0000 08 0001 'r' 09 0000 0b 01 0b ffffff7f 23 0001"
           " 26 0001 'k' 0001 'v' 'hi'",
           Publish(b"a/b", b"hi", 2, True, True, 10, properties(
               payload_format_indicator=0, message_expiry_interval=0, content_type="", response_topic="r",
               correlation_data=b"", subscription_identifiers=[1, 268_435_455], topic_alias=1,
               user_properties=[("k", "v")]))),
    vector("PUBACK, short", 5, "40 02 0001", Puback(1)),
    vector("PUBACK, reason code", 5, "40 03 0001 10", Puback(1, 0x10)),
    vector("PUBACK, Reason String", 5, "40 0a 0001 80 06 1f 0003 'bad'",
           Puback(1, 0x80, properties(reason_string="bad"))),
    vector("PUBREC, short", 5, "50 02 ffff", Pubrec(65535)),
    vector("PUBREC, reason code", 5, "50 03 0001 97", Pubrec(1, 0x97)),
    vector("PUBREL, short", 5, "62 02 0001", Pubrel(1)),
    vector("PUBREL, reason code", 5, "62 03 0001 92", Pubrel(1, 0x92)),
    vector("PUBREL, User Property", 5, "62 0b 0001 00 07 26 0001 'k' 0001 'v'",
           Pubrel(1, 0, properties(user_properties=[("k", "v")]))),
    vector("PUBCOMP, short", 5, "70 02 0001", Pubcomp(1)),
    vector("PUBCOMP, reason code", 5, "70 03 1234 92", Pubcomp(0x1234, 0x92)),
    vector("SUBSCRIBE", 5, "82 0f 000a 02 0b 05 0003 'a/#' 2e 0001 '+' 00",
           Subscribe(10, [(b"a/#", 0x2E), (b"+", 0)], properties(subscription_identifiers=[5]))),
    vector("SUBACK", 5, "90 07 000a 00 00 01 02 80", Suback(10, [0, 1, 2, 0x80])),
    vector("SUBACK, Reason String", 5, "90 08 000a 04 1f 0001 'x' 97",
           Suback(10, [0x97], properties(reason_string="x"))),
    vector("UNSUBSCRIBE", 5, "a2 0f 000b 07 26 0001 'k' 0001 'v' 0003 'a/#'",
           Unsubscribe(11, [b"a/#"], properties(user_properties=[("k", "v")]))),
    vector("UNSUBACK", 5, "b0 05 000b 00 00 11", Unsuback(11, [0, 0x11])),
    vector("PINGREQ", 5, "c0 00", Pingreq()),
    vector("PINGRESP", 5, "d0 00", Pingresp()),
    vector("DISCONNECT, short", 5, "e0 00", Disconnect()),
    vector("DISCONNECT with Will", 5, "e0 01 04", Disconnect(4)),
    vector("DISCONNECT, Session Expiry Interval", 5, "e0 07 00 05 11 00000e10",
           Disconnect(0, properties(session_expiry_interval=3600))),
    vector("DISCONNECT, Server Reference", 5, "e0 0d 9c 0b 1c 0003 'two' 1f 0002 'mv'",
           Disconnect(0x9C, properties(server_reference="two", reason_string="mv"))),
    vector("AUTH, short", 5, "f0 00", Auth()),
    vector("AUTH, Success with its method", 5, "f0 06 00 04 15 0001 'm'", Auth(0, properties(authentication_method="m"))),
    vector("AUTH", 5, "f0 0b 18 09 15 0001 'm' 16 0002 0102",
           Auth(0x18, properties(authentication_method="m", authentication_data=b"\1\2"))),
]

VECTORS = CONNECTS + VECTORS_3 + VECTORS_4 + VECTORS_5

DECODED = [
    vector("3.1 CONNACK, whose first byte has no meaning", 3, "20 02 ff 00", Connack()),
    vector("3.1 PUBREL sent again, with DUP", 3, "6a 02 0001", Pubrel(1)),
    vector("3.1 SUBSCRIBE sent again, with DUP", 3, "8a 06 0001 0001 'a' 00", Subscribe(1, [(b"a", 0)])),
    vector("3.1 UNSUBSCRIBE sent again, with DUP", 3, "aa 05 0001 0001 'a'", Unsubscribe(1, [b"a"])),
    vector("3.1 PUBACK with flags that have no meaning", 3, "41 02 0001", Puback(1)),
    vector("PUBACK, reason code 0 written out", 5, "40 03 0001 00", Puback(1)),
    vector("PUBACK, Property Length 0 written out", 5, "40 04 0001 00 00", Puback(1)),
    vector("PUBREC, Property Length 0 written out", 5, "50 04 0001 10 00", Pubrec(1, 0x10)),
    vector("DISCONNECT, reason code 0 written out", 5, "e0 01 00", Disconnect()),
    vector("DISCONNECT, Property Length 0 written out", 5, "e0 02 00 00", Disconnect()),
    vector("properties in another order", 5, "e0 0d 9c 0b 1f 0002 'mv' 1c 0003 'two'",
           Disconnect(0x9C, properties(server_reference="two", reason_string="mv"))),
    vector("U+FEFF is kept [MQTT-1.5.4-3]", 5, "e0 08 81 06 1f 0003 efbbbf",
           Disconnect(0x81, properties(reason_string="\ufeff"))),
]
