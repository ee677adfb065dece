"""What the core decides later, for commands that await it."""
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

from emqtwist.core.link import Link, Turn
from emqtwist.core.pending import Pending

D = TypeVar("D")


class _Waiter(Generic[D]):
    """Owns a link that has nothing to send: to the turn it is one that goes on in a flush, as a connection does that waited."""

    def __init__(self, turn: Turn, pending: Pending[D]) -> None:
        self.decided: Deferred[D] = Deferred()
        self._pending = pending
        link = Link(turn)
        link.owner = self
        pending.hold(link, self._take)

    def proceed(self) -> None:
        self._pending.proceed()

    def flush(self) -> None:
        """There is never anything to send."""

    def _take(self, link: Link, decision: D) -> None:
        self.decided.callback(decision)


async def decided(turn: Turn, pending: Pending[D]) -> D:
    """The decision, once it is made."""
    if pending.decision is not None:
        return pending.decision
    return await _Waiter(turn, pending).decided
