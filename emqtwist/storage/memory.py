"""A store that is gone with its process: the double of a real one in tests, and what a real one has to do in plain words.

Not what an embedded broker uses without a store: that has no journal at all.
"""
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from emqtwist.core import records as r
from emqtwist.core.records import Fetch, Snapshot
from emqtwist.interfaces import IStore
from emqtwist.storage.errors import StoreError

Record = tuple[Any, ...]
ROW = 100  # bytes that a row counts beside its payload


@implementer(IStore)
class MemoryStore:
    """Keeps all from one `start` to the next. `error` fails commits while it is set."""

    def __init__(self) -> None:
        self.sessions: dict[int, list[Any]] = {}  # session -> client id, expiry interval, version, expires at, next seq
        self.subscriptions: dict[tuple[int, bytes], Record] = {}
        self.received: dict[tuple[int, int], None] = {}
        self.wills: dict[int, list[Any]] = {}
        self.retained: dict[bytes, Record] = {}
        self.messages: dict[int, Record] = {}
        self.rows: dict[tuple[int, int, int], list[Any]] = {}  # key -> state, message, first byte, identifiers
        self.highest_session = self.highest_message = 0
        self.number = 0
        self.error: StoreError | None = None

    def start(self) -> Deferred[Snapshot | None]:
        self.number = 0
        sessions = []
        for session, (client_id, expiry, version, expires_at, next_seq) in self.sessions.items():
            keys = [key for key in self.rows if key[0] == session]
            size = sum([self._size(self.rows[key]) for key in keys])
            sessions.append((session, client_id, expiry, version, expires_at, len(keys), size, next_seq))
        return succeed(Snapshot(
            self.highest_session, self.highest_message, sessions,
            [(*key, *value) for key, value in self.subscriptions.items()], list(self.received),
            [(session, *will) for session, will in self.wills.items()],
            [(topic, *value) for topic, value in self.retained.items()]))

    def watch(self, function: Callable[[Exception], object]) -> None:
        """It does not end by itself."""

    def interrupt(self) -> Deferred[None]:
        return succeed(None)

    def commit(self, number: int, records: Sequence[Record]) -> Deferred[None]:
        if self.error is not None:
            return fail(self.error)
        if number > self.number:
            for record in records:
                self._apply(record)
            self.number = number
        return succeed(None)

    def page(self, fetch: Fetch) -> Deferred[tuple[list[Record], bool]]:
        keys = sorted(key for key in self.rows if key[0] == fetch.session and key[1:] > (fetch.after_rank, fetch.after_seq))
        page: list[Record] = []
        size = 0
        for key in keys:
            if size >= fetch.limit_bytes:
                return succeed((page, True))
            state, number, first_byte, identifiers = self.rows[key]
            gone = (b"", b"", 2, 0, b"", None, "", b"")
            message = self.messages[number] if number else gone
            page.append((key[1], key[2], state, first_byte, identifiers, *message[:7], number, message[7]))
            size += len(message[0]) + len(message[1]) + ROW
        return succeed((page, False))

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def info(self) -> Deferred[dict[str, float]]:
        return succeed({"sessions": len(self.sessions), "queued": len(self.rows), "retained": len(self.retained)})

    def backup(self, target: Path) -> Deferred[int]:
        return fail(StoreError("a store in memory has no back-up"))

    def check(self) -> Deferred[list[str]]:
        return succeed([])

    def _size(self, row: list[Any]) -> int:
        if not row[1]:
            return 0
        topic, payload, _, _, properties, _, _, _ = self.messages[row[1]]
        return len(topic) + len(payload) + len(properties)

    def _apply(self, record: Record) -> None:
        kind, values = record[0], record[1:]
        if kind == r.OPENED:
            next_seq = self.sessions[values[0]][4] if values[0] in self.sessions else 1
            self.sessions[values[0]] = [*values[1:], None, next_seq]
            self.highest_session = max(self.highest_session, values[0])
        elif kind == r.LEFT:
            self.sessions[values[0]][3] = _wall(values[1])
        elif kind == r.ENDED:
            self._end(values[0])
        elif kind == r.SUBSCRIBED:
            self.subscriptions[values[0], values[1]] = values[2:]
        elif kind == r.UNSUBSCRIBED:
            self.subscriptions.pop(values, None)
        elif kind == r.MESSAGE:
            topic, payload, qos, retain, properties, expires_at, publisher, group = values[1:]
            self.messages[values[0]] = topic, payload, qos, int(retain), properties, _wall(expires_at), publisher, group
            self.highest_message = max(self.highest_message, values[0])
        elif kind == r.QUEUED:
            session, rank, seq, message, first_byte, identifiers, state = values
            self.rows[session, rank, seq] = [state, message, first_byte, identifiers]
            self.sessions[session][4] = max(self.sessions[session][4], seq + 1)
        elif kind == r.SENT:
            self.rows[values][0] = 1
        elif kind == r.RELEASED:
            self.rows[values][:2] = 2, 0
        elif kind == r.DONE:
            self.rows.pop(values, None)
        else:
            self._apply_rest(kind, values)

    def _apply_rest(self, kind: int, values: Record) -> None:
        if kind == r.RECEIVED:
            self.received[values[0], values[1]] = None
        elif kind == r.COMPLETED:
            self.received.pop((values[0], values[1]), None)
        elif kind == r.WILL:
            self.wills[values[0]] = [*values[1:4], int(values[4]), *values[5:], None]
        elif kind == r.WILL_DUE:
            self.wills[values[0]][-1] = _wall(values[1])
        elif kind == r.WILL_GONE:
            self.wills.pop(values[0], None)
        elif kind == r.RETAINED:
            self.retained[values[0]] = (*values[1:4], _wall(values[4]), values[5], _wall(values[6]))
        elif kind == r.RETAINED_GONE:
            self.retained.pop(values[0], None)
        else:
            raise ValueError(f"a record of kind {kind}")

    def _end(self, session: int) -> None:
        self.sessions.pop(session, None)
        self.wills.pop(session, None)
        self.subscriptions = {key: value for key, value in self.subscriptions.items() if key[0] != session}
        self.received = {key: None for key in self.received if key[0] != session}
        self.rows = {key: row for key, row in self.rows.items() if key[0] != session}


def _wall(moment: float | None) -> float | None:
    return None if moment == inf else moment
