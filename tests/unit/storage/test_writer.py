"""The SQLite writer and reader against a store in plain Python, and what a group does to the file."""
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core import records as r
from emqtwist.core.records import Fetch
from emqtwist.storage.memory import MemoryStore
from emqtwist.storage.sqlite import reader
from emqtwist.storage.sqlite.database import connect
from emqtwist.storage.sqlite.group import ranges
from emqtwist.storage.sqlite.writer import CHUNK, Writer
from tests.unit.storage.histories import History

Record = tuple[Any, ...]
OPENED: Record = (r.OPENED, 1, "c", 60.0, 5, 0)


def message(number: int, payload: bytes = b"x") -> Record:
    return (r.MESSAGE, number, b"t", payload, 1, False, b"", None, "p", b"g")


def queued(session: int, seq: int, number: int) -> Record:
    return (r.QUEUED, session, 0, seq, number, 0x32, (), 0)


def everything(db: sqlite3.Connection) -> tuple[object, ...]:
    """The snapshot, as sets."""
    lists: list[set[Record]] = [set() for _ in reader.LISTS]
    for which, rows in reader.parts(db):
        lists[which] |= set(rows)
    return *reader.highest(db), *lists


def expected(store: MemoryStore) -> tuple[object, ...]:
    found: list[Any] = []
    store.start().addCallback(found.append)
    one = found[0]
    return (one.highest_session, one.highest_message, set(one.sessions), set(one.subscriptions), set(one.received),
            set(one.wills), set(one.retained), set(one.bans), set(one.users),
            set(one.delayed), set(one.taken), set(one.members), set(one.tombstones))


def pages(db: sqlite3.Connection, session: int, limit: int) -> Iterator[list[Record]]:
    after, more = (-100, 0), True
    while more:
        rows, more = reader.page(db, session, *after, limit)
        yield rows
        if rows:
            after = rows[-1][0], rows[-1][1]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    db = connect(tmp_path / "store.db")
    yield db
    db.close()


def memory_db() -> sqlite3.Connection:
    return connect(Path(":memory:"))


@given(st.integers(0, 1 << 32))
def test_what_is_written_is_what_the_records_say(seed: int) -> None:
    history, plain, db = History(seed), MemoryStore(), memory_db()
    writer = Writer(db, "boot")
    for number in range(1, 12):
        group = history.group()
        writer.write(number, group, 0.0)
        plain.commit(number, group)
        writer.clean()
        assert everything(db) == expected(plain)
        for session in history.sessions:
            whole: list[Any] = []
            plain.page(Fetch(session, -100, 0, 1 << 30)).addCallback(whole.append)
            assert [row for page in pages(db, session, 200) for row in page] == whole[0][0]
    leftover, = db.execute("SELECT count(*) FROM message WHERE refs <= 0").fetchone()
    assert leftover == 0
    db.close()


