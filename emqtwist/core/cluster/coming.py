"""Who comes and who goes: nodes that are to be joined, and those that are about to leave."""
from collections.abc import Iterable
from typing import Final

from emqtwist.core.message import NEVER
from emqtwist.core.pending import Pending

PATIENCE: Final = 10.0  # seconds that a node has to answer who joins it

# What becomes of it.
DONE: Final = ""
SELF: Final = "self"
ALREADY: Final = "already_in_cluster"
NOT_IN: Final = "node_not_in_cluster"
NODE_DOWN: Final = "node_down"
BUSY: Final = "leaving"


class Joining:
    """Some node at `address` is to be joined by `due`; `name` once it is known, `failure` why the last attempt failed.

    `pendings` are for those who wait for it.
    """

    __slots__ = ("address", "since", "due", "name", "failure", "pendings")

    def __init__(self, address: str, since: float, due: float) -> None:
        self.address = address
        self.since = since
        self.due = due
        self.name = ""
        self.failure = "nobody answers"
        self.pendings: list[Pending[str]] = []


class Joinings:
    """`known` by address."""

    __slots__ = ("known", "_tried")

    def __init__(self) -> None:
        self.known: dict[str, Joining] = {}
        self._tried: dict[str, None] = {}  # addresses that discovery had found already

    def begin(self, address: str, now: float, due: float) -> Joining:
        """That of this address, which goes on until `due` at least."""
        joining = self.known.get(address)
        if joining is None:
            joining = self.known[address] = Joining(address, now, due)
        joining.due = max(joining.due, due)
        return joining

    def discover(self, found: Iterable[str], known: set[str], now: float) -> bool:
        """Join those at addresses that are new and not `known`, however long it takes; whether there are any."""
        begun = False
        for address in found:
            if address not in self._tried:
                self._tried[address] = None
                if address not in known:
                    self.begin(address, now, NEVER)
                    begun = True
        return begun

    def has(self, name: str) -> bool:
        """Whether this node is to be joined."""
        return name in [joining.name for joining in self.known.values()]

    def end(self, joining: Joining, decision: str) -> None:
        """It is decided."""
        self.known.pop(joining.address, None)
        for pending in joining.pendings:
            pending.resume(decision)

    def end_all(self, name: str, address: str, decision: str) -> None:
        """Those of the node of this name, or at this address; all where `name` is empty."""
        for joining in list(self.known.values()):
            if not name or joining.name == name or joining.address == address:
                self.end(joining, decision)

    def tick(self, now: float) -> None:
        """Those whose time is over have failed."""
        for joining in list(self.known.values()):
            if joining.due <= now:
                self.end(joining, f"{NODE_DOWN}: {joining.failure}")


class Leaving:
    """This node is about to leave, at the latest at `due`; `said` are those that have said goodbye.

    `pendings` are for those who wait for it.
    """

    __slots__ = ("due", "said", "pendings")

    def __init__(self, due: float) -> None:
        self.due = due
        self.said: dict[str, None] = {}
        self.pendings: list[Pending[str]] = []


class Going:
    """Another node leaves, and is cut off when it is still there at `due`; `said` once it was told goodbye."""

    __slots__ = ("due", "said")

    def __init__(self, due: float) -> None:
        self.due = due
        self.said = False
