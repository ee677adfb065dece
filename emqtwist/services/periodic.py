"""A service that calls something again and again, and survives its failures."""
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure


class Periodic(Service):
    """Calls `function` every `interval` seconds of `clock`. What it raises is logged; the loop goes on."""

    log = Logger()

    def __init__(self, name: str, interval: float, function: Callable[[], None], clock: IReactorTime) -> None:
        self.setName(name)
        self.interval = interval
        self._function = function
        self._clock = clock
        self._loop: LoopingCall | None = None

    def startService(self) -> None:
        super().startService()
        self._begin()

    def stopService(self) -> None:
        super().stopService()
        loop, self._loop = self._loop, None
        if loop is not None and loop.running:
            loop.stop()

    def _begin(self) -> None:
        self._loop = LoopingCall(self._function)
        self._loop.clock = self._clock
        ended = self._loop.start(self.interval, now=False)
        ended.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("{name} failed, and goes on", failure, name=self.name)
        if self.running:
            self._begin()
