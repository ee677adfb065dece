"""What the standard forbids, each with its statement, the error it gives, and the byte that the error names."""
from typing import NamedTuple

import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Pingreq
from tests.unit.mqtt.chunking import Chunking
from tests.unit.mqtt.comparing import fields
from tests.unit.mqtt.wire_text import raw

MALFORMED = c.MALFORMED_PACKET
PROTOCOL = c.PROTOCOL_ERROR


class Broken(NamedTuple):
    name: str
    version: int
    text: str
    reason_code: int
    words: str
    byte: int  # of the packet, as the error names it


FRAMING = [
    Broken("packet type 0 is reserved", 4, "00 00", MALFORMED, "reserved: packet type 0", 0),
    Broken("Remaining Length of five bytes", 4, "30 ffffffff01", MALFORMED, "more than 4 bytes", 4),
    Broken("[MQTT-1.5.5-1] overlong Remaining Length", 5, "c0 8000", MALFORMED, "PINGREQ: Remaining Length", 2),
    Broken("[MQTT-1.5.5-1] overlong Remaining Length, four bytes", 4, "30 84808000", MALFORMED, "more bytes than", 4),
    *[Broken(f"[MQTT-2.1.3-1] flags of packet type {first >> 4}", version, f"{first | 1:02x} 02 0001", MALFORMED,
             f"{c.PACKET_NAMES[first >> 4]}: the flags are", 0)
      for version in (4, 5) for first in (0x20, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xA2, 0xB0, 0xC0, 0xD0, 0xE0)],
    Broken("[MQTT-3.15.1-1] flags of AUTH", 5, "f1 00", MALFORMED, "AUTH: the flags are 1, not 0", 0),
    Broken("[MQTT-3.6.1-1] flags 0 of PUBREL", 4, "60 02 0001", MALFORMED, "PUBREL: the flags are 0, not 2", 0),
    Broken("[MQTT-3.8.1-1] flags 0 of SUBSCRIBE", 5, "80 07 0001 00 0001 'a' 00", MALFORMED, "SUBSCRIBE: the flags", 0),
    Broken("[MQTT-3.10.1-1] flags 0 of UNSUBSCRIBE", 5, "a0 06 0001 00 0001 'a'", MALFORMED, "UNSUBSCRIBE: the", 0),
    Broken("[MQTT-3.1.0-1] first packet is not CONNECT", 0, "c0 00", PROTOCOL, "PINGREQ: the first packet", 0),
    Broken("[MQTT-3.1.0-1] first packet is PUBLISH", 0, "30 03 0001 'a'", PROTOCOL, "PUBLISH: the first packet", 0),
    Broken("[MQTT-3.1.0-1] first packet is PUBACK", 0, "40 02 0001", PROTOCOL, "PUBACK: the first packet", 0),
    Broken("AUTH before 5.0", 4, "f0 00", MALFORMED, "AUTH: packet type 15", 0),
    Broken("AUTH in 3.1", 3, "f0 00", MALFORMED, "AUTH: packet type 15", 0),
]

