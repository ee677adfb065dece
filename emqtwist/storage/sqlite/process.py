"""The store process: one loop that reads requests, writes groups and answers, until the broker's pipe closes.

Signals for the broker's process group are ignored: the broker still has to send what it acknowledged. A back-up and a
check run in a thread with a connection of their own, and answer when they are through.
"""
import os
import select
import signal
import sqlite3
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final

from emqtwist.storage.errors import StoreError
from emqtwist.storage.folder import STORE, lock
from emqtwist.storage.sqlite import reader, upkeep
from emqtwist.storage.sqlite.database import NAME, connect, translated
from emqtwist.storage.sqlite.frames import DEFECT, DONE, FAILED, PART, Frames, frame
from emqtwist.storage.sqlite.writer import Writer

PATIENCE: Final = 15.0  # seconds that the store process of a broker that was killed has to end
CHUNK: Final = 1 << 20  # bytes read at a time
CHECKPOINT: Final = 32 << 20  # bytes written, more or less, after which the log goes into the file
IDLE: Final = 0.2  # seconds without a request after which there is time for housekeeping
BUSY: Final = 0.1  # seconds after which some rows of ended sessions are deleted although requests never cease
VACUUM: Final = 512  # pages that are given back to the system at a time
KEPT_FREE: Final = 4096  # free pages that stay in the file for what comes
RECENT: Final = 256  # commits over which times are told
LATER: Final = object()  # a thread will answer


