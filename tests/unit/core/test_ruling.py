"""Access rules in force: PUBLISH, SUBSCRIBE, Wills, sessions that are resumed, and rules that change."""
import pytest

from emqtwist.core.acl import PUBSUB, Acl, Pattern, Rule, UserIs, Who
from emqtwist.core.ruling import use_rules
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Disconnect, Puback, Publish, Pubrec, Will
from tests.jobs import Poisoned
from tests.peers import VERSIONS, Peer, World, every_version


def deny(*filters: str, who: Who | None = None) -> Acl:
    return Acl([Rule(False, who or Who(), PUBSUB, [Pattern(each.encode()) for each in filters])], True)


def scene(*lines: str) -> tuple[World, Peer, Peer]:
    """A world in which `no/#` is denied, somebody who listened to all before it was, and alice."""
    world = World(*lines)
    bob = world.connect("bob")
    bob.subscribe("#", qos=2)
    world.broker.acl = deny("no/#")
    return world, bob, world.connect("alice")


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_denied_publish_goes_nowhere_and_is_counted(qos: int) -> None:
    world, bob, alice = scene()
    alice.publish("no/a", b"x", qos=qos)
    assert bob.received() == []
    assert world.drops == {"acl_denied": 1}


@pytest.mark.parametrize(("qos", "kind"), [(1, Puback), (2, Pubrec)])
def test_a_denied_publish_is_acknowledged_with_the_reason(qos: int, kind: type[Puback] | type[Pubrec]) -> None:
    _, _, alice = scene()
    packet_id = alice.publish("no/a", b"x", qos=qos)
    assert alice.answer(kind) == (packet_id, c.NOT_AUTHORIZED)


def test_before_5_a_denied_publish_only_seems_done() -> None:
    world, bob, _ = scene()
    carol = world.connect("carol", version=c.MQTT_3_1_1)
    carol.publish("no/a", b"x", qos=1)
    assert len(carol.all(Puback)) == 1
    assert bob.received() == []


@pytest.mark.parametrize("qos", [0, 1, 2])
@every_version
def test_what_is_allowed_is_delivered(version: int, qos: int) -> None:
    world, bob, _ = scene()
    carol = world.connect("carol", version=version)
    carol.publish("yes", b"1", qos=qos)
    carol.publish("yes", b"2", qos=qos)
    assert bob.payloads() == [b"1", b"2"]


def test_a_topic_alias_is_asked_for_by_its_topic() -> None:
    _, bob, alice = scene()
    for topic in ("yes", "", "no/a", ""):
        alice.publish(topic, topic.encode(), topic_alias=1)
    assert bob.payloads() == [b"yes", b""]


@pytest.mark.parametrize("topic", ["no/+", ""])
def test_a_topic_name_that_is_none_is_told_as_such(topic: str) -> None:
    _, _, alice = scene()
    alice.publish(topic)
    assert alice.one(Disconnect).reason_code in (c.TOPIC_NAME_INVALID, c.PROTOCOL_ERROR)


def test_a_flow_that_began_before_the_rules_comes_to_its_end() -> None:
    world, _, alice = scene()
    world.broker.acl = None
    packet_id = alice.publish("no/a", qos=2)
    alice.received()
    use_rules(world.broker, deny("no/#"))
    alice.publish("no/a", qos=2, dup=True, packet_id=packet_id)
    assert alice.answer(Pubrec) == (packet_id, c.SUCCESS)


def test_hooks_are_asked_about_what_the_rules_allow() -> None:
    world, bob, alice = scene()
    asked: list[object] = []
    world.broker.hooks.add("client.authorize", lambda client, action, topic, allowed: asked.append(topic))
    alice.publish("no/a")
    alice.publish("yes")
    assert asked == [b"yes"]
    assert [publish.topic_name for publish in bob.all(Publish)] == [b"yes"]


@pytest.mark.parametrize(("topic_filter", "reason_code"), [
    ("yes", 1), ("no/a", c.NOT_AUTHORIZED), ("#", c.NOT_AUTHORIZED), ("$share/g/no/a", c.NOT_AUTHORIZED), ("$share/g/yes", 1)])
