"""Where nodes connect over the network: the port of this one, and how others are dialled."""
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from emqtwist.cluster.tls import LinkTls
from emqtwist.config import Address
from emqtwist.config.sections.cluster import is_place
from emqtwist.net.address import describe

PATIENCE: Final = 5.0  # seconds for one way to a host


def dialling(reactor: Any, tls: LinkTls | None) -> Callable[[str], IStreamClientEndpoint]:
    """What connects to `host:port`; ValueError where an address is none."""
    def endpoint(address: str) -> IStreamClientEndpoint:
        if not is_place(address):
            raise ValueError("not a host and a port")
        host, _, port = address.rpartition(":")
        plain = HostnameEndpoint(reactor, host.strip("[]"), int(port), PATIENCE)
        return plain if tls is None else wrapClientTLS(tls, plain)

    return endpoint


class TlsDoor(Factory):
    """Has `factory` take connections over TLS. What Twisted has for that would also let in whom `factory` does not take."""

    noisy = False

    def __init__(self, factory: Factory, tls: LinkTls) -> None:
        from twisted.protocols.tls import TLSMemoryBIOFactory
        self._factory = factory
        self._layer = TLSMemoryBIOFactory(tls, False, factory)

    def startFactory(self) -> None:
        self._factory.doStart()

    def stopFactory(self) -> None:
        self._factory.doStop()

    def buildProtocol(self, address: Any) -> Any:
        protocol = self._factory.buildProtocol(address)
        return None if protocol is None else self._layer.protocol(self._layer, protocol)


class NodePort:
    """Where other nodes connect; it outlives the part that listens. `watch` is called when the port is lost."""

    log = Logger()

    def __init__(self, address: Address, factory: Factory, reactor: Any, tls: LinkTls | None) -> None:
        self.watch: Callable[[], object] | None = None
        self._address = address
        self._factory = factory
        self._reactor = reactor
        self._tls = tls
        self._port: Any = None
        factory.stopFactory = self._lost  # type: ignore[method-assign]

    @property
    def number(self) -> int:
        """The port in use, or to be used; one that the system chose stays the same."""
        return self._address.port

    def bind(self) -> None:
        """Take the port, unless it is taken already; CannotListenError when it cannot be had."""
        if self._port is not None:
            return
        host, number = self._address.host, self._address.port
        factory = self._factory if self._tls is None else TlsDoor(self._factory, self._tls)
        self._port = self._reactor.listenTCP(number, factory, interface=host)
        self._address = Address(host, self._port.getHost().port)
        self.log.info("nodes are taken at {address}", address=describe(self._port.getHost()))

    def close(self) -> "Deferred[None]":
        """Give the port back; connections stay."""
        port, self._port = self._port, None
        return maybeDeferred(lambda: None if port is None else port.stopListening())

    def _lost(self) -> None:
        if self._port is not None:
            self._port = None
            if self.watch is not None:
                self.watch()
