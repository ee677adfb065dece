"""The broker as a whole: publishing from within, ticks, live settings, the end."""
import pytest

from emqtwist.core import causes
from emqtwist.core.message import NEVER
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MalformedPacket, ServerBusy, TopicNameInvalid
from emqtwist.mqtt.packets import Disconnect, Publish, Will
from emqtwist.mqtt.properties import forwarded_properties
from tests.peers import VERSIONS, World, every_version, properties

LASTING = {"clean_start": False, "session_expiry_interval": 1000}


# From within.

@every_version
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_host_publishes_as_clients_do(version: int, qos: int) -> None:
    world = World()
    bob = world.connect("bob", version=version)
    bob.subscribe("a", qos=2)
    forwarded = forwarded_properties(properties(content_type="text/plain"))
    message = world.broker.local_message("a", b"x", qos, False, forwarded, 30.0)
    assert world.broker.publish(message) == 1
    world.settle()
    publish = bob.one(Publish)
    assert (publish.payload, publish.qos, publish.retain) == (b"x", qos, False)
    if version == c.MQTT_5_0:
        assert publish.properties is not None
        assert (publish.properties.content_type, publish.properties.message_expiry_interval) == ("text/plain", 30)


def test_the_host_retains() -> None:
    world = World("retainer.max_payload_size = 5")
    for payload in (b"kept", b"too large"):
        world.broker.publish(world.broker.local_message("a", payload, 0, True, b"", NEVER))
    bob = world.connect("bob")
    bob.subscribe("a")
    assert bob.payloads() == [b"kept"]
    assert world.drops == {causes.RETAINED_TOO_LARGE: 1, causes.NO_SUBSCRIBERS: 2}


@pytest.mark.parametrize(("topic", "error"), [
    ("", TopicNameInvalid), ("a/#", TopicNameInvalid), ("a/b/c", TopicNameInvalid), ("a\0", MalformedPacket)])
