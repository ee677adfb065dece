"""The parts of the system monitor, and what outlives them."""
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads

from emqtwist.config.sections.sysmon import SysmonSection
from emqtwist.core.connection import Connection
from emqtwist.services.pooler import Pool
from emqtwist.services.supervisor import Child, Supervisor
from emqtwist.services.sysmon.consumers import Consumers, Slow
from emqtwist.services.sysmon.levels import Levels
from emqtwist.services.sysmon.loop import LoopWatch
from emqtwist.services.sysmon.machine import Machine
from emqtwist.services.sysmon.pauses import GcWatch
from emqtwist.services.sysmon.reports import Reports


class Monitor:
    """Makes the supervisor `sysmon`, again whenever it is asked for; `reports` and what is known of slow clients stay.

    Whether the reactor is late is watched if it can be called from threads. `unsent` gives the connections for which bytes
    wait, with how many; `pools` says by name how many jobs wait for a thread; `pool` is one to do work in.
    """

    def __init__(self, reports: Reports, reactor: Any, now: Callable[[], float],
                 unsent: Callable[[], Iterable[tuple[Connection, int]]], pool: Pool, pools: Mapping[str, Callable[[], int]],
                 machine: Machine | None = None) -> None:
        self.reports = reports
        self._reactor = reactor
        self._now = now
        self._unsent = unsent
        self._pool = pool
        self._pools = pools
        self._machine = machine or Machine()
        self._slow: dict[Connection, Slow] = {}

    def configure(self, section: SysmonSection) -> None:
        self.reports.section = section

    def supervisor(self) -> Supervisor:
        children = [Child("gc", self._gc), Child("levels", self._levels), Child("consumers", self._consumers)]
        if IReactorFromThreads.providedBy(self._reactor):
            children.insert(0, Child("loop", self._loop))
        return Supervisor("sysmon", children, self._reactor, intensity=10, period=100.0)

    def _loop(self) -> LoopWatch:
        return LoopWatch(self.reports, self._reactor, self._now)

    def _gc(self) -> GcWatch:
        return GcWatch(self.reports, self._reactor, self._now)

    def _levels(self) -> Levels:
        return Levels(self.reports, self._reactor, self._now, self._machine, self._pool, self._pools)

    def _consumers(self) -> Consumers:
        return Consumers(self.reports, self._reactor, self._now, self._unsent, self._slow)
