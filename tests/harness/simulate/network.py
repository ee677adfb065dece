"""The links between nodes: each carries bytes in order, late, or not at all for a while, and loses what is in it when it ends.

The node with the smaller name dials. A link is open at one end before it is at the other, and each end hears by itself that
it is gone: from the other end, or because nothing comes any more.
"""
from collections import deque
from dataclasses import dataclass, field

import msgpack

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.link import NodeLink
from emqtwist.core.cluster.peer import Peer as Neighbour
from tests.harness.simulate.node import Node
from tests.harness.simulate.world import TICKS, World

DEAD = 5.0  # seconds after which an end gives a link up on which nothing comes
PING = 1.0  # seconds between two signs of life
HELLO, WELCOME, DATA, TOOK, ALIVE, CLOSE = range(6)
Way = tuple[str, str]  # from node, to node


@dataclass
class Item:
    """Something on its way."""

    kind: int
    due: float
    data: bytes = b""
    number: int = 0


@dataclass
class Pair:
    """Two nodes: the link that each of them has to the other, and when something last went wrong between them."""

    trouble: float = 0.0
    dialled_at: float = 0.0
    ends: dict[str, "End"] = field(default_factory=dict)  # by node


class End:
    """One end of a link: it owns the NodeLink of `node` towards `far`, and sends into a pipe."""

    def __init__(self, network: "Network", node: Node, far: Node) -> None:
        self.network = network
        self.node = node
        self.far = far
        self.start = node.starts
        self.other: End | None = None
        self.link = NodeLink(node.turn)
        self.link.owner = self
        self.peer: Neighbour | None = None
        self.gone = False
        self.heard = self.said = network.world.now
        self.pipe: deque[Item] = deque()
        self._last_due = 0.0
        self._sent = self._took = 0
        self._came = 0
        self._unpacker = msgpack.Unpacker(use_list=False)

    # What the turn calls.

    def proceed(self) -> None:
        if self.peer is not None and not self.gone:
            self.node.cluster.proceed(self.peer)

    def flush(self) -> None:
        data = self.link.take()
        while data and not self.gone:
            size = self.network.world.random.choice((10, 100, 1000, 60_000))
            self.put(DATA, data[:size])
            self._sent += len(data[:size])
            data = data[size:]
        self.link.congested = self._sent > self.network.window + self._took
        if self.link.closing:
            self.close("closed by the cluster")

    # The pipe.

    def put(self, kind: int, data: bytes = b"", number: int = 0) -> None:
        world = self.network.world
        self._last_due = max(self._last_due, world.now + world.between(0.0001, self.network.delay))
        self.pipe.append(Item(kind, self._last_due, data, number))
        world.later(self._last_due - world.now, self.pump)

    def pump(self) -> None:
        """What is due arrives, unless nothing goes this way now."""
        while self.pipe and self.pipe[0].due <= self.network.world.now + 1 / TICKS:
            if self.network.blocked(self.node.name, self.far.name):
                return
            item = self.pipe.popleft()
            if self.other is not None:
                self.other.arrive(item)

    def arrive(self, item: Item) -> None:
        if self.gone or not self.node.alive or self.start != self.node.starts:
            if item.kind != CLOSE:
                self.put(CLOSE)
            return
        self.heard = self.network.world.now
        self.node.turns.begin()
        if item.kind == HELLO:
            self.put(WELCOME)
            self.open()
        elif item.kind == WELCOME:
            self.open()
        elif item.kind == CLOSE:
            self.lose("closed by the other end")
        elif item.kind == TOOK:
            self._taken(item.number)
        elif item.kind == DATA:
            self._feed(item.data)

    def open(self) -> None:
        assert self.other is not None
        self.network.opens(self)
        self.peer = self.node.cluster.opened(self.far.name, f"{self.far.name}.{self.other.start}", self.link)

    def _feed(self, data: bytes) -> None:
        self._came += len(data)
        self._unpacker.feed(data)
        frames = list(self._unpacker)
        for frame in frames:
            self.network.world.say(self.node.name, f"from {self.far.name}: {shown(frame)}")
        assert self.peer is not None
        self.node.cluster.take(self.peer, frames)
        self.put(TOOK, number=self._came)

    def _taken(self, number: int) -> None:
        self._took = number
        if self.link.congested and self._sent - number <= self.network.window // 2:
            self.link.congested = False
            self.proceed()

    # Its end.

    def tick(self) -> None:
        if not self.gone and self.network.world.now - self.heard > DEAD:
            self.close("nothing comes")
        elif not self.gone and self.network.world.now - self.said >= PING:
            self.said = self.network.world.now
            self.put(ALIVE)

    def close(self, why: str) -> None:
        """From here; the other end hears of it behind what is on its way."""
        if not self.gone:
            self.put(CLOSE)
            self.lose(why)

    def lose(self, why: str) -> None:
        if self.gone:
            return
        self.gone = True
        self.network.loses(self, why)
        if self.peer is not None and self.node.alive and self.start == self.node.starts:
            self.node.reactor.callLater(0.0, self._closed)

    def _closed(self) -> None:
        assert self.peer is not None
        self.node.turns.begin()
        self.node.cluster.closed(self.peer, self.link)
        self.link.owner = None


