"""What the broker counts."""
from emqtwist.core.causes import DROPS


class Metrics:
    """Counters; `drops` by cause of `causes.DROPS`, `ends` of connections by cause."""

    __slots__ = ("drops", "ends", "connects")

    def __init__(self) -> None:
        self.drops: dict[str, int] = dict.fromkeys(DROPS, 0)
        self.ends: dict[str, int] = {}
        self.connects = 0

    def drop(self, cause: str, count: int = 1) -> None:
        self.drops[cause] += count

    def end(self, cause: str) -> None:
        self.ends[cause] = self.ends.get(cause, 0) + 1
