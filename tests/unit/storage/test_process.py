"""The store process's loop, driven through its two pipes without a process; back-up, restore, check, housekeeping."""
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from stat import S_IMODE
from threading import Thread
from typing import Any

import pytest

from emqtwist.core import records as r
from emqtwist.storage.errors import Corrupt, Locked, StoreError
from emqtwist.storage.folder import BROKER, give, lock, take
from emqtwist.storage.sqlite import process, upkeep
from emqtwist.storage.sqlite.frames import DONE, FAILED, PART, Frames, frame

OPENED = (r.OPENED, 1, "c", 60.0, 5, 0)


def retained(topic: bytes, size: int = 10) -> tuple[Any, ...]:
    return (r.RETAINED, topic, bytes(size), 1, b"", None, "p", None, 0, "")


class Loop:
    """A Store in a thread, and the broker's ends of its pipes."""

    def __init__(self, folder: Path, **options: Any) -> None:
        inlet, self._to = os.pipe()
        self._from, outlet = os.pipe()
        self._ends = [inlet, outlet]
        self.store = process.Store(inlet, outlet)
        self._thread = Thread(target=self.store.run)
        self._thread.start()
        self._frames = Frames()
        self._answers: list[tuple[Any, ...]] = []
        self._last = 0
        settings = {"durability": "always", "sync_interval": 1.0, "max_size": 0, **options}
        self.opened = self.ask("open", str(folder), "boot", *settings.values())

    def ask(self, operation: str, *arguments: object) -> tuple[Any, ...]:
        """Kind and value of the answer."""
        self._last += 1
        os.write(self._to, frame((self._last, operation, arguments)))
        return self.answer()

    def answer(self) -> tuple[Any, ...]:
        while not self._answers:
            self._answers += self._frames.feed(os.read(self._from, 1 << 20))
        return self._answers.pop(0)[1:]

    def end(self) -> None:
        """As when the broker is gone."""
        os.close(self._to)
        self._thread.join()
        for descriptor in (self._from, *self._ends):
            os.close(descriptor)
        os.close(self.store._lock)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(tmp_path)
    assert loop.opened == (DONE, None)
    yield loop
    loop.end()


def test_a_snapshot_comes_in_parts(loop: Loop) -> None:
    loop.ask("commit", 1, [OPENED, *[retained(b"%d" % number, 300_000) for number in range(5)]])
    answers = [loop.ask("snapshot")]
    while answers[-1][0] == PART:
        answers.append(loop.answer())
    assert [len(value[1]) for kind, value in answers[:-1] if value[0] == 4] == [4, 1]
    assert answers[-1] == (DONE, (1, 0))


