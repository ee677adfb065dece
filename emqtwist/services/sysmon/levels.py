"""Looks once a second at what only rises and falls: memory, descriptors, the processor, jobs that wait for threads."""
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from emqtwist.config.sections.sysmon import AUTO
from emqtwist.services.pooler import Abandoned, Pool, Refused
from emqtwist.services.sysmon.machine import Machine
from emqtwist.services.sysmon.reports import BUSY_CPU, BUSY_POOL, LARGE_HEAP, OPEN_FILES, Reports
from emqtwist.services.sysmon.sampling import Sampling

MINUTE: Final = 60.0  # seconds over which the use of the processor is averaged, and between two lists of descriptors


class Levels(Sampling):
    """`pool` is for what takes long. `pools` maps the name of a thread pool to a function that says how many jobs wait."""

    def __init__(self, reports: Reports, clock: IReactorTime, now: Callable[[], float], machine: Machine, pool: Pool,
                 pools: Mapping[str, Callable[[], int]]) -> None:
        super().__init__(clock)
        self._reports = reports
        self._now = now
        self._machine = machine
        self._pool = pool
        self._pools = pools
        self._large = machine.large()
        self._listed = -MINUTE  # when the descriptors were
        self._used: deque[tuple[float, float]] = deque()  # (now, seconds of the processor)

    def sample(self) -> None:
        self._reports.settle()
        self._look_at_memory()
        self._look_at_descriptors()
        self._look_at_processor()
        for name, waiting in self._pools.items():
            count = waiting()
            self._reports.level(BUSY_POOL, count, self._reports.section.busy_pool, f"{count} jobs wait for a thread", name)

    def _look_at_memory(self) -> None:
        most = self._reports.section.large_heap
        most = self._large if most == AUTO else most
        memory = self._machine.memory()
        self._reports.level(LARGE_HEAP, memory, most, f"{memory} bytes, above {most}")

    def _look_at_descriptors(self) -> None:
        count = self._machine.descriptors()
        if count:
            self._report_descriptors(count)
        elif self._reports.section.open_files and self._now() - self._listed >= MINUTE:
            self._listed = self._now()
            self._pool.submit(self._machine.listed_descriptors).addCallbacks(self._report_descriptors, self._not_listed)

    def _report_descriptors(self, count: int) -> None:
        most = self._machine.most_descriptors()
        self._reports.level(OPEN_FILES, count, self._reports.section.open_files * most, f"{count} of {most} descriptors")

    def _not_listed(self, failure: Failure) -> None:
        failure.trap(Refused, Abandoned)  # the pool is busy, which is told elsewhere, or at its end

    def _look_at_processor(self) -> None:
        """Not before a minute is over."""
        now, used = self._now(), self._machine.cpu()
        self._used.append((now, used))
        while len(self._used) > 1 and now - self._used[1][0] >= MINUTE:
            self._used.popleft()
        then, before = self._used[0]
        if now - then >= MINUTE:
            share = (used - before) / (now - then)
            self._reports.level(BUSY_CPU, share, self._reports.section.busy_cpu, f"{share:.0%} of a processor for a minute")
