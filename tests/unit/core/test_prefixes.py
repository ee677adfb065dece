"""Prefixes of Topic Filters: `$local/`, `$exclusive/`, and what may stand before what."""
import pytest

from emqtwist.core.prefixes import Prefixed, canonical, parse_prefix, subscription_to
from emqtwist.core.subscriber import Subscriber
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.errors import TopicFilterInvalid
from emqtwist.mqtt.packets import Publish, Suback, Subscribe, Unsubscribe
from tests.peers import World, every_version
from tests.scenes import arrive, publish


@pytest.mark.parametrize(("name", "topic_filter", "group", "local", "exclusive"), [
    (b"$share/g/a/+", b"a/+", b"g", False, False), (b"$queue/a", b"a", b"$queue", False, False),
    (b"$local/a", b"a", b"", True, False), (b"$local/$share/g/a", b"a", b"g", True, False),
    (b"$local/$queue/a", b"a", b"$queue", True, False), (b"$queue/$local/a", b"a", b"$queue", True, False),
    (b"$exclusive/a/b", b"a/b", b"", False, True), (b"$share/g/$local/a", b"$local/a", b"g", False, False),
    (b"$share/g//", b"/", b"g", False, False), (b"$local/$SYS/#", b"$SYS/#", b"", True, False),
])
def test_a_prefix_says_who_receives(name: bytes, topic_filter: bytes, group: bytes, local: bool, exclusive: bool) -> None:
    prefix = parse_prefix(name)
    assert prefix is not None
    assert (prefix.topic_filter, prefix.group, prefix.local, prefix.exclusive) == (topic_filter, group, local, exclusive)
    assert prefix.name == canonical(name)
    subscription = subscription_to(Subscriber("bob"), name, 1, (7,))
    assert isinstance(subscription, Prefixed)
    assert (subscription.name(), subscription.topic_filter, subscription.local()) == (canonical(name), topic_filter, local)


@pytest.mark.parametrize("name", [b"a", b"$SYS/a", b"$localhost/a", b"$shared/a", b"a/$local/b", b"$share", b"$queue", b""])
def test_a_plain_filter_has_no_prefix(name: bytes) -> None:
    assert parse_prefix(name) is None
    subscription = subscription_to(Subscriber("bob"), name, 1, (7,))
    assert (type(subscription).__name__, subscription.name(), subscription.local()) == ("Subscription", name, False)


@pytest.mark.parametrize("name", [
    b"$local/$local/a", b"$local/$exclusive/a", b"$exclusive/$local/a", b"$exclusive/$share/g/a", b"$exclusive/a/+",
    b"$exclusive/#", b"$exclusive/$exclusive/a", b"$queue/$local/$share/g/a", b"$local/$share/g"])
def test_prefixes_that_do_not_go_together_are_invalid(name: bytes) -> None:
    with pytest.raises(TopicFilterInvalid):
        parse_prefix(name)


@pytest.mark.parametrize("topic_filter", ["$local/", "$exclusive/", "$local/a#", "$exclusive/a/+", "$local/1/2/3/4/5"])
@every_version
def test_a_bad_filter_after_a_prefix_fails_alone(version: int, topic_filter: str) -> None:
    bob = World("mqtt.max_topic_levels = 4").connect("bob", version=version)
    assert bob.subscribe(topic_filter, "$local/1/2/3/4") == [
        c.TOPIC_FILTER_INVALID if version == 5 else c.SUBSCRIBE_FAILURE, 0]


@every_version
@pytest.mark.parametrize("topic_filter", [b"$share/\xff/a", b"$share/g/a\0", b"$share/\0", b"$exclusive/\xff"])
@pytest.mark.mqtt5("3.8.3-1")
def test_a_prefix_that_is_no_string_ends_the_connection(version: int, topic_filter: bytes) -> None:
    bob = World().connect("bob", version=version)
    bob.send(Subscribe(1, [(topic_filter, 0)]))
    assert bob.closed


def test_emqttds_order_of_prefixes_names_the_same_subscription() -> None:
    world = World("mqtt.session.max_subscriptions = 1")
    bob = world.connect("bob")
    assert bob.subscribe("$queue/$local/a", "$local/$queue/a", "$queue/$local/a") == [0, 0, 0]
    publish(world, b"x")
    assert bob.payloads() == [b"x"]
    assert bob.unsubscribe("$queue/$local/a") == [c.SUCCESS]
    assert world.broker.router.filters() == []


# $local.

