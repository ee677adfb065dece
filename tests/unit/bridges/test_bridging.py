"""Bridges without sockets: what crosses, what waits, what is known after a crash of either side, what goes round in circles."""
from typing import Any

import pytest

from emqtwist.core.bridges.terms import BadBridge, BridgeTerms, terms_of
from emqtwist.core.bridges.trail import MOST_HOPS
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import BadFrame
from emqtwist.core.hooks import MESSAGE_PUBLISH
from emqtwist.core.message import Message
from emqtwist.mqtt.packets import Puback, Publish
from emqtwist.mqtt.properties import encode_properties
from tests.bridged import Land, Lands
from tests.peers import Peer, properties

LASTING: dict[str, Any] = {"clean_start": False, "session_expiry_interval": 1000}


def reader(land: Land, *filters: str) -> Peer:
    peer = land.connect("reader", **LASTING)
    peer.subscribe(*(filters or ("#",)), qos=2)
    return peer


def heard(peer: Peer) -> list[tuple[bytes, bytes, int]]:
    publishes = peer.all(Publish)
    peer.acknowledge(*publishes)
    return [(each.topic_name, each.payload, each.qos) for each in publishes]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_matches_is_published_at_the_other_node(qos: int) -> None:
    lands = Lands("a@x", "b@x")
    lands.bridge("a@x", "b@x", "t/#")
    bob = reader(lands["b@x"])
    alice = lands["a@x"].connect("alice")
    alice.publish("t/1", b"x", qos=qos)
    alice.publish("u/1", b"not this", qos=qos)
    assert heard(bob) == [(b"t/1", b"x", qos)]


def test_topics_get_a_prefix_and_a_suffix() -> None:
    lands = Lands("a@x", "b@x")
    lands.bridge("a@x", "b@x", "t/#", prefix=b"a/", suffix=b"/z")
    bob = reader(lands["b@x"])
    lands["a@x"].connect("alice").publish("t/1", b"x", qos=1)
    assert heard(bob) == [(b"a/t/1/z", b"x", 1)]


def test_a_bridge_has_a_highest_qos() -> None:
    lands = Lands("a@x", "b@x")
    lands.bridge("a@x", "b@x", "t", qos=1)
    bob = reader(lands["b@x"])
    alice = lands["a@x"].connect("alice")
    alice.publish("t", b"x", qos=2)
    alice.publish("t", b"y", qos=0)
    assert heard(bob) == [(b"t", b"x", 1), (b"t", b"y", 0)]


def test_a_message_crosses_as_it_is() -> None:
    lands = Lands("a@x", "b@x")
    lands.bridge("a@x", "b@x", "t")
    bob = reader(lands["b@x"])
    forwarded: dict[str, Any] = {"content_type": "text", "user_properties": [("a", "b")]}
    lands["a@x"].connect("alice").publish("t", b"x", qos=1, retain=True, message_expiry_interval=60, **forwarded)
    publish = bob.one(Publish)
    assert encode_properties(publish.properties) == encode_properties(properties(message_expiry_interval=60, **forwarded))
    late = lands["b@x"].connect("late")
    late.subscribe("t", qos=1)
    assert late.one(Publish).retain
    assert lands["b@x"].broker.retained.get(b"t").publisher == "alice"  # type: ignore[union-attr]


def test_functions_of_the_other_node_see_what_comes() -> None:
    lands = Lands("a@x", "b@x")
    lands.bridge("a@x", "b@x", "t")
    bob = reader(lands["b@x"])
    lands["b@x"].broker.hooks.add(MESSAGE_PUBLISH, lambda message: message.changed(topic_name="changed/" + message.topic_name))
    lands["a@x"].connect("alice").publish("t", b"x", qos=1)
    assert heard(bob) == [(b"changed/t", b"x", 1)]


