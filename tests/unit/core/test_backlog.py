"""The rules of a session's queue: what a full one does, its bounds, watermarks, and who is refused."""
from typing import Any

import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Puback, Publish
from tests.peers import Peer, World

LASTING: dict[str, Any] = {"clean_start": False, "session_expiry_interval": 1000}


def bob_away(world: World, qos: int = 1) -> None:
    """A persistent session, subscribed to everything, without its client."""
    bob = world.connect("bob", **LASTING)
    bob.subscribe("#", qos=qos)
    bob.drop()


def bob_slow(world: World) -> Peer:
    """A session that ends with its connection, whose client does not read."""
    bob = world.connect("bob")
    bob.subscribe("#", qos=1)
    bob.stall()
    return bob


def publish(world: World, *payloads: bytes, topic: str = "a", qos: int = 1, **values: Any) -> list[int]:
    """From another client; the reason codes of the acknowledgements."""
    alice = world.connect("alice")
    for payload in payloads:
        alice.publish(topic, payload, qos=qos, **values)
    return [packet.reason_code for packet in alice.all(Puback)]


def kept(world: World) -> list[bytes]:
    return world.connect("bob", **LASTING).payloads()


# A full queue.

def test_refuse_keeps_what_was_acknowledged() -> None:  # the default; promise 1
    world = World("mqtt.mqueue.max_length = 2")
    bob_away(world)
    assert publish(world, b"1", b"2", b"3") == [0, 0, c.QUOTA_EXCEEDED]
    assert kept(world) == [b"1", b"2"]
    assert world.drops == {causes.QUEUE_FULL_REFUSED: 1}


def test_refuse_drops_what_nobody_was_promised_to_get() -> None:
    world = World("mqtt.mqueue.max_length = 2")
    bob_away(world)
    publish(world, b"1", b"2")
    publish(world, b"0", qos=0)
    world.broker.publish(world.broker.local_message("a", b"local", 1, False, b"", 1e9))
    assert kept(world) == [b"1", b"2"]
    assert world.drops == {causes.QUEUE_FULL: 2}


@pytest.mark.parametrize("rule", ["refuse", "drop_oldest"])
def test_a_session_that_ends_with_its_connection_drops_its_oldest(rule: str) -> None:
    world = World("mqtt.mqueue.max_length = 2", f"mqtt.mqueue.on_full = {rule}")
    bob = bob_slow(world)
    assert publish(world, b"1", b"2", b"3", b"4") == [0, 0, 0, 0]
    bob.relieve()
    assert bob.payloads() == [b"3", b"4"]
    assert world.drops == {causes.QUEUE_FULL: 2}


def test_drop_oldest_drops_the_oldest() -> None:
    world = World("mqtt.mqueue.max_length = 2", "mqtt.mqueue.on_full = drop_oldest")
    bob_away(world)
    assert publish(world, b"1", b"2", b"3") == [0, 0, 0]
    assert kept(world) == [b"2", b"3"]
    assert world.drops == {causes.QUEUE_FULL: 1}


@pytest.mark.parametrize("away", [True, False])
def test_drop_newest_drops_the_newest(away: bool) -> None:
    world = World("mqtt.mqueue.max_length = 2", "mqtt.mqueue.on_full = drop_newest")
    bob = None
    if away:
        bob_away(world)
    else:
        bob = bob_slow(world)
    assert publish(world, b"1", b"2", b"3") == [0, 0, 0]
    if bob is not None:
        bob.relieve()
    assert (kept(world) if bob is None else bob.payloads()) == [b"1", b"2"]
    assert world.drops == {causes.QUEUE_FULL: 1}


def test_a_full_window_fills_the_queue_too() -> None:
    world = World("mqtt.mqueue.max_length = 1")
    bob = world.connect("bob", receive_maximum=1, **LASTING)
    bob.subscribe("#", qos=1)
    assert publish(world, b"1", b"2", b"3") == [0, 0, c.QUOTA_EXCEEDED]
    first = bob.one(Publish)
    bob.acknowledge(first)
    assert publish(world, b"4") == [0]
    second = bob.one(Publish)
    bob.acknowledge(second)
    assert [first.payload, second.payload, *bob.payloads()] == [b"1", b"2", b"4"]


def test_room_in_the_window_refuses_nothing() -> None:
    world = World("mqtt.mqueue.max_length = 1")
    bob_away(world)
    publish(world, b"1")
    bob = world.connect("bob", **LASTING)
    assert publish(world, *[b"x"] * 5) == [0] * 5
    assert len(bob.all(Publish)) == 6


def test_what_expired_is_dropped_before_what_did_not() -> None:
    world = World("mqtt.mqueue.max_length = 2", "mqtt.mqueue.on_full = drop_oldest")
    bob_away(world)
    publish(world, b"1")
    publish(world, b"2", message_expiry_interval=5)
    world.advance(5)
    publish(world, b"3")
    assert kept(world) == [b"1", b"3"]
    assert world.drops == {causes.EXPIRED: 1}


# Bytes.

def test_a_queue_is_bounded_in_bytes() -> None:
    world = World("mqtt.mqueue.max_bytes = 4KB", "mqtt.max_packet_size = 2KB")
    bob_away(world)
    assert publish(world, *[bytes(1000)] * 4) == [0, 0, c.QUOTA_EXCEEDED, c.QUOTA_EXCEEDED]
    assert publish(world, b"small") == [0]
    assert len(kept(world)) == 3


