"""One group of records, put together so that the writer has few statements to execute.

Within a group only the end counts: a row that came and went is not written at all, a retained message that was replaced
neither. What touches no queue and is rare is written as it comes.
"""
from collections.abc import Iterable
from marshal import dumps
from typing import Any, Final

Record = tuple[Any, ...]
Key = tuple[int, int, int]  # session, rank, seq
Range = tuple[int, int, int, int]  # session, rank, first seq, last seq
RELEASED: Final = 2  # the state of a row of which only the identifier is left
MARSHAL: Final = 2  # the version without references: faster, and every Python reads it


def ranges(keys: Iterable[Key]) -> list[Range]:
    """Keys that follow each other, put together."""
    return joined([(*key, key[2]) for key in keys])


def joined(parts: Iterable[Range]) -> list[Range]:
    """Ranges that follow each other, put together: acknowledgements mostly come in the order of sending."""
    found: list[Range] = []
    for part in sorted(parts):
        session, rank, first, last = part
        if found and found[-1][3] == first - 1 and found[-1][:2] == part[:2]:
            found[-1] = session, rank, found[-1][2], last
        else:
            found.append(part)
    return found


class Group:
    """What is to be written to the queues, retained messages and received identifiers."""

    __slots__ = ("messages", "uses", "rows", "states", "done", "retained", "tombstones", "received", "first", "last")

    def __init__(self) -> None:
        self.messages: dict[int, Record] = {}
        self.uses: dict[int, int] = {}  # message -> how many rows of this group need it
        self.rows: dict[Key, Record] = {}
        self.states: dict[Key, int] = {}  # of rows that are stored already
        self.done: list[Range] = []  # the same
        self.retained: dict[bytes, Record | None] = {}
        self.tombstones: dict[bytes, Record | None] = {}  # of each topic either this or a retained message
        self.first: dict[int, int] = {}  # session -> lowest seq of the rows that came
        self.last: dict[int, int] = {}  # session -> highest seq, also of rows that came and went
        self.received: dict[tuple[int, int], bool] = {}

    def queued(self, record: Record) -> None:
        _, session, rank, seq, number, _, _, _ = record
        self.rows[session, rank, seq] = record
        self.uses[number] = self.uses.get(number, 0) + 1
        if session not in self.first:
            self.first[session] = seq
        self.last[session] = seq

    def state(self, key: Key, state: int) -> None:
        row = self.rows.get(key)
        if row is None:
            self.states[key] = state
        elif state == RELEASED:
            self._unuse(row[4])
            self.rows[key] = (*row[:4], 0, *row[5:7], state)
        else:
            self.rows[key] = (*row[:7], state)

    def finish(self, part: Range) -> None:
        session, rank, first, last = part
        if not self.states and last < self.first.get(session, last + 1):  # all of earlier groups
            self.done.append(part)
            return
        for seq in range(first, last + 1):
            row = self.rows.pop((session, rank, seq), None)
            if row is not None:
                self._unuse(row[4])
            else:
                self.states.pop((session, rank, seq), None)
                self.done.append((session, rank, seq, seq))

    def _unuse(self, number: int) -> None:
        if number:
            self.uses[number] -= 1


def size_of(message: Record) -> int:
    """Bytes that a MESSAGE counts in a queue."""
    return len(message[2]) + len(message[3]) + len(message[6])


def rest_of(message: Record) -> bytes:
    """What of a MESSAGE has no column of its own: QoS, RETAIN, properties, expires at, publisher, group."""
    return dumps(message[4:], MARSHAL)
