"""One virtual time for all: what is to happen is a queue, and what happened a log.

Of what is due at the same time anything may come first: a draw of the seed decides. Times are whole tenths of milliseconds, so
that much is due at the same time.
"""
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

TICKS = 10_000  # in a second
FAULT = "!"  # how a line of the log about a fault begins
OPTIONS = {  # of the command: a field of Loads each
    "takeover": "persistent clients come back at any node", "retained": "messages are retained, and deleted",
    "shared": "clients share subscriptions", "pauses": "hosts stop for a while, and go on",
    "stops": "nodes are stopped as an operator does it, and started again", "anew": "clients give up their sessions at times",
    "expiry": "messages expire", "wills": "clients have Wills, and go and come back in all ways"}


class Found(AssertionError):
    """A guarantee does not hold; `words` occur in the lines of the log that are about it."""

    def __init__(self, what: str, *words: str) -> None:
        super().__init__(what)
        self.words = words


@dataclass(frozen=True)
class Loads:
    """What clients do, and what fails; see OPTIONS."""

    takeover: bool = False
    retained: bool = False
    shared: bool = False
    pauses: bool = False
    stops: bool = False
    anew: bool = False
    expiry: bool = False
    wills: bool = False
    crashes: bool = True
    partitions: bool = True

    def told(self) -> str:
        """How the command is told that this is not what it does by itself."""
        options = " ".join(f"--{name}" for name in OPTIONS if getattr(self, name))
        return f' ARGS="{options}"' if options else ""


class Call:
    """Something that is to happen at `at`; as Twisted has it, it can be cancelled, and is over then, or when it has happened."""

    def __init__(self, at: float, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self.at = at
        self.function = function
        self.arguments = arguments
        self.is_over = False

    def cancel(self) -> None:
        self.is_over = True

    def active(self) -> bool:
        return not self.is_over

    def getTime(self) -> float:
        return self.at


class World:
    """`now` is virtual time in seconds; `random` decides all that is not said; `log` has what happened, in lines."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.log: list[str] = []
        self._ticks = 0
        self._count = 0
        self._queue: list[tuple[int, float, int, Call]] = []

    def later(self, delay: float, function: Callable[..., object], *arguments: object) -> Call:
        """Have it called `delay` seconds from now."""
        ticks = self._ticks + (max(1, round(delay * TICKS)) if delay > 0 else 0)
        self._count += 1
        call = Call(ticks / TICKS, function, arguments)
        heappush(self._queue, (ticks, self.random.random(), self._count, call))
        return call

    def run(self, seconds: float) -> None:
        """Let all happen that is due within that time."""
        end = self._ticks + round(seconds * TICKS)
        while self._queue and self._queue[0][0] <= end:
            self._ticks, _, _, call = heappop(self._queue)
            self.now = self._ticks / TICKS
            if not call.is_over:
                call.is_over = True
                call.function(*call.arguments)
        self._ticks = end
        self.now = end / TICKS

    def say(self, who: str, what: str) -> None:
        self.log.append(f"{self.now:9.4f}  {who:<6}  {what}")

    def fault(self, what: str) -> None:
        self.say(FAULT, what)

    def between(self, shortest: float, longest: float) -> float:
        """A time between these, more often a short one."""
        return shortest + (longest - shortest) * self.random.random() ** 3


def timeline(log: list[str], words: tuple[str, ...], most: int = 400) -> str:
    """The lines that are about these words, and all faults; at most so many, the last ones."""
    lines = [line for line in log if line[11:12] == FAULT or any(word in line for word in words)]
    left_out = len(lines) - most
    return "\n".join(([f"({left_out} lines before)"] if left_out > 0 else []) + lines[-most:])
