import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode, encode_within, publish_head
from emqtwist.mqtt.packets import (
    Acknowledgement,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Explained,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
)
from emqtwist.mqtt.properties import Properties
from tests.unit.mqtt.comparing import fields, properties
from tests.unit.mqtt.wire_text import raw

RETURN_CODES = {  # reason code of 5.0 -> return code of 3.x
    0: 0, 0x84: 1, 0x85: 2, 0x86: 4, 0x87: 5, 0x88: 3, 0x89: 3, 0x8A: 5,
    0x80: 3, 0x81: 3, 0x82: 3, 0x83: 3, 0x8C: 3, 0x90: 3, 0x95: 3, 0x97: 3, 0x99: 3, 0x9A: 3, 0x9B: 3, 0x9C: 3, 0x9D: 3,
    0x9F: 3,
}


@pytest.mark.parametrize("version", [3, 4])
def test_each_connack_reason_code_has_a_return_code_before_5_0(version: int) -> None:
    assert set(RETURN_CODES) == c.REASON_CODES[c.CONNACK]
    for reason_code, return_code in RETURN_CODES.items():
        assert encode(Connack(False, reason_code), version) == bytes((0x20, 2, 0, return_code))


def test_a_return_code_of_3_1_1_goes_out_as_it_is() -> None:
    assert [encode(Connack(False, code), 4)[3] for code in range(6)] == [0, 1, 2, 3, 4, 5]


def test_3_1_has_no_session_present() -> None:
    assert encode(Connack(True), 3) == raw("20 02 00 00")
    assert encode(Connack(True), 4) == raw("20 02 01 00")


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.mqtt3("3.9.3-2")
def test_every_suback_failure_is_0x80_before_5_0(version: int) -> None:
    assert encode(Suback(1, [0, 1, 2, 0x80, 0x87, 0x97]), version) == raw("90 08 0001 00 01 02 80 80 80")


def test_unsuback_has_no_reason_codes_before_5_0() -> None:
    assert encode(Unsuback(1, [0, 0x11]), 4) == raw("b0 02 0001")


@pytest.mark.parametrize("kind", [Puback, Pubrec, Pubrel, Pubcomp])
def test_acknowledgements_have_no_reason_code_before_5_0(kind: type[Acknowledgement]) -> None:
    packet = kind(1, 0x87, properties(reason_string="no"))
    assert encode(packet, 4)[1:] == raw("02 0001")


@pytest.mark.parametrize("packet", [Disconnect(c.SERVER_SHUTTING_DOWN), Disconnect(c.DISCONNECT_WITH_WILL), Auth()])
@pytest.mark.parametrize("version", [3, 4])
def test_what_has_no_form_before_5_0_is_refused(packet: Packet, version: int) -> None:
    with pytest.raises(ValueError, match=r"no form before MQTT 5\.0"):
        encode(packet, version)


def test_properties_are_left_out_before_5_0() -> None:
    given = properties(user_properties=[("k", "v")])
    assert encode(Publish(b"a", b"x", properties=given), 4) == raw("30 04 0001 'a' 'x'")
    assert encode(Subscribe(1, [(b"a", 1)], given), 4) == raw("82 06 0001 0001 'a' 01")
    assert encode(Connack(properties=given), 4) == raw("20 02 00 00")
    assert encode(Connect(4, "c", properties=given), 4) == raw("10 0d 0004 'MQTT' 04 02 0000 0001 'c'")
    assert encode(Disconnect(0, given), 4) == raw("e0 00")


@pytest.mark.parametrize(("packet", "text"), [
    (Puback(1, 0, Properties()), "40 02 0001"),
    (Puback(1, 0x10, Properties()), "40 03 0001 10"),
    (Disconnect(0, Properties()), "e0 00"),
    (Disconnect(0x8E, Properties()), "e0 01 8e"),
    (Auth(0, Properties()), "f0 00"),
])
def test_empty_properties_take_the_short_form(packet: Packet, text: str) -> None:
    assert encode(packet, 5) == raw(text)


