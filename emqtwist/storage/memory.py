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
ROW = 400  # bytes that a row counts beside its payload, as in memory


@implementer(IStore)
class MemoryStore:
    """Keeps all from one `start` to the next; `error` fails commits while it is set.

    A record without what it needs, such as the end of a row that is not there, is a mistake of the broker: it raises.
    """

    def __init__(self) -> None:
        # session -> client id, expiry interval, version, expires at, next seq, epoch, move
        self.sessions: dict[int, list[Any]] = {}
        self.subscriptions: dict[tuple[int, bytes], Record] = {}
        self.received: dict[tuple[int, int], None] = {}
        self.wills: dict[int, list[Any]] = {}
        self.retained: dict[bytes, Record] = {}
        self.bans: dict[tuple[str, str], Record] = {}
        self.users: dict[str, Record] = {}
        self.delayed: dict[int, Record] = {}
        self.taken: dict[tuple[str, str], int] = {}
        self.members: dict[str, Record] = {}
        self.tombstones: dict[bytes, Record] = {}
        self.messages: dict[int, Record] = {}
        self.rows: dict[tuple[int, ...], list[Any]] = {}  # key -> state, message, first byte, identifiers
        self.highest_session = self.highest_message = 0
        self.number = 0
        self.error: StoreError | None = None
        self._steps: dict[int, Callable[..., None]] = {
            kind: getattr(self, f"_{name.lower()}") for kind, (name, _) in r.KINDS.items()}

    def start(self) -> Deferred[Snapshot | None]:
        self.number = 0
        sessions = []
        for session, (client_id, expiry, version, expires_at, next_seq, epoch, move) in self.sessions.items():
            keys = [key for key in self.rows if key[0] == session]
            size = sum([self._size(self.rows[key]) for key in keys])
            sessions.append((session, client_id, expiry, version, expires_at, len(keys), size, next_seq, epoch, move))
        return succeed(Snapshot(
            self.highest_session, self.highest_message, sessions,
            [(*key, *value) for key, value in self.subscriptions.items()], list(self.received),
            [(session, *will) for session, will in self.wills.items()],
            [(topic, *value) for topic, value in self.retained.items()], [(*key, *ban) for key, ban in self.bans.items()],
            [(name, *user) for name, user in self.users.items()],
            [(number, *value) for number, value in self.delayed.items()],
            [(*key, number) for key, number in self.taken.items()], [(name, *value) for name, value in self.members.items()],
            [(topic, *value) for topic, value in self.tombstones.items()]))

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
            self._free()
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

    def _free(self) -> None:
        """Forget the messages that no row needs any more."""
        needed = {row[1] for row in self.rows.values()}
        self.messages = {number: message for number, message in self.messages.items() if number in needed}

    def _apply(self, record: Record) -> None:
        kind, values = record[0], record[1:]
        name, fields = r.KINDS[kind]
        if len(values) != len(fields):
            raise ValueError(f"{name} with the fields {values}")
        self._steps[kind](*values)

    # One method a kind of record.

    def _opened(self, session: int, client_id: str, expiry_interval: float, version: int, epoch: int) -> None:
        next_seq, _, move = self.sessions[session][4:] if session in self.sessions else (1, 0, "")
        self.sessions[session] = [client_id, expiry_interval, version, None, next_seq, epoch, move]
        self.highest_session = max(self.highest_session, session)

    def _moved(self, session: int, move: str) -> None:
        self.sessions[session][6] = move

    def _left(self, session: int, expires_at: float | None) -> None:
        self.sessions[session][3] = _wall(expires_at)

    def _ended(self, session: int) -> None:
        del self.sessions[session]
        self.wills.pop(session, None)
        tables: list[dict[Any, Any]] = [self.subscriptions, self.received, self.rows]
        for table in tables:
            for key in [key for key in table if key[0] == session]:
                del table[key]

    def _subscribed(self, session: int, topic_filter: bytes, *values: Any) -> None:
        self._known(session)
        self.subscriptions[session, topic_filter] = values

    def _unsubscribed(self, session: int, topic_filter: bytes) -> None:
        del self.subscriptions[session, topic_filter]

    def _message(self, message: int, topic: bytes, payload: bytes, qos: int, retain: int, properties: bytes,
                 expires_at: float | None, publisher: str, group: bytes) -> None:
        if message <= self.highest_message:
            raise ValueError(f"message {message} after {self.highest_message}")
        self.highest_message = message
        self.messages[message] = topic, payload, qos, int(retain), properties, _wall(expires_at), publisher, group

    def _queued(self, session: int, rank: int, seq: int, message: int, first_byte: int, identifiers: tuple[int, ...],
                state: int) -> None:
        self._known(session)
        if message not in self.messages or (session, rank, seq) in self.rows:
            raise KeyError(f"row {seq} of session {session} with message {message}")
        self.rows[session, rank, seq] = [state, message, first_byte, identifiers]
        self.sessions[session][4] = max(self.sessions[session][4], seq + 1)

    def _sent(self, *key: int) -> None:
        self.rows[key][0] = r.STATE_SENT

    def _released(self, *key: int) -> None:
        self.rows[key][:2] = r.STATE_RELEASED, 0

    def _done(self, session: int, rank: int, first: int, last: int) -> None:
        for seq in range(first, last + 1):
            del self.rows[session, rank, seq]

    def _received(self, session: int, packet_id: int) -> None:
        self._known(session)
        self.received[session, packet_id] = None

    def _completed(self, session: int, packet_id: int) -> None:
        del self.received[session, packet_id]

    def _will(self, session: int, topic: bytes, payload: bytes, qos: int, retain: int, *values: Any) -> None:
        self._known(session)
        self.wills[session] = [topic, payload, qos, int(retain), *values, None]

    def _will_due(self, session: int, due: float | None) -> None:
        self.wills[session][-1] = _wall(due)

    def _will_gone(self, session: int) -> None:
        del self.wills[session]

    def _retained(self, topic: bytes, payload: bytes, qos: int, properties: bytes, expires_at: float | None, publisher: str,
                  until: float | None, stamp: int, node: str) -> None:
        self.retained[topic] = payload, qos, properties, _wall(expires_at), publisher, _wall(until), stamp, node
        self.tombstones.pop(topic, None)

    def _retained_gone(self, topic: bytes, stamp: int, node: str, until: float | None) -> None:
        self.retained.pop(topic, None)
        self.tombstones.pop(topic, None)
        if stamp:
            self.tombstones[topic] = stamp, node, _wall(until)

    def _ban(self, kind: str, value: str, reason: str, by: str, at: float, until: float | None) -> None:
        self.bans[kind, value] = reason, by, at, _wall(until)

    def _ban_gone(self, kind: str, value: str) -> None:
        del self.bans[kind, value]

    def _user(self, name: str, password_hash: str, superuser: int) -> None:
        self.users[name] = password_hash, superuser

    def _user_gone(self, name: str) -> None:
        del self.users[name]

    def _delayed(self, number: int, due: float, topic: bytes, payload: bytes, qos: int, retain: int, properties: bytes,
                 expires_at: float | None, publisher: str) -> None:
        if number in self.delayed:
            raise KeyError(f"delayed message {number}")
        self.delayed[number] = due, topic, payload, qos, int(retain), properties, _wall(expires_at), publisher

    def _delayed_gone(self, number: int) -> None:
        del self.delayed[number]

    def _taken(self, node: str, identity: str, number: int) -> None:
        self.taken[node, identity] = number
        if not number:
            del self.taken[node, identity]

    def _member(self, name: str, *values: Any) -> None:
        self.members[name] = values

    def _member_gone(self, name: str) -> None:
        del self.members[name]

    def _known(self, session: int) -> None:
        if session not in self.sessions:
            raise KeyError(f"session {session}")


def _wall(moment: float | None) -> float | None:
    return None if moment == inf else moment
