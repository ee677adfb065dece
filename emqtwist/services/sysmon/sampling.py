"""A part that looks at something once a second."""
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from emqtwist.services.part import Part

PERIOD: Final = 1.0  # seconds


class Sampling(Part):
    """Calls its `sample` every `PERIOD` seconds, and dies of what that raises."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._next = self._clock.callLater(PERIOD, self._call)

    def stopService(self) -> None:
        super().stopService()
        if self._next is not None and self._next.active():
            self._next.cancel()

    def sample(self) -> None:
        raise NotImplementedError

    def _call(self) -> None:
        if not self.running:
            return  # it was killed, and is not stopped yet
        self._next = self._clock.callLater(PERIOD, self._call)
        try:
            self.sample()
        except Exception:
            self.die(Failure())