def test_messages_wait_while_the_other_node_is_away_but_those_of_qos_0() -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    alice = lands["a@x"].connect("alice")
    for number in range(6):
        alice.publish("t", b"%d" % number, qos=number % 3)
    assert not bridge.is_up
    assert len(bridge.outbox) == 4
    assert lands["a@x"].dropped() == {"node_away": 2}
    assert bridge.dropped == 2
    lands.join("a@x", bridge)
    assert bridge.is_up
    assert sorted(heard(bob)) == [(b"t", b"1", 1), (b"t", b"2", 2), (b"t", b"4", 1), (b"t", b"5", 2)]
    assert len(bridge.outbox) == 0
    assert (bridge.taken, bridge.sent) == (6, 4)


def test_an_acknowledged_message_crosses_although_this_node_crashes() -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    lands.bridge("a@x", "b@x", "t/+", join=False, prefix=b"p/")
    alice = lands["a@x"].connect("alice")
    alice.publish("t/1", b"1", qos=1)
    assert alice.one(Puback).reason_code == 0
    lands["a@x"].crash()
    [bridge] = lands["a@x"].bridges.known.values()
    assert bridge.terms.prefix == b"p/"
    lands["a@x"].connect("alice").publish("t/2", b"2", qos=2)
    assert len(bridge.outbox) == 2
    lands.join("a@x", bridge)
    assert heard(bob) == [(b"p/t/1", b"1", 1), (b"p/t/2", b"2", 2)]
    lands["a@x"].crash()
    [bridge] = lands["a@x"].bridges.known.values()
    lands.join("a@x", bridge)
    assert heard(bob) == []  # it is over with them


def test_a_puback_waits_until_the_row_is_stored() -> None:
    lands = Lands("a@x", "b@x")
    land = lands["a@x"]
    bridge = lands.bridge("a@x", "b@x", "t")
    land.stored = False
    alice = land.connect("alice")
    alice.publish("t", b"x", qos=1)
    assert alice.all(Puback) == []
    assert bridge.sent == 1
    bob = reader(lands["b@x"])
    assert heard(bob) == []
    land.stored = True
    lands.settle()
    assert alice.one(Puback).reason_code == 0
    assert heard(bob) == [(b"t", b"x", 1)]


def test_what_was_taken_is_not_taken_again_whoever_crashes() -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    near, remote = lands.join("a@x", bridge)
    remote.stalled = True  # acknowledgements do not come
    alice = lands["a@x"].connect("alice")
    for number in range(3):
        alice.publish("t", b"%d" % number, qos=2)
    assert [payload for _, payload, _ in heard(bob)] == [b"0", b"1", b"2"]
    assert len(bridge.outbox) == 3
    lands["b@x"].crash()
    bob = lands["b@x"].connect("reader", **LASTING)
    lands.join("a@x", bridge)
    assert len(bridge.outbox) == 0
    assert heard(bob) == []
    near, remote = lands.join("a@x", bridge)
    remote.stalled = True
    alice.publish("t", b"3", qos=2)
    lands["a@x"].crash()
    [bridge] = lands["a@x"].bridges.known.values()
    lands.join("a@x", bridge)
    assert [payload for _, payload, _ in heard(bob)] == [b"3"]
    lands["a@x"].connect("alice").publish("t", b"4", qos=2)
    assert [payload for _, payload, _ in heard(bob)] == [b"4"]


def test_what_was_lost_on_the_way_is_sent_again_in_order() -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    near, _ = lands.join("a@x", bridge)
    near.stalled = True
    alice = lands["a@x"].connect("alice")
    for number in range(3):
        alice.publish("t", b"%d" % number, qos=1)
    assert len(lands["b@x"].bridges.arrivals.guests) == 1
    near.cut()
    assert lands["b@x"].bridges.arrivals.guests == {}
    alice.publish("t", b"3", qos=1)
    lands.join("a@x", bridge)
    assert [payload for _, payload, _ in heard(bob)] == [b"0", b"1", b"2", b"3"]
    assert bridge.sent == 7


def test_the_receiver_acknowledges_what_it_has_stored() -> None:
    lands = Lands("a@x", "b@x")
    reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    lands.join("a@x", bridge)
    lands["b@x"].stored = False
    lands["a@x"].connect("alice").publish("t", b"x", qos=1)
    assert len(bridge.outbox) == 1
    lands["b@x"].crash()  # what it has not stored is gone
    lands["b@x"].stored = True
    lands.join("a@x", bridge)
    assert heard(lands["b@x"].connect("reader", **LASTING)) == [(b"t", b"x", 1)]
    assert len(bridge.outbox) == 0


