"""Groups that have members on several nodes: each message goes to one of them all.

Every node announces how many members of a group it has, under the name of the group, and the others have seats for them. The
node that a message was published at chooses, and sends it to the node of the member, which gives it to one who is here. Where
nobody is here any more, that node hands it on: to one it knows of elsewhere, else to one of its own who is away, else back. The
message says which nodes had nobody, so that it comes to none of them twice but on its way back, to be handed on to others. With
the mark that it was taken goes, in one commit, the row that it becomes: whatever crashes, one node has the message, which an
answer on its way back could not promise.

When a node is lost, others get what it had not acknowledged, but for what it was sent at QoS 2.
"""
from typing import Final

from emqtwist.core import causes
from emqtwist.core.circle import Circle
from emqtwist.core.cluster.peer import KEPT, Peer
from emqtwist.core.cluster.routes import AS_PUBLISHED
from emqtwist.core.cluster.seats import Bench, Busy, Roll, Seat, value_of
from emqtwist.core.group import Group, SharedMessage
from emqtwist.core.members import Members
from emqtwist.core.message import Message
from emqtwist.core.prefixes import Prefix, Prefixed
from emqtwist.core.strategies import STRATEGIES, Dice, Memory
from emqtwist.core.subscriber import Subscriber, granted

MARK: Final = b"\0"  # no name of a group has it
HERE: Final = b"?"  # who is here is looked for
ANYBODY: Final = b"*"  # nobody is: one who is away is


class Trail:
    """Where a message of a group has been: it is on its way to somebody who is here, or to `anybody`.

    `passed` are the nodes that had no such one.
    """

    __slots__ = ("name", "anybody", "passed")

    def __init__(self, name: bytes, anybody: bool, passed: list[str]) -> None:
        self.name = name
        self.anybody = anybody
        self.passed = passed

    def passed_by(self, anybody: bool) -> list[str]:
        """Where it need not go any more to find somebody who is here, or anybody."""
        return self.passed if anybody == self.anybody else []

    def behind(self, node: str, anybody: bool) -> bytes:
        """What goes on from `node`, as one name."""
        passed = self.passed_by(anybody)
        return self._to(anybody, passed if node in passed else [*passed, node])

    def from_nobody(self, node: str) -> bytes:
        """What goes back from `node`, which knows nobody: what comes before it in `passed` is no node to go back to."""
        return self._to(True, ["", node])

    def back(self, node: str, sender: str) -> str:
        """Where to go from `node` if it knows nobody: to who may know another than it chose. Empty where there is none."""
        if node not in self.passed:
            return "" if self.passed == ["", sender] else sender
        place = self.passed.index(node)
        return self.passed[place - 1] if place else ""

    def _to(self, anybody: bool, passed: list[str]) -> bytes:
        return MARK.join([self.name, ANYBODY if anybody else HERE, *[name.encode() for name in passed]])


def trail_of(name: bytes) -> Trail:
    """As it came, in the name of the group."""
    group, *marks = name.split(MARK)
    return Trail(group, marks[:1] == [ANYBODY], [node.decode(errors="replace") for node in marks[1:]])


class Watch:
    """Who is told of each change of the members here."""

    def announce(self, name: bytes, value: int) -> None:
        raise NotImplementedError


