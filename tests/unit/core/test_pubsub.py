"""Retained messages on their way to subscribers, and fan-out over many receivers."""
from typing import Any

import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Disconnect, Puback, Publish, Suback, Subscribe
from tests.peers import Peer, World, every_version, properties

LASTING: dict[str, Any] = {"clean_start": False, "session_expiry_interval": 1000}
AT_NEW, NEVER = 0x10, 0x20  # Retain Handling 1 and 2
NO_LOCAL = c.OPTION_NO_LOCAL


def retain(world: World, *topics: str, payload: bytes = b"x", qos: int = 1, **values: Any) -> None:
    """Retained messages from a client that goes again."""
    alice = world.connect("alice")
    for topic in topics:
        alice.publish(topic, payload, qos=qos, retain=True, **values)
    alice.disconnect()


def topics(peer: Peer) -> list[bytes]:
    publishes = peer.all(Publish)
    assert all(publish.retain for publish in publishes)
    return sorted([publish.topic_name for publish in publishes])


# Stored and replayed.

@every_version
@pytest.mark.mqtt5("3.3.1-8", "3.3.1-9")
@pytest.mark.mqtt3("3.3.1-8")
def test_a_new_subscription_gets_the_retained_message_with_retain_1(version: int) -> None:
    world = World()
    retain(world, "a/b", payload=b"kept")
    bob = world.connect("bob", version=version)
    bob.subscribe("a/b", qos=2)
    publish = bob.one(Publish)
    assert (publish.payload, publish.retain, publish.qos, publish.dup) == (b"kept", True, 1, False)


@pytest.mark.mqtt5("3.8.4-4")
def test_the_retained_message_follows_the_suback() -> None:
    world = World()
    retain(world, "a")
    bob = world.connect("bob")
    bob.send(Subscribe(1, [(b"a", 0)]))
    assert [type(packet) for packet in bob.received()] == [Suback, Publish]


@pytest.mark.parametrize("topic_filter", ["a/b", "a/+", "#", "+/b/#"])
def test_all_that_match_are_replayed(topic_filter: str) -> None:
    world = World()
    retain(world, "a/b", "a/c", "b", "b/b", "b/b/c", "$me/b")
    bob = world.connect("bob")
    bob.subscribe(topic_filter)
    wanted = {"a/b": [b"a/b"], "a/+": [b"a/b", b"a/c"], "#": [b"a/b", b"a/c", b"b", b"b/b", b"b/b/c"],
              "+/b/#": [b"a/b", b"b/b", b"b/b/c"]}
    assert topics(bob) == wanted[topic_filter]


@every_version
@pytest.mark.mqtt5("3.3.1-5", "3.3.1-8")
def test_a_retained_message_is_replaced(version: int) -> None:
    world = World()
    alice = world.connect("alice", version=version)
    alice.publish("a", b"old", retain=True)
    alice.publish("a", b"new", retain=True)
    alice.publish("a", b"passing")  # [MQTT-3.3.1-8]
    bob = world.connect("bob")
    bob.subscribe("a")
    assert bob.payloads() == [b"new"]


@every_version
@pytest.mark.mqtt5("3.3.1-6", "3.3.1-7")
def test_an_empty_payload_deletes_and_is_delivered(version: int) -> None:
    world = World()
    carol = world.connect("carol")
    carol.subscribe("a")
    alice = world.connect("alice", version=version)
    alice.publish("a", b"kept", retain=True)
    alice.publish("a", b"", retain=True)
    assert carol.payloads() == [b"kept", b""]
    bob = world.connect("bob")
    bob.subscribe("a")
    assert bob.received() == []
    assert len(world.broker.retained) == 0


@pytest.mark.mqtt5("3.3.1-8")
def test_an_empty_payload_that_is_not_retained_deletes_nothing() -> None:
    world = World()
    retain(world, "a")
    world.connect("alice").publish("a", b"")
    assert len(world.broker.retained) == 1


@pytest.mark.mqtt3("3.1.2-7")
def test_a_retained_message_outlives_its_publishers_session() -> None:
    world = World()
    retain(world, "a", payload=b"kept")
    world.advance(1e6)
    bob = world.connect("bob")
    bob.subscribe("a")
    assert bob.payloads() == [b"kept"]


def test_a_retained_message_keeps_its_properties() -> None:
    world = World()
    retain(world, "a", content_type="text/plain", user_properties=[("b", "1"), ("a", "2")])
    bob = world.connect("bob")
    bob.subscribe("a", identifier=5)
    made = bob.one(Publish).properties
    assert made is not None
    assert (made.content_type, made.user_properties, made.subscription_identifiers) == (
        "text/plain", [("b", "1"), ("a", "2")], [5])


