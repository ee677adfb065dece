"""Access rules in force: PUBLISH, SUBSCRIBE, Wills, sessions that are resumed, and rules that change."""
from typing import Any

import pytest

from emqtwist.core.acl import PUBLISH, PUBSUB, Acl, Pattern, Rule
from emqtwist.core.hooks import Answer
from emqtwist.core.pending import Pending
from emqtwist.core.ruling import use_rules
from emqtwist.core.who import UserIs, Who
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Puback, Publish, Pubrec, Will
from tests.jobs import Poisoned
from tests.peers import VERSIONS, Peer, World, every_version, properties


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


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize(("action", "outcome"), [
    ("acknowledge", "publish_acknowledged"), ("drop", "publish_dropped"), ("disconnect", "publish_disconnected")])
def test_mqtt_acl_deny_action(action: str, outcome: str, qos: int, version: int) -> None:
    world, bob, _ = scene(f"mqtt.acl_deny_action = {action}")
    carol = world.connect("carol", version=version)
    carol.publish("no/a", b"x", qos)
    answers = [type(packet) for packet in carol.received()]
    if action == "disconnect":
        assert answers == ([Disconnect] if version == c.MQTT_5_0 else [])
        assert world.ends == {"not_authorized": 1}
    else:
        assert answers == ([] if action == "drop" or not qos else [Puback] if qos == 1 else [Pubrec])
    assert carol.closed is (action == "disconnect")
    assert bob.received() == []
    assert (world.drops, denials(world)) == ({"acl_denied": 1}, {outcome: 1})
    assert world.broker.metrics.counters()[f"qos{qos}_received"] == 1


def denials(world: World) -> dict[str, int]:
    return {what: count for what, count in world.broker.metrics.denials.items() if count}


@pytest.mark.parametrize("action", ["acknowledge", "drop", "disconnect"])
@pytest.mark.parametrize("late", [False, True])
def test_a_function_that_says_no_has_the_same_outcome_as_a_rule(action: str, late: bool) -> None:
    world = World(f"mqtt.acl_deny_action = {action}")
    alice = world.connect("alice")
    pending: Pending[Answer] = Pending()
    world.broker.hooks.add("client.authorize", lambda *arguments: False, ask=(lambda *arguments: pending) if late else None)
    alice.publish("a", b"x", 1)
    pending.resume(Answer(False))
    world.settle()
    assert [packet.reason_code for packet in alice.received() if isinstance(packet, Puback | Disconnect)] == (
        [] if action == "drop" else [c.NOT_AUTHORIZED])
    assert alice.closed is (action == "disconnect")
    assert world.drops == {"acl_denied": 1}
    assert world.broker.metrics.counters()["qos1_received"] == 1


@pytest.mark.parametrize(("explain", "reason"), [("off", "this client may not publish to this topic"),
                                                 ("on", "this client may not publish to this topic: acl.conf:3: {deny, all}")])
def test_mqtt_acl_explain(explain: str, reason: str) -> None:
    world = World(f"mqtt.acl_explain = {explain}")
    world.broker.acl = Acl([Rule(False, Who(), PUBLISH, [], "acl.conf:3", "{deny, all}")], True)
    alice = world.connect("alice")
    alice.publish("a", b"x", 1)
    puback = alice.one(Puback)
    assert puback.properties is not None
    assert puback.properties.reason_string == reason


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_a_rule_has_a_reason_of_its_own(qos: int, version: int) -> None:
    world = World()
    world.broker.acl = Acl([Rule(False, Who(), PUBSUB, [Pattern(b"no")], reason_code=c.QUOTA_EXCEEDED)], True)
    told = c.QUOTA_EXCEEDED if version == c.MQTT_5_0 else 0
    alice = world.connect("alice", version=version)
    alice.publish("no", b"x", qos)
    assert [packet.reason_code for packet in alice.all(Puback if qos == 1 else Pubrec)] == [told]
    assert alice.subscribe("no") == [told or 0x80]
    refused = world.peer().connect("dan", version=version, will=will("no")).reason_code
    assert refused == (told or 5)
    assert denials(world) == {"publish_acknowledged": 1, "subscription": 1, "will": 1}


# What is the broker's own.

OWN = [b"$SYS/a", b"$share/a/b", b"$queue/a"]


