"""Messages from node to node: once, in order, and kept over what crashes."""
import pytest

from emqtwist.core.cluster import frames as f
from emqtwist.mqtt.constants import OPTION_RETAIN_AS_PUBLISHED
from emqtwist.mqtt.packets import Puback, Publish, Subscribe
from tests.clusters import Net


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_reaches_a_subscriber_of_another_node(qos: int) -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe("t/+", qos=2)
    net["b"].connect("bob").publish("t/1", b"x", qos=qos)
    publish = alice.one(Publish)
    assert (publish.topic_name, publish.payload, publish.qos) == (b"t/1", b"x", qos)


def test_a_message_crosses_once_for_many_subscribers() -> None:
    net = Net("a", "b")
    clients = [net["a"].connect(f"client{number}") for number in range(5)]
    for number, client in enumerate(clients):
        client.subscribe("t/+", "t/#", "t/1", qos=number % 3)
    net["b"].connect("bob").publish("t/1", b"x", qos=2)
    assert [client.one(Publish).payload for client in clients] == [b"x"] * 5
    assert net["b"].broker.metrics.forwarded_sent == net["a"].broker.metrics.forwarded_received == 1


def test_a_message_does_not_go_on_to_a_third_node() -> None:
    net = Net("a", "b", "c")
    receivers = [net[name].connect(f"client-{name}") for name in "abc"]
    for receiver in receivers:
        receiver.subscribe("t", qos=1)
    net["a"].connect("publisher").publish("t", b"x", qos=1)
    assert [receiver.payloads() for receiver in receivers] == [[b"x"]] * 3
    assert [net[name].broker.metrics.forwarded_sent for name in "abc"] == [2, 0, 0]


def test_nothing_crosses_when_nobody_subscribes_any_more() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe("t", qos=1)
    alice.unsubscribe("t")
    bob = net["b"].connect("bob")
    bob.publish("t", b"x", qos=1)
    assert net["b"].broker.metrics.forwarded_sent == 0
    alice.subscribe("t", qos=1)
    alice.drop()  # a clean session ends with its connection
    bob.publish("t", b"x", qos=1)
    assert net["b"].broker.metrics.forwarded_sent == 0


def test_a_local_subscription_is_not_announced() -> None:
    net = Net("a", "b")
    net["a"].connect("alice").subscribe("$local/t")
    net["b"].connect("bob").publish("t", b"x")
    assert net["b"].broker.metrics.forwarded_sent == 0


def test_a_local_subscription_gets_nothing_of_other_nodes() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe("$local/t/+", qos=1, identifier=1)
    alice.subscribe("t/#", qos=0, identifier=2)
    carol = net["a"].connect("carol")
    carol.subscribe("$local/t/#")
    net["b"].connect("bob").publish("t/1", b"x", qos=1)
    publish = alice.one(Publish)
    assert publish.qos == 0
    assert publish.properties is not None
    assert publish.properties.subscription_identifiers == [2]
    assert carol.received() == []


def test_what_other_nodes_subscribe_to_is_not_counted_here() -> None:
    net = Net("a", "b")
    net["a"].connect("alice").subscribe("t", "u/+")
    assert net["a"].broker.router.subscriptions == 2
    assert net["b"].broker.router.subscriptions == 0


def test_retain_as_published_and_properties_cross() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe("t", options=OPTION_RETAIN_AS_PUBLISHED, qos=1)
    net["b"].connect("bob").publish("t", b"x", qos=1, retain=True, content_type="text/plain", message_expiry_interval=60)
    publish = alice.one(Publish)
    assert publish.retain
    assert publish.properties is not None
    assert publish.properties.content_type == "text/plain"
    assert publish.properties.message_expiry_interval == 60


