"""Verifiers of SCRAM-SHA-256: what a server has to know of a password, and the file where it stands.

A line is `user:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the form in which PostgreSQL keeps passwords (RFC 5803
has nearly the same). Empty lines, and those that begin with `#`, are passed over. The password itself cannot be read off
it; it can be tried out, so the file is for the broker's eyes only.
"""
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from scramp import ScramException, ScramMechanism
from scramp.utils import saslprep

from emqtwist.config import ConfigError, Problem

METHOD: Final = "SCRAM-SHA-256"
MARK: Final = f":{METHOD}$"
LEAST_ITERATIONS: Final = 4096  # RFC 7677
MOST_ITERATIONS: Final = 10_000_000
LEAST_SALT: Final = 12
KEY_SIZE: Final = 32


class Verifier(NamedTuple):
    """In the order that scramp wants."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int


def prepared(text: str) -> str:
    """A user name or password as both sides count it (SASLprep, RFC 4013); ValueError when it may not be one."""
    try:
        result = str(saslprep(text))
    except ScramException:
        raise ValueError("a character that may not be in a name or password (RFC 4013)") from None
    if not result:
        raise ValueError("empty")
    return result


def make(password: str, salt: bytes, iterations: int) -> Verifier:
    """The verifier of a password: slow, as it has to be. ValueError when it cannot be a password."""
    return Verifier(*ScramMechanism(METHOD).make_auth_info(prepared(password), iterations, salt))


def line_of(user: str, verifier: Verifier) -> str:
    """The line for the file; ValueError when the file cannot hold such a user."""
    if prepared(user).startswith("#") or MARK in user:
        raise ValueError(f"a name may not begin with # nor contain {MARK}")
    salt, stored_key, server_key = (b64encode(part).decode() for part in verifier[:3])
    return f"{prepared(user)}{MARK}{verifier.iterations}:{salt}${stored_key}:{server_key}"


def read_verifiers(path: str) -> dict[str, Verifier]:
    """dict user -> Verifier of a file; ConfigError names all bad lines, and shows none of them."""
    try:
        lines = Path(path).read_bytes().decode("utf-8").splitlines()
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", path)]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem("not UTF-8", path)]) from None
    users: dict[str, Verifier] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                _take(users, line)
            except ValueError as error:
                problems.append(Problem(str(error), path, number))
    if problems:
        raise ConfigError(problems)
    return users


def _take(users: dict[str, Verifier], line: str) -> None:
    name, mark, rest = line.partition(MARK)
    if not mark:
        raise ValueError(f"not a line user{MARK}iterations:salt$StoredKey:ServerKey")
    try:
        user = prepared(name)
    except ValueError as error:
        raise ValueError(f"the user name: {error}") from None
    if user in users:
        raise ValueError("this user has a line already")
    users[user] = _parse(rest)


def _parse(text: str) -> Verifier:
    head, _, keys = text.partition("$")
    iterations, _, salt = head.partition(":")
    stored_key, _, server_key = keys.partition(":")
    verifier = Verifier(_binary(salt), _binary(stored_key), _binary(server_key), _iterations(iterations))
    if len(verifier.salt) < LEAST_SALT:
        raise ValueError(f"the salt is shorter than {LEAST_SALT} bytes")
    if not len(verifier.stored_key) == len(verifier.server_key) == KEY_SIZE:
        raise ValueError(f"StoredKey and ServerKey are {KEY_SIZE} bytes each")
    return verifier


def _iterations(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and LEAST_ITERATIONS <= int(text) <= MOST_ITERATIONS):
        raise ValueError(f"iterations are a number from {LEAST_ITERATIONS} to {MOST_ITERATIONS}")
    return int(text)


def _binary(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ValueError("salt, StoredKey and ServerKey are written in base64") from None


def common_secret(users: Mapping[str, Verifier]) -> bytes:
    """Bytes that only who has the whole file knows; the same after a restart."""
    return b"".join(part for user in sorted(users) for part in users[user][:3])