def test_the_host_needs_a_topic_name(topic: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        World("mqtt.max_topic_levels = 2").broker.local_message(topic, b"", 0, False, b"", NEVER)


def test_the_host_may_use_the_brokers_own_topics_and_clients_still_may_not() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("$SYS/#")
    world.broker.publish(world.broker.local_message("$SYS/x", b"1", 0, False, b"", NEVER))
    bob.publish("$SYS/x", b"2")
    assert bob.payloads() == [b"1"]
    assert world.drops == {causes.RESERVED_TOPIC: 1}


# The end.

@every_version
def test_a_shut_down_tells_5_0_clients_and_closes_all(version: int) -> None:  # 0x8B
    world = World()
    peers = [world.connect(f"{number}", version=version) for number in range(3)]
    world.broker.shut_down()
    world.settle()
    for peer in peers:
        reasons = [packet.reason_code for packet in peer.all(Disconnect)]
        assert reasons == ([c.SERVER_SHUTTING_DOWN] if version == c.MQTT_5_0 else [])
        assert peer.closed
    assert world.ends == {"server_shutting_down": 3}
    assert list(world.broker.links) == []


def test_a_shut_down_closes_those_that_did_not_connect_yet() -> None:
    world = World()
    peer = world.peer()
    world.broker.shut_down()
    world.settle()
    assert (peer.closed, peer.raw) == (True, b"")


def test_a_shut_down_publishes_wills_as_any_end_does() -> None:
    world = World()
    bob = world.connect("bob", **LASTING)
    bob.subscribe("will", qos=1)
    bob.drop()
    world.connect("alice", will=Will(b"will", b"last words", 1))
    world.connect("carol", session_expiry_interval=10,
                  will=Will(b"will", b"later", 1, properties=properties(will_delay_interval=5)))
    world.broker.shut_down()
    world.settle()
    assert world.connect("bob", **LASTING).payloads() == [b"last words"]
    assert len(world.broker.wills) == 1


def test_all_connections_can_be_ended_for_another_reason() -> None:
    world = World()
    alice = world.connect("alice")
    world.broker.end_links(ServerBusy("enough"))
    world.settle()
    assert alice.one(Disconnect).reason_code == c.SERVER_BUSY


# Time.

def test_a_tick_does_all_that_fell_due() -> None:
    world = World()
    bob = world.connect("bob", keep_alive=5, session_expiry_interval=10)
    bob.subscribe("will")
    world.connect("alice", session_expiry_interval=50,
                  will=Will(b"will", b"x", properties=properties(will_delay_interval=20))).drop()
    world.connect("carol").publish("a", b"x", retain=True, message_expiry_interval=30)
    world.advance(8)
    assert bob.closed
    world.advance(10)
    assert list(world.broker.sessions.by_id) == ["alice", "carol"]
    assert (len(world.broker.wills), len(world.broker.retained)) == (1, 1)
    world.advance(12)
    assert (len(world.broker.wills), len(world.broker.retained)) == (0, 0)
    assert list(world.broker.sessions.by_id) == ["alice", "carol"]


def test_a_will_that_falls_due_with_the_session_of_its_receiver_is_published_first() -> None:
    world = World()
    bob = world.connect("bob", session_expiry_interval=10)
    bob.subscribe("will", qos=1)
    bob.drop()
    world.connect("alice", session_expiry_interval=50,
                  will=Will(b"will", b"x", 1, properties=properties(will_delay_interval=10))).drop()
    world.advance(10)
    assert world.drops == {causes.SESSION_ENDED: 1}


def test_sessions_that_expire_together_publish_their_wills() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("will")
    for name in ("a", "b", "c"):
        world.connect(name, session_expiry_interval=10, will=Will(
            b"will", name.encode(), properties=properties(will_delay_interval=99))).drop()
    world.advance(10)
    assert bob.payloads() == [b"a", b"b", b"c"]


# Live settings.

def test_new_settings_hold_from_now_on() -> None:
    world = World()
    alice = world.connect("alice", keep_alive=10)
    world.configure("mqtt.max_qos_allowed = 0", "mqtt.keepalive_backoff = 2", "retainer.max_message_num = 1",
                    "retainer.max_payload_size = 5")
    world.advance(39)
    assert not alice.closed
    alice.publish("a", b"x", retain=True)
    alice.publish("b", b"x", retain=True)
    alice.publish("a", b"too large", retain=True)
    assert (world.drops[causes.RETAINED_TOO_MANY], world.drops[causes.RETAINED_TOO_LARGE]) == (1, 1)
    alice.publish("a", b"x", qos=1)
    assert alice.one(Disconnect).reason_code == c.QOS_NOT_SUPPORTED


def test_an_open_connection_keeps_what_it_was_promised() -> None:
    world = World("mqtt.session.receive_maximum = 2", "mqtt.max_packet_size = 4KB")
    alice = world.connect("alice")
    opening = world.peer()
    world.configure("mqtt.session.receive_maximum = 1", "mqtt.max_packet_size = 1KB", "mqtt.pubsub.route_cache = 3")
    alice.publish("a", bytes(3000), qos=2)
    alice.publish("a", bytes(3000), qos=2)
    assert not alice.closed
    made = opening.connect("bob").properties
    assert made is not None
    opening.publish("a", bytes(made.maximum_packet_size or 0)[100:])
    assert not opening.closed
    assert world.broker.router.cache_size == 3


# One at a time.

def test_two_brokers_know_nothing_of_each_other() -> None:
    one, other = World(), World()
    bob, stranger = one.connect("bob"), other.connect("bob")
    for peer in (bob, stranger):
        peer.subscribe("a")
    one.connect("alice").publish("a", b"x", retain=True)
    assert bob.payloads() == [b"x"]
    assert stranger.received() == []
    assert len(other.broker.retained) == 0
    assert not stranger.closed


def test_nothing_is_left_of_clients_that_left() -> None:
    world = World()
    for version in VERSIONS:
        for number in range(20):
            peer = world.connect(f"{number}", version=version, will=Will(b"will", b""))
            peer.subscribe("a", f"a/{number}", "#", qos=2)
            peer.publish("a", b"x", qos=2)
            peer.drop()
    world.peer().drop()
    assert (world.broker.sessions.by_id, list(world.broker.links), world.broker.router.filters()) == ({}, [], [])
    assert (world.broker.router.subscriptions, len(world.broker.wills), world.broker.circle.crowded) == (0, 0, set())
    assert not world.broker.circle.hungry
