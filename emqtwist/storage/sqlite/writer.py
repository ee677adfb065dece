"""Groups of records into tables, each group in one transaction with its number.

The lengths of queues are kept in the sessions' rows, so that nobody has to count at the next start.
"""
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from marshal import dumps
from typing import Final

from emqtwist.core import records as r
from emqtwist.storage.sqlite.group import MARSHAL, RELEASED, Group, Key, Range, Record, joined, ranges, rest_of, size_of

CHUNK: Final = 2000  # rows of ended sessions that are deleted at a time
BETWEEN: Final = "session = ? AND rank = ? AND seq BETWEEN ? AND ?"
SHARED: Final = "(topic IS NULL AND message <> 0)"  # the row needs a message that others may need too


class Length:
    """How many rows a session's queue has, their bytes, and the number that the next row gets at least."""

    __slots__ = ("queued", "size", "next_seq")

    def __init__(self, queued: int, size: int, next_seq: int) -> None:
        self.queued = queued
        self.size = size
        self.next_seq = next_seq


class Writer:
    """Writes to `db` for one start of a broker, called `boot`; `number` is the last group that is stored."""

    def __init__(self, db: sqlite3.Connection, boot: str) -> None:
        self._db = db
        self._boot = boot
        self._steps: dict[int, Callable[[Record], object]] = {
            r.OPENED: self._opened, r.LEFT: self._left, r.ENDED: self._ended,
            r.SUBSCRIBED: self._subscribed, r.UNSUBSCRIBED: self._unsubscribed,
            r.MESSAGE: self._message, r.QUEUED: self._queued, r.SENT: self._sent, r.RELEASED: self._released,
            r.DONE: self._done, r.RECEIVED: self._received, r.COMPLETED: self._completed,
            r.WILL: self._will, r.WILL_DUE: self._will_due, r.WILL_GONE: self._will_gone,
            r.RETAINED: self._retained, r.RETAINED_GONE: self._retained_gone, r.BAN: self._ban, r.BAN_GONE: self._ban_gone,
            r.USER: self._user, r.USER_GONE: self._user_gone,
            r.DELAYED: self._delayed, r.DELAYED_GONE: self._delayed_gone,
            r.TAKEN: self._taken, r.MEMBER: self._member, r.MEMBER_GONE: self._member_gone,
            r.MOVED: self._moved,
        }
        self._load()

    def _load(self) -> None:
        """What is kept in memory of the tables, also after a group that was not written."""
        boot, number, self._highest_session, self._highest_message = self._db.execute(
            "SELECT boot, number, highest_session, highest_message FROM meta").fetchone()
        self.number = int(number) if boot == self._boot else 0
        self._lengths = {session: Length(*length) for session, *length in self._db.execute(
            "SELECT session, queued, queued_bytes, next_seq FROM session")}
        self.doomed = [session for session, in self._db.execute("SELECT session FROM doomed")]
        self._begin()

    def _begin(self) -> None:
        self._group = Group()
        self._touched: dict[int, None] = {}
        self._refs: Counter[int] = Counter()

    def write(self, number: int, records: Sequence[Record], now: float) -> None:
        """Store a group; one that is stored already changes nothing. sqlite3.Error when nothing of it is stored."""
        if number <= self.number:
            return
        execute, steps = self._db.execute, self._steps
        try:
            execute("BEGIN IMMEDIATE")
            for record in records:
                steps[record[0]](record)
            self._flush()
            self._group = Group()
            execute("UPDATE meta SET boot = ?, number = ?, highest_session = ?, highest_message = ?, committed_at = ?",
                    (self._boot, number, self._highest_session, self._highest_message, now))
            execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                execute("ROLLBACK")
            self._load()
            raise
        self.number = number

    def clean(self) -> bool:
        """Delete some rows of ended sessions; whether some are left."""
        if not self.doomed:
            return False
        session = self.doomed[-1]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            rows = self._db.execute("SELECT rank, seq FROM queue WHERE session = ? LIMIT ?", (session, CHUNK)).fetchall()
            for part in ranges([(session, rank, seq) for rank, seq in rows]):
                self._delete(part)
            self._release()
            if len(rows) < CHUNK:
                self._db.execute("DELETE FROM doomed WHERE session = ?", (session,))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._load()
            raise
        self._begin()
        if len(rows) < CHUNK:
            self.doomed.pop()
        return bool(self.doomed)

    # One method a kind of record.

    def _opened(self, record: Record) -> None:
        _, session, client_id, expiry_interval, version, epoch = record
        if session not in self._lengths:
            self._lengths[session] = Length(0, 0, 1)
        self._highest_session = max(self._highest_session, session)
        self._db.execute(
            "INSERT INTO session VALUES (?, ?, ?, ?, NULL, 0, 0, 1, ?, '') ON CONFLICT (session) DO UPDATE SET "
            "client_id = excluded.client_id, expiry_interval = excluded.expiry_interval, version = excluded.version, "
            "expires_at = NULL, epoch = excluded.epoch", (session, client_id, expiry_interval, version, epoch))

    def _moved(self, record: Record) -> None:
        self._db.execute("UPDATE session SET move = ? WHERE session = ?", (record[2], record[1]))

    def _left(self, record: Record) -> None:
        self._db.execute("UPDATE session SET expires_at = ? WHERE session = ?", (_wall(record[2]), record[1]))

    def _ended(self, record: Record) -> None:
        session = record[1]
        messages = self._group.messages
        self._flush()
        self._group.messages = messages  # rows that follow may need them too
        length = self._lengths.pop(session, None)
        self._touched.pop(session, None)
        for table in ("session", "subscription", "received", "will"):
            self._db.execute(f"DELETE FROM {table} WHERE session = ?", (session,))
        if length is not None and length.queued:
            self._db.execute("INSERT OR IGNORE INTO doomed VALUES (?)", (session,))
            self.doomed.append(session)

    def _subscribed(self, record: Record) -> None:
        _, session, topic_filter, options, identifiers = record
        self._db.execute("INSERT OR REPLACE INTO subscription VALUES (?, ?, ?, ?)",
                         (session, topic_filter, options, _packed(identifiers)))

    def _unsubscribed(self, record: Record) -> None:
        self._db.execute("DELETE FROM subscription WHERE session = ? AND topic_filter = ?", record[1:])

    def _message(self, record: Record) -> None:
        self._group.messages[record[1]] = record
        self._highest_message = max(self._highest_message, record[1])

    def _queued(self, record: Record) -> None:
        if record[1] in self._lengths:  # one that ended has no queue
            self._group.queued(record)

    def _sent(self, record: Record) -> None:
        self._group.state(record[1:], 1)

    def _released(self, record: Record) -> None:
        self._group.state(record[1:], RELEASED)

    def _done(self, record: Record) -> None:
        self._group.finish(record[1:])

    def _received(self, record: Record) -> None:
        self._group.received[record[1], record[2]] = True

    def _completed(self, record: Record) -> None:
        self._group.received[record[1], record[2]] = False

    def _will(self, record: Record) -> None:
        self._db.execute("INSERT OR REPLACE INTO will VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", record[1:])

    def _will_due(self, record: Record) -> None:
        self._db.execute("UPDATE will SET due = ? WHERE session = ?", (_wall(record[2]), record[1]))

    def _will_gone(self, record: Record) -> None:
        self._db.execute("DELETE FROM will WHERE session = ?", (record[1],))

    def _retained(self, record: Record) -> None:
        _, topic, payload, qos, properties, expires_at, publisher, until, stamp, node = record
        self._group.retained[topic] = topic, payload, qos, properties, _wall(expires_at), publisher, _wall(until), stamp, node
        self._group.tombstones[topic] = None

    def _retained_gone(self, record: Record) -> None:
        _, topic, stamp, node, until = record
        self._group.retained[topic] = None
        self._group.tombstones[topic] = (topic, stamp, node, _wall(until)) if stamp else None

    def _ban(self, record: Record) -> None:
        self._db.execute("INSERT OR REPLACE INTO ban VALUES (?, ?, ?, ?, ?, ?)", (*record[1:6], _wall(record[6])))

    def _ban_gone(self, record: Record) -> None:
        self._db.execute("DELETE FROM ban WHERE kind = ? AND value = ?", record[1:])

    def _user(self, record: Record) -> None:
        self._db.execute("INSERT OR REPLACE INTO user VALUES (?, ?, ?)", record[1:])

    def _user_gone(self, record: Record) -> None:
        self._db.execute("DELETE FROM user WHERE name = ?", record[1:])

    def _delayed(self, record: Record) -> None:
        self._db.execute("INSERT INTO delayed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                         (*record[1:8], _wall(record[8]), record[9]))

    def _delayed_gone(self, record: Record) -> None:
        self._db.execute("DELETE FROM delayed WHERE number = ?", record[1:])

    def _taken(self, record: Record) -> None:
        if record[3]:
            self._db.execute("INSERT OR REPLACE INTO taken VALUES (?, ?, ?)", record[1:])
        else:
            self._db.execute("DELETE FROM taken WHERE node = ? AND identity = ?", record[1:3])

    def _member(self, record: Record) -> None:
        self._db.execute("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?)", record[1:])

    def _member_gone(self, record: Record) -> None:
        self._db.execute("DELETE FROM member WHERE name = ?", record[1:])

    # The rest of the group.

    def _flush(self) -> None:
        """Write what the group has put together. What frees room comes first."""
        group, self._group = self._group, Group()
        for part in joined(group.done):
            self._delete(part)
        self._change_states(group.states)
        self._insert(group)
        self._release()
        self._store_lengths()
        self._store_topics("retained", 9, group.retained)
        self._store_topics("tombstone", 4, group.tombstones)
        self._store_received(group.received)

    def _rows(self, part: Range) -> tuple[int, int]:
        """How many rows there are, and their bytes; they no longer need their shared messages."""
        rows, size, shared = self._db.execute(
            f"SELECT count(*), coalesce(sum(size), 0), coalesce(sum({SHARED}), 0) FROM queue WHERE {BETWEEN}", part).fetchone()
        if shared:
            for message, in self._db.execute(f"SELECT message FROM queue WHERE {BETWEEN} AND {SHARED}", part):
                self._refs[message] -= 1
        return rows, size

    def _delete(self, part: Range) -> None:
        rows, size = self._rows(part)
        self._db.execute(f"DELETE FROM queue WHERE {BETWEEN}", part)
        length = self._lengths.get(part[0])
        if length is not None:
            length.queued -= rows
            length.size -= size
            self._touched[part[0]] = None

    def _change_states(self, states: dict[Key, int]) -> None:
        sent = [key for key, state in states.items() if state != RELEASED]
        if sent:
            self._db.executemany("UPDATE queue SET state = 1 WHERE session = ? AND rank = ? AND seq = ?", sent)
        for part in ranges([key for key, state in states.items() if state == RELEASED]):
            _, size = self._rows(part)
            self._db.execute("UPDATE queue SET state = 2, message = 0, size = 0, topic = NULL, payload = NULL, rest = NULL "
                             f"WHERE {BETWEEN}", part)
            length = self._lengths.get(part[0])
            if length is not None:
                length.size -= size
                self._touched[part[0]] = None

    def _insert(self, group: Group) -> None:
        made: list[Record] = []
        messages, uses = group.messages, group.uses
        for _, session, rank, seq, number, first_byte, identifiers, state in group.rows.values():
            message = messages.get(number)
            packed = dumps(identifiers, MARSHAL) if identifiers else None
            if message is None:
                size = self._share(number) if number else 0
                made.append((session, rank, seq, state, first_byte, number, size, packed, None, None, None))
            elif uses[number] == 1:
                _, _, topic, payload, _, _, properties, _, _, _ = message
                size = len(topic) + len(payload) + len(properties)
                made.append((session, rank, seq, state, first_byte, number, size, packed, topic, payload, rest_of(message)))
            else:
                size = size_of(message)
                made.append((session, rank, seq, state, first_byte, number, size, packed, None, None, None))
            length = self._lengths[session]
            length.queued += 1
            length.size += size
        for session, seq in group.last.items():
            self._lengths[session].next_seq = max(self._lengths[session].next_seq, seq + 1)
            self._touched[session] = None
        shared = [(number, uses[number], message[2], message[3], size_of(message), rest_of(message))
                  for number, message in messages.items() if uses.get(number, 0) > 1]
        if shared:
            self._db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?) "
                                 "ON CONFLICT (message) DO UPDATE SET refs = refs + excluded.refs", shared)
        if made:
            self._db.executemany("INSERT INTO queue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", made)

    def _share(self, number: int) -> int:
        """One more row needs a message that is stored already; its bytes."""
        self._refs[number] += 1
        found = self._db.execute("SELECT size FROM message WHERE message = ?", (number,)).fetchone()
        return int(found[0])

    def _release(self) -> None:
        """Free the messages that no row needs any more."""
        if self._refs:
            self._db.executemany("UPDATE message SET refs = refs + ? WHERE message = ?",
                                 [(change, number) for number, change in self._refs.items()])
            self._db.executemany("DELETE FROM message WHERE message = ? AND refs <= 0",
                                 [(number,) for number, change in self._refs.items() if change < 0])
            self._refs = Counter()

    def _store_lengths(self) -> None:
        if self._touched:
            lengths = [(self._lengths[session], session) for session in self._touched]
            self._db.executemany("UPDATE session SET queued = ?, queued_bytes = ?, next_seq = ? WHERE session = ?",
                                 [(each.queued, each.size, each.next_seq, session) for each, session in lengths])
            self._touched = {}

    def _store_topics(self, table: str, columns: int, records: dict[bytes, Record | None]) -> None:
        kept = [record for record in records.values() if record is not None]
        if kept:
            self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * columns)})", kept)
        gone = [(topic,) for topic, record in records.items() if record is None]
        if gone:
            self._db.executemany(f"DELETE FROM {table} WHERE topic = ?", gone)

    def _store_received(self, received: dict[tuple[int, int], bool]) -> None:
        for there, statement in ((True, "INSERT OR IGNORE INTO received VALUES (?, ?)"),
                                 (False, "DELETE FROM received WHERE session = ? AND packet_id = ?")):
            keys = [key for key, stays in received.items() if stays is there]
            if keys:
                self._db.executemany(statement, keys)


def _packed(identifiers: tuple[int, ...]) -> bytes | None:
    return dumps(identifiers, MARSHAL) if identifiers else None


def _wall(moment: float | None) -> float | None:
    """Absolute time as it is stored: NULL for never."""
    return None if moment is None or moment == float("inf") else moment
