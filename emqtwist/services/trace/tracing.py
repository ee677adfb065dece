"""The part that sees to one trace: it has written to its file what waits, and ends it in time."""
from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from emqtwist.core.link import nobody
from emqtwist.services.part import Part
from emqtwist.services.trace.trace import Trace

DELAY: Final = 0.2  # seconds in which lines for a file come together
AGAIN: Final = 1.0  # seconds before what no thread has taken is offered again


class Keeping(Protocol):
    """What `traces.Traces` offers: it is told what becomes of traces."""

    def gone(self, trace: Trace) -> None: ...
    def lost(self, trace: Trace, why: str) -> None: ...
    def written(self) -> None: ...


class Tracing(Part):
    """While it is down, lines wait in the trace as far as there is room, and the next one takes them."""

    def __init__(self, trace: Trace, traces: Keeping, clock: IReactorTime, now: Callable[[], float]) -> None:
        self._trace = trace
        self._traces = traces
        self._clock = clock
        self._now = now
        self._end: IDelayedCall | None = None
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        rest = max(0.0, self._trace.until - self._now())
        self._end = self._clock.callLater(rest, self._trace.end, "its time is over")
        self._trace.wake = self.go_on
        self.go_on()

    def stopService(self) -> None:
        super().stopService()
        self._let_go()

    def die(self, failure: Failure) -> None:
        self._let_go()
        super().die(failure)

    def _let_go(self) -> None:
        if self._trace.wake == self.go_on:
            self._trace.wake = nobody
        for call in (self._end, self._next):
            if call is not None and call.active():
                call.cancel()
        self._end = self._next = None

    def go_on(self) -> None:
        """There is something to do. This is said in the midst of what is traced, so it is done later."""
        self._call(0.0 if self._trace.over else DELAY)

    def _call(self, delay: float) -> None:
        if self.running and self._next is None:
            self._next = self._clock.callLater(delay, self._step)

    def _step(self) -> None:
        self._next = None
        self.guard(self._see_to)

    def _see_to(self) -> None:
        trace, file = self._trace, self._trace.file
        if file is None or file.failed:
            if trace.over:
                self._traces.gone(trace)
        elif not file.busy:
            if not file.waits:
                file.put(trace.take())
            if file.waits:
                file.write(self._written)
            elif trace.over:
                self._traces.gone(trace)

    def _written(self, tried: bool) -> None:
        """This part may be dead by now; then there is another one to wake."""
        file = self._trace.file
        if file is not None and file.failed:
            self._traces.lost(self._trace, file.failed)
        elif tried:
            self._traces.written()
        if not tried and self.running:
            self._call(AGAIN)
        else:
            self._trace.wake()