CONNECT = [
    Broken("[MQTT-2.1.3-1] flags of CONNECT", 0, "11 0c 0004 'MQTT' 04 02 003c 0000", MALFORMED, "reserved flags", 0),
    Broken("[MQTT-3.1.2-1] protocol name", 0, "10 0c 0004 'MQTX' 04 02 003c 0000",
           c.UNSUPPORTED_PROTOCOL_VERSION, "b'MQTX' level 4", 2),
    Broken("[MQTT-3.1.2-1] protocol name that is no text", 0, "10 0c 0004 ff00ff00 04 02 003c 0000",
           c.UNSUPPORTED_PROTOCOL_VERSION, r"b'\xff\x00\xff\x00'", 2),
    Broken("[MQTT-3.1.2-2] level 6", 0, "10 0c 0004 'MQTT' 06 02 003c 0000",
           c.UNSUPPORTED_PROTOCOL_VERSION, "b'MQTT' level 6", 2),
    Broken("level 3 with the name of 3.1.1", 0, "10 0c 0004 'MQTT' 03 02 003c 0000",
           c.UNSUPPORTED_PROTOCOL_VERSION, "b'MQTT' level 3", 2),
    Broken("level 4 with the name of 3.1", 0, "10 0e 0006 'MQIsdp' 04 02 003c 0000",
           c.UNSUPPORTED_PROTOCOL_VERSION, "b'MQIsdp' level 4", 2),
    Broken("bridge bit in 5.0", 0, "10 0d 0004 'MQTT' 85 02 003c 00 0000",
           c.UNSUPPORTED_PROTOCOL_VERSION, "b'MQTT' level 133", 2),
    Broken("[MQTT-3.1.2-3] reserved Connect Flag", 0, "10 0c 0004 'MQTT' 04 03 003c 0000", MALFORMED, "reserved", 9),
    Broken("[MQTT-3.1.2-11] Will QoS without Will", 0, "10 0c 0004 'MQTT' 04 0a 003c 0000", MALFORMED, "Will QoS", 9),
    Broken("[MQTT-3.1.2-12] Will QoS 3", 0, "10 12 0004 'MQTT' 04 1e 003c 0000 0001 'w' 0001 'p'",
           MALFORMED, "Will QoS 3", 9),
    Broken("[MQTT-3.1.2-13] Will Retain without Will", 0, "10 0c 0004 'MQTT' 04 22 003c 0000",
           MALFORMED, "Will Retain", 9),
    Broken("[MQTT3-3.1.2-22] Password without User Name", 0, "10 0f 0004 'MQTT' 04 42 003c 0000 0001 'p'",
           MALFORMED, "Password without", 9),
    Broken("nothing after the name", 0, "10 06 0004 'MQTT'", MALFORMED, "Protocol Level: the packet ends", 8),
    Broken("nothing at all", 0, "10 00", MALFORMED, "Protocol Name (length): 2 bytes wanted, 0 left", 2),
    Broken("name longer than the packet", 0, "10 06 0009 'MQTT'", MALFORMED, "Protocol Name: 9 bytes announced", 4),
    Broken("cut off before the flags", 0, "10 07 0004 'MQTT' 04", MALFORMED, "Connect Flags: the packet ends", 9),
    Broken("cut off in Keep Alive", 0, "10 09 0004 'MQTT' 04 02 00", MALFORMED, "Keep Alive", 11),
    Broken("[MQTT-3.1.3-3] no Client Identifier", 0, "10 0a 0004 'MQTT' 04 02 003c", MALFORMED, "Client Ident", 12),
    Broken("Will Topic missing", 0, "10 0c 0004 'MQTT' 04 06 003c 0000", MALFORMED, "Will Topic", 14),
    Broken("Will Payload missing", 0, "10 0f 0004 'MQTT' 04 06 003c 0000 0001 'w'", MALFORMED, "Will Payload", 17),
    Broken("[MQTT-3.1.2-17] User Name missing", 0, "10 0c 0004 'MQTT' 04 82 003c 0000", MALFORMED, "User Name", 14),
    Broken("[MQTT-3.1.2-19] Password missing", 0, "10 0e 0004 'MQTT' 04 c2 003c 0000 0000", MALFORMED, "Password", 16),
    Broken("[MQTT-3.1.2-16] bytes after the payload", 0, "10 0e 0004 'MQTT' 04 02 003c 0000 0000",
           MALFORMED, "2 bytes too many", 14),
    Broken("[MQTT-1.5.4-1] Client Identifier is no UTF-8", 0, "10 0f 0004 'MQTT' 04 02 003c 0003 'a' ff 'b'",
           MALFORMED, "Client Identifier: ill-formed UTF-8", 15),
    Broken("[MQTT-1.5.4-1] a surrogate", 0, "10 0f 0004 'MQTT' 04 02 003c 0003 eda080", MALFORMED, "ill-formed", 14),
    Broken("[MQTT-1.5.4-1] overlong form", 0, "10 0e 0004 'MQTT' 04 02 003c 0002 c080", MALFORMED, "ill-formed", 14),
    Broken("[MQTT-1.5.4-2] U+0000 in the Client Identifier", 0, "10 0e 0004 'MQTT' 04 02 003c 0002 'a' 00",
           MALFORMED, "Client Identifier: U+0000", 15),
    Broken("[MQTT-3.1.3-11] Will Topic is no UTF-8", 0, "10 11 0004 'MQTT' 04 06 003c 0000 0001 ff 0000",
           MALFORMED, "Will Topic: ill-formed", 16),
    Broken("[MQTT-3.1.3-12] User Name is no UTF-8", 0, "10 0f 0004 'MQTT' 04 82 003c 0000 0001 ff",
           MALFORMED, "User Name: ill-formed", 16),
    Broken("[MQTT-2.2.2-1] no Property Length", 0, "10 0a 0004 'MQTT' 05 02 003c", MALFORMED, "propert", 12),
    Broken("Authentication Data without Method", 0, "10 11 0004 'MQTT' 05 02 003c 04 16 0001 'x' 0000",
           PROTOCOL, "without Authentication Method", 12),
]