@given(st.integers(0, 1 << 32))
def test_nothing_is_left_when_all_sessions_ended(seed: int) -> None:
    history, db = History(seed), memory_db()
    writer = Writer(db, "boot")
    for number in range(1, 8):
        writer.write(number, history.group(), 0.0)
    writer.write(8, [(r.ENDED, session) for session in history.sessions], 0.0)
    while writer.clean():
        pass
    for table in ("session", "subscription", "received", "message", "queue", "will", "doomed"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    db.close()


def test_a_group_that_was_stored_is_not_stored_again(db: sqlite3.Connection) -> None:
    group = [OPENED, message(1), queued(1, 1, 1)]
    Writer(db, "boot").write(1, group, 0.0)
    again = Writer(db, "boot")
    assert again.number == 1
    again.write(1, group, 0.0)
    assert db.execute("SELECT queued FROM session").fetchone() == (1,)


def test_another_start_of_the_broker_counts_its_groups_anew(db: sqlite3.Connection) -> None:
    Writer(db, "one").write(5, [OPENED], 0.0)
    other = Writer(db, "two")
    other.write(1, [(r.RETAINED, b"t", b"x", 1, b"", None, "p", None, 0, "")], 0.0)
    assert [row[0] for row in db.execute("SELECT topic FROM retained")] == [b"t"]


def test_a_group_that_fails_leaves_nothing_behind(db: sqlite3.Connection) -> None:
    writer = Writer(db, "boot")
    writer.write(1, [OPENED], 0.0)
    before = everything(db)
    pages, = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    large = [message(1, bytes(100_000)), queued(1, 1, 1)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        writer.write(2, large, 0.0)
    assert everything(db) == before
    db.execute("PRAGMA max_page_count = 1000000")
    writer.write(2, large, 0.0)
    assert db.execute("SELECT queued, queued_bytes, next_seq FROM session").fetchone() == (1, 100_001, 2)


def test_what_a_group_frees_makes_room_for_what_it_brings(db: sqlite3.Connection) -> None:
    writer = Writer(db, "boot")
    writer.write(1, [OPENED, message(1, bytes(100_000)), queued(1, 1, 1)], 0.0)
    pages, = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    writer.write(2, [message(2, bytes(100_000)), queued(1, 2, 2), (r.DONE, 1, 0, 1, 1)], 0.0)
    assert [row[1] for row in reader.page(db, 1, -1, 0, 1 << 20)[0]] == [2]


def test_a_payload_is_stored_once_for_many_sessions_and_freed_with_the_last(db: sqlite3.Connection) -> None:
    writer = Writer(db, "boot")
    sessions = range(1, 51)
    group = [(r.OPENED, session, f"c{session}", 60.0, 5, 0) for session in sessions]
    group += [message(1, bytes(1_000_000)), *[queued(session, 1, 1) for session in sessions]]
    writer.write(1, group, 0.0)
    pages, = db.execute("PRAGMA page_count").fetchone()
    assert pages * 4096 < 2_000_000
    writer.write(2, [(r.DONE, session, 0, 1, 1) for session in sessions[:-1]], 0.0)
    assert len(reader.page(db, 50, -1, 0, 1)[0][0][6]) == 1_000_000
    writer.write(3, [(r.DONE, 50, 0, 1, 1)], 0.0)
    assert db.execute("SELECT count(*) FROM message").fetchone() == (0,)


def test_a_row_that_came_and_went_is_not_written(db: sqlite3.Connection) -> None:
    writer = Writer(db, "boot")
    writer.write(1, [OPENED], 0.0)
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    writer.write(2, [message(1), queued(1, 1, 1), (r.SENT, 1, 0, 1), (r.DONE, 1, 0, 1, 1)], 0.0)
    assert [each for each in statements if "INTO" in each] == []


def test_the_rows_of_an_ended_session_are_deleted_a_part_at_a_time(db: sqlite3.Connection) -> None:
    writer = Writer(db, "boot")
    rows = CHUNK * 2 + 1
    group = [OPENED]
    for seq in range(1, rows + 1):
        group += [message(seq), queued(1, seq, seq)]
    writer.write(1, group, 0.0)
    writer.write(2, [(r.ENDED, 1)], 0.0)
    assert db.execute("SELECT count(*) FROM queue").fetchone() == (rows,)
    assert Writer(db, "boot").doomed == [1]  # another process goes on with it
    left = []
    while writer.clean():
        left += db.execute("SELECT count(*) FROM queue").fetchone()
    assert left == [CHUNK + 1, 1]
    assert db.execute("SELECT count(*) FROM queue").fetchone() == (0,)


def test_a_session_that_ended_gets_no_rows(db: sqlite3.Connection) -> None:
    Writer(db, "boot").write(1, [OPENED, (r.ENDED, 1), message(1), queued(1, 1, 1)], 0.0)
    assert db.execute("SELECT count(*) FROM queue").fetchone() == (0,)


def test_a_row_that_came_and_went_has_used_its_number(db: sqlite3.Connection) -> None:
    Writer(db, "boot").write(1, [OPENED, message(1), queued(1, 7, 1), (r.DONE, 1, 0, 7, 7)], 0.0)
    assert db.execute("SELECT next_seq FROM session").fetchone() == (8,)


def test_a_page_has_one_row_at_least(db: sqlite3.Connection) -> None:
    Writer(db, "boot").write(1, [OPENED, message(1, bytes(1000)), queued(1, 1, 1), queued(1, 2, 1)], 0.0)
    rows, more = reader.page(db, 1, -1, 0, 1)
    assert ([row[1] for row in rows], more) == ([1], True)
    rows, more = reader.page(db, 1, 0, 1, 1)
    assert ([row[1] for row in rows], more) == ([2], False)


def test_keys_in_a_row_are_one_range() -> None:
    keys = [(1, 0, 1), (1, 0, 3), (1, 0, 2), (1, -1, 4), (2, 0, 4), (2, 0, 6)]
    assert ranges(keys) == [(1, -1, 4, 4), (1, 0, 1, 3), (2, 0, 4, 4), (2, 0, 6, 6)]


@pytest.mark.parametrize("rows", [1, 2])
def test_a_message_is_there_for_rows_behind_the_end_of_a_session(db: sqlite3.Connection, rows: int) -> None:
    """As when a retained message is handed to one client before, and to another after it."""
    writer = Writer(db, "boot")
    group: list[Record] = [(r.OPENED, session, f"c{session}", 60.0, 5, 0) for session in range(1, 6)]
    group += [message(1), *[queued(session, 1, 1) for session in range(1, 1 + rows)], (r.ENDED, 5),
              *[queued(session, 1, 1) for session in range(3, 3 + rows)]]
    writer.write(1, group, 0.0)
    for session in [*range(1, 1 + rows), *range(3, 3 + rows)]:
        assert reader.page(db, session, -1, 0, 100)[0][0][6] == b"x"
    writer.write(2, [(r.DONE, session, 0, 1, 1) for session in [*range(1, 1 + rows), *range(3, 3 + rows)]], 0.0)
    assert db.execute("SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM queue)").fetchone() == (0, 0)
    writer.write(3, [message(2), queued(1, 2, 2)], 0.0)
    assert [row[12] for row in reader.page(db, 1, -1, 0, 100)[0]] == [2]
