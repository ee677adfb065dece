"""Seats: what stands in a group for its members on other nodes, so that one of them can be chosen as any other member is.

A node tells how many members of a group it has, not who they are: those seats are alike, and whoever chose one has chosen that
node. It gives the message to one of its own.
"""
from typing import Final

from emqtwist.core.cluster.peer import KEPT, Peer
from emqtwist.core.cluster.routes import AS_PUBLISHED, HELD, STORED
from emqtwist.core.group import Group
from emqtwist.core.members import Members
from emqtwist.core.message import NO_IDENTIFIERS, Message
from emqtwist.core.prefixes import Prefix, Prefixed
from emqtwist.core.subscriber import Subscriber

MOST_SEATS: Final = 1000  # of one node in a group, here and away each: more tell nothing more about whose turn it is

FLAG_BITS: Final = 2  # HELD and STORED
COUNT_BITS: Final = 30
MOST: Final = (1 << COUNT_BITS) - 1


class Roll(Members):
    """Members of all nodes: `order` has those of one node together, nodes by name, so that it is the same on each.

    `home` is the name of this node; `counts` is how many each has.
    """

    __slots__ = ("home", "counts")

    def __init__(self, home: str) -> None:
        super().__init__()
        self.home = home
        self.counts: dict[str, int] = {}

    def put(self, subscription: Prefixed) -> None:
        subscriber = subscription.subscriber
        if subscriber not in self.queue:
            node = subscription.node or self.home
            self.counts[node] = self.counts.get(node, 0) + 1
            place = -1
            for name, count in self.counts.items():
                if name <= node:
                    place += count
            self.order.insert(place, subscriber)
        self.queue[subscriber] = subscription

    def drop(self, subscriber: Subscriber) -> Prefixed | None:
        subscription = super().drop(subscriber)
        if subscription is not None:
            node = subscription.node or self.home
            self.counts[node] -= 1
            if not self.counts[node]:
                del self.counts[node]
        return subscription


class Seat(Subscriber):
    """One member on another node."""

    __slots__ = ("bench",)

    def __init__(self, bench: "Bench") -> None:
        super().__init__("")
        self.bench = bench

    def deliver(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        self.bench.give(message, first_byte)

    def refuses(self, message: Message) -> bool:
        return self.bench.kept and self.bench.peer.full(message)

    def full(self, message: Message) -> bool:
        return self.bench.peer.full(message)

    def load(self) -> int:
        return self.bench.share()

    def keeps(self) -> bool:
        return self.bench.kept

    def lives_here(self) -> bool:
        return False

    def broken(self, error: Exception) -> None:
        self.bench.peer.broken(error)


class Bench:
    """All seats of one node in a group.

    The node has told how many members are `here` and `away`, whether a store keeps what some of them get, and their `load`, the
    messages that were on their way to them there; `given` is what it was given since, and stands in `busy` then.
    """

    __slots__ = ("peer", "prefix", "here", "away", "kept", "load", "given", "busy", "_seats_here", "_seats_away")

    def __init__(self, peer: Peer, prefix: Prefix, busy: "Busy") -> None:
        self.peer = peer
        self.prefix = prefix
        self.here = self.away = 0
        self.kept = False
        self.load = 0
        self.given = 0
        self.busy = busy
        self._seats_here: list[Seat] = []
        self._seats_away: list[Seat] = []

    def tell(self, value: int) -> None:
        """The node has told what `counts_of` reads."""
        self.here, self.away, self.kept = counts_of(value)

    def give(self, message: Message, first_byte: int) -> None:
        """Send a message to the node, for one of its members."""
        if not self.given:
            self.busy[self] = None
        self.given += 1
        self.peer.deliver(message, first_byte, KEPT if self.kept else NO_IDENTIFIERS)

    def loaded(self, load: int) -> None:
        """The node has told how many messages are on their way there."""
        self.load = load
        self.given = 0
        self.busy.pop(self, None)

    def wane(self) -> None:
        """Some time has passed. If it tells nothing, it may not have got them."""
        self.given //= 2
        if not self.given:
            self.busy.pop(self, None)

    def share(self) -> int:
        """How many messages are on their way to each seat, as far as is known here."""
        return (self.load + self.given) // max(1, len(self._seats_here))

    def fill(self, group: Group) -> None:
        """Have as many seats as count now: while the node is not connected nobody there is here, and what is kept waits."""
        connected = self.peer.link is not None
        self._fill(group.here, self._seats_here, self.here if connected else 0)
        if connected:
            self._fill(group.away, self._seats_away, self.away)
        else:
            self._fill(group.away, self._seats_away, 1 if self.kept else 0)

    def clear(self, group: Group) -> None:
        self._fill(group.here, self._seats_here, 0)
        self._fill(group.away, self._seats_away, 0)

    def _fill(self, members: Members, seats: list[Seat], count: int) -> None:
        while len(seats) < min(count, MOST_SEATS):
            seat = Seat(self)
            subscription = Prefixed(seat, self.prefix, AS_PUBLISHED, NO_IDENTIFIERS)
            subscription.node = self.peer.name
            seats.append(seat)
            members.put(subscription)
        while len(seats) > count:
            members.drop(seats.pop())


Busy = dict[Bench, None]


def value_of(here: int, away: int, kept: bool) -> int:
    """How a node tells what it has of a group; 0 for nothing."""
    if not here and not away:
        return 0
    return (min(here, MOST) | min(away, MOST) << COUNT_BITS) << FLAG_BITS | (HELD | STORED if kept else HELD)


def counts_of(value: int) -> tuple[int, int, bool]:
    """How many members are here, how many are away, and whether a store keeps what some of them get."""
    counts = max(0, value) >> FLAG_BITS
    return counts & MOST, counts >> COUNT_BITS & MOST, value & STORED != 0
