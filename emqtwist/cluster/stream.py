"""The stream of bytes between two nodes: what is to go waits here until the other takes it."""
from collections.abc import Callable, Iterable

from emqtwist.cluster.packing import Unpacking
from emqtwist.cluster.refusals import FLOOD, SLOW, Refused
from emqtwist.cluster.window import Receiving, Sending
from emqtwist.cluster.wire import PIECE


class Stream:
    """`push` is called with each piece that may go. No more than `bound` bytes wait to go when more comes."""

    def __init__(self, sending: Sending, receiving: Receiving, push: Callable[[bytes], object], bound: int) -> None:
        self.sending = sending
        self.receiving = receiving
        self._push = push
        self._bound = bound
        self._unsent = bytearray()
        self._unpacking = Unpacking()

    @property
    def waiting(self) -> int:
        """Bytes that were not sent yet."""
        return len(self._unsent)

    @property
    def untaken(self) -> int:
        """Bytes that the other has not taken yet, or was not even sent."""
        return self.sending.under_way + len(self._unsent)

    def put(self, data: bytes) -> None:
        """Send now, or when the other takes it; Refused when too much waits already."""
        if len(self._unsent) > self._bound:
            raise Refused(SLOW, f"{len(self._unsent)} bytes wait")
        self._unsent += data
        self._pump()

    def taken(self, total: int) -> None:
        """The other says how far it has come; Refused when it cannot have."""
        if not self.sending.take(total):
            raise Refused(FLOOD, "it has taken what was not sent")
        self._pump()

    def receive(self, data: bytes) -> Iterable[object]:
        """The frames that are complete with `data`; Refused or BadFrame."""
        if not self.receiving.receive(len(data)):
            raise Refused(FLOOD, f"{self.receiving.owed} bytes were under way, of {self.receiving.size}")
        return self._unpacking.feed(data)

    def _pump(self) -> None:
        while self._unsent and self.sending.room > 0:
            size = min(PIECE, self.sending.room)
            piece = bytes(self._unsent[:size])
            del self._unsent[:size]
            self.sending.sent += len(piece)
            self._push(piece)
