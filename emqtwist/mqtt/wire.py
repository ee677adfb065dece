"""The data representations of section 1.5: integers, UTF-8 strings, binary data.

Each `decode_` function takes `(data, pos, end, name)`: the bytes, where the value begins, the end it must not pass, and
what to call it in an error; and gives the value and the position after it. They raise MalformedPacket.
"""
from typing import Final

from emqtwist.mqtt.constants import MAX_REMAINING_LENGTH, MAX_STRING
from emqtwist.mqtt.errors import MalformedPacket

MAX_VARIABLE: Final = MAX_REMAINING_LENGTH


def encode_variable(value: int) -> bytes:
    """A Variable Byte Integer in the fewest bytes [MQTT-1.5.5-1]."""
    if value < 0x80:  # [MQTT-1.5.5-1]
        return bytes((value,))
    if value < 0x4000:  # [MQTT-1.5.5-1]
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value > MAX_VARIABLE:
        raise ValueError(f"{value} is over {MAX_VARIABLE}, the greatest Variable Byte Integer")
    if value < 0x20_0000:  # [MQTT-1.5.5-1]
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80, value >> 21))


def encode_two(value: int) -> bytes:
    return value.to_bytes(2, "big")


def encode_four(value: int) -> bytes:
    return value.to_bytes(4, "big")


def encode_binary(value: bytes) -> bytes:
    """`value` after its length in two bytes."""
    if len(value) > MAX_STRING:
        raise ValueError(f"{len(value)} bytes do not fit in a field of at most {MAX_STRING}")
    return len(value).to_bytes(2, "big") + value


def encode_string(value: str) -> bytes:
    """A UTF-8 Encoded String; ValueError for U+0000 and surrogates [MQTT-1.5.4-1] [MQTT-1.5.4-2]."""
    if "\0" in value:
        raise ValueError("U+0000 in a string [MQTT-1.5.4-2]")
    return encode_binary(value.encode("utf-8"))  # strict [MQTT-1.5.4-1]


def decode_byte(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    if pos >= end:
        raise MalformedPacket(f"{name}: the packet ends before it", position=end)
    return data[pos], pos + 1


def decode_two(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    if pos + 2 > end:
        raise MalformedPacket(f"{name}: 2 bytes wanted, {end - pos} left", position=end)
    return data[pos] << 8 | data[pos + 1], pos + 2


def decode_four(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    if pos + 4 > end:
        raise MalformedPacket(f"{name}: 4 bytes wanted, {end - pos} left", position=end)
    return data[pos] << 24 | data[pos + 1] << 16 | data[pos + 2] << 8 | data[pos + 3], pos + 4


def decode_variable(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """The value of a Variable Byte Integer; `(-1, pos)` where `end` comes before its last byte."""
    value = 0
    start = pos
    for shift in (0, 7, 14, 21):
        if pos == end:
            return -1, start
        byte = data[pos]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise MalformedPacket(f"{name}: more bytes than needed [MQTT-1.5.5-1]", position=pos)
            return value, pos + 1
        pos += 1
    raise MalformedPacket(f"{name}: a Variable Byte Integer of more than 4 bytes", position=pos - 1)


def decode_binary(data: bytes, pos: int, end: int, name: str) -> tuple[bytes, int]:
    start = pos + 2
    if start > end:
        raise MalformedPacket(f"{name} (length): 2 bytes wanted, {end - pos} left", position=end)
    stop = start + (data[pos] << 8 | data[pos + 1])
    if stop > end:
        raise MalformedPacket(f"{name}: {stop - start} bytes announced, {end - start} left", position=start)
    return data[start:stop], stop


def decode_string(data: bytes, pos: int, end: int, name: str) -> tuple[str, int]:
    """A UTF-8 Encoded String; U+FEFF is a character like others and stays [MQTT-1.5.4-3]."""
    raw, stop = decode_binary(data, pos, end, name)
    try:
        text = raw.decode("utf-8")  # strict: no surrogates, no overlong forms [MQTT-1.5.4-1] [MQTT-1.5.4-3]
    except UnicodeDecodeError as error:
        raise MalformedPacket(f"{name}: ill-formed UTF-8 [MQTT-1.5.4-1]", position=pos + 2 + error.start) from None
    if "\0" in text:
        raise MalformedPacket(f"{name}: U+0000 [MQTT-1.5.4-2]", position=pos + 2 + raw.index(b"\0"))
    return text, stop
