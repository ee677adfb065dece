"""The model test of the journal finds planted bugs."""
from typing import Final

import pytest

from tests.harness.planting import Bug
from tests.properties.journal.history import JournalHistory

JOURNAL_BUGS: Final = [
    Bug("an acknowledgement is not held", "core.connection:Connection.promise", "if journal is None:", "if True:"),
    Bug("PUBREL and QoS 2 PUBLISH are not held", "core.session:Session._send_safe", "if self.ledger is None or", "if True or"),
    Bug("a QoS 2 PUBLISH is not held", "core.session:Session._waits_for_commit", "self.ledger is not None and", "False and"),
    Bug("the identifier is not that of the row", "core.inflight:Inflight.add", "if delivery[3]:", "if False:"),
    Bug("RECEIVED is not recorded", "core.session:Session.receive", "if self.ledger is not None:", "if False:"),
    Bug("DONE is not recorded", "core.session:Session.forget", "self.ledger.done(delivery[3])", "pass"),
    Bug("the end of a QoS 2 flow is not recorded", "core.session:Session.forget", "self.ledger.complete(packet_id)", "pass"),
    Bug("a message is not stored again in a later group", "core.journal:Journal.queue",
        "if number not in self._messages:", "if not number:"),
]


@pytest.mark.parametrize("bug", JOURNAL_BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    with pytest.raises((AssertionError, LookupError)):  # what arrived is wrong, or a record has no row
        _play(300)


def _play(histories: int) -> None:
    for seed in range(histories):
        JournalHistory(seed).play()
