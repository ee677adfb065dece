"""Clients who come to a node that has just started, and has not heard yet who has their sessions."""
from emqtwist.mqtt.packets import Connack, Connect
from tests.clusters import Net
from tests.peers import Peer, properties


def restarted(*names: str) -> Net:
    """Alice has a session at a; b has just started, and knows a node of that name, but is not linked to it."""
    net = Net(*names)
    net["a"].connect("alice", session_expiry_interval=1000).drop()
    net["b"].crash()
    net["b"].cluster.peer("a")
    return net


def ask(net: Net, client_id: str) -> Peer:
    """A client that asks b for its session, and is not answered yet."""
    peer = net["b"].peer()
    peer.send(Connect(5, client_id, False, 0, None, None, None, False, properties(session_expiry_interval=1000)))
    assert peer.received() == []
    return peer


def test_a_node_that_has_not_heard_of_another_waits_for_it_before_it_begins_a_session() -> None:
    net = restarted("a", "b")
    peer = ask(net, "alice")
    net.join("a", "b")
    net.advance(0.1)
    assert peer.one(Connack).session_present


def test_who_comes_new_is_let_in_as_soon_as_the_other_node_has_nothing_of_it() -> None:
    net = restarted("a", "b")
    peer = ask(net, "bob")
    net.join("a", "b")
    net.advance(0.1)
    assert not peer.one(Connack).session_present


def test_a_session_that_may_be_at_a_node_that_stays_away_is_not_replaced() -> None:
    net = restarted("a", "b")
    peer = ask(net, "alice")
    net.advance(2.5)
    assert peer.one(Connack).reason_code == 0x88


def test_a_new_session_is_known_at_all_nodes_before_its_client_is_answered() -> None:
    net = Net("a", "b")
    net.stall("a", "b")
    peer = net["a"].peer()
    peer.send(Connect(5, "alice", False, 0, None, None, None, False, properties(session_expiry_interval=1000)))
    assert peer.received() == []
    net.stall("a", "b", False)
    assert not peer.one(Connack).session_present
    peer = net["b"].connect("alice", clean_start=False, session_expiry_interval=1000)
    assert peer.connack is not None
    assert peer.connack.session_present


def test_a_node_that_does_not_hear_of_a_new_session_is_not_waited_for_longer_than_for_a_subscription() -> None:
    net = Net("a", "b")
    net.stall("a", "b")
    peer = net["a"].peer()
    peer.send(Connect(5, "alice", False, 0, None, None, None, False, properties(session_expiry_interval=1000)))
    net.advance(0.6)
    assert not peer.one(Connack).session_present
