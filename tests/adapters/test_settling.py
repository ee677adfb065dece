"""How long a group waits for acknowledgements."""
import pytest

from emqtwist.core.journal import Journal, Rows
from emqtwist.core.message import Message
from emqtwist.services.settling import FEW, LOOKS, MOST, STEP, Settling


class Room:
    """A session's rows, and the looks that a Settling has at them."""

    def __init__(self, took: float = 0.005) -> None:
        self.journal = Journal()
        self.rows = Rows(1)
        self.settling = Settling(self.journal)
        self.settling.took = took
        self.now = 100.0
        self.queued = self.done = 0

    def queue(self, count: int) -> None:
        for _ in range(count):
            self.queued += 1
            self.journal.queue(self.rows, (Message(b"t", b"", 1), 0x32, (), self.queued))

    def settle(self, count: int) -> None:
        for _ in range(count):
            self.done += 1
            self.journal.done(self.rows, self.done)

    def look(self, after: float = 0.0) -> float:
        self.now += after
        return self.settling.wait(self.now)

    def send(self) -> None:
        self.settling.over()
        self.journal.take()

    def be_brisk(self) -> None:
        self.queue(200)
        self.settle(200)
        self.send()


def test_what_nobody_acknowledges_is_sent_at_once() -> None:
    room = Room()
    room.queue(200)
    assert room.look() == 0.0


def test_it_waits_while_acknowledgements_come() -> None:
    room = Room()
    room.queue(200)
    room.settle(1)
    assert room.look() == STEP
    room.settle(1)
    assert room.look(STEP) == STEP
    assert room.look(STEP) == 0.0


def test_a_few_rows_are_sent_at_once() -> None:
    room = Room()
    room.be_brisk()
    room.queue(FEW + 10)
    room.settle(11)
    assert room.look() == 0.0


def test_what_has_nothing_left_to_store_is_over_at_once() -> None:
    room = Room()
    room.queue(200)
    room.settle(200)
    assert room.look() == 0.0
    assert room.journal.take() == []


@pytest.mark.parametrize(("took", "waits"), [(0.005, 0.005), (0.0, LOOKS * STEP), (9.0, MOST)])
def test_it_waits_no_longer_than_a_commit_takes_but_for_some_looks_and_within_a_bound(took: float, waits: float) -> None:
    room = Room(took)
    room.queue(1000)
    began = room.now
    wait = STEP
    while wait:
        room.settle(1)
        wait = room.look()
        room.now += wait
    assert room.now - began == pytest.approx(waits, abs=STEP)


def test_a_turn_that_takes_long_leaves_time_for_the_acknowledgements_that_it_brought_about() -> None:
    room = Room(0.001)
    room.queue(1000)
    room.settle(1)
    assert room.look() == STEP
    room.settle(1)
    assert room.look(0.1) == STEP


def test_where_groups_were_brisk_the_first_acknowledgement_is_waited_for() -> None:
    room = Room()
    room.be_brisk()
    room.queue(200)
    assert room.look() == STEP
    room.settle(200)
    assert room.look(STEP) == 0.0


def test_acknowledgements_of_earlier_groups_say_that_those_of_this_one_will_come() -> None:
    room = Room()
    room.queue(200)
    room.send()
    room.queue(200)
    room.settle(200)
    room.send()
    room.queue(200)
    room.settle(200)
    room.send()
    room.queue(200)
    assert room.look() == STEP


def test_briskness_is_forgotten_when_nobody_acknowledges_any_more() -> None:
    room = Room()
    room.be_brisk()
    for _ in range(5):
        room.queue(200)
        room.send()
    room.queue(200)
    assert room.look() == 0.0