def test_what_is_for_an_absent_session_is_acknowledged_when_this_node_has_it() -> None:
    """The other node need not answer: the message is a row of the outbox."""
    net = Net("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=2)
    alice.drop()
    net.cut("a", "b")
    bob = net["b"].connect("bob")
    bob.publish("t", b"x", qos=1)
    assert bob.one(Puback).reason_code == 0
    net["b"].crash()
    net["a"].crash()
    net.join("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    assert alice.payloads() == [b"x"]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_sent_and_not_acknowledged_is_sent_again_and_taken_once(qos: int) -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=2)
    alice.drop()
    net.stall("a", "b")  # acknowledgements do not arrive
    bob = net["b"].connect("bob")
    for number in range(5):
        bob.publish("t", b"%d" % number, qos=qos)
    net.cut("a", "b")
    net.join("a", "b")
    net.stall("a", "b")
    for number in range(5, 8):
        bob.publish("t", b"%d" % number, qos=qos)
    net["a"].crash()
    net["b"].crash()
    net.join("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    assert [publish.payload for publish in alice.all(Publish)] == [b"%d" % number for number in range(8)]
    assert len(net["b"].cluster.peer("a").outbox) == 0


def test_a_message_leaves_when_the_store_has_its_number() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    net["b"].stored = False
    net["b"].connect("bob").publish("t", b"x", qos=1)
    assert alice.received() == []
    net["b"].commit()
    net.settle()
    assert alice.payloads() == [b"x"]


def test_it_is_acknowledged_to_the_other_node_when_it_is_stored() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    alice.drop()
    net["a"].stored = False
    net["b"].connect("bob").publish("t", b"x", qos=1)
    assert len(net["b"].cluster.peer("a").outbox) == 1
    net["a"].crash()  # what was not stored is lost there
    net["a"].stored = True
    net.join("a", "b")
    assert len(net["b"].cluster.peer("a").outbox) == 0
    assert net["a"].connect("alice", clean_start=False, session_expiry_interval=1000).payloads() == [b"x"]


def test_what_waits_for_a_node_keeps_its_order_and_comes_from_the_store_in_pages() -> None:
    net = Net("a", "b", lines=("mqtt.mqueue.max_memory = 4KB",))
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    net.cut("a", "b")
    bob = net["b"].connect("bob")
    for number in range(200):
        bob.publish("t", b"%d" % number, qos=1)
    net["b"].crash()
    net.join("a", "b")
    got: list[bytes] = []
    while True:
        publishes = alice.all(Publish)
        if not publishes:
            break
        got += [publish.payload for publish in publishes]
        alice.acknowledge(*publishes)
    assert got == [b"%d" % number for number in range(200)]


def test_a_full_outbox_refuses_what_it_would_have_to_keep() -> None:
    net = Net("a", "b", lines=("mqtt.mqueue.max_length = 3",))
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    alice.drop()
    net.cut("a", "b")
    bob = net["b"].connect("bob")
    for _ in range(4):
        bob.publish("t", b"x", qos=1)
    assert [puback.reason_code for puback in bob.all(Puback)] == [0, 0, 0, 0x97]


def test_qos_0_needs_no_number_and_so_does_not_wait_until_it_is_known_what_was_taken() -> None:
    net = Net("a", "b")
    net.cut("a", "b")
    net["a"].stored = False
    net["a"].connect("carol").publish("r", b"x", retain=True)  # before this is stored nothing is said of what was taken
    net.join("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe("t")
    net["b"].connect("bob").publish("t", b"x")
    assert not net["b"].cluster.peer("a").outbox.ready
    assert alice.payloads() == [b"x"]


def test_qos_0_for_a_node_that_is_away_is_dropped_and_counted() -> None:
    net = Net("a", "b")
    net["a"].connect("alice").subscribe("t")
    net.cut("a", "b")
    net["b"].connect("bob").publish("t", b"x")
    assert net["b"].drops == {"node_away": 1}


def test_what_waits_for_subscribers_without_a_session_goes_with_their_process() -> None:
    net = Net("a", "b")
    net["a"].connect("alice").subscribe("t", qos=1)
    net.stall("b", "a")
    net["b"].connect("bob").publish("t", b"x", qos=1)
    net["a"].crash()
    net.join("a", "b")
    assert net["b"].drops == {"node_restarted": 1}
    assert len(net["b"].cluster.peer("a").outbox) == 0


def test_a_node_that_left_takes_its_routes_and_messages_with_it() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", "u/#", qos=1)
    net.cut("a", "b")
    bob = net["b"].connect("bob")
    bob.publish("t", b"x", qos=1)
    net["b"].cluster.forget("a")
    net.settle()
    assert net["b"].drops == {"node_left": 1}
    bob.publish("u/1", b"x", qos=1)
    assert net["b"].broker.router.filters() == []
    net["b"].crash()
    assert net["b"].cluster.peers == {}


def test_messages_at_different_qos_do_not_overtake_those_that_wait_for_the_store() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    carol = net["a"].connect("carol")
    carol.subscribe("t", "u", qos=1)
    net["b"].stored = False
    bob = net["b"].connect("bob")
    bob.publish("t", b"1", qos=1)
    alice.unsubscribe("t")  # from here on nobody keeps what comes
    bob.publish("t", b"2", qos=1)
    net["b"].commit()
    net.settle()
    assert carol.payloads() == [b"1", b"2"]


def test_what_a_node_that_is_away_would_keep_is_known_after_a_restart_too() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", "u/+", "v", qos=1)
    alice.unsubscribe("v")
    net["a"].connect("carol").subscribe("w", qos=1)
    alice.drop()
    net["b"].crash()
    net["b"].crash()
    assert sorted(net["b"].broker.router.filters()) == [b"t", b"u/+"]
    bob = net["b"].connect("bob")
    bob.publish("t", b"1", qos=1)
    bob.publish("u/1", b"2", qos=2)
    net.join("a", "b")
    alice = net["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    assert alice.payloads() == [b"1", b"2"]
    assert sorted(net["b"].broker.router.filters()) == [b"t", b"u/+", b"w"]


def test_a_message_of_qos_2_that_nobody_keeps_leaves_when_it_will_not_be_sent_again() -> None:
    """Its publisher sends it again after a crash of this node, unless the store has that it came."""
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe("t", qos=2)
    bob = net["b"].connect("bob", clean_start=False, session_expiry_interval=1000)
    net["b"].stored = False
    bob.publish("t", b"x", qos=2, packet_id=1)
    assert alice.received() == []
    net["b"].crash()
    net["b"].stored = True
    net.join("a", "b")
    bob = net["b"].connect("bob", clean_start=False, session_expiry_interval=1000)
    bob.publish("t", b"x", qos=2, packet_id=1, dup=True)
    assert alice.payloads() == [b"x"]


def test_who_asks_whether_all_is_in_is_answered_as_soon_as_the_outbox_goes_on() -> None:
    net = Net("a", "b")
    net.cut("a", "b")
    alice = net["b"].connect("alice", session_expiry_interval=3600)
    net["b"].stored = False  # so that a is not told yet where to go on
    alice.send(Subscribe(1, [(b"t", 1)], None))
    net.join("a", "b")
    flush = net["b"].cluster.takeover.flushing.meet(net["b"].cluster.peer("a"))
    net.halt_before(f.MARK, "b")
    net["b"].stored = True
    net.settle()
    assert flush.decision is None
    net.go_on()  # nothing else comes
    assert flush.decision


def test_who_asks_whether_all_is_in_is_answered_though_nothing_is_left_of_what_comes_from_the_store() -> None:
    net = Net("a", "b", lines=("mqtt.mqueue.max_memory = 2KB",))
    net["b"].connect("alice", session_expiry_interval=3600).subscribe("t", qos=1)
    net.cut("a", "b")
    bob = net["a"].connect("bob")
    for _ in range(20):
        bob.publish("t", bytes(500), qos=1, message_expiry_interval=1)
    net.advance(2)
    flush = net["b"].cluster.takeover.flushing.meet(net["b"].cluster.peer("a"))
    net.join("a", "b")
    assert flush.decision
    assert net["a"].cluster.peer("b").outbox.is_sent()
