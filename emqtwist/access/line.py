"""A line of those who wait for one of some places. Who comes next is served in order, and a few at a time."""
from collections import OrderedDict
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

AT_ONCE: Final = 10  # that get a place before the reactor serves others again: what follows for each is some milliseconds at most


class Line:
    """`places` are taken by those who `enter`, once what that gives has fired, until they `leave`.

    Who waits is cancelled to go away. However many leave in one turn of the reactor, no more than AT_ONCE follow in it.
    """

    def __init__(self, places: int, clock: IReactorTime) -> None:
        self._free = places
        self._left = AT_ONCE  # of this turn
        self._clock = clock
        self._called = False
        self._serving = False
        self._waiting: OrderedDict[Deferred[None], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self) -> "Deferred[None]":
        if self._free and self._left and not self._waiting:
            self._take()
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.pop)
        self._waiting[waiting] = None
        return waiting

    def leave(self) -> None:
        self._free += 1
        self._serve()

    def _take(self) -> None:
        self._free -= 1
        self._left -= 1
        if not self._called:
            self._called = True
            self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        """The next one."""
        self._called = False
        self._left = AT_ONCE
        self._serve()

    def _serve(self) -> None:
        """Those who leave at once leave in here, and would stand on each other's stack."""
        if self._serving:
            return
        self._serving = True
        while self._free and self._left and self._waiting:
            waiting, _ = self._waiting.popitem(last=False)
            self._take()
            waiting.callback(None)
        self._serving = False
