"""With CI=true, a skip or an expected failure that `tests/allowed_skips` does not list is a failure.

A line there is `node ids: reason`: `*` in the node ids stands for any text, and the reason has to occur in the one that
the test gives, so that a test that skips for another cause is not let through.
"""
import os
import re
from collections.abc import Generator

import pytest

Allowed = list[tuple[re.Pattern[str], str]]
ALLOWED = pytest.StashKey[Allowed]()
Report = pytest.TestReport | pytest.CollectReport


def read_allowed(text: str) -> Allowed:
    """The pairs (node ids, reason) of the file's lines; empty lines and those that start with # say nothing."""
    allowed: Allowed = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        node_ids, colon, reason = line.partition(": ")
        if not colon or not reason.strip():
            raise pytest.UsageError(f"tests/allowed_skips, line {number}: not `node ids: reason`: {line!r}")
        allowed.append((re.compile(re.escape(node_ids.strip()).replace(r"\*", ".*")), reason.strip()))
    return allowed


def reason_of(report: Report) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else report.longreprtext


def refuse_unlisted(config: pytest.Config, report: Report) -> None:
    """Turn the report of a skip that is not allowed into one of a failure."""
    if not report.skipped or ALLOWED not in config.stash:
        return
    reason = reason_of(report)
    if any(nodes.fullmatch(report.nodeid) and expected in reason for nodes, expected in config.stash[ALLOWED]):
        return
    report.outcome = "failed"
    report.longrepr = f"not listed in tests/allowed_skips: {report.nodeid}: {reason}"
    report.__dict__.pop("wasxfail", None)  # a failed report that has it is not counted


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI") == "true":
        config.stash[ALLOWED] = read_allowed((config.rootpath / "tests" / "allowed_skips").read_text())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_unlisted(item.config, report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
        collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_unlisted(collector.config, report)
    return report