class Network:
    """`window` is how many bytes may be on their way, `delay` how long they are at most, as a rule."""

    def __init__(self, world: World, nodes: dict[str, Node], window: int, delay: float) -> None:
        self.world = world
        self.nodes = nodes
        self.window = window
        self.delay = delay
        self._blocks: dict[Way, int] = {}
        names = sorted(nodes)
        self.pairs: dict[Way, Pair] = {(one, two): Pair() for at, one in enumerate(names) for two in names[at + 1:]}
        self._pipes: list[End] = []
        for node in nodes.values():
            node.on_tick = self.tick

    def pair(self, one: str, two: str) -> Pair:
        return self.pairs[min(one, two), max(one, two)]

    def tick(self, node: Node) -> None:
        """A node looks after its links."""
        for (one, two), pair in self.pairs.items():
            end = pair.ends.get(node.name)
            if end is not None and end.start == node.starts:
                end.tick()
            if node.name == one and self._lacks(pair, node) and self.world.now >= pair.dialled_at:
                self._dial(pair, node, self.nodes[two])

    def _lacks(self, pair: Pair, node: Node) -> bool:
        end = pair.ends.get(node.name)
        return end is None or end.gone or end.start != node.starts

    def _dial(self, pair: Pair, node: Node, far: Node) -> None:
        pair.dialled_at = self.world.now + self.world.between(0.2, 3.0)
        if not far.alive:
            return
        end, other = End(self, node, far), End(self, far, node)
        end.other, other.other = other, end
        pair.ends[node.name] = end
        self._pipes = [one for one in self._pipes if one.pipe or not one.gone]
        self._pipes += [end, other]
        end.put(HELLO)

    def opens(self, end: End) -> None:
        """An end is open; one that it replaces is closed."""
        pair = self.pair(end.node.name, end.far.name)
        before = pair.ends.get(end.node.name)
        if before is not None and before is not end and before.start == end.start:
            before.close("replaced")
        pair.ends[end.node.name] = end
        pair.trouble = self.world.now
        self.world.say(end.node.name, f"linked to {end.far.name}, process {end.other.start if end.other else 0}")

    def loses(self, end: End, why: str) -> None:
        self.pair(end.node.name, end.far.name).trouble = self.world.now
        self.world.say(end.node.name, f"the link to {end.far.name} is gone: {why}")

    # Faults.

    def blocked(self, source: str, target: str) -> bool:
        return self._blocks.get((source, target), 0) > 0

    def block(self, ways: list[Way]) -> None:
        """Nothing goes these ways."""
        for way in ways:
            self._blocks[way] = self._blocks.get(way, 0) + 1
            self.pair(*way).trouble = self.world.now

    def unblock(self, ways: list[Way]) -> None:
        for way in ways:
            self._blocks[way] -= 1
            self.pair(*way).trouble = self.world.now
        for end in self._pipes:
            self.world.later(self.world.between(0.0, 0.01), end.pump)

    def cut(self, one: str, two: str) -> None:
        """The link breaks: of what is on its way some arrives still, the rest is lost."""
        for end in list(self.pair(one, two).ends.values()):
            keep = self.world.random.randrange(len(end.pipe) + 1)
            while len(end.pipe) > keep:
                end.pipe.pop()
            end.put(CLOSE)

    def crashed(self, node: Node) -> None:
        """The process of a node is gone; the others hear of it, most of them soon."""
        for (one, two), pair in self.pairs.items():
            if node.name in (one, two):
                pair.trouble = self.world.now
                end = pair.ends.get(node.name)
                if end is not None and not end.gone:
                    end.gone = True
                    keep = self.world.random.randrange(len(end.pipe) + 1)
                    while len(end.pipe) > keep:
                        end.pipe.pop()
                    if self.world.random.random() < 0.7:
                        end.put(CLOSE)

    # What the reference asks.

    def linked_since(self, one: str, two: str) -> float | None:
        """Since when nothing has happened to the link between two nodes, which is open at both ends; None where it is not."""
        pair = self.pair(one, two)
        ends = [pair.ends.get(name) for name in (one, two)]
        for end in ends:
            if end is None or end.gone or end.peer is None or not end.node.alive or end.start != end.node.starts:
                return None
        if ends[0] is None or ends[0].other is not ends[1] or self.blocked(one, two) or self.blocked(two, one):
            return None
        return pair.trouble


def shown(frame: tuple[object, ...]) -> str:
    kind = frame[0]
    assert isinstance(kind, int)
    return f"{f.KINDS[kind][0]} " + " ".join(
        (value[:6] if kind == f.FORWARD and len(value) > 40 else value).decode(errors="replace") if isinstance(value, bytes)
        else str(value) for value in frame[1:] if value not in (b"", ""))