@every_version
def test_a_local_subscription_gets_what_is_published_here(version: int) -> None:
    world = World()
    publish(world, b"kept", retain=True)
    bob = arrive(world, version)
    assert bob.subscribe("$local/+", qos=1) == [1]
    publish(world, b"x", qos=2)
    got = bob.all(Publish)
    assert [(each.topic_name, each.payload, each.qos, each.retain) for each in got] == [
        (b"a", b"kept", 1, True), (b"a", b"x", 1, False)]
    assert [subscription.local() for subscription in world.broker.router.route(b"a")] == [True]
    assert bob.unsubscribe("$local/+") == ([0] if version == 5 else [])
    publish(world, b"y")
    assert bob.received() == []


def test_a_local_and_an_ordinary_subscription_to_one_filter_give_one_message_with_both_identifiers() -> None:
    world = World()
    bob = world.connect("bob")
    for options, identifier, name in ((0, 1, "$local/a"), (1, 2, "a"), (2, 3, "$exclusive/a")):
        bob.subscribe(name, qos=options, identifier=identifier)
    for gone, qos, left in ((None, 2, [1, 2, 3]), ("$exclusive/a", 1, [1, 2]), ("a", 0, [1])):
        if gone is not None:
            assert bob.unsubscribe(gone) == [0]
        publish(world, b"x", qos=2)
        got = bob.one(Publish)
        assert got.properties is not None
        assert (got.qos, sorted(got.properties.subscription_identifiers)) == (qos, left)
        [entry] = world.broker.router.route(b"a")
        assert entry.local() == (left == [1])
    assert bob.unsubscribe("$local/a") == [0]
    assert world.broker.router.filters() == []


def test_retained_messages_of_one_name_do_not_stop_when_another_is_unsubscribed() -> None:
    world = World("retainer.replay_batch = 1")
    alice = world.connect("alice")
    for number in range(3):
        alice.publish(f"a/{number}", b"x", retain=True)
    bob = world.connect("bob")
    bob.write(encode(Subscribe(1, [(b"a/#", 0), (b"$local/a/#", 0)]), 5) + encode(Unsubscribe(2, [b"$local/a/#"]), 5))
    world.settle()
    assert len([packet for packet in bob.received() if isinstance(packet, Publish)]) == 3


def test_a_local_group_says_so() -> None:
    world = World()
    world.connect("bob").subscribe("$local/$share/g/a", "$share/g/a")
    assert sorted(subscription.local() for subscription in world.broker.router.route(b"a")) == [False, True]


# $exclusive.

@every_version
def test_one_client_at_a_time_has_an_exclusive_subscription(version: int) -> None:
    world = World()
    bob, carol = world.connect("bob", version=version), world.connect("carol", version=version)
    assert bob.subscribe("$exclusive/a", qos=1) == [1]
    assert bob.subscribe("$exclusive/a", qos=2) == [2]
    refused = c.QUOTA_EXCEEDED if version == 5 else c.SUBSCRIBE_FAILURE
    assert carol.subscribe("$exclusive/a", "$exclusive/b", "a") == [refused, 0, 0]
    publish(world, b"x", qos=2)
    assert (bob.one(Publish).qos, carol.one(Publish).qos) == (2, 0)


def test_the_second_is_told_why() -> None:
    world = World()
    world.connect("bob").subscribe("$exclusive/a")
    carol = world.connect("carol")
    carol.send(Subscribe(1, [(b"$exclusive/a", 0)]))
    properties = carol.one(Suback).properties
    assert properties is not None
    assert properties.reason_string == "another client has subscribed to this topic exclusively"


@pytest.mark.parametrize("end", ["unsubscribe", "transient", "expiry", "clean start"])
def test_the_topic_is_free_when_the_subscription_has_ended(end: str) -> None:
    world = World()
    bob = world.connect("bob") if end == "transient" else arrive(world)
    bob.subscribe("$exclusive/a")
    if end == "unsubscribe":
        bob.unsubscribe("$exclusive/a")
    else:
        bob.drop()
    if end == "expiry":
        world.advance(1001)
    elif end == "clean start":
        world.connect("bob")
    assert world.connect("carol").subscribe("$exclusive/a", qos=1) == [1]
    publish(world, b"x")
    assert world.broker.router.subscriptions == 1


def test_a_persistent_session_keeps_its_topic_while_its_client_is_away() -> None:
    world = World()
    bob = arrive(world)
    bob.subscribe("$exclusive/a", qos=1)
    bob.drop()
    assert world.connect("carol").subscribe("$exclusive/a") == [c.QUOTA_EXCEEDED]
    publish(world, b"x")
    assert arrive(world).payloads() == [b"x"]
