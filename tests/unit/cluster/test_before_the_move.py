"""What nodes forward late that they published before a session moved: the session has had it where it was."""
import pytest

from emqtwist.core.cluster import frames as f
from emqtwist.mqtt.packets import Connack, Connect
from tests.clusters import Net
from tests.peers import Peer, properties
from tests.unit.cluster.test_takeover import arrive, publish, take_all, without


def moving(*names: str) -> tuple[Net, Peer]:
    """Alice is connected to a; all that is published goes to b too, where bob has a session."""
    net = Net(*names)
    bob = arrive(net, "b", "bob")
    bob.subscribe("t/#", qos=2)
    bob.drop()
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    return net, alice


def ask(net: Net, client_id: str) -> Peer:
    """A client that is not answered yet."""
    peer = Peer(net["b"])
    peer.send(Connect(5, client_id, client_id == "carol", 0, None, None, None, False, properties(session_expiry_interval=3600)))
    return peer


def test_what_waits_for_the_new_node_is_let_pass_before_the_session_subscribes_there() -> None:
    net, alice = moving("a", "b")
    net.cut("a", "b")
    publish(net, "a", b"1")
    assert take_all(alice) == [b"1"]
    net["b"].stored = False
    ask(net, "carol")  # there is something to store first, so that a is not told yet where to go on
    net.join("a", "b")
    again = ask(net, "alice")
    net["b"].stored = True
    net.settle()
    assert again.one(Connack).session_present
    publish(net, "a", b"2")
    assert take_all(again) == [b"2"]


@pytest.mark.parametrize("first", ["a", "b"])
def test_what_an_absent_node_has_for_the_new_node_from_before_is_left_out(first: str) -> None:
    net, alice = moving("a", "b", "c")
    net.cut("b", "c")
    publish(net, "c", b"1")
    assert take_all(alice) == [b"1"]
    without(net, "c")
    publish(net, "c", b"2")
    again = arrive(net, "b")
    publish(net, "c", b"3")
    net.join(first, "c")
    net.join_all()
    net.advance(0.1)
    assert sorted(take_all(again)) == [b"2", b"3"]
    publish(net, "c", b"4")
    assert take_all(again) == [b"4"]


def test_what_an_absent_node_has_from_before_is_left_out_while_the_session_comes() -> None:
    net, alice = moving("a", "b", "c")
    net.cut("b", "c")
    publish(net, "c", b"1")
    assert take_all(alice) == [b"1"]
    without(net, "c")
    net.halt_before(f.END)
    again = arrive(net, "b")
    assert net.halted == "a"
    net.join_all()
    publish(net, "c", b"2")
    net.go_on()
    net.advance(0.1)
    assert take_all(again) == [b"2"]


def test_what_a_node_has_for_the_old_node_that_it_is_not_linked_to_is_awaited() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    net.cut("a", "c")
    publish(net, "c", b"1")
    for _ in range(6):
        net.advance(1)
    again = arrive(net, "b")
    assert take_all(again) == []
    net.join("a", "c")
    net.advance(0.1)
    assert take_all(again) == [b"1"]


def test_what_an_absent_node_has_for_the_old_node_is_awaited_though_the_new_one_crashes() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    without(net, "c")
    publish(net, "c", b"1")
    arrive(net, "b").drop()
    net["b"].crash()
    for other in ("a", "c"):
        net["b"].cluster.peer(other)
    net.join("a", "b")
    net.advance(0.1)
    net.join_all()
    for _ in range(6):
        net.advance(1)
    again = arrive(net, "b")
    assert take_all(again) == [b"1"]
    publish(net, "c", b"2")
    assert take_all(again) == [b"2"]
    for _ in range(40):
        net.advance(1)
    assert "alice" not in net["a"].broker.sessions.by_id


def test_what_an_absent_node_has_is_sent_on_from_node_to_node_and_comes_once() -> None:
    net = Net("a", "b", "c", "d")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    without(net, "d")
    publish(net, "d", b"1")
    alice = arrive(net, "b")
    net.join("b", "d")
    publish(net, "d", b"2")
    assert take_all(alice) == [b"2"]
    alice = arrive(net, "c")
    net.join("a", "d")
    net.advance(0.1)
    assert take_all(alice) == [b"1"]
    net.join("c", "d")
    publish(net, "d", b"3")
    assert take_all(alice) == [b"3"]
    for _ in range(70):
        net.advance(1)
    assert [node for node in "abcd" if "alice" in net[node].broker.sessions.by_id] == ["c"]


def test_what_others_publish_while_the_new_node_is_down_is_awaited_there_only() -> None:
    net = Net("a", "b", "c", "d")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    without(net, "d")
    arrive(net, "b").drop()
    net.isolate("b")
    publish(net, "c", b"1")
    net["b"].crash()
    for other in ("a", "c", "d"):
        net["b"].cluster.peer(other)
    net.join("b", "c")
    again = arrive(net, "b")
    net.join_all()
    publish(net, "c", b"2")
    assert take_all(again) == [b"1", b"2"]


def test_a_session_that_comes_back_still_gets_what_an_absent_node_has_for_it() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    without(net, "c")
    publish(net, "c", b"1")
    arrive(net, "b").drop()
    net.join("b", "c")
    publish(net, "c", b"2")
    again = arrive(net, "a")
    publish(net, "c", b"3")
    net.join("a", "c")
    publish(net, "c", b"4")
    assert sorted(take_all(again)) == [b"1", b"2", b"3", b"4"]


def test_what_is_published_at_the_new_node_itself_is_heard_though_some_of_its_messages_are_sent_on() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "c")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    without(net, "a")
    arrive(net, "b").drop()
    net.join("a", "b")
    net.halt_before(f.END)
    again = arrive(net, "a")
    assert net.halted == "b"
    net.halt_before(f.FLUSHED)
    net.stall("b", "a", False)
    assert net.halted == "b"
    publish(net, "a", b"1")
    net.go_on()
    assert take_all(again) == [b"1"]
