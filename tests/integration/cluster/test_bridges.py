"""Two brokers with a bridge between them, in processes of their own: whoever is killed, nothing is lost, nothing comes twice."""
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from emqtwist.mqtt.constants import SESSION_NEVER_EXPIRES
from emqtwist.mqtt.packets import Connack, Connect, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel, Suback, Subscribe
from emqtwist.mqtt.properties import Properties
from tests.authorities import Authority
from tests.integration.brokers import RunningBroker
from tests.integration.cluster.nodes import COOKIE, heard, publish
from tests.integration.program import python_script, run
from tests.integration.raw import RawClient

QUICK = "ping_down_interval = 50ms\n"


class Bridged:
    """A broker of its own, which takes bridges; `lines` are of its file. It keeps its port for them."""

    def __init__(self, folder: Path, name: str, lines: str = "", cluster: str = f"cookie = {COOKIE}\n") -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.name = f"{name}@127.0.0.1"
        self.place = "127.0.0.1:0"
        self.lines = lines
        self._cluster = cluster
        self.broker: RunningBroker
        self.start()

    def start(self) -> None:
        cluster = f"name = of-{self.name.partition('@')[0]}\nbind = {self.place}\n{self._cluster}"
        self.broker = RunningBroker(self.folder, f"[node]\nname = {self.name}\n[cluster]\n{cluster}{self.lines}")
        self.place = next(found[1] for line in self.broker.program.output
                          if (found := re.search(r"nodes are taken at (\S+)", line)))

    def until(self, pattern: str) -> None:
        """What was said already counts."""
        if not any(re.search(pattern, line) for line in self.broker.program.output):
            self.broker.program.next(pattern)

    def ask(self, *words: str) -> str:
        """What `emqtwist_ctl` prints."""
        asked = run(python_script("emqtwist_ctl"), "--config", self.broker.file, *words, cwd=self.folder)
        return (asked.stdout + asked.stderr).decode()

    def client(self, client_id: str) -> RawClient:
        client = RawClient(self.broker.port)
        client.connect(client_id)
        return client

    def reader(self) -> RawClient:
        """A client whose session outlives all, subscribed to t/#."""
        client = RawClient(self.broker.port)
        client.send(Connect(client.version, "reader", False, properties=_lasting()))
        if not client.next(Connack).session_present:
            client.send(Subscribe(1, [(b"t/#", 2)]))
            assert client.next(Suback).reason_codes == [2]
        return client

    def end(self) -> None:
        if not self.broker.program.ended():
            self.broker.program.terminate()


def _lasting() -> Properties:
    properties = Properties()
    properties.session_expiry_interval = SESSION_NEVER_EXPIRES
    return properties


def leads(to: Bridged, more: str = QUICK) -> str:
    return f"[bridge.north]\nnode = {to.name}\naddress = {to.place}\ntopic = t/#\n{more}"


def until_heard(reader: RawClient, last: bytes) -> list[bytes]:
    """Payloads, up to this one; all are acknowledged."""
    found: list[bytes] = []
    while not found or found[-1] != last:
        packet = reader.next(Packet)
        if isinstance(packet, Publish):
            found.append(packet.payload)
            reader.send(Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id))
        elif isinstance(packet, Pubrel):
            reader.send(Pubcomp(packet.packet_id))
    return found


def test_messages_cross_a_bridge_of_the_configuration_and_not_back(tmp_path: Path) -> None:
    with ExitStack() as stack:
        b = Bridged(tmp_path, "b")
        stack.callback(b.end)
        a = Bridged(tmp_path, "a", leads(b, QUICK + "prefix = t/of/a/\n"))
        stack.callback(a.end)
        a.until(f"bridge north leads to {b.name}")
        with b.reader() as reader, a.client("writer") as writer:
            for qos in (0, 1, 2):
                publish(writer, b"%d" % qos, qos, b"t/1")
                message = reader.next(Publish)
                assert (message.topic_name, message.payload, message.qos) == (b"t/of/a/t/1", b"%d" % qos, qos)
                if qos == 1:
                    reader.send(Puback(message.packet_id))
        assert a.ask("bridges", "list") == f"bridge: {a.name}--t/#-->{b.name}\n"
        assert "status          : up" in a.ask("bridges", "status")
        assert "a@127.0.0.1" not in b.ask("cluster", "status")


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_acknowledged_comes_once_although_the_receiver_is_killed(tmp_path: Path, qos: int) -> None:
    with ExitStack() as stack:
        b = Bridged(tmp_path, "b")
        stack.callback(b.end)
        a = Bridged(tmp_path, "a", leads(b))
        stack.callback(a.end)
        a.until(f"bridge north leads to {b.name}")
        b.reader().socket.close()
        with a.client("writer") as writer:
            for number in range(60):
                publish(writer, b"%d" % number, qos, b"t/1")
                if number in (20, 40):
                    b.broker.program.kill()
                if number in (30, 50):
                    b.start()
            publish(writer, b"last", qos, b"t/1")
        with b.reader() as reader:
            assert until_heard(reader, b"last") == [*(b"%d" % number for number in range(60)), b"last"]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_acknowledged_comes_once_although_the_sender_is_killed(tmp_path: Path, qos: int) -> None:
    with ExitStack() as stack:
        b = Bridged(tmp_path, "b")
        stack.callback(b.end)
        a = Bridged(tmp_path, "a", leads(b))
        stack.callback(a.end)
        b.reader().socket.close()
        for start in range(0, 60, 20):
            with a.client("writer") as writer:
                for number in range(start, start + 20):
                    publish(writer, b"%d" % number, qos, b"t/1")
            a.broker.program.kill()
            a.start()
        with a.client("writer") as writer, b.reader() as reader:
            publish(writer, b"last", qos, b"t/1")
            assert until_heard(reader, b"last") == [*(b"%d" % number for number in range(60)), b"last"]


