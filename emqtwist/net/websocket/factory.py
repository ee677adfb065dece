"""WebSocket as a layer between the connections of a listener and MQTT."""
import random
from collections.abc import Callable
from itertools import takewhile
from typing import Any, Final, cast

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.interfaces import IReactorTime

from emqtwist.config import WebSocketRows
from emqtwist.core import causes
from emqtwist.net.address import describe
from emqtwist.net.protocol import MQTTFactory, MQTTProtocol
from emqtwist.net.websocket import terms
from emqtwist.net.websocket.protocol import HEADERS_TOO_LARGE, WebSocket

LATE: Final = 408
CAUSES: Final = {  # of a refusal, by its HTTP status
    terms.NOT_FOUND: causes.WEBSOCKET_PATH, terms.FORBIDDEN: causes.WEBSOCKET_ORIGIN,
    terms.NOT_ACCEPTABLE: causes.WEBSOCKET_PROTOCOL, LATE: causes.WEBSOCKET_TIMEOUT,
    HEADERS_TOO_LARGE: causes.WEBSOCKET_HEADERS,
}


def unheard(peer: str, cause: str, reason: str) -> None:
    """What a factory without a listener does about who is refused."""


class WebSocketFactory(WebSocketServerFactory):
    """Makes a WebSocket for each connection, and of `wrapped` what is in its frames, once hands are shaken.

    `protocols` are all that are open, `opening` is a dict of those that have not shaken hands -> when it is too late. When a
    handshake fails, or takes more than `seconds`, `refuse` is told whose, the cause, and what was wrong.
    """

    noisy = False

    def __init__(self, wrapped: MQTTFactory, section: WebSocketRows, seconds: float, clock: IReactorTime) -> None:
        chance = random.getstate()
        super().__init__(server="", reactor=clock)
        random.setstate(chance)  # Autobahn seeds it for masks that a server does not need; it is the host's
        self.wrapped = wrapped
        self.seconds = seconds
        self.clock = clock
        self.refuse: Callable[[str, str, str], object] = unheard
        self.protocols: dict[WebSocket, None] = {}
        self.opening: dict[WebSocket, float] = {}
        self._pings: dict[WebSocket, float] = {}  # -> when the next one is due, the earliest first
        self.sockets = self._class_of_sockets()
        self.protocol = cast(Any, self.sockets)
        self.configure(section)

    def configure(self, section: WebSocketRows) -> None:
        """Go by `section` from now on."""
        self.section = section
        self.sockets.maxMessagePayloadSize = section.max_message_size

    def _class_of_sockets(self) -> type[WebSocket]:
        """A class whose attributes are Autobahn's options: else each connection has a copy of all thirty."""
        self.setProtocolOptions(
            versions=[13], webStatus=False, utf8validateIncoming=False, tcpNoDelay=self.wrapped.no_delay,
            openHandshakeTimeout=0, closeHandshakeTimeout=0,  # the global reactor's; `tick` and MQTT's factory see to these
            allowNullOrigin=True)  # `terms` decides
        options: dict[str, Any] = {name: getattr(self, name) for name in WebSocketServerFactory.protocol.CONFIG_ATTRS}
        options["perMessageCompressionAccept"] = staticmethod(options["perMessageCompressionAccept"])  # it accepts none
        return type("WebSocket", (WebSocket,), {**options, "CONFIG_ATTRS": ()})

    # What connections tell.

    def begun(self, socket: WebSocket) -> None:
        self.protocols[socket] = None
        self.opening[socket] = self.clock.seconds() + self.seconds

    def refused(self, socket: WebSocket, status: int, reason: str) -> None:
        """Its handshake has failed."""
        cause = CAUSES.get(status, causes.WEBSOCKET_HANDSHAKE)
        self.opening.pop(socket, None)
        self.refuse(describe(socket.transport.getPeer()), cause, reason)

    def entered(self, socket: WebSocket) -> MQTTProtocol:
        """It has shaken hands: what is in its frames."""
        self.opening.pop(socket, None)
        if self.section.ping_interval:
            self._pings[socket] = self.clock.seconds() + self.section.ping_interval
        return cast(MQTTProtocol, self.wrapped.buildProtocol(socket.transport.getPeer()))

    def gone(self, socket: WebSocket) -> None:
        self.protocols.pop(socket, None)
        self.opening.pop(socket, None)
        self._pings.pop(socket, None)

    def dismiss(self) -> None:
        """End the handshakes that are under way."""
        for socket in list(self.opening):
            socket.transport.abortConnection()

    # What time tells.

    def tick(self) -> None:
        """End handshakes that take too long, send the pings that are due; once a second."""
        now = self.clock.seconds()
        for socket in [socket for socket, due in self.opening.items() if due <= now]:
            socket.failHandshake(f"no whole request within {self.seconds:g} s", LATE)
        interval = self.section.ping_interval
        for socket in [*takewhile(lambda socket: self._pings[socket] <= now, self._pings)] if interval else []:
            del self._pings[socket]
            self._pings[socket] = now + interval
            socket.ping()