def test_without_a_store_a_link_that_breaks_costs_nothing() -> None:
    lands = Lands("a@x", "b@x")
    land = lands["a@x"]
    land.broker.journal = land.broker.circle.journal = None
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    alice = land.connect("alice")
    alice.publish("t", b"0", qos=1)
    near, remote = lands.join("a@x", bridge)
    remote.stalled = True
    alice.publish("t", b"1", qos=1)
    near.cut()
    alice.publish("t", b"2", qos=1)
    lands.join("a@x", bridge)
    assert [payload for _, payload, _ in heard(bob)] == [b"0", b"1", b"2"]
    assert len(bridge.outbox) == 0


# Bounds.


@pytest.mark.parametrize(("options", "lost"), [
    ({"max_length": 3}, [b"0", b"1"]),
    ({"max_bytes": 3 * 600}, [b"0", b"1"]),
    ({"max_length": 3, "on_full": "drop_newest"}, [b"3", b"4"]),
])
def test_a_full_queue_gives_way_as_it_is_told_to(options: dict[str, Any], lost: list[bytes]) -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False, **options)
    alice = lands["a@x"].connect("alice")
    payloads = [b"%d" % number + bytes(150) for number in range(5)]
    for payload in payloads:
        alice.publish("t", payload, qos=1)
    assert [each.reason_code for each in alice.all(Puback)] == [0] * 5
    assert lands["a@x"].dropped() == {"queue_full": 2}
    assert (bridge.dropped, len(bridge.outbox)) == (2, 3)
    lands.join("a@x", bridge)
    assert [payload for _, payload, _ in heard(bob)] == [each for each in payloads if each[:1] not in lost]


def test_a_full_queue_may_refuse() -> None:
    lands = Lands("a@x", "b@x")
    bridge = lands.bridge("a@x", "b@x", "t", join=False, max_length=2, on_full="refuse")
    alice = lands["a@x"].connect("alice")
    for _ in range(3):
        alice.publish("t", b"x", qos=1)
    assert [each.reason_code for each in alice.all(Puback)] == [0, 0, 0x97]
    lands["a@x"].crash()
    alice = lands["a@x"].connect("alice")
    alice.publish("t", b"x", qos=1)
    assert alice.one(Puback).reason_code == 0x97
    [bridge] = lands["a@x"].bridges.known.values()
    assert len(bridge.outbox) == 2


def test_a_queue_above_its_high_watermark_is_told() -> None:
    lands = Lands("a@x", "b@x")
    bridge = lands.bridge("a@x", "b@x", "t", join=False, max_length=10)
    alice = lands["a@x"].connect("alice")
    for _ in range(7):
        alice.publish("t", b"x", qos=1)
    name = bridge.outbox.name
    assert lands["a@x"].witness.told("queue_filling") == [(name, 7)]
    lands.join("a@x", bridge)
    assert lands["a@x"].witness.told("queue_relieved") == [(name, 1)]


def test_a_long_queue_is_in_the_store_only() -> None:
    lands = Lands("a@x", "b@x", lines=("mqtt.mqueue.max_memory = 1KB",))
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    alice = lands["a@x"].connect("alice")
    for number in range(50):
        alice.publish("t", b"%d" % number, qos=1)
    assert bridge.outbox.backlog is not None
    assert bridge.outbox.backlog.queue.bytes < 2000
    lands["a@x"].crash()
    [bridge] = lands["a@x"].bridges.known.values()
    assert len(bridge.outbox) == 50
    lands.join("a@x", bridge)
    assert [payload for _, payload, _ in heard(bob)] == [b"%d" % number for number in range(50)]


# Circles.


