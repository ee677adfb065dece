"""TLS between a transport and a protocol, through the memory BIOs of the standard library.

Downwards it is a protocol, upwards a transport. All that has come is decrypted and handed on in one piece, all that is
written at once is encrypted and written in one piece. A producer above is the transport's own: records are hardly larger
than what is in them, so the same bounds hold.

A BIO keeps the memory that it once needed for as long as the connection lasts. So it is given no more than `RECORD` bytes
at a time, and emptied at once. The buffers of OpenSSL itself, where an incomplete record waits, are given back after each.
"""
from collections.abc import Callable, Iterable
from ssl import MemoryBIO, SSLError, SSLWantReadError, SSLZeroReturnError
from typing import Any, Final

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from emqtwist.core.addresses import source_of
from emqtwist.core.causes import HANDSHAKE_FAILED, HANDSHAKE_TIMEOUT
from emqtwist.core.door import Certificate
from emqtwist.net.address import peer_of
from emqtwist.net.patience import Patience
from emqtwist.net.tls.credentials import Credentials
from emqtwist.net.tls.loaded import Loaded
from emqtwist.net.tls.subject import shown_by
from emqtwist.net.tls.words import reason_of

RECORD: Final = 16 * 1024  # bytes that a record holds at most
CUT_SHORT: Final = "the connection was closed in the midst of it"
LINGER: Final = 5.0  # seconds that a peer has to take the last bytes


