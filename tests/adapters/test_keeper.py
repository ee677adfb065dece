"""Keeper: groups one after another into the store, pages back, and what a store that fails does to the broker."""
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from emqtwist.core.alarms import Alarms
from emqtwist.core.broker import Broker
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.core.records import Fetch
from emqtwist.services.keeper import MOST_GATHER, PATIENCE, RETRY, Keeper, Work
from emqtwist.services.settling import STEP
from emqtwist.storage.errors import Full
from emqtwist.storage.memory import MemoryStore


class Slow(MemoryStore):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, list[Any], Deferred[None]]] = []
        self.fetched: list[tuple[Fetch, Deferred[Any]]] = []

    def commit(self, number: int, records: Any) -> Deferred[None]:
        self.asked.append((number, list(records), Deferred()))
        return self.asked[-1][2]

    def page(self, fetch: Fetch) -> Deferred[Any]:
        self.fetched.append((fetch, Deferred()))
        return self.fetched[-1][1]


class Paper:
    """The seam of a Journal: what is written down, and what it was told."""

    def __init__(self) -> None:
        self.group = 1
        self.queued = self.settled = self.rows = 0
        self.failing = ""
        self.offset = 0.0
        self.wanted: list[Fetch] = []
        self.told: list[int] = []
        self._records: list[Any] = []
        self.wake: Any = None
        self.broken = False

    def add(self, *records: Any) -> None:
        first = not self._records
        self._records += records
        if first:
            self.wake()

    def unsettled(self) -> int:
        return self.rows

    def has(self, number: int) -> bool:
        return number <= max(self.told, default=0)

    def take(self) -> list[Any]:
        taken, self._records = self._records, []
        self.group += bool(taken)
        return taken

    def committed(self, number: int) -> None:
        if self.broken:
            raise ZeroDivisionError
        self.told.append(number)


class Ledger:
    """The seam of a Broker."""

    def __init__(self) -> None:
        self.pages: list[tuple[Any, ...]] = []
        self.alarms = Alarms(Turn(), Observer())

    def page(self, fetch: Fetch, rows: list[Any], more: bool) -> None:
        self.pages.append((fetch, rows, more))


class Place:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(100.0)
        self.store = Slow()
        self.journal = Paper()
        self.broker = Ledger()
        self.turns = 0
        self.work = Work()
        self.keeper = self.make()
        self.keeper.startService()
        self.clock.advance(0)

    def make(self) -> Keeper:
        return Keeper(cast(Broker, self.broker), cast(Journal, self.journal), self.store, self.work, self.clock, self.begin,
                      self.clock.seconds, lambda: self.clock.seconds() + 5000.0)

    def begin(self) -> None:
        self.turns += 1

    def add(self, *records: Any) -> None:
        """In one iteration of the reactor."""
        self.journal.add(*records)
        self.clock.advance(0)

    def answer(self, error: Exception | None = None) -> None:
        deferred = self.store.asked[-1][2]
        if error is None:
            deferred.callback(None)
        else:
            deferred.errback(error)

    @property
    def groups(self) -> list[tuple[int, list[Any]]]:
        return [asked[:2] for asked in self.store.asked]


def test_another_keeper_goes_on_with_what_is_in_hand() -> None:
    place = Place()
    fetch = Fetch(1, -1, 0, 1000)
    place.journal.wanted.append(fetch)
    place.keeper.tick()
    place.add("a")
    place.keeper.kill()
    place.keeper.ended.addErrback(lambda _: None)
    place.keeper.stopService()
    place.journal.add("b")
    first, page = place.store.asked[-1][2], place.store.fetched[-1][1]
    place.keeper = place.make()
    place.keeper.startService()
    assert place.groups == [(1, ["a"]), (1, ["a"])]
    first.callback(None)
    page.callback((["row"], False))
    assert (place.journal.told, place.broker.pages) == ([], [])
    place.answer()
    assert place.journal.told == [1]
    assert place.groups[2:] == [(2, ["b"])]
    place.answer()
    assert place.journal.told == [1, 2]
    assert [each for each, _ in place.store.fetched] == [fetch, fetch]


def test_what_a_commit_raises_is_its_death_and_the_next_one_commits_it_again() -> None:
    place = Place()
    place.add("a")
    died: list[Failure] = []
    place.keeper.ended.addErrback(died.append)
    place.journal.broken = True
    place.answer()
    assert [failure.type for failure in died] == [ZeroDivisionError]
    place.journal.broken = False
    place.keeper.stopService()
    place.keeper = place.make()
    place.keeper.startService()
    place.answer()
    assert place.groups == [(1, ["a"]), (1, ["a"])]
    assert place.journal.told == [1]


def test_a_group_is_what_one_iteration_brings() -> None:
    place = Place()
    place.journal.add("a")
    place.journal.add("b")
    assert place.groups == []
    place.clock.advance(0)
    assert place.groups == [(1, ["a", "b"])]
    assert place.journal.told == []
    place.answer()
    assert place.journal.told == [1]


def test_one_group_is_under_way_at_a_time_and_what_comes_meanwhile_is_the_next() -> None:
    place = Place()
    place.add("a")
    place.add("b")
    place.add("c")
    assert place.groups == [(1, ["a"])]
    place.answer()
    assert place.groups == [(1, ["a"]), (2, ["b", "c"])]
    place.answer()
    assert place.journal.told == [1, 2]