def test_what_came_by_a_bridge_does_not_go_back() -> None:
    lands = Lands("a@x", "b@x")
    there, back = lands.bridge("a@x", "b@x", "#"), lands.bridge("b@x", "a@x", "#")
    alice, bob = reader(lands["a@x"]), reader(lands["b@x"])
    lands["a@x"].connect("publisher").publish("t", b"x", qos=1)
    lands["b@x"].connect("publisher").publish("t", b"y", qos=1)
    assert [payload for _, payload, _ in heard(alice)] == [b"x", b"y"]
    assert [payload for _, payload, _ in heard(bob)] == [b"x", b"y"]
    assert (there.returned, back.returned) == (1, 1)


def test_what_was_changed_on_the_way_does_not_go_back() -> None:
    lands = Lands("a@x", "b@x")
    lands.bridge("a@x", "b@x", "#")
    lands.bridge("b@x", "a@x", "#")
    lands["b@x"].broker.hooks.add(MESSAGE_PUBLISH, lambda message: message.changed(payload=message.payload + b"!"))
    alice = reader(lands["a@x"])
    lands["a@x"].connect("publisher").publish("t", b"x", qos=1)
    assert [payload for _, payload, _ in heard(alice)] == [b"x"]


def test_the_way_that_a_message_came_is_known_after_a_crash() -> None:
    lands = Lands("a@x", "b@x", "c@x")
    lands.bridge("a@x", "b@x", "#")
    waiting = lands.bridge("b@x", "c@x", "#", join=False)
    lands.bridge("c@x", "a@x", "#")
    alice, carol = reader(lands["a@x"]), reader(lands["c@x"])
    lands["a@x"].connect("publisher").publish("t", b"x", qos=1)
    lands["b@x"].crash()
    [waiting] = lands["b@x"].bridges.known.values()
    lands.join("b@x", waiting)
    assert [payload for _, payload, _ in heard(carol)] == [b"x"]
    assert [payload for _, payload, _ in heard(alice)] == [b"x"]


def test_a_message_goes_over_so_many_bridges_and_no_more() -> None:
    names = [f"n{number}@x" for number in range(MOST_HOPS + 2)]
    lands = Lands(*names)
    for here, there in zip(names, names[1:], strict=False):
        lands.bridge(here, there, "#", prefix=b"p/")
    last = reader(lands[names[-2]])
    beyond = reader(lands[names[-1]])
    lands[names[0]].connect("publisher").publish("t", b"x", qos=1)
    assert heard(last) == [(b"p/" * MOST_HOPS + b"t", b"x", 1)]
    assert heard(beyond) == []
    assert lands[names[-1]].dropped() == {"bridge_loop": 1}


def test_what_has_been_at_this_node_is_not_taken() -> None:
    lands = Lands("a@x", "b@x")
    bridge = lands.bridge("a@x", "b@x", "t")
    bob = reader(lands["b@x"])
    bridge.here = "b@x"
    lands["a@x"].connect("alice").publish("t", b"x", qos=1)
    assert heard(bob) == []
    assert lands["b@x"].dropped() == {"bridge_loop": 1}
    assert len(bridge.outbox) == 0


# What cannot be.


def test_a_topic_that_is_too_long_with_its_prefix_is_dropped() -> None:
    lands = Lands("a@x", "b@x")
    bridge = lands.bridge("a@x", "b@x", "#", prefix=b"p/")
    lands["a@x"].connect("alice").publish("t" * 65534, b"x", qos=1)
    assert lands["a@x"].dropped() == {"bridge_topic": 1}
    assert bridge.dropped == 1


@pytest.mark.parametrize(("prefix", "cause"), [(b"$SYS/", "reserved_topic"), (b"a/b/c/", "bridge_topic")])
def test_a_topic_that_is_none_for_the_other_node_is_dropped_there(prefix: bytes, cause: str) -> None:
    lands = Lands("a@x")
    lands.add(Land(lands, "b@x", "mqtt.max_topic_levels = 3"))
    bridge = lands.bridge("a@x", "b@x", "t", prefix=prefix)
    lands["a@x"].connect("alice").publish("t", b"x", qos=1)
    assert lands["b@x"].dropped() == {cause: 1}
    assert len(bridge.outbox) == 0


