"""Unix sockets in a SocketSet: the port that is a file, and the transport of a connection."""
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure

from emqtwist.net.batching.port import Port
from emqtwist.net.batching.sockets import SocketSet
from emqtwist.net.batching.stream import Stream
from emqtwist.net.socketfile import shortest


class UnixStream(Stream):
    """A Stream over a Unix socket, with UNIXAddresses. What is TCP's own, delays and probes, it does not have."""

    __slots__ = ()

    def getHost(self) -> Any:
        return UNIXAddress(self.socket.getsockname())


class UnixPort(Port):
    """Listens at the file `path`, absolute, which has `mode` from its first moment, and is gone when the port is closed."""

    stream = UnixStream
    addressFamily = socket.AF_UNIX
    _type = "UNIX"
    _realPortNumber: Any  # the path, for the log

    def __init__(self, path: str, factory: ServerFactory, backlog: int, mode: int, sockets: SocketSet) -> None:
        super().__init__(0, factory, backlog, "", sockets)
        self._path = path
        self._mode = mode
        self._file = (0, 0)

    def startListening(self) -> None:
        made = self.createInternetSocket()
        try:
            made.bind(shortest(Path(self._path)))
            os.chmod(self._path, self._mode)  # nobody can connect before `listen`
            made.listen(self.backlog)
            self._file = self._identity()
        except OSError as error:
            made.close()
            raise CannotListenError("unix", self._path, error) from None
        self._realPortNumber = self._path
        self.factory.doStart()
        self.connected = True
        self.socket = made
        self.fileno = made.fileno  # type: ignore[method-assign]  # as Twisted's ports do
        self.startReading()

    def _identity(self) -> tuple[int, int]:
        """Which file it is that the path leads to."""
        found = os.stat(self._path)
        return found.st_dev, found.st_ino

    def getHost(self) -> UNIXAddress:
        return UNIXAddress(self._path)

    def _peer(self, address: Any) -> UNIXAddress:
        return UNIXAddress(address or None)

    def connectionLost(self, reason: Failure) -> None:
        if self.connected:
            with suppress(OSError):  # somebody has deleted it, or this is another user now
                if self._identity() == self._file:
                    os.unlink(self._path)
        super().connectionLost(reason)


def listen_unix(path: str, factory: ServerFactory, backlog: int, mode: int, sockets: SocketSet) -> IListeningPort:
    """As `reactor.listenUNIX`; raises CannotListenError."""
    made = UnixPort(path, factory, backlog, mode, sockets)
    made.startListening()
    return made
