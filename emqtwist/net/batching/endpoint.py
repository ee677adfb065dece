"""The engine as an endpoint of Twisted's: for the other protocols of a program, as its TCP endpoints are."""
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from emqtwist.net.batching.port import listen_tcp
from emqtwist.net.batching.sockets import SocketSet, can_batch


class Apart:
    """The batches of protocols that write by themselves."""

    def open(self) -> None:
        """Nothing begins with it."""

    def close(self) -> None:
        """Nothing has waited for it."""


@implementer(IStreamServerEndpoint)
class BatchingServerEndpoint:
    """Listens at TCP `port` of `interface`, an IP address; what connects is served in batches, from a set of its own.

    Where the reactor has none (`can_batch`) it is as Twisted's own endpoints are. `options` are TCP_NODELAY and SO_KEEPALIVE of
    the connections.
    """

    def __init__(self, reactor: Any, port: int, backlog: int = 50, interface: str = "",
                 options: tuple[bool, bool] = (False, False)) -> None:
        self._reactor = reactor
        self._place = port, backlog, interface
        self._options = options

    def listen(self, protocolFactory: IProtocolFactory) -> "Deferred[IListeningPort]":
        """The port; fails with CannotListenError."""
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: Any) -> IListeningPort:
        port, backlog, interface = self._place
        if can_batch(self._reactor):
            return listen_tcp(port, factory, backlog, interface, SocketSet(self._reactor, Apart()), self._options)
        made: IListeningPort = self._reactor.listenTCP(port, factory, backlog, interface)
        return made
