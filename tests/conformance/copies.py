"""A copy of the package and its tests, in which lines are broken and mended again."""
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

from tests.conformance.mutations import Mutation
from tests.conformance.statements import CHECKOUT
from tests.conformance.traces import Place

TIMEOUT: Final = 60  # seconds; a line that is broken may wait for ever
BUSY: Final = 20  # seconds of processor time, and bytes of memory: it may also loop for ever, and grow with each round
MEMORY: Final = 1 << 30
REPORT: Final = "report.xml"
OPTIONS: Final = ("-q", "--no-header", "--tb=no", "--assert=plain", "-p", "no:twisted", f"--junitxml={REPORT}",
                  "-o", "junit_family=xunit1")


class Break(NamedTuple):
    """One line and one way to break it."""

    place: Place
    mutation: Mutation

    def __str__(self) -> str:
        return f"{self.place.path}:{self.place.line} {self.mutation.what}"


class Outcome(NamedTuple):
    """The cases of a run as node ids, and those that failed. `noticed` is all that is known when nothing could be imported."""

    cases: frozenset[str]
    failed: frozenset[str]
    noticed: bool


class EndlessError(Exception):
    """A run had to be ended: it waited, or worked, for too long."""


class Copy:
    """A copy of the package and its tests under `folder`; compiled once, so that only what is broken is compiled again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        skipped = shutil.ignore_patterns("__pycache__", "node_modules", "integration")
        for name in ("emqtwist", "tests"):
            shutil.copytree(CHECKOUT / name, folder / name, ignore=skipped)
        shutil.copy(CHECKOUT / "pyproject.toml", folder)

    def check(self, nodes: set[str]) -> None:
        """Raise unless these tests pass on the copy as it is."""
        outcome = self._run(nodes, ())
        if outcome.noticed:
            raise RuntimeError(f"the tests fail before anything is broken: {sorted(outcome.failed) or 'all of them'}")

    def outcome(self, broken: Break, nodes: set[str]) -> Outcome:
        """What becomes of the tests on the broken line. Where all together do not end, each runs by itself: one of them hangs."""
        module = self.folder / broken.place.path
        whole = module.read_text()
        module.write_text(broken.mutation.source)
        try:
            return self._run(nodes, ("-B",))
        except EndlessError:
            return self._each(nodes)
        finally:
            module.write_text(whole)

    def _each(self, nodes: set[str]) -> Outcome:
        cases: set[str] = set()
        failed: set[str] = set()
        for node in nodes:
            try:
                outcome = self._run({node}, ("-B",))
            except EndlessError:
                outcome = Outcome(frozenset((node,)), frozenset((node,)), True)
            cases |= outcome.cases
            failed |= outcome.failed
        return Outcome(frozenset(cases), frozenset(failed), True)

    def _run(self, nodes: set[str], options: tuple[str, ...]) -> Outcome:
        (self.folder / REPORT).unlink(missing_ok=True)
        command = [sys.executable, *options, "-m", "pytest", *OPTIONS, *sorted(nodes)]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        environment.pop("EMQTWIST_SWEEP", None)
        try:
            run = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT,
                                 preexec_fn=_bounded)
        except subprocess.TimeoutExpired:
            raise EndlessError from None
        if run.returncode < 0:
            raise EndlessError
        return _read(self.folder / REPORT, run.returncode != 0)


def _bounded() -> None:
    """In a run's process."""
    resource.setrlimit(resource.RLIMIT_CPU, (BUSY, BUSY))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(report: Path, noticed: bool) -> Outcome:
    """From pytest's report, if it came to one."""
    cases: set[str] = set()
    failed: set[str] = set()
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        if case.get("classname"):  # a module that could not be imported has none
            node = f"{case.get('file')}::{case.get('name')}"
            cases.add(node)
            if case.find("failure") is not None or case.find("error") is not None:
                failed.add(node)
    return Outcome(frozenset(cases), frozenset(failed), noticed)
