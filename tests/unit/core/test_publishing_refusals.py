"""PUBLISH from a client that is refused, and in which way."""
import pytest

from emqtwist.core import causes
from emqtwist.core.message import Message
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.peers import World, before_5, every_version
from tests.scenes import ANSWERS, acknowledged, reader


@acknowledged
@pytest.mark.parametrize("topic", ["$SYS/x", "$share/g/a", "$queue/a"])
def test_a_5_0_client_is_refused_at_the_brokers_own_topics(topic: str, qos: int) -> None:
    world = World()
    bob = reader(world, "#", "$SYS/#")
    alice = world.connect("alice")
    packet_id = alice.publish(topic, b"x", qos=qos, retain=True)
    assert alice.answer(ANSWERS[qos]) == (packet_id, c.NOT_AUTHORIZED)
    assert not alice.closed
    assert bob.received() == []
    assert len(world.broker.retained) == 0
    assert world.drops == {causes.RESERVED_TOPIC: 1}


@before_5
@acknowledged
@pytest.mark.mqtt3("3.3.5-2")
def test_before_5_it_is_acknowledged_and_dropped(version: int, qos: int) -> None:
    world = World()
    bob = reader(world, "#", "$SYS/#")
    alice = world.connect("alice", version=version)
    packet_id = alice.publish("$SYS/x", b"x", qos=qos)
    if qos == 2:
        alice.send(Publish(b"$SYS/x", b"x", 2, dup=True, packet_id=packet_id), Pubrel(packet_id))
        assert [type(packet) for packet in alice.received()] == [Pubrec, Pubrec, Pubcomp]
    else:
        assert alice.answer(Puback) == (packet_id, 0)
    assert bob.received() == []
    assert not alice.closed
    assert world.drops == {causes.RESERVED_TOPIC: 1}


@every_version
def test_at_qos_0_it_is_dropped(version: int) -> None:
    world = World()
    alice = world.connect("alice", version=version)
    for _ in range(2):
        alice.publish("$SYS/x", b"x")
    assert (alice.received(), alice.closed) == ([], False)
    assert world.drops == {causes.RESERVED_TOPIC: 2}


@pytest.mark.parametrize("topic", ["$SYSTEM/x", "$me/x", "$SYS", "x/$SYS/y"])
def test_other_topics_with_a_dollar_are_plain(topic: str) -> None:
    world = World()
    bob = reader(world, topic)
    world.connect("alice").publish(topic, b"x")
    assert bob.payloads() == [b"x"]


@pytest.mark.mqtt5("4.3.3-9")
def test_a_refused_qos_2_leaves_its_identifier_free() -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice")
    alice.publish("$SYS/x", b"x", qos=2, packet_id=77)
    alice.publish("a", b"y", qos=2, packet_id=77)
    assert [packet.reason_code for packet in alice.all(Pubrec)] == [c.NOT_AUTHORIZED, c.SUCCESS]
    assert bob.payloads() == [b"y"]


@every_version
@pytest.mark.parametrize(("topic", "reason_code"), [
    (b"a/+", c.TOPIC_NAME_INVALID), (b"#", c.TOPIC_NAME_INVALID), (b"a\0b", c.MALFORMED_PACKET),
    (b"\xff", c.MALFORMED_PACKET), (b"\xed\xa0\x80", c.MALFORMED_PACKET), (b"a/b/c/d", c.TOPIC_NAME_INVALID),
])
@pytest.mark.mqtt5("3.3.2-1", "3.3.2-2", "4.7.0-1")
def test_a_topic_name_that_is_none_ends_the_connection(version: int, topic: bytes, reason_code: int) -> None:
    world = World("mqtt.max_topic_levels = 3")
    bob = reader(world)
    alice = world.connect("alice", version=version)
    alice.send(Publish(topic, b"x"))  # [MQTT-3.3.2-1] [MQTT-3.3.2-2]
    assert alice.closed
    if version == c.MQTT_5_0:
        assert alice.one(Disconnect).reason_code == reason_code
    assert alice.received() == []
    assert bob.received() == []


@pytest.mark.parametrize(("version", "cause"), [
    (3, "topic_name_invalid"), (4, "topic_name_invalid"), (5, "protocol_error")])
