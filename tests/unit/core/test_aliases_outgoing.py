"""Topic Aliases that the broker sets for a client that takes them."""
from typing import Any

import pytest

from emqtwist.core import causes
from emqtwist.core.aliases import PATIENCE, Outgoing
from emqtwist.core.message import PUBLISH_BYTE, Message
from emqtwist.mqtt.constants import MAX_PACKET, OPTION_RETAIN_AS_PUBLISHED
from emqtwist.mqtt.packets import AliasedPublish, Publish, Pubrec, Pubrel
from tests.peers import Peer, World
from tests.scenes import arrive
from tests.unit.mqtt.comparing import fields

TOPIC = "sensors/1"
each_qos = pytest.mark.parametrize("qos", [0, 1, 2])


def taker(world: World, qos: int = 0, most: int = 10, **options: Any) -> Peer:
    """A client that takes aliases and subscribes to everything."""
    peer = arrive(world, topic_alias_maximum=most, **options)
    peer.subscribe("#", qos=qos)
    return peer


def seen(peer: Peer) -> list[tuple[bytes, int]]:
    """Topic Name and Topic Alias, 0 for none, of each PUBLISH since the last call."""
    return [(each.topic_name, each.topic_alias if isinstance(each, AliasedPublish) else 0) for each in peer.all(Publish)]


@each_qos
def test_the_first_message_of_a_topic_sets_its_alias_and_the_next_have_no_topic(qos: int) -> None:
    world = World()
    bob = taker(world, qos)
    alice = world.connect("alice")
    for topic in (TOPIC, TOPIC, "sensors/2", TOPIC, "sensors/2"):
        alice.publish(topic, b"x", qos)
    assert seen(bob) == [(b"sensors/1", 1), (b"", 1), (b"sensors/2", 2), (b"", 1), (b"", 2)]


@each_qos
@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.mqtt5("3.1.2-27")
def test_who_takes_no_alias_gets_none(version: int, qos: int) -> None:
    world = World()
    bob = world.connect("bob", version=version)
    bob.subscribe("#", qos=qos)
    alice = world.connect("alice")
    for _ in range(2):
        alice.publish(TOPIC, b"x", qos)
    assert seen(bob) == [(b"sensors/1", 0)] * 2


@pytest.mark.mqtt5("3.1.2-26", "3.3.2-11")
def test_no_more_are_set_than_the_client_takes() -> None:
    world = World()
    bob = taker(world, most=2)
    alice = world.connect("alice")
    for number in (1, 2, 3, 1, 2, 3):
        alice.publish(f"sensors/{number}")
    assert seen(bob) == [(b"sensors/1", 1), (b"sensors/2", 2), (b"sensors/3", 0), (b"", 1), (b"", 2), (b"sensors/3", 0)]


def test_no_more_are_set_than_the_operator_allows() -> None:
    world = World("mqtt.max_topic_alias = 1")
    bob = taker(world, most=65_535)
    alice = world.connect("alice")
    for number in (1, 2, 2):
        alice.publish(f"sensors/{number}")
    assert [alias for _, alias in seen(bob)] == [1, 0, 0]


def test_a_topic_too_short_to_save_anything_gets_no_alias() -> None:
    world = World()
    bob = taker(world)
    alice = world.connect("alice")
    for topic in ("123456", "123456", "1234567", "1234567"):
        alice.publish(topic)
    assert seen(bob) == [(b"123456", 0)] * 2 + [(b"1234567", 1), (b"", 1)]


def test_two_messages_of_the_shortest_topic_with_an_alias_are_shorter_than_without() -> None:
    sizes = {}
    for most in (0, 1):
        world = World()
        bob = taker(world, most=most)
        before = len(bob.raw)
        for _ in range(2):
            world.broker.publish(Message(b"1234567", b"x"))
        world.settle()
        sizes[most] = len(bob.raw) - before
    assert sizes[1] < sizes[0]


@each_qos
def test_receivers_with_and_without_aliases_get_the_same_message(qos: int) -> None:
    world = World()
    peers = []
    for number, (version, most) in enumerate([(5, 0), (5, 9), (4, 0), (5, 9), (3, 0), (5, 0), (5, 1)]):
        values = {"topic_alias_maximum": most} if most else {}
        peer = world.connect(str(number), version=version, **values)
        peer.subscribe("#", qos=qos)
        peers.append((peer, most))
    alice = world.connect("alice")
    for number in range(4):
        alice.publish(TOPIC, b"%d" % number, qos)
    for peer, most in peers:
        publishes = peer.all(Publish)
        assert [each.payload for each in publishes] == [b"0", b"1", b"2", b"3"]
        assert [each.topic_name for each in publishes] == [b"sensors/1"] + [b"" if most else b"sensors/1"] * 3
        assert [each.qos for each in publishes] == [qos] * 4


def test_receivers_know_a_topic_by_different_aliases() -> None:
    world = World()
    bob = taker(world)
    alice = world.connect("alice")
    alice.publish("sensors/0")
    carol = taker(world, client_id="carol")
    for _ in range(2):
        alice.publish(TOPIC, b"x")
    assert seen(bob)[1:] == [(b"sensors/1", 2), (b"", 2)]
    assert seen(carol) == [(b"sensors/1", 1), (b"", 1)]