class Store:
    """Serves one broker; operations are methods that begin with `do_`."""

    def __init__(self, inlet: int, outlet: int) -> None:
        self._inlet, self._outlet = inlet, outlet
        self._sending = Lock()
        self._frames = Frames()
        self._db: sqlite3.Connection | None = None
        self._unsynced = False
        self._sync_due = 0.0
        self._dirty = 0  # bytes written since the last checkpoint, more or less
        self._times: list[float] = []
        self._clean_due = 0.0
        self._ended = False
        self.quiet = True  # nothing to do in the background

    def run(self) -> None:
        """Until the pipe closes, or `do_stop`."""
        while not self._ended:
            ready, _, _ = select.select([self._inlet], [], [], self._patience())
            if not ready:
                self._guarded(self._idle)
                continue
            data = os.read(self._inlet, CHUNK)
            if not data:
                break
            for request in self._frames.feed(data):
                self._serve(*request)
            if self._sync_due and time.monotonic() >= self._sync_due:
                self._guarded(self._sync)
            if not self.quiet and time.monotonic() >= self._clean_due:
                self._guarded(self._clean)
        self._guarded(self._close)

    def _patience(self) -> float | None:
        waits = [] if self.quiet else [IDLE]
        if self._sync_due:
            waits.append(max(0.0, self._sync_due - time.monotonic()))
        return min(waits) if waits else None

    def _serve(self, number: int, operation: str, arguments: tuple[Any, ...]) -> None:
        try:
            value = getattr(self, f"do_{operation}")(number, *arguments)
        except Exception as error:
            self._answer(number, *_failure(error))
        else:
            if value is not LATER:
                self._answer(number, DONE, value)
        if self._dirty > CHECKPOINT:
            self._guarded(self._checkpoint)

    def _answer(self, number: int, kind: str, value: object) -> None:
        data = memoryview(frame((number, kind, value)))
        with self._sending:
            while data:
                data = data[os.write(self._outlet, data):]

    def _guarded(self, work: Callable[[], object]) -> None:
        """What nobody has asked for may fail, as when the disk is full: the next commit tells, and it is tried again.

        When the file is closed there is nothing to do.
        """
        if self._db is None:
            return
        try:
            work()
        except (sqlite3.Error, OSError):
            self._dirty = 0

    # Operations.

    def do_open(self, number: int, folder: str, boot: str, durability: str, sync_interval: float, max_size: int) -> None:
        self._folder = Path(folder)
        self._path = self._folder / NAME
        self._lock = lock(self._folder / STORE, PATIENCE)
        self._durability, self._sync_interval = durability, sync_interval
        self._db = connect(self._path, durability, max_size)
        self._writer = Writer(self._db, boot)
        if durability == "interval":
            self._log = os.open(f"{self._path}-wal", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        self.quiet = False

    def do_snapshot(self, number: int) -> tuple[int, int]:
        assert self._db is not None
        for part in reader.parts(self._db):
            self._answer(number, PART, part)
        return reader.highest(self._db)

    def do_commit(self, number: int, group: int, records: list[tuple[Any, ...]]) -> None:
        began = time.monotonic()
        if self._unsynced:
            self._sync()
        self._writer.write(group, records, time.time())
        self._times = [*self._times[1 - RECENT:], time.monotonic() - began]
        self._dirty += 16384 + 256 * len(records)
        self.quiet = False
        if self._durability == "interval" and not self._sync_due:
            self._sync_due = time.monotonic() + self._sync_interval

    def do_page(self, number: int, session: int, after_rank: int, after_seq: int, limit: int) -> tuple[list[Any], bool]:
        assert self._db is not None
        return reader.page(self._db, session, after_rank, after_seq, limit)

    def do_info(self, number: int) -> dict[str, float]:
        return _information(self._db, self._path, self._times)

    def do_backup(self, number: int, target: str) -> object:
        Thread(target=self._aside, args=(number, upkeep.back_up, self._path, Path(target)), daemon=True).start()
        return LATER

    def do_check(self, number: int) -> object:
        Thread(target=self._aside, args=(number, upkeep.check, self._path), daemon=True).start()
        return LATER

    def do_stop(self, number: int) -> None:
        self._close()
        self._ended = True

    def _aside(self, number: int, work: Callable[..., object], *arguments: object) -> None:
        try:
            self._answer(number, DONE, work(*arguments))
        except Exception as error:
            self._answer(number, *_failure(error))

    # What is done when there is time.

    def _idle(self) -> None:
        if self._sync_due and time.monotonic() >= self._sync_due:
            self._sync()
        elif self._clean():
            pass
        elif self._dirty:
            self._checkpoint()
        else:
            self.quiet = not self._vacuum()

    def _clean(self) -> bool:
        """Delete some rows of ended sessions; whether there are more."""
        self._clean_due = time.monotonic() + BUSY
        more = self._writer.clean()
        if more:
            self._dirty += CHUNK
        return more

    def _sync(self) -> None:
        self._sync_due = 0.0
        self._unsynced = True
        os.fsync(self._log)
        self._unsynced = False

    def _checkpoint(self) -> None:
        assert self._db is not None
        self._dirty = 0
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _vacuum(self) -> bool:
        """Give some free pages back; whether there are more."""
        assert self._db is not None
        free, = self._db.execute("PRAGMA freelist_count").fetchone()
        if free <= KEPT_FREE:
            return False
        self._db.execute(f"PRAGMA incremental_vacuum({VACUUM})").fetchall()
        self._dirty += VACUUM * 16
        return True

    def _close(self) -> None:
        """Closing checkpoints: the file is whole, and alone."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _information(db: sqlite3.Connection | None, path: Path, times: list[float]) -> dict[str, float]:
    """Sizes in bytes, counts, and how long commits took of late, in seconds."""
    assert db is not None
    sessions, queued, queued_bytes = db.execute(
        "SELECT count(*), coalesce(sum(queued), 0), coalesce(sum(queued_bytes), 0) FROM session").fetchone()
    retained, = db.execute("SELECT count(*) FROM retained").fetchone()
    committed_at, = db.execute("SELECT committed_at FROM meta").fetchone()
    free, = db.execute("PRAGMA freelist_count").fetchone()
    log = Path(f"{path}-wal")
    ordered = sorted(times) or [0.0]
    return {
        "file_size": path.stat().st_size, "log_size": log.stat().st_size if log.exists() else 0, "free_pages": free,
        "sessions": sessions, "queued": queued, "queued_bytes": queued_bytes, "retained": retained,
        "committed_at": committed_at, "commit_median": ordered[len(ordered) // 2], "commit_slowest": ordered[-1],
    }


def _failure(error: Exception) -> tuple[str, Any]:
    if isinstance(error, (sqlite3.Error, OSError)):
        error = translated(error)
    if isinstance(error, StoreError):
        return FAILED, (type(error).__name__, str(error))
    return DEFECT, "".join(traceback.format_exception(error))


def main() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    try:
        Store(0, 1).run()
    except BrokenPipeError:
        pass  # the broker is gone


def probe(folder: str) -> None:
    """Open and close the store; ends with status 1 and a line on standard error when a broker could not use it."""
    try:
        descriptor = lock(Path(folder) / STORE, PATIENCE)
        connect(Path(folder) / NAME).close()
        os.close(descriptor)
    except (sqlite3.Error, OSError, StoreError) as error:
        raise SystemExit(_failure(error)[1][1]) from None
