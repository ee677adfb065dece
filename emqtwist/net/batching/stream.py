"""The transport of one connection in a SocketSet.

It does what Twisted's own TCP transport does, and tells the protocol in the same order: nothing that a protocol calls here
calls back into its `connectionLost`; that comes when the batch is over. It differs where it is faster: bytes are sent at once
when none wait before them, and what could not be sent waits as it is, uncopied, shared with whoever else holds it.
"""
import socket
from collections import deque
from collections.abc import Iterable
from itertools import islice
from socket import SocketType
from struct import pack
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    ILoggingContext,
    IProducer,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from emqtwist.core.door import Certificate
from emqtwist.net.batching.sockets import READ, WRITE, Read, SocketSet
from emqtwist.net.proxy import Proxied

Address = IPv4Address | IPv6Address

READ_BYTES = 64 * 1024  # that one socket is read in one batch
DISCARDS = 16  # reads of what a connection that we close had still sent
PIECES = 256  # that one sendmsg takes; the system allows 1024
LARGE_PIECE = 16 * 1024  # mean size from which pieces are sent as they are: smaller ones are cheaper to join
RESET = pack("ii", 1, 0)  # SO_LINGER: close without waiting, and tell the peer by RST
NOBODY = Protocol()  # in place of a protocol that has lost its connection