class TlsLayer(Protocol):
    """One connection. `protocol` is what it is for, None until hands are shaken.

    `certificate` is what the peer has shown and the listener has found to be good, None when it was not asked for one. Where a
    proxy has ended the client's TLS, it is the one that was shown to that; what is shown here is the proxy's own.
    """

    factory: "TlsFactory"
    transport: Any
    protocol: Any = None
    certificate: Certificate | None = None
    _identity: str | None = None  # of the pre-shared key that the peer says to have

    def __init__(self, loaded: Loaded) -> None:
        self._incoming = MemoryBIO()
        self._outgoing = MemoryBIO()
        self._loaded = loaded
        self._tls = loaded.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._closing = False  # nothing is written any more
        self._over = False  # nothing is read any more, and the protocol knows

    # What the transport calls.

    def connectionMade(self) -> None:
        self.factory.begun(self)

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        pieces: list[bytes] = []
        end: str | None = None
        for start in range(0, len(data), RECORD):
            self._incoming.write(data[start:start + RECORD])
            end = self._read(pieces)
            if end is not None:
                break
        if self._outgoing.pending:
            self.transport.write(self._outgoing.read())
        if pieces:
            self.protocol.dataReceived(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if end is not None:
            self._hang_up(end)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Close_notify need not have come: each packet says where it ends, so nothing is cut off unnoticed."""
        self._finish(reason, "")
        self.factory.gone(self)

    # Reading.

    def _read(self, pieces: list[bytes]) -> str | None:
        """Add what has come to `pieces`, as far as its records are whole; why no more will be read, if so: "" for a goodbye."""
        incoming, read = self._incoming, self._tls.read
        try:
            if self.protocol is None:
                self._shake_hands()
            while incoming.pending:
                piece = read(RECORD)
                if not piece:
                    return ""
                pieces.append(piece)
        except SSLWantReadError:
            pass
        except SSLZeroReturnError:
            return ""
        except SSLError as error:
            return reason_of(error)
        return None

    def _shake_hands(self) -> None:
        """Go on with it; raises SSLWantReadError until it is done. Then the protocol is connected."""
        self._loaded.identity = None
        try:
            self._tls.do_handshake()
        finally:
            if self._loaded.identity:  # said in this read, to be proved in this or the next
                self._identity = self._loaded.identity
        told = getattr(self.transport, "told", None)
        self.certificate = told.certificate if told is not None and told.over_tls else shown_by(self._tls, self._identity)
        self.protocol = self.factory.shaken(self)
        self.protocol.makeConnection(self)

    # The end.

    def give_up(self) -> None:
        """The peer has not shaken hands in time."""
        self._over = True
        self.abortConnection()

    def _hang_up(self, words: str) -> None:
        """The peer has said that no more comes, or cannot be understood; what `words` say then."""
        reason = Failure(ConnectionLost(words) if words else ConnectionDone())
        if self.protocol is not None and not self._closing:
            self.transport.unregisterProducer()
        self._say_goodbye()
        self.transport.loseConnection()
        self._finish(reason, words)
        self.factory.parting(self)

    def _say_goodbye(self) -> None:
        """Close_notify; the peer's is not waited for."""
        if not self._closing:
            self._closing = True
            try:
                self._tls.unwrap()
            except SSLError:
                pass  # that it has not come, or that there was no handshake
            self.transport.write(self._outgoing.read())

    def _finish(self, reason: Failure, words: str) -> None:
        """Tell the protocol, or, when there is none yet, that it came to nothing; once."""
        if self._over:
            return
        self._over = True
        protocol, self.protocol = self.protocol, None
        if protocol is None:
            self.factory.failed(self, words or CUT_SHORT)
        else:
            protocol.connectionLost(reason)

    def loseConnection(self) -> None:
        self._say_goodbye()
        self.transport.loseConnection()

    def abortConnection(self) -> None:
        self._closing = True
        self.transport.abortConnection()

    # Writing.

    def write(self, data: bytes) -> None:
        if self._closing or not data:
            return
        sent = self._tls.write(data[:RECORD])
        if sent == len(data):
            self.transport.write(self._outgoing.read())
        else:
            self.transport.writeSequence([self._outgoing.read(), *self._records(data, sent)])

    def writeSequence(self, data: Iterable[bytes]) -> None:
        if not self._closing:
            self.transport.writeSequence([record for piece in data for record in self._records(piece, 0)])

    def _records(self, data: bytes, sent: int) -> list[bytes]:
        """All behind the first `sent` bytes; some peers want their records small."""
        view, records = memoryview(data), []
        while sent < len(data):
            sent += self._tls.write(view[sent:sent + RECORD])
            records.append(self._outgoing.read())
        return records

    # What the transport does.

    @property
    def shakes_hands(self) -> bool:
        return self.protocol is None and not self._over

    @property
    def source(self) -> str:
        """What its peer counts as where addresses are counted."""
        return source_of(peer_of(self.getPeer()).address)

    @property
    def bufferSize(self) -> int:
        return int(self.transport.bufferSize)

    @bufferSize.setter
    def bufferSize(self, size: int) -> None:
        self.transport.bufferSize = size

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def getPeer(self) -> IAddress:
        peer: IAddress = self.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        host: IAddress = self.transport.getHost()
        return host

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.transport.setTcpNoDelay(enabled)

    def getTcpNoDelay(self) -> bool:
        return bool(self.transport.getTcpNoDelay())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.transport.setTcpKeepAlive(enabled)


def unheard(peer: str, cause: str, detail: str) -> None:
    """What a factory without a listener does about who is refused."""


class TlsFactory(ServerFactory):
    """Shakes hands with who connects, by the `credentials` as they are then, and connects them to a protocol of `wrapped`.

    `protocols` are all connections that are open, also those in their handshake. When one comes to nothing, `refuse` is told
    whose, the cause, and what was wrong. A handshake may take `seconds`.
    """

    noisy = False

    def __init__(self, wrapped: ServerFactory, credentials: Credentials[Loaded], seconds: float, clock: IReactorTime) -> None:
        self.credentials = credentials
        self.protocols: dict[TlsLayer, None] = {}
        self.refuse: Callable[[str, str, str], object] = unheard
        self._wrapped = wrapped
        self.seconds = seconds
        self.shaking: dict[str, int] = {}  # source of an address -> how many are in their handshake
        self._shaking = Patience(clock, seconds, self._too_slow)
        self._parting = Patience(clock, LINGER, TlsLayer.abortConnection)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        layer = TlsLayer(self.credentials.loaded)
        layer.factory = self
        return layer

    def doStart(self) -> None:
        super().doStart()
        self._wrapped.doStart()

    def doStop(self) -> None:
        super().doStop()
        self._wrapped.doStop()

    def dismiss(self) -> None:
        """End the handshakes that are under way."""
        for layer in [layer for layer in self.protocols if layer.shakes_hands]:
            self._stopped(layer)
            layer.give_up()

    # What a layer tells.

    def begun(self, layer: TlsLayer) -> None:
        self.protocols[layer] = None
        self._shaking.seconds = self.seconds
        self._shaking.add(layer)
        source = layer.source
        self.shaking[source] = self.shaking.get(source, 0) + 1

    def shaken(self, layer: TlsLayer) -> Any:
        """The protocol for a peer that has shaken hands."""
        self._stopped(layer)
        protocol = self._wrapped.buildProtocol(layer.getPeer())
        assert protocol is not None  # who may connect at all was asked before
        return protocol

    def failed(self, layer: TlsLayer, words: str) -> None:
        """It came to no handshake."""
        self._stopped(layer)
        self._refused(layer, HANDSHAKE_FAILED, words)

    def parting(self, layer: TlsLayer) -> None:
        """It closes when its peer has taken the last bytes, or does not in time."""
        self._parting.add(layer)

    def gone(self, layer: TlsLayer) -> None:
        self._parting.discard(layer)
        self.protocols.pop(layer, None)

    def _stopped(self, layer: TlsLayer) -> None:
        """It shakes hands no more."""
        self._shaking.discard(layer)
        left = self.shaking[layer.source] = self.shaking[layer.source] - 1
        if not left:
            del self.shaking[layer.source]

    def _too_slow(self, layer: TlsLayer) -> None:
        self._stopped(layer)
        self._refused(layer, HANDSHAKE_TIMEOUT, f"{self._shaking.seconds:g} s have passed")
        layer.give_up()

    def _refused(self, layer: TlsLayer, cause: str, words: str) -> None:
        self.refuse(peer_of(layer.getPeer()).text, cause, words)
