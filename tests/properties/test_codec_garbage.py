"""Whatever arrives, `feed` gives packets or sets `error`: no other exception, and never more kept than the limit."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Packet
from tests.properties.packet_strategies import CUTS, pieces, streams
from tests.unit.mqtt.comparing import fields

LIMITS = st.sampled_from([5, 20, 128, 129, 130, 1000, 1 << 20])
TINY = st.integers(0, 4)  # below a fixed header; these refuse sooner or later, depending on the chunks


def feed_all(decoder: Decoder, chunks: list[bytes]) -> list[Packet]:
    received: list[Packet] = []
    for chunk in chunks:
        broken = decoder.error is not None
        came = decoder.feed(chunk)
        assert not (broken and came)
        assert 0 <= decoder.buffered <= decoder.max_packet_size
        assert decoder.buffered == sum(map(len, decoder._chunks))
        received += came
    return received


def damaged(data: bytes, places: list[tuple[int, int]]) -> bytes:
    """`data` with some bytes changed."""
    changed = bytearray(data)
    for place, byte in places:
        changed[place % len(changed)] = byte
    return bytes(changed)


CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4)
CONNECTS = [b"\x10\x0c\0\4MQTT\4\2\0\0\0\0", b"\x10\x0d\0\4MQTT\5\2\0\0\0\0\0", b""]


@given(st.sampled_from([0, 3, 4, 5]), st.sampled_from(CONNECTS), st.lists(st.binary(max_size=60), max_size=8),
       LIMITS | TINY)
def test_arbitrary_bytes(version: int, connect: bytes, chunks: list[bytes], limit: int) -> None:
    feed_all(Decoder(limit, version), [connect, *chunks])


@given(streams(3), CHANGES, CUTS, LIMITS)
def test_damaged_packets_decode_alike_in_any_chunks(stream: tuple[int, list[Packet]], changes: list[tuple[int, int]],
                                                    cuts: list[int], limit: int) -> None:
    version, sent = stream
    data = damaged(b"".join([encode(packet, version) for packet in sent]), changes)
    at_once, piecemeal = Decoder(limit, version), Decoder(limit, version)
    expected = feed_all(at_once, [data])
    received = feed_all(piecemeal, pieces(data, cuts))
    assert [fields(packet) for packet in received] == [fields(packet) for packet in expected]
    assert str(piecemeal.error) == str(at_once.error)
    assert piecemeal.buffered == at_once.buffered


@given(streams(1), CHANGES)
def test_what_was_decoded_from_damaged_bytes_can_be_encoded_again(stream: tuple[int, list[Packet]],
                                                                  changes: list[tuple[int, int]]) -> None:
    version, (sent,) = stream
    for packet in Decoder(1 << 20, version).feed(damaged(encode(sent, version), changes)):
        (again,) = Decoder(1 << 20, version).feed(encode(packet, version))
        assert fields(again) == fields(packet)
