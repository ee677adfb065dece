"""Topic Filters as sets of topics: what contains another, what overlaps it, and what placeholders stand for.

As in matching, a wildcard in the first level selects no topic that begins with `$`.
"""
from typing import Final

from emqtwist.core.who import Asker
from emqtwist.mqtt.topics import is_wildcard, split

ALL: Final = [b"#"]
MARKS: Final = (b"c", b"u", b"a", b"C")


def varies(topic_filter: bytes) -> bool:
    """Whether it has placeholders."""
    for mark in MARKS:
        if b"%" + mark in topic_filter:
            return True
    return False


def levels_of(topic_filter: bytes) -> list[bytes]:
    """`+/#` selects what `#` does, and is taken for it."""
    levels = split(topic_filter)
    return ALL if levels == [b"+", b"#"] else levels


def fill(levels: list[bytes], asker: Asker, allow: bool) -> list[bytes] | None:
    """`levels` with what is known of the asker put in for `%c`, `%u`, `%a` and `%C`.

    None where that is missing; for a rule that allows, also where it could mean more than itself.
    """
    filled: list[bytes] = []
    for level in levels:
        parts = level.split(b"%")
        text = parts[0]
        for part in parts[1:]:
            mark = part[:1]
            if mark not in MARKS:
                text += b"%" + part
                continue
            value = asker.value(mark)
            if value is None or (allow and not is_word(value)):
                return None
            text += value + part[1:]
        filled.append(text)
    if allow and filled[0][:1] == b"$" and levels[0][:1] != b"$":
        return None  # the broker's own
    return filled


def is_word(value: bytes) -> bool:
    """Whether it can only be a part of a level: no wildcard, and no more levels."""
    return not (is_wildcard(value) or b"/" in value)


def contains(outer: list[bytes], inner: list[bytes]) -> bool:
    """Whether every topic that `inner` selects is one that `outer` selects."""
    if inner[0][:1] == b"$" and is_wildcard(outer[0]):
        return False
    depth = 0
    for level in outer:
        if level == b"#":
            return True  # the parent level too
        if depth == len(inner) or inner[depth] == b"#":
            return False
        if level != b"+" and level != inner[depth]:
            return False
        depth += 1
    return depth == len(inner)


def overlaps(one: list[bytes], other: list[bytes]) -> bool:
    """Whether there is a topic that both select."""
    if (one[0][:1] == b"$" and is_wildcard(other[0])) or (other[0][:1] == b"$" and is_wildcard(one[0])):
        return False
    for depth in range(min(len(one), len(other))):
        mine, theirs = one[depth], other[depth]
        if mine == b"#" or theirs == b"#":
            return True
        if mine != theirs and mine != b"+" and theirs != b"+":
            return False
    longer = one if len(one) > len(other) else other
    shorter = min(len(one), len(other))
    return len(one) == len(other) or longer[shorter] == b"#"  # `a/#` selects `a`
