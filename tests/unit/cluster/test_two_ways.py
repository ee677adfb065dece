"""What a session subscribed to where it was comes from there until its node cuts, and what it subscribed to since comes directly:
a mark ends both at once, wherever the session has gone on to.
"""
import pytest

from emqtwist.core.cluster import frames as f
from tests.clusters import Net
from tests.peers import Peer
from tests.unit.cluster.takeovers import ask
from tests.unit.cluster.test_aftermath import absent, rest
from tests.unit.cluster.test_takeover import arrive, publish, take_all, without


def on_two_ways() -> tuple[Net, Peer]:
    """Alice has gone from a to b, where she subscribed to u, and on to c. To d, which was away, only b is connected."""
    net = absent("a", "b", "c", "d")
    alice = arrive(net, "b")
    alice.subscribe("u", qos=2)
    alice.drop()
    alice = arrive(net, "c")
    net.join("b", "d")
    since(net, b"2")
    assert take_all(alice) == [b"2"]  # by b; 1 waits for a
    return net, alice


def since(net: Net, payload: bytes) -> None:
    net["d"].connect("bob").publish("u", payload, qos=2)


def test_what_comes_directly_is_not_sent_on_behind_a_mark_though_other_messages_still_come_from_where_the_session_was() -> None:
    net, alice = on_two_ways()
    net.join("c", "d")
    net.advance(0.1)  # d cuts, and a does not hear of it
    since(net, b"3")
    publish(net, "d", b"4")
    assert take_all(alice) == [b"3", b"4"]
    net.join("a", "d")
    net.advance(0.1)
    assert take_all(alice) == [b"1"]
    assert rest(net) == ["c"]


@pytest.mark.parametrize("halt", [f.SESSION, f.LEVEL, f.READY, f.END, f.CUT])
@pytest.mark.parametrize("late", [False, True])
def test_a_session_that_comes_back_has_what_comes_directly_behind_a_mark(halt: int, late: bool) -> None:
    net, _ = on_two_ways()
    if not late:
        net.join("c", "d")
        net.advance(0.1)
    net.halt_before(halt)
    alice = ask(net, "b")
    since(net, b"3")
    publish(net, "d", b"4")
    net.join("c", "d")
    net.settle()
    since(net, b"5")
    publish(net, "d", b"6")
    net.go_on()
    net.advance(0.1)
    since(net, b"7")
    publish(net, "d", b"8")
    net.join("a", "d")
    net.advance(0.1)
    assert sorted(take_all(alice)) == [b"1", b"3", b"4", b"5", b"6", b"7", b"8"]
    assert rest(net) == ["b"]


def test_what_comes_directly_and_is_sent_back_by_the_node_that_takes_the_session_comes_once() -> None:
    net = Net("a", "b", "c")
    arrive(net, "a").drop()
    without(net, "b")
    alice = arrive(net, "c")
    alice.subscribe("t/#", qos=2)
    net.advance(1.0)
    alice.drop()
    net.halt_before(f.CUT, "c")
    net.join("b", "c")
    assert net.halted  # b knows where she subscribes, and has not made its mark
    net.join("a", "b")
    net.halt_before(f.READY)
    alice = ask(net, "a")
    assert net.halted
    publish(net, "b", b"1")
    publish(net, "b", b"2")
    net.go_on()
    assert rest(net) == ["a"]
    assert take_all(alice) == [b"1", b"2"]
