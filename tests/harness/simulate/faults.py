"""What goes wrong in a cluster, at moments and for times that the seed draws; `heal` ends it all."""
from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred

from tests.harness.simulate.account import Account
from tests.harness.simulate.network import Network, Way
from tests.harness.simulate.node import Node
from tests.harness.simulate.world import Loads, World

MOST_STEP = 7200.0  # seconds by which a clock on the wall may jump


class Faults:
    """`rate`: how many a second, on average."""

    def __init__(self, world: World, network: Network, accounts: list[Account], loads: Loads,
                 rate: float) -> None:
        self.world = world
        self.rate = rate
        self._network = network
        self._accounts = accounts
        self._nodes = network.nodes
        self._blocked: list[list[Way]] = []
        self._active = False
        self._kinds: list[Callable[[], None]] = [self._cut, self._slow]
        if not (loads.anew or loads.wills):
            self._kinds.append(self._step)  # else it may not be known which session began last, or when a Will is due
        if loads.partitions:
            self._kinds += [self._part, self._stall]
        if loads.crashes:
            self._kinds += [self._crash, self._crash_in_commit, self._crash_in_commit]
        if loads.pauses:
            self._kinds += [self._pause, self._pause]
        if loads.stops:
            self._kinds += [self._stop, self._stop]

    def begin(self) -> None:
        self._active = True
        self._plan()

    def heal(self) -> None:
        """Nothing goes wrong any more, and what did is mended."""
        self.world.fault("all is well from here on")
        self._active = False
        for ways in list(self._blocked):
            self._unblock(ways)
        for node in self._nodes.values():
            self._go_on(node, node.starts)
            if not node.alive:
                node.restart()
            node.disk.slow = 1.0

    def _plan(self) -> None:
        if self.rate:
            self.world.later(self.world.random.expovariate(self.rate), self._strike)

    def _strike(self) -> None:
        if self._active:
            self.world.random.choice(self._kinds)()
            self._plan()

    def _node(self) -> Node:
        return self.world.random.choice(list(self._nodes.values()))

    def _two(self) -> Way:
        one, two = self.world.random.sample(list(self._nodes), 2)
        return one, two

    def _crash_in_commit(self) -> None:
        """Or shortly after it: what was promised too early is lost then."""
        node = self._node()
        if node.alive:
            node.disk.on_commit = partial(self._crash_soon, node)

    def _crash_soon(self, node: Node, time: float) -> None:
        node.reactor.callLater(self.world.random.uniform(0.0, 1.2 * time), self._crash, node)

    def _crash(self, node: Node | None = None) -> None:
        node = node or self._node()
        if self._active and node.alive:
            node.stop()
            self._gone(node)

    def _gone(self, node: Node) -> None:
        self._network.crashed(node)
        for account in self._accounts:
            account.crashed(node)
        self.world.later(self.world.between(0.05, 12.0), self._restart, node)

    def _stop(self) -> None:
        node = self._node()
        if node.alive and not (node.closing or node.paused):
            for account in self._accounts:
                account.crashed(node)  # whose session ends with its connection loses it now
            Deferred.fromCoroutine(node.close()).addCallback(self._stopped, node).addErrback(node.died)

    def _stopped(self, ended: bool, node: Node) -> None:
        if ended:
            self._gone(node)

    def _restart(self, node: Node) -> None:
        if not node.alive:
            node.restart()

    def _pause(self) -> None:
        node = self._node()
        if node.alive and not node.paused:
            node.pause()
            self._network.paused(node)
            self.world.later(self.world.between(0.05, 20.0), self._go_on, node, node.starts)

    def _go_on(self, node: Node, start: int) -> None:
        if node.paused and node.starts == start:
            node.go_on()
            self._network.goes_on(node)

    def _cut(self) -> None:
        one, two = self._two()
        self.world.fault(f"the link between {one} and {two} breaks")
        self._network.cut(one, two)

    def _stall(self) -> None:
        """One way, between two nodes."""
        self._block([self._two()], self.world.between(0.05, 12.0))

    def _part(self) -> None:
        """Some nodes from the others, mostly both ways."""
        names = list(self._nodes)
        some = self.world.random.sample(names, self.world.random.randrange(1, len(names)))
        ways = [(one, two) for one in some for two in names if two not in some]
        if self.world.random.random() < 0.7:
            ways += [(two, one) for one, two in ways]
        self._block(ways, self.world.between(0.1, 20.0))

    def _block(self, ways: list[Way], seconds: float) -> None:
        self.world.fault("nothing goes " + ", ".join(f"{one} > {two}" for one, two in ways))
        self._network.block(ways)
        self._blocked.append(ways)
        self.world.later(seconds, self._unblock, ways)

    def _unblock(self, ways: list[Way]) -> None:
        if ways in self._blocked:
            self._blocked.remove(ways)
            self.world.fault("goes again: " + ", ".join(f"{one} > {two}" for one, two in ways))
            self._network.unblock(ways)

    def _slow(self) -> None:
        """The store takes its time."""
        node = self._node()
        node.disk.slow = self.world.random.choice((1.0, 5.0, 20.0))
        self.world.fault(f"the store of {node.name} is {node.disk.slow} times slower")

    def _step(self) -> None:
        """The clock on the wall jumps."""
        node = self._node()
        self._network.stepped = True
        node.skew = self.world.random.uniform(-1.0, 1.0) * self.world.random.choice((1.0, MOST_STEP))
        self.world.fault(f"the clock of {node.name} is {node.skew:.1f} s ahead")
