"""Users whose passwords this process can check: those of a file, and those that the broker keeps."""
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from emqtwist.access import hashes
from emqtwist.access.hashes import Hash
from emqtwist.config import ConfigError, Problem
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok
from emqtwist.interfaces import IAuthenticator

Hashing = Callable[[Callable[[bytes], bool], bytes], "Deferred[bool]"]  # has a function called in a thread

NO_NAME: Final = "it gives no user name"
NO_PASSWORD: Final = "it gives no password"
UNKNOWN: Final = "it is not among the users"
WRONG: Final = "the password is wrong"


@implementer(IAuthenticator)
class Passwords:
    """Knows who `subject` says that a client is, and the password of that one from `find`, which gives None for strangers.

    `find` gives the same object as long as the password stays the same: one that has changed while it was tried is tried anew.
    """

    def __init__(self, subject: Callable[[Client], str | None], find: Callable[[str], Hash | None], superusers: Container[str],
                 hashing: Hashing) -> None:
        self._subject = subject
        self._find = find
        self._superusers = superusers
        self._hashing = hashing

    async def authenticate(self, client: Client, password: bytes | None) -> Finding:
        subject = self._subject(client)
        if subject is None:
            return Ignore(NO_NAME)
        known = self._find(subject)
        if known is None:
            return Ignore(UNKNOWN)
        if password is None:
            return Deny(NO_PASSWORD)
        right = await self._hashing(known.fits, password) if known.slow else known.fits(password)
        if self._find(subject) is not known:
            return await self.authenticate(client, password)
        return Ok(subject in self._superusers) if right else Deny(WRONG)

    def close(self) -> None:
        """Holds nothing."""


def user_name(client: Client) -> str | None:
    return client.user_name


def client_id(client: Client) -> str | None:
    return client.client_id


def read_passwords(path: str) -> Mapping[str, Hash]:
    """dict name -> Hash of a file, a line each `name:hash`; ConfigError names all bad lines, and shows none of them."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", path)]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem("not UTF-8", path)]) from None
    names: dict[str, Hash] = {}
    problems: list[Problem] = []
    for number, line in _lines(text):
        try:
            _take(names, line)
        except ValueError as error:
            problems.append(Problem(str(error), path, number))
    if problems:
        raise ConfigError(problems)
    return names


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if line.strip() and not line.startswith("#"):
            yield number, line


def _take(names: dict[str, Hash], line: str) -> None:
    name, mark, text = line.partition(":")
    if not name or not mark:
        raise ValueError("not name:hash")
    if name in names:
        raise ValueError("this name stands in a line before")
    names[name] = hashes.parse(text)
