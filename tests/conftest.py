"""What each test runs under: fixed Hypothesis examples, coroutines in the reactor, no failure that only the log saw."""
import inspect
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

pytest_plugins = ["pytester", "tests.skips"]

# EMQTWIST_SWEEP=1 (`make sweep`): new random examples, many of them, for each property; `-m sweep` picks these too.
SWEEP = os.environ.get("EMQTWIST_SWEEP") == "1"
REPEATABLE = tuple(phase for phase in Phase if phase is not Phase.explain)  # which traces every line, for minutes
settings.register_profile("ci", derandomize=True, deadline=None, database=None, phases=REPEATABLE)
settings.register_profile("sweep", deadline=None, database=None, max_examples=5000, print_blob=True,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sweep" if SWEEP else "ci")

# In the background of a shell SIGINT is ignored, and what tests start would inherit that; a handler is not inherited.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# EMQTWIST_COMPILED=1 (`tools/test_compiled`): the package under test is a compiled wheel; tests/compiled asserts that.
# The jobs of `tests/jobs.py` are classes of the tests, which cannot inherit from a compiled one.
JOBS = ["unit/core/test_by_hand.py", "unit/core/test_pool.py", "properties/test_pool_order.py"]
collect_ignore = JOBS if os.environ.get("EMQTWIST_COMPILED") == "1" else ["compiled"]


def pytest_itemcollected(item: pytest.Item) -> None:
    function = getattr(item, "obj", None)
    if SWEEP and getattr(function, "is_hypothesis_test", False):
        item.add_marker(pytest.mark.sweep)
    if inspect.iscoroutinefunction(function) and item.config.pluginmanager.hasplugin("twisted"):
        import pytest_twisted  # not at the top: it is left out where no reactor runs
        pytest_twisted.ensureDeferred(function)


@implementer(ILogObserver)
class FailureLog:
    """The failures that were logged, errors that no Deferred handled among them."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []

    def __call__(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self.failures.append(event["log_failure"])


@pytest.fixture(autouse=True)
def logged_failures() -> Iterator[list[Failure]]:
    """The failures logged in this test; it takes out those that it expected, and fails if any is left."""
    log = FailureLog()
    globalLogPublisher.addObserver(log)
    yield log.failures
    globalLogPublisher.removeObserver(log)
    assert not log.failures, "\n".join(failure.getTraceback() for failure in log.failures)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the project's sources."""
    return Path(__file__).parents[1]
