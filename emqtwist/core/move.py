"""What the core knows of a session that goes from one node to another, and of clients whose session is another node's."""
from emqtwist.core.ledger import Row
from emqtwist.core.message import Message
from emqtwist.core.records import Fetch
from emqtwist.core.subscriber import Subscriber


class Move:
    """Stands in a session on its way, at the node that gives it as at the one that takes it, where it has this `epoch`."""

    __slots__ = ("epoch",)

    epoch: int

    def collect(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        """Take a message that comes for the session."""
        raise NotImplementedError

    def relayed(self, message: Message, origin: tuple[str, int], peer: Subscriber) -> None:
        """Take a message that came for it where it was, and was sent on by `peer`; `origin` is its name in the cluster."""
        raise NotImplementedError

    def cut(self, node: str, epoch: int, direct: bool) -> None:
        """All that `node` publishes behind this goes to where the session has this epoch; `direct`: it says so itself."""
        raise NotImplementedError

    def left(self, group: bytes, peer: Subscriber) -> None:
        """At `peer` the client is no member of a group any more."""

    def page(self, fetch: Fetch, rows: list[Row], more: bool) -> bool:
        """Take a page of the queue; false where it is the client that waits for it."""
        return False

    def stop(self) -> None:
        """The session ends here."""


class Claim:
    """How the session of a client is to be had: as if there were no other node, unless there is a `refusal`."""

    __slots__ = ("refusal",)

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal
