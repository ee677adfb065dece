"""Frames that are taken in one go, and those that are left to Autobahn."""
import pytest

from emqtwist.net.websocket import frames
from emqtwist.net.websocket.frames import header, take_whole, unmask
from tests.websockets import BINARY, CONTINUATION, PING, TEXT, frame

NVX = frames.USES_NVX  # where it is not present, both ways are one
KEY = b"\x01\x02\x03\x04"
MOST = 1 << 20
EDGES = [0, 1, 3, 4, 5, 125, 126, 127, 2047, 2048, 2049, 65535, 65536, 65537]


def payload(length: int) -> bytes:
    return (bytes(range(256)) * (length // 256 + 1))[:length]


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("length", EDGES)
def test_a_mask_is_taken_off(length: int, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "USES_NVX", native and NVX)
    masked = bytes(byte ^ KEY[position % 4] for position, byte in enumerate(payload(length)))
    assert unmask(masked, KEY) == payload(length)


@pytest.mark.parametrize("length", EDGES)
@pytest.mark.mqtt5("6.0.0-2")
def test_whole_frames_are_taken_together(length: int) -> None:
    taken: list[bytes] = []
    data = frame(b"a") + frame(payload(length)) + frame(b"b")
    assert take_whole(data, MOST, taken) == len(data)
    assert taken == [part for part in (b"a", payload(length), b"b") if part]


@pytest.mark.parametrize("length", EDGES)
def test_a_server_says_the_length_as_a_client_does_and_masks_nothing(length: int) -> None:
    masked = frame(payload(length), key=bytes(4))
    head = header(length)
    assert head + bytes(4) == bytes((masked[0], masked[1] & 0x7F)) + masked[2:len(head) + 4]


@pytest.mark.parametrize("rest", [
    frame(b"text", TEXT), frame(b"", PING), frame(b"a", BINARY, fin=False), frame(b"a", CONTINUATION), frame(b"x" * 11),
    frame(b"a", key=None), b"\xc2\x81abcd1", b"\x82\xfe\x00\x05abcd12345", b"\x82\xff" + bytes(6) + b"\x00\x05abcd12345",
    b"\x82\xff" + b"\xff" * 8 + b"abcd", b"\x82"], ids=[
    "text", "ping", "fragment", "continuation", "too long", "not masked", "reserved bit", "2 bytes for 5", "8 bytes for 5",
    "endless", "one byte"])
def test_what_is_of_another_kind_is_left(rest: bytes) -> None:
    taken: list[bytes] = []
    assert take_whole(frame(b"first") + rest, 10, taken) == len(frame(b"first"))
    assert taken == [b"first"]


@pytest.mark.parametrize("length", [5, 200, 70_000])
def test_what_is_not_complete_is_left(length: int) -> None:
    whole = frame(b"first")
    last = frame(payload(length))
    for cut in {*range(20), len(last) - 1}:
        taken: list[bytes] = []
        if cut < len(last):
            assert take_whole(whole + last[:cut], MOST, taken) == len(whole)
        assert taken in ([b"first"], [])
