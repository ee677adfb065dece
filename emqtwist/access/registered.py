"""Who was registered by the program to be asked, beside those that the configuration names."""
from collections.abc import Iterator
from typing import Generic, TypeVar

from emqtwist.access.stage import Bounded

A = TypeVar("A", bound=Bounded)


class Registered(Generic[A]):
    """In the order in which they are asked: higher `seq` come first, of equals the one registered last."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, A]] = []

    def __iter__(self) -> Iterator[A]:
        return iter([each for _, each in self._entries])

    def add(self, each: A, seq: int) -> None:
        place = len([other for other, _ in self._entries if other > seq])
        self._entries.insert(place, (seq, each))

    def remove(self, name: str) -> bool:
        """Close the one of this name; whether it was there."""
        found = [entry for entry in self._entries if entry[1].name == name]
        for entry in found:
            self._entries.remove(entry)
            entry[1].close()
        return bool(found)

    def before(self) -> list[A]:
        """Those before what the configuration names, which has 0, and comes behind those who have the same."""
        return [each for seq, each in self._entries if seq >= 0]

    def behind(self) -> list[A]:
        return [each for seq, each in self._entries if seq < 0]