@pytest.mark.parametrize(("topic_filter", "options", "why"), [
    ("t/#/x", {}, "bad_topic_filter"), ("", {}, "bad_topic_filter"), ("$share/g/t", {}, "bad_topic_filter"),
    ("$local/t", {}, "bad_topic_filter"), ("t", {"prefix": b"+/"}, "bad_prefix_or_suffix"),
    ("t", {"suffix": b"\0"}, "bad_prefix_or_suffix"),
])
def test_a_bridge_that_cannot_be_is_none(topic_filter: str, options: dict[str, Any], why: str) -> None:
    lands = Lands("a@x", "b@x")
    with pytest.raises(BadBridge, match=why):
        lands.bridge("a@x", "b@x", topic_filter, **options)
    assert lands["a@x"].bridges.known == {}


def test_there_is_one_bridge_for_a_filter_and_a_node_and_none_to_itself() -> None:
    lands = Lands("a@x", "b@x", "c@x")
    lands.bridge("a@x", "b@x", "t")
    with pytest.raises(BadBridge, match="already_started"):
        lands.bridge("a@x", "b@x", "t")
    with pytest.raises(BadBridge, match="bridge_to_self"):
        lands.bridge("a@x", "a@x", "t")
    lands.bridge("a@x", "b@x", "u")
    lands.bridge("a@x", "c@x", "t")
    assert list(lands["a@x"].bridges.known) == ["b@x.1", "b@x.2", "c@x.1"]


# Beginning and end.


def test_a_bridge_that_is_stopped_is_gone_with_its_queue_and_its_mark() -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    land = lands["a@x"]
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    near, remote = lands.join("a@x", bridge)
    alice = land.connect("alice")
    alice.publish("t", b"x", qos=1)
    assert len(lands["b@x"].bridges.arrivals.marks) == 1
    remote.stalled = True
    alice.publish("t", b"y", qos=1)
    land.bridges.stop(bridge)
    lands.settle()
    alice.publish("t", b"z", qos=1)
    assert [payload for _, payload, _ in heard(bob)] == [b"x", b"y"]
    assert land.dropped() == {"bridge_stopped": 1, "no_subscribers": 1}
    assert lands["b@x"].bridges.arrivals.marks == {}
    for each in lands["a@x"], lands["b@x"]:
        each.crash()
    assert land.bridges.known == {}
    assert lands["b@x"].bridges.arrivals.marks == {}


def test_a_bridge_that_nothing_has_crossed_is_there_after_a_crash() -> None:
    lands = Lands("a@x", "b@x")
    lands.bridge("a@x", "b@x", "t", join=False)
    lands.settle()
    lands["a@x"].crash()
    assert [each.terms.topic_filter for each in lands["a@x"].bridges.known.values()] == [b"t"]


def test_who_wants_to_know_is_told_of_each_beginning_and_each_end_once() -> None:
    lands = Lands("a@x", "b@x")
    land, told = lands["a@x"], list[int]()
    land.bridges.settle = lambda: told.append(len(land.bridges.known))
    bridge = lands.bridge("a@x", "b@x", "t")
    land.bridges.stop(bridge)
    land.bridges.stop(bridge)
    assert told == [1, 0]


def test_a_bridge_is_no_subscription_of_a_client() -> None:
    lands = Lands("a@x", "b@x")
    land = lands["a@x"]
    land.connect("alice").subscribe("t")
    bridge = lands.bridge("a@x", "b@x", "t")
    assert land.broker.router.subscriptions == 1
    land.bridges.stop(bridge)
    assert land.broker.router.subscriptions == 1


def test_a_stopped_bridge_raises_no_alarm() -> None:
    lands = Lands("a@x", "b@x")
    bridge = lands.bridge("a@x", "b@x", "t", join=False, max_length=10)
    for _ in range(7):
        lands["a@x"].connect("alice").publish("t", b"x", qos=1)
    lands["a@x"].bridges.stop(bridge)
    assert lands["a@x"].witness.told("queue_relieved") == [(bridge.outbox.name, 0)]


def declared(**options: Any) -> BridgeTerms:
    return BridgeTerms("north", "b@x", "10.0.0.1:4370", b"t", **options)


