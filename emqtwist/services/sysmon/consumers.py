"""Notices clients that do not read what they are sent."""
from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from emqtwist.core.connection import Connection
from emqtwist.services.sysmon.reports import BUSY_PORT, LOW, Reports
from emqtwist.services.sysmon.sampling import Sampling

NAMED: Final = 100  # slow clients with an alarm at a time; the next gets one when another's is over


class Slow:
    """A connection with many unsent bytes, since when, and the name under which it has an alarm, if it has."""

    __slots__ = ("since", "name")

    def __init__(self, since: float) -> None:
        self.since = since
        self.name: str | None = None


class Consumers(Sampling):
    """`unsent` gives the connections for which bytes wait, with how many; `slow` is kept from one Consumers to the next."""

    def __init__(self, reports: Reports, clock: IReactorTime, now: Callable[[], float],
                 unsent: Callable[[], Iterable[tuple[Connection, int]]], slow: dict[Connection, Slow]) -> None:
        super().__init__(clock)
        self._reports = reports
        self._now = now
        self._unsent = unsent
        self._slow = slow

    def sample(self) -> None:
        most, now = self._reports.section.busy_port, self._now()
        sizes = dict(self._unsent()) if most else {}
        for connection, slow in list(self._slow.items()):
            if sizes.get(connection, 0) <= (most if slow.name is None else LOW * most):
                del self._slow[connection]
                if slow.name is not None:
                    self._reports.clear(f"{BUSY_PORT}/{slow.name}")
        named = sum(slow.name is not None for slow in self._slow.values())
        for connection, size in sizes.items():
            if size > most:
                slow = self._slow.setdefault(connection, Slow(now))
                lasts = now - slow.since
                if slow.name is None and lasts >= self._reports.section.busy_port_time and named < NAMED:
                    named += 1
                    slow.name = connection.client_id or connection.peer.text
                    self._reports.busy_port(slow.name, connection.peer.text, f"{size} bytes wait, for {lasts:.0f} s")
