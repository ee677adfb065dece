"""A node that has taken a part of a session is lost: nobody else gets the session without that part."""
import pytest

from emqtwist.core.cluster import frames as f
from emqtwist.mqtt.packets import Connack
from tests.clusters import Net
from tests.unit.cluster.takeovers import ask
from tests.unit.cluster.test_takeover import arrive, publish, take_all


def parted() -> Net:
    """Alice has got a message at b, which has not taken the session from a wholly."""
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    publish(net, "a", b"1")
    net.halt_before(f.END)
    again = arrive(net, "b")
    assert net.halted == "a"
    assert take_all(again) == [b"1"]
    again.drop()
    return net


@pytest.mark.parametrize("crashed", ["", "c", "ca"], ids=["all know", "c does not know", "nobody knows to whom it was given"])
def test_another_node_waits_for_both_parts(crashed: str) -> None:
    net = parted()
    net.isolate("b")
    net.go_on()
    for node in crashed:
        net[node].crash()
    for node, others in (("a", "bc"), ("c", "ab")):
        for other in others:
            net[node].cluster.peer(other)
    if crashed:
        net.join("a", "c")
    early = ask(net, "c")
    for _ in range(11):
        net.advance(1)
    assert early.one(Connack).reason_code == 0x88
    late = ask(net, "c")
    net.join_all()
    for _ in range(5):
        net.advance(0.1)
    assert late.one(Connack).session_present
    publish(net, "b", b"2")
    assert take_all(late) == [b"2"]


def test_a_node_that_comes_back_without_its_part_is_not_waited_for() -> None:
    net = Net("a", "b", "c")
    arrive(net, "a").drop()
    net.halt_before(f.SESSION)
    ask(net, "b").drop()
    assert net.halted == "a"
    net["b"].crash()
    for other in ("a", "c"):
        net["b"].cluster.peer(other)
    net.go_on()
    peer = ask(net, "c")
    assert peer.received() == []
    net.join_all()
    for _ in range(5):
        net.advance(0.1)
    assert peer.one(Connack).session_present


def test_what_the_old_node_has_not_stored_does_not_go_to_the_new_one() -> None:
    net = Net("a", "b")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    net.halt_before(f.READY)
    again = arrive(net, "b")
    assert net.halted == "b"
    publisher = net["a"].connect("publisher")
    net["a"].stored = False
    publisher.publish("t/x", b"1", qos=2)
    assert take_all(again) == []
    net["a"].stored = True
    net.settle()
    assert take_all(again) == [b"1"]
