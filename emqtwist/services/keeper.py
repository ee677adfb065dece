"""Keeper: carries the journal of a Broker into a store, a group at a time, and pages of queues back.

While one group is under way, what the journal collects meanwhile becomes the next, over all connections. A group that
cannot be stored is tried again each second, together with what came since: what clients acknowledge frees room. Until
then the broker refuses what it could not keep.
"""
import time
from collections.abc import Callable
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.core.alarm import CRITICAL
from emqtwist.core.broker import Broker
from emqtwist.core.journal import Journal
from emqtwist.core.records import Fetch
from emqtwist.interfaces import IStore

ALARM: Final = "store"
RETRY: Final = 1.0  # seconds between two attempts
PATIENCE: Final = 10.0  # seconds for a commit, after which the broker refuses what has to be kept
Page = tuple[list[tuple[Any, ...]], bool]


class Keeper(Service):
    """Joins `journal`, which is that of `broker`, and `store`. `begin` begins a turn, `now` gives monotonic seconds."""

    log = Logger()

    def __init__(self, broker: Broker, journal: Journal, store: IStore, clock: IReactorTime, begin: Callable[[], None],
                 now: Callable[[], float], wall: Callable[[], float] = time.time) -> None:
        self.setName("keeper")
        self.store = store
        self._broker = broker
        self._journal = journal
        self._clock = clock
        self._begin = begin
        self._now = now
        self._wall = wall
        self._group: list[tuple[Any, ...]] = []  # under way, or to be tried again
        self._number = 0
        self._since: float | None = None  # when the group under way was sent
        self._called = False  # a look at the journal is due
        self._fetches: list[Fetch] = []
        self._drained: list[Deferred[None]] = []
        journal.wake = self._wake

    def open(self) -> Deferred[None]:
        """Start the store and give the broker what it has; fails with a StoreError."""
        return self.store.start().addCallback(self._recover)

    def _recover(self, snapshot: Any) -> None:
        self.tick()
        self._begin()
        self._broker.recover(snapshot, self._now())
        self._wake()

    def drain(self) -> Deferred[None]:
        """Fires when all that the journal has so far is stored, and what comes meanwhile."""
        if not self._busy():
            self._step()
        if not self._busy():
            return succeed(None)
        self._drained.append(Deferred())
        return self._drained[-1]

    def close(self) -> Deferred[None]:
        """Stop the store; call `drain` before."""
        return self.store.stop()

    def tick(self) -> None:
        """Once a second: how far the two clocks are apart, and whether the store still answers."""
        self._journal.offset = self._wall() - self._now()
        if self._since is not None and self._now() - self._since > PATIENCE:
            self._fail("the store does not answer")
        if not self._called:
            self._step()

    def is_failing(self) -> bool:
        """Whether the store could not commit of late."""
        return self._journal.failing != ""

    def _busy(self) -> bool:
        return bool(self._group)

    def _wake(self) -> None:
        """The first record of a group: all that this turn still brings goes with it."""
        if not self._called and self._since is None:
            self._called = True
            self._clock.callLater(0, self._look)

    def _look(self) -> None:
        self._called = False
        self._step()

    def _step(self) -> None:
        """Send the next group, unless one is under way; ask for pages once what they need is stored."""
        if self._since is not None:
            return
        self._fetches += self._journal.wanted
        self._journal.wanted = []
        number = self._journal.group
        records = self._journal.take()
        if records:
            self._group = [*self._group, *records] if self._group else records
            self._number = number
        if self._group:
            self._since = self._now()
            self.store.commit(self._number, self._group).addCallbacks(self._committed, self._failed).addErrback(self._defect)
        else:
            self._ask()

    def _committed(self, _: object) -> None:
        self._group = []
        self._since = None
        self._begin()
        if self._journal.failing:
            self._journal.failing = ""
            self._broker.alarms.clear(ALARM)
            self.log.info("the store keeps messages again")
        self._journal.committed(self._number)
        self._ask()
        self._step()
        if not self._busy():
            drained, self._drained = self._drained, []
            for deferred in drained:
                deferred.callback(None)

    def _failed(self, reason: Failure) -> None:
        self._since = None
        self._fail(reason.getErrorMessage())
        self._called = True
        self._clock.callLater(RETRY, self._look)

    def _fail(self, text: str) -> None:
        if self._journal.failing != text:
            self.log.error("messages cannot be kept, and are refused: {reason}", reason=text)
            self._begin()
            self._broker.alarms.raise_(ALARM, CRITICAL, "messages cannot be kept, and are refused", text)
        self._journal.failing = text

    def _ask(self) -> None:
        fetches, self._fetches = self._fetches, []
        for fetch in fetches:
            self.store.page(fetch).addCallback(self._paged, fetch).addErrback(self._unpaged, fetch)

    def _paged(self, page: Page, fetch: Fetch) -> None:
        self._begin()
        self._broker.page(fetch.session, *page)
        if not self._called:
            self._step()

    def _unpaged(self, reason: Failure, fetch: Fetch) -> None:
        """Ask again later; the client waits."""
        self.log.error("a queue cannot be read: {reason}", reason=reason.getErrorMessage())
        self._fetches.append(fetch)

    def _defect(self, reason: Failure) -> None:
        self.log.failure("defect in the journal", reason)
