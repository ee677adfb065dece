"""PUBLISH from a client: the acknowledgements of each QoS, and what is forwarded."""
from typing import Any

import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connect, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.peers import VERSIONS, World, before_5, every_version, properties
from tests.scenes import ANSWERS, acknowledged, reader

# The three flows.

@every_version
@pytest.mark.mqtt5("2.2.1-2", "3.3.4-1", "4.3.1-1")
def test_qos_0_is_passed_on_and_not_answered(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice", version=version)
    alice.publish("a/b", b"x")
    publish = bob.one(Publish)
    assert (publish.topic_name, publish.payload, publish.qos, publish.dup, publish.retain) == (b"a/b", b"x", 0, False, False)
    assert alice.received() == []


@every_version
@pytest.mark.mqtt5("2.2.1-5", "3.3.4-1", "4.3.2-4")
def test_qos_1_is_passed_on_and_answered_with_puback(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice", version=version)
    alice.publish("a", b"x", qos=1, packet_id=77)
    assert alice.answer(Puback) == (77, c.SUCCESS)
    publish = bob.one(Publish)
    assert (publish.payload, publish.qos) == (b"x", 1)


@every_version
@pytest.mark.mqtt5("3.3.1-3", "4.3.2-5")
def test_qos_1_sent_again_is_a_new_publication(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice", version=version)
    alice.publish("a", b"x", qos=1, packet_id=77)
    alice.publish("a", b"x", qos=1, packet_id=77, dup=True)
    assert [publish.dup for publish in bob.all(Publish)] == [False, False]  # [MQTT-3.3.1-3]
    assert len(alice.all(Puback)) == 2


@every_version
@pytest.mark.mqtt5("2.2.1-5", "3.3.4-1", "4.3.3-8", "4.3.3-11")
def test_qos_2_is_passed_on_once_and_answered_twice(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice", version=version)
    alice.publish("a", b"x", qos=2, packet_id=77)
    assert alice.answer(Pubrec) == (77, c.SUCCESS)
    assert [(publish.payload, publish.qos) for publish in bob.all(Publish)] == [(b"x", 2)]
    alice.send(Pubrel(77))
    assert alice.answer(Pubcomp) == (77, c.SUCCESS)
    assert bob.received() == []


@every_version
@pytest.mark.mqtt5("4.3.3-10")
def test_qos_2_sent_again_before_pubrel_is_not_passed_on_again(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice", version=version)
    for _ in range(3):
        alice.publish("a", b"x", qos=2, packet_id=77, dup=True)
        assert alice.answer(Pubrec) == (77, c.SUCCESS)
    assert bob.payloads() == [b"x"]


@every_version
@pytest.mark.mqtt5("4.3.3-12")
def test_after_pubrel_an_identifier_stands_for_another_message(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice", version=version)
    for payload in (b"x", b"y"):
        alice.publish("a", payload, qos=2, packet_id=77)
        alice.send(Pubrel(77))
    assert bob.payloads() == [b"x", b"y"]


@every_version
@pytest.mark.mqtt5("4.3.3-10")
def test_qos_2_is_known_again_after_the_session_was_resumed(version: int) -> None:
    world = World()
    bob = reader(world)
    expiry = {"session_expiry_interval": 100} if version == c.MQTT_5_0 else {}
    alice = world.connect("alice", version=version, clean_start=False, **expiry)
    alice.publish("a", b"x", qos=2, packet_id=77)
    alice.drop()
    alice = world.connect("alice", version=version, clean_start=False, **expiry)
    alice.publish("a", b"x", qos=2, packet_id=77, dup=True)
    alice.send(Pubrel(77))
    assert [type(packet) for packet in alice.received()] == [Pubrec, Pubcomp]
    assert bob.payloads() == [b"x"]


@every_version
def test_a_clean_start_forgets_unfinished_qos_2(version: int) -> None:
    world = World()
    bob = reader(world)
    expiry = {"session_expiry_interval": 100} if version == c.MQTT_5_0 else {}
    world.connect("alice", version=version, clean_start=False, **expiry).publish("a", b"x", qos=2, packet_id=77)
    alice = world.connect("alice", version=version)
    alice.publish("a", b"y", qos=2, packet_id=77)
    assert bob.payloads() == [b"x", b"y"]


@pytest.mark.parametrize(("version", "reason_code"), [(3, 0), (4, 0), (5, c.PACKET_IDENTIFIER_NOT_FOUND)])
def test_pubrel_for_an_unknown_identifier_is_answered(version: int, reason_code: int) -> None:
    alice = World().connect("alice", version=version)
    alice.send(Pubrel(77))
    assert alice.answer(Pubcomp) == (77, reason_code)


@every_version
@pytest.mark.mqtt5("4.6.0-2", "4.6.0-3")
def test_acknowledgements_keep_the_order_of_the_publications(version: int) -> None:
    alice = World().connect("alice", version=version)
    alice.send(*[Publish(b"a", b"", 1 + packet_id % 2, packet_id=packet_id) for packet_id in (5, 2, 9, 4)])
    answers = [(type(packet), packet.packet_id) for packet in alice.received() if isinstance(packet, Puback | Pubrec)]
    assert answers == [(Pubrec, 5), (Puback, 2), (Pubrec, 9), (Puback, 4)]


@pytest.mark.mqtt5("4.6.0-5", "4.6.0-6")
def test_messages_keep_their_order_whatever_their_qos() -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice")
    alice.send(*[Publish(b"a", bytes((n,)), n % 3, packet_id=n + 1 if n % 3 else 0) for n in range(9)])
    assert bob.payloads() == [bytes((n,)) for n in range(9)]


# Reason codes of success.

@acknowledged
def test_a_5_0_client_is_told_that_nobody_subscribes(qos: int) -> None:  # 0x10
    world = World()
    alice = world.connect("alice")
    alice.publish("a", b"x", qos=qos)
    assert alice.answer(ANSWERS[qos]) == (1, c.NO_MATCHING_SUBSCRIBERS)
    assert world.drops == {causes.NO_SUBSCRIBERS: 1}


@before_5
@acknowledged
def test_before_5_it_makes_no_difference(version: int, qos: int) -> None:
    alice = World().connect("alice", version=version)
    alice.publish("a", b"x", qos=qos)
    assert alice.raw[-4:] == bytes((0x40 if qos == 1 else 0x50, 2, 0, 1))


def test_nobody_subscribes_at_qos_0_is_counted_too() -> None:
    world = World()
    alice = world.connect("alice")
    alice.publish("a", b"x")
    alice.publish("a", b"x")  # by the cached route
    assert world.drops == {causes.NO_SUBSCRIBERS: 2}


# What is forwarded.

VALUES: dict[str, Any] = {
    "payload_format_indicator": 1, "content_type": "text/plain", "response_topic": "answers", "correlation_data": b"\0\1",
    "user_properties": [("b", "2"), ("a", "1"), ("b", "2"), ("", "")],
}


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt5("3.3.2-4", "3.3.2-15", "3.3.2-16", "3.3.2-17", "3.3.2-18", "3.3.2-20")
def test_properties_are_forwarded_unaltered_and_in_order(qos: int) -> None:
    world = World()
    bob = reader(world)
    world.connect("alice").publish("a", b"x", qos=qos, **VALUES)
    made = bob.one(Publish).properties
    assert made is not None
    assert {name: getattr(made, name) for name in VALUES} == VALUES


@before_5
def test_properties_are_left_out_for_those_who_know_none(version: int) -> None:
    world = World()
    bob = world.connect("bob", version=version)
    bob.subscribe("a", qos=1)
    world.connect("alice").publish("a", b"x", qos=1, message_expiry_interval=9, **VALUES)
    assert bob.one(Publish).payload == b"x"


@every_version
def test_a_message_without_properties_has_none_added(version: int) -> None:
    world = World()
    bob = reader(world)
    world.connect("alice", version=version).publish("a", b"x", qos=1)
    assert bob.one(Publish).properties is None


@every_version
def test_large_and_empty_payloads_pass(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice", version=version)
    for size in (0, 100, 127, 128, 16_383, 16_384, 900 << 10):
        alice.publish("a", bytes(size), qos=1)
        assert len(bob.one(Publish).payload) == size


# One chunk.

@every_version
def test_publications_of_one_chunk_are_served_in_order(version: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.peer()
    alice.version = version
    packets = [Publish(b"a", b"%d" % n, n % 3, packet_id=n + 1 if n % 3 else 0) for n in range(30)]
    alice.write(encode(Connect(version, "alice"), version) + b"".join([encode(packet, version) for packet in packets]))
    world.settle()
    assert bob.payloads() == [b"%d" % n for n in range(30)]


def test_properties_do_not_pass_from_one_message_to_the_next() -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice")
    alice.send(Publish(b"a", b"x", 1, packet_id=1, properties=properties(content_type="text/plain")),
               Publish(b"a", b"y", 1, packet_id=2))
    assert [publish.properties is None for publish in bob.all(Publish)] == [False, True]


@every_version
@pytest.mark.parametrize("receiver", VERSIONS)
@pytest.mark.parametrize("size", [0, 100, 4095, 4096, 20_000])
def test_a_message_whose_way_is_known_goes_out_as_any_other(version: int, receiver: int, size: int) -> None:
    world = World()
    bob, carol = world.connect("bob", version=receiver), world.connect("carol", version=receiver)
    bob.subscribe("a/b", qos=1)
    carol.subscribe("a/+", qos=0)
    alice = world.connect("alice", version=version)
    alice.publish("a/b", b"first", qos=1)
    assert (bob.one(Publish).packet_id, carol.payloads()) == (1, [b"first"])
    before = len(bob.raw)
    alice.publish("a/b", bytes(size), qos=1, packet_id=777)
    assert bob.raw[before:] == encode(Publish(b"a/b", bytes(size), 1, packet_id=2), receiver)
    assert bob.one(Publish).payload == bytes(size)
    assert carol.payloads() == [bytes(size)]
    assert [puback.packet_id for puback in alice.all(Puback)] == [1, 777]
