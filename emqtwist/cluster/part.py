"""The parts of the tree that keep a node among others. Links stay when one of them dies."""
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from emqtwist.cluster.endpoints import NodePort
from emqtwist.cluster.links import TICK, Links
from emqtwist.services.part import Part
from emqtwist.services.periodic import Periodic

NAME: Final = "links"


class Port(Part):
    """Listens for other nodes while it runs, and dies with its port. Starting raises CannotListenError."""

    def __init__(self, port: NodePort) -> None:
        self._port = port

    def startService(self) -> None:
        self._port.bind()
        super().startService()
        self._port.watch = self._lost

    def stopService(self) -> "Deferred[Any]":
        super().stopService()
        self._port.watch = None
        return self._port.close()

    def _lost(self) -> None:
        self.die(Failure(ConnectionLost("the port for other nodes is lost")))


class Linking(Periodic):
    """Dials, takes links, and sees to them. Where it is stopped and has not died, links end.

    `first` is called before its start.
    """

    def __init__(self, links: Links, first: Callable[[], None], clock: IReactorTime) -> None:
        super().__init__(NAME, TICK, links.tick, clock)
        self._links = links
        self._first = first

    def startService(self) -> None:
        self._first()
        self._links.start()
        super().startService()

    def stopService(self) -> None:
        if self.running:
            self._links.stop()
        super().stopService()
