"""One WebSocket: Autobahn shakes hands, reads control frames, fragments and what is malformed, and closes.

Packets and frames need not begin together [MQTT-6.0.0-2], so nothing is kept until a frame or a message is complete: what has
come of it goes on to MQTT, all that one read brought in one piece.
"""
from typing import Any, Final, Protocol

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from txaio.tx import make_logger
from zope.interface import implementer

from emqtwist.config import WebSocketRows
from emqtwist.mqtt.errors import MQTTError, PacketTooLarge, ProtocolError, QuotaExceeded
from emqtwist.net.batching.stream import READ_BYTES
from emqtwist.net.protocol import MQTTProtocol
from emqtwist.net.websocket import terms
from emqtwist.net.websocket.frames import take_whole
from emqtwist.net.websocket.transport import FrameTransport

FRAGMENT: Final = 8  # bytes that count for a fragment beside its payload, so that empty ones have an end, too
STEPS: Final = 256  # in which Autobahn takes up to `READ_BYTES`; each costs as much as ten whole frames
UNMASKED: Final = (b"\x88", b"\x8a")  # CLOSE and PONG, which paho-mqtt does not mask; they carry nothing that matters
END_OF_HEADERS: Final = b"\r\n\r\n"
HEADERS_TOO_LARGE: Final = 431

OPEN: Final = WebSocketServerProtocol.STATE_OPEN
CLOSED: Final = WebSocketServerProtocol.STATE_CLOSED
NORMAL: Final = WebSocketServerProtocol.CLOSE_STATUS_CODE_NORMAL
GOING_AWAY: Final = WebSocketServerProtocol.CLOSE_STATUS_CODE_GOING_AWAY
UNSUPPORTED_DATA: Final = WebSocketServerProtocol.CLOSE_STATUS_CODE_UNSUPPORTED_DATA
POLICY_VIOLATION: Final = WebSocketServerProtocol.CLOSE_STATUS_CODE_POLICY_VIOLATION
TOO_BIG: Final = WebSocketServerProtocol.CLOSE_STATUS_CODE_MESSAGE_TOO_BIG
ERRORS: Final[dict[int, type[MQTTError]]] = {TOO_BIG: PacketTooLarge, POLICY_VIOLATION: QuotaExceeded}


class Hall(Protocol):
    """Where all WebSockets of a listener are known."""

    section: WebSocketRows

    def begun(self, socket: "WebSocket") -> None: ...
    def refused(self, socket: "WebSocket", status: int, reason: str) -> None: ...
    def entered(self, socket: "WebSocket") -> MQTTProtocol: ...
    def gone(self, socket: "WebSocket") -> None: ...


