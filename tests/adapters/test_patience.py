"""Waiting for many with one timer."""
from twisted.internet.task import Clock

from emqtwist.net.patience import Patience


class Room:
    def __init__(self) -> None:
        self.clock = Clock()
        self.late: list[tuple[float, str]] = []
        self.patience: Patience[str] = Patience(self.clock, 10.0, self._late)

    def _late(self, one: str) -> None:
        self.late.append((self.clock.seconds(), one))

    def advance(self, seconds: float) -> None:
        """In small steps."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)


def test_each_has_its_time_and_one_timer_does_for_all() -> None:
    room = Room()
    for name in "abc":
        room.patience.add(name)
        room.advance(3)
    assert len(room.clock.getDelayedCalls()) == 1
    room.patience.discard("b")
    room.patience.discard("nobody")
    room.advance(30)
    assert room.late == [(10.0, "a"), (16.0, "c")]
    assert (len(room.patience), room.clock.getDelayedCalls()) == (0, [])


def test_without_anybody_there_is_no_timer() -> None:
    room = Room()
    room.patience.add("a")
    room.patience.discard("a")
    assert room.clock.getDelayedCalls() == []


def test_who_comes_later_may_have_less_time() -> None:
    room = Room()
    room.patience.add("a")
    room.patience.seconds = 2.0
    room.patience.add("b")
    room.advance(20)
    assert room.late == [(2.0, "b"), (10.0, "a")]


def test_the_end_of_one_may_be_that_of_another() -> None:
    room = Room()
    ends: list[str] = []

    def end(one: str) -> None:
        ends.append(one)
        for each in "ab":
            patience.discard(each)
        if one != "c":
            patience.add("c")

    patience: Patience[str] = Patience(room.clock, 1.0, end)
    patience.add("a")
    patience.add("b")
    room.advance(5)
    assert ends == ["a", "c"]
