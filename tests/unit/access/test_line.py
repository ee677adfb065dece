"""A line of those who wait for a place."""
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from emqtwist.access.line import AT_ONCE, Line


class Reactor:
    """Calls in the next turn what was to be called later."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def callLater(self, delay: float, function: Callable[[], None]) -> None:
        assert delay == 0
        self._calls.append(function)

    def turn(self) -> None:
        calls, self._calls = self._calls, []
        for each in calls:
            each()


class Crowd:
    """Enters a line; `inside` are the numbers of those who got a place, in order."""

    def __init__(self, places: int) -> None:
        self.reactor = Reactor()
        self.line = Line(places, cast(IReactorTime, self.reactor))
        self.inside: list[int] = []

    def come(self, *numbers: int, stays: bool = True) -> None:
        for number in numbers:
            self.line.enter().addCallback(self._enter, number, stays)

    def _enter(self, _: None, number: int, stays: bool) -> None:
        self.inside.append(number)
        if not stays:
            self.line.leave()


def test_who_finds_a_place_has_it_at_once_and_others_in_order() -> None:
    crowd = Crowd(2)
    crowd.come(1, 2, 3, 4)
    assert crowd.inside == [1, 2]
    crowd.line.leave()
    assert crowd.inside == [1, 2, 3]
    crowd.come(5)  # behind who waits
    crowd.line.leave()
    assert crowd.inside == [1, 2, 3, 4]
    assert len(crowd.line) == 1


def test_a_few_get_a_place_in_one_turn_however_many_there_are() -> None:
    crowd = Crowd(1000)
    found = []
    crowd.come(*range(2 * AT_ONCE + 1), stays=False)
    for _ in range(4):
        found.append(len(crowd.inside))
        crowd.reactor.turn()
    assert found == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1, 2 * AT_ONCE + 1]
    assert crowd.inside == list(range(2 * AT_ONCE + 1))
    crowd.come(1, 2)
    assert len(crowd.inside) == 2 * AT_ONCE + 3


def test_who_goes_away_does_not_get_a_place() -> None:
    crowd = Crowd(1)
    crowd.come(1)
    waiting = crowd.line.enter()
    gone: list[bool] = []
    waiting.addErrback(lambda failure: gone.append(failure.check(CancelledError) is not None))
    crowd.come(2)
    waiting.cancel()
    crowd.line.leave()
    assert (crowd.inside, gone) == ([1, 2], [True])


def test_many_may_leave_before_they_have_done_anything() -> None:
    """As when thousands have gone away by the time of their turn: each must not stand on the stack of the one before."""
    crowd = Crowd(1)
    crowd.come(0)
    crowd.come(*range(1, 5000), stays=False)
    crowd.line.leave()
    while len(crowd.line):
        crowd.reactor.turn()
    assert len(crowd.inside) == 5000
