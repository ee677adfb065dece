"""How long a regular expression may take: the engine of `re` goes back, and a client may choose what it goes back on.

An expression is taken apart with the parser of `re`, and for each repeat and each choice it is counted in how many ways it can
be passed by a text of so many characters. Steps times ways is a bound of what the engine does. A repeat of what cannot be the
character behind it, as in `[^/]+/`, can be passed in one way only.
"""
import re
from collections.abc import Sequence
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final

STEPS: Final = 200_000  # some milliseconds at the most
SHORTEST: Final = 64  # characters: an expression that is not fit for so many is refused
LONGEST: Final = 65_535  # no topic is longer

CATEGORIES: Final = {
    op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_SPACE: r"\s", op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w", op.CATEGORY_NOT_WORD: r"\W"}
ONE: Final = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)  # what takes one character
REPEATS: Final = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)

Node = tuple[Any, Any]
Nodes = Sequence[Node]


def longest(expression: str) -> int:
    """For how many characters STEPS are enough. ValueError where they are not for SHORTEST; re.error for no expression."""
    if steps(expression, SHORTEST) > STEPS:
        raise ValueError("the expression could take too long on a topic that a client makes up; let it begin with ^, write "
                         "[^/]+ for a level, and repeat nothing that repeats or has a choice")
    low, high = SHORTEST, LONGEST
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if steps(expression, middle) <= STEPS else (low, middle - 1)
    return low


def steps(expression: str, length: int) -> int:
    """At most so many are taken on a text of `length` characters; said of no more than STEPS."""
    parsed = _parser.parse(expression)
    nodes: list[Node] = list(parsed)
    plain = not parsed.state.flags & (re.IGNORECASE | re.MULTILINE | re.ASCII)  # none changes what a character or ^ means
    total, _ = _Bound(length, plain).sequence(nodes, None)
    anchored = plain and nodes and nodes[0] in ((op.AT, op.AT_BEGINNING), (op.AT, op.AT_BEGINNING_STRING))
    return total + length if anchored else total * (length + 1)


class _Bound:
    """Steps and ways, both no more than 1 above STEPS: more need not be counted."""

    def __init__(self, length: int, plain: bool) -> None:
        self._length = length
        self._plain = plain

    def sequence(self, nodes: Nodes, follows: int | None) -> tuple[int, int]:
        """`follows` is the character that has to come behind them, None where that is not known."""
        total, ways = 0, 1
        for place, node in enumerate(nodes):
            behind = follows if place == len(nodes) - 1 else _first(nodes[place + 1:])
            more, choices = self._node(node, behind)
            total, ways = _least(total + ways * more), _least(ways * choices)
        return total, ways

    def _node(self, node: Node, follows: int | None) -> tuple[int, int]:
        kind, value = node
        if kind in ONE or kind is op.AT:
            return 1, 1
        if kind is op.SUBPATTERN:
            _, added, removed, inner = value
            if added or removed:
                raise ValueError("flags for a part of the expression are not supported here")
            return self.sequence(inner, follows)
        if kind is op.ATOMIC_GROUP:
            return self.sequence(value, None)[0], 1
        if kind is op.BRANCH:
            each = [self.sequence(one, follows) for one in value[1]]
            return _least(1 + sum(more for more, _ in each)), _least(sum(ways for _, ways in each))
        if kind in REPEATS:
            return self._repeat(kind, value, follows)
        raise ValueError("look-around, back-references and conditions are not supported here: their time has no bound")

    def _repeat(self, kind: object, value: Any, follows: int | None) -> tuple[int, int]:
        """Each number of times is a way, and each way to pass what is repeated so often is another."""
        least, most, inner = value
        most = min(int(most), max(self._length, least))
        more, ways = self.sequence(inner, None)
        if ways == 1:
            total, choices = more * (most + 1) + 1, most - least + 1
        else:
            choices = _geometric(ways, most)
            total = choices * (more + 1)
        settled = kind is op.POSSESSIVE_REPEAT or (follows is not None and self._plain and not _may_take(inner, follows))
        return (_least(total + choices), 1) if settled else (_least(total), _least(choices))  # what follows is tried each time


def _geometric(ways: int, most: int) -> int:
    """1 + ways + ways ** 2 ..., as far as it is of interest."""
    total = power = 1
    for _ in range(most):
        power *= ways
        total += power
        if total > STEPS:
            break
    return total


def _least(number: int) -> int:
    return min(number, STEPS + 1)


def _first(nodes: Nodes) -> int | None:
    """The character that they begin with; None where it may be one of several, or none."""
    kind, value = nodes[0]
    if kind is op.SUBPATTERN and value[3]:
        return _first(value[3])
    return int(value) if kind is op.LITERAL else None


def _may_take(inner: Nodes, character: int) -> bool:
    """Whether a repeat of `inner` may pass `character`; said of single characters, as `[^/]`, else it may."""
    if len(inner) != 1:
        return True
    kind, value = inner[0]
    if kind is op.SUBPATTERN and not value[1] and not value[2]:
        return _may_take(value[3], character)
    if kind is op.LITERAL:
        return bool(value == character)
    if kind is op.NOT_LITERAL:
        return bool(value != character)
    if kind is not op.IN:
        return True
    negated = value[0][0] is op.NEGATE
    return any(_has(item, character) for item in value[negated:]) is not negated


def _has(item: Node, character: int) -> bool:
    kind, value = item
    if kind is op.RANGE:
        return bool(value[0] <= character <= value[1])
    if kind is op.CATEGORY:
        return re.match(CATEGORIES[value], chr(character)) is not None
    return bool(value == character)
