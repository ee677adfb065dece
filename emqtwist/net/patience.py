"""Waiting for many with one timer."""
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")


class Patience(Generic[T]):
    """Those who have `seconds` each for something; `late` is called with each who was not taken out in time."""

    def __init__(self, clock: IReactorTime, seconds: float, late: Callable[[T], None]) -> None:
        self.seconds = seconds
        self._late = late
        self._clock = clock
        self._due: dict[T, float] = {}
        self._look: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._due)

    def all(self) -> list[T]:
        """Those who have time still."""
        return list(self._due)

    def add(self, one: T) -> None:
        """`one` has `seconds` from now on, as they are now; again, if it was here already."""
        due = self._due[one] = self._clock.seconds() + self.seconds
        if self._look is None or self._look.getTime() > due:
            self._look_at(due)

    def discard(self, one: T) -> None:
        """It is done, or gone."""
        if self._due.pop(one, None) is not None and not self._due and self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_at(self, due: float) -> None:
        if self._look is not None:
            self._look.cancel()
        self._look = self._clock.callLater(max(due - self._clock.seconds(), 0.0), self._end_overdue)

    def _end_overdue(self) -> None:
        self._look = None
        now = self._clock.seconds()
        for one in [one for one, due in self._due.items() if due <= now]:
            if self._due.pop(one, None) is not None:  # the end of another may have taken it out
                self._late(one)
        if self._due and self._look is None:
            self._look_at(min(self._due.values()))
