"""Notices long runs of Python's garbage collector. Its settings are left as they are."""
import gc
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from emqtwist.services.sysmon.reports import LONG_GC, Reports
from emqtwist.services.sysmon.sampling import Sampling


class GcWatch(Sampling):
    """Measures each run, in whatever thread it is, and reports the longest of a second."""

    def __init__(self, reports: Reports, clock: IReactorTime, now: Callable[[], float]) -> None:
        super().__init__(clock)
        self._reports = reports
        self._now = now
        self._begun = 0.0
        self._longest = 0.0
        self._words = ""

    def startService(self) -> None:
        super().startService()
        gc.callbacks.append(self._ran)

    def stopService(self) -> None:
        super().stopService()
        if self._ran in gc.callbacks:
            gc.callbacks.remove(self._ran)

    def _ran(self, phase: str, details: dict[str, Any]) -> None:
        """In the midst of anything: only to be noted."""
        if phase == "start":
            self._begun = self._now()
            return
        took = self._now() - self._begun
        if took > self._longest:
            self._longest = took
            self._words = f"generation {details['generation']}, {details['collected']} objects freed"

    def sample(self) -> None:
        longest, self._longest = self._longest, 0.0
        threshold = self._reports.section.long_gc
        if 0 < threshold < longest:
            self._reports.event(LONG_GC, "broker", f"{longest * 1000:.0f} ms, {self._words}")
