"""Users whom the broker keeps, of a broker that is a process."""
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emqtwist.access import passwd
from emqtwist.ctl.command import Options
from emqtwist.mqtt.constants import BAD_USER_NAME_OR_PASSWORD, MQTT_5_0, SUCCESS
from emqtwist.mqtt.packets import Connack, Connect
from emqtwist.storage.sqlite.upkeep import check, restore
from tests.integration.program import Program, run
from tests.integration.raw import RawClient
from tests.integration.test_ctl import Ctl, ctl, each_client, port_of, start

__all__ = ["ctl", "start"]  # fixtures
USERS = "[auth]\norder = users\n"


def enter(port: int, user_name: str, password: bytes) -> int:
    with RawClient(port) as client:
        client.send(Connect(MQTT_5_0, "c", user_name=user_name, password=password))
        return client.next(Connack).reason_code


@each_client
def test_a_password_is_read_from_standard_input(
        tmp_path: Path, start: Callable[[str], Program], client: list[str | Path]) -> None:
    port = port_of(start(USERS))
    added = run(*client, "users", "add", "alice", cwd=tmp_path, stdin=b"pencil\nand more")
    assert (added.returncode, added.stdout) == (0, b"ok\n")
    assert enter(port, "alice", b"pencil") == SUCCESS
    assert run(*client, "users", "passwd", "alice", "--json", cwd=tmp_path, stdin=b"pen").returncode == 0
    assert enter(port, "alice", b"pencil") == BAD_USER_NAME_OR_PASSWORD
    empty = run(*client, "users", "add", "bob", cwd=tmp_path)
    assert (empty.returncode, empty.stdout) == (1, b"Error: no password\n")


def test_what_was_answered_outlives_a_crash_and_a_restore(tmp_path: Path, start: Callable[[str], Program], ctl: Ctl) -> None:
    broker = start(USERS)
    for name in ("alice", "bob"):
        assert ctl("users", "add", name, "pencil").stdout == b"ok\n"
    assert ctl("users", "superuser", "alice", "on").stdout == b"ok\n"
    assert ctl("store", "backup", "copy.db").returncode == 0
    assert ctl("users", "del", "bob").stdout == b"ok\n"
    broker.kill()
    (tmp_path / "twistd.pid").unlink()
    broker = start(USERS)
    assert ctl("users", "list").stdout == b"alice superuser\n"
    assert enter(port_of(broker), "alice", b"pencil") == SUCCESS
    assert b"pencil" not in b"".join(each.read_bytes() for each in (tmp_path / "emqtwist-data").iterdir() if each.is_file())
    broker.terminate()
    assert check(tmp_path / "copy.db") == []
    restore(tmp_path / "copy.db", tmp_path / "emqtwist-data")
    start(USERS)
    assert ctl("users", "list").stdout == b"alice superuser\nbob\n"


def test_passwords_that_differ_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["pencil", "pen"])
    monkeypatch.setattr(passwd, "getpass", lambda prompt="": next(typed))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(SystemExit) as ended:
        Options().parseOptions(["users", "add", "alice"])
    assert ended.value.code == 2
