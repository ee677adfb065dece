"""Entrance: what the port of a listener calls first."""
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from emqtwist.core.causes import BAD_PROXY_HEADER, NO_PROXY_HEADER
from emqtwist.net.address import describe
from emqtwist.net.admission import Admission
from emqtwist.net.batching import Stream
from emqtwist.net.proxy import Proxied, ProxyParser, ProxyRefused

VERSIONS: Final = {"v1": (1,), "v2": (2,), "any": (1, 2)}


class Entrance(ServerFactory):
    """Who is not admitted gets no further; all others come to `inner`. `deaf` is called when the port is lost.

    Admission is asked when the client's own address is known, before any handshake of `inner`: at once, or where the listener
    is behind a proxy, when the header of the PROXY protocol has told it. `waiting` are those whose header has not come yet.
    """

    noisy = False

    def __init__(self, inner: ServerFactory, admission: Admission, clock: IReactorTime, deaf: Callable[[], object]) -> None:
        self.inner = inner
        self.admission = admission
        self.clock = clock
        self.waiting: dict[HeaderReader, None] = {}
        self._deaf = deaf

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if addr is None or self.admission.section.proxy_protocol == "off":
            return self.enter(addr)
        return HeaderReader(self, addr) if self.admission.admits_sender(addr) else None

    def enter(self, address: IAddress | None) -> Any:
        """The protocol for a client at `address`, None when it is not admitted."""
        return self.inner.buildProtocol(address) if address is None or self.admission.admits(address) else None

    def startFactory(self) -> None:
        self.inner.doStart()

    def stopFactory(self) -> None:
        self.inner.doStop()
        self._deaf()

    def dismiss(self) -> None:
        """End those whose header has not come."""
        for reader in list(self.waiting):
            reader.leave()


class HeaderReader(Protocol):
    """Reads the header of the PROXY protocol, then makes way for the protocol of the client that it tells of."""

    transport: Any

    def __init__(self, entrance: Entrance, sender: IAddress) -> None:
        self._entrance = entrance
        self._sender = sender
        self._versions = VERSIONS[entrance.admission.section.proxy_protocol]
        self._parser = ProxyParser()

    def connectionMade(self) -> None:
        section = self._entrance.admission.section
        self._overdue = self._entrance.clock.callLater(section.proxy_protocol_timeout, self._refuse, NO_PROXY_HEADER)
        self._entrance.waiting[self] = None

    def dataReceived(self, data: bytes) -> None:
        if self not in self._entrance.waiting:
            return  # it is being closed
        try:
            found = self._parser.feed(data)
            if found is not None and self._parser.version not in self._versions:
                raise ProxyRefused("another version")
        except ProxyRefused:
            self._refuse(BAD_PROXY_HEADER)
            return
        if found is not None:
            self._finish()
            self._make_way(self._client(found), found)

    def _client(self, found: Proxied) -> IAddress:
        """Whom the proxy speaks for: itself, where it names nobody."""
        if not found.address:
            return self._sender
        return (IPv6Address if ":" in found.address else IPv4Address)("TCP", found.address, found.port)

    def _make_way(self, client: IAddress, found: Proxied) -> None:
        protocol = self._entrance.enter(client)
        if protocol is None:
            self.transport.abortConnection()
            return
        transport, rest = self.transport, self._parser.rest
        transport.protocol = protocol
        if isinstance(transport, Stream):
            transport.speak_for(cast(Any, client), found)
        else:
            transport.getPeer = lambda: client  # Twisted's own has no other way
            transport.told, transport.certificate = found, found.certificate
        protocol.makeConnection(transport)
        if rest:
            protocol.dataReceived(rest)

    def _refuse(self, cause: str) -> None:
        self._entrance.admission.refuse(describe(self._sender), cause)
        self.leave()

    def leave(self) -> None:
        self._finish()
        self.transport.abortConnection()

    def _finish(self) -> None:
        del self._entrance.waiting[self]
        if self._overdue.active():
            self._overdue.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self in self._entrance.waiting:
            self._finish()
