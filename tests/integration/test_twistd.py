"""`twistd emqtt` as a person or an init system runs it: options, daemon mode, signals, logs, and what it refuses."""
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import randrange

import pytest

from emqtwist.mqtt.constants import (
    MALFORMED_PACKET,
    MQTT_3_1_1,
    MQTT_5_0,
    QUOTA_EXCEEDED,
    SERVER_SHUTTING_DOWN,
    USE_ANOTHER_SERVER,
)
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Pingreq, Pingresp, Publish, Will
from tests.integration.brokers import ANY_PORT, RunningBroker
from tests.integration.program import LIMIT, Program, python_script, run
from tests.integration.raw import RawClient

TWISTD = python_script("twistd")
LISTENING = r"listening on tcp\.default at 127\.0\.0\.1:(\d+)"
Start = Callable[..., Program]
RunBroker = Callable[[str], RunningBroker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `twistd -n emqtt` with these options."""
    programs: list[Program] = []

    def start(*options: str | Path) -> Program:
        programs.append(Program(TWISTD, "-n", "--pidfile=", "emqtt", *options, cwd=tmp_path))
        return programs[-1]

    yield start
    for program in programs:
        program.terminate()


@pytest.fixture
def run_broker(tmp_path: Path) -> Iterator[RunBroker]:
    """Starts a broker with this configuration."""
    brokers: list[RunningBroker] = []

    def start(configuration: str) -> RunningBroker:
        brokers.append(RunningBroker(tmp_path, configuration))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.program.terminate()


@contextmanager
def taken_port() -> Iterator[int]:
    """A port at which somebody else listens; not one of those that the system gives to connections."""
    with socket.socket() as holder:
        while True:
            port = randrange(10000, 30000)
            try:
                holder.bind(("127.0.0.1", port))
                break
            except OSError:
                pass  # the next one
        holder.listen()
        yield port


def free_port() -> int:
    with taken_port() as port:
        return port


def twistd(*options: str | Path, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """A twistd that ends by itself, or leaves a daemon behind."""
    return run(TWISTD, *options, cwd=cwd)


def maximum_packet_size(port: int) -> int | None:
    """What the broker tells a new client."""
    with RawClient(port) as client:
        properties = client.connect("asks").properties
        return None if properties is None else properties.maximum_packet_size


# Options.

def test_port_listens_at_loopback(start: Start) -> None:
    port = free_port()
    program = start("--port", str(port))
    assert program.next(LISTENING)[1] == str(port)
    assert maximum_packet_size(port) == 1024 * 1024


def test_port_goes_before_the_configured_listeners(start: Start, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "broker.ini").write_text(f"[listener.tcp.other]\nbind = 127.0.0.1:{free_port()}\n[mqtt]\nmax_packet_size = 2KB\n")
    program = start("--config", "broker.ini", "--port", str(port))
    assert program.next("listening on .*")[0] == f"listening on tcp.default at 127.0.0.1:{port}"
    assert maximum_packet_size(port) == 2048


def test_config_is_read(start: Start, tmp_path: Path) -> None:
    (tmp_path / "broker.ini").write_text(
        "[mqtt]\nmax_packet_size = 2KB\n[listener.tcp.one]\nbind = 127.0.0.1:0\n[listener.tcp.two]\nbind = 127.0.0.1:0\n")
    program = start("--config", "broker.ini")
    ports = {name: int(program.next(rf"listening on tcp\.{name} at 127\.0\.0\.1:(\d+)")[1]) for name in ("one", "two")}
    assert [maximum_packet_size(port) for port in ports.values()] == [2048, 2048]


def test_it_says_what_it_guarantees_and_a_line_to_try(start: Start, tmp_path: Path) -> None:
    program = start("--port", "0")
    port = program.next(LISTENING)[1]
    kept = program.next("keeps messages in (.*)")[1]
    assert kept.startswith(f"{tmp_path}/emqtwist-data: acknowledged QoS 1 and 2 messages outlive this process")
    assert program.next("try: (.*)")[1].startswith(f"mosquitto_sub -p {port} ")


@pytest.mark.parametrize("port", ["65536", "-1", "mqtt", ""])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    ended = twistd("-n", "--pidfile=", "emqtt", f"--port={port}", cwd=tmp_path)
    assert ended.returncode == 1
    assert b"port" in ended.stdout + ended.stderr
    assert b"Traceback" not in ended.stdout + ended.stderr


# Checking a configuration.

def test_check_says_that_a_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "broker.ini").write_text(ANY_PORT)
    ended = twistd("emqtt", "--check", "--config", "broker.ini", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{tmp_path}/broker.ini is good\n".encode(), b"")
    assert [path.name for path in tmp_path.iterdir()] == ["broker.ini"]  # no daemon was started


def test_the_example_is_good(checkout: Path, tmp_path: Path) -> None:
    assert twistd("emqtt", "--check", "--config", checkout / "examples" / "broker.ini", cwd=tmp_path).returncode == 0


BAD = "[mqtt]\nmax_packet_sise = 2KB\nmax_qos_allowed = 3\n\n[nonsense]\nkey = 1\n"
MISTAKES = ["2: [mqtt] max_packet_sise: ", "3: [mqtt] max_qos_allowed = 3: ", "5: [nonsense]: "]


@pytest.mark.parametrize("options", [["emqtt", "--check"], ["-n", "emqtt"], ["emqtt"]], ids=["check", "foreground", "daemon"])
def test_every_mistake_of_a_configuration_is_told(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "broker.ini").write_text(BAD)
    ended = twistd(*options, "--config", "broker.ini", cwd=tmp_path)
    assert ended.returncode == 1
    lines = (ended.stdout + ended.stderr).decode().splitlines()
    for line, mistake in zip(lines, MISTAKES, strict=True):
        assert line.startswith(f"{tmp_path}/broker.ini:{mistake}")
    assert [path.name for path in tmp_path.iterdir()] == ["broker.ini"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    ended = twistd("-n", "--pidfile=", "emqtt", "--config", "gone.ini", cwd=tmp_path)
    assert ended.returncode == 1
    assert (ended.stdout + ended.stderr).decode() == f"{tmp_path}/gone.ini: cannot be read: No such file or directory\n"


# A port in use.

@pytest.mark.parametrize("mode", [["-n"], []], ids=["foreground", "daemon"])
def test_a_port_in_use_is_one_clear_line(tmp_path: Path, mode: list[str]) -> None:
    with taken_port() as port:
        ended = twistd(*mode, "emqtt", "--port", str(port), cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.decode() == f"emqtwist cannot listen at 127.0.0.1:{port}: Address already in use\n"
    assert ended.stdout == b""
    assert list(tmp_path.iterdir()) == []  # neither a pid file nor a log with a traceback


# Daemon mode.

@contextmanager
def pidfd(pid: int) -> Iterator[int]:
    """A file descriptor that becomes readable when the process has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def terminate(process: int) -> None:
    """Send SIGTERM to the process of a pidfd and wait until it is gone; it is killed if it does not go."""
    signal.pidfd_send_signal(process, signal.SIGTERM)
    gone, _, _ = select.select([process], [], [], LIMIT)
    if not gone:
        signal.pidfd_send_signal(process, signal.SIGKILL)
    assert gone, f"still there after {LIMIT:g} s"


@contextmanager
def daemon(folder: Path, *options: str, configuration: str = "") -> Iterator[int]:
    """A broker in the background of `folder`, with these options of twistd; gives its port."""
    port = free_port()
    (folder / "broker.ini").write_text(configuration)
    ended = twistd("--pidfile", "broker.pid", *options, "emqtt", "--config", "broker.ini", "--port", str(port), cwd=folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    with pidfd(int((folder / "broker.pid").read_text())) as process:
        try:
            assert maximum_packet_size(port)  # it serves, so it is ready for signals too
            yield port
        finally:
            terminate(process)
    assert not (folder / "broker.pid").exists()


def test_a_daemon_serves_and_logs_to_its_file(tmp_path: Path) -> None:
    with daemon(tmp_path, "--logfile", "broker.log") as port, RawClient(port) as client:
        client.connect("c")
        client.send(Pingreq())
        client.next(Pingresp)
    log = (tmp_path / "broker.log").read_text()
    assert f"listening on tcp.default at 127.0.0.1:{port}\n" in log
    assert log.endswith("Server Shut Down.\n")
    assert "Traceback" not in log


def test_a_daemon_without_other_words_logs_to_twistd_log(tmp_path: Path) -> None:
    with daemon(tmp_path):
        pass
    assert "listening on" in (tmp_path / "twistd.log").read_text()


# SIGHUP.

def configure(broker: RunningBroker, configuration: str) -> None:
    broker.file.write_text(ANY_PORT + configuration)
    broker.program.signal(signal.SIGHUP)


def test_sighup_applies_what_is_live(run_broker: RunBroker) -> None:
    broker = run_broker("[mqtt]\nmax_packet_size = 2KB\n")
    with RawClient(broker.port) as old:
        old.connect("old")
        assert old.subscribe(b"a/#") == [0]
        configure(broker, "[mqtt]\nmax_packet_size = 3KB\n[mqtt.session]\nmax_subscriptions = 1\n[log]\nlevel = debug\n")
        changed = broker.program.next("configuration reloaded, changed: (.*)")[1]
        assert changed.split(", ") == ["log.level", "mqtt.max_packet_size", "mqtt.session.max_subscriptions"]
        assert maximum_packet_size(broker.port) == 3 * 1024
        broker.program.next("#debug.* asks connected from")
        assert old.subscribe(b"b/#") == [QUOTA_EXCEEDED]
        old.send(Publish(b"a/b", b"still served"))
        assert old.next(Publish).payload == b"still served"


def test_sighup_names_what_needs_a_restart(run_broker: RunBroker) -> None:
    broker = run_broker("")
    configure(broker, "node.name = other@127.0.0.1\n")
    broker.program.next("these keys need a restart: node.name$")


def test_sighup_with_a_bad_file_changes_nothing(run_broker: RunBroker) -> None:
    broker = run_broker("[mqtt]\nmax_packet_size = 2KB\n")
    configure(broker, "[mqtt]\nmax_packet_size = 3KB\nmax_qos_allowed = 3\n")
    broker.program.next(r"#error\] the configuration is not reloaded: .*broker\.ini:5: \[mqtt\] max_qos_allowed = 3")
    assert maximum_packet_size(broker.port) == 2048


def test_sighup_sends_clients_away(run_broker: RunBroker) -> None:
    broker = run_broker("")
    with RawClient(broker.port) as alice, RawClient(broker.port) as bob:
        alice.connect("alice")
        configure(broker, "[mqtt]\nserver_moved = use_another\nserver_reference = there:1883\n")
        assert moved_to(alice.next(Disconnect)) == (USE_ANOTHER_SERVER, "there:1883")
        assert alice.is_closed()
        bob.send(Connect(MQTT_5_0, "bob"))
        assert moved_to(bob.next(Connack)) == (USE_ANOTHER_SERVER, "there:1883")
    configure(broker, "")
    broker.program.next("configuration reloaded, changed: mqtt.server_moved, mqtt.server_reference")
    broker.program.next("configuration reloaded, changed: mqtt.server_moved, mqtt.server_reference")
    assert maximum_packet_size(broker.port)


def moved_to(packet: Connack | Disconnect) -> tuple[int, str | None]:
    assert packet.properties is not None
    return packet.reason_code, packet.properties.server_reference


# SIGTERM.

def test_sigterm_tells_clients_and_publishes_wills(run_broker: RunBroker) -> None:
    broker = run_broker("")
    with RawClient(broker.port) as mortal, RawClient(broker.port) as witness, RawClient(broker.port, MQTT_3_1_1) as old:
        mortal.connect("mortal", Will(b"wills", b"farewell", 0))
        witness.connect("witness")
        witness.subscribe(b"wills")
        old.connect("old")
        broker.program.signal(signal.SIGTERM)
        assert mortal.next(Disconnect).reason_code == SERVER_SHUTTING_DOWN
        assert witness.next(Publish).payload == b"farewell"
        assert witness.next(Disconnect).reason_code == SERVER_SHUTTING_DOWN
        assert [client.is_closed() for client in (mortal, witness, old)] == [True, True, True]
    broker.program.wait()
    assert broker.program.rest()[-1].endswith("Server Shut Down.")


# What is logged.

def test_the_log_is_json_in_a_file_when_the_configuration_says_so(tmp_path: Path) -> None:
    configuration = "[node]\nname = n1@127.0.0.1\n[log]\nformat = json\nfile = log.json\nlevel = debug\n"
    with daemon(tmp_path, configuration=configuration) as port, RawClient(port) as client:
        client.connect("c1")
    lines = [json.loads(line) for line in (tmp_path / "log.json").read_text().splitlines()]
    assert {line["node"] for line in lines} == {"n1@127.0.0.1"}
    connected = [line for line in lines if line["message"].startswith("c1 connected")]
    assert [(line["level"], line["client_id"]) for line in connected] == [("debug", "c1")]
    assert connected[0]["part"].startswith("services.events")
    assert not (tmp_path / "twistd.log").exists()


def test_each_part_is_logged_from_its_level_on(tmp_path: Path) -> None:
    with daemon(tmp_path, configuration="[log]\nlevel = warn\n[log.level]\nnet = info\n"):
        pass
    lines = (tmp_path / "twistd.log").read_text().splitlines()
    assert len([line for line in lines if "[emqtwist.net.listeners.Listener#info]" in line]) == 1
    assert [line for line in lines if "#info]" in line and "emqtwist.net." not in line] == []


@pytest.mark.parametrize("version", [MQTT_3_1_1, MQTT_5_0], ids=["3.1.1", "5.0"])
def test_a_malformed_packet_ends_its_connection_alone_and_is_explained(run_broker: RunBroker, version: int) -> None:
    broker = run_broker("")
    with RawClient(broker.port, version) as bad, RawClient(broker.port) as other:
        other.connect("other")
        bad.connect("bad")
        bad.socket.sendall(b"\x30\x05\x00\xffabc")
        at = len(encode(Connect(version, "bad"), version)) + 2
        reason = f"PUBLISH: the Topic Name passes the end of the packet (byte 2 of the packet, {at} of the stream)"
        if version == MQTT_5_0:
            disconnect = bad.next(Disconnect)
            assert disconnect.reason_code == MALFORMED_PACKET
            assert disconnect.properties is not None
            assert disconnect.properties.reason_string == reason
        assert bad.is_closed()
        line = broker.program.next(r"#warn\] (.*)")[1]
        host, port = bad.socket.getsockname()
        assert line == f"bad from {host}:{port} ended: malformed_packet: {reason}"
        other.send(Pingreq())
        other.next(Pingresp)
