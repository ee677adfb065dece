"""Connections between nodes, as processes have them of their kernels: bytes arrive in order, in pieces of any size, and late.

A process that writes more than its kernel takes keeps the rest. What the kernel has taken goes on when the process is gone. Each
end hears by itself that the other is gone: from its kernel, or when it sends to a host that knows of no such connection.
"""
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from emqtwist.cluster.protocol import LinkProtocol
from tests.harness.simulate.world import TICKS

if TYPE_CHECKING:
    from tests.harness.simulate.network import Network
    from tests.harness.simulate.node import Node

SYN, ACK, BYTES, FIN, RESET = range(5)
CUTS: Final = 0.3  # of what arrives comes in two pieces


@dataclass
class Piece:
    """Something on its way."""

    kind: int
    due: float
    data: bytes = b""


@implementer(ITransport)
class End:
    """What a process of `node` has of a connection to `far`: `other` is the other end, `pipe` what is on its way there.

    `protocol` is there once it is connected. It is `gone` when the process has no more of it.
    """

    def __init__(self, network: "Network", node: "Node", far: "Node", other: "End | None" = None) -> None:
        self.network = network
        self.node = node
        self.far = far
        self.other = other
        self.protocol: LinkProtocol | None = None
        self.gone = False
        self.pipe: deque[Piece] = deque()
        self._start = node.starts
        self._last_due = 0.0
        self._under_way = 0
        self._unsent = bytearray()
        self._departs = False
        self._closing = False

    def is_over(self) -> bool:
        """Whether nothing comes of it any more."""
        return self.gone and not self.pipe

    # What the process does.

    def getPeer(self) -> IAddress:
        return IPv4Address("TCP", self.far.name, 1)

    def getHost(self) -> IAddress:
        return IPv4Address("TCP", self.node.name, 1)

    def write(self, data: bytes) -> None:
        if not self.gone:
            self._unsent += data
            self._depart_soon()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Read no more, and close once all is handed over."""
        self._closing = True
        self._depart_soon()

    def abortConnection(self) -> None:
        """Close at once, whatever waits."""
        self._closing = True
        self.node.reactor.callLater(0, self._abort)

    def _abort(self) -> None:
        if not self.gone:
            self.pipe.clear()
            self._put(RESET)
            self._lose(ConnectionAborted())

    def _depart_soon(self) -> None:
        if not self._departs:
            self._departs = True
            self.node.reactor.callLater(0, self._depart)

    def _depart(self) -> None:
        """Hand over what the kernel takes."""
        self._departs = False
        if self.gone:
            return
        size = max(0, self.network.room - self._under_way)
        data = bytes(self._unsent[:size])
        if data:
            del self._unsent[:size]
            self._under_way += len(data)
            self._put(BYTES, data)
        if self._closing and not self._unsent:
            self._put(FIN)
            self._lose(ConnectionDone())

    def connect(self) -> None:
        """Begin, from here."""
        self._put(SYN)

    def connected(self, protocol: LinkProtocol) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)

    def _lose(self, why: Exception) -> None:
        self.gone = True
        if self.protocol is not None:
            self.protocol.connectionLost(Failure(why))

    # The way to the other end.

    def _put(self, kind: int, data: bytes = b"") -> None:
        world, network = self.network.world, self.network
        due = world.now + world.between(0.0001, network.delay) + len(data) / network.speed
        self._last_due = max(self._last_due + len(data) / network.speed, due)
        self.pipe.append(Piece(kind, self._last_due, data))
        world.later(self._last_due - world.now, self.pump)

    def pump(self) -> None:
        """What is due arrives, unless nothing goes this way now, or the host there has stopped."""
        while self.pipe and self.pipe[0].due <= self.network.world.now + 1 / TICKS:
            if self.network.blocked(self.node.name, self.far.name) or self.far.paused:
                return
            piece = self.pipe.popleft()
            if piece.data:
                self._under_way -= len(piece.data)
                if self._unsent and self._lives():
                    self._depart_soon()
            if piece.kind == SYN:
                self.other = End(self.network, self.far, self.node, self)
                self.other.met()
            elif self.other is not None:
                self.other.arrive(piece)

    def met(self) -> None:
        """Somebody has dialled: the process takes it, or the kernel says that there is nobody."""
        if self.node.off:
            self.gone = True
            return
        protocol = self.node.links.port.buildProtocol(self.getPeer()) if self.node.alive else None
        self._put(RESET if protocol is None else ACK)
        if protocol is None:
            self.gone = True
        else:
            self.network.add(self)
            self.connected(protocol)

    def arrive(self, piece: Piece) -> None:
        if not self._lives():
            if piece.kind in (ACK, BYTES) and not self.node.off:
                self._put(RESET)  # the kernel knows of no such connection
        elif piece.kind == RESET:
            self._lose(ConnectionLost())
        elif piece.kind == ACK:
            self.is_met()
        elif not self._closing:
            if piece.kind == FIN:
                self._put(FIN)
                self._lose(ConnectionDone())
            else:
                self._read(piece.data)

    def is_met(self) -> None:
        """Who was dialled is there."""

    def _read(self, data: bytes) -> None:
        assert self.protocol is not None
        random = self.network.world.random
        if len(data) > 1 and random.random() < CUTS:
            at = random.randrange(1, len(data))
            self.protocol.dataReceived(data[:at])
            data = data[at:]
        if self._lives() and not self._closing:
            self.protocol.dataReceived(data)

    def _lives(self) -> bool:
        return not self.gone and self.node.alive and self._start == self.node.starts

    # Faults.

    def break_off(self) -> None:
        """The connection breaks: of what is on its way some arrives still, the rest is lost."""
        keep = self.network.world.random.randrange(len(self.pipe) + 1)
        while len(self.pipe) > keep:
            self.pipe.pop()
        self._put(RESET)

    def crash(self) -> None:
        """The process is gone; the kernel says so if it is there still."""
        if not self.gone:
            self.gone = True
            self._unsent.clear()
            if self.node.off:
                self.pipe.clear()
            else:
                self._put(RESET)


class Dialled(End):
    """The end of who dials, for `factory`."""

    def __init__(self, network: "Network", node: "Node", far: "Node", factory: Any) -> None:
        super().__init__(network, node, far)
        self.answer: Deferred[LinkProtocol] = Deferred(self._give_up)
        self._factory = factory

    def _give_up(self, answer: "Deferred[LinkProtocol]") -> None:
        self.gone = True

    def is_met(self) -> None:
        protocol = self._factory.buildProtocol(self.getPeer())
        self.connected(protocol)
        self.answer.callback(protocol)

    def _lose(self, why: Exception) -> None:
        if self.protocol is None:
            self.gone = True
            self.answer.errback(ConnectionRefusedError())
        else:
            super()._lose(why)


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Leads from one node to another."""

    def __init__(self, network: "Network", node: "Node", far: "Node") -> None:
        self._network = network
        self._node = node
        self._far = far

    def connect(self, factory: Any) -> Deferred[Any]:
        end = Dialled(self._network, self._node, self._far, factory)
        self._network.add(end)
        end.connect()
        return end.answer
