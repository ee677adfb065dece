"""The model test of the journal finds planted bugs."""
from typing import Final

import pytest

from tests.harness.planting import Bug
from tests.properties.journal.history import JournalHistory

JOURNAL_BUGS: Final = [
    Bug("an acknowledgement is not held", "core.connection:Connection.promise", "if journal is None:", "if True:"),
    Bug("PUBREL and QoS 2 PUBLISH are not held", "core.ledger:Ledger.send", "if not number and", "if True or"),
    Bug("a QoS 2 PUBLISH is not held", "core.session:Session._waits_for_commit", "self.ledger is not None and", "False and"),
    Bug("the identifier is not that of the row", "core.inflight:Inflight.add", "if delivery[3]:", "if False:"),
    Bug("RECEIVED is not recorded", "core.publishing:_note_received", "if session.ledger is not None:", "if False:"),
    Bug("DONE is not recorded", "core.session:Session.puback", "self.ledger.done(held[3])", "pass"),
    Bug("DONE is not recorded for a run", "core.window:end_flows", "ledger.done_together(rows)", "pass"),
    Bug("the end of a QoS 2 flow is not recorded", "core.session:Session.forget", "self.ledger.complete(packet_id)", "pass"),
    Bug("a message is not stored again in a later group", "core.journal:Journal._store",
        "if message.number not in self._messages:", "if not message.number:"),
    Bug("SUBACK comes before the commit", "core.subscribing:_answer", "send_packet(packet, True)", "send_packet(packet)"),
    Bug("UNSUBSCRIBED is not recorded", "core.sessions:Sessions.unsubscribed", "if session.ledger is not None:", "if False:"),
    Bug("a Will is not recorded", "core.ledger:Ledger.will", "self.journal.add(", "len("),
    Bug("WILL_DUE is not recorded", "core.ledger:Ledger.will_due", "self.journal.add(", "len("),
    Bug("WILL_GONE is not recorded", "core.ledger:Ledger.no_will", "self.record(r.WILL_GONE)", "pass"),
    Bug("LEFT is not recorded", "core.ledger:Ledger.left", "self.journal.add(", "len("),
    Bug("what fell due while the broker was down waits for a tick", "core.broker:Broker.recover", "self._tidy()", "pass"),
    Bug("the expiry of a message is not recorded", "core.journal:Journal._store",
        "self.wall(message.expires_at)", "None"),
    Bug("the end of a retained message is not recorded", "core.broker:Broker.retain",
        "self.journal.retain_no_more(message.topic)", "pass"),
    Bug("a retained message is replaced in memory only", "core.journal:Journal._replace", "self.add(record)", "pass"),
]
REMAINING: Final = [  # of one bug: times are stored as what is left of them, and begin anew with each process
    Bug("a time", "core.journal:Journal.wall", "at + self.offset", "at - 1000.0"),
    Bug("a time of a session, a Will, a retained message", "core.recovery:monotonic", "at - journal.offset", "at + 1000.0"),
    Bug("a time of a message", "core.recovery:rows_of", "expires_at - offset", "expires_at + 1000.0"),
]


@pytest.mark.parametrize("bug", JOURNAL_BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    with pytest.raises((AssertionError, LookupError)):  # what arrived is wrong, or a record has no row
        _play(200)


def test_expiry_as_remaining_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for bug in REMAINING:
        bug.plant(monkeypatch)
    with pytest.raises(AssertionError):
        _play(200)


def _play(histories: int) -> None:
    for seed in range(histories):
        JournalHistory(seed).play()