@implementer(IPushProducer)
class WebSocket(WebSocketServerProtocol):
    """One connection. `protocol` is the one in its frames, None before hands are shaken and after the end.

    Autobahn's options are attributes of the class: see `factory.WebSocketFactory`.
    """

    log = make_logger("none")  # what Autobahn says does not tell the listener; what is to be known is logged here
    factory: Hall
    transport: Any
    protocol: MQTTProtocol | None = None
    close_code = NORMAL
    maxMessagePayloadSize: int
    owed: bytes | None = None  # the last PING, until it is answered
    congested = False  # the client does not take what it is sent
    _produces = False

    def __init__(self) -> None:
        super().__init__()
        self._payloads: list[bytes] = []
        self._steps = 0

    # What the transport calls.

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.begun(self)

    def dataReceived(self, data: bytes) -> None:
        """Twisted's own transports bring as much at once as may be unsent, which is too much for Autobahn."""
        if len(data) <= READ_BYTES:
            self._take(data)
        else:
            for start in range(0, len(data), READ_BYTES):
                self._take(data[start:start + READ_BYTES])

    def _take(self, data: bytes) -> None:
        if self.state == CLOSED:
            return
        self._steps = 0
        self._dataReceived(data)
        if self.protocol is None and self.state == OPEN:
            self._enter()
        if self._payloads:
            self._deliver()
        if self.owed is not None:
            self._pay()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.gone(self)
        super().connectionLost(reason)
        self.is_open = self.is_closed = None  # whose result is this very object
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    # The opening handshake.

    def processHandshake(self) -> None:
        most = self.factory.section.max_upgrade_size
        if len(self.data) > most and self.data.find(END_OF_HEADERS, 0, most) < 0:
            self.failHandshake(f"the headers have more than {most} bytes", HEADERS_TOO_LARGE)
        else:
            super().processHandshake()

    def onConnect(self, request: ConnectionRequest) -> str | None:
        section = self.factory.section
        try:
            return terms.choose(request.path, section.path, request.origin, section.origins, request.protocols,
                                section.require_protocol)
        except terms.Refused as refused:
            raise ConnectionDeny(refused.status, refused.reason) from None

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        self.factory.refused(self, code, reason)
        super().failHandshake(reason, code, responseHeaders)

    def _enter(self) -> None:
        """Hands are shaken: MQTT begins."""
        protocol = self.protocol = self.factory.entered(self)
        protocol.makeConnection(FrameTransport(self))

    # Reading.

    def processData(self) -> bool:
        if self.failedByMe:
            self.data = b""
            return False
        if self.current_frame is None and not self.inside_message and self.state == OPEN:
            rest = take_whole(self.data, self.maxMessagePayloadSize, self._payloads)
            if rest:
                self.data = self.data[rest:]
                return bool(self.data)
        self._steps += 1
        if self._steps > STEPS:
            self._fail_connection(POLICY_VIOLATION, f"more than {STEPS} fragments and control frames at once")
            return False
        self.requireMaskedClientFrames = self.data[:1] not in UNMASKED
        return bool(super().processData())

    def onMessageBegin(self, isBinary: bool) -> None:
        self.message_data_total_length = 0
        if not isBinary:
            self._fail_connection(UNSUPPORTED_DATA, "a text frame; packets come in binary ones")  # [MQTT-6.0.0-1]

    def onMessageFrameBegin(self, length: int) -> None:
        self.message_data_total_length += length + FRAGMENT
        if self.message_data_total_length > self.maxMessagePayloadSize + FRAGMENT:
            self._fail_connection(TOO_BIG, f"a message of more than {self.maxMessagePayloadSize} bytes")

    def onMessageFrameData(self, payload: bytes) -> None:
        if payload and not self.failedByMe:
            self._payloads.append(payload)

    def onMessageFrameEnd(self) -> None:
        """All of it has gone on already."""

    def onMessageEnd(self) -> None:
        """All of it has gone on already."""

    def onPing(self, payload: bytes) -> None:
        """Of several that came in one read the last one is answered, once the client takes what it is sent."""
        self.owed = payload

    def _deliver(self) -> None:
        payloads, self._payloads = self._payloads, []
        if self.protocol is not None:
            self.protocol.dataReceived(payloads[0] if len(payloads) == 1 else b"".join(payloads))

    # Writing.

    def send(self, frame: bytes) -> None:
        if self.state == OPEN:
            self.transport.write(frame)

    def send_pieces(self, frame: list[bytes]) -> None:
        if self.state == OPEN:
            self.transport.writeSequence(frame)

    def ping(self) -> None:
        """So that nobody on the way takes the connection for idle; to a client that does not read it would only pile up."""
        if not self.congested:
            self.sendPing()

    def _pay(self) -> None:
        if not self.congested:
            owed, self.owed = self.owed, None
            self.sendPong(owed)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """That is `protocol`, which is told by this one."""
        self._produces = True
        self.transport.registerProducer(self, streaming)

    def unregisterProducer(self) -> None:
        if self._produces:
            self._produces = False
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """Too much waits in the transport."""
        self.congested = True
        if self.protocol is not None:
            self.protocol.pauseProducing()

    def resumeProducing(self) -> None:
        self.congested = False
        if self.owed is not None:
            self._pay()
        if self.protocol is not None:
            self.protocol.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost follows."""

    # The end.

    def close(self) -> None:
        """Begin the closing handshake. A client that has broken the rules is not waited for."""
        if self.state == OPEN:
            self.sendCloseFrame(self.close_code)
            if self.failedByMe:
                self.transport.loseConnection()

    def onCloseFrame(self, code: Any, reasonRaw: Any) -> bool | None:
        """What came before it counts. What the client does not take any more is not waited for without end."""
        if self.protocol is None:
            self._enter()
        if self._payloads:
            self._deliver()
        failed = super().onCloseFrame(code, reasonRaw)
        if self.state == CLOSED and self.protocol is not None and not self.protocol.is_closing:
            self.protocol.factory.closing(self.protocol)
        return failed

    def dropConnection(self, abort: bool = False) -> None:
        """Autobahn would reset a connection that is in good order."""
        super().dropConnection(abort and not self.wasClean)

    def _fail_connection(self, code: int = GOING_AWAY, reason: str = "going away") -> None:
        """The client has broken the rules of WebSocket."""
        if self.failedByMe or self.state != OPEN:
            return
        self.failedByMe = True
        self.close_code = code
        if self.protocol is None:
            self._enter()
        if self._payloads:
            self._deliver()
        if self.protocol is not None:
            self.protocol.fail(ERRORS.get(code, ProtocolError)(f"WebSocket: {reason}"))
