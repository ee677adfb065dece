"""A broker as a process, and both clients beside it in its folder."""
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from emqtwist._version import __version__
from emqtwist.mqtt.constants import ADMINISTRATIVE_ACTION, MQTT_3_1_1
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, Publish
from tests.integration.program import LIMIT, Program, environment, python_script, run
from tests.integration.raw import RawClient

MODULE = "from emqtwist.ctl.command import main; main()"
SCRIPT: list[str | Path] = [sys.executable, "-c", MODULE]
CLIENTS: dict[str, list[str | Path]] = {"script": SCRIPT, "twistd": [python_script("twistd"), "-n", "emqtt-ctl"]}
ANY_PORT = "[listener.tcp.default]\nbind = 127.0.0.1:0\n"
TWISTD_HERE = "from twisted.scripts.twistd import run; run()"  # finds packages of its folder
SECRET = "a secret of sixteen or more"
Ctl = Callable[..., CompletedProcess[bytes]]
each_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=list(CLIENTS))


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    """Runs the console script in the broker's folder."""
    return lambda *words: run(*SCRIPT, *words, cwd=tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Starts `twistd -n emqtt` with this configuration, and waits until it takes commands and serves clients."""
    programs: list[Program] = []

    def start(configuration: str = "") -> Program:
        (tmp_path / "broker.ini").write_text(configuration + "\n" + ANY_PORT)
        programs.append(Program(python_script("twistd"), "-n", "emqtt", "--config", "broker.ini", cwd=tmp_path))
        programs[-1].next("keeps messages in")
        return programs[-1]

    yield start
    for program in programs:
        program.terminate()


def port_of(broker: Program) -> int:
    return next(int(line.rpartition(":")[2]) for line in broker.output if "listening on tcp.default" in line)


# The socket.

@each_client
def test_commands_are_taken_in_the_broker_s_folder(tmp_path: Path, start: Callable[[str], Program],
                                                   client: list[str | Path]) -> None:
    def ctl(*words: str) -> CompletedProcess[bytes]:
        return run(*client, *words, cwd=tmp_path)

    absent = ctl("status")
    assert (absent.returncode, absent.stdout) == (3, b"")
    assert absent.stderr.count(b"no broker answers at emqtwist-data/commands.sock: ") == 1
    broker = start("")
    done = ctl("status")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == b"Node 'emqtwist@127.0.0.1' is started"
    assert len(done.stdout.splitlines()) == 2
    assert json.loads(ctl("clients", "list", "--json").stdout) == []
    refused = ctl("clients", "show", "nobody")
    assert (refused.returncode, refused.stdout) == (1, b"Not Found.\n")
    refused = ctl("clients", "show", "nobody", "--json")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"Not Found.\n" in refused.stderr
    assert (tmp_path / "twistd.pid").read_text() == str(broker.pid)  # the broker's: no client took it away
    wrong = ctl("nonsense")
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert b"Usage: emqtwist_ctl\n" in wrong.stderr
    assert b"clients list" in wrong.stderr
    assert stat.S_IMODE((tmp_path / "emqtwist-data" / "commands.sock").stat().st_mode) == 0o600


def test_the_plug_in_needs_no_option_to_stay_in_the_foreground(tmp_path: Path, start: Callable[[str], Program]) -> None:
    start("")
    assert run(python_script("twistd"), "emqtt-ctl", "status", cwd=tmp_path).stdout.startswith(b"Node ")


def test_ctl_socket(tmp_path: Path, start: Callable[[str], Program], ctl: Ctl) -> None:
    broker = start("[ctl]\nsocket = ./its.ctl\n")
    assert ctl("status").returncode == 3
    for options in (("--socket", "its.ctl"), ("--config", "broker.ini")):
        assert ctl(*options, "status").returncode == 0
    broker.terminate()
    assert not (tmp_path / "its.ctl").exists()
    broker = start("[ctl]\nsocket = off\n")
    assert not any("commands are taken" in line for line in broker.output)
    assert ctl("--config", "broker.ini", "status").returncode == 2


def test_the_socket_of_a_dead_broker_is_replaced(tmp_path: Path, start: Callable[[str], Program], ctl: Ctl) -> None:
    start("").kill()
    assert (tmp_path / "emqtwist-data" / "commands.sock").is_socket()
    assert ctl("status").returncode == 3
    (tmp_path / "twistd.pid").unlink()
    start("")
    assert ctl("status").returncode == 0


def test_the_socket_of_a_living_broker_is_not(tmp_path: Path, start: Callable[[str], Program], ctl: Ctl) -> None:
    start("[ctl]\nsocket = its.ctl\n")
    (tmp_path / "other.ini").write_text(f"[node]\ndata_dir = other\n[ctl]\nsocket = its.ctl\n{ANY_PORT}")
    second = run(python_script("twistd"), "-n", "--pidfile=", "emqtt", "--config", "other.ini", cwd=tmp_path)
    assert second.returncode == 1
    assert b"emqtwist cannot take commands: another program listens at its.ctl\n" in second.stderr
    assert ctl("--socket", "its.ctl", "status").returncode == 0


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "its.ctl").write_text("precious")
    (tmp_path / "broker.ini").write_text(f"[ctl]\nsocket = its.ctl\n{ANY_PORT}")
    refused = run(python_script("twistd"), "-n", "emqtt", "--config", "broker.ini", cwd=tmp_path)
    assert refused.returncode == 1
    assert b"its.ctl is there already, and is no socket\n" in refused.stderr
    assert (tmp_path / "its.ctl").read_text() == "precious"


# What commands do.

def test_a_client_is_kicked_and_told_so(start: Callable[[str], Program], ctl: Ctl) -> None:
    with RawClient(port_of(start(""))) as client:
        client.connect("sensor 1")
        listed = ctl("clients", "list").stdout
        assert listed.startswith(b"Client(sensor 1, clean_sess=true, username=undefined, peername=127.0.0.1:")
        assert ctl("clients", "kick", "sensor 1").stdout == b""
        assert client.next(Disconnect).reason_code == ADMINISTRATIVE_ACTION
        assert client.is_closed()
    assert b"ended_administrative_action: 1\n" in ctl("broker", "metrics").stdout


def test_a_subscription_that_is_answered_is_stored(tmp_path: Path, start: Callable[[str], Program], ctl: Ctl) -> None:
    broker = start("")
    with RawClient(port_of(broker), MQTT_3_1_1) as client:
        client.send(Connect(MQTT_3_1_1, "sensor", clean_start=False))
        client.next(Connack)
    for topic in ("a", "b"):
        assert ctl("subscriptions", "add", "sensor", topic, "1").stdout == b"ok\n"
    assert ctl("subscriptions", "del", "sensor", "b").stdout == b"ok\n"
    broker.kill()
    (tmp_path / "twistd.pid").unlink()
    start("")
    assert ctl("subscriptions", "list").stdout == b"sensor -> a\n"


def test_the_store_is_looked_at_copied_and_checked(tmp_path: Path, start: Callable[[str], Program], ctl: Ctl) -> None:
    start("")
    found = {row["key"]: row["value"] for row in json.loads(ctl("store", "info", "--json").stdout)}
    assert found["file_size"] == (tmp_path / "emqtwist-data" / "store.db").stat().st_size
    assert ctl("store", "check").stdout == b"ok\n"
    copied = ctl("store", "backup", "copy.db")
    assert copied.stdout.decode() == f"{tmp_path / 'copy.db'}: {(tmp_path / 'copy.db').stat().st_size} bytes\n"
    again = ctl("store", "backup", "copy.db")
    assert (again.returncode, again.stdout.decode()) == (1, f"{tmp_path / 'copy.db'} is there already\n")


def test_a_level_of_the_log_is_changed_until_a_reload(tmp_path: Path, start: Callable[[str], Program], ctl: Ctl) -> None:
    broker = start("")
    assert ctl("log", "level", "app.plugins", "debug").stdout == b"ok\n"
    assert ctl("log", "level", "services.events", "debug").stdout == b"ok\n"
    with RawClient(port_of(broker)) as client:
        client.connect("x")
        broker.next("x connected from")
    broker.signal(signal.SIGHUP)
    broker.next("configuration reloaded, changed: log.level")
    assert ctl("log", "level").stdout == b"default: info\n"


def test_a_relative_path_that_is_set_starts_where_one_in_the_file_does(tmp_path: Path, ctl: Ctl) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "broker.ini").write_text(ANY_PORT)
    (folder / "users").touch()
    broker = Program(python_script("twistd"), "-n", "emqtt", "--config", "etc/broker.ini", cwd=tmp_path)
    try:
        broker.next("keeps messages in")
        assert ctl("config", "set", "auth.scram.file", "users").stdout == b"ok\n"
        assert ctl("config", "show", "auth.scram.file").stdout.decode() == f"auth.scram.file = {folder / 'users'}\n"
    finally:
        broker.terminate()


def test_commands_are_taken_before_the_other_parts_start(start: Callable[[str], Program], ctl: Ctl) -> None:
    """To open a store may take long; and no pause of a collection of garbage is told before the collector has its way."""
    start("")
    tree = [row["path"] for row in json.loads(ctl("supervisor", "tree", "--json").stdout)]
    assert tree[:2] == ["ctl", "collector"]


def test_a_part_is_killed_and_started_again(start: Callable[[str], Program], ctl: Ctl) -> None:
    broker = start("")
    assert ctl("supervisor", "kill", "ctl").stdout == b"ok\n"
    broker.next("ctl of .* died")
    broker.next("commands are taken at")
    tree = {row["path"]: row for row in json.loads(ctl("supervisor", "tree", "--json").stdout)}
    assert (tree["ctl"]["state"], tree["ctl"]["restarts"], tree["ctl"]["failure"]) == ("running", 1, "ctl was killed")


def test_a_command_that_fails_is_told_and_its_traceback_logged(tmp_path: Path, ctl: Ctl) -> None:
    (tmp_path / "breaker.py").write_text(
        "class Plugin:\n"
        "    def load(self, broker):\n"
        "        broker.commands.add('break', '', 'Fail', lambda context, words: 1 // 0)\n"
        "    def unload(self):\n"
        "        pass\n")
    package = tmp_path / "breaker-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: breaker\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[emqtwist.plugins]\nbreaker = breaker:Plugin\n")
    (tmp_path / "broker.ini").write_text(f"[node]\nplugins = breaker\n{ANY_PORT}")
    broker = Program(sys.executable, "-c", TWISTD_HERE, "-n", "emqtt", "--config", "broker.ini", cwd=tmp_path)
    try:
        broker.next("keeps messages in")
        failed = ctl("break")
        assert (failed.returncode, failed.stdout) == (1, b"")
        assert failed.stderr == b"ZeroDivisionError: integer division or modulo by zero\n"
        broker.next("Traceback")
        broker.next("ZeroDivisionError")
    finally:
        broker.terminate()


def test_who_reads_no_further_hears_no_complaint(tmp_path: Path, start: Callable[[str], Program]) -> None:
    start("")
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*SCRIPT, "help"], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, env=environment(),
                           timeout=LIMIT)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")


# TCP.

def address_of(broker: Program) -> str:
    return next(line.rpartition(" ")[2] for line in broker.output if "commands are taken at 127" in line)


def test_ctl_bind(start: Callable[[str], Program], ctl: Ctl, tmp_path: Path) -> None:
    broker = start(f"[ctl]\nbind = 127.0.0.1:0\nsocket = off\nsecret = {SECRET}\n")
    (tmp_path / "secret").write_text(SECRET + "\n")
    done = ctl("--address", address_of(broker), "--secret-file", "secret", "status")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, b"Node 'emqtwist@127.0.0.1' is started")
    killed = ctl("--address", address_of(broker), "--secret-file", "secret", "supervisor", "kill", "ctl")
    assert killed.stdout == b"ok\n"
    broker.next(f"commands are taken at {address_of(broker)}")  # the same port, though the system had chosen it
    assert ctl("--address", address_of(broker), "--secret-file", "secret", "status").returncode == 0


def test_ctl_secret(start: Callable[[str], Program], ctl: Ctl, tmp_path: Path) -> None:
    broker = start(f"[ctl]\nbind = 127.0.0.1:0\nsecret = {SECRET}\n")
    (tmp_path / "secret").write_text(SECRET + "?")
    refused = ctl("--address", address_of(broker), "--secret-file", "secret", "status")
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, b"", b"the secret is not that of the broker\n")
    broker.next("somebody at 127.0.0.1:.* does not know the secret")
    assert ctl("--address", address_of(broker), "status").returncode == 2


def certify(folder: Path) -> None:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True).sign(key, SHA256()))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_ctl_certificate(start: Callable[[str], Program], ctl: Ctl, tmp_path: Path) -> None:
    certify(tmp_path)
    (tmp_path / "other").mkdir()
    certify(tmp_path / "other")
    (tmp_path / "secret").write_text(SECRET)
    broker = start(f"[ctl]\nbind = 127.0.0.1:0\nsecret = {SECRET}\ncertificate = certificate.pem\nprivate_key = key.pem\n")
    asked = ("--address", address_of(broker), "--secret-file", "secret")
    done = ctl(*asked, "--authority", "certificate.pem", "status")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, b"Node 'emqtwist@127.0.0.1' is started")
    forged = ctl(*asked, "--authority", "other/certificate.pem", "status")
    assert (forged.returncode, forged.stdout) == (3, b"")
    assert forged.stderr.count(b"\n") == 1
    assert ctl(*asked, "status").returncode == 3  # no TLS


def test_ctl_private_key(tmp_path: Path) -> None:
    certify(tmp_path)
    (tmp_path / "broker.ini").write_text(
        f"[ctl]\nbind = 127.0.0.1:0\nsecret = {SECRET}\ncertificate = certificate.pem\nprivate_key = none.pem\n{ANY_PORT}")
    refused = run(python_script("twistd"), "-n", "emqtt", "--config", "broker.ini", cwd=tmp_path)
    assert refused.returncode == 1
    assert b"emqtwist cannot take commands: none.pem: No such file or directory\n" in refused.stderr


def test_a_port_that_is_taken_is_told_before_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "broker.ini").write_text(f"[ctl]\nbind = 127.0.0.1:{port}\nsecret = {SECRET}\n{ANY_PORT}")
        refused = run(python_script("twistd"), "-n", "emqtt", "--config", "broker.ini", cwd=tmp_path)
    assert refused.returncode == 1
    assert f"emqtwist cannot listen at 127.0.0.1:{port}: Address already in use\n".encode() in refused.stderr


@pytest.mark.parametrize(("words", "told"), [
    (("--address", "10.0.0.1:1", "--secret-file", "secret", "status"),
     "beyond this machine (127.0.0.1, [::1]) commands go through TLS"),
    (("--address", "localhost", "--secret-file", "secret", "status"), "--address is HOST:PORT"),
    (("--address", "127.0.0.1:1", "--secret-file", "none", "status"), "none: No such file or directory"),
    (("--config", "none.ini", "status"), "none.ini: cannot be read"),
    (("--json", "--table", "status"), "--table or --json, not both"),
    (("--address", "127.0.0.1:1", "--secret-file", "picture", "status"), "picture: not UTF-8"),
    (("completion", "fish"), "completion bash, or completion zsh"),
    (("--no-such-option",), "option --no-such-option not recognized"),
])
def test_options_that_make_no_sense_are_told(ctl: Ctl, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "picture").write_bytes(b"\xff\xd8")
    wrong = ctl(*words)
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert told in wrong.stderr.decode()


@each_client
def test_both_clients_end_the_same_on_options_and_words_that_make_no_sense(tmp_path: Path, client: list[str | Path]) -> None:
    wrong = run(*client, "--json", "--table", "status", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (2, b"", b"--table or --json, not both\n")
    for word in ("x" * 66_000, b"\xff".decode(errors="surrogateescape")):
        wrong = run(*client, "clients", "show", word, cwd=tmp_path)
        assert (wrong.returncode, wrong.stdout) == (2, b"")
        assert b"the words are too long, or not UTF-8\n" in wrong.stderr
        assert b"Traceback" not in wrong.stderr


@each_client
def test_a_path_that_is_too_long_for_a_socket_is_told_at_once(tmp_path: Path, client: list[str | Path]) -> None:
    far = run(*client, "--socket", "x" * 108, "status", cwd=tmp_path)
    assert (far.returncode, far.stdout) == (3, b"")
    assert b": this path is too long for a socket" in far.stderr
    assert b"Traceback" not in far.stderr


def test_it_tells_its_version(ctl: Ctl) -> None:
    done = ctl("--version")
    assert (done.returncode, done.stdout.decode()) == (0, f"emqtwist {__version__}\n")


@pytest.mark.parametrize("form", ["--json", ""], ids=["json", "lines"])
def test_a_live_trace_comes_at_once_and_ends_with_an_interrupt(
        start: Callable[[str], Program], tmp_path: Path, form: str) -> None:
    """Its output is whole even then, into a pipe as well."""
    with RawClient(port_of(start(""))) as client:
        client.connect("alice")
        watch = Program(*SCRIPT, "trace", "client", "alice", "live", *[word for word in (form,) if word], cwd=tmp_path)
        watch.next("connected")
        client.send(Pingreq())
        watch.next("PINGREQ")
        watch.next("PINGRESP")
        watch.signal(signal.SIGINT)
        watch.rest()
    if form:
        assert [each["event"] for each in json.loads("\n".join(watch.output))] == ["connected", "received", "sent"]
    else:
        assert [line.split()[3] for line in watch.output] == ["connected", "received", "sent"]


def test_who_withholds_what_it_should_acknowledge_is_ranked_above_who_does_not(start: Callable[[str], Program], ctl: Ctl) -> None:
    port = port_of(start("[module.slow_subs]\nenable = on\nthreshold = 1ms\n"))
    with RawClient(port) as slow, RawClient(port) as healthy, RawClient(port) as talker:
        for name, client in (("slow", slow), ("healthy", healthy), ("talker", talker)):
            client.connect(name)
        assert slow.subscribe(b"t/#", 1) == healthy.subscribe(b"t/#", 1) == [1]
        before = time.monotonic()
        talker.send(Publish(b"t/1", b"x", 1, packet_id=1))
        acknowledged(healthy, healthy.next(Publish).packet_id)
        withheld = slow.next(Publish).packet_id
        first = json.loads(ctl("sessions", "slow", "--json").stdout)[0]
        assert (first["client_id"], first["topic"], first["messages"]) == ("slow", "t/1", 0)
        acknowledged(slow, withheld)
        took = time.monotonic() - before
        ranked = json.loads(ctl("sessions", "slow", "--json").stdout)
    assert (ranked[0]["client_id"], ranked[0]["topic"], ranked[0]["messages"]) == ("slow", "t/1", 1)
    assert 1 <= first["delay"] <= ranked[0]["delay"] <= took * 1000
    for row in ranked[1:]:  # there if the machine let it wait
        assert (row["client_id"], row["topic"], row["messages"]) == ("healthy", "t/1", 1)
        assert row["delay"] <= ranked[0]["delay"]


def acknowledged(client: RawClient, packet_id: int) -> None:
    """The broker has its PUBACK."""
    client.send(Puback(packet_id))
    client.send(Pingreq())
    client.next(Pingresp)
