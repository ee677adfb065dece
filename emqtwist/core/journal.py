"""The journal: what has to outlive the process, in groups that a store commits one after the other, and who waits for that.

Records of one group are stored together or not at all. While a group is under way, what comes meanwhile collects as the
next. A row that is queued and done within one group was never needed on disk, and is left out of it: rows are young until
their group is taken, and become records only then. So is a retained message that was replaced, and a mark that moved on.

An acknowledgement that promises something waits for the commit of all that was recorded when it was due.
"""
from collections import deque
from collections.abc import Callable
from typing import Final

from emqtwist.core import records as r
from emqtwist.core.link import Link, nobody
from emqtwist.core.message import NEVER, Delivery, Message
from emqtwist.core.pending import Pending
from emqtwist.core.records import Fetch, Record

NOTHING: Final[Record] = ()
MOST_PENDING: Final = 64_000_000  # bytes of messages that wait for a commit before QoS 0 is no longer taken for later


class Rows:
    """The rows of a session's queue in the journal: those of the group that collects are `young`, by their number.

    `ranks` has those that are not 0, of all rows in memory. `group` is the last one that had a row.
    """

    __slots__ = ("session", "young", "ranks", "group")

    def __init__(self, session: int) -> None:
        self.session = session
        self.young: dict[int, Delivery] = {}
        self.ranks: dict[int, int] = {}
        self.group = 0


