"""UNSUBSCRIBE: a result for each filter, and what ends with it."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Publish, Unsuback, Unsubscribe
from tests.peers import World, before_5, every_version


@pytest.mark.mqtt5("2.2.1-6", "3.10.4-4", "3.10.4-5", "3.10.4-6", "3.11.3-1")
def test_each_unsubscribed_filter_has_its_result_in_order() -> None:
    bob = World().connect("bob")
    bob.subscribe("a", "b/#")
    bob.send(Unsubscribe(77, [b"b/#", b"c", b"a", b"a"]))
    unsuback = bob.one(Unsuback)
    assert (unsuback.packet_id, unsuback.reason_codes) == (
        77, [c.SUCCESS, c.NO_SUBSCRIPTION_EXISTED, c.SUCCESS, c.NO_SUBSCRIPTION_EXISTED])


@before_5
@pytest.mark.mqtt3("3.10.4-4", "3.10.4-5")
def test_before_5_unsuback_is_an_identifier(version: int) -> None:
    bob = World().connect("bob", version=version)
    bob.send(Unsubscribe(77, [b"a", b"b"]))
    assert bob.raw[-4:] == b"\xb0\x02\x00\x4d"


@every_version
@pytest.mark.mqtt5("3.10.4-2", "3.10.4-3")
def test_nothing_is_added_after_unsubscribe_but_what_was_under_way_goes_on(version: int) -> None:
    world = World("mqtt.session.max_inflight = 1")
    bob, alice = world.connect("bob", version=version), world.connect("alice")
    bob.subscribe("a", qos=1)
    alice.publish("a", b"1", qos=1)
    alice.publish("a", b"2", qos=1)
    bob.unsubscribe("a")
    alice.publish("a", b"3", qos=1)
    first = bob.one(Publish)
    bob.acknowledge(first)
    second = bob.one(Publish)
    bob.acknowledge(second)
    assert (first.payload, second.payload, bob.received()) == (b"1", b"2", [])


@pytest.mark.mqtt5("3.10.4-1")
def test_a_filter_is_compared_character_by_character() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("a/+")
    assert bob.unsubscribe("a/b", "a/#", "A/+") == [c.NO_SUBSCRIPTION_EXISTED] * 3
    world.connect("alice").publish("a/b", b"x")
    assert bob.payloads() == [b"x"]


def test_nobody_elses_subscription_is_removed() -> None:
    world = World()
    bob, carol = world.connect("bob"), world.connect("carol")
    for peer in (bob, carol):
        peer.subscribe("a", "b/+")
    bob.unsubscribe("a", "b/+")
    alice = world.connect("alice")
    for topic in ("a", "b/x"):
        alice.publish(topic, b"x")
    assert (bob.received(), len(carol.all(Publish))) == ([], 2)


@every_version
@pytest.mark.parametrize("topic_filter", [b"\xff", b"a\0b"])
@pytest.mark.mqtt5("3.10.3-1")
@pytest.mark.mqtt3("3.10.3-1")
def test_an_unsubscribed_filter_that_is_no_string_ends_the_connection(version: int, topic_filter: bytes) -> None:
    bob = World().connect("bob", version=version)  # [MQTT-3.10.3-1]
    bob.send(Unsubscribe(1, [topic_filter]))
    assert bob.closed


def test_an_unsubscribed_filter_that_is_none_is_told_so() -> None:
    bob = World().connect("bob")
    assert bob.unsubscribe("a/#/b", "", "$share/g", "$share/g/a") == [
        c.TOPIC_FILTER_INVALID, c.TOPIC_FILTER_INVALID, c.TOPIC_FILTER_INVALID, c.NO_SUBSCRIPTION_EXISTED]
