"""SQLiteStore with real store processes: they are started, killed, started again, and end with their broker."""
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from emqtwist.core import records as r
from emqtwist.core.records import Fetch
from emqtwist.storage.errors import Corrupt, Locked, Stopped, StoreError
from emqtwist.storage.sqlite import client
from emqtwist.storage.sqlite.client import SQLiteStore, command

OPENED = (r.OPENED, 1, "c", 60.0, 5, 0)
GROUP = [OPENED, (r.MESSAGE, 1, b"t", b"x", 1, False, b"", None, "p", b"g"), (r.QUEUED, 1, 0, 1, 1, 0x32, (), 0)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path, reactor)
    store.watch(lambda _: store.start())
    yield store
    pytest_twisted.blockon(store.stop())


def descriptors(pid: int) -> set[str]:
    return set(os.listdir(f"/proc/{pid}/fd"))


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def found(store: SQLiteStore) -> tuple[object, int, int]:
    """What a start finds: sessions, and the highest numbers."""
    snapshot = await store.start()
    assert snapshot is not None
    return snapshot.sessions, snapshot.highest_session, snapshot.highest_message


async def test_what_is_committed_is_there_at_the_next_start(store: SQLiteStore) -> None:
    assert await found(store) == ([], 0, 0)
    await store.commit(1, GROUP)
    await store.stop()
    assert await found(store) == ([(1, "c", 60.0, 5, None, 1, 2, 2, 0, "")], 1, 1)
    rows, more = await store.page(Fetch(1, -1, 0, 1000))
    assert (rows, more) == ([(0, 1, 0, 0x32, (), b"t", b"x", 1, 0, b"", None, "p", 1, b"g")], False)


async def test_a_defect_of_the_process_is_told_without_its_traceback(store: SQLiteStore) -> None:
    await store.start()
    with pytest.raises(StoreError, match="^a defect of the store process$"):
        await store.commit(1, [(999, 1)])
    await store.commit(1, GROUP)  # it goes on


async def test_a_killed_process_is_replaced_and_asked_again(store: SQLiteStore) -> None:
    await store.start()
    await store.commit(1, GROUP)
    for number in range(2, 7):
        pid = store.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        more = [(r.MESSAGE, number, b"t", b"x", 1, False, b"", None, "p", b"g"), (r.QUEUED, 1, 0, number, number, 0x32, (), 0)]
        await store.commit(number, more)
        assert store.pid != pid
    told = await store.info()
    assert (told["sessions"], told["queued"]) == (1, 6)


async def test_an_interruption_is_not_told_and_requests_wait_for_the_next_start(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path, reactor)
    told: list[Exception] = []
    store.watch(told.append)
    await store.start()
    await store.interrupt()
    committed = store.commit(1, GROUP)
    assert await store.start() is None
    await committed
    assert told == []
    await store.stop()
    assert (await found(store))[1] == 1
    await store.stop()


async def test_who_waits_for_another_start_of_a_store_that_is_stopped_is_told(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path, reactor)
    await store.start()
    await store.interrupt()
    again = store.start()
    pid = store.pid
    assert pid is not None
    stopped = store.stop()
    os.kill(pid, signal.SIGKILL)  # before it has opened anything
    await stopped
    with pytest.raises(Stopped):
        await again


async def test_a_group_of_which_the_answer_was_lost_is_stored_once(store: SQLiteStore) -> None:
    await store.start()
    pid = store.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    answer: Deferred[None] = store.commit(1, GROUP)
    process = store._process
    assert process is not None
    process.outReceived = lambda data: None  # type: ignore[method-assign]
    os.kill(pid, signal.SIGCONT)
    while not (log := Path(store._options[0], "store.db-wal")).exists() or log.stat().st_size < 5 * 4096:
        time.sleep(0.001)  # until it is in the file
    os.kill(pid, signal.SIGKILL)
    await answer
    assert (await store.info())["queued"] == 1


async def test_it_inherits_three_descriptors_and_no_more(store: SQLiteStore, tmp_path: Path) -> None:
    kept = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(kept, True)
    await store.start()
    assert store.pid is not None
    links = [os.readlink(f"/proc/{store.pid}/fd/{each}") for each in descriptors(store.pid)]
    os.close(kept)
    assert str(tmp_path / "other") not in links
    assert sorted(link.partition(":")[0] for link in links if link.startswith(("pipe", "socket"))) == ["pipe"] * 3


async def test_signals_of_the_terminal_do_not_end_it(store: SQLiteStore) -> None:
    await store.start()
    assert store.pid is not None
    pid = store.pid
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(pid, number)
    await store.commit(1, GROUP)
    assert store.pid == pid


async def test_stop_leaves_one_file_that_is_whole(store: SQLiteStore, tmp_path: Path) -> None:
    await store.start()
    await store.commit(1, GROUP)
    pid = store.pid
    assert pid is not None
    await store.stop()
    while alive(pid):  # it closes its end of the pipe a moment before
        time.sleep(0.001)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["store.db", "store.lock"]
    with pytest.raises(Stopped):
        await store.commit(2, [])


async def test_a_damaged_file_is_an_error_at_the_start(store: SQLiteStore, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database " * 1000)
    with pytest.raises(Corrupt, match="file is not a database"):
        await store.start()


async def test_a_process_that_cannot_be_started_is_an_error_at_the_start(
        store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "command", lambda: [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(StoreError, match="ends at once"):
        await store.start()


async def test_a_back_up_is_not_begun_again_by_another_process(store: SQLiteStore, tmp_path: Path) -> None:
    await store.start()
    assert store.pid is not None
    os.kill(store.pid, signal.SIGSTOP)
    backup = store.backup(tmp_path / "backup.db")
    os.kill(store.pid, signal.SIGKILL)
    with pytest.raises(Stopped, match="the store process ended"):
        await backup
    assert await store.backup(tmp_path / "backup.db") == (tmp_path / "backup.db").stat().st_size
    assert await store.check() == []


def test_it_ends_with_its_broker(tmp_path: Path) -> None:
    """The pipe is all that ties them: nobody is left to send a signal."""
    text = command()[-1]
    with subprocess.Popen([sys.executable, "-P", "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        program.stdin.close()
        assert program.wait(30) == 0


async def test_another_store_at_the_same_folder_is_refused(
        store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.start()
    impatient = command()[-1].replace("; main()", "; main.__globals__['PATIENCE'] = 0.1; main()")
    monkeypatch.setattr(client, "command", lambda: [sys.executable, "-P", "-c", impatient])
    with pytest.raises(Locked):
        await SQLiteStore(tmp_path, reactor).start()


def test_the_file_is_for_its_owner(tmp_path: Path) -> None:
    from emqtwist.storage.folder import take
    with closing(os.fdopen(take(tmp_path / "data"))):
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
