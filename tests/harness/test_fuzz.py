"""Lying clients cost themselves: the broker stays up and whole, and a well-behaved pair beside them loses nothing."""
import sys
from pathlib import Path
from random import SystemRandom

import pytest

from tests.harness.fuzz import bugs
from tests.harness.fuzz.__main__ import VERSIONS, main
from tests.harness.fuzz.broker import BrokerFuzz
from tests.harness.fuzz.core import CoreFuzz
from tests.harness.fuzz.logins import ENDS
from tests.harness.fuzz.sessions import Found, LyingSession
from tests.harness.planting import Bug

every_version = pytest.mark.parametrize("version", VERSIONS)


@every_version
def test_a_broker_bears_lying_clients(version: int, tmp_path: Path) -> None:
    fuzz = BrokerFuzz(1, version, tmp_path)
    fuzz.run(0, 300)
    assert fuzz.closed > 50
    assert fuzz.exchanged > 10


@pytest.mark.sweep
@every_version
def test_a_broker_bears_lying_clients_for_long(version: int, tmp_path: Path) -> None:
    BrokerFuzz(SystemRandom().randrange(1 << 32), version, tmp_path).run(0, 20_000)


@pytest.mark.parametrize(("bug", "what"), [
    (bugs.UNKNOWN_PROPERTY, "defect while serving .*KeyError"),
    (bugs.LEAK, "the broker grew from"),
    (bugs.STAYS_OPEN, "neither answered nor closed"),
    (bugs.TAKES_OTHERS_ALONG, "the canary was disturbed"),
], ids=lambda value: value.name if isinstance(value, Bug) else "")
def test_lying_clients_find_what_is_planted_in_a_broker(
        bug: Bug, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if bug is bugs.STAYS_OPEN:
        monkeypatch.setattr("tests.harness.fuzz.broker.PATIENCE", 1.0)
    command = (sys.executable, "-m", "tests.harness.fuzz.planted", bug.name)
    with pytest.raises(Found, match=f"(?s){what}.*again: .*bytes: "):
        BrokerFuzz(1, 5, tmp_path, command).run(0, 120)


@pytest.mark.parametrize(("bug", "what"), [
    (bugs.UNKNOWN_PROPERTY, "KeyError"),
    (bugs.STAYS_OPEN, "the connection stays"),
    (bugs.TAKES_OTHERS_ALONG, "AssertionError"),
    (bugs.STALE_LINK, "there is still: .*links"),
    (bugs.STALE_ROUTE, "there is still: .*filters"),
    (bugs.NOT_UTF_8, "UnicodeDecodeError"),
    (bugs.OUT_OF_TURN, "AssertionError"),
], ids=lambda value: value.name if isinstance(value, Bug) else "")
def test_lying_clients_find_what_is_planted_in_the_core(bug: Bug, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    with pytest.raises(Found, match=f"(?s){what}.*again: .* --core .*bytes: "):
        CoreFuzz(1, 5).run(0, 1000)


def test_lying_clients_log_in_and_prove_themselves_again_or_fail() -> None:
    fuzz = CoreFuzz(1, 5)
    fuzz.run(0, 1000)
    results = fuzz.world.broker.metrics.authentications
    assert results["accepted"] > 50
    assert results["refused"] > 10
    logins = [login for number in range(300) if (login := LyingSession(1, 5, number).login)]
    assert {login.end for login in logins} == set(ENDS)


def test_what_was_found_can_be_repeated() -> None:
    session = LyingSession(7, 5, 123)
    again, alone, shown = str(Found("something", session, 100, " --core")).splitlines()[1:]
    assert again.endswith("python -m tests.harness.fuzz --core --seed 7 --version 5 --first 100 --sessions 24")
    assert alone.endswith("python -m tests.harness.fuzz --core --seed 7 --version 5 --first 123 --sessions 1")
    assert bytes.fromhex(shown.removeprefix("bytes: ")) == session.data
    assert LyingSession(7, 5, 123).chunks == session.chunks


def test_the_command_says_what_happened(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--core", "--sessions", "20"])
    main()
    assert [line[:22] for line in capsys.readouterr().out.splitlines()] == [
        f"version {version}: 20 sessions" for version in VERSIONS]


def test_the_command_fails_with_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bugs.UNKNOWN_PROPERTY.plant(monkeypatch)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--core", "--seed", "1", "--version", "5"])
    with pytest.raises(SystemExit, match="(?s)KeyError.*again: .*bytes: "):
        main()
