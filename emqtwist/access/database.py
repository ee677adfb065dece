"""A data base of SQLite that is asked by queries of the operator's.

The values in them are clients': these are bound, and never become SQL. Each query runs in a thread, on a connection that can
only read.
"""
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred

from emqtwist.access.stage import Unreachable
from emqtwist.config.sections.sqlite import PLACEHOLDER
from emqtwist.core.access import Client
from emqtwist.services.pooler import Abandoned, Refused

STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock

Row = Mapping[str, object]  # by the name of the column; texts are bytes
Values = Mapping[str, str | None]
Pooling = Callable[..., "Deferred[Any]"]  # has a function called in a thread


class Query:
    """SQL with placeholders; `needs` are those that it has."""

    def __init__(self, text: str) -> None:
        self.needs = frozenset(PLACEHOLDER.findall(text))
        self.sql = PLACEHOLDER.sub(r":\1", text)


def values_of(client: Client) -> Values:
    """What placeholders stand for, but the password."""
    return {"u": client.user_name, "c": client.client_id, "a": client.address}


class Database:
    """The file at `path`. A connection belongs to one query at a time, and is kept for the next."""

    def __init__(self, path: str, pooling: Pooling, patience: float) -> None:
        self._path = Path(path).absolute()
        self._pooling = pooling
        self._patience = patience
        self._free: list[tuple[sqlite3.Connection, tuple[int, int]]] = []
        self._closed = False

    async def first(self, query: Query, values: Values) -> Row | None:
        """The first row that a query gives; Unreachable says why there is no answer."""
        found = await self._rows(query, values, 1)
        return found[0] if found else None

    async def all(self, query: Query, values: Values, most: int) -> list[Row]:
        """All rows that a query gives; Unreachable when there are more than `most`, too."""
        found = await self._rows(query, values, most + 1)
        if len(found) > most:
            raise Unreachable(f"a query gives more than {most} rows")
        return found

    async def _rows(self, query: Query, values: Values, most: int) -> list[Row]:
        try:
            found: list[Row] = await self._pooling(self._read, query, {name: values.get(name) for name in query.needs}, most)
        except (Refused, Abandoned) as error:
            raise Unreachable(f"no thread can ask it: {error}") from None
        return found

    def close(self) -> None:
        """Queries that run go on."""
        self._closed = True
        while self._free:
            self._free.pop()[0].close()

    # In a thread.

    def _read(self, query: Query, values: Values, most: int) -> list[Row]:
        try:
            found = os.stat(self._path)
            db, which = self._take((found.st_dev, found.st_ino))
        except (OSError, sqlite3.Error) as error:
            raise Unreachable(f"the data base cannot be opened: {_reason(error)}") from None
        try:
            rows = self._ask(db, query, values, most)
        except BaseException:
            db.close()
            raise
        self._free.append((db, which))
        if self._closed:
            self.close()
        return rows

    def _take(self, which: tuple[int, int]) -> tuple[sqlite3.Connection, tuple[int, int]]:
        """A connection to the file that is there now: another may have come in its place."""
        while self._free:
            kept = self._free.pop()
            if kept[1] == which:
                return kept
            kept[0].close()
        db = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=self._patience, isolation_level=None,
                             check_same_thread=False)
        db.text_factory = bytes  # to fail on a text would show it
        db.execute("PRAGMA trusted_schema = OFF")
        return db, which

    def _ask(self, db: sqlite3.Connection, query: Query, values: Values, most: int) -> list[Row]:
        due = time.monotonic() + self._patience
        db.set_progress_handler(lambda: time.monotonic() > due, STEPS)
        try:
            cursor = db.execute(query.sql, values)
            rows = cursor.fetchmany(most)
            names = [column[0] for column in cursor.description or ()]
            cursor.close()  # a query that has not ended would hold up whoever writes
        except sqlite3.Error as error:
            late = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT
            raise Unreachable(f"a query takes longer than {self._patience:g} s" if late
                              else f"a query fails: {_reason(error)}") from None
        return [dict(zip(names, row, strict=True)) for row in rows]


def text_of(value: object) -> str:
    """What stands in a column of text; ValueError, which shows nothing of it, when there is none."""
    if not isinstance(value, bytes):
        raise ValueError("not a text")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


def _reason(error: Exception) -> str:
    """An error of SQLite names tables and columns, not values."""
    return error.strerror or "" if isinstance(error, OSError) else str(error)