PUBLISH = [
    Broken("[MQTT-3.3.1-4] QoS 3", 4, "36 05 0001 'a' 0001", MALFORMED, "PUBLISH: QoS 3", 0),
    Broken("[MQTT-3.3.1-2] DUP at QoS 0", 5, "38 04 0001 'a' 00", MALFORMED, "DUP at QoS 0", 0),
    Broken("[MQTT-3.3.1-4] QoS 3, retained", 5, "37 06 0001 'a' 0001 00", MALFORMED, "PUBLISH: QoS 3", 0),
    Broken("[MQTT-3.3.1-2] DUP at QoS 0, retained", 4, "39 03 0001 'a'", MALFORMED, "DUP at QoS 0", 0),
    Broken("[MQTT-2.2.1-3] Packet Identifier 0", 4, "32 05 0001 'a' 0000", PROTOCOL, "Packet Identifier 0", 5),
    Broken("no Packet Identifier at QoS 1", 4, "32 04 0001 'a' 00", MALFORMED, "no room for a Packet", 5),
    Broken("empty", 4, "30 00", MALFORMED, "no room for a Topic Name", 2),
    Broken("one byte", 4, "30 01 00", MALFORMED, "no room for a Topic Name", 3),
    Broken("Topic Name longer than the packet", 4, "30 04 0003 'ab'", MALFORMED, "passes the end", 2),
    Broken("[MQTT-2.2.2-1] no Property Length", 5, "30 03 0001 'a'", MALFORMED, "no Property Length", 5),
    Broken("[MQTT-2.2.2-1] no Property Length at QoS 1", 5, "32 05 0001 'a' 0001", MALFORMED, "no Property", 7),
    Broken("properties longer than the packet", 5, "30 06 0001 'a' 03 23 00", MALFORMED, "pass the end", 6),
    Broken("Property Length cut off", 5, "30 05 0001 'a' 8080", MALFORMED, "pass the end", 5),
    Broken("[MQTT-1.5.5-1] overlong Property Length", 5, "30 05 0001 'a' 8000", MALFORMED, "Property Length: more", 6),
    Broken("[MQTT-3.3.2-8] Topic Alias 0", 5, "30 06 0000 03 23 0000", c.TOPIC_ALIAS_INVALID, "topic_alias is 0", 5),
]