def test_an_overlapping_subscription_gets_its_own_replay() -> None:
    world = World()
    retain(world, "a", qos=2)
    bob = world.connect("bob")
    bob.send(Subscribe(1, [(b"a", 1), (b"+", 2)], properties(subscription_identifiers=[3])))
    assert sorted([packet.qos for packet in bob.received() if isinstance(packet, Publish)]) == [1, 2]


def test_the_limits_of_retained_messages_are_counted() -> None:
    world = World("retainer.max_message_num = 2", "retainer.max_payload_size = 5")
    retain(world, "a", "b", "c", qos=0)
    retain(world, "a", payload=bytes(6), qos=0)
    assert world.drops == {causes.RETAINED_TOO_MANY: 1, causes.RETAINED_TOO_LARGE: 1, causes.NO_SUBSCRIBERS: 4}
    bob = world.connect("bob")
    bob.subscribe("#")
    assert topics(bob) == [b"a", b"b"]


def test_replacing_and_deleting_are_no_matter_of_number() -> None:
    world = World("retainer.max_message_num = 1")
    retain(world, "a", payload=b"1")
    retain(world, "a", payload=b"2")
    retain(world, "a", payload=b"")
    retain(world, "b", payload=b"3")
    bob = world.connect("bob")
    bob.subscribe("#")
    assert bob.payloads() == [b"3"]


# Expiry.

@pytest.mark.mqtt5("3.3.2-5", "3.3.2-6")
def test_a_retained_message_expires() -> None:
    world = World()
    retain(world, "a", "b", message_expiry_interval=30)
    retain(world, "b")
    world.advance(29.5)
    bob = world.connect("bob")
    bob.subscribe("a")
    made = bob.one(Publish).properties
    assert made is not None
    assert made.message_expiry_interval == 1  # [MQTT-3.3.2-6]
    world.advance(0.5)
    assert len(world.broker.retained) == 1
    bob.subscribe("+")
    assert topics(bob) == [b"b"]


@pytest.mark.mqtt5("3.3.2-5")
def test_a_retained_message_that_expired_is_not_replayed_before_the_next_tick_either() -> None:
    world = World()
    retain(world, "a", message_expiry_interval=30)
    world.turn.now += 30
    bob = world.connect("bob")
    bob.subscribe("a")
    assert bob.received() == []


# Retain Handling.

@pytest.mark.mqtt5("3.3.1-9", "3.8.4-4")
def test_retain_handling_0_replays_at_every_subscribe() -> None:
    world = World()
    retain(world, "a")
    bob = world.connect("bob")
    for _ in range(2):
        bob.subscribe("a")
        assert topics(bob) == [b"a"]


@pytest.mark.mqtt5("3.3.1-10")
def test_retain_handling_1_replays_to_new_subscriptions_alone() -> None:
    world = World()
    retain(world, "a")
    bob = world.connect("bob", **LASTING)
    bob.subscribe("a", options=AT_NEW)
    assert topics(bob) == [b"a"]
    bob.subscribe("a", options=AT_NEW)
    bob.drop()
    bob = world.connect("bob", **LASTING)
    bob.subscribe("a", options=AT_NEW)
    assert bob.received() == []
    bob.unsubscribe("a")
    bob.subscribe("a", options=AT_NEW)
    assert topics(bob) == [b"a"]


@pytest.mark.mqtt5("3.3.1-11")
def test_retain_handling_2_replays_nothing() -> None:
    world = World()
    retain(world, "a")
    bob = world.connect("bob")
    bob.subscribe("a", options=NEVER)
    assert bob.received() == []


@pytest.mark.mqtt5("3.8.3-3")
def test_no_local_holds_for_replays_too() -> None:
    world = World()
    bob = world.connect("bob")
    bob.publish("a/own", b"x", retain=True)
    retain(world, "a/foreign")
    bob.subscribe("a/+", options=NO_LOCAL)
    assert topics(bob) == [b"a/foreign"]


# A few at a time.

def test_a_replay_gives_way_to_others() -> None:
    world = World("retainer.replay_batch = 2")
    retain(world, *[f"a/{number}" for number in range(5)])
    bob = world.connect("bob")
    bob.write(encode(Subscribe(1, [(b"a/+", 0)]), 5))
    seen = []
    while world.flush():
        seen.append(len([packet for packet in bob.received() if isinstance(packet, Publish)]))
    assert [count for count in seen if count] == [2, 2, 1]