def test_a_bridge_of_the_configuration_keeps_its_queue_and_goes_by_what_is_written_now() -> None:
    lands = Lands("b@x")
    land = lands.add(Land(lands, "a@x", declared=(declared(prefix=b"old/"),)))
    bob = reader(lands["b@x"])
    land.connect("alice").publish("t", b"1", qos=1)
    land.declared = [declared(prefix=b"new/")]
    land.crash()
    land.connect("alice").publish("t", b"2", qos=1)
    [bridge] = land.bridges.known.values()
    lands.join("a@x", bridge)
    assert heard(bob) == [(b"old/t", b"1", 1), (b"new/t", b"2", 1)]
    land.crash()
    assert land.bridges.known["north"].terms.prefix == b"new/"
    assert land.bridges.known["north"].outbox.identity == bridge.outbox.identity


def test_a_bridge_that_was_started_by_hand_is_that_of_the_configuration_once_it_stands_there() -> None:
    lands = Lands("a@x", "b@x")
    land = lands["a@x"]
    lands.bridge("a@x", "b@x", "t")
    land.declared = [declared()]
    land.crash()
    assert list(land.bridges.known) == ["north"]
    land.declared = []
    land.crash()
    assert land.bridges.known == {}


def test_a_bridge_that_stands_in_the_configuration_no_more_is_gone() -> None:
    lands = Lands("b@x")
    land = lands.add(Land(lands, "a@x", declared=(declared(),)))
    land.connect("alice").publish("t", b"1", qos=1)
    land.declared = []
    land.crash()
    assert land.bridges.known == {}
    assert land.dropped() == {"bridge_stopped": 1}
    land.crash()
    assert land.dropped() == {}


def test_queues_of_bridges_are_given_up_by_a_broker_that_has_none() -> None:
    lands = Lands("a@x", "b@x")
    land = lands["a@x"]
    lands.bridge("a@x", "b@x", "t", join=False)
    land.connect("alice").publish("t", b"1", qos=1)
    land.prepare = lambda: None  # type: ignore[method-assign]
    land.crash()
    assert land.broker.sessions.by_id == {}
    del land.prepare
    land.crash()
    assert land.bridges.known == {}


@pytest.mark.parametrize("text", ["", "[]", "{", '["a", 1]', "[1,2,3,4,5,6,null,8,9,10,11]"])
def test_what_cannot_be_read_of_the_store_is_no_bridge(text: str) -> None:
    assert terms_of(text) is None


FIELDS = ("name", "node", "address", "topic_filter", "prefix", "suffix", "qos", "max_length", "max_bytes", "on_full", "by_hand")


def test_the_store_has_all_of_a_bridge() -> None:
    terms = BridgeTerms("name", "b@x", "host:1", "t/ü".encode(), b"p", b"s", 1, 5, 6, "refuse", True)
    read = terms_of(terms.text())
    assert read is not None
    assert [getattr(read, name) for name in FIELDS] == [
        "name", "b@x", "host:1", "t/ü".encode(), b"p", b"s", 1, 5, 6, "refuse", True]


# Links.


def test_of_two_links_of_one_bridge_the_later_one_stays() -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    near, remote = lands.join("a@x", bridge)
    near.peer = None  # this side knows that it is gone, and the other does not yet
    lands["a@x"].bridges.closed(bridge, near.link)
    _, later = lands.join("a@x", bridge)
    assert remote.peer is None
    assert later.peer is not None
    lands["a@x"].connect("alice").publish("t", b"x", qos=1)
    assert heard(bob) == [(b"t", b"x", 1)]


def test_two_bridges_of_nodes_of_one_name_do_not_meet() -> None:
    lands = Lands("b@x")
    bob = reader(lands["b@x"])
    for number in range(2):
        land = lands.add(Land(lands, "a@x"))
        land.starts += 10 * number
        land.bridges._token = lambda number=number: f"token{number}"  # type: ignore[misc]
        lands.bridge("a@x", "b@x", "t")
        land.connect("alice").publish("t", b"%d" % number, qos=1)
    assert [payload for _, payload, _ in heard(bob)] == [b"0", b"1"]
    assert len(lands["b@x"].bridges.arrivals.guests) == 2


