"""One group of records, put together so that the writer has few statements to execute.

Within a group only the end counts: a row that came and went is not written at all, a retained message that was replaced
neither. What touches no queue and is rare is written as it comes.
"""
from collections.abc import Iterable
from marshal import dumps
from typing import Any, Final

Key = tuple[int, int, int]  # session, rank, seq
Range = tuple[int, int, int, int]  # session, rank, first seq, last seq
RELEASED: Final = 2  # the state of a row of which only the identifier is left
MARSHAL: Final = 2  # the version without references: faster, and every Python reads it


def ranges(keys: Iterable[Key]) -> list[Range]:
    """Keys that follow each other, put together: acknowledgements mostly come in the order of sending."""
    found: list[Range] = []
    session = rank = first = last = -1
    for key in sorted(keys):
        if key[2] == last + 1 and key[0] == session and key[1] == rank:
            last += 1
            continue
        if last >= 0:
            found.append((session, rank, first, last))
        session, rank, first = key
        last = first
    if last >= 0:
        found.append((session, rank, first, last))
    return found


class Message:
    """A payload that came with this group; `uses` are the rows in this group that need it."""

    __slots__ = ("topic", "payload", "size", "rest", "uses")

    def __init__(self, record: tuple[Any, ...]) -> None:
        _, _, self.topic, self.payload, qos, retain, properties, expires_at, publisher = record
        self.size = len(self.topic) + len(self.payload) + len(properties)
        self.rest = dumps((qos, int(retain), properties, expires_at, publisher), MARSHAL)
        self.uses = 0


class Group:
    """What is to be written to the queues, retained messages and received identifiers."""

    __slots__ = ("messages", "rows", "states", "done", "retained", "received", "last")

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.rows: dict[Key, list[Any]] = {}  # state, message number, first byte, identifiers
        self.states: dict[Key, int] = {}  # of rows that are stored already
        self.done: dict[Key, None] = {}  # the same
        self.retained: dict[bytes, tuple[Any, ...] | None] = {}
        self.last: dict[int, int] = {}  # session -> highest seq, also of rows that came and went
        self.received: dict[tuple[int, int], bool] = {}

    def message(self, record: tuple[Any, ...]) -> None:
        self.messages[record[1]] = Message(record)

    def queued(self, record: tuple[Any, ...]) -> None:
        _, session, rank, seq, number, first_byte, identifiers, state = record
        self.rows[session, rank, seq] = [state, number, first_byte, identifiers]
        self.last[session] = seq
        message = self.messages.get(number)
        if message is not None:
            message.uses += 1

    def state(self, key: Key, state: int) -> None:
        row = self.rows.get(key)
        if row is None:
            self.states[key] = state
            return
        row[0] = state
        if state == RELEASED:
            self._unuse(row)
            row[1] = 0

    def finish(self, key: Key) -> None:
        row = self.rows.pop(key, None)
        if row is None:
            self.states.pop(key, None)
            self.done[key] = None
        else:
            self._unuse(row)

    def _unuse(self, row: list[Any]) -> None:
        message = self.messages.get(row[1])
        if message is not None:
            message.uses -= 1
