"""Membership and router of a node die: what each does is done no more, and again when it was started again."""
from emqtwist.cluster.links import TICK
from emqtwist.cluster.part import MEMBERSHIP, ROUTER, Belonging, Routing
from emqtwist.core.cluster.membership import GRACE
from emqtwist.core.cluster.tables import PATIENCE
from emqtwist.core.message import Message
from emqtwist.services.supervisor import LONGEST_PAUSE, Child, Supervisor
from tests.linked import LinkedNode, Wires

DEATHS = 8  # in a row, behind which the next attempt comes only after LONGEST_PAUSE


class Place:
    """Node a of two that are linked; its parts do what is due in it."""

    def __init__(self) -> None:
        self.net = net = Wires()
        self.a: LinkedNode = net.node("a@x", timeout=60.0)
        self.b: LinkedNode = net.node("b@x", seeds=("a@x",), timeout=60.0)
        net.run(1)
        assert self.a.linked() == ["b@x"]
        self.starts = 0
        self.heard: list[bytes] = []
        begin = self.a.turns.begin
        self.a.tick = self.a.links.tick  # type: ignore[method-assign]
        self.tree = Supervisor("cluster", [
            Child(MEMBERSHIP, lambda: Belonging(self.a.nodes, self._first, begin, net.clock)),
            Child(ROUTER, lambda: Routing(self.a.cluster, begin, net.clock)),
        ], net.clock)
        self.tree.startService()

    def _first(self) -> None:
        self.starts += 1

    def _hear(self, message: Message) -> None:
        self.heard.append(message.payload)

    def kill(self, name: str) -> None:
        """So often that it stays dead for a while."""
        for _ in range(DEATHS):
            while self.tree.find(name).state != "running":
                self.net.run(TICK)
            self.tree.kill(name)
        assert self.tree.find(name).state == "waiting"

    def subscribe(self) -> None:
        self.a.turns.begin()
        self.a.broker.subscribe("new", self._hear, 1)

    def publish(self, payload: bytes) -> None:
        """At the other node."""
        self.b.turns.begin()
        self.b.broker.publish(Message(b"new", payload, 1))
        self.net.settle()

    def is_down(self) -> bool:
        return "cluster_down/b@x" in self.a.broker.alarms.active


def test_a_route_that_is_new_while_the_router_is_dead_is_told_by_the_next_one() -> None:
    place = Place()
    place.kill(ROUTER)
    place.subscribe()
    settled = place.a.cluster.settled()
    place.net.run(LONGEST_PAUSE - 1)
    place.publish(b"before")
    assert settled is not None
    assert settled.decision is None
    assert place.heard == []
    place.net.run(2)
    assert place.tree.find(ROUTER).state == "running"
    assert settled.decision == ()
    place.publish(b"after")
    assert place.heard == [b"after"]
    assert place.a.linked() == ["b@x"]  # the links know nothing of it


def test_a_node_that_is_linked_while_the_router_is_dead_is_told_all_by_the_next_one() -> None:
    place = Place()
    place.kill(ROUTER)
    place.subscribe()
    place.net.connections[0].cut()
    place.net.run(LONGEST_PAUSE - 1)
    assert place.a.linked() == ["b@x"]
    place.publish(b"before")
    place.net.run(2)
    place.publish(b"after")
    assert place.heard == [b"after"]


def test_who_waits_for_a_node_is_let_go_on_by_the_next_router() -> None:
    place = Place()
    place.subscribe()
    settled = place.a.cluster.settled()
    place.net.connections[0].stuck = True
    place.kill(ROUTER)
    assert settled is not None
    waits = settled.decision is None
    place.net.run(LONGEST_PAUSE - 1)
    assert (waits, settled.decision) == (True, None)
    place.net.run(2 + PATIENCE)
    assert settled.decision == ("b@x",)


def test_that_a_node_is_down_while_membership_is_dead_is_seen_by_the_next_one() -> None:
    place = Place()
    place.kill(MEMBERSHIP)
    place.net.crash("b@x")
    place.net.run(GRACE + 1)
    assert not place.is_down()
    place.net.run(1.5)
    assert place.tree.find(MEMBERSHIP).state == "running"
    assert place.is_down()
    assert place.starts == DEATHS + 1


def test_what_is_stopped_does_nothing_until_it_is_started() -> None:
    place = Place()
    for name in (MEMBERSHIP, ROUTER):
        place.tree.stop(name)
    place.subscribe()
    place.net.run(1)
    place.publish(b"before")
    place.net.crash("b@x")
    place.net.run(2 * GRACE)
    assert not place.is_down()
    place.tree.restart(MEMBERSHIP)
    place.net.run(2 * TICK)
    assert place.is_down()
    place.tree.restart(ROUTER)
    b = place.net.node("b@x", seeds=("a@x",))
    place.net.run(1)
    b.turns.begin()
    b.broker.publish(Message(b"new", b"after", 1))
    place.net.settle()
    assert place.heard == [b"after"]
