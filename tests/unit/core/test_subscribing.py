"""SUBSCRIBE and UNSUBSCRIBE: a result for each filter, and what the options do to messages."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connect, Disconnect, Publish, Suback, Subscribe, Unsubscribe
from emqtwist.mqtt.topics import matches
from tests.peers import Peer, World, before_5, every_version, properties

NO_LOCAL, AS_PUBLISHED = c.OPTION_NO_LOCAL, c.OPTION_RETAIN_AS_PUBLISHED
LASTING = {"clean_start": False, "session_expiry_interval": 1000}


def identifiers(publish: Publish) -> list[int]:
    return publish.properties.subscription_identifiers if publish.properties is not None else []


# SUBSCRIBE.

@every_version
@pytest.mark.mqtt5("2.2.1-6", "3.8.4-1", "3.8.4-2", "3.8.4-5", "3.8.4-6", "3.8.4-7", "3.9.3-1")
def test_each_filter_has_its_result_in_order(version: int) -> None:
    bob = World().connect("bob", version=version)
    bob.send(Subscribe(77, [(b"a", 2), (b"b/+", 0), (b"#", 1)]))
    suback = bob.one(Suback)
    assert (suback.packet_id, suback.reason_codes, suback.properties) == (77, [2, 0, 1], None)


@pytest.mark.parametrize(("topic_filter", "reason_code"), [
    ("", c.TOPIC_FILTER_INVALID), ("a/#/b", c.TOPIC_FILTER_INVALID), ("a#", c.TOPIC_FILTER_INVALID),
    ("a+/b", c.TOPIC_FILTER_INVALID), ("1/2/3/4/5", c.TOPIC_FILTER_INVALID),
    ("$share/g", c.TOPIC_FILTER_INVALID), ("$share/+/a", c.TOPIC_FILTER_INVALID), ("$share//a", c.TOPIC_FILTER_INVALID),
    ("$share/g/1/2/3/4/5", c.TOPIC_FILTER_INVALID), ("$share/g/a#", c.TOPIC_FILTER_INVALID),
])
@every_version
@pytest.mark.mqtt5("3.8.4-5", "3.8.4-6", "3.8.4-7")
def test_a_bad_filter_fails_alone(version: int, topic_filter: str, reason_code: int) -> None:
    world = World("mqtt.max_topic_levels = 4")
    bob = world.connect("bob", version=version)
    assert bob.subscribe("a", topic_filter, "b") == [0, reason_code if version == c.MQTT_5_0 else c.SUBSCRIBE_FAILURE, 0]
    assert not bob.closed
    assert sorted(world.session("bob").subscriptions) == [b"a", b"b"]


@every_version
@pytest.mark.parametrize("topic_filter", [b"\xff", b"a\0b"])
@pytest.mark.mqtt5("3.8.3-1")
@pytest.mark.mqtt3("3.8.3-1")
def test_a_filter_that_is_no_string_ends_the_connection(version: int, topic_filter: bytes) -> None:
    bob = World().connect("bob", version=version)
    bob.send(Subscribe(1, [(topic_filter, 0)]))
    assert bob.closed
    if version == c.MQTT_5_0:
        assert bob.one(Disconnect).reason_code == c.MALFORMED_PACKET


@pytest.mark.mqtt5("3.1.2-29")
def test_a_refusal_says_why_to_those_who_want_to_know() -> None:
    world = World()
    for wants in (0, 1):
        bob = world.connect("bob", request_problem_information=wants)
        bob.send(Subscribe(1, [(b"a", 0), (b"a#", 0)]))
        words = bob.one(Suback).properties
        assert (words is not None and words.reason_string is not None) == bool(wants)


def test_any_number_of_bad_filters_is_answered() -> None:
    bob = World("mqtt.max_packet_size = 16MB").connect("bob")
    bob.send(Subscribe(1, [(b"/" * (n + 128), 0) for n in range(2000)] * 2))  # 2000 reasons
    assert bob.one(Suback).reason_codes == [c.TOPIC_FILTER_INVALID] * 4000


@pytest.mark.mqtt5("3.9.2-1")
def test_words_are_left_out_of_a_suback_that_would_be_too_large() -> None:
    bob = World().connect("bob", maximum_packet_size=20)
    bob.send(Subscribe(1, [(b"a#", 0)]))
    assert bob.one(Suback).properties is None


def test_a_client_that_leaves_no_room_for_its_suback_is_closed() -> None:
    world = World()
    bob = world.connect("bob", maximum_packet_size=20)
    bob.send(Subscribe(1, [(b"%d" % n, 0) for n in range(20)]))
    assert bob.one(Disconnect).reason_code == c.PACKET_TOO_LARGE
    assert world.ends == {"packet_too_large": 1}


def test_a_session_has_as_many_subscriptions_as_allowed() -> None:
    world = World("mqtt.session.max_subscriptions = 2")
    bob = world.connect("bob")
    assert bob.subscribe("a", "b", "c", "a", qos=1) == [1, 1, c.QUOTA_EXCEEDED, 1]
    bob.unsubscribe("a")
    assert bob.subscribe("c", qos=1) == [1]


@pytest.mark.mqtt5("3.2.2-10", "3.8.4-7")
def test_the_granted_qos_is_bounded_by_maximum_qos() -> None:
    world = World("mqtt.max_qos_allowed = 1")
    bob = world.connect("bob")
    bob.send(Subscribe(1, [(b"a", 0), (b"b", 1), (b"c", 2)]))
    assert bob.one(Suback).reason_codes == [0, 1, 1]
    world.configure()
    world.connect("alice").publish("c", b"x", qos=2)
    assert bob.one(Publish).qos == 1


@every_version
def test_subscribe_and_publish_in_one_chunk_meet(version: int) -> None:
    world = World()
    bob = world.peer()
    bob.version = version
    bob.write(encode(Connect(version, "bob"), version) + encode(Subscribe(1, [(b"a/+", 1)]), version)
              + encode(Publish(b"a/b", b"x", 1, packet_id=9), version) + encode(Unsubscribe(2, [b"a/+"]), version)
              + encode(Publish(b"a/b", b"y"), version))
    world.settle()
    assert [packet.payload for packet in bob.received() if isinstance(packet, Publish)] == [b"x"]


@every_version
@pytest.mark.mqtt5("3.8.4-3")
def test_a_subscription_is_replaced_by_one_to_the_same_filter(version: int) -> None:
    world = World()
    bob = world.connect("bob", version=version)
    bob.subscribe("a/+", qos=2)
    bob.subscribe("a/+", qos=0)
    world.connect("alice").publish("a/b", b"x", qos=2)
    assert bob.one(Publish).qos == 0
    assert bob.unsubscribe("a/+") == ([0] if version == c.MQTT_5_0 else [])
    world.connect("alice").publish("a/b", b"x", qos=2)
    assert bob.received() == []


@every_version
def test_subscriptions_outlive_the_connection_with_their_session(version: int) -> None:
    world = World()
    lasting = LASTING if version == c.MQTT_5_0 else {"clean_start": False}
    bob = world.connect("bob", version=version, **lasting)
    bob.subscribe("a", qos=1)
    bob.drop()
    bob = world.connect("bob", version=version, **lasting)
    world.connect("alice").publish("a", b"x")
    assert bob.payloads() == [b"x"]


# Topics.

@pytest.mark.parametrize("topic_filter", ["#", "+", "+/+", "a", "a/#", "a/b", "a/+", "+/b", "/#", "+/#", "$me/#", "$me/+", "$me"])
@pytest.mark.mqtt5("3.3.2-3", "4.7.3-4")
def test_a_filter_selects_what_the_standard_says(topic_filter: str) -> None:
    world = World()
    bob, alice = world.connect("bob"), world.connect("alice")
    bob.subscribe(topic_filter)
    for topic in ("a", "b", "a/b", "a/b/c", "/a", "a/", "$me", "$me/a", "A", "a b"):
        alice.publish(topic, b"x")
        assert len(bob.all(Publish)) == matches(topic_filter.encode(), topic.encode()), topic


@pytest.mark.parametrize("topic_filter", ["#", "+/x", "+/#"])
@pytest.mark.mqtt5("4.7.2-1")
def test_a_leading_wildcard_does_not_select_a_leading_dollar(topic_filter: str) -> None:
    world = World()
    bob, plain = world.connect("bob"), world.connect("plain")
    bob.subscribe(topic_filter)
    plain.subscribe("$me/#", "$me/x")
    world.connect("alice").publish("$me/x", b"x", retain=True)
    assert bob.received() == []
    assert plain.payloads() == [b"x"]
    late = world.connect("late")
    late.subscribe(topic_filter)
    assert late.received() == []


# Subscription Options.

@pytest.mark.mqtt5("3.8.3-3")
def test_no_local_keeps_a_clients_own_messages_from_it() -> None:
    world = World()
    alice, bob = world.connect("alice"), world.connect("bob")
    alice.subscribe("a", options=NO_LOCAL)
    bob.subscribe("a", options=NO_LOCAL)
    for qos in (0, 1, 2):
        alice.publish("a", b"x", qos=qos)
    assert [packet for packet in alice.received() if isinstance(packet, Publish)] == []
    assert len(bob.all(Publish)) == 3


def test_without_no_local_a_client_gets_its_own_messages() -> None:
    alice = World().connect("alice")
    alice.subscribe("a")
    alice.publish("a", b"x")
    assert alice.payloads() == [b"x"]


@pytest.mark.mqtt5("3.3.1-12")
def test_retain_is_0_in_what_was_published_after_the_subscription() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("a", qos=1)
    world.connect("alice").publish("a", b"x", qos=1, retain=True)
    assert not bob.one(Publish).retain


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt5("3.3.1-13")
def test_retain_as_published_keeps_retain(qos: int) -> None:
    world = World()
    bob, alice = world.connect("bob"), world.connect("alice")
    bob.subscribe("a", qos=2, options=AS_PUBLISHED)
    alice.publish("a", b"x", qos=qos, retain=True)
    alice.publish("a", b"x", qos=qos)
    assert [publish.retain for publish in bob.all(Publish)] == [True, False]


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt5("3.3.4-3")
def test_a_subscription_identifier_comes_with_each_message(qos: int) -> None:
    world = World()
    bob, carol, alice = world.connect("bob"), world.connect("carol"), world.connect("alice")
    bob.subscribe("a", qos=2, identifier=7)
    carol.subscribe("a", qos=2)
    alice.publish("a", b"x", qos=qos, content_type="t")
    publish = bob.one(Publish)
    assert identifiers(publish) == [7]
    assert publish.properties is not None
    assert publish.properties.content_type == "t"
    assert identifiers(carol.one(Publish)) == []


def test_a_subscription_identifier_is_replaced_with_its_subscription() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("a", identifier=7)
    bob.subscribe("a")
    world.connect("alice").publish("a", b"x")
    assert identifiers(bob.one(Publish)) == []


def test_a_subscription_identifier_outlives_the_connection() -> None:
    world = World()
    bob = world.connect("bob", **LASTING)
    bob.subscribe("a", qos=1, identifier=268_435_455)
    bob.drop()
    world.connect("alice").publish("a", b"x", qos=1)
    assert identifiers(world.connect("bob", **LASTING).one(Publish)) == [268_435_455]


# Overlapping subscriptions.

def overlapping(*subscriptions: tuple[str, int, int]) -> tuple[World, Peer]:
    """A client with subscriptions (filter, options, identifier)."""
    world = World()
    bob = world.connect("bob")
    for topic_filter, options, identifier in subscriptions:
        bob.subscribe(topic_filter, options=options, identifier=identifier)
    return world, bob


@pytest.mark.mqtt5("3.3.4-2", "3.3.4-3", "3.3.4-4")
def test_overlapping_subscriptions_give_one_message_at_the_highest_qos_with_all_identifiers() -> None:
    world, bob = overlapping(("a/b", 1, 1), ("a/+", 2, 2), ("#", 0, 3), ("+/b", 0, 0))
    world.connect("alice").publish("a/b", b"x", qos=2)
    publish = bob.one(Publish)
    assert (publish.qos, sorted(identifiers(publish))) == (2, [1, 2, 3])


@before_5
@pytest.mark.mqtt3("3.3.5-1")
def test_before_5_overlapping_subscriptions_give_one_message_too(version: int) -> None:
    world = World()
    bob = world.connect("bob", version=version)
    bob.subscribe("a", qos=0)
    bob.subscribe("+", qos=2)
    world.connect("alice").publish("a", b"x", qos=2)
    assert bob.one(Publish).qos == 2


def test_retain_as_published_of_one_is_enough() -> None:
    world, bob = overlapping(("a", AS_PUBLISHED, 0), ("+", 1, 0))
    world.connect("alice").publish("a", b"x", retain=True)
    assert bob.one(Publish).retain


@pytest.mark.mqtt5("3.8.3-3")
def test_no_local_takes_its_own_subscription_out_alone() -> None:
    world, bob = overlapping(("a", NO_LOCAL | 2, 1), ("+", 1, 2), ("#", 0, 3))
    bob.publish("a", b"own")
    world.connect("alice").publish("a", b"foreign", qos=2)
    own, foreign = bob.all(Publish)
    assert (own.payload, own.qos, sorted(identifiers(own))) == (b"own", 0, [2, 3])
    assert (foreign.payload, foreign.qos, sorted(identifiers(foreign))) == (b"foreign", 2, [1, 2, 3])


def test_no_local_takes_its_qos_and_retain_out_too() -> None:
    world, bob = overlapping(("a", NO_LOCAL | AS_PUBLISHED | 2, 1), ("+", 1, 2))
    bob.publish("a", b"own", qos=2, retain=True)
    own = next(packet for packet in bob.received() if isinstance(packet, Publish))
    assert (own.qos, own.retain, identifiers(own)) == (1, False, [2])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_no_local_in_all_of_them_leaves_nothing(order: tuple[int, ...]) -> None:
    filters = ("a", "+", "#")
    world, bob = overlapping(*[(filters[n], NO_LOCAL, n + 1) for n in order])
    bob.publish("a", b"own")
    assert bob.received() == []
    world.connect("alice").publish("a", b"foreign")
    assert sorted(identifiers(bob.one(Publish))) == [1, 2, 3]


def test_no_local_in_some_leaves_the_others_whatever_their_order() -> None:
    for mask in range(1, 7):
        subscriptions = [(each, NO_LOCAL if mask >> n & 1 else 0, n + 1) for n, each in enumerate(("a", "+", "#"))]
        _, bob = overlapping(*subscriptions)
        bob.publish("a", b"own")
        assert sorted(identifiers(bob.one(Publish))) == [number for _, options, number in subscriptions if not options]


@pytest.mark.mqtt5("3.10.4-1", "3.10.4-2")
def test_when_one_of_them_goes_the_others_stay() -> None:
    world, bob = overlapping(("a", 2, 1), ("+", 1, 2))
    alice = world.connect("alice")
    alice.publish("a", b"x", qos=2)
    assert bob.one(Publish).qos == 2
    bob.unsubscribe("a")
    alice.publish("a", b"y", qos=2)
    publish = bob.one(Publish)
    assert (publish.qos, identifiers(publish)) == (1, [2])


def test_user_properties_of_a_subscribe_change_nothing() -> None:
    bob = World().connect("bob")
    bob.send(Subscribe(1, [(b"a", 1)], properties(user_properties=[("a", "b")])))
    assert bob.one(Suback).reason_codes == [1]
