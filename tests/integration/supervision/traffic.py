"""QoS 1 and 2 traffic through a broker in this reactor, and what must hold of it whatever dies."""
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Will,
)
from emqtwist.mqtt.properties import Properties
from tests.websockets import BINARY, Frames, frame, request

WINDOW: Final = 20  # publications under way
PATIENCE: Final = 30.0  # seconds after which a test gives up
LOOK: Final = 0.005  # seconds between two looks


async def until(holds: Callable[[], object]) -> None:
    """Let the reactor run until something holds."""
    for _ in range(int(PATIENCE / LOOK)):
        if holds():
            return
        await deferLater(cast(Any, reactor), LOOK, lambda: None)
    raise AssertionError(f"in {PATIENCE} s it never held")


class Talker(Protocol):
    """A client: `packets` are those that came and were not taken; `lost` says that the connection is gone."""

    def __init__(self) -> None:
        self.packets: deque[Packet] = deque()
        self.lost = False
        self._decoder = Decoder(c.MAX_PACKET, c.MQTT_5_0)

    def send(self, packet: Packet) -> None:
        cast(Any, self.transport).write(encode(packet, c.MQTT_5_0))

    def dataReceived(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            self.got(packet)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def got(self, packet: Packet) -> None:
        self.packets.append(packet)

    async def next(self) -> Packet:
        await until(lambda: self.packets)
        return self.packets.popleft()

    def abort(self) -> None:
        """Close the connection, if there is one, without DISCONNECT."""
        if self.transport is not None and not self.lost:
            cast(Any, self.transport).abortConnection()

    async def enter(self, client_id: str, will: Will | None = None, password: bytes | None = None) -> Connack:
        """With a session that outlives the connection."""
        properties = Properties()
        properties.session_expiry_interval = 60
        self.send(Connect(c.MQTT_5_0, client_id, clean_start=False, password=password, will=will,
                          properties=properties))
        connack = await self.next()
        assert isinstance(connack, Connack)
        return connack

    async def subscribe(self, topic_filter: bytes, qos: int) -> list[int]:
        self.send(Subscribe(1, [(topic_filter, qos)]))
        suback = await self.next()
        assert isinstance(suback, Suback)
        return suback.reason_codes


class WebSocketTalker(Talker):
    """The same in frames; `shy` ones do not begin the handshake."""

    def __init__(self, shy: bool = False) -> None:
        super().__init__()
        self._shy = shy
        self._frames = Frames()

    def connectionMade(self) -> None:
        if not self._shy:
            cast(Any, self.transport).write(request())

    def send(self, packet: Packet) -> None:
        cast(Any, self.transport).write(frame(encode(packet, c.MQTT_5_0)))

    def dataReceived(self, data: bytes) -> None:
        for opcode, payload in self._frames.feed(data):
            assert opcode == BINARY
            super().dataReceived(payload)


class Publisher(Talker):
    """Publishes numbers without end, QoS 1 and 2 in turns, once `active`; `acknowledged` are those that are."""

    def __init__(self) -> None:
        super().__init__()
        self.active = False
        self.acknowledged: list[int] = []
        self._last = 0
        self._under_way: dict[int, int] = {}

    def fill(self) -> None:
        while self.active and len(self._under_way) < WINDOW:
            self._last += 1
            packet_id = self._last % c.MAX_PACKET_ID + 1
            self._under_way[packet_id] = self._last
            self.send(Publish(b"traffic", b"%d" % self._last, 1 + self._last % 2, packet_id=packet_id))

    def got(self, packet: Packet) -> None:
        if isinstance(packet, Pubrec) and packet.reason_code < c.UNSPECIFIED_ERROR:
            self.send(Pubrel(packet.packet_id))
        elif isinstance(packet, Puback | Pubcomp | Pubrec):
            assert packet.reason_code in (c.SUCCESS, c.NO_MATCHING_SUBSCRIBERS), packet
            self.acknowledged.append(self._under_way.pop(packet.packet_id))
            self.fill()
        else:
            super().got(packet)

    @property
    def idle(self) -> bool:
        return not self._under_way


class Subscriber(Talker):
    """Acknowledges what it gets; `numbers` are those it got, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def got(self, packet: Packet) -> None:
        if isinstance(packet, Publish) and packet.topic_name == b"traffic":
            self.numbers.append(int(packet.payload))
            if packet.qos == 1:
                self.send(Puback(packet.packet_id))
            elif packet.qos == 2:
                self.send(Pubrec(packet.packet_id))
        elif isinstance(packet, Pubrel):
            self.send(Pubcomp(packet.packet_id))
        else:
            super().got(packet)


class Traffic:
    """One publisher, one subscriber; neither may notice that a part of the broker dies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.publisher = Publisher()
        self.subscriber = Subscriber()

    async def start(self) -> None:
        await join(self.subscriber, self.port)
        await self.subscriber.enter("subscriber")
        assert await self.subscriber.subscribe(b"traffic", 2) == [2]
        await join(self.publisher, self.port)
        await self.publisher.enter("publisher")
        self.publisher.active = True
        self.publisher.fill()

    async def flow(self, count: int = 100) -> None:
        """Until that many more have come through."""
        wanted = len(self.subscriber.numbers) + count
        await until(lambda: len(self.subscriber.numbers) >= wanted)

    async def finish(self) -> None:
        """All that was published came once, in order within each QoS, and nobody was disconnected."""
        self.publisher.active = False
        await until(lambda: self.publisher.idle and len(self.subscriber.numbers) >= len(self.publisher.acknowledged))
        published = sorted(self.publisher.acknowledged)
        assert sorted(self.subscriber.numbers) == published == [*range(1, len(published) + 1)]
        for qos in (1, 2):
            got = [number for number in self.subscriber.numbers if number % 2 == qos - 1]
            assert got == sorted(got)
        for talker in (self.publisher, self.subscriber):
            assert not talker.lost
            assert not talker.packets
        for talker in (self.publisher, self.subscriber):
            talker.send(Disconnect())
        await until(lambda: self.publisher.lost and self.subscriber.lost)


async def join(talker: Talker, where: int | str, tls: bool = False) -> None:
    """Connect it to a port, or to the path of a Unix socket; fails with a ConnectError where nobody listens."""
    here = cast(Any, reactor)
    if tls:
        endpoint: Any = SSL4ClientEndpoint(here, "127.0.0.1", where, CertificateOptions(), 10)
    else:
        endpoint = UNIXClientEndpoint(here, where, 10) if isinstance(where, str) else \
            TCP4ClientEndpoint(here, "127.0.0.1", where, 10)
    connected: Deferred[Any] = connectProtocol(endpoint, talker)
    await connected
