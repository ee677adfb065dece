"""Listeners: ports, and who is connected there."""
from collections.abc import Callable
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IReactorTCP
from twisted.internet.tcp import Port
from twisted.logger import Logger

from emqtwist.config import TcpListener
from emqtwist.net.address import describe
from emqtwist.net.admission import Admission
from emqtwist.net.batching import SocketSet, listen_tcp
from emqtwist.net.protocol import MQTTFactory


class Listener:
    """A TCP port where MQTT clients connect, and those that did. It outlives the part that listens.

    With `sockets` its connections are served there, without by the reactor's own transport. `watch` is called when the port
    is lost.
    """

    log = Logger()

    def __init__(self, section: TcpListener, factory: MQTTFactory, reactor: IReactorTCP,
                 sockets: SocketSet | None = None) -> None:
        self.section = section
        self.factory = factory
        self.name = factory.door.name
        self.admission = Admission(self.name, section, self._count, factory.turns.broker.metrics)
        self.watch: Callable[[], object] | None = None
        self._reactor = reactor
        self._sockets = sockets
        self._port: IListeningPort | None = None
        self._number = section.bind.port
        self._held = False
        factory.deaf = self._lost
        factory.admits = self.admission.admits

    @property
    def port(self) -> int:
        """The port in use, 0 while there is none; what the system chose when the configuration says 0."""
        return cast(IPv4Address | IPv6Address, self._port.getHost()).port if self._port is not None else 0

    def bind(self) -> None:
        """Take the port, unless it is taken already; CannotListenError when it cannot be had.

        One that the system chose stays the same.
        """
        if self._port is None:
            host, backlog = self.section.bind.host, self.section.backlog
            if self._sockets is None:
                self._port = self._reactor.listenTCP(self._number, self.factory, backlog, host)
            else:
                self._port = listen_tcp(self._number, self.factory, backlog, host, self._sockets,
                                        (self.section.nodelay, True))
            self._number = self.port
            if self._held:
                cast(Port, self._port).stopReading()
            self.log.info("listening on {listener} at {address}", listener=self.name, address=describe(self._port.getHost()))

    def hold_off(self) -> None:
        """Let the system hold who connects until `accept`."""
        self._held = True

    def accept(self) -> None:
        """Take those who connect from now on, and those who wait already."""
        held, self._held = self._held, False
        if self._port is None:
            self.bind()
        elif held:
            cast(Port, self._port).startReading()

    def close(self) -> Deferred[None]:
        """Give the port back; connections stay."""
        port, self._port = self._port, None
        stopped = None if port is None else port.stopListening()
        return succeed(None) if stopped is None else stopped

    def configure(self, section: TcpListener) -> None:
        """Go by the live keys of `section`, for who connects from now on."""
        self.section = self.admission.section = section

    def _count(self) -> int:
        return len(self.factory.protocols)

    def _lost(self) -> None:
        """The factory has no port any more."""
        if self._port is not None:
            self._port = None
            if self.watch is not None:
                self.watch()
