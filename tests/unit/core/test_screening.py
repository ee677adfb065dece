"""What functions at hooks make of messages, and what they see of them."""
import pytest

from emqtwist.core.hooks import Stop
from emqtwist.core.message import Message
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import AliasedPublish, Puback, Publish, Pubrec, Pubrel, Will
from tests.peers import World
from tests.scenes import bob_subscribed


def upper(message: Message) -> Message:
    return message.changed(payload=message.payload.upper())


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", [4, 5])
def test_a_message_can_be_replaced(qos: int, version: int) -> None:
    world = World()
    bob, alice = world.connect("bob"), world.connect("alice", version=version)
    bob.subscribe("#", qos=2)
    world.broker.hooks.add("message.publish", lambda message: message.changed("b", b"y", 1, True))
    alice.publish("a", b"x", qos)
    got = bob.one(Publish)
    assert (got.topic_name, got.payload, got.qos) == (b"b", b"y", 1)
    assert world.broker.retained.get(b"b") is not None
    assert world.broker.retained.get(b"a") is None


def test_properties_and_expiry_stay_with_a_message_that_is_changed() -> None:
    world = World()
    bob, alice = world.connect("bob"), world.connect("alice")
    bob.subscribe("a")
    world.broker.hooks.add("message.publish", upper)
    alice.publish("a", b"x", content_type="text", message_expiry_interval=9)
    got = bob.one(Publish)
    assert got.payload == b"X"
    assert got.properties is not None
    assert (got.properties.content_type, got.properties.message_expiry_interval) == ("text", 9)


def test_no_client_is_closed_for_a_qos_that_a_function_has_chosen() -> None:
    world = World("mqtt.mqueue.max_length = 1")
    bob_subscribed(world).drop()
    world.broker.hooks.add("message.publish", lambda message: message.changed(qos=1))
    alice = world.connect("alice", version=4)
    for _ in range(2):
        alice.publish("a", b"x")
    assert not alice.closed
    assert world.drops == {"queue_full_refused": 1}


@pytest.mark.parametrize("bad", [Message(b"a/#", b""), Message(b"", b""), b"x", True])
def test_what_is_no_message_is_a_failure_and_the_message_stays(bad: object) -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("a")
    world.broker.hooks.add("message.publish", lambda message: bad)
    world.connect("alice").publish("a", b"x")
    assert bob.one(Publish).payload == b"x"
    assert world.broker.metrics.hook_failures == 1


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_that_is_stopped_is_acknowledged_and_goes_nowhere(qos: int) -> None:
    world = World()
    bob, alice = world.connect("bob"), world.connect("alice")
    bob.subscribe("a")
    world.broker.hooks.add("message.publish", lambda message: Stop())
    alice.publish("a", b"x", qos, retain=True)
    assert (alice.one(Puback) if qos == 1 else alice.one(Pubrec)).reason_code == c.SUCCESS
    assert bob.received() == []
    assert len(world.broker.retained) == 0
    assert world.drops == {"stopped_by_hook": 1}


def test_wills_and_messages_of_the_host_pass_the_hook_too() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("#")
    world.broker.hooks.add("message.publish", upper)
    world.connect("alice", will=Will(b"will", b"gone")).drop()
    world.broker.publish(Message(b"host", b"here"))
    world.settle()
    assert [packet.payload for packet in bob.received() if isinstance(packet, Publish)] == [b"GONE", b"HERE"]


def test_an_alias_is_resolved_before_anybody_is_asked() -> None:
    world = World()
    bob, alice = world.connect("bob"), world.connect("alice")
    bob.subscribe("#")
    asked: list[object] = []
    world.broker.hooks.add("client.authorize", lambda client, action, topic, allowed: asked.append(topic))
    for topic in (b"a", b""):
        alice.send(AliasedPublish(topic, b"x", 0, False, False, 0, None, 1))
    assert asked == [b"a", b"a"]
    assert [packet.topic_name for packet in bob.received() if isinstance(packet, Publish)] == [b"a", b"a"]


# Who may publish.

