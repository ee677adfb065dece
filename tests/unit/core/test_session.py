"""Messages to a client: the flows of QoS 1 and 2, what waits and in which order, and what a resume sends again."""
from typing import Any

import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.peers import Peer, World, before_5, every_version

LASTING: dict[int, dict[str, Any]] = {
    3: {"clean_start": False}, 4: {"clean_start": False}, 5: {"clean_start": False, "session_expiry_interval": 1000}}
acknowledged = pytest.mark.parametrize("qos", [1, 2])


def arrive(world: World, version: int = 5, client_id: str = "bob", **options: Any) -> Peer:
    """A client with a session that outlives its connection."""
    return world.connect(client_id, version=version, **{**LASTING[version], **options})


def bob_subscribed(world: World, version: int = 5, qos: int = 2, **options: Any) -> Peer:
    bob = arrive(world, version, **options)
    assert bob.subscribe("a", qos=qos) == [qos]
    return bob


def publish(world: World, *payloads: bytes, qos: int = 1, **values: Any) -> None:
    """From another client to `a`."""
    alice = world.connect("alice")
    for payload in payloads:
        alice.publish("a", payload, qos=qos, **values)
    alice.disconnect()


def brief(publishes: list[Publish]) -> list[tuple[int, bytes, bool]]:
    return [(publish.packet_id, publish.payload, publish.dup) for publish in publishes]


# The flows.

@every_version
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_message_comes_at_the_lower_of_both_qos(version: int, qos: int, most: int) -> None:  # [MQTT-3.8.4-8]
    world = World()
    bob = bob_subscribed(world, version, most)
    publish(world, b"x", qos=qos)
    message = bob.one(Publish)
    assert (message.qos, message.dup, message.packet_id > 0) == (min(qos, most), False, min(qos, most) > 0)


@every_version
def test_qos_1_ends_with_puback(version: int) -> None:  # [MQTT-4.3.2-1] to [MQTT-4.3.2-3]
    world = World()
    bob = bob_subscribed(world, version)
    publish(world, b"x")
    bob.acknowledge(bob.one(Publish))
    assert bob.received() == []
    bob.drop()
    assert arrive(world, version).received() == []


@every_version
def test_qos_2_ends_with_pubcomp(version: int) -> None:  # [MQTT-4.3.3-1] to [MQTT-4.3.3-7]
    world = World()
    bob = bob_subscribed(world, version)
    publish(world, b"x", qos=2)
    packet_id = bob.one(Publish).packet_id
    bob.send(Pubrec(packet_id))
    assert bob.answer(Pubrel) == (packet_id, 0)
    bob.send(Pubcomp(packet_id))
    assert bob.received() == []
    bob.drop()
    assert arrive(world, version).received() == []


@every_version
def test_nothing_is_sent_again_on_a_live_connection(version: int) -> None:  # [MQTT-4.4.0-1]
    world = World()
    bob = bob_subscribed(world, version)
    publish(world, b"x")
    publish(world, b"y", qos=2)
    bob.received()
    world.advance(1e6)
    assert bob.received() == []


@every_version
def test_pubrec_again_gets_pubrel_again(version: int) -> None:
    world = World()
    bob = bob_subscribed(world, version)
    publish(world, b"x", qos=2)
    packet_id = bob.one(Publish).packet_id
    for _ in range(2):
        bob.send(Pubrec(packet_id))
        assert bob.answer(Pubrel) == (packet_id, 0)


@pytest.mark.parametrize("packet_type", [Puback, Pubcomp])
def test_an_acknowledgement_of_nothing_is_ignored(packet_type: type[Puback] | type[Pubcomp]) -> None:
    bob = World().connect("bob")
    bob.send(packet_type(77))
    assert (bob.received(), bob.closed) == ([], False)


@pytest.mark.parametrize(("version", "reason_code"), [(3, 0), (4, 0), (5, c.PACKET_IDENTIFIER_NOT_FOUND)])
def test_pubrec_for_nothing_gets_pubrel_that_says_so(version: int, reason_code: int) -> None:
    bob = World().connect("bob", version=version)
    bob.send(Pubrec(77))
    assert bob.answer(Pubrel) == (77, reason_code)


def test_pubrec_that_refuses_nothing_gets_no_pubrel() -> None:
    bob = World().connect("bob")
    bob.send(Pubrec(77, c.QUOTA_EXCEEDED))
    assert (bob.received(), bob.closed) == ([], False)


@every_version
@pytest.mark.parametrize(("qos", "wrong"), [(1, Pubrec), (2, Puback)])
def test_an_acknowledgement_of_the_wrong_kind_ends_the_connection(
        version: int, qos: int, wrong: type[Pubrec] | type[Puback]) -> None:
    world = World()
    bob = bob_subscribed(world, version)
    publish(world, b"x", qos=qos)
    bob.send(wrong(bob.one(Publish).packet_id))
    assert bob.closed
    assert world.ends["protocol_error"] == 1
    back = arrive(world, version)
    assert [message.payload for message in back.all(Publish)] == [b"x"]


def test_puback_between_pubrec_and_pubcomp_ends_the_connection() -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"x", qos=2)
    packet_id = bob.one(Publish).packet_id
    bob.send(Pubrec(packet_id), Puback(packet_id))
    assert bob.closed


def test_pubcomp_before_pubrec_ends_nothing() -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"x", qos=2)
    packet_id = bob.one(Publish).packet_id
    bob.send(Pubcomp(packet_id), Pubrec(packet_id))
    assert bob.answer(Pubrel) == (packet_id, 0)


# Refusals by the receiver.