@each_qos
def test_all_that_the_message_says_goes_with_the_alias(qos: int) -> None:
    world = World()
    bob = world.connect("bob", topic_alias_maximum=1)
    bob.subscribe("#", qos=qos, identifier=300)
    alice = world.connect("alice")
    for _ in range(2):
        alice.publish(TOPIC, b"x" * 200, qos, content_type="text", message_expiry_interval=60, user_properties=[("k", "v")])
    for publish, topic in zip(bob.all(Publish), (b"sensors/1", b""), strict=True):
        said = publish.properties
        assert said is not None
        assert (publish.topic_name, publish.payload, said.topic_alias) == (topic, b"x" * 200, 1)
        assert (said.content_type, said.message_expiry_interval, said.user_properties) == ("text", 60, [("k", "v")])
        assert said.subscription_identifiers == [300]


@each_qos
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("size", [0, 119, 120, 121, 122, 16_370, 16_380, 20_000])
def test_a_payload_of_any_size_goes_with_an_alias(size: int, retain: bool, qos: int) -> None:
    world = World()
    bob = world.connect("bob", topic_alias_maximum=1)
    bob.subscribe("#", qos=qos, options=OPTION_RETAIN_AS_PUBLISHED)
    alice = world.connect("alice")
    for _ in range(2):
        alice.publish(TOPIC, bytes(size), qos, retain)
    assert [(each.topic_name, each.payload, each.qos, each.retain) for each in bob.all(Publish)] == [
        (b"sensors/1", bytes(size), qos, retain), (b"", bytes(size), qos, retain)]


@pytest.mark.parametrize(("values", "identifier"), [
    ({"content_type": "text"}, 0), ({"message_expiry_interval": 60}, 0), ({}, 300)])
def test_each_property_goes_with_the_alias(values: dict[str, Any], identifier: int) -> None:
    world = World()
    bob, carol = world.connect("bob", topic_alias_maximum=1), world.connect("carol")
    for peer in (bob, carol):
        peer.subscribe("#", identifier=identifier)
    alice = world.connect("alice")
    for _ in range(2):
        alice.publish(TOPIC, b"x", **values)
    for aliased, plain in zip(bob.all(Publish), carol.all(Publish), strict=True):
        assert aliased.properties is not None
        assert aliased.properties.topic_alias == 1
        aliased.properties.topic_alias = None
        assert fields(aliased.properties) == fields(plain.properties)


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.mqtt5("3.3.1-1", "3.3.2-7")
def test_what_is_sent_again_uses_the_aliases_of_the_new_connection(qos: int) -> None:
    world = World()
    bob = taker(world, qos)
    alice = world.connect("alice")
    alice.publish("sensors/0", b"0", qos)
    for payload in (b"1", b"2"):
        alice.publish(TOPIC, payload, qos)
    assert seen(bob) == [(b"sensors/0", 1), (b"sensors/1", 2), (b"", 2)]
    bob.acknowledge(Publish(b"", b"", qos, packet_id=1))
    bob.received()
    bob.drop()
    again = arrive(world, topic_alias_maximum=1).all(Publish)
    assert [(each.topic_name, each.payload, each.packet_id, each.dup) for each in again] == [
        (b"sensors/1", b"1", 2, True), (b"", b"2", 3, True)]
    assert [each.topic_alias for each in again if isinstance(each, AliasedPublish)] == [1, 1]


def test_what_is_sent_again_has_its_topic_for_who_takes_aliases_no_more() -> None:
    world = World()
    bob = taker(world, 1)
    alice = world.connect("alice")
    for _ in range(2):
        alice.publish(TOPIC, b"x", 1)
    bob.drop()
    assert seen(arrive(world)) == [(b"sensors/1", 0)] * 2


def test_qos_2_goes_on_as_without_aliases() -> None:
    world = World()
    bob = taker(world, 2)
    alice = world.connect("alice")
    for _ in range(2):
        alice.publish(TOPIC, b"x", 2)
    first, second = bob.all(Publish)
    bob.send(Pubrec(second.packet_id))
    assert bob.one(Pubrel).packet_id == second.packet_id
    bob.acknowledge(first)
    assert world.session("bob").inflight.held == {second.packet_id: None}


def test_what_waited_is_sent_with_aliases_and_in_order() -> None:
    world = World()
    bob = taker(world, 1)
    alice = world.connect("alice")
    bob.stall()
    for number, qos in enumerate((0, 1, 0)):
        alice.publish(TOPIC, b"%d" % number, qos)
    bob.relieve()
    alice.publish(TOPIC, b"3")
    publishes = bob.all(Publish)
    assert [each.payload for each in publishes] == [b"0", b"1", b"2", b"3"]
    assert [each.topic_name for each in publishes] == [b"sensors/1", b"", b"", b""]


