"""Pending: a decision that somebody else makes, at once or later.

What may wait gives a `Pending`. Whoever decides calls its `resume`, once, in the thread of the broker. A connection that
waits for one serves nothing meanwhile, and keeps what has come, in order. A decision that comes when nobody waits any
more is ignored.

`resume` does nothing but note the decision and put the link on its turn: what follows from it happens at the next flush,
under the adapter of that link, whoever called.
"""
from collections.abc import Callable
from typing import Generic, TypeVar

from emqtwist.core.link import Link
from emqtwist.mqtt.packets import Packet

D = TypeVar("D")


class Waiting:
    """What a link waits for, and what it keeps meanwhile: `packets` parsed already, then `chunks`, of `size` bytes together."""

    __slots__ = ("link", "packets", "chunks", "size")

    def __init__(self) -> None:
        self.link: Link | None = None
        self.packets: list[Packet] = []
        self.chunks: list[bytes] = []
        self.size = 0

    def is_decided(self) -> bool:
        raise NotImplementedError

    def proceed(self) -> None:
        """Do what follows from the decision."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Nobody waits any more."""
        raise NotImplementedError


class Pending(Waiting, Generic[D]):
    """A decision of type D; `decision` is None until it is made, `cancelled` once nobody wants it."""

    __slots__ = ("decision", "cancelled", "_take")

    def __init__(self, decision: D | None = None) -> None:
        super().__init__()
        self.decision = decision
        self.cancelled = False
        self._take: Callable[[Link, D], None] | None = None

    def resume(self, decision: D) -> None:
        """Decide; the first decision holds."""
        if self.decision is None:
            self.decision = decision
            if self.link is not None:
                self.link.turn.proceed(self.link)

    def is_decided(self) -> bool:
        return self.decision is not None

    def hold(self, link: Link | None, take: Callable[[Link, D], None]) -> None:
        """`link` waits, and `take` is called with it and the decision; None when `link` is set later."""
        self.link = link
        self._take = take

    def proceed(self) -> None:
        if self.decision is not None and self.link is not None and self._take is not None:
            self._take(self.link, self.decision)

    def cancel(self) -> None:
        self.cancelled = True
        self.link = None
        self._take = None
        self.packets = []
        self.chunks = []
