"""A reactor that a test turns by hand, sockets at both ends, and a protocol that remembers what it was told."""
import select
import socket
from collections.abc import Callable
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IReadDescriptor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from emqtwist.net.batching import SocketSet, Stream

LIMIT = 10.0  # seconds that the kernel may take to pass bytes on; reached only where something is wrong


class HandReactor(Clock):
    """Waits for descriptors only when told to; its time is that of a Clock."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[IReadDescriptor] = []

    def addReader(self, reader: IReadDescriptor) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: IReadDescriptor) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def ready(self, limit: float = 0.0) -> list[IReadDescriptor]:
        return select.select(self.readers, [], [], limit)[0] if self.readers else []

    def turn(self, limit: float = 0.0) -> None:
        """One iteration: what is readable, then what was to be called next."""
        for reader in self.ready(limit):
            reader.doRead()
        self.advance(0)

    def turn_until(self, happened: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if happened():
                return
            self.turn(LIMIT if not self.getDelayedCalls() else 0.0)
        raise AssertionError("it does not happen")


class Log:
    """What happened, in order; also a Batch."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def open(self) -> None:
        self.events.append("open")

    def close(self) -> None:
        self.events.append("close")


class Recorder(Protocol):
    """Remembers what the transport tells it."""

    def __init__(self, name: str = "", log: Log | None = None) -> None:
        self.name = name
        self.log = log or Log()
        self.data = b""
        self.ended = ""
        self.stream = cast(Stream, None)

    def connectionMade(self) -> None:
        self.stream = cast(Stream, self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.log.events.append(f"{self.name} got {len(data)}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert not self.ended
        self.ended = cast(type[Exception], reason.type).__name__
        self.log.events.append(f"{self.name} lost")


@implementer(IHalfCloseableProtocol)
class HalfRecorder(Recorder):
    """One that may be half closed."""

    def __init__(self) -> None:
        super().__init__()
        self.halves: list[str] = []

    def readConnectionLost(self) -> None:
        self.halves.append("read")

    def writeConnectionLost(self) -> None:
        self.halves.append("write")


class Room:
    """A set in a reactor, both turned by hand."""

    def __init__(self) -> None:
        self.reactor = HandReactor()
        self.log = Log()
        self.rests: list[float] = []
        self.sockets = SocketSet(self.reactor, self.log, self.rests.append)
        self.ends: list[socket.socket] = []

    def close(self) -> None:
        """Close what is left; nothing stays in the reactor."""
        self.sockets.connectionLost(Failure(ConnectionLost()))
        for far in self.ends:
            far.close()
        assert self.reactor.readers == []

    def connect(self, name: str = "", protocol: Recorder | None = None, tcp: bool = False) -> tuple[Recorder, socket.socket]:
        """A protocol on a Stream, and the socket at the other end."""
        near, far = tcp_pair() if tcp else socket.socketpair()
        near.setblocking(False)
        far.settimeout(LIMIT)
        self.ends.append(far)
        for each in () if tcp else (near, far):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        protocol = protocol or Recorder(name, self.log)
        protocol.makeConnection(Stream(near, IPv4Address("TCP", "127.0.0.1", 50000), protocol, self.sockets))
        return protocol, far

    def drain(self, far: socket.socket, until: Callable[[], bool]) -> bytes:
        """What the far end reads, a little at a time, while the reactor turns until something has happened."""
        got = b""
        far.setblocking(False)
        for _ in range(100_000):
            self.reactor.turn()
            try:
                piece = far.recv(50_000)
            except BlockingIOError:
                if until():
                    return got
                waiting = [far.fileno(), *[reader.fileno() for reader in self.reactor.readers]]
                select.select(waiting, [], [], 0 if self.reactor.getDelayedCalls() else LIMIT)
                continue
            got += piece
            if not piece:
                return got
        raise AssertionError("it does not end")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname(), LIMIT)
        near, _ = server.accept()
        return near, far
