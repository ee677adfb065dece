"""The model test of sessions finds planted bugs."""
import pytest
from hypothesis import Phase, given, settings

from tests.harness.planting import Bug
from tests.harness.session_bugs import SESSION_BUGS
from tests.properties.sessions.histories import histories
from tests.properties.sessions.operations import History


@settings(max_examples=1000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
@given(histories)
def play(history: History) -> None:
    history.play()


@pytest.mark.parametrize("bug", SESSION_BUGS, ids=[bug.name for bug in SESSION_BUGS])
def test_the_model_finds(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    with pytest.raises(AssertionError):
        play()


def test_a_bug_whose_place_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="any more"):
        Bug("none", "core.router:Router.route", "no such text", "").plant(monkeypatch)
