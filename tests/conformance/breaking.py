"""Breaks lines that obey the standard, one at a time in a copy, and looks which of the tests marked with them fail.

`python -m tests.conformance.breaking SEED COUNT`; the same seed chooses the same statements as long as they are the same. Of a
statement that is chosen all lines are broken, in each way there is. Each break must fail a test of the statement, and each
test marked with it must fail on one break at least. Of a test with cases, those that name the statement are all looked at.
"""
import random
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from tests.conformance.copies import Break, Copy, Outcome
from tests.conformance.mutations import mutations
from tests.conformance.page import Map
from tests.conformance.statements import CHECKOUT, HERE, Statement

EXAMINED: Final = ("tests/unit/", "tests/adapters/")  # tests that run the copy; those with processes run what is installed


class Trial(NamedTuple):
    """A statement, the breaks of lines beside which it stands itself, those of lines of the same in 5.0, and its own tests.

    `witnesses` are the tests that must notice a break of `own`: of the same in 5.0 too.
    """

    tag: str
    own: tuple[Break, ...]
    others: tuple[Break, ...]
    tests: tuple[str, ...]
    witnesses: tuple[str, ...]

    def judge(self, outcomes: dict[Break, Outcome]) -> list[str]:
        """What is wrong, in words."""
        wrong = [f"[{self.tag}] no marked test fails: {each}" for each in self.own if not self._notices(outcomes[each])]
        cases = {case for each in self.own + self.others for case in outcomes[each].cases}
        failed = {case for each in self.own + self.others for case in outcomes[each].failed}
        return wrong + [f"[{self.tag}] never fails: {proof}" for test in self.tests for proof in _proofs(self.tag, test, cases)
                        if not any(case == proof or _test(case) == proof for case in failed)]

    def _notices(self, outcome: Outcome) -> bool:
        if outcome.noticed and not outcome.failed:
            return True  # nothing could be imported
        return any(_test(case) in self.witnesses for case in outcome.failed)


def _test(case: str) -> str:
    return case.partition("[")[0]


def _proofs(tag: str, test: str, cases: set[str]) -> list[str]:
    """The cases of the test that name the statement, the test itself where none does."""
    return sorted([case for case in cases if _test(case) == test and f"[{tag}]" in case]) or [test]


@cache
def not_tried() -> dict[tuple[str, str], str]:
    """(path, what is changed) -> why it is not tried."""
    found: dict[tuple[str, str], str] = {}
    for line in (HERE / "not_tried.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            path, what, why = [field.strip() for field in line.split("|")]
            found[path, what] = why
    return found


@cache
def trials(root: Path) -> list[Trial]:
    """One for each statement that has a line to break and a test to fail, in the order of the standard."""
    found = Map(root)
    every = [_trial(root, found, statement) for statement in found.statements.values()]
    return [trial for trial in every if (trial.own and trial.witnesses) or (trial.others and trial.tests)]


def _trial(root: Path, found: Map, statement: Statement) -> Trial:
    own, tests = _breaks(root, found, (statement.tag,)), _examined(found, (statement.tag,))
    others = _breaks(root, found, statement.same)
    return Trial(statement.tag, own, others if tests else (), tests, tests + _examined(found, statement.same))


def _breaks(root: Path, found: Map, tags: tuple[str, ...]) -> tuple[Break, ...]:
    places = dict.fromkeys([place for tag in tags for place in found.places.get(tag, [])])
    ways = [Break(place, way) for place in places for way in mutations((root / place.path).read_text(), place.line)]
    return tuple([each for each in ways if (each.place.path, each.mutation.what) not in not_tried()])


def _examined(found: Map, tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([node for tag in tags for node in found.marks.get(tag, []) if node.startswith(EXAMINED)])


def chosen(root: Path, seed: int, count: int) -> list[Trial]:
    """Statements by chance, until their lines are `count` or more."""
    found: list[Trial] = []
    lines: set[tuple[str, int]] = set()
    for trial in random.Random(seed).sample(trials(root), len(trials(root))):
        if len(lines) >= count:
            break
        found.append(trial)
        lines |= {each.place for each in trial.own + trial.others}
    return found


def wrong(folder: Path, of: list[Trial]) -> list[str]:
    """What is wrong with these statements, in words. A break that several have is tried once."""
    copy = Copy(folder)
    nodes: dict[Break, set[str]] = {}
    for trial in of:
        for each in trial.own + trial.others:
            nodes.setdefault(each, set()).update(trial.tests, trial.witnesses)
    copy.check({node for some in nodes.values() for node in some})
    outcomes = {each: copy.outcome(each, some) for each, some in nodes.items()}
    return [words for trial in of for words in trial.judge(outcomes)]


def main(seed: int, count: int) -> int:
    of = chosen(CHECKOUT, seed, count)
    with TemporaryDirectory() as folder:
        found = wrong(Path(folder), of)
    tests = {test for trial in of for test in trial.tests}
    lines = {each.place for trial in of for each in trial.own + trial.others}
    said = f"{len(lines)} lines of {len(of)} statements: each break was noticed, each of {len(tests)} marked tests failed."
    print("\n".join(found) or said)
    print(f"The seed was {seed}.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
