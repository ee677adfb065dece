"""Nodes without sockets: Worlds with a Cluster each, joined by links that carry what they send, as the test says.

    net = Net("a", "b")
    alice = net["a"].connect("alice"); alice.subscribe("t", qos=1)
    net["b"].connect("bob").publish("t", b"x", qos=1)
    assert alice.one(Publish).payload == b"x"

All nodes of a net have one time. What a client sends is answered, at all nodes, when the call returns. While a link is `stalled`
nothing comes out of it; what is in it when it is cut is lost.
"""
from collections import deque
from collections.abc import Callable

import msgpack

from emqtwist.app.settings import settings_of
from emqtwist.config import parse
from emqtwist.core.broker import Broker
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.link import NodeLink
from emqtwist.core.cluster.peer import Peer as Neighbour
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from tests.peers import Witness
from tests.stores import START, StoredWorld

pack: Callable[[Frame], bytes] = msgpack.Packer().pack


class End:
    """One end of a link: what owns the NodeLink of `node` towards `other`."""

    def __init__(self, net: "Net", node: "Node", other: str) -> None:
        self.net = net
        self.node = node
        self.other = other
        self.link = NodeLink(node.turn)
        self.link.owner = self
        self.peer: Neighbour | None = None
        self.under_way: deque[bytes] = deque()
        self.stalled = False
        self.unpacker = msgpack.Unpacker(use_list=False)
        self.frames: list[Frame] = []  # all that came, for tests that look

    def proceed(self) -> None:
        if self.peer is not None:
            self.node.cluster.proceed(self.peer)

    def flush(self) -> None:
        data = self.link.take()
        if self.net.ends.get((self.node.name, self.other)) is not self:
            return  # it was cut
        if data:
            self.under_way.append(data)
        if self.link.closing:
            self.net.cut(self.node.name, self.other)

    def came(self, data: bytes) -> None:
        """Take what the other end has sent, up to a frame before which the net halts."""
        self.unpacker.feed(data)
        frames = list(self.unpacker)
        for place, frame in enumerate(frames):
            if self.net.halts(frame, self.other):
                far = self.net.ends[self.other, self.node.name]
                far.stalled = True
                far.under_way.appendleft(b"".join([pack(each) for each in frames[place:]]))
                frames = frames[:place]
                break
        self.frames += frames
        if self.peer is not None:
            self.node.cluster.take(self.peer, frames)


class Node(StoredWorld):
    """A broker in a cluster; `starts` is how often its process began."""

    def __init__(self, net: "Net", name: str, *lines: str, stored: bool = True) -> None:
        self.net = net
        self.name = name
        self.starts = 0
        super().__init__(*lines, stored=stored)

    def prepare(self) -> None:
        self.starts += 1
        rules = self.broker.settings.queue
        self.cluster = Cluster(self.broker, self.name, f"{self.name}-{self.starts}", self.token_of_node, pack, rules)

    def start(self) -> float:
        return max(START, self.net.now)

    def token_of_node(self) -> str:
        return f"{self.name}-{self.starts}-{self._token()}"

    def tick(self) -> None:
        """What is due in the cluster."""
        self.cluster.tick(self.turn.now)

    def settle(self) -> None:
        self.net.settle()

    def settle_alone(self) -> bool:
        """Whether there was anything to do here."""
        busy = bool(self.turn.links or self.turn.decided or self.broker.circle.hungry or self.journal.wanted)
        if self.stored:
            busy = busy or self.journal.barrier() != 0
            self.commit()
        else:
            while self.flush():
                busy = True
        return busy

    def crash(self, seconds: float = 0.0) -> None:
        """The process ends at once, its links with it; another begins, which is not connected yet."""
        self.net.isolate(self.name)
        super().crash(seconds)
        self.net.settle()


class Forgetful(Node):
    """One without a store: what it knows ends with the process."""

    def _begin(self, wall: float) -> None:
        self.journal = Journal()  # of nothing
        self.turn = Turn(self.start())
        self.witness = Witness()
        self.broker = Broker(settings_of(parse("\n".join(self.lines))), self._token, self.turn, self.witness)
        self.prepare()


class Net:
    """Nodes by name, all connected to each other from the start; each line of configuration is for all of them."""

    def __init__(self, *names: str, lines: tuple[str, ...] = (), stored: bool = True, kind: type[Node] = Node) -> None:
        self.ends: dict[tuple[str, str], End] = {}
        self._nodes: dict[str, Node] = {}
        self._settling = False
        self._halt = -1, ""
        self.halted = ""  # the node whose frame it was
        for name in names:
            self._nodes[name] = kind(self, name, *lines, stored=stored)
        self.join_all()

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    @property
    def now(self) -> float:
        return max((node.turn.now for node in self._nodes.values()), default=0.0)

    def join_all(self) -> None:
        names = list(self._nodes)
        for place, name in enumerate(names):
            for other in names[place + 1:]:
                if (name, other) not in self.ends:
                    self.join(name, other)

    def join(self, one: str, other: str) -> None:
        """Connect two nodes."""
        for name, far in ((one, other), (other, one)):
            self.ends[name, far] = End(self, self[name], far)
        for name, far in ((one, other), (other, one)):
            end = self.ends[name, far]
            end.peer = self[name].cluster.opened(far, self[far].cluster.incarnation, end.link)
        self.settle()

    def cut(self, one: str, other: str) -> None:
        """The link between two nodes is gone, with what is in it."""
        ends = [(name, self.ends.pop((name, far), None)) for name, far in ((one, other), (other, one))]
        for name, end in ends:
            if end is not None and end.peer is not None:
                self[name].cluster.closed(end.peer, end.link)
                end.peer = None

    def isolate(self, name: str) -> None:
        for other in self._nodes:
            self.cut(name, other)

    def stall(self, source: str, target: str, stalled: bool = True) -> None:
        """What `source` sends does not come to `target`, until it is let go on."""
        self.ends[source, target].stalled = stalled
        if not stalled:
            self.settle()

    def halt_before(self, kind: int, source: str = "") -> None:
        """Stall the link on which the next frame of this kind comes, from this node if one is given, just before it."""
        self._halt, self.halted = (kind, source), ""

    def halts(self, frame: Frame, source: str) -> bool:
        kind, wanted = self._halt
        if frame[0] != kind or (wanted and wanted != source):
            return False
        self._halt, self.halted = (-1, ""), source
        return True

    def go_on(self) -> None:
        """Let all links go on that are stalled."""
        self._halt = -1, ""
        for end in self.ends.values():
            end.stalled = False
        self.settle()

    def congest(self, source: str, target: str, congested: bool = True) -> None:
        """The link takes no more for now."""
        end = self.ends[source, target]
        end.link.congested = congested
        if not congested:
            end.proceed()
            self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass at all nodes, and all that falls due happen."""
        for node in self._nodes.values():
            node.turn.now += seconds
        for node in self._nodes.values():
            node.broker.tick()
            node.tick()
        self.settle()

    def settle(self) -> None:
        """Turns and journeys until there is nothing to do."""
        if self._settling:
            return
        self._settling = True
        try:
            busy = True
            while busy:
                busy = False
                for node in self._nodes.values():
                    busy = node.settle_alone() or busy
                busy = self._carry() or busy
        finally:
            self._settling = False

    def _carry(self) -> bool:
        """Let what is under way arrive."""
        busy = False
        for (name, far), end in list(self.ends.items()):
            while end.under_way and not end.stalled and self.ends.get((name, far)) is end:
                busy = True
                data = end.under_way.popleft()
                target = self.ends.get((far, name))
                if target is not None:
                    target.came(data)
        return busy
