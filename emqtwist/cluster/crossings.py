"""Crossings: the bridges of a broker with their ways, and the part that each of them has below the supervisor `bridges`."""
from collections.abc import Callable
from math import inf
from typing import Final

from twisted.internet.defer import Deferred, DeferredLock, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.cluster.bridging import Crossing, Leading
from emqtwist.core.bridges.bridge import Bridge
from emqtwist.core.bridges.bridges import Bridges
from emqtwist.core.bridges.terms import BadBridge, BridgeTerms
from emqtwist.net.turns import Turns
from emqtwist.services.supervisor import Child, Supervisor

FIRST: Final = 15.0  # seconds until a bridge that is started has to lead somewhere


class Crossings:
    """`bridges` has the bridges, `ways` how each gets to its node, by name; `make` makes one."""

    log = Logger()

    def __init__(self, bridges: Bridges, make: Callable[[Bridge], Crossing], turns: Turns, clock: IReactorTime) -> None:
        self.bridges = bridges
        self.ways: dict[str, Crossing] = {}
        self._make = make
        self._turns = turns
        self._clock = clock
        self._lock = DeferredLock()
        self._supervisor: Supervisor | None = None
        bridges.settle = self._changed

    def supervisor(self) -> Supervisor:
        """A fresh one, with the bridges that there are now."""
        self._supervisor = Supervisor("bridges", [self._child(way) for way in self.ways.values()], self._clock, intensity=inf)
        return self._supervisor

    async def start(self, terms: BridgeTerms) -> Bridge:
        """One more, once it leads to its node; BadBridge when it does not."""
        self._turns.begin()
        bridge = self.bridges.start(terms)
        try:
            problem = await self.ways[terms.name].tried.addTimeout(FIRST, self._clock)
        except TimeoutError:
            problem = "nothing was heard in time"
        if problem:
            await self.stop(bridge)
            raise BadBridge(f"{{cannot_connect_node,{terms.node}}}: {problem}")
        return bridge

    async def stop(self, bridge: Bridge) -> None:
        """Take it down, and drop what waits for it."""
        self._turns.begin()
        self.bridges.stop(bridge)
        await self._lock.run(self._settled)

    def _changed(self) -> None:
        """There is a bridge more or less."""
        for name, bridge in self.bridges.known.items():
            if name not in self.ways or self.ways[name].bridge is not bridge:
                self.ways[name] = self._make(bridge)
        settled: Deferred[None] = self._lock.run(self._settled)
        settled.addErrback(self._failed)

    def _settled(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._settle())

    async def _settle(self) -> None:
        for name in [name for name in self.ways if name not in self.bridges.known]:
            del self.ways[name]
        supervisor = self._supervisor
        if supervisor is None:
            return
        for name in [name for name in supervisor.rows if name not in self.ways]:
            self._turns.flush()  # the other node is told, while there is a link
            await supervisor.remove(name)
        for name, way in list(self.ways.items()):
            if name not in supervisor.rows:
                await supervisor.add(self._child(way))

    def _child(self, way: Crossing) -> Child:
        return Child(way.bridge.terms.name, lambda: Leading(way))

    def _failed(self, failure: Failure) -> None:
        self.log.failure("bridges could not be started or stopped", failure)
