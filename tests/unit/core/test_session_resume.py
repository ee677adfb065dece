"""What a client finds when it comes back, and what is sent again meanwhile."""
import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.peers import World, before_5, every_version
from tests.scenes import arrive, bob_subscribed, brief, publish

# A client that is away.

@every_version
@pytest.mark.mqtt5("4.5.0-1")
@pytest.mark.mqtt3("3.1.2-5")
def test_an_absent_client_finds_its_messages_in_order(version: int) -> None:
    world = World()
    bob_subscribed(world, version).drop()
    publish(world, b"1", b"2", qos=1)
    publish(world, b"3", qos=2)
    publish(world, b"4", qos=0)
    messages = arrive(world, version).all(Publish)
    assert [(message.payload, message.qos, message.dup) for message in messages] == [
        (b"1", 1, False), (b"2", 1, False), (b"3", 2, False), (b"4", 0, False)]


def test_qos_0_is_not_kept_where_the_operator_says_so() -> None:
    world = World("mqtt.mqueue.store_qos0 = off")
    bob = bob_subscribed(world)
    publish(world, b"0", qos=0)
    assert bob.payloads() == [b"0"]
    bob.stall()
    publish(world, b"0", qos=0)
    bob.drop()
    publish(world, b"0", qos=0)
    publish(world, b"1")
    assert arrive(world).payloads() == [b"1"]
    assert world.drops == {causes.QOS_0_NOT_STORED: 2}


@every_version
@pytest.mark.mqtt5("3.3.1-1", "3.3.1-3", "4.3.2-3", "4.3.3-3", "4.4.0-1", "4.6.0-1")
def test_what_was_in_flight_is_sent_again_in_order_under_its_identifiers(version: int) -> None:
    world = World("mqtt.session.max_inflight = 4")
    bob = bob_subscribed(world, version)
    publish(world, b"1", qos=1)
    publish(world, b"2", qos=2)
    publish(world, b"3", qos=1)
    publish(world, b"4", qos=2)
    publish(world, b"5", qos=1)
    first = brief(bob.all(Publish))
    bob.drop()
    again = brief(arrive(world, version).all(Publish))  # [MQTT-4.6.0-1] [MQTT-3.3.1-1]
    assert first == [(1, b"1", False), (2, b"2", False), (3, b"3", False), (4, b"4", False)]
    assert again == [(1, b"1", True), (2, b"2", True), (3, b"3", True), (4, b"4", True)]


def test_what_is_sent_again_is_what_was_sent() -> None:
    world = World()
    bob = arrive(world)
    bob.subscribe("a", qos=2, options=c.OPTION_RETAIN_AS_PUBLISHED, identifier=9)
    world.connect("alice").publish("a", b"x", 2, True, content_type="text/plain")
    bob.drop()
    again = arrive(world).one(Publish)
    assert (again.payload, again.qos, again.retain, again.dup) == (b"x", 2, True, True)
    assert again.properties is not None
    assert (again.properties.content_type, again.properties.subscription_identifiers) == ("text/plain", [9])


@every_version
def test_after_a_resume_what_waited_follows_what_was_in_flight(version: int) -> None:
    world = World("mqtt.session.max_inflight = 2")
    bob = bob_subscribed(world, version)
    publish(world, b"1", b"2", b"3", b"4")
    bob.drop()
    bob = arrive(world, version)
    for expected in ([(1, b"1", True), (2, b"2", True)], [(3, b"3", False), (4, b"4", False)], []):
        messages = bob.all(Publish)
        assert brief(messages) == expected
        bob.acknowledge(*messages)


def test_a_resume_with_a_smaller_receive_maximum_keeps_within_it() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=5)
    publish(world, b"1", b"2", b"3", b"4", b"5", b"6", qos=2)
    bob.drop()
    bob = arrive(world, receive_maximum=2)
    seen: list[tuple[int, bytes, bool]] = []
    while messages := bob.all(Publish):
        assert len(messages) <= 2
        seen += brief(messages)
        bob.acknowledge(messages[0])
        if len(messages) > 1:
            second = bob.one(Publish)
            seen += brief([second])
            bob.acknowledge(messages[1], second)
    assert seen == [(n, b"%d" % n, n < 6) for n in (1, 2, 3, 4, 5, 6)]


def test_new_messages_wait_while_older_ones_are_to_be_sent_again() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=2)
    publish(world, b"1", b"2")
    bob.drop()
    bob = arrive(world, receive_maximum=1)
    publish(world, b"3")
    first = bob.one(Publish)
    bob.acknowledge(first)
    second = bob.one(Publish)
    bob.acknowledge(second)
    assert (first.payload, second.payload, bob.payloads()) == (b"1", b"2", [b"3"])


def test_qos_0_waits_too_until_all_is_sent_again() -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"1", b"2")
    bob.drop()
    publish(world, b"0", qos=0)
    bob = arrive(world, receive_maximum=1)
    first = bob.one(Publish)
    bob.acknowledge(first)
    assert (first.payload, bob.payloads()) == (b"1", [b"2", b"0"])


