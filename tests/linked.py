"""Nodes joined by the real links, over transports in memory and on one clock.

    net = Wires()
    a, b = net.node("a@x"), net.node("b@x", seeds=("a@x",))
    net.run(1)
    assert a.linked() == ["b@x"]

A node is dialled by its name. What is written comes at once, except through a connection that is `stuck`.
"""
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump
from zope.interface import implementer

from emqtwist.app.settings import settings_of
from emqtwist.cluster.links import TICK, Links
from emqtwist.cluster.packing import pack
from emqtwist.cluster.protocol import LinkProtocol
from emqtwist.cluster.terms import Terms
from emqtwist.cluster.wire import Bye, Ping, Push, Took
from emqtwist.config import parse
from emqtwist.core.broker import Broker
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.discovery import Static
from emqtwist.core.cluster.nodes import Nodes
from emqtwist.core.link import Turn
from emqtwist.core.message import Message
from emqtwist.net.turns import Turns
from tests.peers import Witness

COOKIE = "a cookie for tests"


class Connection:
    """Two transports; nothing moves while it is `stuck`."""

    def __init__(self, clock: Clock, dialling: Any, answering: Any, caller: str, called: str) -> None:
        self.ends = (dialling, answering)
        self.names = (caller, called)
        self.stuck = False
        here, there = address_of(caller), address_of(called)
        self.transports = (FakeTransport(dialling, False, here, there), FakeTransport(answering, True, there, here))
        self.pump = IOPump(dialling, answering, *self.transports, False, clock)
        answering.makeConnection(self.transports[1])
        dialling.makeConnection(self.transports[0])

    def move(self) -> bool:
        return not self.stuck and self.pump.pump(advanceClock=False)

    def is_open(self) -> bool:
        return not all(transport.disconnected for transport in self.transports)

    def cut(self) -> None:
        """Both ends learn that it is gone."""
        self.stuck = False
        self.transports[0].disconnecting = True


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Leads to a node of the net."""

    def __init__(self, net: "Wires", caller: str, called: str) -> None:
        self._net = net
        self._caller = caller
        self._called = called

    def connect(self, factory: Any) -> Deferred[Any]:
        self._net.dialled.append((self._caller, self._called))
        if self._net.held is None:
            return self._reach(factory)
        waiting: Deferred[Any] = Deferred()
        self._net.held.append(waiting)
        return waiting.addCallback(lambda _: self._reach(factory))

    def _reach(self, factory: Any) -> Deferred[Any]:
        node = self._net.nodes.get(self._called)
        answering = None if node is None else node.links.port.buildProtocol(None)
        if answering is None:
            return fail(ConnectionRefusedError())
        dialling = factory.buildProtocol(None)
        self._net.connections.append(Connection(self._net.clock, dialling, answering, self._caller, self._called))
        return succeed(dialling)


class Stranger(AMP):
    """Says what it is told. `byes` are the reasons that it was told, `pushed` what came of the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.byes: list[str] = []
        self.pushed = b""
        self.taken = 0
        self.lost = False

    @Bye.responder
    def bye(self, reason: str) -> dict[str, Any]:
        self.byes.append(reason)
        return {}

    @Push.responder
    def push(self, data: bytes) -> dict[str, Any]:
        self.pushed += data
        return {}

    @Took.responder
    def took(self, total: int) -> dict[str, Any]:
        self.taken = total
        return {}

    @Ping.responder
    def ping(self) -> dict[str, Any]:
        return {}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        super().connectionLost(reason)


