"""A listening port whose connections are in a SocketSet; so is its own socket."""
import errno
import socket
from socket import SocketType
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.internet.tcp import Port as StockPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.net.batching.sockets import READ, Read, SocketSet
from emqtwist.net.batching.stream import Stream

ACCEPTS = 64  # connections that one batch takes from a port
PAUSE = 0.5  # seconds without accepting, when the system has no room for another connection
NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
GONE = {errno.ECONNABORTED, errno.EPERM, errno.EPROTO}  # that one connection is none; the next may be


class Port(StockPort):
    """Twisted's TCP port; what it accepts gets a Stream as its transport, with TCP_NODELAY and SO_KEEPALIVE as in `options`.

    Connections inherit these from the listening socket, which saves each a system call or two.
    """

    log = Logger()
    stream = Stream  # the class of the transports
    factory: Any
    reactor: Any

    def __init__(self, port: int, factory: ServerFactory, backlog: int, interface: str, sockets: SocketSet,
                 options: tuple[bool, bool] = (False, False)) -> None:
        super().__init__(port, factory, backlog, interface, sockets.reactor)
        self.fd = -1
        self._sockets = sockets
        self._watched = 0
        self._open = False  # who connects is to be accepted, as soon as there is room
        self._options = options
        self._again: IDelayedCall | None = None

    def startListening(self) -> None:
        super().startListening()
        no_delay, keep_alive = self._options
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, no_delay)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, keep_alive)

    def ready(self, events: int, read: Read) -> int:
        """Accept what waits, up to a bound: the rest is still ready for the next batch.

        `accept` would put a Python object around each socket, which takes as long as the system's part.
        """
        listening: Any = self.socket
        for _ in range(ACCEPTS):
            try:
                fd, address = listening._accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in GONE:
                    continue
                if error.errno not in NO_ROOM:
                    raise  # the port is of no use any more
                self._pause(error)
                break
            self._connect(SocketType(self.addressFamily, self.socketType, 0, fd), address)
        return 0

    def _peer(self, address: Any) -> Any:
        """Who has connected, as `accept` names him."""
        return self._addressType("TCP", *(address if len(address) == 2 else _with_scope(address)))

    def _connect(self, accepted: SocketType, address: Any) -> None:
        """An exception costs that connection."""
        stream = None
        try:
            peer = self._peer(address)
            protocol = self.factory.buildProtocol(peer)
            if protocol is not None:
                accepted.setblocking(False)
                stream = self.stream(accepted, peer, protocol, self._sockets, self._options)
                protocol.makeConnection(stream)
                return
        except Exception:
            failure = Failure()
            self.log.failure("a connection from {address} is refused", failure, address=address)
            if stream is not None:
                self._sockets.lose(stream, failure)
        accepted.close()

    def _pause(self, error: OSError) -> None:
        """Who connects now waits in the backlog; without a pause the port would stay ready and nothing could be done."""
        self.log.warn("no room for another connection: {error}; the next is accepted in {pause} s", error=error.strerror,
                      pause=PAUSE)
        self._unwatch()
        self._again = self.reactor.callLater(PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._again = None
        if self._open and not self.disconnecting:
            self._watch()

    def _watch(self) -> None:
        if not self._watched:
            self.fd = self.fileno()
            self._sockets.add(self)
            self._watched = READ

    def _unwatch(self) -> None:
        if self._watched:
            self._sockets.watch(self.fd, READ, 0)
            self._watched = 0

    # What Twisted's port calls.

    def startReading(self) -> None:
        """In a pause nobody is accepted before its end."""
        self._open = True
        if self._again is None:
            self._watch()

    def stopReading(self) -> None:
        self._open = False
        self._unwatch()

    def stopWriting(self) -> None:
        """It never writes."""

    def connectionLost(self, reason: Failure) -> None:
        """Close the port; its connections stay."""
        if not self.connected:
            return  # closed already, when the reactor stopped meanwhile
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self.stopReading()
        self._sockets.remove(self)
        super().connectionLost(reason)


def _with_scope(address: Any) -> Any:
    """An IPv6 address with its scope in the host, as Twisted writes it."""
    host, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return (host, *address[1:])


def listen_tcp(port: int, factory: ServerFactory, backlog: int, interface: str, sockets: SocketSet,
               options: tuple[bool, bool] = (False, False)) -> IListeningPort:
    """As `reactor.listenTCP`; raises CannotListenError. `options` are TCP_NODELAY and SO_KEEPALIVE of the connections."""
    made = Port(port, factory, backlog, interface, sockets, options)
    made.startListening()
    return made
