"""The bytes of every packet type in every version, both ways."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Packet
from tests.unit.mqtt.chunking import Chunking
from tests.unit.mqtt.comparing import fields
from tests.unit.mqtt.vectors import CONNECTS, DECODED, VECTORS, Vector


def decode(data: bytes, version: int, chunking: Chunking) -> list[Packet]:
    decoder = Decoder(c.MAX_PACKET, version)
    packets = [packet for chunk in chunking(data) for packet in decoder.feed(chunk)]
    assert decoder.error is None
    assert decoder.buffered == 0
    return packets


def named(vector: Vector) -> str:
    return f"v{vector.version} {vector.name}"


@pytest.mark.parametrize("vector", VECTORS + DECODED, ids=named)
def test_bytes_give_the_packet(vector: Vector, chunking: Chunking) -> None:
    (packet,) = decode(vector.data, vector.version, chunking)
    assert fields(packet) == fields(vector.packet)
    assert packet.type == vector.data[0] >> 4


@pytest.mark.parametrize("vector", VECTORS, ids=named)
@pytest.mark.mqtt5("3.6.1-1")
def test_packet_gives_the_bytes(vector: Vector) -> None:
    assert encode(vector.packet, vector.version) == vector.data


@pytest.mark.parametrize("vector", CONNECTS, ids=named)
def test_connect_tells_the_version(vector: Vector, chunking: Chunking) -> None:
    decoder = Decoder(c.MAX_PACKET)
    for chunk in chunking(vector.data):
        decoder.feed(chunk)
    assert decoder.version == vector.version


@pytest.mark.parametrize("version", [3, 4, 5])
def test_all_packets_in_a_row(version: int, chunking: Chunking) -> None:
    vectors = [vector for vector in VECTORS + DECODED if vector.version == version]
    packets = decode(b"".join([vector.data for vector in vectors]), version, chunking)
    assert [fields(packet) for packet in packets] == [fields(vector.packet) for vector in vectors]


@pytest.mark.parametrize("version", [3, 4, 5])
def test_the_vectors_cover_every_packet_type(version: int) -> None:
    last = c.AUTH if version == c.MQTT_5_0 else c.DISCONNECT
    assert {vector.packet.type for vector in VECTORS if vector.version == version} == set(range(c.CONNECT, last + 1))
