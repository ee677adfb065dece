"""The reason codes of each packet, as the tables of the standard have them."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder

PUBLISHED = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
CODES = {  # packet type -> its reason codes; 3-1, 3-4 to 3-9, 3-13, and the texts of 3.14 and 3.15
    c.CONNACK: {0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    c.PUBACK: PUBLISHED,
    c.PUBREC: PUBLISHED,
    c.PUBREL: {0x00, 0x92},
    c.PUBCOMP: {0x00, 0x92},
    c.SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    c.UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    c.DISCONNECT: {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, *range(0x8B, 0x91), *range(0x93, 0xA3)},
    c.AUTH: {0x00, 0x18, 0x19},
}
BEFORE = {c.CONNACK: b"\0", c.DISCONNECT: b"", c.AUTH: b"", c.SUBACK: b"\0\1\0", c.UNSUBACK: b"\0\1\0"}  # the code
BEHIND = {c.CONNACK: b"\0", c.AUTH: b"\4\x15\0\1m"}


@pytest.mark.parametrize("packet_type", CODES, ids=lambda packet_type: c.PACKET_NAMES[packet_type])
@pytest.mark.mqtt5(
    "3.2.2-8", "3.4.2-1", "3.5.2-1", "3.6.2-1", "3.7.2-1", "3.9.3-2", "3.11.3-2", "3.14.2-1", "3.15.2-1",
)
def test_a_packet_has_the_reason_codes_of_its_table_and_no_others(packet_type: int) -> None:
    taken = set()
    for code in range(256):
        body = BEFORE.get(packet_type, b"\0\1") + bytes((code,)) + BEHIND.get(packet_type, b"")
        decoder = Decoder(c.MAX_PACKET, 5)
        if decoder.feed(bytes((packet_type << 4 | (2 if packet_type == c.PUBREL else 0), len(body))) + body):
            taken.add(code)
    assert taken == CODES[packet_type]
