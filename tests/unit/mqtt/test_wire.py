import pytest

from emqtwist.mqtt.errors import MalformedPacket
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
from tests.unit.mqtt.wire_text import raw

VARIABLES = [  # table 1-1 of the standard, and some within its ranges
    (0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (2_097_151, "ffff7f"),
    (2_097_152, "80808001"), (268_435_455, "ffffff7f"), (300, "ac02"), (1_000_000, "c0843d"), (12_345_678, "cec2f105"),
]


@pytest.mark.parametrize(("value", "text"), VARIABLES)
@pytest.mark.mqtt5("1.5.5-1")
def test_variable_byte_integer_both_ways(value: int, text: str) -> None:
    assert encode_variable(value) == raw(text)
    assert decode_variable(b"." + raw(text) + b".", 1, len(raw(text)) + 1, "it") == (value, len(raw(text)) + 1)


@pytest.mark.parametrize(("value", "text"), VARIABLES)
def test_variable_byte_integer_that_is_cut_off_is_told_apart(value: int, text: str) -> None:
    for end in range(len(raw(text))):
        assert decode_variable(raw(text), 0, end, "it") == (-1, 0)


@pytest.mark.parametrize("text", ["8000", "ff00", "808000", "80808000"])
@pytest.mark.mqtt5("1.5.5-1")
def test_mqtt_1_5_5_1_variable_byte_integer_uses_the_fewest_bytes(text: str) -> None:
    with pytest.raises(MalformedPacket, match=r"it: more bytes than needed \[MQTT-1.5.5-1\]") as raised:
        decode_variable(raw(text), 0, len(raw(text)), "it")
    assert raised.value.position == len(raw(text)) - 1


def test_variable_byte_integer_has_four_bytes_at_most() -> None:
    with pytest.raises(MalformedPacket, match="of more than 4 bytes"):
        decode_variable(raw("8080808001"), 0, 5, "it")
    with pytest.raises(ValueError, match="268435456 is over 268435455"):
        encode_variable(268_435_456)


def test_integers_both_ways() -> None:
    assert encode_two(0x0102) == raw("0102")
    assert encode_four(0x01020304) == raw("01020304")
    assert decode_byte(b"ab", 1, 2, "it") == (0x62, 2)
    assert decode_two(raw("ff 0102"), 1, 3, "it") == (0x0102, 3)
    assert decode_four(raw("ff fffefdfc"), 1, 5, "it") == (0xFFFEFDFC, 5)


def test_integers_do_not_pass_the_end() -> None:
    with pytest.raises(MalformedPacket, match="it: the packet ends before it"):
        decode_byte(b"ab", 1, 1, "it")
    with pytest.raises(MalformedPacket, match="it: 2 bytes wanted, 1 left"):
        decode_two(b"abc", 1, 2, "it")
    with pytest.raises(MalformedPacket, match="it: 4 bytes wanted, 3 left"):
        decode_four(b"abcde", 1, 4, "it")


def test_binary_both_ways() -> None:
    assert encode_binary(b"\0\xff") == raw("0002 00ff")
    assert decode_binary(raw("ff 0002 00ff ff"), 1, 6, "it") == (b"\0\xff", 5)
    with pytest.raises(MalformedPacket, match="it: 2 bytes announced, 1 left") as raised:
        decode_binary(raw("ff 0002 00ff"), 1, 4, "it")
    assert raised.value.position == 3


def test_binary_and_strings_hold_65535_bytes_at_most() -> None:
    assert encode_binary(bytes(65_535))[:2] == b"\xff\xff"
    with pytest.raises(ValueError, match="65536 bytes do not fit"):
        encode_binary(bytes(65_536))
    with pytest.raises(ValueError, match="65536 bytes do not fit"):
        encode_string("ä" * 32_768)


@pytest.mark.parametrize(("value", "text"), [
    ("", "0000"),
    ("A\U0002A6D4", "0005 41 f0aa9b94"),  # the example of section 1.5.4.1
    ("\ufeffbom", "0006 efbbbf 'bom'"),  # [MQTT-1.5.4-3]
    ("\uffff\u0001", "0004 efbfbf 01"),  # discouraged, not forbidden
])
@pytest.mark.mqtt5("1.5.4-3")
def test_string_both_ways(value: str, text: str) -> None:
    assert encode_string(value) == raw(text)
    assert decode_string(raw(text), 0, len(raw(text)), "it") == (value, len(raw(text)))


@pytest.mark.parametrize(("text", "byte"), [
    ("0003 eda080", 2), ("0002 c080", 2), ("0002 'a' ff", 3), ("0003 'ab' c3", 4), ("0004 f4908080", 2),
])
@pytest.mark.mqtt5("1.5.4-1")
def test_mqtt_1_5_4_1_ill_formed_strings_are_refused(text: str, byte: int) -> None:
    with pytest.raises(MalformedPacket, match=r"it: ill-formed UTF-8 \[MQTT-1.5.4-1\]") as raised:
        decode_string(raw(text), 0, len(raw(text)), "it")
    assert raised.value.position == byte


@pytest.mark.mqtt5("1.5.4-1")
def test_mqtt_1_5_4_1_surrogates_are_not_sent() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        encode_string("\ud800")


@pytest.mark.mqtt5("1.5.4-2")
def test_mqtt_1_5_4_2_null_character_is_refused_both_ways() -> None:
    with pytest.raises(MalformedPacket, match=r"it: U\+0000") as raised:
        decode_string(raw("0004 c3bc 00 'a'"), 0, 6, "it")
    assert raised.value.position == 4
    with pytest.raises(ValueError, match=r"U\+0000"):
        encode_string("a\0b")
