"""The network between nodes: how fast it is, what goes wrong in it, and what is known of the links that there are."""
from tests.harness.simulate.node import Node
from tests.harness.simulate.wires import End, Endpoint
from tests.harness.simulate.world import World

Way = tuple[str, str]  # from node, to node


class Network:
    """`delay` is how long something is on its way at most, as a rule; `speed` in bytes a second; `room` what a kernel takes.

    `trouble` has for each two nodes when something last happened to the links between them. `stepped`: a clock has been set,
    or a host has stood still.
    """

    def __init__(self, world: World, nodes: dict[str, Node], delay: float, speed: float, room: int) -> None:
        self.world = world
        self.nodes = nodes
        self.delay = delay
        self.speed = speed
        self.room = room
        self.stepped = False
        self._blocks: dict[Way, int] = {}
        self._ends: list[End] = []
        names = sorted(nodes)
        self.trouble: dict[Way, float] = {(one, two): 0.0 for at, one in enumerate(names) for two in names[at + 1:]}
        for node in nodes.values():
            node.begin(self)

    def endpoint(self, node: Node, address: str) -> Endpoint:
        return Endpoint(self, node, self.nodes[address])

    def add(self, end: End) -> None:
        self._ends = [one for one in self._ends if not one.is_over()]
        self._ends.append(end)

    def happens(self, one: str, two: str) -> None:
        """Something happens to the link between two nodes."""
        self.trouble[min(one, two), max(one, two)] = self.world.now

    # Faults.

    def blocked(self, source: str, target: str) -> bool:
        return self._blocks.get((source, target), 0) > 0

    def block(self, ways: list[Way]) -> None:
        """Nothing goes these ways."""
        for way in ways:
            self._blocks[way] = self._blocks.get(way, 0) + 1
            self.happens(*way)

    def unblock(self, ways: list[Way]) -> None:
        for way in ways:
            self._blocks[way] -= 1
            self.happens(*way)
        for end in self._ends:
            self.world.later(self.world.between(0.0, 0.01), end.pump)

    def paused(self, node: Node) -> None:
        """A node does nothing for a while."""
        for other in self.nodes:
            if other != node.name:
                self.happens(node.name, other)

    def goes_on(self, node: Node) -> None:
        """And reads what has come meanwhile."""
        self.stepped = True
        self.paused(node)
        for end in self._ends:
            self.world.later(self.world.between(0.0, 0.01), end.pump)

    def cut(self, one: str, two: str) -> None:
        """What connections there are between two nodes break."""
        for end in self._ends:
            if {end.node.name, end.far.name} == {one, two}:
                end.break_off()

    def crashed(self, node: Node) -> None:
        """The process of a node is gone; the others hear of it, most of them soon."""
        self.paused(node)
        for end in list(self._ends):
            if end.node is node:
                end.crash()

    # What the reference asks.

    def is_unheard(self) -> bool:
        """Whether some node has a link to a process that is gone, and has not heard of that."""
        ends = [node.end_to(far) for node in self.nodes.values() for far in self.nodes]
        return any(end is not None and (end.other is None or end.other.gone) for end in ends)

    def linked_since(self, one: str, two: str) -> float | None:
        """Since when nothing has happened to the link between two nodes, which is open at both ends; None where it is not."""
        ends = [self.nodes[name].end_to(far) for name, far in ((one, two), (two, one))]
        if ends[0] is None or ends[1] is None or ends[0].other is not ends[1] or ends[0].gone or ends[1].gone:
            return None
        if self.blocked(one, two) or self.blocked(two, one) or self.nodes[one].paused or self.nodes[two].paused:
            return None
        return self.trouble[min(one, two), max(one, two)]
