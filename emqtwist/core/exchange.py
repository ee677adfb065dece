"""Exchange: how one client authenticates, and how far it has come."""
from collections.abc import Callable

from emqtwist.core.access import Accept, Conversation
from emqtwist.core.link import Link


class Exchange:
    """Enhanced authentication on one connection, from CONNECT to its end.

    `method` is the name that CONNECT gave. While an exchange is under way there is a `conversation`, begun at `since`, of
    `rounds` and `size` bytes of Authentication Data so far; `accepted` is called if it ends well.
    """

    __slots__ = ("method", "conversation", "accepted", "since", "rounds", "size")

    def __init__(self, method: str) -> None:
        self.method = method
        self.conversation: Conversation | None = None
        self.accepted: Callable[[Link, Accept], None] | None = None
        self.since = 0.0
        self.rounds = 0
        self.size = 0

    def begin(self, conversation: Conversation, accepted: Callable[[Link, Accept], None], now: float) -> None:
        self.conversation = conversation
        self.accepted = accepted
        self.since = now
        self.rounds = self.size = 0

    def end(self) -> None:
        self.conversation = None
        self.accepted = None

    def is_overdue(self, now: float, limit: float) -> bool:
        return self.conversation is not None and now - self.since >= limit
