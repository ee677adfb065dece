"""Log lines that many can cause: one of a kind in a while, and then how many more there were."""
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Sparing(Generic[K]):
    """Counts by kind since `take` was last called. There are as many kinds as the caller makes: let them be few."""

    def __init__(self) -> None:
        self._untold: dict[K, int] = {}

    def is_first(self, kind: K) -> bool:
        """Whether this is the first of its kind, which is to be told; the others are counted."""
        if kind in self._untold:
            self._untold[kind] += 1
            return False
        self._untold[kind] = 0
        return True

    def take(self) -> list[tuple[K, int]]:
        """Kinds of which there were more than the first, and how many more. From here on the next is the first again."""
        untold, self._untold = self._untold, {}
        return [(kind, count) for kind, count in untold.items() if count]
