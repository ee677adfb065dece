"""Listeners: services that own a port."""
from typing import cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IReactorTCP
from twisted.internet.tcp import Port
from twisted.logger import Logger

from emqtwist.config import TcpListener
from emqtwist.net.address import describe
from emqtwist.net.batching import SocketSet, listen_tcp
from emqtwist.net.protocol import MQTTFactory


class Listener(Service):
    """A TCP port where MQTT clients connect. Starting raises CannotListenError when the port cannot be had.

    With `sockets` its connections are served there, without by the reactor's own transport.
    """

    log = Logger()

    def __init__(self, section: TcpListener, factory: MQTTFactory, reactor: IReactorTCP,
                 sockets: SocketSet | None = None) -> None:
        self.section = section
        self.factory = factory
        self.setName(f"tcp.{section.name}")
        self._reactor = reactor
        self._sockets = sockets
        self._port: IListeningPort | None = None
        self._open = True

    @property
    def port(self) -> int:
        """The port in use, 0 while there is none; what the system chose when the configuration says 0."""
        return cast(IPv4Address | IPv6Address, self._port.getHost()).port if self._port is not None else 0

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self.bind()

    def startService(self) -> None:
        super().startService()
        self.bind()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        port, self._port = self._port, None
        stopped = None if port is None else port.stopListening()
        return succeed(None) if stopped is None else stopped

    def bind(self) -> None:
        """Take the port, unless it is taken already."""
        if self._port is None:
            bind = self.section.bind
            if self._sockets is None:
                self._port = self._reactor.listenTCP(bind.port, self.factory, self.section.backlog, bind.host)
            else:
                self._port = listen_tcp(bind.port, self.factory, self.section.backlog, bind.host, self._sockets)
            if not self._open:
                self._reading().stopReading()
            self.log.info("listening on {listener} at {address}", listener=self.name, address=describe(self._port.getHost()))

    def hold_off(self) -> None:
        """Take the port all the same, but let the system hold who connects until `accept`."""
        self._open = False

    def accept(self) -> None:
        """Take those who connect from now on, and those who wait already."""
        self._open = True
        if self._port is not None:
            self._reading().startReading()

    def _reading(self) -> Port:
        return cast(Port, self._port)
