"""What a broker needs at its start, and the queues page by page."""
import sqlite3
from collections.abc import Iterator
from marshal import loads
from math import inf
from typing import Any, Final

from emqtwist.storage.sqlite.group import RELEASED

Row = tuple[Any, ...]
PART: Final = 1 << 20  # bytes, more or less, that are handed over at a time
ROW: Final = 400  # bytes that a row counts beside its payload, as in memory

# The lists of core.records.Snapshot, in its order, and which column of each is large.
LISTS: Final = (
    ("SELECT session, client_id, expiry_interval, version, expires_at, queued, queued_bytes, next_seq, "
     "epoch, move FROM session", 1),
    ("SELECT session, topic_filter, options, identifiers FROM subscription", 1),
    ("SELECT session, packet_id FROM received", None),
    ("SELECT session, topic, payload, qos, retain, properties, publisher, delay, lifetime, due FROM will", 2),
    ("SELECT topic, payload, qos, properties, expires_at, publisher, until, stamp, node FROM retained", 1),
    ("SELECT kind, value, reason, by, at, until FROM ban", 2),
    ("SELECT name, password_hash, superuser FROM user", 1),
    ("SELECT number, due, topic, payload, qos, retain, properties, expires_at, publisher FROM delayed", 3),
    ("SELECT node, identity, number FROM taken", 1),
    ("SELECT name, address, stamp, state FROM member", 1),
    ("SELECT topic, stamp, node, until FROM tombstone", 0),
)
SUBSCRIPTIONS: Final = 1


def highest(db: sqlite3.Connection) -> tuple[int, int]:
    """The highest number of a session and of a message that was ever stored."""
    session, message = db.execute("SELECT highest_session, highest_message FROM meta").fetchone()
    return session, message


def parts(db: sqlite3.Connection) -> Iterator[tuple[int, list[Row]]]:
    """The content of LISTS in parts of bounded size: which list, and some of its rows."""
    for which, (query, large) in enumerate(LISTS):
        rows: list[Row] = []
        size = 0
        for row in db.execute(query):
            if which == SUBSCRIPTIONS:
                row = (*row[:3], _unpacked(row[3]))
            rows.append(row)
            size += ROW + (len(row[large]) if large is not None else 0)
            if size >= PART:
                yield which, rows
                rows, size = [], 0
        if rows:
            yield which, rows


def page(db: sqlite3.Connection, session: int, after_rank: int, after_seq: int, limit: int) -> tuple[list[Row], bool]:
    """The rows of a queue behind (rank, seq), some `limit` bytes of them and one at least; whether there are more.

    A row: rank, seq, state, first_byte, identifiers, topic, payload, qos, retain, properties, expires_at, publisher, message,
    group.
    """
    rows: list[Row] = []
    size = 0
    known: dict[bytes | None, Row] = {None: (2, 0, b"", None, "", b"")}  # mostly one publisher's: all are alike
    for rank, seq, state, first_byte, message, identifiers, topic, payload, rest in db.execute(
            "SELECT rank, seq, state, first_byte, message, identifiers, topic, payload, rest FROM queue "
            "WHERE session = ? AND (rank, seq) > (?, ?) ORDER BY rank, seq", (session, after_rank, after_seq)):
        if size >= limit:
            return rows, True
        if topic is None and state != RELEASED:
            topic, payload, rest = db.execute(
                "SELECT topic, payload, rest FROM message WHERE message = ?", (message,)).fetchone()
        if rest not in known:
            known[rest] = loads(rest)
        qos, retain, properties, expires_at, publisher, group = known[rest]
        if expires_at == inf:
            expires_at = None
        topic, payload = topic or b"", payload or b""
        rows.append((rank, seq, state, first_byte, _unpacked(identifiers) if identifiers else (), topic, payload, qos, retain,
                     properties, expires_at, publisher, message, group))
        size += len(topic) + len(payload) + ROW
    return rows, False


def _unpacked(identifiers: bytes | None) -> tuple[int, ...]:
    return loads(identifiers) if identifiers is not None else ()
