"""Framing: limits, what is kept, what follows an error. The packets themselves: test_vectors, test_strictness."""

import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode, publish_head
from emqtwist.mqtt.errors import PacketTooLarge, ProtocolError
from emqtwist.mqtt.packets import (
    Connect,
    Packet,
    Pingreq,
    Puback,
    Pubacks,
    Publish,
    Pubrec,
    Pubrel,
    Pubrels,
    Run,
    Subscribe,
    each,
)
from tests.unit.mqtt.chunking import Chunking
from tests.unit.mqtt.comparing import fields, properties
from tests.unit.mqtt.wire_text import raw

PINGREQ = raw("c0 00")


def publish(size: int, version: int = 4) -> bytes:
    """A PUBLISH of `size` bytes in all."""
    for payload in range(max(0, size - 9), size):
        data = encode(Publish(b"a", bytes(payload)), version)
        if len(data) == size:
            return data
    raise AssertionError(f"no PUBLISH has {size} bytes")


@pytest.mark.parametrize("size", [10, 128, 129, 131, 132, 16_386, 16_388, 16_389, 16_390])
def test_the_limit_counts_the_whole_packet(size: int, chunking: Chunking) -> None:
    data = publish(size)
    decoder = Decoder(size, 4)
    packets = [packet for chunk in chunking(data) for packet in decoder.feed(chunk)]
    assert len(packets) == 1
    assert decoder.error is None
    decoder = Decoder(size - 1, 4)
    assert [packet for chunk in chunking(data) for packet in decoder.feed(chunk)] == []
    assert isinstance(decoder.error, PacketTooLarge)
    assert str(decoder.error) == f"PUBLISH: {size} bytes, {size - 1} allowed (byte 0 of the packet, 0 of the stream)"


@pytest.mark.parametrize("limit", range(6))
def test_tiny_limits_hold_too(limit: int, chunking: Chunking) -> None:
    for data in (PINGREQ, raw("40 02 0001"), publish(200)):
        decoder = Decoder(limit, 4)
        kept = 0
        for chunk in chunking(data):
            decoder.feed(chunk)
            kept = max(kept, decoder.buffered)
        assert kept <= limit
        assert isinstance(decoder.error, PacketTooLarge) == (limit < len(data))


@pytest.mark.parametrize("head", ["30 ffffff7f", "82 ffffff7f", "10 ffffff7f"])
def test_a_packet_too_large_is_refused_at_its_length_and_nothing_is_kept(head: str) -> None:
    decoder = Decoder(1 << 20, 4)
    assert decoder.feed(raw(head)[:4]) == []
    assert decoder.buffered == 4
    assert decoder.feed(raw(head)[4:]) == []
    assert isinstance(decoder.error, PacketTooLarge)
    assert decoder.error.reason_code == c.PACKET_TOO_LARGE
    assert decoder.buffered == 0


def test_a_length_of_which_a_part_is_too_much_is_not_waited_for() -> None:
    decoder = Decoder(2, 4)
    decoder.feed(raw("30 80"))
    assert isinstance(decoder.error, PacketTooLarge)
    assert "more than 2 bytes, 2 allowed" in str(decoder.error)


def test_a_changed_limit_holds_from_the_next_feed_on() -> None:
    decoder = Decoder(100, 4)
    decoder.feed(publish(100)[:50])
    decoder.max_packet_size = 99
    decoder.feed(publish(100)[50:])
    assert isinstance(decoder.error, PacketTooLarge)


def test_before_connect_its_own_limit_holds_and_not_for_what_comes_behind_it(chunking: Chunking) -> None:
    connect = encode(Connect(4, "c" * 50), 4)
    decoder = Decoder(1000, max_connect_size=len(connect))
    packets = [packet for chunk in chunking(connect + publish(1000)) for packet in decoder.feed(chunk)]
    assert [packet.type for packet in packets] == [c.CONNECT, c.PUBLISH]
    decoder = Decoder(1000, max_connect_size=len(connect) - 1)
    assert [packet for chunk in chunking(connect) for packet in decoder.feed(chunk)] == []
    assert isinstance(decoder.error, PacketTooLarge)


def test_the_largest_packet_of_the_standard_is_announced_and_awaited() -> None:
    decoder = Decoder(c.MAX_PACKET, 4)
    assert decoder.feed(raw("30 ffffff7f 0001 'a'")) == []
    assert decoder.error is None
    assert decoder.buffered == 8


def test_the_kept_bytes_are_those_of_the_incomplete_packet() -> None:
    decoder = Decoder(1000, 4)
    assert len(decoder.feed(PINGREQ * 3 + publish(100)[:40])) == 3
    assert decoder.buffered == 40
    assert decoder.feed(publish(100)[40:99]) == []
    assert decoder.buffered == 99
    assert [packet.type for packet in decoder.feed(publish(100)[99:] + PINGREQ + b"\xc0")] == [c.PUBLISH, c.PINGREQ]
    assert decoder.buffered == 1
    assert [packet.type for packet in decoder.feed(b"\0")] == [c.PINGREQ]
    assert decoder.buffered == 0


