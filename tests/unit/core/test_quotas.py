"""Quotas: sessions of all and of one user, retained messages of one client."""
from typing import Any

import pytest

from emqtwist.core import causes
from emqtwist.core.door import Peer
from emqtwist.core.owners import Owners
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Puback, Publish
from tests.peers import World, before_5
from tests.scenes import arrive
from tests.stores import StoredWorld

KEEP: dict[str, Any] = {"clean_start": False, "session_expiry_interval": 1000}


def code(world: World, client_id: str, address: str = "10.0.0.1", **options: Any) -> int:
    """What a client is told that comes from `address` and goes again."""
    peer = world.peer()
    peer.connection.peer = Peer(f"{address}:5000", address, True)
    found = peer.connect(client_id, **options).reason_code
    peer.drop()
    return found


# Sessions.

def test_mqtt_session_max_sessions() -> None:
    world = World("mqtt.session.max_sessions = 2")
    assert [code(world, name, **KEEP) for name in ("a", "b", "c")] == [c.SUCCESS, c.SUCCESS, c.QUOTA_EXCEEDED]
    assert list(world.broker.sessions.by_id) == ["a", "b"]
    assert world.ends["quota_exceeded"] == 1
    assert code(world, "b", **KEEP) == c.SUCCESS
    assert code(world, "a", clean_start=True) == c.SUCCESS
    assert code(world, "c", **KEEP) == c.SUCCESS


@before_5
def test_before_5_0_there_is_no_service(version: int) -> None:
    world = World("mqtt.session.max_sessions = 1")
    world.connect("a")
    peer = world.peer()
    assert peer.connect("b", version=version).reason_code == c.REFUSED_SERVER_UNAVAILABLE
    assert peer.closed


def test_the_reason_is_told() -> None:
    world = World("mqtt.session.max_sessions = 1", "mqtt.session.max_per_user = 1")
    world.connect("a")
    peer = world.peer()
    peer.connect("b")
    assert peer.told.reason_string == "there are 1 sessions, as many as there may be"
    world.configure("mqtt.session.max_per_user = 1")
    world.connect("a").drop()
    world.connect("a")
    peer = world.peer()
    peer.connect("b")
    assert peer.told.reason_string == "this user has 1 sessions, as many as it may have"


def test_sessions_that_a_restart_brought_back_count_for_all() -> None:
    world = StoredWorld("mqtt.session.max_sessions = 2")
    arrive(world, client_id="a").drop()
    arrive(world, client_id="b").drop()
    world.crash()
    assert code(world, "c", **KEEP) == c.QUOTA_EXCEEDED
    assert code(world, "b", **KEEP) == c.SUCCESS


def proving(world: World) -> None:
    """Who says a user name is that user."""
    world.broker.hooks.add("client.authenticate", lambda *arguments: True)


def test_mqtt_session_max_per_user() -> None:
    world = World("mqtt.session.max_per_user = 2")
    proving(world)
    for name in ("a", "b"):
        assert code(world, name, user_name="al", **KEEP) == c.SUCCESS
    assert code(world, "c", "10.0.0.9", user_name="al", **KEEP) == c.QUOTA_EXCEEDED
    assert code(world, "b", user_name="al", **KEEP) == c.SUCCESS
    assert code(world, "c", user_name="bo", **KEEP) == c.SUCCESS
    world.advance(1000)
    assert world.broker.sessions.owners.counts == {}
    assert code(world, "d", user_name="al", **KEEP) == c.SUCCESS


def test_who_proves_nothing_counts_by_its_address() -> None:
    world = World("mqtt.session.max_per_user = 2")
    for number in range(2):
        assert code(world, f"a{number}", user_name=f"made up {number}", **KEEP) == c.SUCCESS
    assert code(world, "b", user_name="another", **KEEP) == c.QUOTA_EXCEEDED
    assert code(world, "b", "10.0.0.2", **KEEP) == c.SUCCESS
    for number in range(2):
        assert code(world, f"six{number}", f"2001:db8::{number}", **KEEP) == c.SUCCESS
    assert code(world, "six2", "2001:db8::2", **KEEP) == c.QUOTA_EXCEEDED


def test_what_has_no_address_is_not_bounded_by_it() -> None:
    world = World("mqtt.session.max_per_user = 1")
    assert [code(world, name, "", **KEEP) for name in ("a", "b")] == [c.SUCCESS] * 2


