"""Notices that the broker cannot keep up, by how late its reactor is, and that it can again.

One late call is no overload: something held the reactor up, which the system monitor names. Overload is that every beat of
its heart comes late for a while. It is over when they have come in time for longer than that, so that it does not come and go.
"""
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from emqtwist.config import OverloadSection
from emqtwist.core import overload
from emqtwist.core.broker import Broker

LOW: Final = 0.5  # share of the threshold below which the reactor is in time again


class Overload:
    """`hold` is called with True when nobody is to be accepted any more, with False when they may come again.

    `begin` tells the broker the time before it is called. `late` is the worst that was seen since it is too late.
    """

    log = Logger()

    def __init__(self, section: OverloadSection, broker: Broker, begin: Callable[[], None], now: Callable[[], float],
                 hold: Callable[[bool], None]) -> None:
        self.section = section
        self._broker = broker
        self._begin = begin
        self._now = now
        self._hold = hold
        self._since: float | None = None  # when it was first too late, or in time again
        self._worst = 0.0

    def beat(self, late: float) -> None:
        """How many seconds a beat came too late."""
        threshold, now = self.section.lag, self._now()
        if self._broker.circle.overloaded:
            self._look_for_the_end(late, threshold, now)
        elif threshold <= 0 or late < threshold:
            self._since = None
        elif self._since is None:
            self._since, self._worst = now, late
        else:
            self._worst = max(self._worst, late)
            if now - self._since >= self.section.time:
                self._start()

    def _look_for_the_end(self, late: float, threshold: float, now: float) -> None:
        if 0 < threshold and late >= LOW * threshold:
            self._since = None
        elif self._since is None:
            self._since = now
        if threshold <= 0 or (self._since is not None and now - self._since >= self.section.calm):
            self._stop()

    def _start(self) -> None:
        self._since = None
        words = f"up to {self._worst * 1000:.0f} ms late for {self.section.time:g} s"
        self.log.critical("the broker is overloaded: {words}; it accepts nobody, slows publishers down and drops QoS 0",
                          words=words)
        self._begin()
        overload.begin(self._broker, words)
        self._hold(True)

    def _stop(self) -> None:
        self._since = None
        self.log.warn("the broker is not overloaded any more")
        self._begin()
        overload.end(self._broker)
        self._hold(False)