def test_a_group_that_fails_is_tried_again_with_what_came_since() -> None:
    place = Place()
    place.add("a")
    place.answer(Full("no space"))
    assert place.journal.failing == "no space"
    assert place.journal.told == []
    assert [(alarm.identifier, alarm.severity, alarm.summary) for alarm in place.broker.alarms.active.values()] == [
        ("store", "critical", "no space")]
    place.add("b")
    assert len(place.groups) == 1
    place.clock.advance(RETRY)
    assert place.groups[1] == (2, ["a", "b"])
    place.answer(Full("no space"))
    place.clock.advance(RETRY)
    assert place.groups[2] == (2, ["a", "b"])
    place.answer()
    assert place.journal.told == [2]
    assert place.journal.failing == ""
    assert place.broker.alarms.active == {}


def test_a_store_that_does_not_answer_is_told() -> None:
    place = Place()
    place.add("a")
    place.clock.advance(PATIENCE)
    place.keeper.tick()
    assert place.journal.failing == ""
    place.clock.advance(0.1)
    place.keeper.tick()
    assert place.journal.failing == "the store does not answer"
    place.answer()
    assert place.journal.failing == ""


def test_the_offset_follows_the_wall_clock() -> None:
    place = Place()
    place.keeper._wall = lambda: 9000.0
    place.keeper.tick()
    assert place.journal.offset == 8900.0


def test_a_page_is_asked_for_when_what_came_before_is_stored() -> None:
    place = Place()
    fetch = Fetch(1, -1, 0, 1000, group=1)
    place.journal.wanted.append(fetch)
    place.add("a")
    assert place.store.fetched == []
    assert place.journal.wanted == []
    place.answer()
    assert [each for each, _ in place.store.fetched] == [fetch]
    turns = place.turns
    place.store.fetched[0][1].callback((["row"], True))
    assert place.broker.pages == [(fetch, ["row"], True)]
    assert place.turns > turns


def test_a_page_of_what_is_stored_does_not_wait_for_the_group_under_way() -> None:
    place = Place()
    place.add("a")
    place.answer()
    place.add("b")
    place.journal.wanted.append(Fetch(1, -1, 0, 1000, group=1))
    place.journal.wake()
    place.clock.advance(0)
    assert len(place.store.fetched) == 1


@pytest.mark.parametrize(("took", "collects"), [(0.004, 0.001), (5.0, MOST_GATHER)])
def test_a_group_collects_for_a_quarter_of_what_the_last_commit_took_within_a_bound(took: float, collects: float) -> None:
    place = Place()
    place.add("a")
    place.clock.advance(took)
    place.answer()
    place.clock.advance(MOST_GATHER)
    place.journal.add("b")
    place.clock.advance(collects * 0.9)
    place.journal.add("c")
    assert len(place.groups) == 1
    place.clock.advance(collects * 0.2)
    assert place.groups[1:] == [(2, ["b", "c"])]


def test_a_group_waits_for_the_acknowledgements_that_come() -> None:
    place = Place()
    place.journal.add("row", "row")
    place.journal.settled, place.journal.rows = 300, 200
    place.clock.advance(0)
    assert place.groups == []
    place.clock.advance(STEP)  # and no more come
    assert place.groups == [(1, ["row", "row"])]


def test_a_group_that_waits_for_acknowledgements_lets_pages_through() -> None:
    place = Place()
    fetch = Fetch(1, -1, 0, 1000)
    place.journal.add("row")
    place.journal.settled, place.journal.rows = 100, 100
    place.journal.wanted = [fetch]
    place.clock.advance(0)
    assert [asked for asked, _ in place.store.fetched] == [fetch]
    assert place.groups == []


def test_a_drain_waits_for_no_acknowledgement() -> None:
    place = Place()
    place.journal.add("row")
    place.journal.settled, place.journal.rows = 100, 100
    drained = place.keeper.drain()
    assert place.groups == [(1, ["row"])]
    place.answer()
    assert drained.called


def test_what_came_during_a_commit_collects_too() -> None:
    place = Place()
    place.add("a")
    place.clock.advance(0.004)
    place.add("b")
    place.answer()
    assert len(place.groups) == 1
    place.clock.advance(0.001)
    assert place.groups[1:] == [(2, ["b"])]


def test_a_page_needs_no_group() -> None:
    place = Place()
    place.journal.wanted.append(Fetch(1, -1, 0, 1000))
    place.keeper.tick()
    assert len(place.store.fetched) == 1


def test_a_page_that_cannot_be_read_is_asked_for_again() -> None:
    place = Place()
    place.journal.wanted.append(Fetch(1, -1, 0, 1000))
    place.keeper.tick()
    place.store.fetched[0][1].errback(Full("words"))
    place.keeper.tick()
    assert len(place.store.fetched) == 2


def test_drain_waits_for_all_there_is() -> None:
    place = Place()
    drained: list[None] = []
    place.journal.add("a")
    place.keeper.drain().addCallback(drained.append)
    assert place.groups == [(1, ["a"])]
    place.add("b")
    place.answer()
    assert drained == []
    place.answer()
    assert drained == [None]
    place.keeper.drain().addCallback(drained.append)
    assert len(drained) == 2