def test_a_session_counts_for_who_has_it_now() -> None:
    world = World("mqtt.session.max_per_user = 1")
    proving(world)
    assert code(world, "a", user_name="al", **KEEP) == c.SUCCESS
    assert code(world, "a", user_name="bo", **KEEP) == c.SUCCESS
    assert world.broker.sessions.owners.counts == {"user bo": 1}
    assert code(world, "b", user_name="bo", **KEEP) == c.QUOTA_EXCEEDED
    assert code(world, "c", user_name="al", **KEEP) == c.SUCCESS


def test_nothing_is_noted_where_nothing_is_bounded() -> None:
    world = World()
    code(world, "a", **KEEP)
    assert world.broker.sessions.owners.counts == {}


def test_owners_are_forgotten_with_their_sessions() -> None:
    owners = Owners()
    owners.own("a", "al")
    owners.own("a", "al")
    owners.own("b", "al")
    assert (owners.counts, owners.owner("a"), owners.owner("c")) == ({"al": 2}, "al", "")
    for client_id in ("a", "b", "b", "c"):
        owners.disown(client_id)
    assert owners.counts == {}


# Retained messages.

BOUND = "retainer.max_per_client = 2"


def topics(world: World) -> list[bytes]:
    return [topic for block in world.broker.retained.topics.blocks for topic in block]


def test_retainer_max_per_client() -> None:
    world = World(BOUND)
    alice, bob = world.connect("alice"), world.connect("bob")
    for topic in ("a", "b", "c", "b"):
        alice.publish(topic, b"x", retain=True)
    bob.publish("d", b"x", retain=True)
    assert topics(world) == [b"a", b"b", b"d"]
    assert world.drops[causes.RETAINED_QUOTA] == 1
    alice.publish("a", b"", retain=True)
    alice.publish("c", b"x", retain=True)
    assert topics(world) == [b"b", b"c", b"d"]


def test_a_5_0_client_is_told_and_nothing_is_passed_on() -> None:
    world = World(BOUND)
    reader, alice = world.connect("reader"), world.connect("alice")
    reader.subscribe("#", qos=1)
    for number, topic in enumerate(("a", "b", "c"), 1):
        alice.publish(topic, b"x", 1, True, packet_id=number)
    assert [(puback.packet_id, puback.reason_code) for puback in alice.all(Puback)] == [(1, 0), (2, 0), (3, c.QUOTA_EXCEEDED)]
    assert [publish.topic_name for publish in reader.all(Publish)] == [b"a", b"b"]


def test_others_still_get_what_is_not_retained_at_qos_0() -> None:
    world = World(BOUND)
    reader, alice = world.connect("reader"), world.connect("alice")
    reader.subscribe("#")
    for topic in ("a", "b", "c"):
        alice.publish(topic, b"x", retain=True)
    assert [publish.topic_name for publish in reader.all(Publish)] == [b"a", b"b", b"c"]
    assert topics(world) == [b"a", b"b"]


def test_a_topic_counts_for_who_published_last() -> None:
    world = World(BOUND)
    alice, bob = world.connect("alice"), world.connect("bob")
    for topic in ("a", "b"):
        alice.publish(topic, b"x", retain=True)
    bob.publish("a", b"y", retain=True)
    alice.publish("c", b"x", retain=True)
    assert topics(world) == [b"a", b"b", b"c"]
    alice.publish("a", b"z", retain=True)
    message = world.broker.retained.get(b"a")
    assert message is not None
    assert message.payload == b"y"


def test_what_expires_makes_room() -> None:
    world = World(BOUND)
    alice = world.connect("alice")
    for topic in ("a", "b"):
        alice.publish(topic, b"x", retain=True, message_expiry_interval=5)
    world.advance(5)
    for topic in ("c", "d", "e"):
        alice.publish(topic, b"x", retain=True)
    assert topics(world) == [b"c", b"d"]


def test_a_live_change_counts_what_is_there_and_deletes_nothing() -> None:
    world = World()
    alice = world.connect("alice")
    for topic in ("a", "b", "c"):
        alice.publish(topic, b"x", retain=True)
    world.configure(BOUND)
    alice.publish("d", b"x", retain=True)
    assert topics(world) == [b"a", b"b", b"c"]
    world.configure()
    alice.publish("d", b"x", retain=True)
    assert topics(world) == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize("line", [BOUND, "retainer.max_message_num = 2"])
def test_what_is_stored_is_there_after_a_crash_though_the_bounds_are_closer(line: str) -> None:
    world = StoredWorld()
    alice = world.connect("alice")
    for topic in ("a", "b", "c"):
        alice.publish(topic, b"x", retain=True)
    world.lines = (line,)
    world.crash()
    assert topics(world) == [b"a", b"b", b"c"]
    world.connect("alice").publish("d", b"x", retain=True)
    assert topics(world) == [b"a", b"b", b"c"]
