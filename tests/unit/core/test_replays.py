"""Retained messages on their way to a session that cannot take them all at once."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Puback, Publish, Subscribe
from tests.peers import Peer, World

NOT_AGAIN = 0x20  # Retain Handling 2
IF_NEW = 0x10  # Retain Handling 1


def retained_world(count: int, *lines: str) -> World:
    """A broker that retains `t/0` to `t/<count - 1>`."""
    world = World(*lines)
    publisher = world.connect("publisher")
    for number in range(count):
        publisher.publish(f"t/{number}", b"%d" % number, retain=True, qos=1)
    return world


def take_all(peer: Peer) -> list[bytes]:
    """Acknowledge until nothing more comes; the payloads."""
    payloads = []
    while publishes := [packet for packet in peer.received() if isinstance(packet, Publish)]:
        payloads += [publish.payload for publish in publishes]
        peer.acknowledge(*publishes)
    return payloads


@pytest.mark.mqtt5("3.3.1-9")
def test_subscribing_again_without_retained_messages_keeps_those_still_owed() -> None:
    for handling in (NOT_AGAIN, IF_NEW):
        reader = retained_world(3).connect("reader", receive_maximum=1)
        reader.subscribe("t/#", qos=1)
        reader.subscribe("t/#", qos=1, options=handling)
        assert sorted(take_all(reader)) == [b"0", b"1", b"2"]


def test_what_is_still_owed_comes_as_the_newest_subscription_says() -> None:
    reader = retained_world(2).connect("reader", receive_maximum=1)
    reader.subscribe("t/#", qos=1, identifier=1)
    reader.subscribe("t/#", qos=1, options=NOT_AGAIN, identifier=2)
    first = reader.one(Publish)
    assert first.properties is not None
    assert first.properties.subscription_identifiers == [1]
    reader.acknowledge(first)
    second = reader.one(Publish)
    assert second.properties is not None
    assert second.properties.subscription_identifiers == [2]


def test_subscribing_again_begins_again_and_does_not_add() -> None:
    world = retained_world(3)
    reader = world.connect("reader")
    reader.stall()
    for _ in range(5):
        reader.subscribe("t/#", qos=1)
    assert len(world.session("reader").replays) == 1
    reader.relieve()
    assert sorted(take_all(reader)) == [b"0", b"1", b"2"]


def test_unsubscribing_ends_the_replay() -> None:
    reader = retained_world(3).connect("reader", receive_maximum=1)
    reader.subscribe("t/#", qos=1)
    reader.unsubscribe("t/#")
    assert len(take_all(reader)) == 1


def test_many_filters_do_not_get_more_than_one_filter_in_a_turn() -> None:
    world = retained_world(9, "retainer.replay_batch = 2")
    reader = world.connect("reader")
    packet = Subscribe(1, [(b"t/#", 0), (b"t/+", 0), (b"#", 0), (b"+/+", 0), (b"+/#", 0)])
    reader.write(encode(packet, reader.version))
    sent = []
    while world.flush():
        sent.append(sum(isinstance(packet, Publish) for packet in reader.received()))
    assert max(sent) == 2
    assert sum(sent) == 5 * 9


@pytest.mark.mqtt5("3.8.3-3")
def test_no_local_holds_for_retained_messages() -> None:
    world = retained_world(1)
    own = world.connect("own")
    own.publish("t/own", b"mine", retain=True)
    own.subscribe("t/#", options=c.OPTION_NO_LOCAL)
    assert own.payloads() == [b"0"]


@pytest.mark.mqtt5("3.8.3-3")
def test_a_session_that_would_not_get_its_own_message_cannot_make_it_be_refused() -> None:
    world = World("mqtt.mqueue.max_length = 1")
    own = world.connect("own", session_expiry_interval=60, receive_maximum=1)
    own.subscribe("t/#", qos=1, options=c.OPTION_NO_LOCAL)
    other = world.connect("other")
    other.publish("t/1", b"in flight", qos=1)
    other.publish("t/1", b"fills the queue", qos=1)
    own.received()
    own.publish("t/1", b"mine", qos=1)
    assert own.answer(Puback)[1] == c.SUCCESS
