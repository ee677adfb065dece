"""Messages that expire, that are too large, that nobody reads, that end with their session; and defects."""
import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Disconnect, Publish, Pubrec
from tests.peers import World, every_version
from tests.scenes import acknowledged, arrive, bob_subscribed, brief, publish

# Message Expiry.

def expiry_of(message: Publish) -> int | None:
    return message.properties.message_expiry_interval if message.properties is not None else None


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt5("3.3.2-6")
def test_the_expiry_interval_counts_down_while_a_message_waits(qos: int) -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"x", qos=qos, message_expiry_interval=30)
    assert expiry_of(bob.one(Publish)) == 30
    bob.drop()
    publish(world, b"y", qos=qos, message_expiry_interval=30)
    world.advance(12.5)
    assert expiry_of(arrive(world).all(Publish)[-1]) == 18


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt5("3.3.2-5")
def test_a_message_that_expired_while_it_waited_is_dropped(qos: int) -> None:
    world = World()
    bob_subscribed(world).drop()
    publish(world, b"x", qos=qos, message_expiry_interval=30)
    publish(world, b"y", qos=qos)
    world.advance(30)
    assert arrive(world).payloads() == [b"y"]
    assert world.drops == {causes.EXPIRED: 1}
    backlog = world.session("bob").backlog
    assert backlog is not None
    assert (backlog.entered, backlog.dropped) == (2, 1)


def test_a_message_without_expiry_interval_does_not_expire() -> None:
    world = World()
    arrive(world)
    bob_subscribed(world, session_expiry_interval=c.SESSION_NEVER_EXPIRES).drop()
    publish(world, b"x")
    world.advance(7 * 86400 - 1)
    message = arrive(world).one(Publish)
    assert (message.payload, expiry_of(message)) == (b"x", None)


@acknowledged
@pytest.mark.mqtt5("4.3.3-7")
def test_a_message_that_was_sent_does_not_expire_any_more(qos: int) -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"x", qos=qos, message_expiry_interval=30)
    bob.drop()
    world.advance(60)
    message = arrive(world).one(Publish)
    assert (message.payload, message.dup, expiry_of(message)) == (b"x", True, 0)


def test_an_expiry_interval_of_0_is_for_those_who_are_there() -> None:
    world = World()
    bob_subscribed(world).drop()
    carol = world.connect("carol")
    carol.subscribe("a", qos=1)
    publish(world, b"x", message_expiry_interval=0)
    assert expiry_of(carol.one(Publish)) == 0
    assert arrive(world).received() == []
    assert world.drops == {causes.EXPIRED: 1}


def test_an_expired_message_leaves_its_place_in_the_window() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"1")
    publish(world, b"2", message_expiry_interval=5)
    publish(world, b"3")
    first = bob.one(Publish)
    world.advance(5)
    bob.acknowledge(first)
    assert bob.payloads() == [b"3"]


def test_two_clients_see_their_own_remaining_time() -> None:
    world = World()
    bob = bob_subscribed(world)
    carol = world.connect("carol")
    carol.subscribe("a", qos=1)
    bob.drop()
    publish(world, b"x", message_expiry_interval=30)
    assert expiry_of(carol.one(Publish)) == 30
    world.advance(10)
    assert expiry_of(arrive(world).one(Publish)) == 20


# Maximum Packet Size.

@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt5("3.1.2-24", "3.1.2-25")
def test_what_is_too_large_for_a_client_is_dropped_as_if_it_had_been_sent(qos: int) -> None:
    world = World()
    bob = bob_subscribed(world, maximum_packet_size=30, receive_maximum=1)
    header = 2 + 3 + 1 + (2 if qos else 0)  # fixed header, topic, Property Length, identifier
    publish(world, bytes(31 - header), qos=qos)
    assert bob.received() == []
    assert world.drops == {causes.TOO_LARGE_FOR_CLIENT: 1}
    publish(world, bytes(30 - header), qos=qos)
    assert len(bob.one(Publish).payload) == 30 - header
    assert not bob.closed


@pytest.mark.parametrize("qos", [0, 1])
def test_what_waited_and_is_too_large_is_dropped(qos: int) -> None:
    world = World()
    bob_subscribed(world).drop()
    publish(world, bytes(100), b"x", qos=qos)
    assert arrive(world, maximum_packet_size=50).payloads() == [b"x"]
    assert world.drops == {causes.TOO_LARGE_FOR_CLIENT: 1}


@pytest.mark.mqtt5("3.1.2-24", "3.1.2-25")
def test_what_is_in_flight_and_too_large_after_a_resume_is_dropped() -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, bytes(100), b"x")
    bob.drop()
    bob = arrive(world, maximum_packet_size=50, receive_maximum=1)
    assert brief([bob.one(Publish)]) == [(2, b"x", True)]
    assert world.drops == {causes.TOO_LARGE_FOR_CLIENT: 1}


