"""The folder of a broker's files: one broker at a time has it."""
import fcntl
import os
import time
from pathlib import Path
from typing import Final

from emqtwist.storage.errors import Locked, ReadOnly

BROKER: Final = "broker.lock"  # held by the broker
STORE: Final = "store.lock"  # held by its store process, which may outlive a broker that was killed for a moment


def take(folder: Path) -> int:
    """Make the folder and keep it for this process; a descriptor to close in the end. Locked, or ReadOnly."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return lock(folder / BROKER)
    except OSError as error:
        raise ReadOnly(f"{error.filename or folder}: {error.strerror}") from None


def give(folder: Path, user: int | None, group: int | None) -> None:
    """Make a folder and its files those of whom this process is about to become."""
    if user is not None or group is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, -1 if user is None else user, -1 if group is None else group)


def lock(path: Path, patience: float = 0.0) -> int:
    """A descriptor that keeps `path` for this process; Locked when another one has it for longer than `patience`.

    flock: a daemon that forks takes it along, and the system gives it back however a process ends.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise Locked(f"another broker uses {path.parent}") from None
            time.sleep(0.01)