def test_who_may_not_publish_is_told() -> None:
    world = World()
    bob, alice = world.connect("bob"), world.connect("alice")
    bob.subscribe("#", qos=2)
    world.broker.hooks.add("client.authorize", lambda client, action, topic, allowed: topic != b"a")
    for qos in (0, 1, 2):
        alice.publish("a", b"x", qos)
    assert [(type(packet).__name__, packet.reason_code) for packet in alice.received()
            if isinstance(packet, Puback | Pubrec)] == [("Puback", c.NOT_AUTHORIZED), ("Pubrec", c.NOT_AUTHORIZED)]
    alice.publish("b", b"y", 1)
    assert alice.one(Puback).reason_code == c.SUCCESS
    assert bob.one(Publish).payload == b"y"


def test_a_flow_that_has_begun_is_not_asked_for_again() -> None:
    world = World()
    alice = world.connect("alice")
    alice.publish("a", b"x", 2, packet_id=7)
    alice.received()
    world.broker.hooks.add("client.authorize", lambda *arguments: False)
    alice.publish("a", b"x", 2, dup=True, packet_id=7)
    assert alice.one(Pubrec).reason_code == c.SUCCESS
    alice.send(Pubrel(7))
    assert not world.session("alice").received


def test_a_function_that_fails_lets_nobody_publish() -> None:
    world = World()
    alice = world.connect("alice")
    world.broker.hooks.add("client.authorize", lambda *arguments: 1 / 0)
    world.broker.hooks.add("client.authorize", lambda *arguments: True)
    alice.publish("a", b"x", 1)
    assert alice.one(Puback).reason_code == c.NOT_AUTHORIZED


def test_some_filters_can_be_refused() -> None:
    world = World()
    world.broker.hooks.add("client.authorize", lambda client, action, topic, allowed: (action, topic) != ("subscribe", b"b"))
    alice = world.connect("alice")
    assert alice.subscribe("a", "b", "c") == [0, c.NOT_AUTHORIZED, 0]
    assert list(world.session("alice").subscriptions) == [b"a", b"c"]


# What is sent and acknowledged.

@pytest.mark.parametrize("aliases", [0, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_delivery_is_seen_once(qos: int, aliases: int) -> None:
    world = World()
    bob = world.connect("bob", topic_alias_maximum=aliases) if aliases else world.connect("bob", user_name="rob")
    bob.subscribe("a", qos=2)
    seen: list[tuple[object, ...]] = []
    before = bob.world.session("bob").direct
    see = lambda *arguments: seen.append(arguments)  # noqa: E731
    world.broker.hooks.add("message.delivered", see)
    alice = world.connect("alice")
    for payload in (b"x", b"y"):
        alice.publish("a", payload, qos)
    assert [(client_id, message.payload) for client_id, _, message in seen] == [("bob", b"x"), ("bob", b"y")]  # type: ignore[attr-defined]
    assert seen[0][1] == (None if aliases else "rob")
    assert [packet.payload for packet in bob.received() if isinstance(packet, Publish)] == [b"x", b"y"]
    world.broker.hooks.delete("message.delivered", see)
    assert world.session("bob").direct is before


def test_what_waits_is_seen_when_it_is_sent_and_not_when_it_is_repeated() -> None:
    world = World()
    seen: list[object] = []
    world.broker.hooks.add("message.delivered", lambda client_id, user_name, message: seen.append(message.payload))
    bob = world.connect("bob", clean_start=False, session_expiry_interval=60)
    bob.subscribe("a", qos=1)
    bob.drop()
    world.connect("alice").publish("a", b"x", 1)
    assert seen == []
    for _ in range(2):
        bob = world.connect("bob", clean_start=False, session_expiry_interval=60)
        assert bob.one(Publish).payload == b"x"
        assert seen == [b"x"]
        bob.drop()


def test_qos_2_is_acknowledged_with_pubrec() -> None:
    world = World()
    seen: list[object] = []
    world.broker.hooks.add("message.acked", lambda client_id, user_name, message: seen.append(message.payload))
    bob = world.connect("bob")
    bob.subscribe("a", qos=2)
    world.connect("alice").publish("a", b"x", 2)
    assert seen == []
    bob.send(Pubrec(1))
    assert seen == [b"x"]