def test_the_log_is_gone_when_the_broker_is(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.ask("commit", 1, [retained(b"t")])
    assert (tmp_path / "store.db-wal").stat().st_size > 0
    loop.end()
    assert not (tmp_path / "store.db-wal").exists()
    with closing(sqlite3.connect(tmp_path / "store.db")) as db:
        assert db.execute("SELECT topic FROM retained").fetchall() == [(b"t",)]


def test_a_full_store_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    loop = Loop(tmp_path, max_size=300_000)
    kind, (name, text) = loop.ask("commit", 1, [retained(b"t", 400_000)])
    assert (kind, name, text) == (FAILED, "Full", "there is no space left for the store")
    assert loop.ask("commit", 2, [retained(b"t", 1000)]) == (DONE, None)
    loop.end()


def test_a_record_that_is_none_is_a_defect_that_is_told(loop: Loop) -> None:
    kind, value = loop.ask("commit", 1, [(99,)])
    assert kind == "defect"
    assert "KeyError: 99" in value
    assert loop.ask("commit", 1, [OPENED]) == (DONE, None)


def test_rows_of_ended_sessions_are_deleted_although_requests_never_cease(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE", 1000.0)
    monkeypatch.setattr(process, "BUSY", 0.0)
    loop = Loop(tmp_path)
    rows = [(r.QUEUED, 1, 0, seq, 1, 0x32, (), 0) for seq in range(1, 5001)]
    loop.ask("commit", 1, [OPENED, (r.MESSAGE, 1, b"t", b"x", 1, 0, b"", None, "p", b""), *rows])
    loop.ask("commit", 2, [(r.ENDED, 1)])
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as db:
        for number in range(3, 8):
            assert loop.ask("commit", number, [retained(b"t")]) == (DONE, None)
        assert db.execute("SELECT count(*) FROM queue").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM message").fetchone() == (0,)
    loop.end()


def test_store_sync_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    loop = Loop(tmp_path, durability="interval", sync_interval=0.01)
    loop.ask("commit", 1, [retained(b"t")])
    while not synced:
        time.sleep(0.001)
    assert synced == [loop.store._log]
    loop.end()
    os.close(loop.store._log)


def test_a_sync_that_fails_fails_the_next_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def fsync(descriptor: int) -> None:
        tried.append(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    loop = Loop(tmp_path, durability="interval", sync_interval=0.01)
    loop.ask("commit", 1, [retained(b"t")])
    while not tried:
        time.sleep(0.001)
    kind, (_, text) = loop.ask("commit", 2, [retained(b"u")])
    assert (kind, "Input/output error" in text) == (FAILED, True)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    assert loop.ask("commit", 2, [retained(b"u")]) == (DONE, None)
    loop.end()
    os.close(loop.store._log)


def test_free_pages_are_given_back_when_there_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE", 0.001)
    monkeypatch.setattr(process, "KEPT_FREE", 16)
    loop = Loop(tmp_path)
    loop.ask("commit", 1, [retained(b"t", 1_000_000)])
    loop.ask("commit", 2, [(r.RETAINED_GONE, b"t", 0, "", None)])
    while not loop.store.quiet:
        time.sleep(0.001)
    assert (tmp_path / "store.db").stat().st_size < 500_000
    loop.end()


def test_the_log_goes_into_the_file_before_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CHECKPOINT", 100_000)
    loop = Loop(tmp_path)
    for number in range(1, 101):
        loop.ask("commit", number, [retained(b"%d" % number, 10_000)])
    assert (tmp_path / "store.db-wal").stat().st_size < 600_000
    loop.end()


def test_nothing_is_done_in_the_background_once_it_has_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a checkpoint that was due, and what is left of ended sessions."""
    loop = Loop(tmp_path, durability="interval", sync_interval=0.0)
    loop.ask("commit", 1, [retained(b"t")])
    loop.store.quiet = False
    monkeypatch.setattr(process, "CHECKPOINT", -1)
    monkeypatch.setattr(process, "BUSY", 0.0)
    assert loop.ask("stop") == (DONE, None)
    loop.end()
    assert not (tmp_path / "store.db-wal").exists()


def test_info_tells_sizes_counts_and_times(loop: Loop) -> None:
    loop.ask("commit", 1, [OPENED, retained(b"t"), (r.MESSAGE, 1, b"t", b"x", 1, False, b"", None, "p", b"g"),
                           (r.QUEUED, 1, 0, 1, 1, 0x32, (), 0)])
    kind, told = loop.ask("info")
    assert {name: told[name] for name in ("sessions", "queued", "queued_bytes", "retained")} == {
        "sessions": 1, "queued": 1, "queued_bytes": 2, "retained": 1}
    assert told["file_size"] > 0 < told["log_size"]
    assert abs(told["committed_at"] - time.time()) < 60
    assert 0 < told["commit_median"] <= told["commit_slowest"]


# Back-up, restore, check.

def test_a_back_up_is_whole_and_can_be_restored_elsewhere(loop: Loop, tmp_path: Path) -> None:
    loop.ask("commit", 1, [retained(b"t")])
    target, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere"
    kind, size = loop.ask("backup", str(target))
    assert (kind, size) == (DONE, target.stat().st_size)
    assert S_IMODE(target.stat().st_mode) == 0o600  # it holds what clients said
    loop.ask("commit", 2, [retained(b"later")])
    assert upkeep.check(target) == []
    upkeep.restore(target, elsewhere)
    other = Loop(elsewhere)
    _, (which, rows) = other.ask("snapshot")
    assert (which, [row[0] for row in rows]) == (4, [b"t"])
    other.end()


def test_a_back_up_sees_one_moment_while_commits_go_on(loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "STEP", 1)
    loop.ask("commit", 1, [retained(b"%d" % number, 5000) for number in range(50)])
    loop._last += 1
    os.write(loop._to, frame((loop._last, "backup", (str(tmp_path / "backup.db"),))))
    kinds = []
    for number in range(2, 30):  # each changes two topics together
        kinds.append(loop.ask("commit", number, [retained(b"0", 5000 + number), retained(b"49", 5000 + number)])[0])
    kinds.append(loop.answer()[0])
    assert kinds == [DONE] * 29
    with closing(sqlite3.connect(tmp_path / "backup.db")) as db:
        (first,), (last,) = db.execute("SELECT length(payload) FROM retained WHERE topic IN (x'30', x'3439')").fetchall()
        assert first == last


def test_a_back_up_overwrites_nothing(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "backup.db").write_text("mine")
    kind, (_, text) = loop.ask("backup", str(tmp_path / "backup.db"))
    assert (kind, text) == (FAILED, f"{tmp_path}/backup.db is there already")
    assert (tmp_path / "backup.db").read_text() == "mine"


def test_check_finds_damage(loop: Loop, tmp_path: Path) -> None:
    loop.ask("commit", 1, [retained(b"%d" % number, 3000) for number in range(200)])
    assert loop.ask("check") == (DONE, [])
    loop.ask("backup", str(tmp_path / "backup.db"))
    data = bytearray((tmp_path / "backup.db").read_bytes())
    data[200_000:204_096] = bytes([77]) * 4096
    (tmp_path / "backup.db").write_bytes(data)
    assert upkeep.check(tmp_path / "backup.db") != []
    with pytest.raises(Corrupt, match="no good back-up"):
        upkeep.restore(tmp_path / "backup.db", tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_restored_below_a_running_broker(loop: Loop, tmp_path: Path) -> None:
    loop.ask("backup", str(tmp_path / "backup.db"))
    folder = tmp_path / "used"
    descriptor = take(folder)
    with pytest.raises(Locked, match="another broker uses"):
        upkeep.restore(tmp_path / "backup.db", folder)
    os.close(descriptor)
    upkeep.restore(tmp_path / "backup.db", folder)


# One process, one broker.

def test_a_second_store_waits_and_then_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.05)
    first = Loop(tmp_path)
    second = Loop(tmp_path)
    kind, (name, _) = second.opened
    assert (kind, name) == (FAILED, "Locked")
    first.end()
    os.close(second._to)


def test_the_folder_belongs_to_one_broker(tmp_path: Path) -> None:
    descriptor = take(tmp_path / "data")
    with pytest.raises(Locked):
        take(tmp_path / "data")
    os.close(descriptor)
    os.close(take(tmp_path / "data"))


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        take(tmp_path / "file" / "data")
    os.close(lock(tmp_path / BROKER))


def test_probe_says_in_a_line_what_is_wrong(tmp_path: Path) -> None:
    process.probe(str(tmp_path))
    (tmp_path / "store.db").write_bytes(b"no database " * 1000)
    with pytest.raises(SystemExit, match="^the store is damaged: file is not a database$"):
        process.probe(str(tmp_path))


def test_the_folder_is_given_to_whom_the_process_becomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.append((path, user, group)))
    os.close(take(tmp_path / "data"))
    give(tmp_path / "data", None, None)
    assert given == []
    give(tmp_path / "data", 33, None)
    assert given == [(tmp_path / "data", 33, -1), (tmp_path / "data" / BROKER, 33, -1)]
