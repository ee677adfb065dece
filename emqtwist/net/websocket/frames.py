"""WebSocket frames as most of them are: whole, binary, not fragmented. All others are left to Autobahn.

Autobahn takes a frame in steps that each copy what is left of the data: fine for a frame a read, too slow for the hundreds
that a stream brings.
"""
from typing import Final

from autobahn.websocket import USES_NVX as USES_NVX
from autobahn.websocket import xormasker

WHOLE_BINARY: Final = 0x82  # FIN, and opcode 2
MASKED: Final = 0x80
KEY: Final = 4  # bytes of a masking key
IN_2_BYTES: Final = 126  # in place of a length: it follows in so many bytes
IN_8_BYTES: Final = 127
NATIVE: Final = 2048  # bytes from which NVX is faster than one large number is


def header(length: int) -> bytes:
    """What stands before `length` bytes from a server, which masks nothing."""
    if length < IN_2_BYTES:
        return bytes((WHOLE_BINARY, length))
    if length < 1 << 16:
        return b"\x82\x7e" + length.to_bytes(2, "big")
    return b"\x82\x7f" + length.to_bytes(8, "big")


def unmask(payload: bytes, key: bytes) -> bytes:
    length = len(payload)
    if length >= NATIVE and USES_NVX:
        return bytes(xormasker.create_xor_masker(key, length).process(payload))  # type: ignore[attr-defined]
    repeated = (key * (length // KEY + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(length, "little")


def take_whole(data: bytes, most: int, payloads: list[bytes]) -> int:
    """Add the payloads of the frames that `data` begins with to `payloads`; where the first other frame begins.

    That is one that is not complete, of another kind, malformed, or longer than `most`.
    """
    at, end = 0, len(data)
    while end - at > 1 and data[at] == WHOLE_BINARY:
        length = data[at + 1] - MASKED
        begins = at + 2 + KEY
        if length == IN_2_BYTES:
            length = int.from_bytes(data[at + 2:at + 4], "big")
            begins += 2
            if length < IN_2_BYTES:
                break
        elif length == IN_8_BYTES:
            length = int.from_bytes(data[at + 2:at + 10], "big")
            begins += 8
            if length < 1 << 16:
                break
        ends = begins + length
        if length < 0 or length > most or ends > end:
            break
        if length:
            payloads.append(unmask(data[begins:ends], data[begins - KEY:begins]))  # [MQTT-6.0.0-2]
        at = ends
    return at
