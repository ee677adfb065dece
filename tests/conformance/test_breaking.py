"""Lines that obey the standard can be broken, and then a test that is marked with them fails."""
import os
from datetime import date
from pathlib import Path

import pytest

from tests.conformance.breaking import EXAMINED, Trial, chosen, not_tried, trials, wrong
from tests.conformance.copies import Break, Copy, Outcome
from tests.conformance.mutations import Mutation, mutations
from tests.conformance.statements import CHECKOUT
from tests.conformance.traces import Place, places

SEED = int(os.environ.get("SEED", "0")) or date.today().toordinal()


def test_broken_lines_are_noticed_by_all_that_are_marked(tmp_path: Path) -> None:
    assert wrong(tmp_path, chosen(CHECKOUT, 1, 4)) == []


@pytest.mark.sweep
def test_forty_broken_lines_are_noticed_by_all_that_are_marked(tmp_path: Path) -> None:
    assert wrong(tmp_path, chosen(CHECKOUT, SEED, 40)) == [], f"with SEED={SEED}"


def ways() -> dict[Place, list[str]]:
    lines = {place for where in places(CHECKOUT).values() for place in where}
    return {line: [each.what for each in mutations((CHECKOUT / line.path).read_text(), line.line)] for line in sorted(lines)}


def test_every_line_with_a_number_can_be_broken_and_what_is_not_tried_is_still_there() -> None:
    there = ways()
    assert [line for line, whats in there.items() if not whats] == []
    assert not_tried().keys() - {(line.path, what) for line, whats in there.items() for what in whats} == set()
    assert all(not_tried().values())


def lines_of(some: list[Trial]) -> set[Place]:
    return {each.place for trial in some for each in trial.own + trial.others}


def test_a_seed_chooses_the_same_statements_again() -> None:
    first = chosen(CHECKOUT, 7, 40)
    assert [trial.tag for trial in chosen(CHECKOUT, 7, 40)] == [trial.tag for trial in first]
    assert [trial.tag for trial in chosen(CHECKOUT, 8, 40)] != [trial.tag for trial in first]
    assert len(lines_of(first)) >= 40 > len(lines_of(first[:-1]))


def test_all_lines_can_be_chosen() -> None:
    assert len(chosen(CHECKOUT, 1, 100_000)) == len(trials(CHECKOUT))
    assert len(lines_of(trials(CHECKOUT))) > 200


PING = next(trial for trial in trials(CHECKOUT) if trial.tag == "MQTT-3.12.4-1")
BLIND = "tests/unit/mqtt/test_topics.py::test_levels_are_bounded"


def test_a_mark_that_proves_nothing_is_told(tmp_path: Path) -> None:
    pretence = PING._replace(tests=(*PING.tests, BLIND))
    assert wrong(tmp_path, [pretence]) == [f"[MQTT-3.12.4-1] never fails: {BLIND}"]


def test_a_break_that_nobody_notices_is_told(tmp_path: Path) -> None:
    blind = PING._replace(tests=(BLIND,), witnesses=(BLIND,))
    said = wrong(tmp_path, [blind])
    assert [words.partition(":")[0] for words in said] == [*["[MQTT-3.12.4-1] no marked test fails"] * len(PING.own),
                                                           "[MQTT-3.12.4-1] never fails"]


def test_tests_that_fail_before_anything_is_broken_prove_nothing(tmp_path: Path) -> None:
    copy, broken = Copy(tmp_path), PING.own[0]
    copy.check(set(PING.tests))
    (tmp_path / broken.place.path).write_text(broken.mutation.source)
    with pytest.raises(RuntimeError, match="before anything is broken: .*test_"):
        copy.check(set(PING.tests))


@pytest.mark.parametrize(("bound", "seconds", "body"), [
    ("TIMEOUT", 5, "import time\n    time.sleep(600)"),
    ("BUSY", 5, "while True:\n        pass"),
    ("TIMEOUT", 60, "all = [0]\n    while True:\n        all += all"),  # which the bound on memory ends
])
def test_a_test_that_does_not_end_has_failed_and_the_others_still_count(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, seconds: int, body: str) -> None:
    monkeypatch.setattr(f"tests.conformance.copies.{bound}", seconds)
    copy, broken = Copy(tmp_path), PING.own[0]
    hangs = PING.tests[0].partition("::")[0] + "::test_hangs"
    with (tmp_path / PING.tests[0].partition("::")[0]).open("a") as file:
        file.write(f"\n\ndef test_hangs() -> None:\n    {body}\n")
    assert copy.outcome(broken, {hangs, BLIND}).failed == {hangs}


A = Break(Place("emqtwist/a.py", 1), Mutation("a -> b", ""))
B = Break(Place("emqtwist/a.py", 2), Mutation("c -> d", ""))
TWO = "tests/unit/test_it.py::test_two"


def judged(first: Outcome, second: Outcome, *tests: str) -> list[str]:
    return Trial("MQTT-1.1.1-1", (A, B), (), tests, tests).judge({A: first, B: second})


def outcome(*failed: str, cases: tuple[str, ...] = ()) -> Outcome:
    return Outcome(frozenset((*cases, *failed)), frozenset(failed), bool(failed))


def test_each_break_needs_a_test_and_each_test_a_break() -> None:
    one = "tests/unit/test_it.py::test_one"
    assert judged(outcome(one), outcome(TWO), one, TWO) == []
    assert judged(outcome(one), outcome(one), one, TWO) == [f"[MQTT-1.1.1-1] never fails: {TWO}"]
    assert judged(outcome(one), outcome(), one) == ["[MQTT-1.1.1-1] no marked test fails: emqtwist/a.py:2 c -> d"]


def test_cases_that_name_the_statement_are_looked_at_one_by_one() -> None:
    first, second, other = f"{TWO}[[MQTT-1.1.1-1] x]", f"{TWO}[[MQTT-1.1.1-1] y]", f"{TWO}[z]"
    assert judged(outcome(first), outcome(second), TWO) == []
    assert judged(outcome(first), outcome(other, cases=(second,)), TWO) == [f"[MQTT-1.1.1-1] never fails: {second}"]


def test_what_cannot_be_imported_is_noticed_and_proves_no_mark() -> None:
    unimportable = Outcome(frozenset(), frozenset(), True)
    assert judged(unimportable, unimportable, TWO) == [f"[MQTT-1.1.1-1] never fails: {TWO}"]


def test_only_tests_that_run_the_copy_are_tried() -> None:
    assert all(node.startswith(EXAMINED) for trial in trials(CHECKOUT) for node in trial.witnesses)


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
