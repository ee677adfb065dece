"""Breaks lines that obey the standard, one at a time in a copy, and looks whether a test that is marked with them fails.

`python -m tests.conformance.breaking SEED COUNT`; the same seed breaks the same lines as long as they are the same.
"""
import os
import random
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from tests.conformance.mutations import Mutation, mutations
from tests.conformance.statements import CHECKOUT, HERE
from tests.conformance.traces import Place, marks, places

EXAMINED: Final = ("tests/unit/", "tests/adapters/")  # tests that run the copy; those with processes run what is installed
TIMEOUT: Final = 60  # seconds; a line that is broken may loop for ever


class Break(NamedTuple):
    """One line, one of the statements beside it, one way to break it, and the tests of the statement."""

    place: Place
    tag: str
    mutation: Mutation
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place.path}:{self.place.line} [{self.tag}] {self.mutation.what}"


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
def breaks(root: Path) -> dict[Place, list[Break]]:
    """The breaks of each line, in the order of the lines."""
    tests = marks(root)
    found: dict[Place, list[Break]] = {}
    for place, tags in _tags(root).items():
        ways = mutations((root / place.path).read_text(), place.line)
        ways = [way for way in ways if (place.path, way.what) not in not_tried()]
        for tag in tags:
            examined = tuple([node for node in tests.get(tag, []) if node.startswith(EXAMINED)])
            if examined and ways:
                found.setdefault(place, []).extend([Break(place, tag, way, examined) for way in ways])
    return found


def _tags(root: Path) -> dict[Place, list[str]]:
    """The statements beside each line, in the order of the lines."""
    found: dict[Place, list[str]] = {}
    for tag, where in places(root).items():
        for place in where:
            found.setdefault(place, []).append(tag)
    return dict(sorted(found.items()))


def chosen(root: Path, seed: int, count: int) -> list[Break]:
    """Up to `count` breaks, each of another line."""
    chance = random.Random(seed)
    of_line = breaks(root)
    return [chance.choice(of_line[line]) for line in chance.sample(list(of_line), min(count, len(of_line)))]


class Copy:
    """A copy of the package and its tests under `folder`, to break and to mend again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        skipped = shutil.ignore_patterns("__pycache__", "node_modules", "integration")
        for name in ("emqtwist", "tests"):
            shutil.copytree(CHECKOUT / name, folder / name, ignore=skipped)
        shutil.copy(CHECKOUT / "pyproject.toml", folder)

    def notices(self, broken: Break) -> bool:
        """Whether one of the tests fails on the broken line."""
        module = self.folder / broken.place.path
        whole = module.read_text()
        module.write_text(broken.mutation.source)
        try:
            return self._run(broken.tests) != ""
        except subprocess.TimeoutExpired:
            return True
        finally:
            module.write_text(whole)

    def check(self, nodes: set[str]) -> None:
        """Raise unless these tests pass on the copy as it is."""
        said = self._run(tuple(sorted(nodes)))
        if said:
            raise RuntimeError(f"the tests fail before anything is broken: {said}")

    def _run(self, nodes: tuple[str, ...]) -> str:
        """What pytest said, empty when all passed."""
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "--no-header", "--assert=plain", "-p", "no:twisted", *nodes]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        environment.pop("EMQTWIST_SWEEP", None)
        run = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
        return "" if run.returncode == 0 else run.stdout + run.stderr


def unnoticed(folder: Path, seed: int, count: int) -> list[str]:
    """The breaks of this seed that no marked test noticed."""
    copy, broken = Copy(folder), chosen(CHECKOUT, seed, count)
    copy.check({node for each in broken for node in each.tests})
    return [str(each) for each in broken if not copy.notices(each)]


def main(seed: int, count: int) -> int:
    with TemporaryDirectory() as folder:
        missed = unnoticed(Path(folder), seed, count)
    print("\n".join([f"no marked test fails: {each}" for each in missed]) or f"{count} broken lines: each was noticed.")
    print(f"The seed was {seed}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
