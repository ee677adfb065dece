"""The model test of delayed messages finds planted bugs."""
from random import Random
from typing import Final

import pytest

from tests.harness.planting import Bug
from tests.properties.test_delayed_crashes import Story

DELAYED_BUGS: Final = [
    Bug("DELAYED is not recorded", "core.delayed:Delayed.add", "if journal is not None:", "if False:"),
    Bug("DELAYED_GONE is not recorded", "core.delayed:Delayed.remove", "if self._circle.journal is not None:", "if False:"),
    Bug("the deadline is stored on the clock of this process", "core.delayed:Delayed.add", "journal.wall(due)", "due"),
    Bug("an acknowledgement is not held", "core.connection:Connection.promise", "if journal is None:", "if True:"),
    Bug("a QoS 2 PUBLISH is not held", "core.session:Session._waits_for_commit", "self.ledger is not None and", "False and"),
    Bug("RECEIVED is not recorded", "core.publishing:_note_received", "if session.ledger is not None:", "if False:"),
]
WITH_NUMBER: Final = ("wait", "crash", "publish")


@pytest.mark.parametrize("bug", DELAYED_BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    with pytest.raises((AssertionError, LookupError)):  # what arrived is wrong, or a record is of nothing
        _play(200)


def test_none_comes_before_it_is_due() -> None:
    _play(12)


def _play(histories: int) -> None:
    for seed in range(histories):
        play(seed)


def play(seed: int) -> None:
    """A random history at QoS 2."""
    random = Random(seed)
    story = Story(2)
    due: list[float] = []  # by the number of the message, on the wall
    for _ in range(random.randrange(4, 30)):
        step = random.choice(("publish", "publish", "wait", "crash", "take", "answer", "commit"))
        number = random.randint(1, 5) if step in WITH_NUMBER else 0
        at = story.world.wall
        story.play(step, number)
        if len(story.letters) > len(due):
            due.append(at + number)
    assert sorted(story.finish()) == sorted(letter.payload for letter in story.letters)
    assert [arrival.payload for arrival in story.bob.arrived if arrival.at < due[int(arrival.payload)]] == []
