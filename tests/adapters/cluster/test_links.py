"""Two nodes, or three, and the links between them: who is let in, which link stays, who is missed."""
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError

from emqtwist.cluster.links import MOST_STRANGERS, TICK
from tests.linked import LinkedNode, Wires


def pair(**terms: Any) -> tuple[Wires, LinkedNode, LinkedNode]:
    """Two nodes that are linked; b has dialled a."""
    net = Wires()
    a, b = net.node("a@x", **terms), net.node("b@x", seeds=("a@x",), **terms)
    net.run(1)
    assert a.linked() == ["b@x"]
    assert b.linked() == ["a@x"]
    return net, a, b


def test_messages_cross_both_ways() -> None:
    net, a, b = pair()
    a.publish(b"from a")
    b.publish(b"from b")
    net.settle()
    assert a.heard == [b"from a", b"from b"]
    assert b.heard == [b"from b", b"from a"]


def test_a_message_larger_than_a_window_crosses() -> None:
    net, a, b = pair(window=100_000)
    payload = bytes(range(256)) * 4000  # a million bytes
    a.publish(payload)
    net.settle()
    assert b.heard == [payload]


def test_three_nodes_find_each_other_by_one_seed() -> None:
    net = Wires()
    a, b, c = net.node("a@x"), net.node("b@x", seeds=("a@x",)), net.node("c@x", seeds=("a@x",))
    net.run(3)
    assert (a.linked(), b.linked(), c.linked()) == (["b@x", "c@x"], ["a@x", "c@x"], ["a@x", "b@x"])
    assert len(net.connections) == 3


def test_of_two_links_that_begin_together_one_stays_and_both_nodes_agree() -> None:
    net = Wires()
    net.held = []
    a, b = net.node("a@x", seeds=("b@x",)), net.node("b@x", seeds=("a@x",))
    net.release()
    assert len(net.connections) == 2
    net.run(1)
    [connection] = net.connections
    assert connection.names == ("a@x", "b@x")
    assert (a.to("b@x"), b.to("a@x")) == connection.ends
    a.publish(b"once")
    net.settle()
    assert b.heard == [b"once"]
    assert a.problems() == b.problems() == []


def test_a_node_that_meets_itself_goes_on_without_a_word() -> None:
    net = Wires()
    net.held = []
    a = net.node("a@x", at="here", seeds=("there",), address="elsewhere")
    net.nodes["there"] = a
    net.release()
    net.run(30)
    assert a.linked() == []
    assert a.problems() == []
    assert a.alarms() == []


def test_a_node_that_is_back_is_linked_again() -> None:
    net, a, b = pair()
    net.crash("b@x")
    net.run(1)
    assert a.linked() == []
    b = net.node("b@x", seeds=("a@x",))
    net.run(1)
    assert a.to("b@x").incarnation == b.links.terms.incarnation
    a.publish(b"again")
    net.settle()
    assert b.heard == [b"again"]


def test_a_node_that_comes_back_before_it_was_missed_takes_the_place_of_its_old_link() -> None:
    net, a, b = pair()
    net.crash("b@x", seen=False)
    b = net.node("b@x", seeds=("a@x",))
    net.run(0.5)
    assert b.linked() == []  # a asks its old link whether anybody is there
    net.run(1)
    assert a.to("b@x").incarnation == b.links.terms.incarnation
    assert a.alarms() == []


def test_a_link_on_which_nothing_is_heard_ends() -> None:
    net, a, b = pair(timeout=3.0)
    net.run(60)
    assert a.linked() == ["b@x"]  # signs of life are enough
    link = a.to("b@x")
    net.connections[0].stuck = True
    net.run(1.8)
    assert a.to("b@x") is link
    net.run(1.4)
    assert a.problems() == [("silent", "b@x")]
    assert b.problems() == [("silent", "a@x")]
    assert a.to("b@x") is not link  # there is another way
    net.run(50)
    assert a.problems() == [("silent", "b@x")]
    net.run(10)
    assert a.problems() == b.problems() == []  # it has held


def test_a_process_that_did_not_run_does_not_blame_the_others() -> None:
    net, a, _ = pair(timeout=3.0)
    net.connections[0].stuck = True
    net.clock.advance(60)
    a.links.tick()
    assert a.linked() == ["b@x"]


def test_signs_of_life_come_also_while_nothing_is_taken() -> None:
    net, a, b = pair(window=100_000)
    a.links.cluster.broadcast = lambda frame: None  # type: ignore[method-assign] # no beats: the link itself is to give them
    count = len(net.dialled)
    net.run(20)
    assert b.linked() == ["a@x"]
    assert len(net.dialled) == count