def test_empty_reads_change_nothing() -> None:
    decoder = Decoder(1000, 4)
    assert decoder.feed(b"") == []
    decoder.feed(PINGREQ[:1])
    assert [decoder.feed(b""), decoder.feed(b"")] == [[], []]
    assert decoder.buffered == 1
    assert len(decoder.feed(PINGREQ[1:])) == 1


@pytest.mark.parametrize("sizes", [[1], [2], [3, 1], [5000, 1], [1, 5000], [4096], [7, 6, 5, 4, 3, 2, 1]])
def test_a_large_packet_in_pieces_of_any_size(sizes: list[int]) -> None:
    payload = bytes(range(256)) * 200
    data = publish_head(0x30, b"a", len(payload)) + payload
    decoder = Decoder(len(data), 4)
    packets = []
    place = turn = 0
    while place < len(data):
        size = sizes[turn % len(sizes)]
        packets += decoder.feed(data[place:place + size])
        place += size
        turn += 1
    assert [fields(packet) for packet in packets] == [fields(Publish(b"a", payload))]


def test_a_broken_packet_ends_the_stream_and_the_packets_before_it_stand() -> None:
    decoder = Decoder(1000, 4)
    assert [packet.type for packet in decoder.feed(PINGREQ * 2 + raw("40 02 0000") + PINGREQ)] == [c.PINGREQ] * 2
    assert isinstance(decoder.error, ProtocolError)
    assert decoder.buffered == 0
    error = decoder.error
    assert decoder.feed(PINGREQ) == []
    assert decoder.error is error


def test_the_error_counts_the_bytes_of_the_stream_over_all_reads(chunking: Chunking) -> None:
    decoder = Decoder(1000)
    before = encode(Connect(5, "c"), 5) + encode(Publish(b"a", bytes(300)), 5) + PINGREQ
    for chunk in chunking(before + raw("32 05 0001 'a' 0000")):
        decoder.feed(chunk)
    where = f"(byte 5 of the packet, {len(before) + 5} of the stream)"
    assert str(decoder.error) == f"PUBLISH: Packet Identifier 0 [MQTT-2.2.1-3] {where}"


def test_an_error_holds_on_to_nothing_that_was_read() -> None:
    decoder = Decoder(1000, 5)
    decoder.feed(raw("e0 06 81 04 1f 0001 ff"))
    assert decoder.error is not None
    assert decoder.error.__traceback__ is None
    assert decoder.error.__context__ is None
    assert decoder.error.__cause__ is None


def test_the_version_is_known_to_the_packets_behind_connect_in_the_same_read() -> None:
    decoder = Decoder(1000)
    behind = [Publish(b"a", b"x"), Subscribe(1, [(b"a", 0x2C)]), Puback(1, 0x10), Pingreq()]
    packets = decoder.feed(b"".join([encode(packet, 5) for packet in [Connect(5, "c"), *behind]]))
    assert [fields(packet) for packet in packets[1:]] == [fields(packet) for packet in behind]
    assert decoder.version == 5


def test_a_second_connect_is_decoded_and_does_not_change_the_version() -> None:
    decoder = Decoder(1000)
    packets = decoder.feed(encode(Connect(5, "c"), 5) + encode(Connect(4, "d"), 4) + encode(Publish(b"a", b"x"), 5))
    assert [fields(packet) for packet in packets] == [
        fields(Connect(5, "c")), fields(Connect(4, "d")), fields(Publish(b"a", b"x")),
    ]
    assert decoder.version == 5


def test_topics_are_passed_on_unchecked() -> None:
    decoder = Decoder(1000, 4)
    packets = decoder.feed(raw("30 04 0002 ff00 82 07 0001 0002 ff00 00 a2 06 0001 0002 ff00"))
    assert [packet.type for packet in packets] == [c.PUBLISH, c.SUBSCRIBE, c.UNSUBSCRIBE]
    assert decoder.error is None


def test_large_pieces_wait_as_they_came_and_are_joined_once() -> None:
    decoder = Decoder(c.MAX_PACKET, 4)
    decoder.feed(publish_head(0x30, b"a", 100 * 4096))
    pieces = [bytes(4096) for _ in range(99)]
    for piece in pieces:
        assert decoder.feed(piece) == []
    assert [kept is piece for kept, piece in zip(decoder._chunks[1:], pieces, strict=True)] == [True] * 99
    assert len(decoder.feed(bytes(4096))) == 1
    assert decoder._chunks == []


def test_small_pieces_are_joined_lest_each_cost_an_object() -> None:
    decoder = Decoder(c.MAX_PACKET, 4)
    decoder.feed(publish_head(0x30, b"a", 60_000))
    most = 0
    for _ in range(29_999):
        decoder.feed(b"..")
        most = max(most, len(decoder._chunks))
    assert most < 30


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("size", [10, 129, 131, 16_389])
def test_a_plain_publish_brings_the_frame_that_it_came_in(version: int, size: int, chunking: Chunking) -> None:
    data = publish(size, version)
    decoder = Decoder(c.MAX_PACKET, version)
    packets = [packet for chunk in chunking(PINGREQ + data + PINGREQ) for packet in decoder.feed(chunk)]
    assert isinstance(packets[1], Publish)
    assert packets[1].frame == data


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("size", [1, 100, 200, 20_000])
@pytest.mark.parametrize("qos", [1, 2])
def test_at_qos_1_and_2_it_brings_what_comes_before_its_identifier(version: int, size: int, qos: int) -> None:
    data = encode(Publish(b"a/b", bytes(size), qos, packet_id=0x1234), version)
    (packet,) = Decoder(c.MAX_PACKET, version).feed(data)
    assert isinstance(packet, Publish)
    assert packet.frame == data[:data.index(b"a/b") + 3]