def test_an_empty_topic_name_ends_the_connection(version: int, cause: str) -> None:
    world = World()
    alice = world.connect("alice", version=version)
    alice.send(Publish(b"", b"x"))
    assert alice.closed
    assert world.ends == {cause: 1}


@pytest.mark.parametrize("topic", ["", "a"])
@pytest.mark.mqtt5("3.3.2-9")
def test_a_topic_alias_is_beyond_a_maximum_of_0(topic: str) -> None:
    world = World("mqtt.max_topic_alias = off")
    bob = reader(world)
    alice = world.connect("alice")
    world.connect("carol").publish("a", b"")  # so that the route is known
    bob.received()
    alice.publish(topic, b"x", topic_alias=1)
    assert alice.one(Disconnect).reason_code == c.TOPIC_ALIAS_INVALID
    assert bob.received() == []


@pytest.mark.mqtt5("3.3.4-6")
def test_a_subscription_identifier_from_a_client_ends_the_connection() -> None:
    alice = World().connect("alice")
    alice.publish("a", b"x", subscription_identifiers=[1])
    assert alice.one(Disconnect).reason_code == c.PROTOCOL_ERROR


@pytest.mark.mqtt5("3.3.2-14")
def test_a_response_topic_with_a_wildcard_ends_the_connection() -> None:
    alice = World().connect("alice")
    alice.publish("a", b"x", response_topic="a/#")
    assert alice.one(Disconnect).reason_code == c.PROTOCOL_ERROR


@acknowledged
def test_a_payload_that_is_not_in_its_format_is_refused(qos: int) -> None:  # 0x99
    world = World()
    bob = reader(world)
    alice = world.connect("alice")
    packet_id = alice.publish("a", b"\xff", qos=qos, payload_format_indicator=1)
    assert alice.answer(ANSWERS[qos]) == (packet_id, c.PAYLOAD_FORMAT_INVALID)
    alice.publish("a", b"\xff", qos=qos, payload_format_indicator=0)
    alice.publish("a", "é".encode(), qos=qos, payload_format_indicator=1)
    assert bob.payloads() == [b"\xff", "é".encode()]


def test_at_qos_0_a_payload_that_is_not_in_its_format_ends_the_connection() -> None:
    alice = World().connect("alice")
    alice.publish("a", b"\xff", payload_format_indicator=1)
    assert alice.one(Disconnect).reason_code == c.PAYLOAD_FORMAT_INVALID


@every_version
@pytest.mark.mqtt5("3.2.2-11")
def test_a_qos_above_the_maximum_ends_the_connection(version: int) -> None:
    world = World("mqtt.max_qos_allowed = 0")
    alice = world.connect("alice", version=version)
    alice.publish("a", b"x", qos=1)
    assert alice.closed
    assert world.ends == {"qos_not_supported": 1}


@every_version
@pytest.mark.mqtt5("3.2.2-14")
def test_a_retained_message_ends_the_connection_where_retain_is_not_available(version: int) -> None:
    world = World("mqtt.retain_available = off")
    alice = world.connect("alice", version=version)
    alice.publish("a", b"x", retain=True)
    assert alice.closed
    assert world.ends == {"retain_not_supported": 1}


@pytest.mark.mqtt5("3.1.2-29")
def test_refusals_say_why_to_those_who_want_to_know() -> None:
    world = World()
    for wants in (0, 1, None):
        alice = world.connect("alice", request_problem_information=wants)
        alice.publish("$SYS/x", b"x", qos=1)
        words = alice.one(Puback).properties
        assert (words is not None and words.reason_string is not None) == (wants != 0)


@pytest.mark.mqtt5("3.1.2-24", "3.4.2-2")
def test_words_are_left_out_of_an_acknowledgement_that_would_be_too_large() -> None:
    alice = World().connect("alice", maximum_packet_size=20)
    alice.publish("$SYS/x", b"x", qos=1)
    assert (alice.one(Puback).properties, alice.closed) == (None, False)


# Our Receive Maximum.