def bridged(**values: Any) -> tuple[Any, ...]:
    fields: dict[str, Any] = {"kept": 0, "volatile": 0, "flags": 0, "topic": b"t", "payload": b"x", "properties": b"",
                              "rest": None, "publisher": "", "trail": b"a@x"}
    return (f.BRIDGED, *{**fields, **values}.values())


@pytest.mark.parametrize("frames", [
    [bridged(kept=1)], [(f.GREET, "")], [(f.GREET, "a b")], [(f.GREET, "i"), (f.GREET, "i")],
    [(f.GREET, "i"), bridged(flags=6)], [(f.GREET, "i"), bridged(trail=b"")], [(f.GREET, "i"), bridged(trail=b"x" * 10_000)],
    [(f.GREET, "i"), bridged(properties=b"\x26")],
    [(f.FORWARD, 0, 0, 0, 0, b"t", b"x", b"", None, "", b"")], [(f.STATE, 0, 0, 0)],
])
def test_who_says_what_no_bridge_says_is_not_listened_to(frames: list[Any]) -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    _, remote = lands.join("a@x", bridge)
    guest = lands["b@x"].bridges.welcome("c@x", "c-1", remote.link)
    with pytest.raises(BadFrame):
        lands["b@x"].bridges.take(guest, frames)
    assert bob.all(Publish) == []


@pytest.mark.parametrize("frame", [bridged(), (f.GREET, "i"), (f.MARK, "another", 1, 0), (f.BRIDGE_OVER,)])
def test_a_bridge_leads_one_way(frame: Any) -> None:
    lands = Lands("a@x", "b@x")
    alice = reader(lands["a@x"])
    bridge = lands.bridge("a@x", "b@x", "u")
    with pytest.raises(BadFrame):
        lands["a@x"].bridges.take(bridge, [frame])
    assert alice.all(Publish) == []


def test_a_bridge_that_meets_a_defect_costs_no_publisher() -> None:
    lands = Lands("a@x", "b@x")
    land = lands["a@x"]
    bridge = lands.bridge("a@x", "b@x", "t")
    land.bridges._pack = bridge._leading._pack = broken
    alice = land.connect("alice")
    alice.publish("t", b"x", qos=0)
    assert [name for name, _ in land.witness.told("delivery_failed")] == [bridge.outbox.name]
    assert not bridge.is_up
    alice.publish("u", b"x", qos=1)
    assert alice.one(Puback).reason_code == 0x10


def broken(frame: object) -> bytes:
    raise RuntimeError("broken")


@pytest.mark.parametrize("lane", ["kept", "volatile"])
def test_a_number_is_taken_once_also_over_two_links(lane: str) -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    _, old = lands.join("a@x", bridge)
    _, new = lands.join("a@x", bridge)
    for number in (1, 1, 2):
        lands["b@x"].bridges.take(new.peer, [bridged(**{lane: number, "payload": b"%d" % number})])  # type: ignore[arg-type]
    lands.settle()
    assert bob.payloads() == [b"1", b"2"]
    assert old.peer is None


def test_properties_that_do_not_cross_are_left_out() -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    bridge = lands.bridge("a@x", "b@x", "t", join=False)
    _, remote = lands.join("a@x", bridge)
    lands["b@x"].bridges.take(remote.peer, [bridged(properties=b"\x0b\1\x23\0\1\x03\0\1a")])  # type: ignore[arg-type]
    lands.settle()
    assert encode_properties(bob.one(Publish).properties) == encode_properties(properties(content_type="a"))


def test_a_message_of_the_broker_itself_crosses() -> None:
    lands = Lands("a@x", "b@x")
    bob = reader(lands["b@x"])
    lands.bridge("a@x", "b@x", "$SYS/#", prefix=b"of/a/")
    lands["a@x"].broker.publish(Message(b"$SYS/uptime", b"1"))
    lands.settle()
    assert heard(bob) == [(b"of/a/$SYS/uptime", b"1", 0)]
