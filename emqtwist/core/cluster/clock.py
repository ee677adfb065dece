"""A clock that orders what nodes write: wall time as far as that goes, and always later than what a node has heard of.

A stamp is milliseconds since 1970 in all but the last 16 bits, which count. A clock that hears of a later stamp goes on from
there; one that lies far ahead does not draw it along, or one node with a wrong clock would set those of all others for good.
"""
from typing import Final
from zlib import crc32

from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn

COUNTER: Final = 16  # bits
AHEAD: Final = 3600.0  # seconds that a stamp may be ahead of the clock on the wall
MOST: Final = 1 << 62  # no stamp is as large


def stamp_at(wall: float) -> int:
    """The first stamp of a moment."""
    return max(0, int(wall * 1000)) << COUNTER


class Clock:
    """Of one node; `last` is the highest stamp it gave or heard of. Where there is a journal, that knows how wall time runs, else
    `offset` does: wall time less monotonic time.

    A process may end before the store has what it told others. The counts of the next one, which has another `incarnation`, begin
    elsewhere, so that it hardly gives the same stamp to something else although the clock was set back.
    """

    __slots__ = ("last", "offset", "_turn", "_journal", "_begin", "_given")

    def __init__(self, turn: Turn, journal: Journal | None, incarnation: str) -> None:
        self.last = 0
        self.offset = 0.0
        self._given = 0
        self._begin = crc32(incarnation.encode()) % (1 << COUNTER - 1)
        self._turn = turn
        self._journal = journal

    def wall(self) -> float:
        """What the clock on the wall shows."""
        return self._turn.now + (self.offset if self._journal is None else self._journal.offset)

    def stamp(self, after: int = 0) -> int:
        """A stamp for what is written now, in place of what has the stamp `after`: it is higher."""
        wall = self.wall()
        first = stamp_at(wall) + self._begin
        if not first <= self.last < stamp_at(wall + AHEAD):
            self.last = first
        else:
            self.last += 1 if self.last == self._given else 1 + self._begin
        self._given = self.last
        return self.last if self.last > after else after + 1 + self._begin

    def hear(self, stamp: int) -> bool:
        """Another node gave this stamp; whether that may be. If not, its clock or this one is wrong, and it is not followed."""
        if self.is_ahead(stamp):
            return False
        self.last = max(self.last, stamp)
        return True

    def is_ahead(self, stamp: int) -> bool:
        """Whether no clock that is right can have given this stamp."""
        return stamp > stamp_at(self.wall() + AHEAD)
