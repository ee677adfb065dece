"""The turns of a broker in a reactor."""
from typing import cast

import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from emqtwist.app.settings import settings_of
from emqtwist.config import parse
from emqtwist.core.broker import Broker
from emqtwist.core.link import Link, Turn
from emqtwist.core.message import NEVER, Message
from emqtwist.core.observer import Observer
from emqtwist.core.subscriber import Subscriber
from emqtwist.net.turns import Turns


class Spout:
    """Owns a link; counts its flushes."""

    def __init__(self, turn: Turn) -> None:
        self.link = Link(turn)
        self.link.owner = self
        self.flushed: list[bytes] = []

    def flush(self) -> None:
        self.flushed.append(self.link.take())


class Desk:
    """A broker with its turns; `now` is another clock than the reactor's."""

    def __init__(self, *lines: str) -> None:
        self.clock = Clock()
        self.now = 500.0
        self.broker = Broker(settings_of(parse("\n".join(lines))), str, Turn(), Observer())
        self.turns = Turns(self.broker, self.clock, lambda: self.now)


def test_a_turn_begins_at_the_time_that_it_is_told() -> None:
    desk = Desk()
    desk.turns.begin()
    assert desk.broker.turn.now == 500.0
    desk.clock.advance(7)
    desk.now = 501.0
    desk.turns.flush()
    assert desk.broker.turn.now == 501.0


def test_many_bytes_schedule_one_flush() -> None:
    desk = Desk()
    one, other = Spout(desk.broker.turn), Spout(desk.broker.turn)
    for _ in range(3):
        one.link.send(b"a")
        other.link.send(b"b")
    assert len(desk.clock.getDelayedCalls()) == 1
    desk.clock.advance(0)
    assert (one.flushed, other.flushed) == ([b"aaa"], [b"bbb"])
    assert desk.clock.getDelayedCalls() == []


def test_bytes_and_replays_share_a_flush() -> None:
    desk = Desk()
    desk.broker.publish(desk.broker.local_message("a", b"x", 0, True, b"", NEVER))
    spout = Spout(desk.broker.turn)
    desk.broker.subscribe("a", print, 0)
    desk.broker.subscribe("#", print, 0)
    spout.link.send(b"a")
    assert len(desk.clock.getDelayedCalls()) == 1


def test_the_next_bytes_schedule_the_next_flush() -> None:
    desk = Desk()
    spout = Spout(desk.broker.turn)
    for _ in range(2):
        spout.link.send(b"a")
        desk.clock.advance(0)
    assert spout.flushed == [b"a", b"a"]


def test_a_flush_by_hand_leaves_nothing_for_the_scheduled_one() -> None:
    desk = Desk()
    spout = Spout(desk.broker.turn)
    spout.link.send(b"a")
    desk.turns.flush()
    desk.clock.advance(0)
    assert spout.flushed == [b"a"]


def test_a_batch_is_flushed_at_its_end_without_asking_the_reactor() -> None:
    desk = Desk()
    one, other = Spout(desk.broker.turn), Spout(desk.broker.turn)
    desk.now = 501.0
    desk.turns.open()
    assert desk.broker.turn.now == 501.0
    one.link.send(b"a")
    other.link.send(b"b")
    assert (one.flushed, desk.clock.getDelayedCalls()) == ([], [])
    desk.turns.close()
    assert (one.flushed, other.flushed) == ([b"a"], [b"b"])
    one.link.send(b"c")  # outside of a batch again
    desk.clock.advance(0)
    assert one.flushed == [b"a", b"c"]


def test_a_batch_flushes_what_was_produced_before_it() -> None:
    desk = Desk()
    spout = Spout(desk.broker.turn)
    spout.link.send(b"a")
    desk.turns.open()
    spout.link.send(b"b")
    desk.turns.close()
    assert spout.flushed == [b"ab"]
    desk.clock.advance(0)
    assert spout.flushed == [b"ab"]


def test_a_batch_that_produced_nothing_flushes_nothing() -> None:
    desk = Desk()
    desk.turns.open()
    desk.now = 501.0
    desk.turns.close()
    assert desk.broker.turn.now == 500.0


def test_a_replay_that_begins_in_a_batch_goes_on_after_it() -> None:
    desk = Desk("retainer.replay_batch = 3")
    for number in range(8):
        desk.broker.publish(desk.broker.local_message(f"a/{number}", b"x", 0, True, b"", NEVER))
    seen: list[Message] = []
    desk.turns.open()
    desk.broker.subscribe("#", seen.append, 0)
    desk.turns.close()
    assert len(seen) == 3
    desk.clock.advance(0)
    assert len(seen) == 8


def test_a_link_without_owner_is_passed_over() -> None:
    desk = Desk()
    orphan, spout = Link(desk.broker.turn), Spout(desk.broker.turn)
    orphan.send(b"a")
    spout.link.send(b"b")
    desk.clock.advance(0)
    assert spout.flushed == [b"b"]


def test_short_writes_come_when_all_is_put_together(logged_failures: list[Failure]) -> None:
    desk = Desk()
    done: list[object] = []

    class Wire:
        def write(self, data: bytes) -> None:
            done.append(data)
            if data == b"b":
                raise ZeroDivisionError

        def abortConnection(self) -> None:
            done.append("aborted")

    class Brief(Spout):
        def flush(self) -> None:
            super().flush()
            done.append("put together")
            desk.turns.writes.append((Wire(), self.flushed[-1]))

    for data in (b"a", b"b", b"c"):
        Brief(desk.broker.turn).link.send(data)
    desk.clock.advance(0)
    assert done == ["put together"] * 3 + [b"a", b"b", "aborted", b"c"]
    assert logged_failures.pop().check(ZeroDivisionError)
    desk.turns.flush()
    assert len(done) == 7


def test_a_defect_in_a_replay_holds_up_no_bytes(logged_failures: list[Failure]) -> None:
    desk = Desk()
    spout = Spout(desk.broker.turn)
    spout.link.send(b"a")
    desk.broker.circle.hungry[cast(Subscriber, "none")] = None
    desk.clock.advance(0)
    assert spout.flushed == [b"a"]
    assert logged_failures.pop().check(AttributeError, TypeError)
    spout.link.send(b"b")
    desk.clock.advance(0)
    assert spout.flushed == [b"a", b"b"]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_replay_takes_a_turn_for_each_batch(batch: int) -> None:
    desk = Desk(f"retainer.replay_batch = {batch}")
    for number in range(8):
        desk.broker.publish(desk.broker.local_message(f"a/{number}", b"x", 0, True, b"", NEVER))
    seen: list[Message] = []
    desk.broker.subscribe("#", seen.append, 0)
    for turn in range(8 // batch):
        assert len(seen) == turn * batch
        desk.turns.flush()
    assert len(seen) == 8


def test_a_replay_goes_on_until_its_end_by_itself() -> None:
    desk = Desk("retainer.replay_batch = 3")
    for number in range(8):
        desk.broker.publish(desk.broker.local_message(f"a/{number}", b"x", 0, True, b"", NEVER))
    seen: list[Message] = []
    desk.broker.subscribe("#", seen.append, 0)
    desk.clock.advance(0)
    assert len(seen) == 8
    assert desk.clock.getDelayedCalls() == []
