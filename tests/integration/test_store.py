"""`twistd emqtt` and its store: where it lies, what outlives the process, who may use it, and what happens when it cannot."""
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.mqtt.constants import QUOTA_EXCEEDED
from emqtwist.mqtt.packets import Puback, Publish, Suback, Subscribe
from tests.integration.brokers import RunningBroker
from tests.integration.keeping import connect, keep, kept
from tests.integration.program import python_script, run
from tests.integration.raw import RawClient

RunBroker = Callable[..., RunningBroker]


@pytest.fixture
def run_broker(tmp_path: Path) -> Iterator[RunBroker]:
    """Starts a broker in the test's folder with this configuration."""
    brokers: list[RunningBroker] = []

    def start(configuration: str = "") -> RunningBroker:
        brokers.append(RunningBroker(tmp_path, configuration))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.program.terminate()


# What outlives the process.

@pytest.mark.parametrize("durability", ["always", "interval", "off"])
def test_what_is_acknowledged_outlives_the_process(run_broker: RunBroker, durability: str) -> None:
    broker = run_broker(f"[store]\ndurability = {durability}\n")
    keep(broker, b"1", b"2", b"3")
    broker.program.kill()
    assert kept(run_broker(), 3) == [b"1", b"2", b"3"]


def test_a_broker_that_is_stopped_leaves_one_file_that_is_whole(run_broker: RunBroker, tmp_path: Path) -> None:
    broker = run_broker()
    keep(broker, b"1")
    broker.program.terminate()
    assert sorted(each.name for each in (tmp_path / "emqtwist-data").iterdir()) == ["broker.lock", "store.db", "store.lock"]
    assert kept(run_broker(), 1) == [b"1"]


def test_a_store_in_memory_is_gone_with_the_process(run_broker: RunBroker, tmp_path: Path) -> None:
    broker = run_broker("[store]\ntype = memory\n")
    keep(broker, b"1")
    broker.program.terminate()
    assert not list((tmp_path / "emqtwist-data").glob("*.db*"))
    with RawClient(run_broker("[store]\ntype = memory\n").port) as client:
        assert not connect(client, "away").session_present


def test_node_data_dir(run_broker: RunBroker, tmp_path: Path) -> None:
    run_broker("[node]\ndata_dir = here/it/is\n")
    assert (tmp_path / "here" / "it" / "is" / "store.db").exists()


def test_store_type() -> None:
    """`auto` is memory inside a program, sqlite under twistd; `sqlite` is sqlite everywhere."""
    assert BrokerService(reactor=MemoryReactorClock()).keeper is None
    assert BrokerService(parse(""), MemoryReactorClock()).keeper is None
    assert BrokerService(parse("store.type = sqlite"), MemoryReactorClock()).keeper is not None


@pytest.mark.parametrize(("lines", "said"), [
    ("", "outlive this process and a power failure"),
    ("durability = interval\nsync_interval = 200ms\n", "outlive this process, and a power failure 0.2 s later"),
    ("durability = off\n", "outlive this process, not a power failure"),
    ("type = memory\n", "outlive a client's absence, not the end of this process"),
])
def test_store_durability(tmp_path: Path, lines: str, said: str) -> None:
    broker = RunningBroker(tmp_path, f"[store]\n{lines}")
    broker.program.terminate()
    assert [line for line in broker.program.output if f"acknowledged QoS 1 and 2 messages {said}" in line]


# Who may use it.

