"""SCRAM-SHA-256 in a broker that runs: users made by the command, another's client, SIGHUP, `--check`."""
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emqtwist.mqtt.constants import NOT_AUTHORIZED
from emqtwist.mqtt.packets import Connack, Connect
from tests.integration.brokers import RunningBroker
from tests.integration.clients.kinds import KINDS, MQTTJS
from tests.integration.program import python_script, run
from tests.integration.raw import RawClient

MISSING = next(kind.missing() for kind in KINDS if kind.name == "mqttjs")
SCRAM = "[mqtt]\nallow_anonymous = off\n[auth.scram]\nfile = users\n"


def add(folder: Path, user: str, password: str) -> None:
    """As the guide says."""
    made = run(sys.executable, "-W", "error", "-m", "emqtwist.access.scram", user, stdin=f"{password}\n".encode())
    assert made.returncode == 0, made.stderr
    with (folder / "users").open("ab") as file:
        file.write(made.stdout)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """Alice may come in, with `wonder=land,`."""
    add(tmp_path, "alice", "wonder=land,")
    broker = RunningBroker(tmp_path, SCRAM)
    yield broker
    broker.program.terminate()


def log_in(broker: RunningBroker, user: str, password: str) -> str:
    """What MQTT.js says of it."""
    done = run("node", MQTTJS / "scram.js", str(broker.port), user, password)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


@pytest.mark.skipif(MISSING != "", reason=MISSING)
def test_mqttjs_logs_in(broker: RunningBroker, tmp_path: Path) -> None:
    add(tmp_path, "b=o,b", "builder")
    assert log_in(broker, "alice", "wonder=land,") == "logged in, and got a message"
    assert log_in(broker, "alice", "wonderland") == f"refused: {NOT_AUTHORIZED}"
    assert log_in(broker, "b=o,b", "builder") == f"refused: {NOT_AUTHORIZED}"
    broker.program.signal(signal.SIGHUP)
    broker.program.next("configuration reloaded")
    assert log_in(broker, "b=o,b", "builder") == "logged in, and got a message"


def test_nobody_else_gets_in(broker: RunningBroker) -> None:
    with RawClient(broker.port) as client:
        client.send(Connect(5, "x", user_name="alice", password=b"wonder=land,"))
        assert client.next(Connack).reason_code == NOT_AUTHORIZED


def test_sighup_with_a_bad_users_file_keeps_the_old_users(broker: RunningBroker, tmp_path: Path) -> None:
    with (tmp_path / "users").open("a") as file:
        file.write("bob:his secret\n")
    broker.program.signal(signal.SIGHUP)
    line = broker.program.next(r"#error\] the configuration is not reloaded: .*/users:2: not a line user")[0]
    assert "his secret" not in line
    with RawClient(broker.port) as client:
        client.send(Connect(5, "x"))
        assert client.next(Connack).reason_code == NOT_AUTHORIZED


def test_a_bad_users_file_is_told_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "broker.ini").write_text(SCRAM)
    (tmp_path / "users").write_text("# users\nalice:secret\n")
    for options in ([], ["--check"]):
        done = run(python_script("twistd"), "-n", "--pidfile=", "emqtt", "--config", tmp_path / "broker.ini", *options)
        assert done.returncode == 1
        assert f"{tmp_path}/users:2: not a line user" in done.stderr.decode()
        assert b"secret" not in done.stderr
