"""Listeners: ports and socket files, and who is connected there."""
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.internet.tcp import Port
from twisted.logger import Logger

from emqtwist.config import Address, AnyListener, PortListener, UnixListener
from emqtwist.core.buckets import Bucket
from emqtwist.net.address import describe
from emqtwist.net.admission import Admission
from emqtwist.net.batching import SocketSet, listen_tcp, listen_unix
from emqtwist.net.entrance import Entrance
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.socketfile import Taken, clear, shortest
from emqtwist.net.tls.layer import TlsFactory

if TYPE_CHECKING:
    from emqtwist.net.websocket.factory import WebSocketFactory

STARTING: Final = "starting"  # why nobody is accepted
TOO_FAST: Final = "too fast"


class Listener:
    """Where MQTT clients connect, and those that did. It outlives the part that listens.

    `layers` stand around `factory`, the outermost last: factories that wrap transports. `outer` is the last, or `factory`
    itself; its `protocols` are all network connections, those in a handshake too. With `sockets` connections are served there,
    without by the reactor's own transport. `watch` is called when the port is lost.
    """

    log = Logger()

    def __init__(self, section: AnyListener, factory: MQTTFactory, reactor: Any, sockets: SocketSet | None = None,
                 layers: Sequence[ServerFactory] = ()) -> None:
        self.section = section
        self.factory = factory
        self.name = section.label
        self.layers: Sequence[Any] = layers
        self.outer: Any = [factory, *layers][-1]
        self.admission = Admission(self.name, section, self._count, factory.turns.broker.metrics)
        self.entrance = Entrance(self.outer, self.admission, reactor, self._lost)
        self.watch: Callable[[], object] | None = None
        self.websocket: WebSocketFactory | None = None  # where it is one of the layers
        self._reactor = reactor
        self._sockets = sockets
        self._port: IListeningPort | None = None
        self._number = section.bind.port if isinstance(section, PortListener) else 0
        self._holds: set[str] = set()  # why nobody is accepted
        self._bucket = Bucket(factory.turns.broker.turn.now)
        self._pause: IDelayedCall | None = None
        self.admission.checks.insert(0, self._pace)

    @property
    def port(self) -> int:
        """The port in use, 0 while there is none; what the system chose when the configuration says 0."""
        return 0 if self._port is None else self._number

    @property
    def is_bound(self) -> bool:
        """Whether who connects is accepted, or held by the system."""
        return self._port is not None

    @property
    def address(self) -> str:
        """Where it listens, or would: `host:port`, or a path."""
        bind = self.section.bind
        return str(Address(bind.host, self._number)) if isinstance(bind, Address) else str(bind)

    def bind(self) -> None:
        """Take the port, unless it is taken already; CannotListenError when it cannot be had.

        One that the system chose stays the same.
        """
        if self._port is None:
            section = self.section
            self._port = self._listen_unix(section) if isinstance(section, UnixListener) else self._listen(section)
            if self._holds:
                cast(Port, self._port).stopReading()
            self.log.info("listening on {listener} at {address}", listener=self.name, address=describe(self._port.getHost()))

    def _listen(self, section: AnyListener) -> IListeningPort:
        assert isinstance(section, PortListener)
        host = section.bind.host
        if self._sockets is None:
            port: Any = self._reactor.listenTCP(self._number, self.entrance, section.backlog, host)
        else:
            port = listen_tcp(self._number, self.entrance, section.backlog, host, self._sockets, (section.nodelay, True))
        self._number = port.getHost().port
        return cast(IListeningPort, port)

    def _listen_unix(self, section: UnixListener) -> IListeningPort:
        path = Path(section.bind.path).absolute()
        try:
            clear(path)
        except Taken as error:
            raise CannotListenError("unix", os.fspath(path), OSError(0, str(error))) from None
        if self._sockets is not None:
            return listen_unix(os.fspath(path), self.entrance, section.backlog, section.mode, self._sockets)
        return cast(IListeningPort, self._reactor.listenUNIX(shortest(path), self.entrance, section.backlog, section.mode))

    def give(self, user: int | None, group: int | None) -> None:
        """Make what lies on disk that of whom this process is about to become."""
        if isinstance(self.section, UnixListener) and (user is not None or group is not None):
            os.chown(self.section.bind.path, -1 if user is None else user, -1 if group is None else group)

    def hold_off(self) -> None:
        """Let the system hold who connects until `accept`."""
        self._holds.add(STARTING)

    def accept(self) -> None:
        """Take those who connect from now on, and those who wait already."""
        if self._port is None:
            self._holds.discard(STARTING)
            self.bind()
        else:
            self.release(STARTING)

    def hold(self, why: str) -> None:
        """Let the system hold who connects until all is released that is held."""
        if not self._holds and self._port is not None:
            cast(Port, self._port).stopReading()
        self._holds.add(why)

    def release(self, why: str) -> None:
        if why in self._holds:
            self._holds.discard(why)
            if not self._holds and self._port is not None:
                cast(Port, self._port).startReading()

    def dismiss(self) -> None:
        """End those who have not come as far as MQTT; the others are told by it."""
        self.entrance.dismiss()
        for layer in self.layers:
            layer.dismiss()

    def close(self) -> Deferred[None]:
        """Give the port back; connections stay."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
            self.release(TOO_FAST)
        port, self._port = self._port, None
        stopped = None if port is None else port.stopListening()
        return succeed(None) if stopped is None else stopped

    def configure(self, section: AnyListener) -> None:
        """Go by the live keys of `section`, for who connects from now on."""
        if isinstance(section, PortListener):
            self.factory.no_delay = section.nodelay
        elif isinstance(section, UnixListener) and section != self.section and self._port is not None:
            os.chmod(section.bind.path, section.mode)
        self.section = self.admission.section = section

    def _pace(self, host: str) -> str:
        """The first check of all refuses nobody. Whoever connects counts for the rate, whether it comes in or not."""
        if not self.factory.turns.reading:
            self.factory.turns.begin()
        wait = self._pay(1)
        if wait and self._pause is None:
            self.hold(TOO_FAST)
            self._pause = self._reactor.callLater(wait, self._go_on)
        return ""

    def _pay(self, connections: int) -> float:
        """How many seconds to wait until so many more connections are within the rate."""
        rate = self.section.connection_rate
        return self._bucket.take(connections, rate, self.factory.turns.broker.turn.now) if rate else 0.0

    def _go_on(self) -> None:
        """Some may have been accepted since, of those that the port had taken already."""
        self.factory.turns.begin()
        wait = self._pay(0)
        self._pause = self._reactor.callLater(wait, self._go_on) if wait else None
        if not wait:
            self.release(TOO_FAST)

    def connections_from(self, source: str) -> int:
        """How many network connections an address has, those in a handshake too."""
        shaking = self.outer.shaking.get(source, 0) if isinstance(self.outer, TlsFactory) else 0
        return self.factory.sources().get(source, 0) + shaking

    def _count(self) -> int:
        return len(self.outer.protocols) + len(self.entrance.waiting)

    def _lost(self) -> None:
        """The port is gone."""
        if self._port is not None:
            self._port = None
            if self.watch is not None:
                self.watch()


class Listeners(dict[str, Listener]):
    """All listeners of a broker, by type and name: `tcp.default`. A name alone is one of TCP."""

    def __missing__(self, name: str) -> Listener:
        if "." in name:
            raise KeyError(name)
        return self[f"tcp.{name}"]