def test_both_are_killed_and_what_waits_on_disk_comes_when_they_are_back(tmp_path: Path) -> None:
    with ExitStack() as stack:
        b = Bridged(tmp_path, "b")
        stack.callback(b.end)
        a = Bridged(tmp_path, "a", leads(b))
        stack.callback(a.end)
        b.reader().socket.close()
        b.broker.program.kill()
        with a.client("writer") as writer:
            for number in range(20):
                publish(writer, b"%d" % number, 1, b"t/1")
        a.broker.program.kill()
        a.start()
        assert "queued          : 20" in a.ask("bridges", "status")
        b.start()
        with a.client("writer") as writer, b.reader() as reader:
            publish(writer, b"last", 1, b"t/1")
            assert until_heard(reader, b"last") == [*(b"%d" % number for number in range(20)), b"last"]


def test_a_bridge_that_was_started_by_hand_outlives_the_process(tmp_path: Path) -> None:
    with ExitStack() as stack:
        a, b = Bridged(tmp_path, "a"), Bridged(tmp_path, "b")
        stack.callback(a.end)
        stack.callback(b.end)
        words = ("bridges", "start", b.name, "t/#", f"address={b.place},suffix=/z")
        assert a.ask(*words) == "bridge is started.\n"
        assert a.ask(*words) == "error: already_started\n"
        a.broker.program.kill()
        a.start()
        a.until(f"bridge {re.escape(b.name)}.1 leads to {b.name}")
        with b.reader() as reader, a.client("writer") as writer:
            publish(writer, b"x", 1, b"t/1")
            assert reader.next(Publish).topic_name == b"t/1/z"
        assert a.ask("bridges", "stop", b.name, "t/#") == "bridge is stopped.\n"
        a.broker.program.kill()
        a.start()
        assert a.ask("bridges", "list") == ""


def secured(authority: Authority, name: str, number: int) -> str:
    pair = authority.issue(name, number=number)
    return f"certificate = {pair.certfile}\nprivate_key = {pair.keyfile}\nca = {authority.file}\n"


@pytest.mark.parametrize("own", [True, False])
def test_bridge_certificate(tmp_path: Path, own: bool) -> None:
    """Its own one, or that of the cluster that it comes from."""
    authority = Authority(tmp_path)
    with ExitStack() as stack:
        b = Bridged(tmp_path, "b", cluster=secured(authority, "one", 0))
        stack.callback(b.end)
        files = secured(authority, "other", 1)
        a = Bridged(tmp_path, "a", leads(b, QUICK + files if own else QUICK), cluster=f"cookie = {COOKIE}\n" if own else files)
        stack.callback(a.end)
        a.until(f"bridge north leads to {b.name}")
        with b.reader() as reader, a.client("writer") as writer:
            publish(writer, b"x", 1, b"t/1")
            assert heard(reader) == (b"x", 1)


def test_bridge_ca(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "another")
    with ExitStack() as stack:
        b = Bridged(tmp_path, "b", cluster=secured(ours, "one", 0))
        stack.callback(b.end)
        stranger = theirs.issue("other", number=1)
        files = f"certificate = {stranger.certfile}\nprivate_key = {stranger.keyfile}\nca = {ours.file}\n"
        a = Bridged(tmp_path, "a", leads(b, QUICK + files))
        stack.callback(a.end)
        b.until("no link with 127.0.0.1: certificate")
        a.until("bridge north is down")


@pytest.mark.parametrize("key", ["ca", "private_key", "certificate"])
def test_bridge_private_key(tmp_path: Path, key: str) -> None:
    authority, wrong = Authority(tmp_path), tmp_path / "wrong.pem"
    pair = authority.issue("one")
    wrong.write_text("no certificate, nor a key")
    values = {"certificate": pair.certfile, "private_key": pair.keyfile, "ca": authority.file, key: "wrong.pem"}
    file = tmp_path / "broker.ini"
    file.write_text("[bridge.north]\nnode = b@x\ntopic = t\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    found = run(python_script("twistd"), "-n", "--pidfile=", "emqtt", "--config", file, "--check", cwd=tmp_path)
    assert found.returncode == 1
    assert f"[bridge.north] {key}: {wrong} holds no" in found.stderr.decode()
