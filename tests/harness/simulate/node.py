"""A node: a Broker with its Journal and Cluster, driven by the real Turns and Keeper, and a disk that takes its time."""
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from emqtwist.cluster.links import TICK
from emqtwist.cluster.packing import pack
from emqtwist.cluster.refusals import Refused
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.discovery import Static
from emqtwist.core.cluster.membership import Membership
from emqtwist.core.records import Fetch, Record, Snapshot
from emqtwist.interfaces import IStore
from emqtwist.net.turns import Turns
from emqtwist.services.keeper import Keeper, Work
from emqtwist.storage.memory import MemoryStore
from tests.harness.simulate.links import SimLinks
from tests.harness.simulate.wires import End
from tests.harness.simulate.world import Call, World
from tests.peers import Peer, strict
from tests.properties.journal.clients import JournalWorld
from tests.stores import START, WALL, now

if TYPE_CHECKING:
    from tests.harness.simulate.clients import SimClient
    from tests.harness.simulate.network import Network

LOOKS = 10  # ticks of the links between two looks at what is due in the broker
OFF = 0.3  # of all crashes are of the host


class SimReactor:
    """The time of one process; what it has planned ends with it. What is due while it is `paused` is done when it goes on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ended = False
        self.paused = False
        self._due: list[Call] = []

    def seconds(self) -> float:
        return self._world.now

    def callLater(self, delay: float, function: Callable[..., object], *arguments: object) -> Call:
        call = self._world.later(delay, self._call)
        call.arguments = call, function, arguments
        return call

    def _call(self, call: Call, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        if self.paused:
            call.is_over = False  # it can still be cancelled
            self._due.append(call)
        elif not self.ended:
            function(*arguments)

    def go_on(self) -> None:
        """In the order in which it was due."""
        self.paused = False
        due, self._due = self._due, []
        for call in due:
            if not call.is_over:
                call.is_over = True
                call.function(*call.arguments)


@implementer(IStore)
class Disk:
    """What one process sees of `memory`: each commit takes its time, and one that is under way in a crash is there or not.

    `on_commit` is called with the time that the next commit will take.
    """

    def __init__(self, world: World, name: str, reactor: SimReactor, memory: MemoryStore, slowest: float) -> None:
        self.slow = 1.0  # times as long as usual
        self.slowest = slowest
        self.on_commit: Callable[[float], None] | None = None
        self._world = world
        self._name = name
        self._reactor = reactor
        self._memory = memory
        self._under_way: tuple[int, Sequence[Record]] | None = None

    def start(self) -> "Deferred[Snapshot | None]":
        return self._memory.start()

    def watch(self, function: Callable[[Exception], object]) -> None:
        """It does not end by itself."""

    def interrupt(self) -> Deferred[None]:
        return succeed(None)

    def commit(self, number: int, records: Sequence[Record]) -> Deferred[None]:
        self._under_way = number, records
        answer: Deferred[None] = Deferred()
        time = self._time()
        self._reactor.callLater(time, self._write, answer)
        if self.on_commit is not None:
            on_commit, self.on_commit = self.on_commit, None
            on_commit(time)
        return answer

    def page(self, fetch: Fetch) -> "Deferred[tuple[list[Record], bool]]":
        answer: Deferred[tuple[list[Record], bool]] = Deferred()
        self._reactor.callLater(self._time(), self._read, fetch, answer)
        return answer

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def info(self) -> Deferred[dict[str, float]]:
        return self._memory.info()

    def backup(self, target: Path) -> Deferred[int]:
        return self._memory.backup(target)

    def check(self) -> Deferred[list[str]]:
        return self._memory.check()

    def crash(self) -> None:
        """The process is gone; a store process that has the group may still write it."""
        if self._under_way is not None and self._world.random.random() < 0.5:
            number, records = self._under_way
            self._memory.commit(number, records).addErrback(lambda _: None)
            self._world.say(self._name, f"group {number} is stored by the last")
        self._under_way = None

    def _time(self) -> float:
        return self.slow * self._world.between(0.0002, self.slowest)

    def _write(self, answer: Deferred[None]) -> None:
        assert self._under_way is not None
        (number, records), self._under_way = self._under_way, None
        stored = self._memory.commit(number, records)
        self._world.say(self._name, f"group {number} of {len(records)} records is written")
        self._reactor.callLater(self._world.between(0.0, 0.002), stored.chainDeferred, answer)

    def _read(self, fetch: Fetch, answer: "Deferred[tuple[list[Record], bool]]") -> None:
        self._memory.page(fetch).chainDeferred(answer)


class SimPeer(Peer):
    """A client's connection to a node: bytes go to the node at once, `reader` looks at what comes when it likes."""

    world: "Node"
    reader: "SimClient | None" = None

    def write(self, data: bytes) -> None:
        self.world.turns.begin()
        super().write(data)

    def drop(self) -> None:
        """A node that is paused hears of it later."""
        if self.world.paused:
            self.reader = None
            self.world.left.append(self)
        elif not self.closed:
            self.world.turns.begin()
            super().drop()

    def flush(self) -> None:
        super().flush()
        if self.reader is not None:
            self.reader.stir()


