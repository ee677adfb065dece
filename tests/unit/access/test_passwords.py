"""Files of passwords, and who gets in by them."""
import io
import sys
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed

from emqtwist.access import hashes, passwd
from emqtwist.access.hashes import Hash
from emqtwist.access.passwords import Passwords, client_id, read_passwords, user_name
from emqtwist.config import ConfigError
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok
from tests.oracles import client

ALICE = hashes.make(b"pencil", bytes(16))


def read(folder: Path, text: str) -> dict[str, Hash]:
    path = folder / "passwords"
    path.write_text(text)
    return dict(read_passwords(str(path)))


def problem(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read(folder, text)
    return str(raised.value).replace(str(folder), "")


def test_a_file_is_read(tmp_path: Path) -> None:
    known = read(tmp_path, f"# users\n\nalice:{ALICE}\r\nbob:{{plain}}a:b\nü:{{plain}}\n")
    assert list(known) == ["alice", "bob", "ü"]
    assert known["alice"].fits(b"pencil")
    assert known["bob"].fits(b"a:b")
    assert known["ü"].fits(b"")


def test_all_bad_lines_are_told_and_none_is_shown(tmp_path: Path) -> None:
    found = problem(tmp_path, f"alice:{ALICE}\nsecret\n:secret\nbob:secret\nalice:{{plain}}secret\n")
    assert [line.split(" ")[0] for line in found.split("\n")] == [f"/passwords:{number}:" for number in (2, 3, 4, 5)]
    assert "secret" not in found


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), (b"\xff", "not UTF-8")])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "passwords"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_passwords(str(path))


class Desk:
    """Asks a Passwords with alice, whose hash is slow, and bob, whose is not; `hashed` are the passwords that a thread got."""

    def __init__(self, by_client_id: bool = False) -> None:
        known = {"alice": hashes.parse(ALICE), "bob": hashes.parse("{plain}pen")}
        self.hashed: list[bytes] = []
        self._passwords = Passwords(client_id if by_client_id else user_name, known.get, ["bob"], self._hashing)

    def _hashing(self, fits: object, password: bytes) -> "Deferred[bool]":
        self.hashed.append(password)
        return succeed(hashes.parse(ALICE).fits(password))

    def ask(self, who: Client, password: bytes | None) -> Finding:
        found: list[Finding] = []
        Deferred.fromCoroutine(self._passwords.authenticate(who, password)).addCallback(found.append)
        [finding] = found
        return finding


@pytest.mark.parametrize(("name", "password", "kind", "why"), [
    ("alice", b"pencil", Ok, ""), ("alice", b"pen", Deny, "the password is wrong"), ("alice", None, Deny, "it gives no password"),
    ("bob", b"pen", Ok, ""), ("bob", b"", Deny, "the password is wrong"),
    ("carol", b"pen", Ignore, "it is not among the users"), (None, b"pen", Ignore, "it gives no user name"),
    (None, None, Ignore, "it gives no user name")])
def test_a_user_gets_in_by_its_password(name: str | None, password: bytes | None, kind: type[Finding], why: str) -> None:
    finding = Desk().ask(client(user_name=name), password)
    assert type(finding) is kind
    assert finding.why == why


def test_who_is_a_superuser_is_said() -> None:
    found = [Desk().ask(client(user_name=name), password) for name, password in (("alice", b"pencil"), ("bob", b"pen"))]
    assert [isinstance(each, Ok) and each.superuser for each in found] == [False, True]


def test_a_client_identifier_stands_for_a_name() -> None:
    desk = Desk(by_client_id=True)
    assert isinstance(desk.ask(client("bob", "alice"), b"pen"), Ok)
    assert isinstance(desk.ask(client("x", "bob"), b"pen"), Ignore)


def test_only_what_takes_long_goes_to_a_thread() -> None:
    desk = Desk()
    for name, password in (("alice", b"pencil"), ("bob", b"pen"), ("carol", b"x")):
        desk.ask(client(user_name=name), password)
    assert desk.hashed == [b"pencil"]


def test_the_command_makes_a_line(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("pencil\n"))
    assert passwd.main(["alice"]) == 0
    line = capsys.readouterr().out
    assert "pencil" not in line
    assert read(tmp_path, line)["alice"].fits(b"pencil")


@pytest.mark.parametrize("name", ["", "#a", "a:b", "a\nb"])
def test_a_name_that_would_be_read_otherwise_gets_no_line(
        name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("pencil\n"))
    with pytest.raises(SystemExit):
        passwd.main([name])
    assert "a name is not empty" in capsys.readouterr().err
