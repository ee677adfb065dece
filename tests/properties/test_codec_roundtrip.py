"""decode(encode(packet)) is the packet, however its bytes arrive."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode, encode_within
from emqtwist.mqtt.packets import Connect, Explained, Packet
from emqtwist.mqtt.properties import PROPERTIES, WILL, Properties, decode_forwarded, forwarded_properties
from tests.properties.packet_strategies import CUTS, connects, packets, pieces, properties, streams
from tests.unit.mqtt.comparing import fields

FORWARDED = {"payload_format_indicator", "content_type", "response_topic", "correlation_data", "user_properties"}


@given(streams(5), CUTS)
def test_packets_survive_the_wire_in_any_chunks(stream: tuple[int, list[Packet]], cuts: list[int]) -> None:
    version, sent = stream
    decoder = Decoder(c.MAX_PACKET, version)
    received = []
    for piece in pieces(b"".join([encode(packet, version) for packet in sent]), cuts):
        received += decoder.feed(piece)
    assert decoder.error is None
    assert decoder.buffered == 0
    assert [fields(packet) for packet in received] == [fields(packet) for packet in sent]


@given(connects(3) | connects(4) | connects(5))
def test_a_connect_needs_no_version_told(connect: Connect) -> None:
    decoder = Decoder(c.MAX_PACKET)
    assert [fields(packet) for packet in decoder.feed(encode(connect, 0))] == [fields(connect)]
    assert decoder.version == connect.version


@given(packets(5), st.integers(0, 300))
def test_a_packet_cut_to_fit_fits_and_differs_in_its_explanation_alone(packet: Explained, maximum: int) -> None:
    before = fields(packet)
    encoded = encode_within(packet, 5, maximum)
    assert fields(packet) == before
    if encoded is None:
        assert len(encode(packet, 5)) > maximum
        return
    assert len(encoded) <= maximum
    (received,) = Decoder(c.MAX_PACKET, 5).feed(encoded)
    if fields(received) != before:
        assert isinstance(packet, Explained)
        assert isinstance(received, Explained)
        cut = received.properties or Properties()
        whole = packet.properties or Properties()
        assert cut.user_properties == []
        cut.user_properties = whole.user_properties
        cut.reason_string = whole.reason_string
        received.properties = cut
        assert fields(received) == before


@given(properties(5, c.PUBLISH) | properties(5, WILL))
def test_what_is_forwarded_survives(held: Properties | None) -> None:
    held = held or Properties()
    for row in PROPERTIES:
        if row.name not in FORWARDED:
            setattr(held, row.name, getattr(Properties(), row.name))
    assert fields(decode_forwarded(forwarded_properties(held))) == fields(held)
