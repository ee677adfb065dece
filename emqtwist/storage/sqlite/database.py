"""The file: where it lies, how it is opened, and what its errors mean."""
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from emqtwist.storage.errors import Broken, Corrupt, Full, Locked, ReadOnly, StoreError
from emqtwist.storage.sqlite import schema

NAME: Final = "store.db"
PATIENCE: Final = 15.0  # seconds that another program may hold the file
PAGE: Final = 4096
KEPT_WAL: Final = 64 << 20  # bytes of the write-ahead log that are not given back


def translated(error: sqlite3.Error | OSError) -> StoreError:
    """The error of a store that stands for one of SQLite's or the system's."""
    if isinstance(error, OSError):
        return ReadOnly(f"{error.filename or 'the store'}: {error.strerror}")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return Full("there is no space left for the store")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ReadOnly(f"the store cannot be written: {error}")
    if code == sqlite3.SQLITE_IOERR:
        return Broken(f"the disk of the store fails: {error}")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Corrupt(f"the store is damaged: {error}")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Locked("another program holds the store")
    return StoreError(f"the store fails: {error}")


def connect(path: Path, durability: str = "always", max_size: int = 0) -> sqlite3.Connection:
    """The connection that writes; makes and migrates the file. Schema and Corrupt leave it as it is."""
    if path.exists():  # a connection that cannot write leaves a file as it is when it closes
        with closing(read_only(path)) as db:
            schema.check(db)
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    db.execute("PRAGMA trusted_schema = OFF")
    if not schema.check(db):
        db.execute(f"PRAGMA page_size = {PAGE}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'always' else 'NORMAL'}")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute(f"PRAGMA journal_size_limit = {KEPT_WAL}")
    db.execute("PRAGMA cache_size = -16384")
    schema.migrate(db)
    if max_size:
        db.execute(f"PRAGMA max_page_count = {max(1, max_size // PAGE)}")
    return db


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that only reads, beside the one that writes."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE, isolation_level=None)