@pytest.mark.mqtt5("3.3.4-7")
def test_a_client_that_sends_more_than_receive_maximum_is_cut_off() -> None:
    world = World("mqtt.session.receive_maximum = 3")
    bob = reader(world)
    alice = world.connect("alice")
    alice.send(*[Publish(b"a", b"x", 2, packet_id=packet_id) for packet_id in (1, 2, 3)])
    assert not alice.closed
    alice.received()
    alice.publish("a", b"y", qos=2, packet_id=4)
    assert alice.one(Disconnect).reason_code == c.RECEIVE_MAXIMUM_EXCEEDED
    assert bob.payloads() == [b"x", b"x", b"x"]


def test_pubrel_and_refusals_give_quota_back() -> None:
    world = World("mqtt.session.receive_maximum = 1")
    alice = world.connect("alice")
    for packet_id in (1, 2, 3):
        alice.publish("a", b"x", qos=2, packet_id=packet_id)
        alice.send(Pubrel(packet_id))
        alice.publish("$SYS/a", b"x", qos=2, packet_id=packet_id)
        alice.publish("a", b"x", qos=1, packet_id=packet_id)
    assert not alice.closed


def test_a_repeated_publish_takes_no_quota() -> None:
    world = World("mqtt.session.receive_maximum = 1")
    alice = world.connect("alice")
    for _ in range(3):
        alice.publish("a", b"x", qos=2, packet_id=5, dup=True)
    assert not alice.closed


@before_5
def test_before_5_there_is_no_receive_maximum(version: int) -> None:
    alice = World("mqtt.session.receive_maximum = 1").connect("alice", version=version)
    for packet_id in (1, 2, 3):
        alice.publish("a", b"x", qos=2, packet_id=packet_id)
    assert not alice.closed


# A full queue.

FULL = ("mqtt.mqueue.max_length = 2",)


def full_world(*lines: str) -> World:
    """A world where the queue of an absent client, subscribed to `a` and `b`, is full."""
    world = World(*FULL, *lines)
    bob = world.connect("bob", session_expiry_interval=1000)
    bob.subscribe("a", "b", qos=2)
    bob.drop()
    filler = world.connect("filler")
    for _ in range(2):
        filler.publish("a", b"kept", qos=1)
    return world


@acknowledged
def test_what_a_persistent_session_cannot_keep_is_refused(qos: int) -> None:  # 0x97
    world = full_world()
    carol = world.connect("carol")
    carol.subscribe("a", qos=2)
    alice = world.connect("alice")
    packet_id = alice.publish("a", b"x", qos=qos, retain=True)
    assert alice.answer(ANSWERS[qos]) == (packet_id, c.QUOTA_EXCEEDED)
    assert not alice.closed
    assert carol.received() == []  # nobody gets it: the publisher will try again
    assert len(world.broker.retained) == 0
    assert world.drops == {causes.QUEUE_FULL_REFUSED: 1}
    assert world.connect("bob", clean_start=False).payloads() == [b"kept", b"kept"]


@before_5
@acknowledged
def test_before_5_the_publisher_is_closed_instead(version: int, qos: int) -> None:
    world = full_world()
    alice = world.connect("alice", version=version)
    alice.publish("a", b"x", qos=qos)
    assert (alice.received(), alice.closed) == ([], True)
    assert world.ends["quota_exceeded"] == 1


@every_version
def test_qos_0_is_dropped_for_the_full_session_alone(version: int) -> None:
    world = full_world()
    carol = world.connect("carol")
    carol.subscribe("a")
    alice = world.connect("alice", version=version)
    alice.publish("a", b"x")
    assert not alice.closed
    assert carol.payloads() == [b"x"]
    assert world.drops == {causes.QUEUE_FULL: 1}


def test_a_subscription_at_qos_0_refuses_nothing() -> None:
    world = World(*FULL)
    bob = world.connect("bob", session_expiry_interval=1000)
    bob.subscribe("a", qos=0)
    bob.drop()
    alice = world.connect("alice")
    for _ in range(3):
        alice.publish("a", b"x", qos=1)
    assert [packet.reason_code for packet in alice.all(Puback)] == [0, 0, 0]
    assert world.drops == {causes.QUEUE_FULL: 1}


