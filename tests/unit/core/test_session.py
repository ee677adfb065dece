"""Messages to a client: the flows of QoS 1 and 2, and the window."""
import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Pingreq, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.peers import Peer, World, every_version
from tests.scenes import acknowledged, arrive, bob_subscribed, publish

# The flows.

@every_version
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("most", [0, 1, 2])
@pytest.mark.mqtt5("3.8.4-8", "4.3.1-1", "4.3.2-2", "4.3.3-2")
def test_a_message_comes_at_the_lower_of_both_qos(version: int, qos: int, most: int) -> None:
    world = World()
    bob = bob_subscribed(world, version, most)
    publish(world, b"x", qos=qos)
    message = bob.one(Publish)
    assert (message.qos, message.dup, message.packet_id > 0) == (min(qos, most), False, min(qos, most) > 0)


@every_version
@pytest.mark.mqtt5("4.3.2-3")
def test_qos_1_ends_with_puback(version: int) -> None:
    world = World()
    bob = bob_subscribed(world, version)
    publish(world, b"x")
    bob.acknowledge(bob.one(Publish))
    assert bob.received() == []
    bob.drop()
    assert arrive(world, version).received() == []


@every_version
@pytest.mark.mqtt5("4.3.3-4", "4.3.3-5")
def test_qos_2_ends_with_pubcomp(version: int) -> None:
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
def test_nothing_is_sent_again_on_a_live_connection(version: int) -> None:
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
@pytest.mark.mqtt5("4.4.0-2")
def test_a_refusal_ends_the_flow_and_frees_quota(qos: int, refuse: type[Puback] | type[Pubrec]) -> None:
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
@pytest.mark.mqtt5("3.3.4-9", "4.9.0-2")
def test_no_more_are_sent_than_may_be_in_flight(version: int, qos: int) -> None:
    world = World("mqtt.session.max_inflight = 2")
    bob = bob_subscribed(world, version)
    publish(world, b"1", b"2", b"3", b"4", b"5", qos=qos)
    first, second = bob.all(Publish)
    bob.acknowledge(first)
    third = bob.one(Publish)
    bob.acknowledge(second, third)
    assert [message.payload for message in (first, second, third, *bob.all(Publish))] == [b"1", b"2", b"3", b"4", b"5"]


@every_version
def test_as_many_follow_as_one_chunk_acknowledges(version: int) -> None:
    world = World("mqtt.session.max_inflight = 3")
    bob = bob_subscribed(world, version)
    publish(world, *[b"%d" % number for number in range(9)])
    first = bob.all(Publish)
    bob.send(*[Puback(message.packet_id) for message in first[:2]])
    then = bob.all(Publish)
    bob.send(*[Puback(message.packet_id) for message in (first[2], *then)], Pingreq())
    rest = bob.received()
    assert [message.payload for message in (*first, *then)] == [b"0", b"1", b"2", b"3", b"4"]
    assert [packet.payload for packet in rest if isinstance(packet, Publish)] == [b"5", b"6", b"7"]


def published_in_one_chunk(bob: Peer, sent: list[Publish], payload: bytes, packet_id: int) -> list[Publish]:
    """What `bob` gets after the PUBACKs of `sent` and a PUBLISH to itself, behind which there is room for a moment."""
    bob.send(*[Puback(message.packet_id) for message in sent], Publish(b"a", payload, 1, False, False, packet_id, None))
    return [packet for packet in bob.received() if isinstance(packet, Publish)]


@every_version
def test_what_a_client_sends_itself_does_not_overtake_what_waits(version: int) -> None:  # G3
    world = World("mqtt.session.max_inflight = 2")
    bob = bob_subscribed(world, version)
    publish(world, b"1", b"2", b"3", b"4", b"5")
    second = published_in_one_chunk(bob, bob.all(Publish), b"6", 6)
    third = published_in_one_chunk(bob, second, b"7", 7)
    bob.acknowledge(*third)
    assert [message.payload for message in (*second, *third, *bob.all(Publish))] == [b"3", b"4", b"5", b"6", b"7"]


@every_version
def test_what_a_client_sends_itself_does_not_overtake_what_is_sent_again(version: int) -> None:  # G3
    world = World("mqtt.session.max_inflight = 3")
    bob = bob_subscribed(world, version)
    publish(world, b"1", b"2", b"3")
    bob.drop()
    world.configure("mqtt.session.max_inflight = 2")
    bob = arrive(world, version)
    rest = published_in_one_chunk(bob, bob.all(Publish), b"4", 9)
    assert [message.payload for message in rest] == [b"3", b"4"]


def test_what_waits_goes_to_a_client_that_takes_small_packets_only() -> None:
    world = World()
    bob = bob_subscribed(world)
    bob.drop()
    publish(world, b"1", bytes(100), b"2")
    bob = arrive(world, maximum_packet_size=50)
    assert bob.payloads() == [b"1", b"2"]
    assert world.drops["too_large_for_client"] == 1


@pytest.mark.mqtt5("3.3.4-9", "4.9.0-2")
def test_pubrec_alone_frees_no_quota() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"1", b"2", qos=2)
    packet_id = bob.one(Publish).packet_id
    bob.send(Pubrec(packet_id))
    assert bob.answer(Pubrel) == (packet_id, 0)
    bob.send(Pubcomp(packet_id))
    assert bob.payloads() == [b"2"]


def test_qos_0_needs_no_quota() -> None:
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