@implementer(ITCPTransport, IConsumer, IPushProducer, ILoggingContext)
class Stream:
    """Carries bytes between a connected, non-blocking socket and a Protocol.

    `bufferSize` is how many unsent bytes pause a streaming producer. `options` are TCP_NODELAY and SO_KEEPALIVE as the socket
    has them. `told` is what a proxy has said of its client. There is no `startTLS`.
    """

    __slots__ = ("fd", "socket", "protocol", "bufferSize", "connected", "disconnecting", "disconnected", "producer",
                 "streamingProducer", "producerPaused", "unsent", "told", "options", "_set", "_peer", "_waiting", "_watched",
                 "_half_closing", "_half_closed", "_heard_out", "_reason")

    def __init__(self, connected: SocketType, peer: Address, protocol: Protocol, sockets: SocketSet,
                 options: tuple[bool, bool] = (False, False)) -> None:
        self.fd = connected.fileno()
        self.socket = connected
        self.protocol = protocol
        self.bufferSize = 64 * 1024
        self.connected = True
        self.disconnecting = False
        self.disconnected = False
        self.producer: IProducer | None = None
        self.streamingProducer = False
        self.producerPaused = False
        self.unsent = 0  # bytes in `_waiting`
        self.told: Proxied | None = None
        self._set = sockets
        self._peer = peer
        self._waiting: deque[bytes | memoryview] | None = None  # most connections never let anything wait
        self._watched = READ
        self._half_closing = False
        self._half_closed = False
        self._heard_out = False  # the peer has said that it has no more to say
        self._reason: Failure | None = None  # why it closes when the batch is over
        self.options = options
        sockets.add(self)

    # What the set calls.

    def ready(self, events: int, read: Read) -> int:
        """Send what waits if the socket can take it; put what has come into `read`. How many bytes came."""
        if events != READ or not self._watched & READ:
            if self._watched & WRITE and events != READ:  # HUP and ERR too: sending finds out what they mean
                self._send_waiting()
            if not self._watched & READ or events == WRITE:
                return 0
        try:
            data = self.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.connectionLost(Failure(ConnectionLost()))
            return 0
        if data:
            read.append((self, data))
        else:
            self._read_ended()
        return len(data)

    def part(self) -> None:
        """Close for the reason that was given."""
        if self._reason is not None and self.connected:
            if self._reason is connectionDone and not self._heard_out:
                self._discard()
            self.connectionLost(self._reason)

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket now and tell the producer and the protocol."""
        if self.disconnected:
            return
        self.disconnected = True
        self.connected = False
        self._watched = 0  # closing takes it out of the epoll set
        self._set.remove(self)
        self.socket.close()
        self._waiting = None
        self.unsent = 0
        protocol, self.protocol = self.protocol, NOBODY
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        protocol.connectionLost(reason)

    # Reading.

    def pauseProducing(self) -> None:
        self._watch(self._watched & ~READ)

    def resumeProducing(self) -> None:
        if self.connected and not self.disconnecting:
            self._watch(self._watched | READ)

    def stopProducing(self) -> None:
        self.loseConnection()

    stopReading = pauseProducing
    startReading = resumeProducing

    def _read_ended(self) -> None:
        """The peer sends no more. Most protocols end with that; one that can go on sending may."""
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self._watch(self._watched & ~READ)
            cast(IHalfCloseableProtocol, self.protocol).readConnectionLost()
        else:
            self.connectionLost(connectionDone)

    def _discard(self) -> None:
        """Throw away what has come: closing a socket with unread bytes is a reset, and costs the peer our last ones."""
        try:
            for _ in range(DISCARDS):
                if not self.socket.recv(READ_BYTES):
                    return
        except OSError:
            pass  # no more has come, or the peer is gone

    # Writing.

    def write(self, data: bytes) -> None:
        """Send `data` at once, or as soon as the peer takes it."""
        if type(data) is not bytes:
            raise TypeError(f"only bytes can be written, not {type(data).__name__}")
        if not data or not self.connected or self._reason is not None or self._half_closed:
            return
        if self._waiting is None and (self.producer is None or self.streamingProducer):
            try:
                sent = self.socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._send_failed(error)
                return
            if sent < len(data):
                self._keep([memoryview(data)[sent:] if sent else data], len(data) - sent)
        else:
            self._keep([data], len(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send pieces one after the other: large ones without copying them, small ones joined."""
        pieces = data if type(data) is list else list(data)
        size = sum(map(len, pieces))
        if size < LARGE_PIECE * len(pieces):
            self.write(b"".join(pieces))
        elif pieces and self.connected and self._reason is None and not self._half_closed:
            idle = self._waiting is None
            self._waiting = self._waiting or deque()
            self._waiting.extend(pieces)
            self.unsent += size
            if idle and (self.producer is None or self.streamingProducer):
                self._send_pieces()
            self._keep([], 0)

    def _keep(self, pieces: "list[bytes | memoryview]", size: int) -> None:
        """Have `pieces` and what waits already sent when the socket can take it; pause a producer that is too fast."""
        if pieces:
            self._waiting = self._waiting or deque()
            self._waiting.extend(pieces)
            self.unsent += size
        if self._waiting is None or self._reason is not None:
            return
        self._watch(self._watched | WRITE)
        if self.unsent > self.bufferSize and self.streamingProducer and self.producer is not None:
            self.producerPaused = True
            cast(IPushProducer, self.producer).pauseProducing()

    def _send_pieces(self) -> None:
        """One system call's worth of what waits; `_waiting` is None when that was all."""
        waiting = self._waiting
        assert waiting is not None
        try:
            sent = self.socket.sendmsg(list(islice(waiting, PIECES)))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._send_failed(error)
            return
        self.unsent -= sent
        while waiting and sent >= len(waiting[0]):
            sent -= len(waiting.popleft())
        if sent:
            waiting[0] = memoryview(waiting[0])[sent:]
        if not waiting:
            self._waiting = None

    def _send_waiting(self) -> None:
        """The socket can take more; when nothing waits any more, what has waited for that goes on."""
        if self._waiting is not None:
            self._send_pieces()
        if self._waiting is None and self._reason is None:
            self._watch(self._watched & ~WRITE)
            self._all_sent()

    def _all_sent(self) -> None:
        if self.producer is not None and (self.producerPaused or not self.streamingProducer):
            self.producerPaused = False
            cast(IPushProducer, self.producer).resumeProducing()
        elif self.disconnecting:
            self._close_soon(connectionDone)
        elif self._half_closing:
            self._close_writing()

    def _send_failed(self, error: OSError) -> None:
        """The peer is gone: nothing that waits can be sent."""
        self._close_soon(Failure(ConnectionLost(str(error))))

    # Producers.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause `producer` while more than `bufferSize` bytes wait; one that is not streaming is asked for all it writes."""
        if self.producer is not None:
            raise RuntimeError(f"{producer} cannot produce: {self.producer} was never unregistered")
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer = producer
        self.producerPaused = False
        self.streamingProducer = streaming
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """It will write no more; a connection that was waiting to be closed is."""
        self.producer = None
        if self.connected and (self.disconnecting or self._half_closing) and self._waiting is None:
            self._all_sent()

    # The end.

    def loseConnection(self) -> None:
        """Close once all is sent and no producer that is asked for more is left."""
        if not self.connected or self.disconnecting:
            return
        self.disconnecting = True
        if self._half_closed or (self._waiting is None and (self.producer is None or self.streamingProducer)):
            self._close_soon(connectionDone)
        else:
            self.pauseProducing()

    def finish(self, heard_out: bool) -> bool:
        """`unregisterProducer` and `loseConnection` in one; whether all is sent.

        A peer that is `heard_out` has said that it sends no more: what it sends all the same need not be read, nor answered.
        """
        self._heard_out = heard_out
        if self._waiting is None and self.connected and not self.disconnecting and not self._half_closing:
            self.producer = None
            self.disconnecting = True
            self._close_soon(connectionDone)
        else:
            self.unregisterProducer()
            self.loseConnection()
        return not self.unsent

    def abortConnection(self) -> None:
        """Close without sending what waits; the peer sees a reset."""
        if self.connected:
            self.disconnecting = True
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._close_soon(Failure(ConnectionAborted()))

    def loseWriteConnection(self) -> None:
        """Tell the peer, once all is sent, that nothing follows; what it sends is still read."""
        if not self.connected or self._half_closing:
            return
        self._half_closing = True
        if self._waiting is None and (self.producer is None or self.streamingProducer):
            self._watch(self._watched | WRITE)  # so that the protocol is not told within its own call

    def _close_writing(self) -> None:
        self._half_closed = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer was faster; reading will tell
        if IHalfCloseableProtocol.providedBy(self.protocol):
            cast(IHalfCloseableProtocol, self.protocol).writeConnectionLost()

    def _close_soon(self, reason: Failure) -> None:
        """Close when the batch is over; the last reason counts."""
        if self._reason is None:
            self._set.part(self)
        self._reason = reason
        self._watched = 0  # what comes before it is closed is nothing to it; closing takes it out of the epoll set

    # The socket.

    def _watch(self, events: int) -> None:
        if events != self._watched and self._reason is None:
            before, self._watched = self._watched, events
            self._set.watch(self.fd, before, events)

    def getPeer(self) -> Address:
        return self._peer

    def speak_for(self, peer: Address, told: Proxied) -> None:
        """Whoever is connected is only the proxy of `peer`."""
        self._peer = peer
        self.told = told

    @property
    def certificate(self) -> Certificate | None:
        """The one that the client has shown to its proxy."""
        return None if self.told is None else self.told.certificate

    def getHost(self) -> Address:
        return type(self._peer)("TCP", *self.socket.getsockname())

    def getHandle(self) -> SocketType:
        return self.socket

    def fileno(self) -> int:
        return self.fd if self.connected else -1

    def getTcpNoDelay(self) -> bool:
        return bool(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        no_delay, keep_alive = self.options
        if no_delay != enabled:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)
            self.options = bool(enabled), keep_alive

    def getTcpKeepAlive(self) -> bool:
        return bool(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        no_delay, keep_alive = self.options
        if keep_alive != enabled:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)
            self.options = no_delay, bool(enabled)

    def logPrefix(self) -> str:
        return type(self.protocol).__name__
