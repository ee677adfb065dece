"""MQTT as a Twisted Protocol and Factory: the transport of a Connection."""
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.internet.tcp import Server
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from emqtwist.core.addresses import source_of
from emqtwist.core.buckets import Bucket
from emqtwist.core.causes import NORMAL
from emqtwist.core.connection import CLOSED, Connection
from emqtwist.core.door import Door
from emqtwist.core.receive import proceed, receive
from emqtwist.mqtt.constants import IMPLEMENTATION_SPECIFIC_ERROR
from emqtwist.mqtt.errors import MQTTError, QuotaExceeded
from emqtwist.net.address import peer_of
from emqtwist.net.batching import LARGE_PIECE, Stream
from emqtwist.net.patience import Patience
from emqtwist.net.turns import SHORT, Turns

LOOK = 1.0  # seconds after which a client that is held back is looked at again: its rate may have changed
BREATH = 1.0  # seconds that a publisher is not read while the broker is overloaded
LINGER = 5.0  # seconds that a closing connection has to take its last bytes
DONE = connectionDone.getErrorMessage()  # put together once: most connections end so


@implementer(IPushProducer)
class MQTTProtocol(Protocol):
    """Carries bytes between a transport and a Connection; towards the transport it is the producer that can be paused."""

    log = Logger()
    factory: "MQTTFactory"
    connection: Connection
    transport: Stream | Server
    is_closing = False  # nothing more is to be sent, and who does not take the last bytes is ended by force
    _excess = 0  # bytes written since the transport has too much
    _resting = False  # nothing is read while the connection waits for a decision
    _toll: IDelayedCall | None = None  # nothing is read before: the client was faster than its rate
    _messages: Bucket | None = None
    _bytes: Bucket | None = None

    def connectionMade(self) -> None:
        factory, transport = self.factory, self.transport
        if not factory.turns.reading:
            factory.turns.begin()
        peer = peer_of(transport.getPeer())
        peer.certificate = getattr(transport, "certificate", None)
        self.connection = Connection(factory.turns.broker, factory.door, peer)
        self.connection.owner = self
        if factory.no_delay is not None and getattr(transport, "options", None) != (factory.no_delay, True):
            transport.setTcpNoDelay(factory.no_delay)
            transport.setTcpKeepAlive(True)
        transport.bufferSize = factory.max_unsent
        transport.registerProducer(self, True)
        factory.came(self)

    def dataReceived(self, data: bytes) -> None:
        connection, turns = self.connection, self.factory.turns
        if not turns.reading:
            turns.begin()
        gauged = connection.broker.circle.gauged
        before = connection.broker.metrics.published() if gauged else 0
        try:
            receive(connection, data)  # [MQTT-4.2-1]
        except Exception:
            self._defect()
        if gauged:
            self._pay(len(data), connection.broker.metrics.published() - before)
        if connection.pending is not None:
            self._resting = True
            self.transport.pauseProducing()

    def fail(self, error: MQTTError) -> None:
        """What carries the packets is broken by the client: tell it why, and close."""
        turns = self.factory.turns
        if not turns.reading:
            turns.begin()
        self.connection.fail(error)

    def proceed(self) -> None:
        """Called in the flush after the decision that the connection waits for."""
        gauged = self.connection.broker.circle.gauged
        before = self.connection.broker.metrics.published() if gauged else 0
        try:
            proceed(self.connection)
        except Exception:
            self._defect()
        if gauged:
            self._pay(0, self.connection.broker.metrics.published() - before)
        if self.connection.pending is None:
            self._read_on()

    def _defect(self) -> None:
        self.log.failure("defect while serving {client_id} from {peer}", client_id=self.connection.client_id,
                         peer=self.connection.peer.text)
        # [MQTT3-4.8.0-2]
        self.connection.fail(MQTTError("a defect of the broker ended this connection", IMPLEMENTATION_SPECIFIC_ERROR))

    def _pay(self, size: int, messages: int) -> bool:
        """Read nothing until what was sent beyond the rates is paid for; whether that is so. Before CONNECT other bounds hold."""
        connection = self.connection
        if connection.session is None or connection.closing:
            return False
        wait = self._owed(size, messages)
        if not wait:
            return False
        connection.last_seen = connection.turn.now + wait  # it may have sent what Keep Alive asks for
        if self._toll is None:
            self.transport.pauseProducing()
            self._toll = self.factory.clock.callLater(min(wait, LOOK), self._look)
        return True

    def _owed(self, size: int, messages: int) -> float:
        """How many seconds the client has to be held back."""
        settings, now = self.connection.broker.settings, self.connection.turn.now
        wait = 0.0
        if settings.message_rate:
            if self._messages is None:
                self._messages = Bucket(now)
            wait = self._messages.take(messages, settings.message_rate, now)
        if settings.byte_rate:
            if self._bytes is None:
                self._bytes = Bucket(now)
            wait = max(wait, self._bytes.take(size, settings.byte_rate, now))
        if messages and self.connection.broker.circle.overloaded:
            wait = max(wait, BREATH)
        if wait and self._toll is None and (size or messages):
            self.connection.broker.metrics.held_back += 1
        return wait

    def _look(self) -> None:
        self._toll = None
        self.factory.turns.begin()
        self.connection.last_seen = self.connection.turn.now
        if not self._pay(0, 0) and not self._resting:
            self.transport.resumeProducing()

    def _read_on(self) -> None:
        if self._resting:
            self._resting = False
            if self._toll is None:
                self.transport.resumeProducing()

    def _forgive(self, toll: IDelayedCall) -> None:
        """What the client owes does not matter any more."""
        toll.cancel()
        self._toll = None
        self._resting = True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        connection = self.connection
        connection.owner = None
        if self._toll is not None:
            self._forgive(self._toll)
        if connection.state != CLOSED or connection.out:
            self.factory.turns.begin()
            connection.lost(DONE if reason is connectionDone else reason.getErrorMessage())
        self.factory.gone(self)

    def flush(self) -> None:
        """Write all that the turn produced. A defect in that costs this connection: what it had to send is lost."""
        connection = self.connection
        try:
            if connection.closing and connection.out:
                connection.cut()
            pieces = connection.out
            if pieces:
                connection.out = []
                count = len(pieces)
                size = len(pieces[0]) if count == 1 else sum(map(len, pieces))
                turn = connection.turn
                turn.parts_sent += count
                turn.bytes_sent += size
                if connection.tap is not None:
                    connection.tap.sent(connection, pieces)
                if connection.congested:
                    self._bound(size)
                if size <= SHORT and not connection.closing:
                    self.factory.turns.writes.append((self.transport, b"".join(pieces)))
                elif count == 1:
                    self.transport.write(pieces[0])
                elif size < LARGE_PIECE * count:
                    self.transport.write(b"".join(pieces))
                else:
                    self.transport.writeSequence(pieces)
            if connection.closing and not self.is_closing:
                self._end()
        except Exception:
            self.log.failure("defect while writing to {client_id} at {peer}", client_id=connection.client_id,
                             peer=connection.peer.text)
            self.transport.abortConnection()

    def _end(self) -> None:
        """All is written: close, by force when the peer does not take the last bytes."""
        transport = self.transport
        if self._toll is not None:
            self._forgive(self._toll)
        self._read_on()  # closing with bytes unread would take back the last ones written
        if isinstance(transport, Stream):  # [MQTT-3.14.4-2]
            if transport.finish(self.connection.cause == NORMAL):
                self.is_closing = True  # as soon as the batch is over
                return
        else:
            transport.unregisterProducer()
            transport.loseConnection()  # [MQTT-3.14.4-2]
        self.factory.closing(self)

    def _bound(self, size: int) -> None:
        """Messages wait in the session now; only answers come, and a peer that asks without reading them is a flood."""
        self._excess += size
        if self._excess > self.factory.max_unsent:
            self.connection.fail(QuotaExceeded("answers are asked for faster than they are read"))
            self.transport.abortConnection()

    def pauseProducing(self) -> None:
        """Too much waits in the transport."""
        self.connection.choked()

    def resumeProducing(self) -> None:
        self._excess = 0
        self.factory.turns.begin()
        self.connection.relieved()

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost follows."""


class MQTTFactory(ServerFactory):
    """Makes an MQTTProtocol for each network connection that comes through a listener's door.

    `no_delay` says how to tune its transport, None where that is no TCP.
    """

    noisy = False

    def __init__(self, turns: Turns, clock: IReactorTime, door: Door, no_delay: bool | None, max_unsent: int) -> None:
        self.turns = turns
        self.clock = clock
        self.door = door
        self.no_delay = no_delay
        self.max_unsent = max_unsent
        self.protocol = cast(Any, MQTTProtocol)
        self.protocols: dict[MQTTProtocol, None] = {}
        self.ends: dict[str, int] = {}  # cause -> how many connections, DISCONNECT apart
        self._sources: dict[str, int] | None = None
        self._empty: list[Deferred[None]] = []
        self._closing = Patience(clock, LINGER, end)

    def when_empty(self) -> Deferred[None]:
        """Fires when no connection is left."""
        if not self.protocols:
            return succeed(None)
        self._empty.append(Deferred())
        return self._empty[-1]

    def came(self, protocol: MQTTProtocol) -> None:
        """`protocol` has its connection."""
        self.protocols[protocol] = None
        if self._sources is not None:
            self._count(self._sources, protocol, 1)

    def sources(self) -> dict[str, int]:
        """How many connections come from each address; counted from the first time on that somebody asks."""
        if self._sources is None:
            self._sources = {}
            for protocol in self.protocols:
                self._count(self._sources, protocol, 1)
        return self._sources

    def _count(self, sources: dict[str, int], protocol: MQTTProtocol, change: int) -> None:
        source = source_of(protocol.connection.peer.address)
        count = sources[source] = sources.get(source, 0) + change
        if not count:
            del sources[source]

    def gone(self, protocol: MQTTProtocol) -> None:
        """`protocol` has lost its connection."""
        self.protocols.pop(protocol, None)
        if self._sources is not None:
            self._count(self._sources, protocol, -1)
        cause = protocol.connection.cause
        if cause != NORMAL:
            self.ends[cause] = self.ends.get(cause, 0) + 1
        if protocol.is_closing:
            self._closing.discard(protocol)
        if not self.protocols:
            waiting, self._empty = self._empty, []
            for deferred in waiting:
                deferred.callback(None)

    def closing(self, protocol: MQTTProtocol) -> None:
        """`protocol` has `LINGER` to send its last bytes."""
        protocol.is_closing = True
        self._closing.add(protocol)


def end(protocol: MQTTProtocol) -> None:
    """Its peer has not taken the last bytes in time."""
    protocol.transport.abortConnection()
