"""The random stories of nodes that meet find planted bugs."""
from typing import Final

import pytest

from tests.harness.planting import Bug
from tests.properties.test_retained_converge import Story

REPLICAS: Final = "core.cluster.retained:Replicas"
BUGS: Final = [
    Bug("the other node is not told what is newer here", "core.cluster.marks:Marks.compare", "return newer, older",
        "return [], older"),
    Bug("the other node is not asked for what is newer there", "core.cluster.marks:Marks.compare", "return newer, older",
        "return newer, []"),
    Bug("the first to come holds", "core.cluster.marks:Marks.holds", "held >= mark", "True"),
    Bug("nodes that meet do not compare", f"{REPLICAS}.opened", "self._node > peer.name", "False"),
    Bug("a stamp is not later than that of what is replaced", "core.cluster.clock:Clock.stamp", "after + 1 + self._begin",
        "self.last"),
    Bug("stamps are not stored", "core.journal:Journal.retain", "self.wall(until), stamp, node", "self.wall(until), 0, ''"),
    Bug("the end of a message is not stored", "core.journal:Journal.retain_no_more", "topic, stamp,", "topic, 0,"),
    Bug("what is told is not stored", f"{REPLICAS}.retain", "broker.journal.retain(", "(lambda *_: None)("),
    Bug("stamps are not recovered", f"{REPLICAS}.recover", "(record[7], record[8] or self._node, False)", "(0, '', False)"),
    Bug("ends are not recovered", f"{REPLICAS}.recover", "snapshot.tombstones", "[]"),
    Bug("the end of a message is not remembered", f"{REPLICAS}._bury", "self._note(topic, mark)", "self.marks.remove(topic)"),
    Bug("expiry leaves nothing behind", f"{REPLICAS}.expired", "if mark is not None:", "if False:"),
    Bug("what a slow node missed is forgotten", "core.cluster.comparing:Comparing.note", "self.pending[topic] = None", "pass"),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    with pytest.raises((AssertionError, LookupError, ValueError)):
        _play(300)


def _play(stories: int) -> None:
    for seed in range(stories):
        Story(seed).play()