@pytest.mark.parametrize(("other", "cause", "alarm"), [
    ({"cookie": "another cookie"}, "wrong_cookie", "cluster_cookie"),
    ({"cluster": "another"}, "wrong_cluster", "cluster_of_another_name"),
    ({"oldest": 3, "newest": 4}, "wrong_version", "cluster_version"),
])
def test_who_is_of_another_kind_is_refused_and_both_sides_are_told(other: dict[str, Any], cause: str, alarm: str) -> None:
    net = Wires()
    a, b = net.node("a@x"), net.node("b@x", seeds=("a@x",), **other)
    net.run(5)
    assert a.linked() == b.linked() == []
    assert a.problems() == [(cause, "b@x")]
    assert b.problems() == [(cause, "a@x")]
    assert a.alarms() == b.alarms() == [alarm]
    net.crash("b@x")
    net.run(61)
    assert a.alarms() == []


def test_a_node_that_was_put_right_is_no_problem_any_more() -> None:
    net = Wires()
    a, _ = net.node("a@x"), net.node("b@x", seeds=("a@x",), cookie="another cookie")
    net.run(2)
    net.crash("b@x")
    net.node("b@x", seeds=("a@x",))
    net.run(2)
    assert a.linked() == ["b@x"]
    assert a.problems() == []
    assert a.alarms() == []


def test_an_older_version_that_both_speak_is_spoken() -> None:
    net = Wires()
    a, b = net.node("a@x", oldest=1, newest=2), net.node("b@x", seeds=("a@x",), oldest=2, newest=3)
    net.run(1)
    for link in (a.to("b@x"), b.to("a@x")):
        assert link.greeting is not None
        assert link.greeting.version == 2


def test_two_nodes_of_one_name_are_told_while_the_first_is_there() -> None:
    net, a, b = pair()
    other = net.node("b@x", at="other", seeds=("a@x",))
    net.run(5)
    assert a.to("b@x").incarnation == b.links.terms.incarnation
    assert other.linked() == []
    assert a.problems() == [("same_name", "other")]
    assert other.problems() == [("same_name", "a@x")]
    assert "cluster_name" in a.alarms()
    assert "cluster_name" in other.alarms()
    problem = a.links.problems.all()[0]
    assert problem.text == "two nodes have one name: b@x is at other:1, and at b@x:1"


def test_a_node_of_our_own_name_is_told() -> None:
    net = Wires()
    a, other = net.node("a@x"), net.node("a@x", at="other", seeds=("a@x",))
    net.run(3)
    assert a.problems() == [("same_name", "other")]
    assert other.problems() == [("same_name", "a@x")]


def test_pauses_between_attempts_grow_and_differ() -> None:
    net = Wires()
    at: list[float] = []
    b = net.node("b@x", seeds=("a@x",))
    for _ in range(400):
        before = len(net.dialled)
        net.run(TICK)
        if len(net.dialled) > before:
            at.append(net.clock.seconds())
    pauses = [later - earlier for earlier, later in zip(at, at[1:], strict=False)]
    assert pauses[:6] == pytest.approx([0.5, 1.0, 2.0, 4.0, 8.0, 10.0], abs=2 * TICK)
    assert b.problems() == [("unreachable", "a@x")]
    net.random = lambda: 0.0
    b.links.dialer._random = net.random
    a = net.node("a@x")
    net.run(11)
    assert a.linked() == ["b@x"]
    assert b.problems() == []


def test_a_refusal_that_is_told_late_is_no_problem_with_who_has_come_meanwhile() -> None:
    net = Wires()
    held: list[Deferred[Any]] = []
    net.held = held
    b = net.node("b@x", seeds=("a@x",))
    net.held = None
    net.node("a@x", seeds=("b@x",))
    net.run(1)
    assert b.linked() == ["a@x"]
    held[0].errback(ConnectionRefusedError())
    assert b.problems() == []


def test_nobody_is_dialled_who_is_not_wanted_any_more() -> None:
    net = Wires()
    b = net.node("b@x", seeds=("a@x",))
    net.run(1)
    b.membership.joinings.known.clear()
    count = len(net.dialled)
    net.run(30)
    assert len(net.dialled) == count


def test_a_node_that_stops_says_so() -> None:
    net, a, b = pair()
    b.links.stop()
    net.run(0.1)
    assert a.linked() == b.linked() == []
    assert a.links.problems.counts["goodbye"] == 1
    count = len(net.dialled)
    net.run(0.3)
    assert ("b@x", "a@x") not in net.dialled[count:]
    assert a.links.port.buildProtocol(None) is not None
    assert b.links.port.buildProtocol(None) is None


def test_there_are_not_too_many_strangers_at_a_time() -> None:
    net = Wires()
    a = net.node("a@x")
    for _ in range(MOST_STRANGERS):
        protocol = a.links.port.buildProtocol(None)
        assert protocol is not None
        a.links.met(protocol)
    assert a.links.port.buildProtocol(None) is None


def test_a_link_that_the_cluster_closes_begins_anew() -> None:
    net, a, b = pair()
    first = a.to("b@x")
    a.turns.begin()
    first.link.close()
    net.run(1)
    assert a.to("b@x") is not first
    assert a.problems() == []
