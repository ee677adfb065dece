"""Back-up, restore, check: beside a running broker, but for the restore."""
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from emqtwist.storage.errors import Corrupt, StoreError
from emqtwist.storage.folder import BROKER, STORE, lock
from emqtwist.storage.sqlite import schema
from emqtwist.storage.sqlite.database import NAME, read_only, translated

STEP: Final = 256  # pages that are copied at a time
PAUSE: Final = 0.001  # seconds between two steps


def back_up(path: Path, target: Path) -> int:
    """Copy the store as it is at one moment to the new file `target`, in steps; its size in bytes."""
    part = target.with_name(target.name + ".part")
    if target.exists():
        raise StoreError(f"{target} is there already")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600))  # as private as the folder of the store
        source, copy = read_only(path), sqlite3.connect(part, isolation_level=None)
        try:
            source.execute("BEGIN")
            source.execute("SELECT number FROM meta").fetchone()  # from here on it sees no later change
            source.backup(copy, pages=STEP, sleep=PAUSE)
            copy.execute("PRAGMA journal_mode = DELETE")
        finally:
            source.close()
            copy.close()
        _sync(part)
        os.rename(part, target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise translated(error) from error
    return target.stat().st_size


def check(path: Path) -> list[str]:
    """What is wrong with a store, or with a back-up; nothing when all is well. Reads all of it."""
    try:
        db = read_only(path)
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            schema.check(db)
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check")]
        finally:
            db.close()
    except sqlite3.Error as error:
        return [str(translated(error))]
    except StoreError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def restore(backup: Path, folder: Path) -> None:
    """Put a back-up in place of the store in `folder`; no broker may run there. The back-up is checked before."""
    mistakes = check(backup)
    if mistakes:
        raise Corrupt(f"{backup} is no good back-up: {mistakes[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    locks = [lock(folder / BROKER), lock(folder / STORE)]
    try:
        new = folder / (NAME + ".new")
        shutil.copyfile(backup, new)
        _sync(new)
        for end in ("-wal", "-shm"):  # they belong to the file that goes
            (folder / (NAME + end)).unlink(missing_ok=True)
        os.rename(new, folder / NAME)
        _sync(folder)
    except OSError as error:
        raise translated(error) from error
    finally:
        for descriptor in locks:
            os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
