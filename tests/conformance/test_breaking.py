"""Lines that obey the standard can be broken, and then a test that is marked with them fails."""
import os
from datetime import date
from pathlib import Path

import pytest

from tests.conformance.breaking import Break, Copy, breaks, chosen, not_tried, unnoticed
from tests.conformance.mutations import mutations
from tests.conformance.statements import CHECKOUT
from tests.conformance.traces import Place, places

SEED = int(os.environ.get("SEED", "0")) or date.today().toordinal()


def test_a_few_broken_lines_are_noticed(tmp_path: Path) -> None:
    assert unnoticed(tmp_path, 1, 4) == []


@pytest.mark.sweep
def test_forty_broken_lines_are_noticed(tmp_path: Path) -> None:
    assert unnoticed(tmp_path, SEED, 40) == [], f"with SEED={SEED}"


def ways() -> dict[Place, list[str]]:
    lines = {place for where in places(CHECKOUT).values() for place in where}
    return {line: [each.what for each in mutations((CHECKOUT / line.path).read_text(), line.line)] for line in sorted(lines)}


def test_every_line_with_a_number_can_be_broken_and_what_is_not_tried_is_still_there() -> None:
    there = ways()
    assert [line for line, whats in there.items() if not whats] == []
    assert not_tried().keys() - {(line.path, what) for line, whats in there.items() for what in whats} == set()
    assert all(not_tried().values())


def test_a_seed_chooses_the_same_lines_again() -> None:
    first = chosen(CHECKOUT, 7, 40)
    assert [str(each) for each in chosen(CHECKOUT, 7, 40)] == [str(each) for each in first]
    assert len({each.place for each in first}) == 40
    assert [str(each) for each in chosen(CHECKOUT, 8, 40)] != [str(each) for each in first]


def test_a_test_that_notices_nothing_is_told(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    broken = next(each for of_line in breaks(CHECKOUT).values() for each in of_line if each.tag == "MQTT-3.12.4-1")
    assert copy.notices(broken)
    blind = Break(broken.place, broken.tag, broken.mutation, ("tests/unit/mqtt/test_topics.py::test_levels_are_bounded",))
    assert not copy.notices(blind)
    (tmp_path / broken.place.path).write_text(broken.mutation.source)
    with pytest.raises(RuntimeError, match="before anything is broken"):
        copy.check(set(broken.tests))


# Mutations.

def changes(source: str, line: int = 1) -> list[str]:
    return [each.what for each in mutations(source, line)]


@pytest.mark.parametrize(("source", "line", "wanted"), [
    ("raise ValueError", 1, ["raise ValueError -> pass"]),
    ("go()", 1, ["go() -> pass"]),
    ("del a[0]", 1, ["del a[0] -> pass"]),
    ("a.b = c", 1, ["a.b = c -> pass"]),
    ("a = c", 1, ["a = c: c -> None"]),
    ("a += 1", 1, ["a += 1 -> pass", "a += 1: 1 -> 2"]),
    ("if a == 1:\n    go()", 1, ["if a == 1: -> if not a == 1:", "if a == 1:: a == 1 -> a != 1", "if a == 1:: 1 -> 2"]),
    ("if a:\n    go()", 2, ["go() -> pass"]),
    ("while a:\n    go()", 1, ["while a:: a -> False"]),
    ("for a in b:\n    go()", 1, ["for a in b:: b -> ()"]),
    ("def f():\n    return", 2, ["return -> pass"]),
    ("def f():\n    return min(a, b)", 2, ["return min(a, b): min(a, b) -> max(a, b)", "return min(a, b) -> return None"]),
    ("a = b and not c", 1, ["a = b and (not c): b and (not c) -> b or not c", "a = b and (not c): not c -> c"]),
    ("a = list(reversed(b))", 1, ["a = list(reversed(b)): reversed(b) -> b"]),
    ("a = b if c else d", 1, ["a = b if c else d: b if c else d -> d if c else b"]),
    ("a = b | c", 1, ["a = b | c: b | c -> b"]),
    ("a = True", 1, ["a = True: True -> False"]),
    ("a = b'xy'", 1, ["a = b'xy': b'xy' -> b'yy'"]),
    ("A = {\n    1: x,\n    2: y,\n}", 3, ["A = {1: x, 2: y}: {1: x, 2: y} -> {1: x}", "A = {1: x, 2: y}: 2 -> 3"]),
    ("A = (\n    x,\n    y,\n)", 2, ["A = (x, y): (x, y) -> (y,)"]),
])
def test_a_line_is_broken_in_these_ways(source: str, line: int, wanted: list[str]) -> None:
    assert changes(source, line) == wanted
    assert all(each.source != source for each in mutations(source, line))


def test_where_there_is_no_statement_nothing_can_be_broken() -> None:
    with pytest.raises(ValueError, match="no statement in line 2"):
        mutations("a = 1\n", 2)
