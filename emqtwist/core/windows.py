"""Counting what comes too often, for more keys than there is room for: who came first is forgotten first."""
from collections import OrderedDict
from typing import Final

MOST: Final = 100_000  # keys


class Window:
    """How often a key came since the window `began`."""

    __slots__ = ("began", "count")

    def __init__(self, began: float) -> None:
        self.began = began
        self.count = 0


class Windows:
    """One window for each key, the one that began first is the first. A window begins with the key, or when the last is over."""

    __slots__ = ("_windows", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._windows: OrderedDict[str, Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def count(self, key: str, now: float, length: float) -> int:
        """Count `key` once more; how often it came in its window of `length` seconds."""
        window = self._windows.get(key)
        if window is None or now - window.began >= length:
            self._windows.pop(key, None)
            self._forget(now, length)
            window = self._windows[key] = Window(now)
        window.count += 1
        return window.count

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    def _forget(self, now: float, length: float) -> None:
        """Two at most, those that are over or too many: more go than come, and none of it takes long."""
        for _ in range(2):
            if not self._windows:
                return
            key = next(iter(self._windows))
            if len(self._windows) < self._most and now - self._windows[key].began < length:
                return
            del self._windows[key]