class LinkedNode:
    """A broker with its links. `heard` has the payloads of all that is published below `t/`."""

    def __init__(self, net: "Wires", terms: Terms, key: str, seeds: tuple[str, ...], lines: str) -> None:
        clock = net.clock
        self.name = terms.node
        self.witness = Witness()
        self.heard: list[bytes] = []
        self.broker = Broker(settings_of(parse(lines)), net.token, Turn(clock.seconds()), self.witness)
        self.turns = Turns(self.broker, clock, clock.seconds)
        self.cluster = Cluster(self.broker, terms.node, terms.incarnation, net.token, pack, self.broker.settings.queue)
        self.nodes = Nodes(self.cluster, terms.address, "1.0", clock.seconds, Static(seeds))
        self.membership = self.nodes.members
        self.membership.start()
        self.links = Links(terms, self.cluster, self.membership, lambda address: Endpoint(net, key, address), self.turns.begin,
                           clock, net.draw, net.random)
        self.broker.subscribe("t/#", self._hear, 1)

    def _hear(self, message: Message) -> None:
        self.heard.append(message.payload)

    def tick(self) -> None:
        """As its parts do."""
        self.links.tick()
        self.cluster.tick(self.broker.turn.now)
        self.nodes.tick(self.broker.turn.now)

    def publish(self, payload: bytes, qos: int = 1) -> None:
        self.turns.begin()
        self.broker.publish(Message(b"t/x", payload, qos))

    def linked(self) -> list[str]:
        return sorted(self.links.up)

    def to(self, name: str) -> LinkProtocol:
        return self.links.up[name]

    def problems(self) -> list[tuple[str, str]]:
        return [(problem.cause, problem.who) for problem in self.links.problems.all()]

    def alarms(self) -> list[str]:
        """Those of links; members that are down are others' business."""
        return [each for each in self.broker.alarms.active if not each.startswith("cluster_down")]


class Wires:
    """All nodes, by the address where they are dialled, and all `connections`. `dialled` tells who has tried whom."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.nodes: dict[str, LinkedNode] = {}
        self.connections: list[Connection] = []
        self.dialled: list[tuple[str, str]] = []
        self.held: list[Deferred[Any]] | None = None  # who dials waits there, once it is a list
        self.random: Callable[[], float] = lambda: 0.5
        self._drawn = 0

    def token(self) -> str:
        self._drawn += 1
        return f"token{self._drawn}"

    def draw(self) -> bytes:
        self._drawn += 1
        return b"%032d" % self._drawn

    def node(self, name: str, seeds: tuple[str, ...] = (), at: str = "", lines: str = "", **terms: Any) -> LinkedNode:
        """A node that begins; it is dialled at its name, or where it is said."""
        key = at or name
        says = replace(Terms(node=name, incarnation=self.token(), cookie=COOKIE, address=key), **terms)
        node = self.nodes[key] = LinkedNode(self, says, key, seeds, lines)
        node.links.start()
        return node

    def release(self) -> None:
        """Let those go on who have dialled."""
        held, self.held = self.held or [], None
        for each in held:
            each.callback(None)

    def settle(self) -> None:
        """Move all that is under way."""
        for _ in range(10_000):
            self.clock.advance(0)
            if not sum([connection.move() for connection in self.connections]):
                break
        else:
            raise AssertionError("it never ends")
        self.connections = [connection for connection in self.connections if connection.is_open()]

    def run(self, seconds: float) -> None:
        """Let time pass, tick by tick."""
        for _ in range(round(seconds / TICK)):
            self.settle()
            self.clock.advance(TICK)
            for node in list(self.nodes.values()):
                node.broker.tick()
                node.tick()
        self.settle()

    def crash(self, key: str, seen: bool = True) -> None:
        """The process at an address is gone; the others see it, or hear nothing any more."""
        node = self.nodes.pop(key)
        for connection in self.connections:
            if key in connection.names:
                connection.stuck = True
                for end in connection.ends:
                    end.transport.write = lambda data: None
        node.links.dialer.stop()
        for connection in self.connections:
            if key in connection.names and seen:
                connection.cut()


def address_of(name: str) -> IAddress:
    """The host is the node's, so that problems tell who it is."""
    return IPv4Address("TCP", name, 1)
