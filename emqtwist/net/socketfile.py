"""The file of a Unix socket: whether one can be made at a path."""
import os
import socket
import stat
from pathlib import Path
from typing import Final

LONGEST: Final = 107  # bytes, on Linux


class Taken(Exception):
    """The socket cannot be had; the message says why."""


def shortest(path: Path) -> str:
    """The path as it is shortest from here: the system takes no more than some hundred bytes for a socket."""
    return min(os.fspath(path.absolute()), os.path.relpath(path), key=len)


def is_too_long(path: Path) -> bool:
    """Whether the system takes no such path for a socket."""
    return len(os.fsencode(shortest(path))) > LONGEST


def clear(path: Path) -> None:
    """See that a socket can be made at `path`: one that a dead program has left is deleted. Taken when it is in use."""
    if is_too_long(path):
        raise Taken(f"{path} is too long for a socket")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise Taken(f"{path}: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise Taken(f"{path} is there already, and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(shortest(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                raise Taken(f"{path}: {error.strerror}") from None
    raise Taken(f"another program listens at {path}")
