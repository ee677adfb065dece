"""Python's garbage collector, in a process that is a broker and nothing else.

A full collection looks at every object that there is: with many connections, sessions and queued messages it stops the
broker for longer and longer. Here every object that has outlived a second is taken out of what is looked at (`gc.freeze`), so
a collection looks at no more than what is new, and its pause does not grow with what is kept.

Objects are freed as ever when the last reference to them goes. What is not found any more is a circle of references that
outlived a second before it was dropped: so the end of a connection or a session has to leave none.
"""
import gc
from typing import Final

from twisted.internet.interfaces import IReactorTime

from emqtwist.services.periodic import Periodic

PERIOD: Final = 1.0  # seconds
YOUNG: Final = 5_000  # objects more than before at which the youngest are looked at
MIDDLE: Final = 4  # times that, and those that survived are looked at again: some 20 ms at the most
NEVER: Final = 1_000_000_000  # times that, and all would be


class Collector(Periodic):
    """Sets the collector up while it runs, and leaves it as it was."""

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__("collector", PERIOD, self._settle, clock)
        self._before = gc.get_threshold()

    def startService(self) -> None:
        self._before = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        super().startService()

    def stopService(self) -> None:
        gc.set_threshold(*self._before)
        gc.unfreeze()
        super().stopService()

    def _settle(self) -> None:
        """Collect what is young, then take all that is left out of later collections."""
        gc.collect(1)
        gc.freeze()
