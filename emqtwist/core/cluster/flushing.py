"""That all is in which other nodes forwarded before: each is asked, and answers behind it."""
from typing import Final

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.tables import Send
from emqtwist.core.message import NEVER
from emqtwist.core.pending import Pending

PATIENCE: Final = 5.0  # seconds; what a node has that takes longer, or is away for longer, comes when it comes


class Flush:
    """One question; `missing` are those who have not answered, `late` those who are not waited for any more."""

    __slots__ = ("missing", "late", "due", "pending")

    def __init__(self, missing: dict[Peer, None], due: float) -> None:
        self.missing = missing
        self.late: set[str] = set()
        self.due = due
        self.pending: Pending[bool] = Pending()


class Flushing(Part):
    """The questions under way, by number."""

    __slots__ = ("_peers", "_send", "_flushes", "_last")

    def __init__(self, peers: dict[str, Peer], send: Send) -> None:
        self._peers = peers
        self._send = send
        self._flushes: dict[int, Flush] = {}
        self._last = 0

    def flush(self, now: float) -> Flush:
        """Decided when all that was forwarded to this node before is in; who was lost just now may be back soon."""
        missing = [peer for peer in self._peers.values() if peer.link is not None or now - peer.since < PATIENCE]
        flush = self._ask(missing, now + PATIENCE)
        flush.late.update([peer.name for peer in self._peers.values() if peer not in flush.missing])
        self._look()
        return flush

    def meet(self, peer: Peer) -> Pending[bool]:
        """Decided when all is in that a node forwarded before it answers, whenever that is."""
        return self._ask([peer], NEVER).pending

    def _ask(self, peers: list[Peer], due: float) -> Flush:
        flush = Flush(dict.fromkeys(peers), due)
        self._last += 1
        self._flushes[self._last] = flush
        for peer in peers:
            self._send(peer, (f.FLUSH, self._last))
        return flush

    def flushed(self, peer: Peer, frame: Frame) -> None:
        flush = self._flushes.get(frame[1])
        if flush is not None:
            flush.missing.pop(peer, None)
            self._look()

    def opened(self, peer: Peer) -> None:
        for number, flush in self._flushes.items():
            if peer in flush.missing:
                self._send(peer, (f.FLUSH, number))

    def left(self, peer: Peer) -> None:
        for flush in self._flushes.values():
            flush.missing.pop(peer, None)
        self._look()

    def tick(self, now: float) -> None:
        for flush in self._flushes.values():
            if flush.due <= now:
                flush.late.update([peer.name for peer in flush.missing])
                flush.missing.clear()
        self._look()

    def _look(self) -> None:
        for number, flush in list(self._flushes.items()):
            if not flush.missing:
                del self._flushes[number]
                flush.pending.resume(True)