@pytest.mark.parametrize(("qos", "refuse"), [(1, Puback), (2, Pubrec)])
def test_a_refusal_ends_the_flow_and_frees_quota(qos: int, refuse: type[Puback] | type[Pubrec]) -> None:  # [MQTT-4.4.0-2]
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"x", b"y", qos=qos)
    bob.send(refuse(bob.one(Publish).packet_id, c.QUOTA_EXCEEDED))
    second = bob.one(Publish)
    assert second.payload == b"y"
    assert world.drops == {causes.REFUSED_BY_CLIENT: 1}
    bob.acknowledge(second)
    bob.drop()
    assert arrive(world).received() == []
    assert world.drops == {causes.REFUSED_BY_CLIENT: 1}


def test_pubrec_can_refuse_after_it_accepted() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"x", b"y", qos=2)
    packet_id = bob.one(Publish).packet_id
    bob.send(Pubrec(packet_id))
    assert bob.answer(Pubrel) == (packet_id, 0)
    bob.send(Pubrec(packet_id, c.UNSPECIFIED_ERROR))
    assert bob.payloads() == [b"y"]


@pytest.mark.parametrize(("qos", "accept"), [(1, Puback), (2, Pubrec)])
def test_no_matching_subscribers_is_no_refusal(qos: int, accept: type[Puback] | type[Pubrec]) -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"x", qos=qos)
    bob.send(accept(bob.one(Publish).packet_id, c.NO_MATCHING_SUBSCRIBERS))
    assert len(bob.received()) == qos - 1
    assert world.drops == {}


# The window.

@every_version
@acknowledged
def test_no_more_are_sent_than_may_be_in_flight(version: int, qos: int) -> None:  # [MQTT-3.3.4-9]
    world = World("mqtt.session.max_inflight = 2")
    bob = bob_subscribed(world, version)
    publish(world, b"1", b"2", b"3", b"4", b"5", qos=qos)
    first, second = bob.all(Publish)
    bob.acknowledge(first)
    third = bob.one(Publish)
    bob.acknowledge(second, third)
    assert [message.payload for message in (first, second, third, *bob.all(Publish))] == [b"1", b"2", b"3", b"4", b"5"]


def test_pubrec_alone_frees_no_quota() -> None:  # [MQTT-4.9.0-2]
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"1", b"2", qos=2)
    packet_id = bob.one(Publish).packet_id
    bob.send(Pubrec(packet_id))
    assert bob.answer(Pubrel) == (packet_id, 0)
    bob.send(Pubcomp(packet_id))
    assert bob.payloads() == [b"2"]


def test_qos_0_needs_no_quota() -> None:  # [MQTT-3.3.4-8]
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"1")
    publish(world, b"0", qos=0)
    assert bob.payloads() == [b"1", b"0"]


def test_qos_0_does_not_overtake_qos_0_that_waits() -> None:  # G3
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"1", b"2")
    bob.stall()
    publish(world, b"0a", qos=0)
    bob.relieve()
    publish(world, b"0b", qos=0)
    first = bob.one(Publish)
    bob.acknowledge(first)
    assert (first.payload, bob.payloads()) == (b"1", [b"2", b"0a", b"0b"])


# A client that is away.

@every_version
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
def test_what_was_in_flight_is_sent_again_in_order_under_its_identifiers(version: int) -> None:  # [MQTT-4.4.0-1]
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
def test_pubrel_is_sent_again_and_not_its_message(version: int) -> None:  # [MQTT-4.4.0-1]
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


def test_pubrels_are_sent_again_in_the_order_of_their_pubrecs() -> None:  # [MQTT-4.6.0-4]
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


def test_a_5_0_client_is_never_sent_anything_again() -> None:  # [MQTT-4.4.0-1]
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


# Message Expiry.

def expiry_of(message: Publish) -> int | None:
    return message.properties.message_expiry_interval if message.properties is not None else None


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_expiry_interval_counts_down_while_a_message_waits(qos: int) -> None:  # [MQTT-3.3.2-6]
    world = World()
    bob = bob_subscribed(world)
    publish(world, b"x", qos=qos, message_expiry_interval=30)
    assert expiry_of(bob.one(Publish)) == 30
    bob.drop()
    publish(world, b"y", qos=qos, message_expiry_interval=30)
    world.advance(12.5)
    assert expiry_of(arrive(world).all(Publish)[-1]) == 18


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_that_expired_while_it_waited_is_dropped(qos: int) -> None:  # [MQTT-3.3.2-5]
    world = World()
    bob_subscribed(world).drop()
    publish(world, b"x", qos=qos, message_expiry_interval=30)
    publish(world, b"y", qos=qos)
    world.advance(30)
    assert arrive(world).payloads() == [b"y"]
    assert world.drops == {causes.EXPIRED: 1}


def test_a_message_without_expiry_interval_does_not_expire() -> None:
    world = World()
    arrive(world)
    bob_subscribed(world, session_expiry_interval=c.SESSION_NEVER_EXPIRES).drop()
    publish(world, b"x")
    world.advance(7 * 86400 - 1)
    message = arrive(world).one(Publish)
    assert (message.payload, expiry_of(message)) == (b"x", None)


@acknowledged
def test_a_message_that_was_sent_does_not_expire_any_more(qos: int) -> None:  # [MQTT-4.3.3-7]
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
def test_what_is_too_large_for_a_client_is_dropped_as_if_it_had_been_sent(qos: int) -> None:  # [MQTT-3.1.2-25]
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


def test_what_is_in_flight_and_too_large_after_a_resume_is_dropped() -> None:
    world = World()
    bob = bob_subscribed(world)
    publish(world, bytes(100), b"x")
    bob.drop()
    bob = arrive(world, maximum_packet_size=50, receive_maximum=1)
    assert brief([bob.one(Publish)]) == [(2, b"x", True)]
    assert world.drops == {causes.TOO_LARGE_FOR_CLIENT: 1}


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
