"""Statements of 3.1.1 whose likes other files show for 5.0 clients alone."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Publish, Pubrec, Pubrel, Unsuback, Unsubscribe, Will
from tests.peers import World, before_5
from tests.scenes import arrive, bob_subscribed, mourner, publish, reader


@before_5
@pytest.mark.mqtt3("3.1.2-16")
def test_a_will_that_is_not_retained_is_not(version: int) -> None:
    world = World()
    world.connect("alice", version=version, will=Will(b"will", b"last words")).drop()
    assert mourner(world).received() == []


@before_5
@pytest.mark.mqtt3("3.2.2-4", "3.2.2-5")
def test_a_refusal_has_no_session_present_and_closes(version: int) -> None:
    world = World()
    arrive(world, version, "alice").drop()
    peer = world.peer(loopback=False)
    connack = peer.connect("alice", version=version, clean_start=False)
    assert (connack.session_present, connack.reason_code, peer.closed) == (False, c.REFUSED_NOT_AUTHORIZED, True)


@before_5
@pytest.mark.mqtt3("3.3.1-9")
def test_retain_is_0_in_what_was_published_after_the_subscription(version: int) -> None:
    world = World()
    bob = bob_subscribed(world, version, 1)
    publish(world, b"x", qos=1, retain=True)
    message = bob.one(Publish)
    assert (message.qos, message.retain) == (1, False)


@before_5
@pytest.mark.mqtt3("3.10.4-1", "3.10.4-6")
def test_filters_of_one_unsubscribe_are_compared_character_by_character(version: int) -> None:
    world = World()
    bob = world.connect("bob", version=version)
    bob.subscribe("a/+", "b", "c")
    bob.send(Unsubscribe(7, [b"a/b", b"a/#", b"A/+", b"b", b"c"]))
    assert bob.one(Unsuback).packet_id == 7
    for topic in ("a/b", "b", "c"):
        world.connect("alice").publish(topic, topic.encode())
    assert bob.payloads() == [b"a/b"]


@before_5
@pytest.mark.mqtt3("4.1.0-1", "4.1.0-2")
def test_a_session_lasts_as_long_as_its_connection(version: int) -> None:
    world = World("mqtt.session.expiry_interval = 1h")
    bob = bob_subscribed(world, version)
    bob.drop()
    world.advance(3599)
    bob = arrive(world, version)
    assert not world.broker.sessions._deadlines
    world.advance(1e6)
    publish(world, b"x")
    assert bob.payloads() == [b"x"]


@before_5
@pytest.mark.mqtt3("4.6.0-4")
def test_pubrels_are_sent_again_in_the_order_of_their_pubrecs(version: int) -> None:
    world = World()
    bob = bob_subscribed(world, version)
    publish(world, b"1", b"2", b"3", qos=2)
    bob.send(Pubrec(3), Pubrec(1), Pubrec(2))
    bob.drop()
    assert [pubrel.packet_id for pubrel in arrive(world, version).all(Pubrel)] == [3, 1, 2]


@before_5
@pytest.mark.mqtt3("4.6.0-5", "4.6.0-6")
def test_messages_keep_their_order_whatever_their_qos(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice", version=version)
    alice.send(*[Publish(b"a", bytes((n,)), n % 3, packet_id=n + 1 if n % 3 else 0) for n in range(9)])
    assert bob.payloads() == [bytes((n,)) for n in range(9)]