def test_what_waited_for_the_window_is_sent_with_aliases() -> None:
    world = World()
    bob = taker(world, qos=1, receive_maximum=1)
    alice = world.connect("alice")
    for _ in range(3):
        alice.publish(TOPIC, b"x", 1)
    found = []
    for _ in range(3):
        publish = bob.one(Publish)
        found.append(publish.topic_name)
        bob.acknowledge(publish)
    assert found == [b"sensors/1", b"", b""]


def test_qos_0_does_not_overtake_qos_0_that_waits() -> None:
    world = World()
    bob = taker(world, 1, receive_maximum=1)
    alice = world.connect("alice")
    bob.stall()
    for payload, qos in ((b"1", 1), (b"2", 1), (b"3", 0)):
        alice.publish(TOPIC, payload, qos)
    bob.relieve()
    alice.publish(TOPIC, b"4")
    first = bob.one(Publish)
    bob.acknowledge(first)
    assert bob.payloads() == [b"2", b"3", b"4"]


def test_retained_messages_come_with_aliases_too() -> None:
    world = World()
    alice = world.connect("alice")
    alice.publish(TOPIC, b"kept", 0, True)
    bob = taker(world)
    alice.publish(TOPIC, b"live")
    publishes = bob.all(Publish)
    assert [(each.topic_name, each.payload, each.retain) for each in publishes] == [
        (b"sensors/1", b"kept", True), (b"", b"live", False)]


@each_qos
@pytest.mark.mqtt5("3.1.2-24", "3.1.2-25")
def test_the_packet_as_it_is_sent_counts_against_the_maximum(qos: int) -> None:
    topic = "t" * 50
    world = World()
    bob = taker(world, qos, maximum_packet_size=100)
    alice = world.connect("alice")
    room = 100 - 2 - 2 - 50 - 1 - (2 if qos else 0)  # for the payload, with the topic and no alias
    alice.publish(topic, bytes(room), qos)  # the alias would be too much
    alice.publish(topic, bytes(room - 2), qos)
    alice.publish(topic, bytes(room + 1), qos)
    assert world.drops == {causes.TOO_LARGE_FOR_CLIENT: 1}
    alice.publish(topic, bytes(room - 3), qos)
    alice.publish(topic, bytes(room + 47), qos)  # 100 bytes, as the topic is no longer in it
    alice.publish(topic, bytes(room + 48), qos)
    publishes = bob.all(Publish)
    assert [len(each.payload) - room for each in publishes] == [0, -2, -3, 47]
    assert [each.topic_name for each in publishes] == [topic.encode()] * 3 + [b""]
    assert world.drops == {causes.TOO_LARGE_FOR_CLIENT: 2}
    assert len(world.session("bob").inflight.held) == (4 if qos else 0)


def test_what_is_sent_again_and_does_not_fit_any_more_is_dropped() -> None:
    world = World()
    bob = taker(world, 1)
    alice = world.connect("alice")
    for size in (100, 1):
        alice.publish(TOPIC, bytes(size), 1)
    bob.drop()
    again = arrive(world, topic_alias_maximum=1, maximum_packet_size=60).one(Publish)
    assert (again.topic_name, again.payload, again.packet_id) == (b"sensors/1", b"\0", 2)
    assert world.drops == {causes.TOO_LARGE_FOR_CLIENT: 1}
    assert list(world.session("bob").inflight.held) == [2]


# When all aliases are given.

class Wire:
    """What the topics of a stream become on a connection with `maximum` aliases."""

    def __init__(self, maximum: int) -> None:
        self.aliases = Outgoing(maximum)

    def send(self, topic: str) -> bool:
        """Whether the packet goes without its Topic Name."""
        assert self.aliases.encode(Message(topic.encode(), b""), PUBLISH_BYTE, (), 0.0, MAX_PACKET)
        return topic.encode() not in self.aliases.head

    def saved(self, *topics: str) -> int:
        return len([topic for topic in topics if self.send(topic)])


def test_topics_that_come_once_do_not_drive_out_those_in_use() -> None:
    wire = Wire(2)
    for number in range(100):
        assert wire.saved("topic/a", "topic/b") == (2 if number else 0)
        wire.send(f"once/{number}")


def test_too_many_topics_in_turn_keep_the_first_ones() -> None:
    wire = Wire(10)
    topics = [f"topic/{number}" for number in range(20)]
    wire.saved(*topics)
    assert [wire.saved(*topics) for _ in range(20)] == [10] * 20


def test_a_topic_that_is_not_used_any_more_makes_room() -> None:
    wire = Wire(2)
    wire.saved("topic/a", "topic/b", "topic/a", "topic/b")
    sent = [wire.send("topic/c") for _ in range(4 * PATIENCE)]
    assert not sent[0]
    assert sent[-1]
    assert wire.send("topic/b")
    assert not wire.send("topic/a")


def test_an_alias_that_goes_to_another_topic_is_set_anew() -> None:
    aliases = Outgoing(1)
    for topic in (b"topic/a", b"topic/b", b"topic/c", b"topic/a"):
        for _ in range(3 * PATIENCE):
            aliases.encode(Message(topic, b""), PUBLISH_BYTE, (), 0.0, MAX_PACKET)
            head = aliases.head
        assert head == bytes((PUBLISH_BYTE, 6, 0, 0, 3, 0x23, 0, 1))
