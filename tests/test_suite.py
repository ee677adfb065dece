"""The rules that the suite itself runs under, shown on small suites with the real conftest and settings."""
import shutil
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

SKIPS = """
    import pytest

    def test_passes() -> None:
        pass

    def test_skips() -> None:
        pytest.skip("no such broker here")

    @pytest.mark.skip(reason="marked")
    def test_marked() -> None:
        pass

    @pytest.mark.xfail(reason="known")
    def test_expected_failure() -> None:
        assert False
"""
LISTED = """
# a comment

tests/test_it.py::test_skips: no such broker
tests/test_it.py::test_mark*: marked
tests/test_it.py::test_expected_failure: known
tests/test_it.py::test_long_gone: stale lines do no harm
"""
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, checkout: Path) -> Run:
    """Runs a suite of one file under this suite's settings, in a process of its own."""
    tests = pytester.mkdir("tests")
    shutil.copy(checkout / "pyproject.toml", pytester.path)
    for name in ("conftest.py", "skips.py", "__init__.py"):
        shutil.copy(checkout / "tests" / name, tests)

    def run_suite(source: str, *arguments: str, allowed: str = "", **environment: str) -> pytest.RunResult:
        for name in ("CI", "EMQTWIST_SWEEP", "EMQTWIST_COMPILED"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        (tests / "test_it.py").write_text(dedent(source))
        (tests / "allowed_skips").write_text(allowed)
        return pytester.runpytest_subprocess("tests", *arguments)

    return run_suite


def test_skips_are_skips_without_ci(run: Run) -> None:
    result = run(SKIPS)
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=2, xfailed=1)


def test_listed_skips_are_skips_with_ci(run: Run) -> None:
    result = run(SKIPS, allowed=LISTED, CI="true")
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=2, xfailed=1)


def test_unlisted_skips_and_expected_failures_fail_with_ci(run: Run) -> None:
    result = run(SKIPS, CI="true")
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=2, errors=1)
    result.stdout.fnmatch_lines(["*not listed in *allowed_skips: tests/test_it.py::test_skips: *no such broker here"])


def test_a_listed_skip_for_another_reason_fails_with_ci(run: Run) -> None:
    result = run(SKIPS, allowed=LISTED.replace("no such broker", "no network"), CI="true")
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=1)


def test_a_module_that_skips_itself_is_seen(run: Run) -> None:
    source = "import pytest\npytest.importorskip('no_such_module')\n"
    assert run(source).ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result = run(source, CI="true")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    allowed = "tests/test_it.py: could not import 'no_such_module'"
    assert run(source, allowed=allowed, CI="true").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_skip_is_listed_with_its_reason(run: Run) -> None:
    result = run(SKIPS, allowed="tests/test_it.py::test_skips", CI="true")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tests/allowed_skips, line 1: not `node ids: reason`*"])


def test_a_coroutine_is_run_in_the_reactor(run: Run) -> None:
    run("""
        from twisted.internet import reactor
        from twisted.internet.task import deferLater

        async def test_right() -> None:
            assert await deferLater(reactor, 0, lambda: 7) == 7

        async def test_wrong() -> None:
            assert await deferLater(reactor, 0, lambda: 7) == 8
    """).assert_outcomes(passed=1, failed=1)


def test_a_failure_that_only_the_log_saw_fails_the_test(run: Run) -> None:
    run("""
        from twisted.internet.defer import fail
        from twisted.logger import Logger

        def test_lost() -> None:
            fail(ZeroDivisionError("nobody asked"))

        def test_looked_at(logged_failures) -> None:
            fail(ZeroDivisionError("expected"))
            assert logged_failures.pop().type is ZeroDivisionError

        def test_calm() -> None:
            Logger().error("words alone")
    """).assert_outcomes(passed=3, errors=1)


def test_long_tests_and_more_examples_are_for_the_sweep(run: Run) -> None:
    source = """
        import pytest
        from hypothesis import given, settings, strategies

        def test_short() -> None:
            pass

        @pytest.mark.sweep
        def test_long() -> None:
            pass

        @given(strategies.integers())
        def test_property(number: int) -> None:
            assert settings.default.max_examples == {examples}
    """
    run(source.format(examples=100)).assert_outcomes(passed=2, deselected=1)
    run(source.format(examples=100), "-m", "sweep").assert_outcomes(passed=1, deselected=2)
    run(source.format(examples=5000), "-m", "sweep", EMQTWIST_SWEEP="1").assert_outcomes(passed=2, deselected=1)