def test_a_refused_message_is_taken_when_there_is_room_again() -> None:
    world = full_world()
    alice = world.connect("alice")
    alice.publish("a", b"x", qos=1)
    assert alice.one(Puback).reason_code == c.QUOTA_EXCEEDED
    bob = world.connect("bob", clean_start=False, session_expiry_interval=1000)
    assert bob.payloads() == [b"kept", b"kept"]
    bob.drop()
    alice.publish("a", b"x", qos=1)
    assert alice.one(Puback).reason_code == c.SUCCESS


def test_what_expired_makes_room() -> None:
    world = World(*FULL)
    bob = world.connect("bob", session_expiry_interval=1000)
    bob.subscribe("a", qos=1)
    bob.drop()
    alice = world.connect("alice")
    alice.publish("a", b"old", qos=1, message_expiry_interval=5)
    alice.publish("a", b"kept", qos=1)
    alice.received()
    world.advance(5)
    alice.publish("a", b"new", qos=1)
    assert alice.one(Puback).reason_code == c.SUCCESS
    assert world.drops == {causes.EXPIRED: 1}
    assert world.connect("bob", clean_start=False).payloads() == [b"kept", b"new"]


@acknowledged
def test_a_message_that_cannot_be_retained_is_refused_to_a_5_0_client(qos: int) -> None:
    world = World("retainer.max_payload_size = 10", "retainer.max_message_num = 1")
    bob = reader(world)
    alice = world.connect("alice")
    alice.publish("a", bytes(11), qos=qos, retain=True)
    assert alice.one(ANSWERS[qos]).reason_code == c.QUOTA_EXCEEDED  # type: ignore[attr-defined]
    alice.publish("a", bytes(10), qos=qos, retain=True)
    assert alice.one(ANSWERS[qos]).reason_code == c.SUCCESS  # type: ignore[attr-defined]
    alice.publish("b", bytes(10), qos=qos, retain=True)
    assert alice.one(ANSWERS[qos]).reason_code == c.QUOTA_EXCEEDED  # type: ignore[attr-defined]
    assert world.drops == {causes.RETAINED_TOO_LARGE: 1, causes.RETAINED_TOO_MANY: 1}
    assert bob.payloads() == [bytes(10)]


@before_5
def test_before_5_it_is_delivered_and_not_retained(version: int) -> None:
    world = World("retainer.max_payload_size = 10")
    bob = reader(world)
    alice = world.connect("alice", version=version)
    alice.publish("a", bytes(11), qos=1, retain=True)
    assert alice.answer(Puback) == (1, 0)
    assert bob.payloads() == [bytes(11)]
    assert len(world.broker.retained) == 0
    assert world.drops == {causes.RETAINED_TOO_LARGE: 1}


@pytest.mark.parametrize("beyond", [0, 1])
def test_what_alone_is_more_than_a_queue_holds_is_refused_though_the_way_is_known(beyond: int) -> None:
    world = World(f"mqtt.mqueue.max_bytes = {OVERHEAD + 1000}")
    bob = world.connect("bob", session_expiry_interval=1000)
    bob.subscribe("a", qos=1)
    alice = world.connect("alice")
    alice.publish("a", qos=1)
    bob.acknowledge(bob.one(Publish))
    bob.drop()
    assert alice.one(Puback).reason_code == c.SUCCESS
    alice.publish("a", bytes(999 + beyond), qos=1)
    assert alice.one(Puback).reason_code == (c.QUOTA_EXCEEDED if beyond else c.SUCCESS)
    assert len(world.connect("bob", clean_start=False).payloads()) == 1 - beyond


@pytest.mark.parametrize("less", [0, 1])
def test_nobody_is_asked_about_room_where_no_packet_can_be_too_much(less: int) -> None:
    """A mountpoint is as long as a topic may be, and the packet as large as it may."""
    most = 70_000
    bound = OVERHEAD + most + c.MAX_STRING - less
    world = World(f"mqtt.max_packet_size = {most}", f"mqtt.mqueue.max_bytes = {bound}")
    assert world.broker.circle.tight == bool(less)
    message = Message(bytes(c.MAX_STRING), bytes(most))
    assert world.broker.circle.outgrows(message) == bool(less)
    world.configure(f"mqtt.mqueue.max_bytes = {bound + 1_000_000}", f"mqtt.max_packet_size = {most}")
    assert not world.broker.circle.tight
