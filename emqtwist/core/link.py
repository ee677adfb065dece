"""The sending side of a connection, and the turn in which many of them are flushed at once."""
from collections import deque
from collections.abc import Callable

from emqtwist.core.aliases import Outgoing
from emqtwist.mqtt.constants import MAX_PACKET
from emqtwist.mqtt.errors import MQTTError


def nobody() -> None:
    """Wake nobody: whoever drives the broker flushes by itself."""


class Turn:
    """The links with bytes to send, and the time `now` (monotonic seconds) at which this turn began.

    `wake` is called when the first link joins, so that bytes produced at any moment schedule exactly one flush. `bytes_sent`
    and `parts_sent` count what was taken from all links: the bytes, and the pieces that they were put there in.
    """

    __slots__ = ("links", "decided", "now", "wake", "bytes_sent", "parts_sent")

    def __init__(self, now: float = 0.0, wake: Callable[[], None] = nobody) -> None:
        self.links: list[Link] = []
        self.decided: list[Link] = []  # may go on: what they waited for is decided
        self.now = now
        self.wake = wake
        self.bytes_sent = 0
        self.parts_sent = 0

    def add(self, link: "Link") -> None:
        if not self.links:
            self.wake()
        self.links.append(link)

    def proceed(self, link: "Link") -> None:
        """Let `link` go on in the next flush."""
        self.decided.append(link)
        self.wake()

    def take_decided(self) -> "list[Link]":
        """The links that may go on now."""
        decided = self.decided
        self.decided = []
        return decided

    def take(self) -> "list[Link]":
        """The links to flush now; the next turn begins."""
        links = self.links
        self.links = []
        return links


class Link:
    """Where packets for one client go: a list of bytes that the adapter writes once a turn.

    `version` is the protocol level, 0 before CONNECT, -1 where no client is; `max_packet` the client's Maximum Packet Size;
    `congested` is set by the adapter while too much waits to be sent; `closing` asks the adapter to close after the flush, with
    `last` parts of what is there; `owner` belongs to it; `aliases` are the Topic Aliases towards a client that takes some. `held`
    are packets that wait for the commit of a group, by its number.
    """

    __slots__ = ("turn", "out", "held", "version", "max_packet", "congested", "closing", "last", "owner", "aliases")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.out: list[bytes] = []
        self.held: deque[tuple[int, list[bytes]]] | None = None
        self.version = 0
        self.max_packet = MAX_PACKET
        self.congested = False
        self.closing = False
        self.last = 0
        self.owner: object = None
        self.aliases: Outgoing | None = None

    def send(self, data: bytes) -> None:
        if not self.out:
            self.turn.add(self)
        self.out.append(data)

    def hold(self, number: int, data: bytes) -> bool:
        """Send when group `number` is committed, after what is held already; whether the link has to be told of this group."""
        held = self.held
        if held is None:
            held = self.held = deque()
        self.turn.parts_sent += 1  # counted already, and not again at its release
        if held and held[-1][0] >= number:
            held[-1][1].append(data)
            return False
        held.append((number, [data]))
        return True

    def release(self, number: int) -> None:
        """The groups up to `number` are committed."""
        held = self.held
        while held and held[0][0] <= number:
            packets = held.popleft()[1]
            self.turn.parts_sent -= len(packets)
            if not self.out:
                self.turn.add(self)
            self.out += packets

    def take(self) -> bytes:
        """All that is to be written now."""
        if self.closing:
            self.cut()
        out = self.out
        self.out = []
        data = out[0] if len(out) == 1 else b"".join(out)
        turn = self.turn
        turn.parts_sent += len(out)
        turn.bytes_sent += len(data)
        return data

    def close(self) -> None:
        """Close when what has been sent is flushed; nothing follows."""
        if not self.closing:
            self.closing = True
            self.last = len(self.out)
            self.held = None
            if not self.out:
                self.turn.add(self)

    def cut(self) -> None:
        """Leave out what came after the close: it counts as what it answers does, and is not sent."""
        self.turn.parts_sent += max(0, len(self.out) - self.last)
        del self.out[self.last:]  # [MQTT-3.14.4-1]
        self.last = 0

    def fail(self, error: MQTTError) -> None:
        """End the connection because of `error`."""
        self.close()

    def check(self, now: float) -> None:
        """Notice what fell due on this connection by `now`."""
