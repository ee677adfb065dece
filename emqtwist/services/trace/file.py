"""The file of a trace: made anew in the one folder for them, for its owner alone, and written by threads."""
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from twisted.python.failure import Failure

from emqtwist.services.pooler import Pool
from emqtwist.services.trace.event import Line

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # no path, nothing hidden, no option of a program


def create(folder: Path, name: str) -> int:
    """The descriptor of a new file; FileExistsError, or another OSError. `name` is one that NAME takes."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=at)
    finally:
        os.close(at)


def write(descriptor: int, block: bytes) -> None:
    """All of it, or OSError."""
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest):]


class TraceFile:
    """An open file that takes one block of lines at a time. `busy`: a thread writes it. `failed` says why it takes no more."""

    def __init__(self, name: str, descriptor: int, pool: Pool) -> None:
        self.name = name
        self.busy = False
        self.failed = ""
        self._descriptor = descriptor
        self._pool = pool
        self._block = b""

    @property
    def waits(self) -> bool:
        """Whether there is a block that is not written yet."""
        return bool(self._block)

    def put(self, lines: list[Line]) -> None:
        """What is to be written next; nothing may wait."""
        self._block = "".join(f"{text}\n" for text, _ in lines).encode()

    def write(self, then: Callable[[bool], None]) -> None:
        """Have a thread write the block; `then` is told whether one has tried to, else it waits on."""
        self.busy = True
        self._pool.submit(write, self._descriptor, self._block).addBoth(self._written).addCallback(then)

    def _written(self, result: object) -> bool:
        self.busy = False
        if isinstance(result, Failure):
            error = result.value
            if not isinstance(error, OSError):
                return False
            self.failed = error.strerror or str(error)
        self._block = b""
        return True

    def close(self, lines: list[Line]) -> None:
        """Write the last lines at once, unless a thread is at work that may not come back, and close it."""
        if self.busy:
            return
        try:
            if not self.failed:
                write(self._descriptor, self._block + "".join(f"{text}\n" for text, _ in lines).encode())
        except OSError as error:
            self.failed = error.strerror or str(error)
        os.close(self._descriptor)
