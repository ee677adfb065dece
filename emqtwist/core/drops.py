"""The last messages that were dropped, for each cause apart: so that those of one do not drive out those of another."""
from collections import deque
from typing import Final

from emqtwist.core.causes import DROPS

LAST: Final = 100  # of each cause
LONGEST: Final = 256  # bytes of a topic, characters of an identifier

Drop = tuple[float, bytes, str, str]  # when (monotonic), its topic, who published it, who does not get it if it was for somebody


class Drops:
    """`by_cause` has the latest last."""

    __slots__ = ("by_cause",)

    def __init__(self) -> None:
        self.by_cause: dict[str, deque[Drop]] = {cause: deque((), LAST) for cause in DROPS}

    def note(self, cause: str, now: float, topic: bytes, publisher: str, client_id: str) -> None:
        self.by_cause[cause].append((now, topic[:LONGEST], publisher[:LONGEST], client_id[:LONGEST]))
