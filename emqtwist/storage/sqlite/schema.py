"""The tables, and how a file of an older version becomes one of this version.

`PRAGMA user_version` is the version. A migration is the list of statements from one version to the next; all that are
needed run in one transaction.
"""
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from emqtwist.storage.errors import Corrupt, Schema

APPLICATION_ID: Final = 0x656D7174  # "emqt": a file of somebody else is not touched

# A row of `queue` has its message with it when it was the only one that needed it; else `topic` is NULL and `message`
# names the shared one, which counts its rows in `refs`. `rest` and `identifiers` are marshal, version 2.
VERSION_1: Final = (
    "CREATE TABLE meta (boot TEXT NOT NULL, number INTEGER NOT NULL, highest_session INTEGER NOT NULL, "
    "highest_message INTEGER NOT NULL, committed_at REAL NOT NULL)",
    "INSERT INTO meta VALUES ('', 0, 0, 0, 0)",
    "CREATE TABLE session (session INTEGER PRIMARY KEY, client_id TEXT NOT NULL, expiry_interval REAL NOT NULL, "
    "version INTEGER NOT NULL, expires_at REAL, queued INTEGER NOT NULL, queued_bytes INTEGER NOT NULL, "
    "next_seq INTEGER NOT NULL)",
    "CREATE TABLE subscription (session INTEGER, topic_filter BLOB, options INTEGER NOT NULL, identifiers BLOB, "
    "PRIMARY KEY (session, topic_filter)) WITHOUT ROWID",
    "CREATE TABLE received (session INTEGER, packet_id INTEGER, PRIMARY KEY (session, packet_id)) WITHOUT ROWID",
    "CREATE TABLE message (message INTEGER PRIMARY KEY, refs INTEGER NOT NULL, topic BLOB NOT NULL, "
    "payload BLOB NOT NULL, size INTEGER NOT NULL, rest BLOB NOT NULL)",
    "CREATE TABLE queue (session INTEGER, rank INTEGER, seq INTEGER, state INTEGER NOT NULL, first_byte INTEGER NOT NULL, "
    "message INTEGER NOT NULL, size INTEGER NOT NULL, identifiers BLOB, topic BLOB, payload BLOB, rest BLOB, "
    "PRIMARY KEY (session, rank, seq)) WITHOUT ROWID",
    "CREATE TABLE will (session INTEGER PRIMARY KEY, topic BLOB NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL, "
    "retain INTEGER NOT NULL, properties BLOB NOT NULL, publisher TEXT NOT NULL, delay REAL NOT NULL, "
    "lifetime REAL NOT NULL, due REAL)",
    "CREATE TABLE retained (topic BLOB PRIMARY KEY, payload BLOB NOT NULL, qos INTEGER NOT NULL, "
    "properties BLOB NOT NULL, expires_at REAL, publisher TEXT NOT NULL, until REAL) WITHOUT ROWID",
    "CREATE TABLE doomed (session INTEGER PRIMARY KEY)",  # ended sessions whose rows are still to be deleted
)
VERSION_2: Final = (
    "CREATE TABLE ban (kind TEXT, value TEXT, reason TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL, until REAL, "
    "PRIMARY KEY (kind, value)) WITHOUT ROWID",
)
VERSION_3: Final = (
    "CREATE TABLE user (name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, superuser INTEGER NOT NULL) WITHOUT ROWID",
)
VERSION_4: Final = (
    "CREATE TABLE delayed (number INTEGER PRIMARY KEY, due REAL NOT NULL, topic BLOB NOT NULL, payload BLOB NOT NULL, "
    "qos INTEGER NOT NULL, retain INTEGER NOT NULL, properties BLOB NOT NULL, expires_at REAL, publisher TEXT NOT NULL)",
)
VERSION_5: Final = (
    "ALTER TABLE session ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE retained ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE retained ADD COLUMN node TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE tombstone (topic BLOB PRIMARY KEY, stamp INTEGER NOT NULL, node TEXT NOT NULL, until REAL) WITHOUT ROWID",
    "CREATE TABLE taken (node TEXT, identity TEXT, number INTEGER NOT NULL, PRIMARY KEY (node, identity)) WITHOUT ROWID",
    "CREATE TABLE member (name TEXT PRIMARY KEY, address TEXT NOT NULL, stamp INTEGER NOT NULL, state TEXT NOT NULL) "
    "WITHOUT ROWID",
)
VERSION_6: Final = ("ALTER TABLE session ADD COLUMN move TEXT NOT NULL DEFAULT ''",)
# Epochs count takeovers in 16 bits of their own. In `move` are at 1 the epoch of a session where it was given to (or, of one that
# comes, the rows that are here), at 5 that under which it came, at 6 those under which the sources gave it, by node.
VERSION_7: Final = (
    "UPDATE session SET move = json_set(move, '$[1]', json_extract(move, '$[1]') << 16) WHERE move <> '' AND epoch & 3 = 1",
    "UPDATE session SET move = json_set(move, '$[5]', json_extract(move, '$[5]') << 16, '$[6]', json((SELECT "
    "json_group_object(key, value << 16) FROM json_each(move, '$[6]')))) WHERE move <> ''",
    "UPDATE session SET epoch = (epoch >> 2 << 18) | (epoch & 3)",
)
MIGRATIONS: Final[Mapping[int, Sequence[str]]] = {
    0: VERSION_1, 1: VERSION_2, 2: VERSION_3, 3: VERSION_4, 4: VERSION_5, 5: VERSION_6, 6: VERSION_7}
VERSION: Final = max(MIGRATIONS) + 1


def check(db: sqlite3.Connection) -> int:
    """The version of the file, 0 when it is new. Only reads; Schema or Corrupt when this program cannot use it."""
    found, = db.execute("PRAGMA user_version").fetchone()
    owner, = db.execute("PRAGMA application_id").fetchone()
    tables, = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID and (owner or found or tables):
        raise Corrupt("the file is a database of another program")
    if found > VERSION:
        raise Schema(f"the file has schema {found}, written by a newer emqtwist; this one knows {VERSION} at most")
    return int(found)


def migrate(db: sqlite3.Connection, migrations: Mapping[int, Sequence[str]] = MIGRATIONS) -> None:
    """Bring the file to the newest version, wholly or not at all."""
    version = check(db)
    newest = max(migrations) + 1
    if version >= newest:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, newest):
            for statement in migrations[step]:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {newest}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
