"""A part that calls something again and again."""
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from emqtwist.services.part import Part


class Periodic(Part):
    """Calls `function` every `interval` seconds of `clock`. What it raises is its death.

    Not a LoopingCall: that installs the global reactor, which may be another than the one in use.
    """

    def __init__(self, name: str, interval: float, function: Callable[[], None], clock: IReactorTime) -> None:
        self.setName(name)
        self.interval = interval
        self._function = function
        self._clock = clock
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._next = self._clock.callLater(self.interval, self._call)

    def stopService(self) -> None:
        super().stopService()
        self._cancel()

    def die(self, failure: Failure) -> None:
        """From here on nothing is called, also while the next one has to wait for its start."""
        self._cancel()
        super().die(failure)

    def _cancel(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    def _call(self) -> None:
        self._next = self._clock.callLater(self.interval, self._call)
        self.guard(self._function)
