"""Entrance: what the port of a listener calls first."""
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory


class Entrance(ServerFactory):
    """Who is not admitted gets no further; all others come to `inner`. `deaf` is called when the port is lost.

    It is asked when the client's own address is known, before any handshake of `inner`.
    """

    noisy = False

    def __init__(self, inner: ServerFactory, admits: Callable[[IAddress], bool], deaf: Callable[[], object]) -> None:
        self.inner = inner
        self._admits = admits
        self._deaf = deaf

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self.inner.buildProtocol(addr) if addr is None or self._admits(addr) else None

    def startFactory(self) -> None:
        self.inner.doStart()

    def stopFactory(self) -> None:
        self.inner.doStop()
        self._deaf()