def test_auth_has_no_form_with_a_reason_code_alone() -> None:
    assert encode(Auth(0x18), 5) == raw("f0 02 18 00")


@pytest.mark.parametrize(("length", "header"), [
    (0, "30 03"), (124, "30 7f"), (125, "30 8001"), (16_380, "30 ff7f"), (16_381, "30 808001"),
    (2_097_148, "30 ffff7f"), (2_097_149, "30 80808001"),
])
def test_remaining_length_of_publish_at_each_boundary(length: int, header: str) -> None:
    assert encode(Publish(b"a", bytes(length)), 4) == raw(header) + b"\0\1a" + bytes(length)


@pytest.mark.mqtt5("2.2.1-2")
def test_publish_head_counts_the_packet_identifier_of_qos_1_and_2() -> None:
    assert publish_head(0x31, b"a/b", 4) == raw("31 09 0003 'a/b'")
    assert publish_head(0x3A, b"a/b", 4) == raw("3a 0b 0003 'a/b'")
    assert publish_head(0x34, b"t" * 256, 4) == raw("34 8802 0100") + b"t" * 256


def test_publish_head_refuses_what_the_wire_cannot_hold() -> None:
    with pytest.raises(ValueError, match="is over 268435455"):
        publish_head(0x30, b"a", 268_435_453)
    with pytest.raises(ValueError, match="in range"):
        publish_head(0x30, b"t" * 65_536, 0)


@pytest.mark.parametrize("packet", [
    Connack(False, 0x97), Puback(1, 0x97), Pubrec(1, 0x97), Pubrel(1, 0x92), Pubcomp(1, 0x92), Suback(1, [0x97]),
    Unsuback(1, [0x11]), Disconnect(0x97), Auth(0x18),
], ids=lambda packet: type(packet).__name__)
@pytest.mark.mqtt5(
    "3.2.2-19", "3.2.2-20", "3.4.2-2", "3.4.2-3", "3.5.2-2", "3.5.2-3", "3.6.2-2", "3.6.2-3", "3.7.2-2", "3.7.2-3", "3.9.2-1",
    "3.9.2-2", "3.11.2-1", "3.11.2-2", "3.14.2-3", "3.14.2-4", "3.15.2-2", "3.15.2-3",
)
def test_user_properties_then_the_reason_string_are_left_out_to_fit(packet: Explained) -> None:
    """[MQTT-3.2.2-19] [MQTT-3.2.2-20] for CONNACK, and their like for the others."""
    bare = encode(packet, 5)
    packet.properties = properties(reason_string="because")
    explained = encode(packet, 5)
    packet.properties.user_properties = [("k", "v"), ("k", "w")]
    full = encode(packet, 5)
    before = fields(packet)
    assert len(bare) < len(explained) < len(full)
    for maximum in range(len(full) + 2):
        expected = full if maximum >= len(full) else explained if maximum >= len(explained) else bare
        assert encode_within(packet, 5, maximum) == (expected if maximum >= len(bare) else None)
    assert fields(packet) == before


def test_other_properties_stay_or_the_packet_does_not_go() -> None:
    packet = Connack(properties=properties(session_expiry_interval=9, reason_string="because"))
    bare = raw("20 08 00 00 05 11 00000009")
    assert encode_within(packet, 5, len(bare)) == bare
    assert encode_within(packet, 5, len(bare) - 1) is None


def test_a_publish_keeps_its_user_properties() -> None:
    packet = Publish(b"a", b"x", properties=properties(user_properties=[("k", "v")]))
    whole = encode(packet, 5)
    assert encode_within(packet, 5, len(whole)) == whole
    assert encode_within(packet, 5, len(whole) - 1) is None


def test_nothing_can_be_left_out_before_5_0() -> None:
    packet = Suback(1, [0, 0], properties(reason_string="because"))
    assert encode_within(packet, 4, 6) == raw("90 04 0001 00 00")
    assert encode_within(packet, 4, 5) is None
