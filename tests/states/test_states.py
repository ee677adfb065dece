"""docs/states.md shows what the core does now."""
from pathlib import Path

import pytest

from emqtwist.core.connection import Connection
from tests.states.machine import Machine, Step, steps
from tests.states.machines import CONNECTION, MACHINES, nothing
from tests.states.page import page

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_the_page_is_what_make_docs_would_write() -> None:
    assert PAGE.read_text() == page()


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.title)
def test_every_state_is_left_by_some_event(machine: Machine) -> None:
    left = {step.before for step in steps(machine) if step.after != step.before}
    assert left == set(machine.states)


def test_a_core_that_answers_otherwise_makes_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Step("open", "PINGREQ", "open", "PINGRESP") in steps(CONNECTION)
    monkeypatch.setattr(Connection, "check", lambda self, now: None)
    assert Step("open", "nothing for 16 s", "open", "") in steps(CONNECTION)


def test_a_state_that_cannot_be_reached_is_noticed() -> None:
    with pytest.raises(AssertionError, match="opening"):
        steps(CONNECTION._replace(states={"open": nothing}))
