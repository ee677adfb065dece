"""The other nodes of a cluster, as far as a Broker knows of them."""
from collections.abc import Callable

from emqtwist.core.move import Claim
from emqtwist.core.pending import Pending
from emqtwist.core.records import Fetch, Record, Snapshot
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription

Names = tuple[str, ...]


class Neighbours:
    """What a broker tells its cluster, and asks of it."""

    def changed(self, topic_filter: bytes, before: Subscription | None, after: Subscription | None) -> None:
        """What one subscriber here has of a Topic Filter: `before` and from now on, None for nothing."""

    def settled(self) -> Pending[Names] | None:
        """Decided when all nodes that are connected know what is subscribed to here: which of them could not be told. None when
        they know it already."""
        return None

    def retained(self, topic: bytes, until: float) -> None:
        """A retained message is stored here, until then at most: it is recorded, and told to others."""

    def erased(self, topic: bytes) -> None:
        """There is to be no retained message of this topic: that is recorded, and told to others."""

    def expired(self, topic: bytes) -> None:
        """There is no retained message of this topic any more, as its time is over: that is recorded."""

    def recover(self, snapshot: Snapshot) -> None:
        """What the store has of other nodes, and for them."""

    def page(self, fetch: Fetch, rows: list[Record], more: bool) -> None:
        """Rows of a queue that is no session's have come from the store; `more`: there are rows behind them."""

    def claim(self, client_id: str, clean_start: bool, is_wanted: Callable[[], bool]) -> Pending[Claim] | None:
        """A client is here and wants its session: decided when it can be looked for here. None when that is so already.

        `is_wanted` tells whether the client is still here.
        """
        return None

    def session_opened(self, session: Session, clean_start: bool) -> None:
        """A client has this session from now on, or has it again; with Clean Start, whatever it had elsewhere."""

    def announced(self) -> Pending[Names] | None:
        """Decided when all nodes know which sessions are here, but those that are named. None when they do."""
        return None

    def session_ended(self, session: Session) -> None:
        """It is no more."""