class WideGroup(Group):
    """A group of the cluster: `here` and `away` have seats too.

    `near` are the members of this node who are here, `benches` the seats of the others by node.
    """

    __slots__ = ("prefix", "near", "benches", "_home", "_absent", "_keeping", "_watch", "_memory_near")

    def __init__(self, prefix: Prefix, circle: Circle, dice: Dice, home: str, watch: Watch) -> None:
        super().__init__(prefix.name, circle, dice)
        self.prefix = prefix
        self.here = Roll(home)
        self.away = self._absent = Roll(home)
        self.near = Members()
        self.benches: dict[Peer, Bench] = {}
        self._home = home
        self._keeping: set[Subscriber] = set()
        self._watch = watch
        self._memory_near = Memory(dice)

    # Members of this node.

    def join(self, subscription: Prefixed) -> None:
        super().join(subscription)
        self._note(subscription.subscriber)

    def leave(self, subscriber: Subscriber) -> bool:
        empty = super().leave(subscriber) and not self.benches
        self._note(subscriber)
        return empty

    def arrived(self, subscriber: Subscriber) -> None:
        super().arrived(subscriber)
        self._note(subscriber)

    def departed(self, subscriber: Subscriber) -> None:
        super().departed(subscriber)
        self._note(subscriber)

    def _note(self, subscriber: Subscriber) -> None:
        subscription = self.here.queue.get(subscriber)
        if subscription is None:
            self.near.drop(subscriber)
        else:
            self.near.put(subscription)
        if subscriber.keeps() and (subscription is not None or subscriber in self.away.queue):
            self._keeping.add(subscriber)
        else:
            self._keeping.discard(subscriber)
        self._watch.announce(self.name, self.value())

    def value(self) -> int:
        """What others are told."""
        return value_of(len(self.near.order), self._absent.counts.get(self._home, 0), bool(self._keeping))

    def load(self) -> int:
        """How many messages are on their way to the members here."""
        return sum([subscriber.load() for subscriber in self.near.order])

    # Members of other nodes.

    def sit(self, peer: Peer, value: int, busy: Busy) -> bool:
        """A node has told what it has of the group; whether there is anybody left at all."""
        bench = self.benches.get(peer)
        if bench is None:
            bench = self.benches[peer] = Bench(peer, self.prefix, busy)
        bench.tell(value)
        if value:
            bench.fill(self)
        else:
            bench.clear(self)
            del self.benches[peer]
        return bool(self.here.order or self.away.order or self.benches)

    def deliver(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        """Give `message` to one member. Where there are none but on nodes that are not connected, it waits for one of these."""
        if not self.here.order and not self.away.order and self.benches:
            self._give(Prefixed(Seat(next(iter(self.benches.values()))), self.prefix, AS_PUBLISHED, ()), message)
        else:
            super().deliver(message, first_byte, identifiers)

    # What other nodes send.

    def take(self, message: Message, trail: Trail) -> bool:
        """Give what came to one who is here, or hand it on; False when there is nobody for it that this node knows of."""
        near = self._with_room(self._not_own(self.near, message), message)
        if near is not None and near.order:
            self._give(self.here.serve(self._choose(near, message)), message)
            return True
        if self._hand_on(message, trail, self.here, trail.anybody):
            return True
        members = self.here if self.near.order else self.away
        mine = self._not_own(self._of_here(members), message)
        if mine.order:
            mine = self._with_room(mine, message) or self._willing(mine, message) or mine
            self._give(members.serve(self._choose(mine, message)), message)
            return True
        return self._hand_on(message, trail, self.here, True) or self._hand_on(message, trail, self.away, True)

    def _of_here(self, members: Members) -> Members:
        """Those of this node."""
        return members.only({each for each in members.order if not isinstance(each, Seat)})

    def _give(self, subscription: Prefixed, message: Message) -> None:
        if subscription.subscriber in self.near.queue:
            self.near.serve(subscription.subscriber)
        super()._give(subscription, message)

    def _choose(self, members: Members, message: Message) -> Subscriber:
        """One of this node. By a hash it is the one that the other node meant, as all know the members in one order."""
        if len(members.order) == 1:
            return members.order[0]
        strategy = self._circle.settings.shared_strategy
        if strategy.startswith("hash") and self.here.order:
            chosen = STRATEGIES[strategy](self.here, self._memory_near, message)
            if chosen in members.queue:
                return chosen
        return STRATEGIES[strategy](members, self._memory_near, message)

    def _hand_on(self, message: Message, trail: Trail, members: Members, anybody: bool) -> bool:
        """Send it to a node where it has not been; whether there is one with members like these."""
        passed = trail.passed_by(anybody)
        others = members.only({each for each in members.order if isinstance(each, Seat) and each.bench.peer.name not in passed})
        if not others.order:
            return False
        chosen = STRATEGIES[self._circle.settings.shared_strategy](others, self._memory_near, message)
        if isinstance(chosen, Seat):
            hand_on(chosen.bench.peer, message, trail.behind(self._home, anybody))
        return True


def hand_on(peer: Peer, message: Message, group: bytes) -> None:
    """Send a message to another node, where somebody may have it kept."""
    try:
        peer.deliver(SharedMessage(message, group), granted(message, AS_PUBLISHED), KEPT)
    except Exception as error:
        peer.broken(error)


def lose(message: Message, circle: Circle) -> None:
    """Nobody of the group is left."""
    circle.lose(message, causes.NO_SUBSCRIBERS)
