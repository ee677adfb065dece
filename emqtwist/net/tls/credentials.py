"""Certificates with their keys, made of files, and made again when these have changed."""
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf
from typing import Generic, Protocol, Self, TypeVar

from emqtwist.net.tls.files import BadFile

Stamps = tuple[object, ...]


class Files(Protocol):
    """What was made of some files. `stamps` are of these as they were when they began to be read.

    `expiries` are pairs of the path of certificates and the Unix seconds until which they are good, `lists` the same for lists of
    revoked ones.
    """

    stamps: Stamps
    expiries: list[tuple[str, float]]
    lists: list[tuple[str, float]]

    def paths(self) -> Iterable[str]:
        """Where they are."""

    def again(self) -> Self:
        """The same of the files as they are now; BadFile."""


F = TypeVar("F", bound=Files)


class Credentials(Generic[F]):
    """What was loaded, as it was when it was last good: a bad file changes nothing.

    `problem` is what is wrong with the files as they are, empty when nothing is known to be.
    """

    def __init__(self, loaded: F) -> None:
        self.loaded = loaded
        self.problem = ""
        self._tried = self._seen = loaded.stamps

    def have_changed(self) -> bool:
        """Whether there is something new to load. It has to be the same twice, as files are written one after the other."""
        before, self._seen = self._seen, stamps_of(self.loaded.paths())
        return self._seen == before != self._tried

    def reload(self) -> None:
        """Load the files as they are now, if they are good."""
        self._tried = stamps_of(self.loaded.paths())
        try:
            self.use(self.loaded.again())
        except BadFile as error:
            self.problem = str(error)

    def use(self, loaded: F) -> None:
        """For who connects from now on."""
        self.loaded = loaded
        self.problem = ""
        self._tried = self._seen = loaded.stamps


def first(moments: Sequence[datetime | None]) -> float:
    """In Unix seconds; None is never."""
    return min([inf if moment is None else moment.timestamp() for moment in moments])


def stamps_of(paths: Iterable[str]) -> Stamps:
    """What is different when one of the files is another."""
    return tuple([_stamp(path) for path in paths])


def _stamp(path: str) -> Stamps:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
