"""One trace: what it selects, what waits to be taken from it, and when it is over."""
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal

from twisted.internet.defer import Deferred, succeed

from emqtwist.core.connection import Connection
from emqtwist.core.link import nobody
from emqtwist.core.who import address_of
from emqtwist.services.trace.event import Event, Line
from emqtwist.services.trace.file import TraceFile

Kind = Literal["client", "topic", "address"]
CLIENT: Final[Kind] = "client"
TOPIC: Final[Kind] = "topic"
ADDRESS: Final[Kind] = "address"

MOST_WAITING: Final = 512 * 1024  # characters of lines that nobody has taken yet
LAST_LINES: Final = 512  # bytes that the end of a trace may take of its size


@dataclass(frozen=True)
class Bounds:
    """When a trace ends by itself: after `seconds`, `size` bytes, or `lines`, of which 0 is no bound.

    `payload` bytes of each payload are shown.
    """

    seconds: float
    size: int = 0
    lines: int = 0
    payload: int = 0


class Trace:
    """`name` is a Client Identifier, a Topic Filter, or an address; a `network` of one address, or more, stands for the last.

    It outlives the part that sees to it. `wake` is called when something waits that was not there before, and at the end.
    `over` says why it has ended, "" while it goes on. `file` is where it goes, None for one that is read as it goes.
    """

    def __init__(self, number: int, kind: Kind, name: str, bounds: Bounds, until: float,
                 network: IPv4Network | IPv6Network | None = None, file: TraceFile | None = None) -> None:
        self.number = number
        self.kind: Kind = kind
        self.name = name
        self.topic_filter = name.encode()
        self.bounds = bounds
        self.until = until
        self.file = file
        self.network = network
        self.lines = 0
        self.size = 0
        self.over = ""
        self.wake: Callable[[], None] = nobody
        self._waiting: deque[Line] = deque()
        self._length = 0
        self._left_out = 0
        self._last_taken = False
        self._reader: Deferred[None] | None = None

    @property
    def target(self) -> str:
        """Where it goes."""
        return "live" if self.file is None else self.file.name

    def selects(self, connection: Connection, asked: str) -> bool:
        """Whether all of a connection is traced, whose client `asked` to be known by this identifier."""
        if self.network is not None:
            address = address_of(connection.peer.address)
            return address is not None and address in self.network
        return self.kind == CLIENT and self.name in (connection.client_id, asked)

    def note(self, event: Event) -> None:
        """A line more, unless too many wait: those are counted."""
        if self.over:
            return
        line = event.line(self.bounds.payload)
        if self._length + len(line[0]) > MOST_WAITING:
            self._left_out += 1
            return
        size = len(line[0].encode()) + 1
        if 0 < self.bounds.size < self.size + size + LAST_LINES:
            self.end(f"it has {self.bounds.size} bytes")
            return
        self.size += size
        self.lines += 1
        self._waiting.append(line)
        self._length += len(line[0])
        if self.lines == self.bounds.lines:
            self.end(f"it has {self.lines} lines")
        elif len(self._waiting) == 1:
            self._tell()

    def end(self, why: str) -> None:
        """Note nothing more; what waits can still be taken."""
        if not self.over:
            self.over = why
            self._tell()

    def take(self) -> list[Line]:
        """What waits, how many lines were left out behind it, and in the end why it is over."""
        lines = list(self._waiting)
        self._waiting.clear()
        self._length = 0
        if self._left_out:
            lines.append(remark(f"{self._left_out} lines were left out: they came faster than they were taken"))
            self.size += len(lines[-1][0]) + 1
            self._left_out = 0
        if self.over and not self._last_taken:
            self._last_taken = True
            lines.append(remark(f"the trace is over: {self.over}"))
        return lines

    def more(self) -> "Deferred[None]":
        """Fires when there is something to take, or the trace is over; for the one who reads it."""
        if self._waiting or self.over:
            return succeed(None)
        self._reader = Deferred()
        return self._reader

    def _tell(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.callback(None)
        self.wake()


def remark(text: str) -> Line:
    """A line about the trace itself."""
    return f"# {text}", {"event": "remark", "text": text}
