"""Notices that the reactor comes late to what is due, and what held it up.

In the reactor a heart beats; how late a beat comes is how late everything is. A thread of its own looks whether a beat is
overdue, and while one is, it notes where the reactor's thread is. The thread wakes a few times a second and looks at a number;
nothing else is done as long as all beats come in time. What it has noted when the beat comes is what held it up. If no beat
comes at all, the thread itself says so in the log.
"""
from collections import Counter
from collections.abc import Callable
from math import inf
from sys import _current_frames
from threading import Event, Thread, get_ident
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.services.part import Part
from emqtwist.services.sysmon.frames import blame
from emqtwist.services.sysmon.reports import LONG_SCHEDULE, Reports

BEATS: Final = 6  # in the time that is too late: what holds up for that time and one beat is never missed
SUSPICION: Final = 0.5  # of that time, after which the reactor's thread is looked at
LONGEST: Final = 1.0  # seconds between two beats or looks, so that another threshold is soon heeded
SHORTEST: Final = 0.001  # seconds between two looks
STUCK: Final = 5.0  # seconds without a beat after which the thread says so
NOTHING: Final = "unknown"
NOT_RUN: Final = "nothing was called: the process was not run, or another thread kept the interpreter"


class LoopWatch(Part):
    """One heart and its thread. `threaded` says that `look` is called from a thread, else whoever tests it calls it."""

    log = Logger()

    def __init__(self, reports: Reports, reactor: Any, now: Callable[[], float], threaded: bool = True) -> None:
        self._reports = reports
        self._reactor = reactor
        self._now = now
        self._threaded = threaded
        self._watched = 0  # the reactor's thread
        self._due = inf
        self._told = 0.0  # the beat that the thread has complained of
        self._seen: list[tuple[float, str]] = []  # the beat that was overdue, and where the thread was
        self._next: IDelayedCall | None = None
        self._stopped = Event()

    def startService(self) -> None:
        """The heart beats as soon as the reactor calls: what comes before that is not late."""
        super().startService()
        self._stopped = Event()
        self._next = self._reactor.callLater(0, self._begin)

    def _begin(self) -> None:
        if not self.running:
            return  # it was killed, and is not stopped yet
        self._watched = get_ident()
        self._schedule()
        if self._threaded:
            Thread(target=self._watch, args=[self._stopped], name="sysmon", daemon=True).start()

    def stopService(self) -> None:
        super().stopService()
        self._due = inf
        self._stopped.set()
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _schedule(self) -> None:
        pause = min(self._reports.section.long_schedule / BEATS or LONGEST, LONGEST)
        self._due = self._now() + pause
        self._next = self._reactor.callLater(pause, self._beat)

    def _beat(self) -> None:
        if not self.running:
            return  # it was killed, and is not stopped yet
        try:
            late, threshold = self._now() - self._due, self._reports.section.long_schedule
            self._reports.beat(late)
            if 0 < threshold < late:
                self._report(late, [place for due, place in self._seen if due == self._due])
            self._seen = []
            self._schedule()
        except Exception:
            self.die(Failure())

    def _report(self, late: float, places: list[str]) -> None:
        words = f"{late * 1000:.0f} ms late"
        found = [place for place in places if place]
        if not found:
            self._reports.event(LONG_SCHEDULE, NOTHING, f"{words}; {NOT_RUN}")
            return
        [(place, times)] = Counter(found).most_common(1)
        who, _, inside = place.partition(", in ")
        words += f", seen there {times} times of {len(places)}"
        self._reports.event(LONG_SCHEDULE, who, f"{words}, in {inside}" if inside else words)

    # The other thread.

    def _watch(self, stopped: Event) -> None:
        try:
            while not stopped.wait(self.look()):
                pass
        except Exception:
            self._reactor.callFromThread(self.die, Failure())

    def look(self) -> float:
        """Note where the reactor's thread is if its beat is overdue; how many seconds until the next look."""
        threshold = self._reports.section.long_schedule
        due = self._due
        overdue = self._now() - due
        wait = threshold * SUSPICION - overdue
        if threshold <= 0 or wait > 0:
            return max(SHORTEST, min(wait, LONGEST)) if threshold > 0 else LONGEST
        place = blame(_current_frames()[self._watched])
        self._seen.append((due, place))
        if overdue > STUCK and self._told != due:
            self._told = due
            self.log.critical("the broker has stood still for {seconds} s, at {place}", seconds=int(overdue),
                              place=place or NOTHING)
        return min(max(threshold, overdue) / BEATS, LONGEST)
