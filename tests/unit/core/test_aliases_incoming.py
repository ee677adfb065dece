"""Topic Aliases that a client sets."""
import pytest

from emqtwist.core.aliases import LARGE, Incoming
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Disconnect, Publish
from tests.peers import Peer, World
from tests.scenes import ANSWERS, acknowledged, arrive, reader

each_qos = pytest.mark.parametrize("qos", [0, 1, 2])


def topics(peer: Peer) -> list[tuple[bytes, bytes]]:
    return [(publish.topic_name, publish.payload) for publish in peer.all(Publish)]


@each_qos
@pytest.mark.mqtt5("3.3.2-12")
def test_an_alias_stands_for_the_topic_that_it_was_set_with(qos: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice")
    alice.publish("a/b", b"1", qos, topic_alias=32)
    alice.publish("", b"2", qos, topic_alias=32)
    alice.publish("", b"3", qos, topic_alias=32)
    assert topics(bob) == [(b"a/b", b"1"), (b"a/b", b"2"), (b"a/b", b"3")]


@each_qos
@pytest.mark.mqtt5("3.3.2-12")
def test_an_alias_can_be_set_anew(qos: int) -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice")
    for topic, payload in (("a", b"1"), ("", b"2"), ("b", b"3"), ("", b"4"), ("b", b"5")):
        alice.publish(topic, payload, qos, topic_alias=1)
    assert topics(bob) == [(b"a", b"1"), (b"a", b"2"), (b"b", b"3"), (b"b", b"4"), (b"b", b"5")]


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("size", [0, 1, 116, 117, 118, 119, 120, 16_000, LARGE, 20_000])
def test_receivers_of_each_version_get_the_same_whatever_its_size(version: int, size: int) -> None:
    world = World()
    bob = world.connect("bob", version=version)
    bob.subscribe("a/b/c")
    alice = world.connect("alice")
    alice.publish("a/b/c", bytes(size), topic_alias=1)
    alice.publish("", bytes(size), topic_alias=1)
    aliased = bob.all(Publish)
    alice.publish("a/b/c", bytes(size))
    assert [(each.topic_name, each.payload, each.qos) for each in aliased] == [
        (each.topic_name, each.payload, each.qos) for each in bob.all(Publish) * 2]


def test_the_bytes_of_a_large_message_are_made_when_they_are_needed() -> None:
    aliases = Incoming(1)
    aliases.resolve(1, b"topic")
    assert aliases.frame(1, bytes(LARGE)) == b""
    assert aliases.frame(1, bytes(1000)) == encode(Publish(b"topic", bytes(1000)), 5)


def test_an_alias_is_not_forwarded() -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice")
    alice.publish("a", b"1", topic_alias=1)
    alice.publish("a", b"2", topic_alias=1, content_type="text")
    plain, described = bob.all(Publish)
    assert plain.properties is None
    assert described.properties is not None
    assert (described.properties.topic_alias, described.properties.content_type) == (None, "text")


def test_an_alias_goes_with_other_properties_and_retain() -> None:
    world = World()
    alice = world.connect("alice")
    alice.publish("kept", b"1", topic_alias=7)
    alice.publish("", b"2", 1, True, topic_alias=7, content_type="text")
    kept = reader(world).one(Publish)
    assert (kept.topic_name, kept.payload, kept.retain) == (b"kept", b"2", True)


def test_a_retained_qos_0_message_may_come_by_alias() -> None:
    world = World()
    alice = world.connect("alice")
    alice.publish("kept", b"1", topic_alias=7)
    alice.publish("", b"1", topic_alias=7)  # the route is known
    alice.publish("", b"2", 0, True, topic_alias=7)
    bob = world.connect("bob")
    bob.subscribe("kept")
    assert bob.payloads() == [b"2"]


def test_a_message_that_is_refused_sets_its_alias() -> None:
    world = World()
    alice = world.connect("alice")
    for topic in ("$SYS/x", ""):
        packet_id = alice.publish(topic, b"", 1, topic_alias=1)
        assert alice.answer(ANSWERS[1]) == (packet_id, c.NOT_AUTHORIZED)


def test_a_repeated_qos_2_message_sets_its_alias() -> None:
    world = World()
    bob = reader(world)
    alice = world.connect("alice")
    alice.publish("a", b"1", 2, packet_id=9)
    alice.publish("a", b"1", 2, packet_id=9, dup=True, topic_alias=1)
    alice.publish("", b"2", topic_alias=1)
    assert topics(bob) == [(b"a", b"1"), (b"a", b"2")]


@pytest.mark.parametrize("topic", ["", "a"])
@pytest.mark.mqtt5("3.2.2-17", "3.3.2-9")
def test_an_alias_above_the_maximum_ends_the_connection(topic: str) -> None:
    world = World("mqtt.max_topic_alias = 5")
    bob = reader(world)
    alice = world.connect("alice")
    alice.publish("a", b"", topic_alias=5)
    bob.received()
    alice.publish(topic, b"x", topic_alias=6)
    refusal = alice.one(Disconnect)
    assert refusal.reason_code == c.TOPIC_ALIAS_INVALID
    assert refusal.properties is not None
    assert refusal.properties.reason_string == "Topic Alias 6, the Topic Alias Maximum is 5"
    assert bob.received() == []


@pytest.mark.parametrize("topic", ["", "a"])
@pytest.mark.mqtt5("3.3.2-8")
def test_alias_0_ends_the_connection(topic: str) -> None:
    alice = World().connect("alice")
    alice.publish(topic, b"x", topic_alias=0)
    assert alice.one(Disconnect).reason_code == c.TOPIC_ALIAS_INVALID


def test_an_alias_that_was_not_set_ends_the_connection() -> None:
    alice = World().connect("alice")
    alice.publish("a", topic_alias=1)
    alice.publish("", topic_alias=2)
    assert alice.one(Disconnect).reason_code == c.PROTOCOL_ERROR


@pytest.mark.mqtt5("3.3.2-2")
def test_an_alias_with_a_topic_that_is_none_ends_the_connection() -> None:
    alice = World().connect("alice")
    alice.publish("a/#", topic_alias=1)
    assert alice.one(Disconnect).reason_code == c.TOPIC_NAME_INVALID


@acknowledged
@pytest.mark.mqtt5("3.3.2-7")
def test_aliases_end_with_the_connection(qos: int) -> None:
    world = World()
    alice = arrive(world, client_id="alice")
    alice.publish("a", b"1", qos, topic_alias=1)
    alice.drop()
    alice = arrive(world, client_id="alice")
    alice.publish("", b"2", qos, topic_alias=1)
    assert alice.one(Disconnect).reason_code == c.PROTOCOL_ERROR


def test_clients_have_aliases_of_their_own() -> None:
    world = World()
    bob = reader(world)
    peers = {name: world.connect(name) for name in ("x", "y")}
    for name, peer in peers.items():
        peer.publish(name, b"1", topic_alias=1)
    for peer in peers.values():
        peer.publish("", b"2", topic_alias=1)
    assert topics(bob) == [(b"x", b"1"), (b"y", b"1"), (b"x", b"2"), (b"y", b"2")]


def test_a_connection_keeps_the_maximum_that_it_was_told() -> None:
    world = World("mqtt.max_topic_alias = 5")
    alice = world.connect("alice")
    world.configure("mqtt.max_topic_alias = 3")
    alice.publish("a", topic_alias=5)
    assert not alice.closed
    assert world.connect("bob").told.topic_alias_maximum == 3
