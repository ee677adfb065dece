"""Nodes that know of each other by membership: who is to be dialled is, when time passes, unless it cannot be reached.

    town = Town("a", "b", "c")
    town.join("a", "b")                    # as `cluster join` at a, and what follows
    assert town.running("b") == ["a", "b"]

A node `a` is found at "a:1". Each has a clock of its own, ahead of the others' by `town.ahead[name]`.
"""
from emqtwist.core.cluster.discovery import Discovery, Static
from emqtwist.core.cluster.nodes import Nodes
from emqtwist.core.pending import Pending
from tests.clusters import Net, Node

WALL = 1_000_000.0


class Citizen(Node):
    """A node with all parts that know of others."""

    net: "Town"

    def prepare(self) -> None:
        super().prepare()
        self.nodes = Nodes(self.cluster, self.net.address(self.name), f"1.{self.starts}", self.wall_of_node,
                           self.net.discovery(self.name))
        self.members = self.nodes.members

    def tick(self) -> None:
        super().tick()
        self.nodes.tick(self.turn.now)

    def wall_of_node(self) -> float:
        return WALL + self.turn.now + self.net.ahead.get(self.name, 0.0)


class Town(Net):
    """Nobody is connected at first; `seeds` are what all have written down of others."""

    def __init__(self, *names: str, seeds: tuple[str, ...] = (), stored: bool = True) -> None:
        super().__init__()
        self.ahead: dict[str, float] = {}
        self.walls: set[frozenset[str]] = set()  # pairs that cannot reach each other
        self.addresses: dict[str, str] = {}
        self.seeds = seeds
        self.away: set[str] = set()
        for name in names:
            self._nodes[name] = Citizen(self, name, stored=stored)
        for name in names:
            self.citizen(name).members.start()
        self.settle()

    def citizen(self, name: str) -> Citizen:
        node = self[name]
        assert isinstance(node, Citizen)
        return node

    def address(self, name: str) -> str:
        return self.addresses.get(name, f"{name}:1")

    def discovery(self, name: str) -> Discovery:
        return Static(self.seeds)

    def wall(self, *names: str) -> None:
        """These cannot reach each other; links that they have are gone."""
        for place, one in enumerate(names):
            for other in names[place + 1:]:
                self.walls.add(frozenset((one, other)))
                self.cut(one, other)

    def crash(self, name: str, seconds: float = 0.0) -> Citizen:
        """The process ends and begins again."""
        node = self.citizen(name)
        node.crash(seconds)
        node.members.start()
        self.settle()
        return node

    def stop(self, name: str) -> None:
        """The process is gone for now."""
        self.away.add(name)
        self.isolate(name)

    def advance(self, seconds: float = 0.1) -> None:
        super().advance(seconds)
        for _ in range(3):
            for name in self._nodes:
                self._dial(name)
            self.settle()
            for node in self._nodes.values():
                node.tick()
            self.settle()

    def _dial(self, name: str) -> None:
        members = self.citizen(name).members
        for address, expected in list(members.addresses().items()):
            found = [other for other in self._nodes if self.address(other) == address]
            if name in self.away or (expected and (name, expected) in self.ends):
                continue
            if not found or found[0] in self.away or frozenset((name, found[0])) in self.walls:
                members.failed(address, "connection refused")
                continue
            members.dialled(address, found[0])
            if found[0] != name and (name, found[0]) not in self.ends:
                self.link(name, found[0])

    def link(self, one: str, other: str) -> None:
        """There is a link, whoever wanted it."""
        super().join(one, other)

    def ask_to_join(self, name: str, other: str) -> Pending[str]:
        return self.citizen(name).members.join(self.address(other))

    def join(self, one: str, other: str) -> None:
        pending = self.ask_to_join(one, other)
        self.advance()
        assert pending.decision == ""

    def cluster(self) -> None:
        """All are of one cluster, each connected to each."""
        first, *others = self._nodes
        for other in others:
            self.join(other, first)
        self.advance()

    def running(self, name: str) -> list[str]:
        return self.citizen(name).members.running()

    def up(self, name: str) -> list[str]:
        return [member.name for member in self.citizen(name).members.roll.up()]

    def alarms(self, name: str) -> list[str]:
        return list(self[name].broker.alarms.active)
