"""Bridges of nodes that are in a cluster: of one message one node takes care, and none comes back to where it was."""
import pytest

from emqtwist.core.bridges.bridge import Bridge
from emqtwist.core.bridges.bridges import Bridges
from emqtwist.core.bridges.terms import BridgeTerms
from emqtwist.core.message import Message
from tests.bridged import Land, Lands
from tests.clusters import Net, pack


def bridges_of(net: Net, name: str) -> Bridges:
    """What a node of a cluster has of them."""
    node = net[name]
    return Bridges(node.broker, name, f"{name}-1", node.token_of_node, pack, [])


def lead(net: Net, name: str, to: str, topic_filter: str) -> Bridge:
    bridges = bridges_of(net, name)
    bridge = bridges.start(BridgeTerms("north", to, "", topic_filter.encode(), by_hand=True))
    net.settle()
    return bridge


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_goes_over_the_bridge_of_the_node_that_it_was_published_at(qos: int) -> None:
    net = Net("a@x", "b@x")
    here, there = lead(net, "a@x", "far@x", "t/#"), lead(net, "b@x", "far@x", "t/#")
    reader = net["b@x"].connect("reader")  # so that it crosses to that node in any case
    reader.subscribe("t/#", qos=2)
    net["a@x"].connect("alice").publish("t/1", b"x", qos=qos)
    assert reader.payloads() == [b"x"]
    assert (here.taken, there.taken) == (1, 0)


def test_a_bridge_draws_no_messages_from_other_nodes() -> None:
    net = Net("a@x", "b@x")
    lead(net, "b@x", "far@x", "t/#")
    net["a@x"].connect("alice").publish("t/1", b"x", qos=1)
    assert net["a@x"].broker.metrics.forwarded_sent == 0


def arriving(net: Net, name: str, trail: bytes) -> Bridges:
    """A message comes over a bridge to a node of a cluster."""
    lands = Lands("far@x")
    bridges = bridges_of(net, name)
    land = Land(lands, "far@x")
    guest = bridges.welcome("far@x", "far-1", net.ends[name, "b@x" if name == "a@x" else "a@x"].link)
    bridges.take(guest, [(6, "identity"), (70, 1, 0, 2, b"t", b"x", b"", None, "alice", trail)])
    assert land.dropped() == {}
    net.settle()
    return bridges


def test_what_comes_over_a_bridge_is_for_all_nodes_of_the_cluster() -> None:
    net = Net("a@x", "b@x")
    reader = net["b@x"].connect("reader")
    reader.subscribe("t", qos=1)
    arriving(net, "a@x", b"far@x")
    assert reader.payloads() == [b"x"]


def test_what_was_at_another_node_of_the_cluster_is_not_taken() -> None:
    net = Net("a@x", "b@x")
    reader = net["b@x"].connect("reader")
    reader.subscribe("t", qos=1)
    arriving(net, "a@x", b"b@x far@x")
    assert reader.payloads() == []
    assert net["a@x"].broker.metrics.drops["bridge_loop"] == 1


def test_queues_of_bridges_and_of_nodes_do_not_mix() -> None:
    net = Net("a@x", "b@x")
    reader = net["b@x"].connect("reader", clean_start=False, session_expiry_interval=100)
    reader.subscribe("t", qos=1)
    bridge = lead(net, "a@x", "b@x", "t")
    net.cut("a@x", "b@x")
    net["a@x"].broker.publish(Message(b"t", b"x", 1))
    net.settle()
    assert len(bridge.outbox) == len(net["a@x"].cluster.peer("b@x").outbox) == 1
    node = net["a@x"]
    prepare = node.prepare

    def both() -> None:
        prepare()
        node.bridges = bridges_of(net, "a@x")  # type: ignore[attr-defined]

    node.prepare = both  # type: ignore[method-assign]
    node.crash()
    [again] = node.bridges.known.values()  # type: ignore[attr-defined]
    assert len(again.outbox) == len(node.cluster.peer("b@x").outbox) == 1
    net.join("a@x", "b@x")
    assert reader.payloads() == [b"x"]
    assert len(again.outbox) == 1
