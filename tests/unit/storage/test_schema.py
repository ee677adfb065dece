"""Versions of the file: an older one is migrated, a newer or foreign one is left as it is."""
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emqtwist.core import records as r
from emqtwist.core.cluster.course import Course, course_of
from emqtwist.core.cluster.epochs import COMING, GIVEN, HERE
from emqtwist.storage.errors import Corrupt, Schema
from emqtwist.storage.sqlite import reader, schema
from emqtwist.storage.sqlite.database import connect, translated
from emqtwist.storage.sqlite.writer import Writer

TABLES = "SELECT name, sql FROM sqlite_schema ORDER BY name"
FIXTURE = Path(__file__).parent / "schema_1.sql"


def schema_1(path: Path) -> None:
    """A file as version 1 wrote it."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(FIXTURE.read_text())


def test_a_file_of_version_1_is_read(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    schema_1(path)
    with closing(connect(path)) as db:
        lists = dict(reader.parts(db))
        assert lists[0] == [(3, "meter", 3600.0, 5, 1900000000.0, 2, 21, 9, 0, "")]
        assert lists[1] == [(3, b"a/#", 1, (7,))]
        assert lists[2] == [(3, 12)]
        assert lists[3] == [(3, b"wills", b"gone", 1, 0, b"", "meter", 5.0, 60.0, None)]
        assert lists[4] == [(b"r", b"kept", 1, b"", None, "meter", None, 0, "")]
        rows, more = reader.page(db, 3, -1, 0, 1 << 20)
        assert not more
        assert rows == [
            (0, 7, 1, 0x34, (7,), b"a/b", b"inline", 2, 0, b"", None, "p", 40, b""),
            (0, 8, 0, 0x32, (), b"a/c", b"shared", 1, 0, b"\x01\x01\x01", 1900000000.0, "p", 41, b"")]
        Writer(db, "boot").write(1, [(r.ENDED, 3)], 0.0)


def test_the_tables_of_the_fixture_are_those_of_version_1(tmp_path: Path) -> None:
    schema_1(tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as old, \
            closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as new:
        schema.migrate(new, {0: schema.VERSION_1})
        assert old.execute(TABLES).fetchall() == new.execute(TABLES).fetchall()


def test_an_upgraded_file_has_the_tables_of_a_new_one_and_takes_what_they_are_for(tmp_path: Path) -> None:
    schema_1(tmp_path / "old.db")
    with closing(connect(tmp_path / "old.db")) as old, closing(connect(tmp_path / "new.db")) as new:
        assert old.execute(TABLES).fetchall() == new.execute(TABLES).fetchall()
        later: r.Record = (1, 2.0, b"t", b"x", 1, 0, b"", None, "p")
        records: list[r.Record] = [(r.BAN, "client", "x", "because", "ctl", 1.0, None), (r.USER, "al", "hash", 1),
                                   (r.DELAYED, *later), (r.OPENED, 4, "c", 60.0, 5, 2), (r.MOVED, 4, "n2"),
                                   (r.TAKEN, "n1", "x", 9),
                                   (r.RETAINED, b"k", b"x", 1, b"", None, "p", None, 1 << 57, "n1"),
                                   (r.RETAINED_GONE, b"r", 1 << 57, "n1", 3.0), (r.MEMBER, "n1", "host:1", 8, "up")]
        Writer(old, "boot").write(1, records, 0.0)
        lists = dict(reader.parts(old))
        assert lists[5] == [("client", "x", "because", "ctl", 1.0, None)]
        assert lists[6] == [("al", "hash", 1)]
        assert lists[7] == [later]
        assert [(row[1], *row[8:]) for row in lists[0]] == [("meter", 0, ""), ("c", 2, "n2")]
        assert lists[4] == [(b"k", b"x", 1, b"", None, "p", None, 1 << 57, "n1")]
        assert [lists[8], lists[9], lists[10]] == [[("n1", "x", 9)], [("n1", "host:1", 8, "up")], [(b"r", 1 << 57, "n1", 3.0)]]


def test_a_file_of_version_4_keeps_all_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        schema.migrate(db, {version: schema.MIGRATIONS[version] for version in range(4)})
        db.execute("INSERT INTO session VALUES (3, 'meter', 3600.0, 5, NULL, 0, 0, 9)")
        db.execute("INSERT INTO retained VALUES (X'72', X'6b657074', 1, X'', 5.0, 'meter', 6.0)")
        db.execute("INSERT INTO delayed VALUES (1, 2.0, X'74', X'78', 1, 0, X'', NULL, 'p')")
        assert db.execute("PRAGMA user_version").fetchone() == (4,)
    with closing(connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        lists = dict(reader.parts(db))
        assert lists == {0: [(3, "meter", 3600.0, 5, None, 0, 0, 9, 0, "")],
                         4: [(b"r", b"kept", 1, b"", 5.0, "meter", 6.0, 0, "")],
                         7: [(1, 2.0, b"t", b"x", 1, 0, b"", None, "p")]}


def test_epochs_of_version_6_have_room_for_takeovers(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        schema.migrate(db, {version: schema.MIGRATIONS[version] for version in range(6)})
        course = Course()
        course.other, course.number, course.come, course.sources, course.via = "b@x", 9, 8, {"c@x": 7, "d@x": 8}, {"d@x"}
        course.filters = {"d@x": [b"t/#"]}
        for number, state, move in ((1, HERE, ""), (2, GIVEN, course.text()), (3, COMING, course.text())):
            db.execute("INSERT INTO session VALUES (?, 'meter', 3600.0, 5, NULL, 0, 0, 9, ?, ?)", (number, 8 << 2 | state, move))
    with closing(connect(path)) as db:
        rows = dict(reader.parts(db))[0]
    assert [row[8] for row in rows] == [8 << 18 | HERE, 8 << 18 | GIVEN, 8 << 18 | COMING]
    assert rows[0][9] == ""
    given, coming = course_of(rows[1][9]), course_of(rows[2][9])
    assert (given.other, given.number, coming.number) == ("b@x", 9 << 16, 9)  # rows that are here are no epoch
    for moved in (given, coming):
        assert (moved.come, moved.sources, moved.via) == (8 << 16, {"c@x": 7 << 16, "d@x": 8 << 16}, {"d@x"})
        assert moved.filters == {"d@x": [b"t/#"]}


def test_an_older_file_is_migrated_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    schema_1(path)
    newest = schema.VERSION
    steps = {**schema.MIGRATIONS, newest: ["CREATE TABLE new (who TEXT)"],
             newest + 1: ["ALTER TABLE new ADD COLUMN until REAL"]}
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        schema.migrate(db, steps)
        assert db.execute("PRAGMA user_version").fetchone() == (newest + 2,)
        db.execute("INSERT INTO new VALUES ('x', 1.0)")
        assert db.execute("SELECT count(*) FROM session").fetchone() == (1,)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    schema_1(path)
    before = path.read_bytes()
    steps = {**schema.MIGRATIONS, schema.VERSION: ["CREATE TABLE new (who TEXT)", "CREATE TABLE new (who TEXT)"]}
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        with pytest.raises(sqlite3.OperationalError):
            schema.migrate(db, steps)
    assert path.read_bytes() == before


def test_a_newer_file_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    schema_1(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(Schema, match="schema 99, written by a newer emqtwist"):
        connect(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["store.db"]


def test_a_database_of_another_program_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(Corrupt, match="another program"):
        connect(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        connect(path)
    assert isinstance(translated(raised.value), Corrupt)
    assert path.read_bytes() == b"no database " * 1000


@pytest.mark.parametrize(("error", "kind"), [
    (sqlite3.SQLITE_FULL, "Full"), (sqlite3.SQLITE_READONLY, "ReadOnly"), (sqlite3.SQLITE_CANTOPEN, "ReadOnly"),
    (sqlite3.SQLITE_IOERR | 3 << 8, "Broken"), (sqlite3.SQLITE_CORRUPT, "Corrupt"), (sqlite3.SQLITE_NOTADB, "Corrupt"),
    (sqlite3.SQLITE_BUSY, "Locked"), (sqlite3.SQLITE_ERROR, "StoreError")])
def test_errors_have_their_kind(error: int, kind: str) -> None:
    raised = sqlite3.OperationalError("words")
    raised.sqlite_errorcode = error
    assert type(translated(raised)).__name__ == kind
