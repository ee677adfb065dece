"""Settling: how long a group of the journal waits for acknowledgements, so that what they settle need not be stored."""
from typing import Final

from emqtwist.core.journal import Journal

FEW: Final = 20  # rows that are sent at once: to store them costs little, and their publishers wait
STEP: Final = 0.0005  # seconds between two looks at what has come
LOOKS: Final = 4  # however long the turns between them take, and a commit does not
MOST: Final = 0.02  # seconds that a group waits, however long a commit takes
BRISK: Final = 0.6  # as many rows were settled of late for each that was queued: those of this group will be, too
FADE: Final = 0.8  # what is left, with each group, of the weight of those before it


class Settling:
    """Looks at the group that `journal` collects. `took` is how long the last commit took, in seconds.

    A group of more than a few rows waits while rows are settled between one look and the next, or of late were as fast as
    they were queued. It waits for some looks, and then no longer than a commit takes: storing it would have delayed its
    acknowledgements by as much.
    """

    __slots__ = ("took", "_journal", "_queued", "_settled", "_seen", "_looks", "_until")

    def __init__(self, journal: Journal) -> None:
        self.took = 0.0
        self._journal = journal
        self._queued = self._settled = 0.0  # rows, of late
        self._seen = 0  # rows that were settled at the last look
        self._looks = 0
        self._until = 0.0  # when this group is sent, unless there were too few looks

    def wait(self, now: float) -> float:
        """Seconds until the next look; 0 when the group is to be sent."""
        came = self._journal.settled - self._seen
        self._seen = self._journal.settled
        if not self._looks:
            self._until = now + min(MOST, self.took)
        self._looks += 1
        if self._journal.unsettled() < FEW or not (came or self._settled > BRISK * self._queued):
            return 0.0
        return STEP if self._looks < LOOKS else max(0.0, min(STEP, self._until - now))

    def over(self) -> None:
        """The group is sent, the next one begins."""
        self._looks = self._seen = 0
        self._queued = FADE * self._queued + self._journal.queued
        self._settled = FADE * self._settled + self._journal.settled
