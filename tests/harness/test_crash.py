"""Brokers that are killed under load keep what they acknowledged; and the harness that says so finds planted bugs."""
import sys
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

import pytest

from tests.harness.crash import bugs
from tests.harness.crash.client import Found
from tests.harness.crash.run import CrashRun
from tests.harness.planting import Bug


def test_nothing_acknowledged_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    run = CrashRun(4, tmp_path)
    run.run(15)
    assert min(run.kills.values()) == 5
    assert min(len(publisher.acknowledged) for publisher in run.publishers) > 15  # about one for each life


@pytest.mark.sweep
@pytest.mark.parametrize("durability", ["always", "interval", "off"])
def test_nothing_acknowledged_is_lost_in_hundreds_of_kills(durability: str, tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}").mkdir()
        CrashRun(SystemRandom().randrange(1 << 32), tmp_path / f"{number}", durability=durability).run(20)


@pytest.mark.parametrize(("bug", "what"), [
    (bugs.NO_BARRIER, "lacks|is gone|retained is|twice, at QoS 2"),
    (bugs.NO_IDENTIFIER, "twice, at QoS 2"),
    (bugs.NO_RELEASE, "twice, at QoS 2"),
    (bugs.REST_OF_LIFE, "to live, and should have|outlives its expiry"),
    (bugs.REMAINING, "to live, and should have|outlives its expiry"),
    (bugs.NO_WILL, "mourner lacks"),
    (bugs.WILL_STAYS, "mourner got .* twice, at QoS 2|was back in time|mourner got .* after"),
], ids=lambda value: value.name if isinstance(value, Bug) else "")
def test_what_is_planted_is_found(bug: Bug, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.harness.crash.run.PATIENCE", 8.0)
    command = (sys.executable, "-m", "tests.harness.crash.planted", bug.name)
    with pytest.raises(Found, match=f"(?s)({what}).*seed .*, killed"):
        run_until_found(tmp_path, command)


def run_until_found(folder: Path, command: Sequence[str | Path]) -> None:
    """Kills come at moments that the machine decides too: a bug that one run misses, another one finds."""
    for seed in range(5):
        (folder / f"{seed}").mkdir()
        CrashRun(seed, folder / f"{seed}", command).run(12)
