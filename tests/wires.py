"""Connections without sockets: a transport in memory under the real protocol and factory, and a client at its other end."""
from collections.abc import Iterable
from typing import TypeVar, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from emqtwist.mqtt.constants import MAX_PACKET, MQTT_5_0
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connack, Connect, Packet
from emqtwist.net.protocol import MQTTFactory, MQTTProtocol

P = TypeVar("P", bound=Packet)


class Wire(StringTransport):
    """Pauses its producer when more than `bufferSize` bytes wait to be read, as TCP transports do; counts writes."""

    bufferSize = 65536

    def __init__(self, peer: IPv4Address | IPv6Address) -> None:
        super().__init__(peerAddress=peer)
        self.writes = 0
        self.no_delay: bool | None = None
        self.keep_alive: bool | None = None

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def write(self, data: bytes) -> None:
        super().write(data)
        self.writes += 1
        if self.producer is not None and len(self.value()) > self.bufferSize:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def read(self) -> bytes:
        """All that waits; the producer may go on."""
        data = bytes(self.value())
        self.clear()
        if self.producer is not None:
            self.producer.resumeProducing()
        return data


class Caller:
    """A client that has connected to `factory`; `clock` is its reactor's."""

    def __init__(self, factory: MQTTFactory, clock: Clock, host: str = "127.0.0.1", version: int = MQTT_5_0) -> None:
        self.clock = clock
        self.version = version
        address = (IPv6Address if ":" in host else IPv4Address)("TCP", host, 50000)
        self.protocol = cast(MQTTProtocol, factory.buildProtocol(address))
        self.wire = Wire(address)
        self.protocol.makeConnection(self.wire)
        self._decoder = Decoder(MAX_PACKET, version)

    def connect(self, client_id: str, clean_start: bool = True) -> Connack:
        self.send(Connect(self.version, client_id, clean_start))
        return self.one(Connack)

    def send(self, *packets: Packet) -> None:
        """Send the packets in one chunk, and let the turn end."""
        self.protocol.dataReceived(b"".join([encode(packet, self.version) for packet in packets]))
        self.clock.advance(0)

    def received(self) -> list[Packet]:
        """The packets since the last call."""
        packets = self._decoder.feed(self.wire.read())
        assert self._decoder.error is None, self._decoder.error
        return packets

    def one(self, kind: type[P]) -> P:
        """The only packet since the last call."""
        [packet] = self.received()
        assert isinstance(packet, kind)
        return packet

    @property
    def closing(self) -> bool:
        """Whether the broker has closed the connection, once all is read."""
        return bool(self.wire.disconnecting)

    def hang_up(self) -> None:
        """The network connection is gone."""
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.clock.advance(0)