@pytest.mark.parametrize("less", [0, 1])
@pytest.mark.mqtt5("3.1.2-24")
def test_what_is_sent_again_may_be_just_as_large_as_the_client_takes(less: int) -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, bytes(100))
    size = len(encode(bob.one(Publish), 5))
    bob.drop()
    assert len(arrive(world, maximum_packet_size=size - less).received()) == 1 - less


def test_others_get_what_is_too_large_for_one() -> None:
    world = World()
    bob = bob_subscribed(world, maximum_packet_size=30)
    carol = world.connect("carol")
    carol.subscribe("a")
    for qos in (0, 1):
        publish(world, bytes(100), qos=qos)
    assert bob.received() == []
    assert carol.payloads() == [bytes(100), bytes(100)]


# A client that reads slowly.

@every_version
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_wait_while_a_client_does_not_read_and_come_in_order(version: int, qos: int) -> None:
    world = World()
    bob = bob_subscribed(world, version, qos)
    publish(world, b"1", qos=qos)
    bob.stall()
    publish(world, b"2", b"3", qos=qos)
    assert bob.payloads() == [b"1"]
    assert world.session("bob").queued() == 2
    bob.relieve()
    publish(world, b"4", qos=qos)
    assert bob.payloads() == [b"2", b"3", b"4"]
    assert world.session("bob").queued() == 0


def test_acknowledgements_move_nothing_while_a_client_does_not_read() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"1", b"2")
    first = bob.one(Publish)
    bob.stall()
    bob.acknowledge(first)
    publish(world, b"0", qos=0)
    assert bob.received() == []
    bob.relieve()
    assert bob.payloads() == [b"2", b"0"]


def test_a_resume_goes_on_where_a_slow_client_stopped_it() -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"1", b"2")
    bob.drop()
    bob = arrive(world, receive_maximum=1)
    first = bob.one(Publish)
    bob.stall()
    bob.acknowledge(first)
    publish(world, b"3")
    assert bob.received() == []
    bob.relieve()
    second = bob.one(Publish)
    bob.acknowledge(second)
    assert (brief([second]), bob.payloads()) == ([(2, b"2", True)], [b"3"])


def test_one_that_does_not_read_holds_up_nobody_else() -> None:
    world = World()
    bob = bob_subscribed(world)
    carol = world.connect("carol")
    carol.subscribe("a", qos=2)
    bob.stall()
    for qos in (0, 1, 2):
        publish(world, b"x", qos=qos)
    assert len(carol.all(Publish)) == 3


def test_relief_after_the_end_does_nothing() -> None:
    world = World()
    bob = bob_subscribed(world)
    bob.stall()
    publish(world, b"x")
    bob.disconnect()
    bob.relieve()
    assert bob.received() == []


# The end.

@acknowledged
def test_what_a_session_held_when_it_ended_is_counted(qos: int) -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=2, session_expiry_interval=10)
    publish(world, b"1", b"2", b"3", b"4", b"5", qos=qos)
    if qos == 2:
        bob.send(Pubrec(1))  # this one is the client's
    bob.drop()
    world.advance(10)
    assert world.drops == {causes.SESSION_ENDED: 5 if qos == 1 else 4}


def test_a_connection_without_session_loses_what_was_in_flight() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("a", qos=1)
    publish(world, b"1", b"2")
    bob.acknowledge(bob.all(Publish)[0])
    bob.disconnect()
    assert world.drops == {causes.SESSION_ENDED: 1}


# A defect in serving one receiver.

@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_receiver_that_cannot_be_served_costs_itself_alone(qos: int) -> None:
    world = World()
    carol = world.connect("carol")
    carol.subscribe("a", qos=2)
    bob = bob_subscribed(world, maximum_packet_size=90)
    dave = world.connect("dave")
    dave.subscribe("a", qos=2)
    del world.broker.metrics.drops[causes.TOO_LARGE_FOR_CLIENT]  # so that counting what bob cannot take fails
    alice = world.connect("alice")
    alice.publish("a", bytes(100), qos=qos)
    assert carol.payloads() == dave.payloads() == [bytes(100)]
    assert len(alice.received()) == (1 if qos else 0)
    assert bob.one(Disconnect).reason_code == c.IMPLEMENTATION_SPECIFIC_ERROR
    [(client_id, error)] = world.witness.told("delivery_failed")
    assert (client_id, type(error)) == ("bob", KeyError)
    assert world.ends == {"implementation_specific_error": 1}


def test_an_absent_receiver_that_cannot_be_served_costs_itself_alone() -> None:
    world = World("mqtt.mqueue.store_qos0 = off")
    bob_subscribed(world).drop()
    carol = world.connect("carol")
    carol.subscribe("a")
    del world.broker.metrics.drops[causes.QOS_0_NOT_STORED]
    publish(world, b"x", qos=0)
    assert carol.payloads() == [b"x"]
    assert [client_id for client_id, _ in world.witness.told("delivery_failed")] == ["bob"]