@pytest.mark.parametrize("topic", OWN)
@every_version
def test_a_rule_that_names_a_topic_of_the_brokers_own_opens_it(version: int, topic: bytes) -> None:
    world = World()
    heard: list[bytes] = []
    world.broker.subscribe("$SYS/#", lambda message: heard.append(message.topic), 0)
    world.broker.acl = Acl([Rule(True, UserIs("root"), PUBLISH, [Pattern(topic[:-1] + b"+")])], True)
    root, alice = world.connect("root", version=version, user_name="root"), world.connect("alice")
    for qos in (0, 1, 2):
        root.publish(topic.decode(), b"x", qos)
        alice.publish(topic.decode(), b"x", qos)
    assert heard == ([topic] * 3 if topic.startswith(b"$SYS") else [])
    assert world.drops.get("reserved_topic") == 3
    assert [packet.reason_code for packet in alice.received() if isinstance(packet, Puback | Pubrec)] == [c.NOT_AUTHORIZED] * 2
    world.broker.acl = None
    root.publish(topic.decode(), b"x")
    assert world.drops["reserved_topic"] == 4


@pytest.mark.parametrize("rule", [Rule(True, Who(), PUBSUB, []), Rule(True, Who(), PUBSUB, [Pattern(b"#")])])
def test_a_rule_for_all_topics_opens_none_of_the_brokers_own(rule: Rule) -> None:
    world = World()
    world.broker.acl = Acl([rule], True)
    alice = world.connect("alice")
    alice.publish("$SYS/a", b"x", 1)
    assert alice.one(Puback).reason_code == c.NOT_AUTHORIZED
    assert world.peer().connect("dan", will=will("$SYS/a")).reason_code == c.NOT_AUTHORIZED


def test_a_will_on_a_topic_of_the_brokers_own_needs_a_rule_that_names_it() -> None:
    world = World()
    heard: list[bytes] = []
    world.broker.subscribe("$SYS/#", lambda message: heard.append(message.payload), 0)
    assert world.peer().connect("dan", will=will("$SYS/a")).reason_code == c.NOT_AUTHORIZED
    rules = Acl([Rule(True, Who(), PUBLISH, [Pattern(b"$SYS/a")])], True)
    world.broker.acl = rules
    world.connect("dan", will=will("$SYS/a")).drop()
    assert heard == [b"gone"]
    dan = world.connect("dan", will=will("$SYS/a"))
    use_rules(world.broker, None)
    dan.drop()
    assert heard == [b"gone"]
    assert world.drops == {"acl_denied": 1}


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


@pytest.mark.parametrize("delay", [0, 5])
@pytest.mark.parametrize(("who", "published"), [(UserIs("dan"), False), (UserIs("eve"), True)])
def test_a_will_is_asked_for_again_when_it_is_due(who: Who, published: bool, delay: int) -> None:
    world, bob, _ = scene()
    last = Will(b"yes", b"gone", properties=properties(will_delay_interval=delay))
    dan = world.connect("dan", user_name="dan", session_expiry_interval=60, will=last)
    if delay:
        dan.drop()
    use_rules(world.broker, deny("yes", who=who))
    if not delay:
        dan.drop()
    world.advance(delay)
    assert bob.payloads() == ([b"gone"] if published else [])
    assert denials(world) == ({} if published else {"will_dropped": 1})


@every_version
@pytest.mark.parametrize("late", [False, True])
def test_functions_are_asked_about_wills_too(late: bool, version: int) -> None:
    world, bob, _ = scene()
    asked: list[tuple[object, ...]] = []
    pending: list[Pending[Answer]] = []

    def ask(*arguments: Any) -> Pending[Answer]:
        asked.append((arguments[0].user_name, *arguments[1:]))
        pending.append(Pending())
        return pending[-1]

    def function(*arguments: Any) -> bool:
        asked.append((arguments[0].user_name, *arguments[1:]))
        return bool(arguments[2] != b"sorry")

    world.broker.hooks.add("client.authorize", function, ask=ask if late else None)
    for topic in ("sorry", "yes", "no/a"):
        peer = world.peer()
        peer.send(Connect(version, "dan", user_name="dan", will=will(topic)))
        for each in pending:
            each.resume(Answer(topic != "sorry"))
        world.settle()
        [connack] = peer.all(Connack)
        assert (connack.reason_code == 0) is (topic == "yes")
        peer.drop()
    assert asked == [("dan", "publish", b"sorry", True), ("dan", "publish", b"yes", True)]
    assert bob.payloads() == [b"gone"]
    assert denials(world) == {"will": 2}


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
