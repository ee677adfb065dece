"""What falls due when, for as many keys as there are clients."""
from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Deadlines(Generic[Key]):
    """Keys that fall due, in seconds on the caller's clock; no timer inside. Keys due at one time are compared."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []  # stale entries wait to be popped

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: Key) -> bool:
        return key in self._due

    def due(self, key: Key) -> float | None:
        """When it falls due; None when it does not."""
        return self._due.get(key)

    def set(self, key: Key, due: float) -> None:
        """Let `key` fall due then, instead of when it would have."""
        self._due[key] = due
        heappush(self._heap, (due, key))
        self._sweep()

    def clear(self, key: Key) -> float:
        """Let `key` not fall due; when it would have, infinity if it would not."""
        due = self._due.pop(key, inf)
        if due != inf:
            self._sweep()
        return due

    def take(self, now: float, most: int = 0) -> list[Key]:
        """Remove and return the keys due by `now`, earliest first; `most` of them at most, unless that is 0."""
        taken: list[Key] = []
        while self._heap and self._heap[0][0] <= now and (not most or len(taken) < most):
            due, key = heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                taken.append(key)
        return taken

    def _sweep(self) -> None:
        if len(self._heap) > 2 * len(self._due) + 64:  # stale ones never outgrow the live
            self._heap = [(due, key) for key, due in self._due.items()]
            heapify(self._heap)
