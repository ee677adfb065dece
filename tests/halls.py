"""A factory with TLS before protocols that remember what they are told."""
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from emqtwist.config import Address, SslListener
from emqtwist.net.tls.credentials import Credentials
from emqtwist.net.tls.layer import TlsFactory
from emqtwist.net.tls.loaded import Loaded
from tests.authorities import Pair
from tests.handshakes import TlsCaller, client_context


class Recorder(Protocol):
    """Remembers what it is told; it is the producer above the transport."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.asked: list[str] = []
        self.ends: list[Failure] = []

    @property
    def wire(self) -> Any:
        return self.transport

    def connectionMade(self) -> None:
        self.wire.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        self.chunks.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(reason)

    def pauseProducing(self) -> None:
        self.asked.append("pause")

    def resumeProducing(self) -> None:
        self.asked.append("resume")

    def stopProducing(self) -> None:
        self.asked.append("stop")


class Inner(ServerFactory):
    """Keeps the protocols that it has made."""

    def __init__(self) -> None:
        self.made: list[Recorder] = []

    def buildProtocol(self, addr: object) -> Recorder:
        assert addr == IPv4Address("TCP", "10.0.0.1", 50000)
        self.made.append(Recorder())
        return self.made[-1]


def section_of(*pairs: Pair, **keys: Any) -> SslListener:
    """A listener with these certificates."""
    return SslListener(name="a", bind=Address("127.0.0.1", 0), certfile=tuple(pair.certfile for pair in pairs),
                       keyfile=tuple(pair.keyfile for pair in pairs), **keys)


class Hall:
    """A factory with TLS, on a clock; `refused` are causes and reasons."""

    def __init__(self, *pairs: Pair, seconds: float = 15.0, **keys: Any) -> None:
        self.clock = Clock()
        self.inner = Inner()
        self.credentials = Credentials(Loaded(section_of(*pairs, **keys), ("mqtt",)))
        self.factory = TlsFactory(self.inner, self.credentials, seconds, self.clock)
        self.refused: list[tuple[str, str]] = []
        self.factory.refuse = lambda peer, cause, reason: self.refused.append((cause, reason))

    def connect(self, version: str = "") -> tuple[TlsCaller, Recorder]:
        """Somebody who believes everybody."""
        caller = TlsCaller(self.factory, client_context(version=version))
        caller.shake_hands()
        return caller, self.inner.made[-1]
