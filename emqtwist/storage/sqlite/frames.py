"""What goes through the pipe between a broker and its store process: marshal behind its length in four bytes.

From the broker: (id, operation, arguments). From the store: (id, kind, value), where kind is one of the words below.
"""
from collections.abc import Iterator
from marshal import dumps, loads
from typing import Any, Final

from emqtwist.storage.sqlite.group import MARSHAL

PART: Final = "part"  # a value that is one of several; more follow
DONE: Final = "done"
FAILED: Final = "failed"  # the value: name of a StoreError, its text
DEFECT: Final = "defect"  # the value: a traceback


def frame(message: tuple[Any, ...]) -> bytes:
    data = dumps(message, MARSHAL)
    return len(data).to_bytes(4, "big") + data


class Frames:
    """Frames out of bytes that come in any chunks."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._needed = 4

    def feed(self, data: bytes) -> Iterator[tuple[Any, ...]]:
        self._chunks.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return
        data = b"".join(self._chunks)
        start = 0
        while len(data) - start >= 4:
            end = start + 4 + int.from_bytes(data[start:start + 4], "big")
            if len(data) < end:
                break
            yield loads(data[start + 4:end])
            start = end
        rest = data[start:]
        self._chunks, self._size = [rest], len(rest)
        self._needed = 4 + int.from_bytes(rest[:4], "big") if len(rest) >= 4 else 4
