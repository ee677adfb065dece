"""A store as plain as can be, and a World whose sessions it keeps: groups are committed, or lost in a crash, as a test says."""
from typing import Any

from emqtwist.app.settings import settings_of
from emqtwist.config import parse
from emqtwist.core import records as r
from emqtwist.core.broker import Broker
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from emqtwist.core.records import Fetch, Record, Snapshot
from tests.peers import Witness, World

WALL = 1_700_000_000.0  # of the clock on the wall when a test begins


class NaiveStore:
    """Tables of dictionaries, a record changes one entry."""

    def __init__(self) -> None:
        self.sessions: dict[int, list[Any]] = {}  # client_id, expiry_interval, version, expires_at
        self.subscriptions: dict[tuple[int, bytes], tuple[int, tuple[int, ...]]] = {}
        self.received: dict[tuple[int, int], None] = {}
        self.messages: dict[int, tuple[Any, ...]] = {}
        self.rows: dict[tuple[int, int, int], list[Any]] = {}  # (session, rank, seq) -> message, first_byte, identifiers, state
        self.wills: dict[int, list[Any]] = {}
        self.retained: dict[bytes, tuple[Any, ...]] = {}
        self.highest_session = self.highest_message = 0

    def apply(self, records: list[Record]) -> None:
        """A group; a record whose row is not there is a mistake."""
        for record in records:
            name, fields = r.KINDS[record[0]]
            assert len(record) == len(fields) + 1, (name, record)
            getattr(self, f"take_{name.lower()}")(*record[1:])
        for message in set(self.messages) - {row[0] for row in self.rows.values()}:
            del self.messages[message]

    def take_opened(self, session: int, client_id: str, expiry_interval: float, version: int) -> None:
        self.highest_session = max(self.highest_session, session)
        self.sessions[session] = [client_id, expiry_interval, version, None]

    def take_left(self, session: int, expires_at: float | None) -> None:
        self.sessions[session][3] = expires_at

    def take_ended(self, session: int) -> None:
        del self.sessions[session]
        self.wills.pop(session, None)
        tables: list[dict[Any, Any]] = [self.subscriptions, self.received, self.rows]
        for table in tables:
            for key in [key for key in table if key[0] == session]:
                del table[key]

    def take_subscribed(self, session: int, topic_filter: bytes, options: int, identifiers: tuple[int, ...]) -> None:
        assert session in self.sessions
        self.subscriptions[session, topic_filter] = options, identifiers

    def take_unsubscribed(self, session: int, topic_filter: bytes) -> None:
        del self.subscriptions[session, topic_filter]

    def take_message(self, message: int, *fields: Any) -> None:
        assert message > self.highest_message
        self.highest_message = message
        self.messages[message] = fields

    def take_queued(self, session: int, rank: int, seq: int, message: int, *fields: Any) -> None:
        assert session in self.sessions
        assert message in self.messages
        assert (session, rank, seq) not in self.rows
        self.rows[session, rank, seq] = [message, *fields]

    def take_sent(self, session: int, rank: int, seq: int) -> None:
        self.rows[session, rank, seq][3] = r.STATE_SENT

    def take_released(self, session: int, rank: int, seq: int) -> None:
        self.rows[session, rank, seq][0] = 0
        self.rows[session, rank, seq][3] = r.STATE_RELEASED

    def take_done(self, session: int, rank: int, seq: int) -> None:
        del self.rows[session, rank, seq]

    def take_received(self, session: int, packet_id: int) -> None:
        self.received[session, packet_id] = None

    def take_completed(self, session: int, packet_id: int) -> None:
        del self.received[session, packet_id]

    def take_will(self, session: int, *fields: Any) -> None:
        assert session in self.sessions
        self.wills[session] = [*fields, None]

    def take_will_due(self, session: int, due: float | None) -> None:
        self.wills[session][-1] = due

    def take_will_gone(self, session: int) -> None:
        del self.wills[session]

    def take_retained(self, topic: bytes, *fields: Any) -> None:
        self.retained[topic] = fields

    def take_retained_gone(self, topic: bytes) -> None:
        self.retained.pop(topic, None)

    def snapshot(self) -> Snapshot:
        sessions = []
        for number, fields in self.sessions.items():
            rows = [key for key in self.rows if key[0] == number]
            size = sum(self._size(self.rows[key][0]) for key in rows)
            sessions.append((number, *fields, len(rows), size, 1 + max((key[2] for key in rows), default=0)))
        return Snapshot(
            self.highest_session, self.highest_message, sessions,
            [(*key, *value) for key, value in self.subscriptions.items()], list(self.received),
            [(number, *will) for number, will in self.wills.items()],
            [(topic, *fields) for topic, fields in self.retained.items()])

    def page(self, fetch: Fetch) -> tuple[list[Record], bool]:
        behind = sorted(key for key in self.rows if key[0] == fetch.session
                        and key[1:] > (fetch.after_rank, fetch.after_seq))
        found: list[Record] = []
        size = 0
        for key in behind:
            if size > fetch.limit_bytes:
                break
            message, first_byte, identifiers, state = self.rows[key]
            fields = self.messages.get(message, (b"", b"", 0, False, b"", None, "", b""))
            found.append((*key[1:], state, first_byte, identifiers, *fields[:7], message, fields[7]))
            size += self._size(message) + 400
        return found, len(found) < len(behind)

    def _size(self, message: int) -> int:
        fields = self.messages.get(message, (b"", b"", 0, False, b""))
        return len(fields[0]) + len(fields[1]) + len(fields[4])


class StoredWorld(World):
    """A World with a journal. While `stored` is set every group is committed at once, else when the test says `commit`."""

    def __init__(self, *lines: str, stored: bool = True) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.stored = stored
        self.store = NaiveStore()
        self._under_way: tuple[int, list[Record]] | None = None
        self._begin(self.turn.now)

    def _begin(self, now: float) -> None:
        self.journal = Journal()
        self.journal.offset = WALL - 1000.0
        self.turn = Turn(now)
        self.witness = Witness()
        self.broker = Broker(settings_of(parse("\n".join(self.lines))), self._token, self.turn, self.witness, self.journal)
        self.broker.recover(self.store.snapshot(), now)

    def take(self) -> bool:
        """Take a group, if none is under way: it is stored from here on. Whether there is one under way now."""
        if self._under_way is None:
            number = self.journal.group
            records = self.journal.take()
            if records:
                self._under_way = number, records
                self.store.apply(records)
        return self._under_way is not None

    def answer(self) -> None:
        """The broker hears that the group under way is stored."""
        assert self._under_way is not None
        number, self._under_way = self._under_way[0], None
        self.journal.committed(number)

    def commit(self) -> None:
        """Store all that there is, hand over the pages that are wanted, and let follow what follows."""
        while True:
            busy = False
            if self.take():
                self.answer()
                busy = True
            wanted, self.journal.wanted = self.journal.wanted, []
            for fetch in wanted:
                self.broker.page(fetch.session, *self.store.page(fetch))
                busy = True
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
        self._begin(self.turn.now + seconds)
        if self.stored:
            self.settle()

