"""A client unsubscribes where its session has come: what is still sent on from where it was is not for it any more, also while it
goes on to another node.
"""
import pytest

from emqtwist.core.cluster import frames as f
from tests.clusters import Net
from tests.unit.cluster.takeovers import ask
from tests.unit.cluster.test_aftermath import absent, rest
from tests.unit.cluster.test_takeover import arrive, publish, take_all


def unsubscribed() -> Net:
    """Alice has gone from a to b, and has unsubscribed there. To d, which was away, her session is still at a."""
    net = absent("a", "b", "c", "d")
    alice = arrive(net, "b")
    alice.unsubscribe("t/#")
    alice.drop()
    return net


@pytest.mark.parametrize("halt", [f.SESSION, f.LEVEL, f.READY, f.END])
@pytest.mark.parametrize("back", [False, True])
def test_what_is_sent_on_does_not_come_while_the_session_goes_on_or_comes_back(halt: int, back: bool) -> None:
    net, node = unsubscribed(), "b" if back else "c"
    if back:
        arrive(net, "c").drop()
    net.halt_before(halt)
    alice = ask(net, node)
    assert net.halted
    net.join("a", "d")
    publish(net, "d", b"2")
    net.go_on()
    assert rest(net) == [node]
    assert take_all(alice) == []


def test_nor_where_the_node_that_it_comes_back_from_is_made_to_leave() -> None:
    net = unsubscribed()
    arrive(net, "c").drop()
    net.halt_before(f.LEVEL)
    alice = ask(net, "b")
    net.isolate("c")
    net.stall("a", "b")
    net.join("a", "d")
    publish(net, "d", b"2")
    net["b"].cluster.forget("c")
    net.go_on()
    for _ in range(5):
        net.advance(0.5)
    assert take_all(alice) == []


@pytest.mark.parametrize("halt", [f.SESSION, f.LEVEL, f.READY, f.END, f.CUT])
def test_what_it_subscribes_to_again_comes_once(halt: int) -> None:
    net = unsubscribed()
    net.halt_before(halt)
    alice = ask(net, "c")
    net.join("a", "d")
    publish(net, "d", b"2")
    net.go_on()
    net.halt_before(f.CUT, "c")
    alice.subscribe("t/#", qos=2)
    net.join("c", "d")
    publish(net, "d", b"3")
    net.go_on()
    assert rest(net) == ["c"]
    publish(net, "d", b"4")
    assert take_all(alice) == [b"3", b"4"]