def test_each_filter_of_subscribe_is_asked_for(topic_filter: str, reason_code: int) -> None:
    _, _, alice = scene()
    assert alice.subscribe("first", topic_filter, qos=1) == [1, reason_code]


def will(topic: str) -> Will:
    return Will(topic.encode(), b"gone", 0, False, None)


@every_version
def test_a_will_that_is_denied_is_refused_with_the_connection(version: int) -> None:
    world, _, _ = scene()
    codes = {c.MQTT_5_0: c.NOT_AUTHORIZED}
    assert world.peer().connect("dan", version=version, will=will("no/a")).reason_code == codes.get(version, 5)
    assert "dan" not in world.broker.sessions.by_id


def test_a_will_that_is_allowed_is_published() -> None:
    world, bob, _ = scene()
    world.connect("dan", will=will("yes")).drop()
    assert bob.payloads() == [b"gone"]


def test_the_will_is_that_of_the_user() -> None:
    world = World()
    world.broker.acl = deny("no/#", who=UserIs("eve"))
    assert world.peer().connect("a", user_name="eve", will=will("no/a")).reason_code == c.NOT_AUTHORIZED
    assert world.peer().connect("a", user_name="dan", will=will("no/a")).reason_code == c.SUCCESS


def absent(world: World) -> None:
    """carol has subscribed to what is about to be denied, and is gone when a message comes for her."""
    carol = world.connect("carol", session_expiry_interval=100)
    carol.subscribe("no/#", "yes", qos=1)
    carol.disconnect()
    world.connect("dan").publish("no/a", b"secret", qos=1)


def test_a_session_with_a_denied_subscription_is_not_resumed() -> None:
    world = World()
    absent(world)
    use_rules(world.broker, deny("no/#"))
    carol = world.peer()
    connack = carol.connect("carol", clean_start=False, session_expiry_interval=100)
    assert isinstance(connack, Connack)
    assert not connack.session_present
    assert carol.received() == []
    assert world.session("carol").subscriptions == {}
    assert world.witness.told("session_forbidden") == [("carol", b"no/#")]


def test_a_session_whose_subscriptions_are_allowed_is_resumed() -> None:
    world = World()
    absent(world)
    use_rules(world.broker, deny("no/#", who=UserIs("eve")))
    carol = world.peer()
    assert carol.connect("carol", clean_start=False, user_name="carol").session_present
    assert carol.payloads() == [b"secret"]


def test_another_user_does_not_get_what_waits_for_the_first() -> None:
    world = World()
    absent(world)
    use_rules(world.broker, deny("no/#", who=UserIs("eve")))
    eve = world.peer()
    assert not eve.connect("carol", clean_start=False, user_name="eve").session_present
    assert eve.received() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_change_ends_the_subscriptions_that_it_denies(version: int) -> None:
    world = World()
    carol, dan = world.connect("carol", version=version), world.connect("dan")
    carol.subscribe("no/#", "yes", "$share/g/no/+")
    use_rules(world.broker, deny("no/#"))
    use_rules(world.broker, None)
    dan.publish("no/a", b"secret")
    dan.publish("yes", b"open")
    assert carol.payloads() == [b"open"]
    assert sorted(world.witness.told("subscription_ended")) == [("carol", b"$share/g/no/+"), ("carol", b"no/#")]


def test_a_change_counts_for_what_was_allowed_before() -> None:
    world, bob, alice = scene()
    alice.publish("yes", b"1")
    use_rules(world.broker, deny("yes"))
    alice.publish("yes", b"2")
    use_rules(world.broker, None)
    bob.received()
    bob.subscribe("#")
    alice.publish("yes", b"3")
    assert bob.payloads() == [b"3"]


def test_a_subscription_that_cannot_be_ended_costs_the_connection() -> None:
    world = World()
    world.bear()
    carol = world.connect("carol")
    carol.subscribe("no/a")
    world.broker.router._exact = Poisoned(world.broker.router._exact, [b"no/a"])
    use_rules(world.broker, deny("no/#"))
    for pool in world.broker.pools.all():
        for worker in pool.workers:
            worker.start()
    world.settle()
    assert carol.one(Disconnect).reason_code == c.IMPLEMENTATION_SPECIFIC_ERROR