def test_a_second_broker_is_kept_out(run_broker: RunBroker, tmp_path: Path) -> None:
    run_broker()
    ended = run(python_script("twistd"), "-n", "--pidfile=", "emqtt", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.decode() == f"emqtwist cannot use ./emqtwist-data: another broker uses {tmp_path}/emqtwist-data\n"


def spoiled(folder: Path, data: bytes) -> subprocess.CompletedProcess[bytes]:
    """A broker that is started at a file with this content, which has to stay as it is."""
    (folder / "emqtwist-data").mkdir()
    (folder / "emqtwist-data" / "store.db").write_bytes(data)
    ended = run(python_script("twistd"), "-n", "--pidfile=", "emqtt", "--port", "0", cwd=folder)
    assert (folder / "emqtwist-data" / "store.db").read_bytes() == data
    return ended


def test_a_damaged_file_ends_the_start_with_a_line(tmp_path: Path) -> None:
    ended = spoiled(tmp_path, b"no database " * 1000)
    assert (ended.returncode, ended.stderr) == (
        1, b"emqtwist cannot use ./emqtwist-data: the store is damaged: file is not a database\n")


def test_a_newer_file_ends_the_start_with_a_line(run_broker: RunBroker, tmp_path: Path) -> None:
    broker = run_broker()
    broker.program.terminate()
    data = bytearray((tmp_path / "emqtwist-data" / "store.db").read_bytes())
    data[60:64] = (99).to_bytes(4, "big")  # user_version
    (tmp_path / "other").mkdir()
    ended = spoiled(tmp_path / "other", bytes(data))
    assert ended.returncode == 1
    assert b"schema 99, written by a newer emqtwist" in ended.stderr


# When it cannot.

def test_store_max_size(run_broker: RunBroker) -> None:
    broker = run_broker("[store]\nmax_size = 1MB\n")
    keep(broker, bytes(500_000))
    with RawClient(broker.port) as publisher, RawClient(broker.port) as other:
        publisher.connect("publisher")
        publisher.send(Publish(b"a", bytes(600_000), 1, packet_id=7))  # does not fit: it is not answered
        broker.program.next("messages cannot be kept, and are refused: there is no space left for the store")
        other.connect("other")
        other.send(Publish(b"a", b"3", 1, packet_id=1))
        answer = other.next(Puback)
        assert answer.reason_code == QUOTA_EXCEEDED
        assert answer.properties is not None
        other.send(Subscribe(2, [(b"b", 0)]))
        assert other.next(Suback).reason_codes == [0]  # nothing of this has to be kept
        other.send(Publish(b"b", b"passes"))
        assert other.next(Publish).payload == b"passes"
        with RawClient(broker.port) as away:
            assert connect(away, "away").session_present
            away.send(Puback(away.next(Publish).packet_id))  # that makes room
            assert publisher.next(Puback).packet_id == 7
            broker.program.next("the store keeps messages again")
            assert len(away.next(Publish).payload) == 600_000


def test_a_store_process_that_is_killed_is_replaced(run_broker: RunBroker) -> None:
    broker = run_broker()
    keep(broker, b"1")
    store, = broker.program.children()
    os.kill(store, signal.SIGKILL)
    broker.program.next("process of store died: the store process ended")
    with RawClient(broker.port) as publisher:
        publisher.connect("publisher")
        publisher.send(Publish(b"a", b"2", 1, packet_id=1))
        assert publisher.next(Puback).reason_code == 0
    assert kept(broker, 2) == [b"1", b"2"]
    assert broker.program.children() != [store]


def test_the_store_process_ends_with_a_broker_that_is_killed(run_broker: RunBroker) -> None:
    broker = run_broker()
    store, = broker.program.children()
    broker.program.kill()
    while Path(f"/proc/{store}").exists():
        time.sleep(0.001)
    run_broker()


def test_a_terminal_that_interrupts_all_loses_nothing(run_broker: RunBroker) -> None:
    """Ctrl-C goes to the whole process group: the store process has to wait for its broker."""
    broker = run_broker()
    keep(broker, b"1")
    for pid in broker.program.children():
        os.kill(pid, signal.SIGINT)
    broker.program.signal(signal.SIGINT)
    broker.program.wait()
    assert not [line for line in broker.program.rest() if "the store process ended" in line]
    assert kept(run_broker(), 1) == [b"1"]
