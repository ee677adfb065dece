"""Disks that are full, read-only, failing or damaged: what was kept stays whole, and what cannot be kept is refused.

The full and the read-only disk are small tmpfs in a mount namespace of the broker's own, gone with it.
"""
import errno
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from emqtwist.mqtt.constants import MQTT_3_1_1, QUOTA_EXCEEDED
from emqtwist.mqtt.packets import Puback, Publish, Pubrec
from emqtwist.storage.sqlite.upkeep import check
from tests.integration.brokers import RunningBroker
from tests.integration.keeping import keep, kept
from tests.integration.program import Program, python_script, run
from tests.integration.raw import RawClient

REFUSED = "messages cannot be kept, and are refused: "
AGAIN = "the store keeps messages again"


def mounted(folder: Path, options: str = "size=2m") -> list[str]:
    """The command that runs another with a tmpfs in place of the data folder, which it alone sees."""
    (folder / "emqtwist-data").mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o {options} none emqtwist-data && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mount, "sh"]


@pytest.fixture
def may_mount(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare to mount a small disk with")
    tried = subprocess.run([*mounted(tmp_path), "true"], cwd=tmp_path, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {tried.stderr.strip()}")


@pytest.fixture(scope="module")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library to preload."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to let a disk fail with")
    library = tmp_path_factory.mktemp("failing") / "disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, Path(__file__).with_name("failing_disk.c"), "-ldl"], check=True)
    return library


@pytest.fixture
def broker(tmp_path: Path, may_mount: None) -> Iterator[RunningBroker]:
    """On a disk of 2 MB."""
    broker = RunningBroker(tmp_path, before=mounted(tmp_path))
    yield broker
    broker.program.terminate()


def room(file: Path) -> bool:
    return os.statvfs(file).f_bfree > 0


def fill(broker: RunningBroker, folder: Path) -> Path:
    """A file that takes all the room that there is."""
    filler = Path(f"/proc/{broker.program.pid}/root{folder}/emqtwist-data/filler")
    with filler.open("wb", buffering=0) as file:
        while room(filler):
            file.write(bytes(4096))
    return filler


def pending(broker: RunningBroker, client: RawClient) -> None:
    """A message that the broker takes, and cannot keep: it is not answered, until it can."""
    client.connect("pending")
    client.send(Publish(b"a", bytes(100_000), 1, packet_id=1))
    broker.program.next(REFUSED)


def refuses(broker: RunningBroker) -> bool:
    with RawClient(broker.port) as new, RawClient(broker.port, MQTT_3_1_1) as old:
        new.connect("new")
        new.send(Publish(b"a", b"refused", 1, packet_id=1))
        one = new.next(Puback).reason_code
        new.send(Publish(b"a", b"refused", 2, packet_id=2))
        two = new.next(Pubrec).reason_code
        old.connect("old")
        old.send(Publish(b"a", b"refused", 1, packet_id=1))
        return (one, two) == (QUOTA_EXCEEDED, QUOTA_EXCEEDED) and old.is_closed()


def test_a_full_disk_refuses_what_it_cannot_keep_until_there_is_room(broker: RunningBroker, tmp_path: Path) -> None:
    keep(broker, b"1", b"2")
    with RawClient(broker.port) as watcher, RawClient(broker.port) as publisher:
        watcher.connect("watcher")
        watcher.subscribe(b"$SYS/brokers/+/alarms/#")
        filler = fill(broker, tmp_path)
        pending(broker, publisher)
        assert watcher.next(Publish).topic_name.endswith(b"alarms/store/alert")
        assert refuses(broker)
        filler.unlink()
        broker.program.next(AGAIN)
        assert watcher.next(Publish).topic_name.endswith(b"alarms/store/clear")
        assert publisher.next(Puback).reason_code == 0
    data = filler.parent
    for child in broker.program.children():
        os.kill(child, 9)  # what is there now is what a crash would leave
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in filter(Path.is_file, data.iterdir()):
        shutil.copyfile(file, copy / file.name)
    assert check(copy / "store.db") == []
    assert kept(broker, 3) == [b"1", b"2", bytes(100_000)]


def test_a_broker_that_is_killed_on_a_full_disk_finds_all_when_there_is_room(tmp_path: Path, may_mount: None) -> None:
    holder = Program(*mounted(tmp_path), "sh", "-c", "echo mounted; read line", cwd=tmp_path)
    holder.next("mounted")
    inside = ["nsenter", f"--target={holder.pid}", "--mount", f"--wd={tmp_path}"]
    broker = RunningBroker(tmp_path, before=inside)
    keep(broker, b"1", b"2")
    filler = Path(f"/proc/{holder.pid}/root{tmp_path}/emqtwist-data") / fill(broker, tmp_path).name
    broker.program.kill()
    broker = RunningBroker(tmp_path, before=inside)
    with RawClient(broker.port) as publisher:
        pending(broker, publisher)
        assert refuses(broker)
        filler.unlink()
        assert publisher.next(Puback).reason_code == 0
    assert kept(broker, 3) == [b"1", b"2", bytes(100_000)]
    broker.program.terminate()
    holder.say("")
    holder.wait()


def test_a_read_only_disk_ends_the_start_with_a_line(tmp_path: Path, may_mount: None) -> None:
    ended = run(*mounted(tmp_path, "ro"), python_script("twistd"), "-n", "--pidfile=", "emqtt", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.decode().count("\n") == 1
    assert "emqtwist cannot use ./emqtwist-data: " in ended.stderr.decode()
    assert "Read-only file system" in ended.stderr.decode()


@pytest.mark.parametrize(("call", "error", "said"), [
    ("write", errno.EIO, "the disk of the store fails"),
    ("write", errno.EROFS, "the disk of the store fails"),
    ("write", errno.ENOSPC, "there is no space left for the store"),
    ("sync", errno.EIO, "the disk of the store fails"),
])
def test_a_disk_that_fails_refuses_what_it_cannot_keep_until_it_works(
        call: str, error: int, said: str, tmp_path: Path, failing_disk: Path) -> None:
    fault = tmp_path / "fault"
    broker = RunningBroker(tmp_path, before=["env", f"LD_PRELOAD={failing_disk}", f"FAULT={fault}"])
    try:
        keep(broker, b"1")
        (tmp_path / "new").write_text(f"{call} {error}")
        (tmp_path / "new").rename(fault)
        with RawClient(broker.port) as publisher:
            pending(broker, publisher)
            assert said in broker.program.output[-1]
            assert refuses(broker)
            fault.unlink()
            broker.program.next(AGAIN)
            assert publisher.next(Puback).reason_code == 0
        broker.program.kill()
        broker = RunningBroker(tmp_path)
        assert kept(broker, 2) == [b"1", bytes(100_000)]
    finally:
        broker.program.terminate()
    assert check(tmp_path / "emqtwist-data" / "store.db") == []


def test_a_file_whose_tables_are_damaged_ends_the_start_with_a_line(tmp_path: Path) -> None:
    broker = RunningBroker(tmp_path)
    keep(broker, b"1")
    broker.program.terminate()
    path = tmp_path / "emqtwist-data" / "store.db"
    with closing(sqlite3.connect(path)) as db:
        page, = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'session'").fetchone()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096:page * 4096] = b"\xff" * 4096
    path.write_bytes(data)
    ended = run(python_script("twistd"), "-n", "--pidfile=", "emqtt", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    assert "the store is damaged" in (ended.stderr + ended.stdout).decode()
    assert "Traceback" not in (ended.stderr + ended.stdout).decode()
    assert path.read_bytes() == data
