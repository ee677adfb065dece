"""The bound of steps that `config.expressions` counts, beside a matcher that goes back on everything and counts its steps."""
import re
from collections.abc import Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emqtwist.config.expressions import STEPS, steps

CHARACTERS = st.sampled_from(["a", "b", "/", ".", "[^/]", "[^a]", "[ab]", r"\w", r"\W", "[a-b/]"])
PIECES = st.recursive(CHARACTERS, lambda inner: st.one_of(
    st.tuples(inner, inner).map("".join), st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
    st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,3}", "*?", "+?"])).map(lambda two: f"({two[0]}){two[1]}")), max_leaves=6)
EXPRESSIONS = st.tuples(st.sampled_from(["", "^"]), PIECES, st.sampled_from(["", "/", "$", "a", "/b$"])).map("".join)
TEXTS = st.text("ab/", max_size=9) | st.tuples(st.sampled_from("ab/"), st.integers(0, 9)).map(lambda two: two[0] * two[1] + "\n")


class TooMany(Exception):
    pass


class Matcher:
    """Finds every way in which `text` can be passed, so that no engine that goes back takes more steps."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps = 0

    def search(self, expression: str) -> bool:
        nodes = list(_parser.parse(expression))
        return sum(self.ways(nodes, start) for start in range(len(self.text) + 1)) > 0

    def ways(self, nodes: list[Any], start: int) -> int:
        return len(list(self.ends(nodes, start)))

    def ends(self, nodes: list[Any], at: int) -> Iterator[int]:
        if not nodes:
            yield at
            return
        for end in self.node(nodes[0], at):
            yield from self.ends(nodes[1:], end)

    def node(self, node: Any, at: int) -> Iterator[int]:
        kind, value = node
        if kind is op.SUBPATTERN:
            yield from self.ends(list(value[3]), at)
        elif kind is op.BRANCH:
            self.step()
            for one in value[1]:
                yield from self.ends(list(one), at)
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            yield from self.repeat(value[0], value[1], value[2], at)
        else:
            self.step()
            yield from self.single(kind, value, at)

    def repeat(self, least: int, most: int, inner: Any, at: int) -> Iterator[int]:
        if least <= 0:
            yield at
        if most > 0:
            for end in self.ends(list(inner), at):
                if end > at or least > 0:
                    yield from self.repeat(least - 1, most - 1, inner, end)

    def single(self, kind: Any, value: Any, at: int) -> Iterator[int]:
        if kind is op.AT:
            ending = (len(self.text), len(self.text) - self.text.endswith("\n"))
            if at == 0 if value is op.AT_BEGINNING else at in ending:
                yield at
        elif at < len(self.text) and self.takes(kind, value, self.text[at]):
            yield at + 1

    def takes(self, kind: Any, value: Any, character: str) -> bool:
        if kind is op.LITERAL:
            return bool(ord(character) == value)
        if kind is op.NOT_LITERAL:
            return bool(ord(character) != value)
        if kind is op.ANY:
            return character != "\n"
        negated = value[0][0] is op.NEGATE
        return any(self.has(item[0], item[1], character) for item in value[negated:]) is not negated

    def has(self, kind: Any, value: Any, character: str) -> bool:
        if kind is op.RANGE:
            return bool(value[0] <= ord(character) <= value[1])
        if kind is op.CATEGORY:
            return character.isalnum() is (value is op.CATEGORY_WORD)
        return bool(ord(character) == value)

    def step(self) -> None:
        self.steps += 1
        if self.steps > 10 * STEPS:
            raise TooMany


@given(EXPRESSIONS, TEXTS)
def test_no_more_steps_are_taken_than_the_bound_says(expression: str, text: str) -> None:
    bound = steps(expression, len(text))
    if bound > STEPS:
        return  # refused for such a length
    matcher = Matcher(text)
    found = matcher.search(expression)
    assert matcher.steps <= bound
    assert found == (re.search(expression, text) is not None)  # it counts what the expression means