def test_a_message_larger_than_the_whole_queue_is_refused_and_not_lost() -> None:  # promise 1
    world = World("mqtt.mqueue.max_bytes = 1KB")
    bob_away(world)
    assert publish(world, bytes(2000)) == [c.QUOTA_EXCEEDED]
    assert world.drops == {causes.QUEUE_FULL_REFUSED: 1}
    bob = world.connect("bob", **LASTING)
    assert publish(world, bytes(2000)) == [0]  # it need not wait
    assert bob.payloads() == [bytes(2000)]


def test_a_queue_that_is_empty_again_is_not_crowded_any_more() -> None:
    for end in ("drained", "ended"):
        world = World("mqtt.mqueue.max_length = 2")
        bob_away(world)
        publish(world, b"1", b"2")
        assert world.broker.circle.crowded == {"bob"}
        world.connect("bob", clean_start=end == "ended")
        assert world.broker.circle.crowded == set()


# Watermarks.

def test_the_watermarks_are_told_once_each() -> None:
    world = World("mqtt.mqueue.max_length = 10", "mqtt.mqueue.high_watermark = 60%", "mqtt.mqueue.low_watermark = 20%")
    bob_away(world)
    publish(world, *[b"x"] * 6)
    assert world.witness.told("queue_filling") == []
    publish(world, *[b"x"] * 4)
    assert world.witness.told("queue_filling") == [("bob", 7)]
    bob = world.connect("bob", receive_maximum=1, **LASTING)
    for left in range(9, 1, -1):
        assert world.witness.told("queue_relieved") == []
        assert world.session("bob").queued() == left
        bob.acknowledge(bob.one(Publish))
    assert world.witness.told("queue_relieved") == [("bob", 1)]
    assert world.witness.told("queue_filling") == [("bob", 7)]


def test_a_queue_that_ends_full_is_told_to_be_relieved() -> None:
    world = World("mqtt.mqueue.max_length = 10")
    bob_away(world)
    publish(world, *[b"x"] * 8)
    world.connect("bob")
    assert world.witness.told("queue_relieved") == [("bob", 0)]
    assert world.drops == {causes.SESSION_ENDED: 8}


def test_expiry_relieves_a_queue_too() -> None:
    world = World("mqtt.mqueue.max_length = 10")
    bob_away(world)
    publish(world, *[b"x"] * 10, message_expiry_interval=5)
    world.advance(5)
    publish(world, b"y")
    assert world.witness.told("queue_relieved") == [("bob", 0)]


# Kind `priority`.

def test_topics_of_a_higher_priority_go_first() -> None:
    world = World("mqtt.mqueue.type = priority", "mqtt.mqueue.priority = alarm=9, note=1")
    bob_away(world)
    for topic in ("plain", "note", "alarm", "note", "alarm"):
        publish(world, topic.encode(), topic=topic)
    assert kept(world) == [b"alarm", b"alarm", b"note", b"note", b"plain"]


def test_in_a_priority_queue_each_topic_has_its_own_bound() -> None:
    world = World("mqtt.mqueue.type = priority", "mqtt.mqueue.max_length = 2")
    bob_away(world)
    assert publish(world, b"1", b"2", b"3", topic="a") == [0, 0, c.QUOTA_EXCEEDED]
    assert publish(world, b"1", b"2", b"3", topic="b") == [0, 0, c.QUOTA_EXCEEDED]


# The count of QoS 0 messages, which later ones must not overtake.

@pytest.mark.parametrize("rule", ["drop_oldest", "drop_newest", "refuse"])
def test_when_no_qos_0_message_waits_any_more_the_next_is_sent_at_once(rule: str) -> None:
    world = World("mqtt.mqueue.max_length = 2", f"mqtt.mqueue.on_full = {rule}")
    bob = world.connect("bob", receive_maximum=1, **LASTING)
    bob.subscribe("#", qos=1)
    bob.stall()
    publish(world, b"0", b"0", b"0", qos=0)
    publish(world, b"1")
    bob.relieve()
    bob.received()
    publish(world, b"1", b"1")  # the window is full now
    bob.received()
    publish(world, b"direct", qos=0)
    assert bob.payloads() == [b"direct"]


def test_expired_qos_0_messages_do_not_wait_any_more() -> None:
    world = World("mqtt.mqueue.max_length = 2")
    bob = world.connect("bob", receive_maximum=1, **LASTING)
    bob.subscribe("#", qos=1)
    publish(world, b"1", b"2")
    bob.stall()
    publish(world, b"0", qos=0, message_expiry_interval=5)
    world.advance(5)
    publish(world, b"3")  # takes the place of the expired one
    bob.relieve()
    bob.received()
    publish(world, b"direct", qos=0)
    assert bob.payloads() == [b"direct"]


def test_a_cleared_queue_holds_up_no_qos_0_message() -> None:
    world = World()
    bob = bob_slow(world)
    publish(world, b"0", qos=0)
    bob.drop()
    bob = world.connect("bob")
    bob.subscribe("#")
    publish(world, b"direct", qos=0)
    assert bob.payloads() == [b"direct"]


def test_a_live_change_holds_for_new_sessions() -> None:
    world = World("mqtt.mqueue.max_length = 1")
    for client_id in ("old", "new"):
        if client_id == "new":
            world.configure("mqtt.mqueue.max_length = 3")
        peer = world.connect(client_id, **LASTING)
        peer.subscribe(client_id, qos=1)
        peer.drop()
        publish(world, b"1", topic=client_id)
    assert publish(world, b"2", topic="old") == [c.QUOTA_EXCEEDED]
    assert publish(world, b"2", b"3", b"4", topic="new") == [0, 0, c.QUOTA_EXCEEDED]