@every_version
@pytest.mark.mqtt5("4.3.3-5", "4.3.3-6", "4.4.0-1")
def test_pubrel_is_sent_again_and_not_its_message(version: int) -> None:
    world = World()
    bob = bob_subscribed(world, version)
    publish(world, b"x", qos=2)
    packet_id = bob.one(Publish).packet_id
    bob.send(Pubrec(packet_id))
    bob.drop()
    bob = arrive(world, version)
    assert bob.answer(Pubrel) == (packet_id, 0)
    bob.send(Pubcomp(packet_id))
    bob.drop()
    assert arrive(world, version).received() == []


@pytest.mark.mqtt5("4.6.0-4")
def test_pubrels_are_sent_again_in_the_order_of_their_pubrecs() -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"1", b"2", b"3", qos=2)
    bob.send(Pubrec(3), Pubrec(1), Pubrec(2))
    bob.drop()
    assert [pubrel.packet_id for pubrel in arrive(world).all(Pubrel)] == [3, 1, 2]


def test_pubrel_counts_for_the_window_after_a_resume() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=2)
    publish(world, b"1", b"2", b"3", qos=2)
    bob.send(Pubrec(1))
    bob.drop()
    bob = arrive(world, receive_maximum=1)
    assert bob.answer(Pubrel) == (1, 0)
    bob.send(Pubcomp(1))
    assert brief([bob.one(Publish)]) == [(2, b"2", True)]


def test_an_acknowledgement_may_come_for_what_is_yet_to_be_sent_again() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=3)
    publish(world, b"1", b"2", b"3")
    bob.drop()
    bob = arrive(world, receive_maximum=1)
    bob.send(Puback(2))
    bob.acknowledge(bob.one(Publish))
    assert brief([bob.one(Publish)]) == [(3, b"3", True)]


def test_pubrec_may_come_for_what_is_yet_to_be_sent_again() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=3)
    publish(world, b"1", b"2", b"3", qos=2)
    bob.drop()
    bob = arrive(world, receive_maximum=1)
    first = bob.one(Publish)
    bob.send(Pubrec(2), Pubcomp(2))
    assert bob.answer(Pubrel) == (2, 0)
    bob.acknowledge(first)
    assert brief([bob.one(Publish)]) == [(3, b"3", True)]


def test_a_message_that_is_in_flight_is_sent_again_to_another_version() -> None:
    world = World()
    bob = bob_subscribed(world, 5)
    publish(world, b"x", content_type="text/plain")
    bob.drop()
    bob = arrive(world, 4)
    assert brief(bob.all(Publish)) == [(1, b"x", True)]


# Sent again while the connection lives, an option for 3.x.

@before_5
def test_what_waited_for_the_window_is_sent_again_after_retry_interval(version: int) -> None:
    world = World("mqtt.session.retry_interval = 20s", "mqtt.session.max_inflight = 1")
    bob = bob_subscribed(world, version)
    publish(world, b"1", b"2")
    bob.acknowledge(bob.one(Publish))
    assert not bob.one(Publish).dup
    world.advance(21)
    assert bob.one(Publish).dup


@before_5
def test_an_unacknowledged_message_is_sent_again_after_retry_interval(version: int) -> None:
    world = World("mqtt.session.retry_interval = 20s")
    bob = bob_subscribed(world, version)
    publish(world, b"1", qos=1)
    publish(world, b"2", qos=2)
    bob.received()
    world.advance(19)
    assert bob.received() == []
    world.advance(1)
    assert brief(bob.all(Publish)) == [(1, b"1", True), (2, b"2", True)]
    bob.send(Puback(1), Pubrec(2))
    assert bob.answer(Pubrel) == (2, 0)
    world.advance(19)
    assert bob.received() == []
    world.advance(1)
    assert bob.answer(Pubrel) == (2, 0)
    bob.send(Pubcomp(2))
    world.advance(100)
    assert bob.received() == []


def test_a_5_0_client_is_never_sent_anything_again() -> None:
    world = World("mqtt.session.retry_interval = 20s")
    bob = bob_subscribed(world)
    publish(world, b"1")
    bob.received()
    world.advance(100)
    assert bob.received() == []


def test_a_client_that_reads_slowly_is_not_sent_anything_again() -> None:
    world = World("mqtt.session.retry_interval = 20s")
    bob = bob_subscribed(world, 4)
    publish(world, b"1")
    bob.received()
    bob.stall()
    world.advance(100)
    assert bob.received() == []
    bob.drop()
    world.advance(100)


def test_the_time_until_a_retry_begins_anew_with_a_resume() -> None:
    world = World("mqtt.session.retry_interval = 20s")
    bob = bob_subscribed(world, 4)
    publish(world, b"1")
    world.advance(15)
    bob.drop()
    bob = arrive(world, 4)
    bob.received()
    world.advance(15)
    assert bob.received() == []
    world.advance(5)
    assert brief(bob.all(Publish)) == [(1, b"1", True)]