def test_one_replay_does_not_delay_another() -> None:
    world = World("retainer.replay_batch = 2")
    retain(world, *[f"a/{number}" for number in range(9)])
    bob, carol = world.connect("bob"), world.connect("carol")
    for peer in (bob, carol):
        peer.write(encode(Subscribe(1, [(b"a/+", 0)]), 5))
    world.flush()
    assert [len(peer.received()) for peer in (bob, carol)] == [3, 3]  # the SUBACK too


def test_a_replay_waits_for_the_window() -> None:
    world = World("mqtt.session.max_inflight = 2")
    retain(world, *[f"a/{number}" for number in range(7)])
    bob = world.connect("bob")
    bob.subscribe("a/+", qos=1)
    seen = []
    while publishes := bob.all(Publish):
        assert len(publishes) <= 2
        seen += [publish.topic_name for publish in publishes]
        bob.send(*[Puback(publish.packet_id) for publish in publishes])
    assert sorted(seen) == [b"a/%d" % number for number in range(7)]
    assert world.session("bob").queued() == 0


def test_a_replay_waits_for_a_client_that_does_not_read() -> None:
    world = World()
    retain(world, "a", "b", "c")
    bob = world.connect("bob")
    bob.stall()
    bob.subscribe("#")
    assert bob.received() == []
    assert world.session("bob").queued() == 0
    bob.relieve()
    assert topics(bob) == [b"a", b"b", b"c"]


def test_a_replay_goes_on_after_a_resume() -> None:
    world = World()
    retain(world, "a", "b", "c")
    bob = world.connect("bob", receive_maximum=1, **LASTING)
    bob.subscribe("#", qos=1)
    first = bob.one(Publish)
    bob.acknowledge(first)
    bob.received()
    bob.drop()
    bob = world.connect("bob", **LASTING)
    assert topics(bob) == [b"b", b"c"]


@pytest.mark.parametrize("change", ["unsubscribe", "retain handling 2"])
def test_a_replay_ends_with_its_subscription(change: str) -> None:
    world = World()
    retain(world, "a", "b", "c")
    bob = world.connect("bob", receive_maximum=1)
    bob.subscribe("#", qos=1)
    first = bob.one(Publish)
    bob.unsubscribe("#")
    if change != "unsubscribe":
        bob.subscribe("#", qos=1, options=NEVER)
    bob.acknowledge(first)
    assert bob.received() == []


def test_two_replays_of_one_client_both_end() -> None:
    world = World("retainer.replay_batch = 1")
    retain(world, "a/1", "a/2", "b/1", "b/2")
    bob = world.connect("bob", receive_maximum=1)
    bob.send(Subscribe(1, [(b"a/+", 1), (b"b/+", 1)]))
    seen = []
    while publishes := [packet for packet in bob.received() if isinstance(packet, Publish)]:
        seen += [publish.topic_name for publish in publishes]
        bob.acknowledge(*publishes)
    assert sorted(seen) == [b"a/1", b"a/2", b"b/1", b"b/2"]


def test_a_retained_message_that_is_too_large_for_the_client_is_left_out() -> None:
    world = World()
    retain(world, "a", payload=bytes(100))
    retain(world, "b")
    bob = world.connect("bob", maximum_packet_size=50)
    bob.subscribe("#", qos=1)
    assert topics(bob) == [b"b"]
    assert world.drops[causes.TOO_LARGE_FOR_CLIENT] == 1


def test_a_client_that_goes_amid_its_replay_leaves_nothing() -> None:
    world = World()
    retain(world, "a", "b")
    bob = world.connect("bob")
    bob.write(encode(Subscribe(1, [(b"#", 0)]), 5))
    bob.drop()
    world.settle()
    assert world.broker.sessions.by_id == {}


def test_a_defect_amid_a_replay_costs_the_receiver_alone() -> None:
    world = World("mqtt.mqueue.store_qos0 = off")
    retain(world, "a", "b", payload=bytes(100))
    bob, carol = world.connect("bob", maximum_packet_size=95), world.connect("carol")
    del world.broker.metrics.drops[causes.TOO_LARGE_FOR_CLIENT]  # so that counting what bob cannot take fails
    bob.write(encode(Subscribe(1, [(b"#", 0)]), 5))
    carol.write(encode(Subscribe(1, [(b"#", 0)]), 5))
    world.settle()
    carol.received()
    assert [packet.reason_code for packet in bob.received() if isinstance(packet, Disconnect)] == [0x83]
    assert [client_id for client_id, _ in world.witness.told("delivery_failed")] == ["bob"]
    assert causes.QOS_0_NOT_STORED not in world.drops  # the rest of the replay was not tried
    carol.subscribe("#")
    assert topics(carol) == [b"a", b"b"]