OTHERS = [
    Broken("CONNACK: [MQTT-3.2.2-1] reserved flags", 4, "20 02 02 00", MALFORMED, "[MQTT-3.2.2-1]", 2),
    Broken("CONNACK: [MQTT-3.2.2-6] Session Present in a refusal", 5, "20 03 01 80 00", PROTOCOL, "Session Pre", 3),
    Broken("CONNACK: [MQTT-3.2.2-8] unknown reason code", 5, "20 03 00 01 00", PROTOCOL, "reason code 0x01", 3),
    Broken("CONNACK: reserved return code", 4, "20 02 00 06", PROTOCOL, "return code 6", 3),
    Broken("CONNACK: too long", 4, "20 03 00 00 00", MALFORMED, "1 bytes too many", 4),
    Broken("CONNACK: empty", 4, "20 00", MALFORMED, "Connect Acknowledge Flags", 2),
    Broken("CONNACK: no reason code", 5, "20 01 00", MALFORMED, "reason code: the packet ends", 3),
    *[Broken(f"{c.PACKET_NAMES[first >> 4]}: [MQTT-2.2.1-3] Packet Identifier 0", version, f"{first:02x} 02 0000",
             PROTOCOL, f"{c.PACKET_NAMES[first >> 4]}: Packet Identifier 0", 2)
      for version in (3, 4, 5) for first in (0x40, 0x50, 0x62, 0x70)],
    *[Broken(f"{c.PACKET_NAMES[first >> 4]}: no Packet Identifier", version, f"{first:02x} 01 00",
             MALFORMED, f"{c.PACKET_NAMES[first >> 4]}: Packet Identifier: 2 bytes wanted, 1 left", 3)
      for version in (3, 4, 5) for first in (0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xA2, 0xB0)],
    *[Broken(f"{c.PACKET_NAMES[first >> 4]}: a reason code before 5.0", 4, f"{first:02x} 03 0001 00",
             MALFORMED, "1 bytes too many", 4) for first in (0x40, 0x50, 0x62, 0x70)],
    Broken("PUBACK: [MQTT-3.4.2-1] reason code of PUBREL", 5, "40 03 0001 92", PROTOCOL, "reason code 0x92", 4),
    Broken("PUBREC: [MQTT-3.5.2-1] reason code", 5, "50 03 0001 01", PROTOCOL, "reason code 0x01", 4),
    Broken("PUBREL: [MQTT-3.6.2-1] reason code of PUBREC", 5, "62 03 0001 97", PROTOCOL, "reason code 0x97", 4),
    Broken("PUBCOMP: [MQTT-3.7.2-1] reason code of PUBREC", 5, "70 03 0001 10", PROTOCOL, "reason code 0x10", 4),
    Broken("PUBACK: too long", 5, "40 05 0001 00 00 00", MALFORMED, "1 bytes too many", 6),
    Broken("SUBSCRIBE: [MQTT-2.2.1-3] Packet Identifier 0", 5, "82 07 0000 00 0001 'a' 00", PROTOCOL, "fier 0", 2),
    Broken("SUBSCRIBE: [MQTT-3.8.3-2] no Topic Filter", 4, "82 02 0001", PROTOCOL, "no Topic Filter", 4),
    Broken("SUBSCRIBE: [MQTT-3.8.3-2] no Topic Filter in 5.0", 5, "82 03 0001 00", PROTOCOL, "no Topic Filter", 5),
    Broken("SUBSCRIBE: filter longer than the packet", 4, "82 06 0001 0002 'a' 00", MALFORMED, "Subscription Opt", 8),
    Broken("SUBSCRIBE: no options", 4, "82 05 0001 0001 'a'", MALFORMED, "Subscription Options: the packet ends", 7),
    Broken("SUBSCRIBE: [MQTT3-3.8.3-4], QoS 3", 4, "82 06 0001 0001 'a' 03", PROTOCOL, "QoS 3", 7),
    Broken("SUBSCRIBE: QoS 3 in 5.0", 5, "82 07 0001 00 0001 'a' 03", PROTOCOL, "QoS 3", 8),
    Broken("SUBSCRIBE: [MQTT3-3.8.3-4], reserved bits", 4, "82 06 0001 0001 'a' 04", MALFORMED, "reserved", 7),
    Broken("SUBSCRIBE: reserved bits in 3.1", 3, "82 06 0001 0001 'a' 80", MALFORMED, "reserved bits of the QoS", 7),
    Broken("SUBSCRIBE: [MQTT-3.8.3-5] reserved bit 6", 5, "82 07 0001 00 0001 'a' 40", MALFORMED, "reserved", 8),
    Broken("SUBSCRIBE: [MQTT-3.8.3-5] reserved bit 7", 5, "82 07 0001 00 0001 'a' 80", MALFORMED, "reserved", 8),
    Broken("SUBSCRIBE: Retain Handling 3", 5, "82 07 0001 00 0001 'a' 30", PROTOCOL, "Retain Handling 3", 8),
    Broken("SUBACK: [MQTT3-3.9.3-2], return code", 4, "90 04 0001 00 87", PROTOCOL, "return code 0x87", 5),
    Broken("SUBACK: [MQTT-3.9.3-2] reason code", 5, "90 05 0001 00 00 03", PROTOCOL, "reason code 0x03", 6),
    Broken("SUBACK: no reason code", 5, "90 03 0001 00", PROTOCOL, "no reason code", 5),
    Broken("UNSUBSCRIBE: [MQTT-2.2.1-3] Packet Identifier 0", 4, "a2 05 0000 0001 'a'", PROTOCOL, "Identifier 0", 2),
    Broken("UNSUBSCRIBE: [MQTT-3.10.3-2] no Topic Filter", 4, "a2 02 0001", PROTOCOL, "no Topic Filter", 4),
    Broken("UNSUBSCRIBE: half a length", 4, "a2 06 0001 0001 'a' 00", MALFORMED, "Topic Filter (length)", 8),
    Broken("UNSUBACK: a reason code before 5.0", 4, "b0 03 0001 00", MALFORMED, "1 bytes too many", 4),
    Broken("UNSUBACK: [MQTT-3.11.3-2] reason code", 5, "b0 04 0001 00 01", PROTOCOL, "reason code 0x01", 5),
    Broken("UNSUBACK: no reason code", 5, "b0 03 0001 00", PROTOCOL, "no reason code", 5),
    Broken("PINGREQ: with a body", 4, "c0 01 00", MALFORMED, "1 bytes too many", 2),
    Broken("PINGRESP: with a body", 5, "d0 01 00", MALFORMED, "1 bytes too many", 2),
    Broken("DISCONNECT: a reason code before 5.0", 4, "e0 01 00", MALFORMED, "1 bytes too many", 2),
    Broken("DISCONNECT: [MQTT-3.14.2-1] reason code", 5, "e0 01 01", PROTOCOL, "reason code 0x01", 2),
    Broken("DISCONNECT: too long", 5, "e0 03 00 00 00", MALFORMED, "1 bytes too many", 4),
    Broken("AUTH: [MQTT-3.15.2-1] reason code", 5, "f0 02 01 00", PROTOCOL, "reason code 0x01", 2),
    Broken("AUTH: no Authentication Method", 5, "f0 02 18 00", PROTOCOL, "no Authentication Method", 4),
    Broken("AUTH: no Property Length", 5, "f0 01 18", MALFORMED, "propert", 3),
    Broken("AUTH: too long", 5, "f0 07 18 04 15 0001 'm' 00", MALFORMED, "1 bytes too many", 8),
]


