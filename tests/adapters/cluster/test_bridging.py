"""Bridges over the same connections as links: who dials, who is let in, what happens when a connection or a part goes."""
from dataclasses import replace
from typing import Any

import pytest
from twisted.python.failure import Failure

from emqtwist.cluster.bridging import ROLE, Crossing, Leading, Welcoming
from emqtwist.cluster.packing import pack
from emqtwist.cluster.terms import Terms
from emqtwist.core.bridges.bridges import Bridges
from emqtwist.core.bridges.terms import BridgeTerms
from emqtwist.core.link import Link
from emqtwist.services.part import Killed
from tests.linked import Connection, Endpoint, LinkedNode, Wires

PAUSE = 1.0


class Net(Wires):
    """Nodes that take bridges; `crossings` are those that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.crossings: list[Crossing] = []
        self.bridges: dict[str, Bridges] = {}

    def place(self, name: str, **options: Any) -> LinkedNode:
        """A node that takes bridges, and may have some."""
        node = self.node(name, **options)
        self.bridges[name] = Bridges(node.broker, name, node.links.terms.incarnation, self.token, pack, [])
        node.links.roles[ROLE] = Welcoming(node.links, self.bridges[name])
        return node

    def crossing(self, node: LinkedNode, to: str, topic: str = "t/#", at: str = "", **says: Any) -> Crossing:
        """A bridge that is not started yet."""
        bridges = self.bridges[node.name]
        bridge = bridges.start(BridgeTerms(bridges.free_name(to), to, at or to, topic.encode()))
        terms = replace(Terms(node=node.name, incarnation=node.links.terms.incarnation, cookie=node.links.terms.cookie,
                              cluster="of its own", role=ROLE), **says)
        crossing = Crossing(bridge, terms, at or to, lambda address: Endpoint(self, node.name, address), PAUSE, bridges,
                            node.turns.begin, self.draw, self.clock)
        self.crossings.append(crossing)
        return crossing

    def lead(self, node: LinkedNode, to: str, **options: Any) -> Crossing:
        """A bridge with a part that runs."""
        crossing = self.crossing(node, to, **options)
        Leading(crossing).startService()
        self.settle()
        return crossing

    def link(self) -> Connection:
        """The one connection that there is."""
        [connection] = self.connections
        return connection

    def crash(self, key: str, seen: bool = True) -> None:
        for crossing in self.crossings:
            if crossing.terms.node == key:
                crossing._part = None
        super().crash(key, seen)


def pair(**options: Any) -> tuple[Net, LinkedNode, LinkedNode, Crossing]:
    net = Net()
    a, b = net.place("a@x"), net.place("b@x")
    return net, a, b, net.lead(a, "b@x", **options)


def result(crossing: Crossing) -> str:
    """What came of the first attempt."""
    found: list[str] = []
    crossing.tried.addCallback(found.append)
    [problem] = found
    return problem


def test_messages_cross_and_the_nodes_are_no_cluster() -> None:
    net, a, b, crossing = pair()
    assert result(crossing) == crossing.problem == ""
    assert crossing.bridge.is_up
    a.publish(b"x")
    net.settle()
    b.publish(b"y")
    net.settle()
    assert (a.heard, b.heard) == ([b"x"], [b"x", b"y"])
    assert a.linked() == b.linked() == []
    assert a.cluster.peers == b.cluster.peers == {}
    assert a.problems() == b.problems() == []


def test_a_message_larger_than_a_window_crosses() -> None:
    net, a, b, crossing = pair(window=100_000)
    payload = bytes(range(256)) * 4000
    a.publish(payload)
    net.run(2.0)
    assert b.heard == [payload]


@pytest.mark.parametrize(("says", "why"), [
    ({"cookie": "another cookie"}, "the cookies of the two differ"),
    ({"role": "thief"}, "nobody is taken as thief here"),
    ({"newest": 9, "oldest": 9}, "no common version"),
    ({"role": ""}, "of different names"),
])
def test_who_is_not_let_in_is_told_why_and_tries_again(says: dict[str, Any], why: str) -> None:
    net, a, b, crossing = pair(**says)
    assert why in result(crossing)
    assert why in crossing.problem
    assert not crossing.bridge.is_up
    a.publish(b"x")
    crossing.terms = replace(crossing.terms, cookie=b.links.terms.cookie, role=ROLE, oldest=1, newest=1)
    net.run(PAUSE - 0.2)
    assert not crossing.bridge.is_up
    net.run(0.4)
    assert crossing.bridge.is_up
    assert b.heard == [b"x"]
    assert crossing.problem == ""


def test_a_wrong_cookie_is_an_alarm_at_the_node_that_was_dialled() -> None:
    net, a, b, crossing = pair(cookie="another cookie")
    assert b.alarms() == ["cluster_cookie"]


def test_nothing_is_sent_to_who_is_not_meant() -> None:
    net = Net()
    a, c = net.place("a@x"), net.place("c@x")
    crossing = net.lead(a, "b@x", at="c@x")
    a.publish(b"x")
    net.settle()
    assert "c@x is at" in result(crossing)
    assert c.heard == []
    assert len(crossing.bridge.outbox) == 1


def test_a_node_without_an_entrance_for_bridges_takes_none() -> None:
    net = Net()
    a, b = net.place("a@x"), net.place("b@x")
    b.links.roles.clear()
    assert "nobody is taken as bridge here" in result(net.lead(a, "b@x"))


def test_a_bridge_of_a_node_of_the_same_name_is_refused() -> None:
    net = Net()
    a, _ = net.place("a@x"), net.place("b@x")
    twin = net.crossing(a, "b@x")
    twin.terms = replace(twin.terms, node="b@x")
    Leading(twin).startService()
    net.settle()
    assert "two nodes have one name" in result(twin)


def test_where_nobody_answers_it_is_tried_again_and_messages_wait() -> None:
    net = Net()
    a = net.place("a@x")
    crossing = net.lead(a, "b@x")
    assert "nobody answers" in result(crossing)
    a.publish(b"1")
    net.run(5.0)
    assert 4 <= len(net.dialled) <= 6
    b = net.place("b@x")
    net.run(PAUSE + 0.1)
    assert b.heard == [b"1"]
    assert len(crossing.bridge.outbox) == 0


def test_a_connection_that_breaks_costs_no_message() -> None:
    net, a, b, crossing = pair()
    net.link().stuck = True
    for number in range(3):
        a.publish(b"%d" % number)
    net.settle()
    net.link().cut()
    net.run(PAUSE + 0.2)
    a.publish(b"3")
    net.settle()
    assert b.heard == [b"0", b"1", b"2", b"3"]
    assert len(crossing.bridge.outbox) == 0


def test_a_node_that_is_heard_no_more_is_away() -> None:
    net, a, b, crossing = pair(timeout=3.0)
    net.run(30)
    assert crossing.bridge.is_up
    assert len(net.dialled) == 1
    net.link().stuck = True
    net.run(1.8)
    assert crossing.bridge.is_up
    net.run(1.4)
    assert not crossing.bridge.is_up
    assert "nothing was heard" in crossing.problem


def test_a_bridge_that_is_heard_no_more_is_gone_at_the_other_end() -> None:
    net, a, b, crossing = pair()
    welcoming = b.links.roles[ROLE]
    assert len(welcoming.up) == 1
    net.crash("a@x", seen=False)
    net.run(4.0)
    assert len(welcoming.up) == 1
    net.run(1.5)
    assert welcoming.up == set()
    assert net.bridges["b@x"].arrivals.guests == {}


def test_who_proves_nothing_is_not_waited_for() -> None:
    net = Net()
    a, _ = net.place("a@x"), net.place("b@x")
    crossing = net.crossing(a, "b@x")
    Leading(crossing).startService()
    net.link().stuck = True
    net.run(4.8)
    assert not crossing.tried.called
    net.run(0.4)
    assert "nothing was heard" in result(crossing)


def test_a_slow_node_is_sent_no_more_than_it_takes() -> None:
    net, a, b, crossing = pair()
    net.link().stuck = True
    payload = bytes(100_000)
    for _ in range(20):
        a.publish(payload)
        net.settle()
    backlog = crossing.bridge.outbox.backlog
    assert backlog is not None
    assert 5 <= len(backlog) < 20
    net.link().stuck = False
    net.run(1.0)
    assert b.heard == [payload] * 20


def test_a_stop_of_the_other_node_is_seen_at_once() -> None:
    net, a, b, crossing = pair()
    b.links.stop()
    net.settle()
    assert not crossing.bridge.is_up
    assert "stops" in crossing.problem
    a.publish(b"x")
    b.links.start()
    net.run(PAUSE + 0.2)
    assert b.heard == [b"x"]


# Its part.


def test_a_killed_part_goes_on_with_its_queue() -> None:
    net = Net()
    a, b = net.place("a@x"), net.place("b@x")
    crossing = net.crossing(a, "b@x")
    part = Leading(crossing)
    part.startService()
    net.settle()
    net.link().stuck = True
    a.publish(b"1")
    net.settle()
    died: list[Failure] = []
    part.ended.addErrback(died.append)
    part.kill()
    assert died[0].check(Killed)
    assert not crossing.bridge.is_up
    a.publish(b"2")
    net.run(10)
    assert b.heard == []
    assert len(net.dialled) == 1
    Leading(crossing).startService()
    net.settle()
    assert b.heard == [b"1", b"2"]


@pytest.mark.parametrize("seconds", [0.0, 0.5, 3.0])
def test_a_part_that_is_stopped_does_nothing_any_more(seconds: float) -> None:
    net = Net()
    a = net.place("a@x")
    b = net.place("b@x") if seconds else None
    crossing = net.crossing(a, "b@x")
    part = Leading(crossing)
    part.startService()
    net.run(seconds)
    if b is not None:
        assert crossing.bridge.is_up
    part.stopService()
    count = len(net.dialled)
    net.run(10)
    assert not crossing.bridge.is_up
    assert len(net.dialled) == count
    assert net.connections == []


def test_a_part_that_is_stopped_while_it_dials_dials_no_more() -> None:
    net = Net()
    a, _ = net.place("a@x"), net.place("b@x")
    net.held = []
    crossing = net.crossing(a, "b@x")
    part = Leading(crossing)
    part.startService()
    part.stopService()
    net.settle()
    assert not crossing.bridge.is_up
    assert net.connections == []


def test_a_defect_while_dialling_is_the_death_of_the_part() -> None:
    net = Net()
    a = net.place("a@x")
    crossing = net.crossing(a, "b@x")
    crossing._failed = broken  # type: ignore[assignment, method-assign]
    part = Leading(crossing)
    part.startService()
    died: list[Failure] = []
    part.ended.addErrback(died.append)
    net.settle()
    assert died[0].check(RuntimeError)


def broken(*arguments: object) -> None:
    raise RuntimeError("broken")


def test_what_is_said_to_a_bridge_that_no_bridge_is_told_ends_the_connection() -> None:
    net, a, b, crossing = pair()
    [protocol] = b.links.roles[ROLE].up
    link: Link = protocol.link
    b.turns.begin()
    link.send(pack((11, 1)))  # a FLUSHED
    net.settle()
    assert not crossing.bridge.is_up
    assert "something was said that no node says" in crossing.problem
