"""Keeper: carries the journal of a Broker into a store, a group at a time, and pages of queues back.

While one group is under way, what the journal collects meanwhile becomes the next, over all connections. That collects a
little longer, in proportion to what a commit takes: messages that are acknowledged meanwhile need not be stored. While
their acknowledgements come, it settles: it waits for more of them, no longer than a commit takes. A group that cannot be
stored is tried again each second, together with what came since: what clients acknowledge frees room. Until then the
broker refuses what it could not keep.
"""
import time
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.core.alarm import CRITICAL
from emqtwist.core.broker import Broker
from emqtwist.core.journal import Journal
from emqtwist.core.link import nobody
from emqtwist.core.records import Fetch
from emqtwist.interfaces import IStore
from emqtwist.services.part import Part
from emqtwist.services.settling import Settling

ALARM: Final = "store"
RETRY: Final = 1.0  # seconds between two attempts
GATHER: Final = 0.25  # of the time of the last commit: so long a group collects
MOST_GATHER: Final = 0.002  # seconds
PATIENCE: Final = 10.0  # seconds for a commit, after which the broker refuses what has to be kept
Page = tuple[list[tuple[Any, ...]], bool]


def offset(wall: Callable[[], float], now: Callable[[], float]) -> float:
    """Seconds by which the wall clock is before the monotonic one."""
    return wall() - now()


class Work:
    """What a Keeper has in hand, and the next one goes on with."""

    def __init__(self) -> None:
        self.group: list[tuple[Any, ...]] = []  # under way, or to be tried again
        self.number = 0  # of this group
        self.fetches: list[Fetch] = []  # to be asked for
        self.asked: list[Fetch] = []
        self.drained: list[Deferred[None]] = []


class Keeper(Part):
    """Joins `journal`, which is that of `broker`, and `store`. `begin` begins a turn, `now` gives monotonic seconds."""

    log = Logger()

    def __init__(self, broker: Broker, journal: Journal, store: IStore, work: Work, clock: IReactorTime,
                 begin: Callable[[], None], now: Callable[[], float], wall: Callable[[], float] = time.time) -> None:
        self.setName("keeper")
        self._store = store
        self._work = work
        self._broker = broker
        self._journal = journal
        self._clock = clock
        self._begin = begin
        self._now = now
        self._wall = wall
        self._since: float | None = None  # when the group under way was sent
        self._called = False  # a look at the journal is due
        self._gather = 0.0  # seconds that a group collects
        self._settling = Settling(journal)

    def startService(self) -> None:
        """Go on with what is in hand: a group that the store has already keeps its number, so it is stored once."""
        super().startService()
        self._journal.wake = self._wake
        self._work.fetches = [*self._work.asked, *self._work.fetches]
        self._work.asked = []
        if self._work.group:
            self.guard(self._send)
        else:
            self._wake()

    def stopService(self) -> None:
        super().stopService()
        self._journal.wake = nobody

    def drain(self) -> Deferred[None]:
        """Fires when all that the journal has so far is stored, and what comes meanwhile."""
        if not self._work.group:
            self._step()
        if not self._work.group:
            return succeed(None)
        self._work.drained.append(Deferred())
        return self._work.drained[-1]

    def tick(self) -> None:
        """Once a second: how far the two clocks are apart, and whether the store still answers."""
        self._journal.offset = offset(self._wall, self._now)
        if self._since is not None and self._now() - self._since > PATIENCE:
            self._fail("the store does not answer")
        if not self._called:
            self._step()

    def is_failing(self) -> bool:
        """Whether the store could not commit of late."""
        return self._journal.failing != ""

    def _wake(self) -> None:
        """The first record of a group: what comes until it is sent goes with it. Or a page is wanted."""
        if not self._called:
            self._called = True
            self._clock.callLater(0 if self._journal.wanted else self._gather, self.guard, self._look)

    def _look(self) -> None:
        self._called = False
        wait = self._settling.wait(self._now()) if self.running and not self._busy() else 0.0
        if wait:
            self._ask()
            self._called = True
            self._clock.callLater(wait, self.guard, self._look)
        else:
            self._step()

    def _busy(self) -> bool:
        """Whether a group is in hand, or somebody waits until none is."""
        return bool(self._work.group or self._work.drained)

    def _step(self) -> None:
        """Ask for pages once what they need is stored; send the next group, unless one is under way."""
        if not self.running:
            return
        self._ask()
        if self._since is not None:
            return
        work, number = self._work, self._journal.group
        self._settling.over()
        records = self._journal.take()
        if records:
            work.group = [*work.group, *records] if work.group else records
            work.number = number
        if work.group:
            self._send()

    def _send(self) -> None:
        self._since = self._now()
        sent = self._store.commit(self._work.number, self._work.group)
        sent.addCallbacks(self._committed, self._failed).addErrback(self._defect)

    def _committed(self, _: object) -> None:
        if not self.running:
            return  # another goes on with it
        work = self._work
        took = self._now() - (self._since or 0.0)
        self._gather = min(MOST_GATHER, GATHER * took)
        self._settling.took = took
        self._since = None
        self._begin()
        if self._journal.failing:
            self._journal.failing = ""
            self._broker.alarms.clear(ALARM)
            self.log.info("the store keeps messages again")
        self._journal.committed(work.number)
        work.group = []
        if self._gather and not work.drained:
            self._wake()
            return
        self._step()
        if not work.group:
            drained, work.drained = work.drained, []
            for deferred in drained:
                deferred.callback(None)

    def _failed(self, reason: Failure) -> None:
        if not self.running:
            return
        self._since = None
        self._fail(reason.getErrorMessage())
        self._called = True
        self._clock.callLater(RETRY, self.guard, self._look)

    def _fail(self, text: str) -> None:
        if self._journal.failing != text:
            self.log.error("messages cannot be kept, and are refused: {reason}", reason=text)
            self._begin()
            self._broker.alarms.raise_(ALARM, CRITICAL, "messages cannot be kept, and are refused", text)
        self._journal.failing = text

    def _ask(self) -> None:
        work = self._work
        fetches, work.fetches = work.fetches + self._journal.wanted, []
        self._journal.wanted = []
        for fetch in fetches:
            if not self._journal.has(fetch.group):
                work.fetches.append(fetch)
                continue
            work.asked.append(fetch)
            asked = self._store.page(fetch)
            asked.addCallbacks(self._paged, self._unpaged, (fetch,), {}, (fetch,)).addErrback(self._defect)

    def _paged(self, page: Page, fetch: Fetch) -> None:
        if not self.running:
            return
        self._work.asked.remove(fetch)
        self._begin()
        self._broker.page(fetch, *page)
        if not self._called:
            self._step()

    def _unpaged(self, reason: Failure, fetch: Fetch) -> None:
        """Ask again later; the client waits."""
        if self.running:
            self.log.error("a queue cannot be read: {reason}", reason=reason.getErrorMessage())
            self._work.asked.remove(fetch)
            self._work.fetches.append(fetch)

    def _defect(self, reason: Failure) -> None:
        self.die(reason)
