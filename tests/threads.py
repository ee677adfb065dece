"""Threads that do nothing until a test says so, and a clock that hears from them."""
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock


def at_once(function: Callable[..., Any], *arguments: object) -> "Deferred[Any]":
    """A thread that is none."""
    done: Deferred[Any] = Deferred()
    try:
        done.callback(function(*arguments))
    except Exception:
        done.errback()
    return done


class ThreadedClock(Clock):
    """A clock that can be called from threads; here they are none, so that is at once."""

    def callFromThread(self, function: Callable[..., object], *arguments: Any) -> None:
        function(*arguments)


class HeldThreads:
    """Holds what is to run in a thread; `run_one` runs the oldest."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.held: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self.started = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def callInThread(self, func: Callable[..., object], /, *args: object) -> None:
        assert self.started
        self.held.append((func, args))

    def adjustPoolsize(self, minthreads: int, maxthreads: int) -> None:
        assert minthreads == 0
        self.size = maxthreads

    def run_one(self) -> None:
        function, arguments = self.held.pop(0)
        function(*arguments)

    def run_all(self) -> None:
        while self.held:
            self.run_one()
