"""Brokers in memory that are nodes of one cluster, and take commands: links without sockets between Desks on one clock.

    quarters = Quarters("a@h", "b@h")        # joined, unless `apart`
    quarters["a@h"].lines("clients", "list")

Each node is found at its name and a port, as `a@h` at "a:1". Its clock is that of the reactor of all.
"""
from collections.abc import Callable
from typing import cast

from msgpack import Unpacker
from twisted.internet.testing import MemoryReactorClock

from emqtwist.app.settings import settings_of
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.discovery import Discovery
from emqtwist.core.cluster.link import NodeLink
from emqtwist.core.cluster.nodes import Nodes
from emqtwist.core.cluster.peer import Peer
from emqtwist.ctl.across import Commands
from emqtwist.ctl.context import Problem
from tests.clusters import pack
from tests.desks import TEST, WALL, Customer, Desk

VERSION = "1.0"


class Quarter(Desk):
    """One node."""

    def __init__(self, name: str, *lines: str, reactor: MemoryReactorClock) -> None:
        super().__init__(f"node.name = {name}", *lines, reactor=reactor)
        self.name = name
        self.ahead = 0.0  # of its clock
        broker = self.service.broker
        self.cluster = Cluster(broker, name, f"{name[0]}-1", self._token, pack, settings_of(self.service.config).queue)
        self.nodes = Nodes(self.cluster, f"{name[0]}:1", VERSION, self._wall, Discovery())
        self.nodes.remote.runner = Commands(self.service.commands, self.control.factory.context)
        self.problems: list[Problem] = []  # that links have
        self.service.nodes = self.nodes
        self.service.problems = lambda: self.problems
        self.service.systopics.nodes = self.nodes.members.running
        self._tokens = 0
        self.nodes.members.start()

    def _token(self) -> str:
        return f"{self.name}-token"

    def _wall(self) -> float:
        return WALL + self.reactor.seconds() + self.ahead

    def customer(self) -> "Patron":
        return Patron(self)

    def tick(self) -> None:
        self.service.turns.begin()
        self.cluster.tick(self._now())
        self.nodes.tick(self._now())


class Patron(Customer):
    """Who asks one node, and lets all answer."""

    def ask(self, *words: str, form: str = "lines") -> str:
        asked, out = self.begin(*words, form=form)
        for _ in range(1000):
            self.pump.flush()
            if asked.called:
                break
            self.desk.reactor.advance(0)
        TEST.successResultOf(asked)
        return "".join(out)

    def error(self, *words: str) -> Exception:
        asked, _ = self.begin(*words)
        for _ in range(1000):
            self.pump.flush()
            if asked.called:
                break
            self.desk.reactor.advance(0)
        error = TEST.failureResultOf(asked).value
        assert isinstance(error, Exception)
        return error


class End:
    """Owns one end of a link."""

    def __init__(self, quarters: "Quarters", here: Quarter, there: Quarter) -> None:
        self.here = here
        self.link = NodeLink(here.service.broker.turn)
        self.link.owner = self
        self.peer: Peer | None = None
        self.other: End | None = None
        self.stalled = False
        self._quarters = quarters
        self._there = there
        self._unpacker = Unpacker(use_list=False)

    def proceed(self) -> None:
        if self.peer is not None:
            self.here.cluster.proceed(self.peer)

    def flush(self) -> None:
        data = self.link.take()
        if data and self.other is not None and not self.stalled:
            self.here.reactor.callLater(0, self.other.came, data)
        if self.link.closing:
            self.here.reactor.callLater(0, self._quarters.cut, self.here.name, self._there.name)

    def came(self, data: bytes) -> None:
        if self.peer is not None:
            self._unpacker.feed(data)
            self.here.service.turns.begin()
            self.here.cluster.take(self.peer, list(self._unpacker))


class Quarters(dict[str, Quarter]):
    """The nodes by name."""

    def __init__(self, *names: str, lines: tuple[str, ...] = (), apart: bool = False) -> None:
        self.reactor = MemoryReactorClock()
        super().__init__({name: Quarter(name, *lines, reactor=self.reactor) for name in names})
        self.ends: dict[tuple[str, str], End] = {}
        self.away: set[str] = set()
        if not apart:
            first, *others = names
            for other in others:
                self.join(other, first)

    def join(self, one: str, other: str) -> None:
        self[one].nodes.members.join(self[other].nodes.members.address)
        self.advance(0.1)

    def advance(self, seconds: float) -> None:
        """Let time pass; who is to be dialled is."""
        self.reactor.advance(seconds)
        for _ in range(4):
            for quarter in self.values():
                quarter.tick()
                self._dial(quarter)
            self.settle()

    def settle(self) -> None:
        for _ in range(50):
            self.reactor.advance(0)

    def stop(self, name: str) -> None:
        """The node is gone."""
        self.away.add(name)
        for other in self:
            self.cut(name, other)

    def stall(self, source: str, target: str) -> None:
        """What it sends does not arrive."""
        self.ends[source, target].stalled = True

    def cut(self, one: str, other: str) -> None:
        for name, far in ((one, other), (other, one)):
            end = self.ends.pop((name, far), None)
            if end is not None and end.peer is not None:
                peer, end.peer, end.other = end.peer, None, None
                self[name].service.turns.begin()
                self[name].cluster.closed(peer, end.link)

    def _dial(self, quarter: Quarter) -> None:
        members = quarter.nodes.members
        for address in list(members.addresses()):
            found = [other for other in self.values() if other.nodes.members.address == address]
            if quarter.name in self.away:
                continue
            if not found or found[0].name in self.away:
                members.failed(address, "connection refused")
                continue
            members.dialled(address, found[0].name)
            if found[0] is not quarter and (quarter.name, found[0].name) not in self.ends:
                self._link(quarter, found[0])

    def _link(self, one: Quarter, other: Quarter) -> None:
        near, far = End(self, one, other), End(self, other, one)
        near.other, far.other = far, near
        for end, there in ((near, other), (far, one)):
            self.ends[end.here.name, there.name] = end
        for end, there in ((near, other), (far, one)):
            end.here.service.turns.begin()
            end.peer = end.here.cluster.opened(there.name, there.cluster.incarnation, end.link)


def each(quarters: Quarters, function: Callable[[Quarter], object]) -> list[object]:
    """What it gives for each node, by name."""
    return [function(quarters[name]) for name in sorted(cast(dict[str, Quarter], quarters))]