class Node(JournalWorld):
    """`starts` counts its processes; `skew` is by how much its clock on the wall is ahead; `alive` while a process runs.
    While its host is `paused` nothing happens in it, and `left` are those who leave. When it is `closing` nobody comes any more.

    `slowest`: seconds that its disk takes at most, as a rule; `window`: of its links, in bytes. It is `off` while its host is.
    """

    network: "Network"

    def __init__(self, world: World, name: str, others: list[str], slowest: float, window: int, *lines: str) -> None:
        self.sim = world
        self.others = others
        self.slowest = slowest
        self.window = window
        self.name = name
        self.starts = 0
        self.skew = 0.0
        self.alive = self.off = self.paused = self.closing = False
        self.left: list[SimPeer] = []
        self.failure: Failure | None = None
        self.blames: list[Refused] = []
        super().__init__(*lines, stored=False)

    def begin(self, network: "Network") -> None:
        """It is in a network from here on."""
        self.network = network
        self._start()

    def prepare(self) -> None:
        """The process begins, before its broker knows what the store has."""
        self.starts += 1
        self.born = self.sim.now
        strict(self.broker)
        self.reactor = SimReactor(self.sim)
        self.disk = Disk(self.sim, self.name, self.reactor, self.store, self.slowest)
        clock = cast(IReactorTime, self.reactor)
        self.turns = Turns(self.broker, clock, self.seconds)
        self.keeper = Keeper(self.broker, self.journal, self.disk, Work(), clock, self.turns.begin, self.seconds, self.clock)
        self.cluster = Cluster(self.broker, self.name, f"{self.name}.{self.starts}", self._random, pack,
                               self.broker.settings.queue)
        self.membership = Membership(self.cluster, self.name, Static(self.others))

    def seconds(self) -> float:
        """Monotonic time of this process."""
        return START + self.sim.now - self.born

    def clock(self) -> float:
        """The clock on the wall of this node."""
        return WALL + self.sim.now + self.skew

    def settle(self) -> None:
        """What is to be done is done in a turn that comes by itself."""

    def peer(self, loopback: bool = True) -> SimPeer:
        self.turns.begin()
        return SimPeer(self, loopback)

    def stop(self) -> None:
        """The process ends at once, sometimes with its host: what is not written is lost."""
        self.off = self.sim.random.random() < OFF
        self.sim.fault(f"{self.name} crashes{', its host too' if self.off else ''}")
        self.alive = self.paused = self.closing = False
        self.left.clear()
        self.reactor.ended = True
        self.disk.crash()
        for link in list(self.broker.links):
            peer = cast(SimPeer, link.owner)
            peer.closed = True
            if peer.reader is not None:
                peer.reader.stir()

    async def close(self) -> bool:
        """Be stopped in good order, step by step as a BrokerService is; whether that has ended the process, and nothing else."""
        self.sim.fault(f"{self.name} is stopped")
        self.closing, start = True, self.starts
        await self.keeper.drain()
        self.turns.begin()
        self.broker.shut_down()
        self.turns.flush()
        self.links.stop()
        await self.keeper.drain()
        if not self.alive or self.starts != start:
            return False
        self.keeper.stopService()
        self.alive = self.closing = False
        self.reactor.ended = True
        self.sim.fault(f"{self.name} has ended")
        return True

    def pause(self) -> None:
        """Its host stops, as a virtual machine does that is moved: clients and other nodes see nothing of it."""
        self.sim.fault(f"{self.name} stops for a while")
        self.paused = self.reactor.paused = True

    def go_on(self) -> None:
        """First it does what is due."""
        self.sim.fault(f"{self.name} goes on")
        self.paused = False
        self.reactor.go_on()
        left, self.left = self.left, []
        for peer in left:
            peer.drop()

    def restart(self) -> None:
        """Another process begins, with what the store has."""
        self.sim.fault(f"{self.name} starts")
        self.off = False
        self._begin(self.clock())
        self._start()

    def _start(self) -> None:
        self.alive = True
        snapshot = now(self.store.start())
        assert snapshot is not None
        self.membership.recover(snapshot)
        self.membership.start()
        self.links = SimLinks(self.network, self, self.window)
        self.links.start()
        self.keeper.startService()
        self.keeper.ended.addErrback(self.died)
        self._ticks = 0
        self.reactor.callLater(TICK * self.sim.random.random(), self._tick)

    def _tick(self) -> None:
        self.reactor.callLater(TICK, self._tick)
        self.turns.begin()
        self._ticks += 1
        if self._ticks % LOOKS == 0:
            self.broker.tick()
            self.keeper.tick()
        self.cluster.tick(self.broker.turn.now)
        self.membership.tick(self.broker.turn.now)
        self.links.tick()

    def end_to(self, name: str) -> End | None:
        """This end of the link to another node."""
        protocol = self.links.up.get(name) if self.alive else None
        return None if protocol is None else cast(End, protocol.transport)

    def died(self, failure: Failure) -> None:
        self.failure = failure

    def _random(self) -> str:
        return f"{self.sim.random.getrandbits(32):08x}"