class Journal:
    """Records since the last `take`; `group` is their number, `count` that of all records there ever were.

    `queued` and `settled` count the rows that were queued, and those of whatever group that were done, since then. `failing`
    says why the store cannot commit, as long as it cannot. `offset` is wall time less monotonic time. `wanted` are pages of
    queues that somebody waits for. `wake` is called when a group begins, or a page is wanted.
    """

    __slots__ = ("wake", "group", "count", "queued", "settled", "failing", "offset", "wanted", "_records", "_done", "_taken",
                 "_size", "_under_way", "_fresh", "_young", "_last", "_retained", "_marks", "_messages", "_last_session",
                 "_last_message", "_links", "_pending")

    def __init__(self) -> None:
        self.wake: Callable[[], None] = nobody
        self.group = 1
        self.count = 0
        self.queued = self.settled = 0
        self.failing = ""
        self.offset = 0.0
        self.wanted: list[Fetch] = []
        self._records: list[Record] = []
        self._done = 0  # the last group that is committed
        self._taken = 0  # `count` at the last take
        self._size = self._under_way = 0  # bytes of messages in this group and in the last one taken
        self._fresh: list[Rows] = []  # those that have rows in this group
        self._young = 0  # how many of these are not done
        self._last: Message | None = None  # whose size counts already
        self._retained: dict[bytes, int] = {}  # where the retained messages of this group stand
        self._marks: dict[tuple[str, str], int] = {}  # where TAKEN of this group stands, by node and identity
        self._messages: set[int] = set()  # that are among the records of this group
        self._last_session = self._last_message = 0
        self._links: deque[tuple[int, Link]] = deque()  # with something held back, by group
        self._pending: deque[tuple[int, Pending[bool]]] = deque()

    # What is recorded.

    def begin(self, last_session: int, last_message: int) -> None:
        """Go on after the numbers that a store has used."""
        self._last_session = last_session
        self._last_message = last_message

    def session_number(self) -> int:
        """A number that no session had."""
        self._last_session += 1
        return self._last_session

    def wall(self, at: float) -> float | None:
        """A monotonic time as it is stored."""
        return None if at == NEVER else at + self.offset

    def add(self, record: Record) -> None:
        if self.count == self._taken:
            self.wake()
        self.count += 1
        self._records.append(record)

    def queue(self, rows: Rows, delivery: Delivery) -> None:
        """A row of a session's queue. Its message is stored once for all rows of the group.

        In a later group it is stored again: by then the first rows may be done, and the message be gone with them.
        """
        message = delivery[0]
        if message is not self._last:
            self._last = message
            self._size += len(message.topic) + len(message.payload) + len(message.properties)  # `size`, without its call
        if rows.group != self.group:
            rows.group = self.group
            self._fresh.append(rows)
        rows.young[delivery[3]] = delivery
        if self.count == self._taken:  # as `add`, for each message
            self.wake()
        self.count += 1
        self.queued += 1
        self._young += 1

    def done(self, rows: Rows, seq: int) -> None:
        """A row is not needed any more. Those that follow each other are one record."""
        self.settled += 1
        if rows.young and rows.young.pop(seq, None) is not None:
            self._young -= 1
            if rows.ranks:
                rows.ranks.pop(seq, 0)
        else:
            self._end_rows(rows.session, rows.ranks.pop(seq, 0) if rows.ranks else 0, seq, seq)

    def done_together(self, rows: Rows, seqs: list[int]) -> None:
        """As `done` for each of these, of rank 0, which mostly follow each other."""
        self.settled += len(seqs)
        young = rows.young
        before = len(young)
        first = last = 0  # of those that follow each other
        for seq in seqs:
            if young and young.pop(seq, None) is not None:
                continue
            if last and seq == last + 1:
                last = seq
            else:
                if last:
                    self._end_rows(rows.session, 0, first, last)
                first = last = seq
        if last:
            self._end_rows(rows.session, 0, first, last)
        self._young -= before - len(young)

    def _end_rows(self, session: int, rank: int, first: int, last: int) -> None:
        before = self._records[-1] if self._records else NOTHING
        if before is not NOTHING and before[0] == r.DONE and before[4] == first - 1 and before[1:3] == (session, rank):
            self.count += 1
            self._records[-1] = (r.DONE, session, rank, before[3], last)
        else:
            self.add((r.DONE, session, rank, first, last))

    def forget(self, rows: Rows) -> None:
        """The young rows of a session are not needed any more."""
        self._young -= len(rows.young)
        rows.young = {}

    def mark(self, kind: int, rows: Rows, seq: int) -> None:
        """SENT or RELEASED: the row has to be there."""
        self.store_now(rows, seq)
        self.add((kind, rows.session, rows.ranks.get(seq, 0), seq))

    def store_now(self, rows: Rows, seq: int) -> None:
        """A row is young no longer: it is stored, even if it is done in this group."""
        delivery = rows.young.pop(seq, None)
        if delivery is not None:
            self._young -= 1
            self._store(self._records, rows, delivery)

    def _store(self, records: list[Record], rows: Rows, delivery: Delivery) -> None:
        """The record of a row, and of its message before the first row that has it."""
        message, first_byte, identifiers, seq = delivery
        if message.number not in self._messages:
            self._last_message += 1
            message.number = self._last_message
            self._messages.add(message.number)
            records.append((r.MESSAGE, message.number, message.topic, message.payload, message.qos, message.retain,
                            message.properties, self.wall(message.expires_at), message.publisher, message.group()))
        records.append((r.QUEUED, rows.session, rows.ranks.get(seq, 0) if rows.ranks else 0, seq, message.number, first_byte,
                        identifiers, 0))

    def retain(self, message: Message, until: float, stamp: int = 0, node: str = "") -> None:
        """A retained message; it is deleted at `until`, if it has not expired before. `stamp` and `node`: its place among others
        of its topic in a cluster."""
        self._replace(message.topic, (r.RETAINED, message.topic, message.payload, message.qos, message.properties,
                                      self.wall(message.expires_at), message.publisher, self.wall(until), stamp, node))

    def retain_no_more(self, topic: bytes, stamp: int = 0, node: str = "", until: float = NEVER) -> None:
        """There is no retained message; with a `stamp`, that is remembered until `until`."""
        self._replace(topic, (r.RETAINED_GONE, topic, stamp, node, self.wall(until)))

    def _replace(self, topic: bytes, record: Record) -> None:
        at = self._retained.get(topic, -1)
        if at >= 0:
            self._records[at] = NOTHING
        self._retained[topic] = len(self._records)
        self.add(record)

    def taken(self, node: str, identity: str, number: int) -> None:
        """What the outbox `identity` of another node sent is taken up to `number`; 0: it is to be forgotten."""
        at = self._marks.get((node, identity), -1)
        if at >= 0:
            self._records[at] = NOTHING
        self._marks[node, identity] = len(self._records)
        self.add((r.TAKEN, node, identity, number))

    def want(self, fetch: Fetch) -> None:
        self.wanted.append(fetch)
        self.wake()

    # How it is stored.

    def crowded(self) -> bool:
        """Whether the store is behind by as much as may be kept in memory for it."""
        return self._size + self._under_way > MOST_PENDING

    def unsettled(self) -> int:
        """How many rows of this group would have to be stored."""
        return self._young

    def take(self) -> list[Record]:
        """The group that has collected; the next begins. Call it when no group is under way.

        A group of which nothing is left needs no commit: what waited for it waits no longer.
        """
        number = self.group
        if self.count == self._taken:
            return []
        self.group += 1
        self._taken = self.count
        self.queued = self.settled = 0
        taken = [record for record in self._records if record is not NOTHING]
        for rows in self._fresh:
            young, rows.young = rows.young, {}
            for delivery in young.values():
                self._store(taken, rows, delivery)
        self._records = []
        self._fresh = []
        self._young = 0
        self._last = None
        self._retained = {}
        self._marks = {}
        self._messages = set()
        self._under_way, self._size = self._size, 0
        if not taken:
            self.committed(number)
        return taken

    # Who waits for that.

    def barrier(self) -> int:
        """The group with whose commit all recorded so far is stored; 0 when it is already."""
        if self.count != self._taken:
            return self.group
        return self.group - 1 if self._done < self.group - 1 else 0

    def has(self, number: int) -> bool:
        """Whether this group is committed."""
        return number <= self._done

    def hold(self, link: Link, number: int) -> None:
        """`link` holds something back until this group is committed."""
        self._links.append((number, link))

    def wait(self, number: int) -> Pending[bool]:
        """Decided when this group is committed."""
        pending: Pending[bool] = Pending()
        if number <= self._done:
            pending.decision = True
        else:
            self._pending.append((number, pending))
        return pending

    def committed(self, number: int) -> None:
        """The store has this group and those before it."""
        self._done = number
        self._under_way = 0
        while self._links and self._links[0][0] <= number:
            self._links.popleft()[1].release(number)
        while self._pending and self._pending[0][0] <= number:
            self._pending.popleft()[1].resume(True)
