"""What MQTT has as its transport over WebSocket."""
from collections.abc import Iterable
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress

from emqtwist.core.door import Certificate
from emqtwist.net.batching import LARGE_PIECE
from emqtwist.net.websocket.frames import header


class Socket(Protocol):
    """A WebSocket, as what is in its frames needs it. `transport` is below."""

    transport: Any

    def send(self, frame: bytes) -> None: ...
    def send_pieces(self, frame: list[bytes]) -> None: ...
    def close(self) -> None: ...
    def registerProducer(self, producer: Any, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...


class FrameTransport:
    """Each write is a frame of its own. The network transport bounds what waits: a frame is hardly longer than what is in it."""

    __slots__ = ("_socket",)

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def write(self, data: bytes) -> None:
        if len(data) < LARGE_PIECE:
            self._socket.send(header(len(data)) + data)
        else:
            self._socket.send_pieces([header(len(data)), data])

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """One frame of all the pieces; large ones are not copied."""
        pieces = list(data)
        self._socket.send_pieces([header(sum(map(len, pieces))), *pieces])

    @property
    def certificate(self) -> Certificate | None:
        """What the client has shown, where there is TLS below."""
        return getattr(self._socket.transport, "certificate", None)

    def loseConnection(self) -> None:
        """Begin the closing handshake; the client closes the connection, or whoever waits for that aborts it."""
        self._socket.close()

    def abortConnection(self) -> None:
        self._socket.transport.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._socket.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._socket.unregisterProducer()

    def pauseProducing(self) -> None:
        self._socket.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._socket.transport.resumeProducing()

    @property
    def bufferSize(self) -> int:
        return int(self._socket.transport.bufferSize)

    @bufferSize.setter
    def bufferSize(self, size: int) -> None:
        self._socket.transport.bufferSize = size

    def getPeer(self) -> IAddress:
        peer: IAddress = self._socket.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        host: IAddress = self._socket.transport.getHost()
        return host

    def setTcpNoDelay(self, enabled: bool) -> None:
        self._socket.transport.setTcpNoDelay(enabled)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self._socket.transport.setTcpKeepAlive(enabled)

    def getTcpNoDelay(self) -> bool:
        return bool(self._socket.transport.getTcpNoDelay())
