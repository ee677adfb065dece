"""Verifiers: their lines, and the file that holds them."""
from pathlib import Path

import pytest

from emqtwist.access.verifiers import Verifier, line_of, make, prepared, read_verifiers
from emqtwist.config import ConfigError

# RFC 7677's example user, as PostgreSQL would keep it.
PENCIL = ("user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
          "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
SALT = bytes.fromhex("5b6d99689d12358eeca04b141236fa81")


def read(folder: Path, *lines: str) -> dict[str, Verifier]:
    path = folder / "users"
    path.write_text("".join(f"{line}\n" for line in lines))
    return read_verifiers(str(path))


def problem(folder: Path, *lines: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read(folder, *lines)
    return str(raised.value).replace(str(folder), "")


def test_the_line_of_a_password_is_that_of_postgresql() -> None:
    assert line_of("user", make("pencil", SALT, 4096)) == PENCIL


def test_a_file_gives_back_what_was_made(tmp_path: Path) -> None:
    verifiers = {name: make(f"{name}'s own", SALT, 4096) for name in ("alice", "bob:builder", "ü")}
    lines = [line_of(name, verifier) for name, verifier in verifiers.items()]
    assert read(tmp_path, "# users", "", *lines, "  ") == verifiers
    assert read(tmp_path) == {}


def test_names_and_passwords_are_prepared_alike(tmp_path: Path) -> None:
    assert prepared("I\u00adX") == prepared("\u2168") == "IX"
    assert make("\u2168", SALT, 4096) == make("IX", SALT, 4096)
    assert line_of("\u2168", make("x", SALT, 4096)).startswith("IX:")
    assert list(read(tmp_path, PENCIL.replace("user", "\u2168"))) == ["IX"]


@pytest.mark.parametrize("text", ["", "\u00ad", "a\nb", "a\x00", "\u0627\u0031", "\ue000"])
def test_what_cannot_be_a_name_or_password_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="empty|RFC 4013"):
        make(text, SALT, 4096)
    with pytest.raises(ValueError, match="empty|RFC 4013"):
        line_of(text, make("x", SALT, 4096))


@pytest.mark.parametrize("name", ["#comment", "a:SCRAM-SHA-256$b"])
def test_a_name_that_would_be_read_otherwise_gets_no_line(name: str) -> None:
    with pytest.raises(ValueError, match="may not begin"):
        line_of(name, make("x", SALT, 4096))


@pytest.mark.parametrize(("line", "message"), [
    ("user:secret", "not a line"),
    (PENCIL.replace("user", ""), "the user name: empty"),
    (PENCIL.replace("user", "a\x07"), "the user name: a character"),
    (PENCIL.replace("4096", "4095"), "iterations are a number"),
    (PENCIL.replace("4096", "10000001"), "iterations are a number"),
    (PENCIL.replace("4096", "9" * 5000), "iterations are a number"),
    (PENCIL.replace("4096", "many"), "iterations are a number"),
    (PENCIL.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "W22Z"), "the salt is shorter"),
    (PENCIL.replace("W22Z", "W22*"), "base64"),
    (PENCIL.replace("WG5d8oPm", ""), "32 bytes each"),
    (PENCIL.replace("wfPLwcE6", ""), "32 bytes each"),
    (PENCIL.rpartition(":")[0], "32 bytes each"),
    (PENCIL.rpartition("$")[0], "32 bytes each"),
])
def test_a_bad_line_is_told_by_its_number_and_never_shown(tmp_path: Path, line: str, message: str) -> None:
    text = problem(tmp_path, "# users", line)
    assert text.startswith("/users:2: ")
    assert message in text
    for part in ("secret", "WG5d", "wfPL", "W22"):
        assert part not in text


def test_a_user_has_one_line(tmp_path: Path) -> None:
    assert problem(tmp_path, PENCIL, PENCIL) == "/users:2: this user has a line already"


def test_all_bad_lines_are_told(tmp_path: Path) -> None:
    assert [line.partition(" ")[0] for line in problem(tmp_path, "a", PENCIL, "b").splitlines()] == ["/users:1:", "/users:3:"]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_verifiers(str(tmp_path / "nowhere"))
    (tmp_path / "users").write_bytes(b"\xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_verifiers(str(tmp_path / "users"))
