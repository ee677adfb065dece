"""A World whose sessions a store in memory keeps: groups are committed, or lost in a crash, as a test says."""
from typing import TypeVar

from twisted.internet.defer import Deferred

from emqtwist.app.settings import settings_of
from emqtwist.config import parse
from emqtwist.core.broker import Broker
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from emqtwist.core.records import Fetch, Record
from emqtwist.storage.memory import MemoryStore
from tests.peers import Witness, World

WALL = 1_700_000_000.0  # of the clock on the wall when a test begins
START = 1000.0  # of the monotonic clock when a process begins
T = TypeVar("T")


def now(deferred: Deferred[T]) -> T:
    """What a store in memory answers, at once."""
    found: list[T] = []
    deferred.addCallback(found.append)
    return found[0]


class StoredWorld(World):
    """A World with a journal. While `stored` is set every group is committed at once, else when the test says `commit`."""

    def __init__(self, *lines: str, stored: bool = True) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.stored = stored
        self.store = MemoryStore()
        self._under_way: tuple[int, list[Record]] | None = None
        self._begin(WALL)

    def _begin(self, wall: float) -> None:
        self.journal = Journal()
        start = self.start()
        self.journal.offset = wall - start
        self.turn = Turn(start)
        self.witness = Witness()
        self.broker = Broker(settings_of(parse("\n".join(self.lines))), self._token, self.turn, self.witness, self.journal)
        self.prepare()
        snapshot = now(self.store.start())
        assert snapshot is not None
        self.broker.recover(snapshot, start)

    def prepare(self) -> None:
        """For what has to be there before the broker is what the store says."""

    def start(self) -> float:
        """The monotonic clock when a process begins."""
        return START

    @property
    def wall(self) -> float:
        return self.turn.now + self.journal.offset

    def take(self) -> bool:
        """Take a group, if none is under way: it is stored from here on. Whether there is one under way now."""
        if self._under_way is None:
            number = self.journal.group
            records = self.journal.take()
            if records:
                self._under_way = number, records
                now(self.store.commit(number, records))
        return self._under_way is not None

    def answer(self) -> None:
        """The broker hears that the group under way is stored."""
        assert self._under_way is not None
        number, self._under_way = self._under_way[0], None
        self.journal.committed(number)

    def read(self, fetch: Fetch) -> None:
        """The broker gets a page."""
        self.broker.page(fetch, *now(self.store.page(fetch)))

    def commit(self) -> None:
        """Store all that there is, hand over the pages that are wanted, and let follow what follows."""
        while True:
            busy = False
            if self.take():
                self.answer()
                busy = True
            wanted, self.journal.wanted = self.journal.wanted, []
            for fetch in wanted:
                if self.journal.has(fetch.group):
                    self.read(fetch)
                    busy = True
                else:  # as the keeper, which waits until the rows that are wanted are stored
                    self.journal.wanted.append(fetch)
            busy = self.flush() or busy
            if not busy:
                return

    def settle(self) -> None:
        if self.stored:
            self.commit()
        else:
            super().settle()

    def crash(self, seconds: float = 0.0) -> None:
        """The process ends at once and another begins, `seconds` later; what was not taken is lost, and what peers see ends."""
        for link in list(self.broker.links):
            link.owner.closed = True  # type: ignore[attr-defined]
        self._under_way = None
        self._begin(self.wall + seconds)
        if self.stored:
            self.settle()