@pytest.mark.parametrize("packet", [
    Publish(b"a", b"x", 2, dup=True, packet_id=1), Publish(b"a", b"x", retain=True), Publish(b"a", b"x", 1, True, packet_id=1),
    Publish(b"a", b"x", 1, dup=True, packet_id=1), Publish(b"a", b"x", properties=properties(topic_alias=1)),
    Publish(b"a", b"x", 1, packet_id=1, properties=properties(content_type="t")),
])
def test_a_publish_that_cannot_be_sent_on_as_it_is_brings_no_frame(packet: Publish) -> None:
    (received,) = Decoder(c.MAX_PACKET, 5).feed(encode(packet, 5))
    assert isinstance(received, Publish)
    assert received.frame == b""


# Runs.

def kinds(packets: list[Packet]) -> list[object]:
    return [(packet.type, packet.packet_ids) if isinstance(packet, Run) else packet.type for packet in packets]


@pytest.mark.parametrize(("data", "found"), [
    ("4002 0001", [c.PUBACK]),
    ("4002 0001 4002 0203", [(c.PUBACK, [1, 0x203])]),
    ("4002 0001 4002 0002 c000 4002 0003", [(c.PUBACK, [1, 2]), c.PINGREQ, c.PUBACK]),
    ("4002 0001 4002 0002 4003 000300 4002 0004", [(c.PUBACK, [1, 2]), c.PUBACK, c.PUBACK]),
    ("4002 0001 4003 000300", [(c.PUBACK, [1]), c.PUBACK]),
    ("5002 0001 5002 ffff", [(c.PUBREC, [1, 0xffff])]),
    ("6202 0001 6202 0002 6202 0300", [(c.PUBREL, [1, 2, 0x300])]),
    ("7002 0001 7002 0002 5002 0002 5002 0003", [(c.PUBCOMP, [1, 2]), (c.PUBREC, [2, 3])]),
    ("4002 0001 7002 0002 4002 0003", [c.PUBACK, c.PUBCOMP, c.PUBACK]),
])
def test_plain_acknowledgements_that_follow_each_other_are_one(data: str, found: list[object]) -> None:
    decoder = Decoder(c.MAX_PACKET, 5)
    assert kinds(decoder.feed(raw(data))) == flat(found)
    decoder = Decoder(c.MAX_PACKET, 5)
    decoder.runs = True
    assert kinds(decoder.feed(raw(data))) == found
    assert decoder.error is None


def flat(found: list[object]) -> list[object]:
    """As it is without runs."""
    return [kind for one in found for kind in ([one[0]] * len(one[1]) if isinstance(one, tuple) else [one])]


@pytest.mark.parametrize("count", [255, 256, 257, 258, 600])
def test_a_run_may_be_long(count: int) -> None:
    decoder = Decoder(c.MAX_PACKET, 4)
    decoder.runs = True
    packet_ids = list(range(1, count + 1))
    data = b"".join([encode(Pubrec(packet_id), 4) for packet_id in packet_ids])
    assert kinds(decoder.feed(data + PINGREQ)) == [(c.PUBREC, packet_ids), c.PINGREQ]


def test_a_run_ends_before_a_packet_that_is_not_whole() -> None:
    decoder = Decoder(c.MAX_PACKET, 4)
    decoder.runs = True
    assert kinds(decoder.feed(raw("4002 0001 4002 0002 4002 00"))) == [(c.PUBACK, [1, 2])]
    assert decoder.buffered == 3
    assert kinds(decoder.feed(raw("03 4002 0004"))) == [(c.PUBACK, [3, 4])]


def test_what_comes_before_a_broken_one_of_a_run_is_whole() -> None:
    decoder = Decoder(c.MAX_PACKET, 4)
    decoder.runs = True
    assert kinds(decoder.feed(raw("4002 0001 4002 0002 4002 0000 4002 0003"))) == [(c.PUBACK, [1, 2])]
    assert isinstance(decoder.error, ProtocolError)
    assert str(decoder.error).endswith("(byte 2 of the packet, 10 of the stream)")


def test_the_packets_of_runs_come_one_by_one_where_they_are_looked_at() -> None:
    packets = each([Pubacks([1, 2]), Pingreq(), Puback(3), Pubrels([4, 5])])
    expected = [Puback(1), Puback(2), Pingreq(), Puback(3), Pubrel(4), Pubrel(5)]
    assert [type(packet) for packet in packets] == [type(packet) for packet in expected]
    assert [fields(packet) for packet in packets] == [fields(packet) for packet in expected]
