"""The parts of the tree that keep this node among others. Links stay when one of them dies."""
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from emqtwist.cluster.endpoints import NodePort
from emqtwist.cluster.links import TICK, Links
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.nodes import Nodes
from emqtwist.services.part import Part
from emqtwist.services.periodic import Periodic

MEMBERSHIP: Final = "membership"
ROUTER: Final = "router"
LINKS: Final = "links"


class Belonging(Periodic):
    """Sees to which nodes there are: who is looked for, joins, leaves or is down, what their clocks say, who does not answer.

    `first` is called before its start, `begin` tells the broker the time.
    """

    def __init__(self, nodes: Nodes, first: Callable[[], None], begin: Callable[[], None], clock: IReactorTime) -> None:
        super().__init__(MEMBERSHIP, TICK, self._tick, clock)
        self._nodes = nodes
        self._first = first
        self._begin = begin

    def startService(self) -> None:
        self._first()
        super().startService()

    def _tick(self) -> None:
        self._begin()
        self._nodes.tick(self._nodes.cluster.broker.turn.now)


class Routing(Periodic):
    """Tells the other nodes of the routes and sessions here, and sees to what is due between nodes: tables that are to be the
    same, who waits for another node, groups, sessions that move, retained messages.

    What others tell is applied as it comes over their links, in the order in which it was said. `begin` tells the broker the
    time.
    """

    def __init__(self, cluster: Cluster, begin: Callable[[], None], clock: IReactorTime) -> None:
        super().__init__(ROUTER, TICK, self._tick, clock)
        self._cluster = cluster
        self._begin = begin

    def startService(self) -> None:
        super().startService()
        self._cluster.announce(True)

    def stopService(self) -> None:
        self._cluster.announce(False)
        super().stopService()

    def die(self, failure: Failure) -> None:
        if self.running:
            self._cluster.announce(False)
        super().die(failure)

    def _tick(self) -> None:
        self._begin()
        self._cluster.tick(self._cluster.broker.turn.now)


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
    """Dials, takes links, and sees to them. Where it is stopped and has not died, links end."""

    def __init__(self, links: Links, clock: IReactorTime) -> None:
        super().__init__(LINKS, TICK, links.tick, clock)
        self._links = links

    def startService(self) -> None:
        self._links.start()
        super().startService()

    def stopService(self) -> None:
        if self.running:
            self._links.stop()
        super().stopService()