def named(broken: Broken) -> str:
    return f"v{broken.version} {broken.name}"


@pytest.mark.parametrize("broken", FRAMING + CONNECT + PUBLISH + OTHERS, ids=named)
@pytest.mark.mqtt5(
    "1.5.4-1", "1.5.4-2", "1.5.5-1", "2.1.3-1", "2.2.1-3", "2.2.2-1", "3.1.0-1", "3.1.2-1", "3.1.2-2", "3.1.2-3",
    "3.1.2-9", "3.1.2-11", "3.1.2-12", "3.1.2-13", "3.1.2-16", "3.1.2-17", "3.1.2-18", "3.1.2-19", "3.1.3-3", "3.1.3-4",
    "3.1.3-11", "3.1.3-12", "3.2.2-1", "3.2.2-6", "3.2.2-8", "3.3.1-2", "3.3.1-4", "3.3.2-8", "3.4.2-1", "3.5.2-1", "3.6.1-1",
    "3.6.2-1", "3.7.2-1", "3.8.1-1", "3.8.3-2", "3.8.3-5", "3.9.3-2", "3.10.1-1", "3.10.3-2", "3.11.3-2", "3.14.1-1",
    "3.14.2-1", "3.15.1-1", "3.15.2-1",
)
@pytest.mark.mqtt3(
    "3.1.2-9", "3.1.2-11", "3.1.2-13", "3.1.2-14", "3.1.2-15", "3.1.2-18", "3.1.2-19", "3.1.2-20", "3.1.2-21", "3.1.2-22",
    "3.1.3-3", "3.1.3-4", "3.1.3-10", "3.1.3-11", "3.8.3-3", "3.8.3-4", "3.9.3-2", "3.10.3-2",
)
def test_breaking_a_rule_is_an_error_that_names_it_and_the_byte(broken: Broken, chunking: Chunking) -> None:
    decoder = Decoder(c.MAX_PACKET, broken.version)
    before = encode(Pingreq(), 4) if broken.version else b""
    packets = [packet for chunk in chunking(before + raw(broken.text)) for packet in decoder.feed(chunk)]
    assert [fields(packet) for packet in packets] == [("Pingreq",)] * bool(before)
    assert decoder.error is not None
    assert decoder.error.reason_code == broken.reason_code
    assert broken.words in str(decoder.error)
    where = f"(byte {broken.byte} of the packet, {broken.byte + len(before)} of the stream)"
    assert str(decoder.error).endswith(where)


@pytest.mark.parametrize(("text", "version"), [
    ("10 0c 0004 'MQTT' 04 03 003c 0000", 4),
    ("10 0e 0006 'MQIsdp' 03 03 003c 0000", 3),
    ("10 0d 0004 'MQTT' 05 03 003c 00 0000", 5),
    ("10 0c 0004 'MQTT' 06 02 003c 0000", 5),
    ("10 0d 0004 'MQTT' 85 02 003c 00 0000", 5),
    ("10 0c 0004 'MQTT' 03 02 003c 0000", 4),
    ("10 0c 0004 'MQTX' 04 02 003c 0000", 4),
    ("10 0d 0004 'MQTX' 05 02 003c 00 0000", 4),
    ("10 06 0004 'MQTT'", 0),
    ("c0 00", 0),
])
def test_a_refused_connect_leaves_the_version_to_answer_in(text: str, version: int) -> None:
    decoder = Decoder(c.MAX_PACKET)
    assert decoder.feed(raw(text)) == []
    assert decoder.error is not None
    assert decoder.version == version
