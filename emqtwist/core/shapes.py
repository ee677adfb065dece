"""The shapes of Topic Filters: how many levels they have, and which of them are wildcards.

There may be a million filters of a few shapes. What a filter of a shape would have to be to match a Topic Name can be written
down, and looked up: with few shapes that takes fewer steps, and far fewer places in memory, than a walk through a trie.
"""
from typing import Final

from emqtwist.core.subscriber import Subscriber, Subscription

Held = Subscription | dict[Subscriber, Subscription]  # of one filter

FEW: Final = 4  # more would cost as much as the trie


class Shape:
    """`depth` levels, `pluses` those of them that are `+`, then `#` or not; `count` filters have it.

    `tail` is the wildcard of a shape that has only one, in its last level, which `slashes` precede; else it is empty.
    """

    __slots__ = ("count", "depth", "pluses", "hash", "slashes", "tail", "begins")

    def __init__(self, pattern: bytes) -> None:
        levels = pattern.split(b"/")
        self.count = 0
        self.slashes = len(levels) - 1
        self.hash = levels[-1] == b"#"
        self.depth = self.slashes if self.hash else self.slashes + 1
        self.pluses = [at for at in range(self.depth) if levels[at] == b"+"]
        self.begins = levels[0] != b""
        self.tail = b""
        if not self.pluses or (not self.hash and self.pluses == [self.slashes]):
            self.tail = levels[-1]

    def filter_for(self, topic_name: bytes, slashes: int) -> bytes:
        """The filter of this shape that matches a Topic Name with so many slashes; empty when none can."""
        if slashes < self.depth - 1 or (slashes >= self.depth and not self.hash):
            return b""
        levels = topic_name.split(b"/", self.depth)[:self.depth]
        for at in self.pluses:
            levels[at] = b"+"
        if self.hash:
            levels.append(b"#")
        return b"/".join(levels)


class Shapes:
    """The shapes of all filters; `few` is empty when there are too many."""

    __slots__ = ("few", "_by_pattern")

    def __init__(self) -> None:
        self.few: list[Shape] = []
        self._by_pattern: dict[bytes, Shape] = {}

    def add(self, topic_filter: bytes) -> None:
        pattern = _pattern(topic_filter)
        shape = self._by_pattern.get(pattern)
        if shape is None:
            shape = self._by_pattern[pattern] = Shape(pattern)
            self._choose()
        shape.count += 1

    def remove(self, topic_filter: bytes) -> None:
        pattern = _pattern(topic_filter)
        shape = self._by_pattern[pattern]
        shape.count -= 1
        if not shape.count:
            del self._by_pattern[pattern]
            self._choose()

    def _choose(self) -> None:
        self.few = list(self._by_pattern.values()) if len(self._by_pattern) <= FEW else []


def matching(shapes: list[Shape], topic_name: bytes, table: dict[bytes, Held]) -> list[Held]:
    """What a table of Topic Filters of these shapes holds for those that match a Topic Name."""
    slashes = topic_name.count(b"/")
    head = topic_name[:topic_name.rfind(b"/") + 1]
    found: list[Held] = []
    for shape in shapes:
        if shape.tail and slashes == shape.slashes:
            held = table.get(head + shape.tail)
        else:
            held = table.get(shape.filter_for(topic_name, slashes))
        if held is not None and not (shape.begins and topic_name[:1] == b"$"):  # [MQTT-4.7.2-1]
            found.append(held)
    return found


def _pattern(topic_filter: bytes) -> bytes:
    """The filter without what stands in its other levels."""
    return b"/".join([level if level == b"+" or level == b"#" else b"" for level in topic_filter.split(b"/")])
