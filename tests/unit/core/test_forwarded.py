"""What PUBLISH and Will must say about themselves truly."""
import pytest

from emqtwist.core.forwarded import check_forwarded
from emqtwist.mqtt.errors import MalformedPacket, PayloadFormatInvalid, ProtocolError
from tests.peers import properties


@pytest.mark.parametrize("payload", [b"", "é".encode(), b"a\0b", b"\xef\xbb\xbf"])
def test_utf_8_is_what_the_payload_format_indicator_says(payload: bytes) -> None:
    check_forwarded(properties(payload_format_indicator=1), payload, 0)


@pytest.mark.parametrize(("payload", "byte"), [(b"\xff", 0), (b"ab\xc3", 2), (b"\xed\xa0\x80", 0), (b"x\xc0\x80", 1)])
def test_what_is_not_utf_8_is_told_with_its_place(payload: bytes, byte: int) -> None:
    with pytest.raises(PayloadFormatInvalid, match=f"byte {byte}$"):
        check_forwarded(properties(payload_format_indicator=1), payload, 0)


@pytest.mark.parametrize("indicator", [None, 0])
def test_unspecified_bytes_are_not_looked_at(indicator: int | None) -> None:
    check_forwarded(properties(payload_format_indicator=indicator), b"\xff", 0)


@pytest.mark.parametrize("topic", ["a", "a/b", "$SYS/x", "/"])
@pytest.mark.mqtt5("3.3.2-13")
def test_a_response_topic_is_a_topic_name(topic: str) -> None:
    check_forwarded(properties(response_topic=topic), b"", 2)


@pytest.mark.parametrize("topic", ["", "#", "a/+", "a/b/c"])
@pytest.mark.mqtt5("3.3.2-14")
def test_a_response_topic_that_is_none_is_a_protocol_error(topic: str) -> None:
    with pytest.raises(ProtocolError, match=r"^Response Topic: "):
        check_forwarded(properties(response_topic=topic), b"", 2)


def test_a_response_topic_with_u_0000_is_malformed() -> None:
    with pytest.raises(MalformedPacket):
        check_forwarded(properties(response_topic="a\0"), b"", 2)
