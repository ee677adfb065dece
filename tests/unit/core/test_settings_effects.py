"""Each key of [mqtt...] and [retainer] changes what the broker does: `test_<section>_<key>`, its effect and its absence."""
from typing import Any

from twisted.internet.task import Clock

from emqtwist.app.settings import settings_of
from emqtwist.config import parse
from emqtwist.core import causes
from emqtwist.core.broker import Broker
from emqtwist.core.door import Door
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connect, Publish, Subscribe
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.turns import Turns
from tests.peers import World
from tests.scenes import publish
from tests.wires import Caller

LASTING: dict[str, Any] = {"clean_start": False, "session_expiry_interval": 100_000_000}


# [mqtt]

def test_mqtt_max_packet_size() -> None:
    for size, closed in (("4KB", True), ("5KB", False)):
        world = World(f"mqtt.max_packet_size = {size}")
        alice = world.connect("alice")
        assert alice.told.maximum_packet_size == int(size[0]) * 1024
        alice.publish("a", bytes(4096))
        assert alice.closed == closed


def test_mqtt_max_clientid_len() -> None:
    world = World("mqtt.max_clientid_len = 30")
    assert world.peer().connect("x" * 30).reason_code == c.SUCCESS
    assert world.peer().connect("x" * 31).reason_code == c.CLIENT_IDENTIFIER_NOT_VALID


def test_mqtt_max_topic_levels() -> None:
    world = World("mqtt.max_topic_levels = 3")
    alice = world.connect("alice")
    assert alice.subscribe("a/b/c", "a/b/#", "a/b/c/d") == [0, 0, c.TOPIC_FILTER_INVALID]
    alice.publish("a/b/c")
    assert not alice.closed
    alice.publish("a/b/c/d")
    assert alice.closed


def test_mqtt_max_qos_allowed() -> None:
    for most in (0, 1, 2):
        world = World(f"mqtt.max_qos_allowed = {most}")
        alice = world.connect("alice")
        assert alice.told.maximum_qos == (None if most == 2 else most)
        assert alice.subscribe("a", qos=2) == [most]
        for qos in range(3):
            assert alice.closed == (qos > most + 1)
            alice.publish("a", b"x", qos)
        assert alice.closed == (most < 2)


def test_mqtt_retain_available() -> None:
    for word, available in (("on", True), ("off", False)):
        world = World(f"mqtt.retain_available = {word}")
        alice = world.connect("alice")
        assert alice.told.retain_available == (None if available else 0)
        alice.publish("a", b"x", retain=True)
        assert (alice.closed, len(world.broker.retained)) == (not available, int(available))


def test_mqtt_shared_subscription() -> None:
    for word, available in (("on", True), ("off", False)):
        world = World(f"mqtt.shared_subscription = {word}")
        alice = world.connect("alice")
        assert alice.told.shared_subscription_available == (None if available else 0)
        assert alice.subscribe("$share/g/a", "$queue/a") == [0 if available else c.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED] * 2
        assert world.connect("bob", version=4).subscribe("$share/g/a") == [0 if available else c.SUBSCRIBE_FAILURE]


def test_mqtt_allow_anonymous() -> None:
    for word, here, elsewhere in (("loopback", True, False), ("on", True, True), ("off", False, False)):
        world = World(f"mqtt.allow_anonymous = {word}")
        for loopback, accepted in ((True, here), (False, elsewhere)):
            reason_code = world.peer(loopback).connect("alice").reason_code
            assert reason_code == (c.SUCCESS if accepted else c.NOT_AUTHORIZED)


def test_mqtt_keepalive_backoff() -> None:
    for backoff, seconds in (("0.5", 10), ("0.75", 15), ("2", 40)):
        world = World(f"mqtt.keepalive_backoff = {backoff}")
        alice = world.connect("alice", keep_alive=10)
        world.advance(seconds)
        assert not alice.closed
        world.advance(0.1)
        assert alice.closed


def test_mqtt_server_keep_alive() -> None:
    for line, told, closed in (("5m", 300, True), ("off", None, False)):
        world = World(f"mqtt.server_keep_alive = {line}")
        alice = world.connect("alice", keep_alive=1000)
        assert alice.told.server_keep_alive == told
        world.advance(451)
        assert alice.closed == closed


# [mqtt.client]

def test_mqtt_max_topic_alias() -> None:
    for most in (0, 1, 2):
        world = World(f"mqtt.max_topic_alias = {most}")
        alice = world.connect("alice", topic_alias_maximum=10)
        assert alice.told.topic_alias_maximum == (most or None)
        alice.subscribe("#")
        for topic in ("topic/1", "topic/2", "topic/3", "topic/1", "topic/2", "topic/3"):
            alice.publish(topic)
        assert [publish.topic_name == b"" for publish in alice.all(Publish)] == [False] * 3 + [most > 0, most > 1, False]
        alice.publish("topic/1", topic_alias=2)
        assert alice.closed == (most < 2)


def test_mqtt_wildcard_subscription() -> None:
    for available, code in (("on", 0), ("off", c.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED)):
        world = World(f"mqtt.wildcard_subscription = {available}")
        alice = world.connect("alice")
        assert alice.told.wildcard_subscription_available == (0 if code else None)
        assert alice.subscribe("a", "a/+", "#") == [0, code, code]
        assert world.connect("bob", version=4).subscribe("a", "a/+") == [0, 0x80 if code else 0]


def test_mqtt_subscription_identifiers() -> None:
    for available, code in (("on", 0), ("off", c.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)):
        alice = World(f"mqtt.subscription_identifiers = {available}").connect("alice")
        assert alice.told.subscription_identifier_available == (0 if code else None)
        assert alice.subscribe("a", "b", identifier=1) == [code, code]
        assert alice.subscribe("a") == [0]


def test_mqtt_response_information() -> None:
    for line, told in (("mqtt.response_information = answers/%c", "answers/alice"), ("", None)):
        assert World(line).connect("alice", request_response_information=1).told.response_information == told


def test_mqtt_server_moved() -> None:
    for mode, code in (("off", 0), ("use_another", c.USE_ANOTHER_SERVER), ("moved", c.SERVER_MOVED)):
        assert World(f"mqtt.server_moved = {mode}").peer().connect("alice").reason_code == code


def test_mqtt_server_reference() -> None:
    for line, told in (("mqtt.server_reference = there:1883", "there:1883"), ("", None)):
        alice = World("mqtt.server_moved = moved", line).peer()
        alice.connect("alice")
        assert alice.told.server_reference == told


def test_mqtt_client_idle_timeout() -> None:
    world = World("mqtt.client.idle_timeout = 500ms")
    peer = world.peer()
    world.advance(0.4)
    assert not peer.closed
    world.advance(0.1)
    assert peer.closed
    assert world.ends == {causes.CONNECT_TIMEOUT: 1}


def test_mqtt_client_max_connect_size() -> None:
    for size, accepted in (("1KB", False), ("2KB", True)):
        world = World(f"mqtt.client.max_connect_size = {size}")
        peer = world.peer()
        peer.write(encode(Connect(5, "alice", user_name="x" * 1024), 5))
        assert ("alice" in world.broker.sessions.by_id) == accepted


def test_mqtt_client_max_unsent() -> None:
    for size, waiting in (("64KB", 2), ("8MB", 0)):
        config = parse(f"mqtt.client.max_unsent = {size}")
        clock = Clock()
        broker = Broker(settings_of(config), str, Turn(), Observer())
        turns = Turns(broker, clock, clock.seconds)
        factory = MQTTFactory(turns, clock, Door("tcp.default"), True, config.mqtt.client.max_unsent)
        bob = Caller(factory, clock)
        bob.connect("bob")
        bob.send(Subscribe(1, [(b"a", 1)]))
        for _ in range(4):
            broker.publish(broker.local_message("a", bytes(40_000), 1, False, b"", 1e9))
            clock.advance(0)
        assert broker.sessions.by_id["bob"].queued() == waiting


# [mqtt.session]

def test_mqtt_session_max_subscriptions() -> None:
    assert World("mqtt.session.max_subscriptions = 2").connect("bob").subscribe("a", "b", "c") == [0, 0, c.QUOTA_EXCEEDED]
    assert World("mqtt.session.max_subscriptions = unlimited").connect("bob").subscribe("a", "b", "c") == [0, 0, 0]


def test_mqtt_session_upgrade_qos() -> None:
    for word, expected in (("off", [0, 0, 0, 1, 0, 1, 2]), ("on", [0, 1, 2, 1, 2, 2, 2])):
        world = World(f"mqtt.session.upgrade_qos = {word}")
        bob = world.connect("bob")
        seen = []
        for most, qos in ((0, 0), (0, 1), (0, 2), (1, 1), (2, 0), (2, 1), (2, 2)):
            bob.subscribe("a", qos=most)
            publish(world, b"x", qos=qos)
            seen.append(bob.one(Publish).qos)
        assert seen == expected


def test_mqtt_session_max_inflight() -> None:
    world = World("mqtt.session.max_inflight = 3")
    bob = world.connect("bob")
    bob.subscribe("a", qos=1)
    publish(world, b"1", b"2", b"3", b"4", b"5")
    messages = bob.all(Publish)
    assert len(messages) == 3
    bob.acknowledge(messages[0])
    assert bob.payloads() == [b"4"]


def test_mqtt_session_receive_maximum() -> None:
    world = World("mqtt.session.receive_maximum = 3")
    alice = world.connect("alice")
    assert alice.told.receive_maximum == 3
    for packet_id in (1, 2, 3):
        alice.publish("a", b"x", 2, packet_id=packet_id)
    assert not alice.closed
    alice.publish("a", b"x", 2, packet_id=4)
    assert alice.closed


def test_mqtt_session_retry_interval() -> None:
    for word, again in (("20s", [b"x"]), ("0", [])):
        world = World(f"mqtt.session.retry_interval = {word}")
        bob = world.connect("bob", version=4)
        bob.subscribe("a", qos=1)
        publish(world, b"x")
        assert bob.payloads() == [b"x"]
        world.advance(20)
        assert bob.payloads() == again


def test_mqtt_session_expiry_interval() -> None:
    world = World("mqtt.session.expiry_interval = 2h")
    world.connect("old", version=4, clean_start=False).drop()
    bob = world.connect("bob", **LASTING)
    assert bob.told.session_expiry_interval == 7200
    bob.drop()
    world.advance(7199)
    assert len(world.broker.sessions.by_id) == 2
    world.advance(1)
    assert len(world.broker.sessions.by_id) == 0


def test_mqtt_session_ignore_loop_deliver() -> None:
    for word, own in (("off", [b"x"]), ("on", [])):
        for version in (3, 4, 5):
            world = World(f"mqtt.session.ignore_loop_deliver = {word}")
            alice, bob = world.connect("alice", version=version), world.connect("bob", version=version)
            alice.subscribe("a")
            bob.subscribe("a")
            alice.publish("a", b"x")
            assert alice.payloads() == own
            assert bob.payloads() == [b"x"]


# [mqtt.pubsub]

def test_mqtt_pubsub_route_cache() -> None:
    for size, remembered in (("3", 3), ("100", 5)):
        world = World(f"mqtt.pubsub.route_cache = {size}")
        alice = world.connect("alice")
        for topic in "abcde":
            alice.publish(topic)
        assert len(world.broker.router.cache) == remembered


# [retainer]

def test_retainer_max_message_num() -> None:
    for number, expected in (("2", 2), ("unlimited", 3)):
        world = World(f"retainer.max_message_num = {number}")
        for topic in "abc":
            publish(world, b"x", topic=topic, retain=True)
        assert len(world.broker.retained) == expected


def test_retainer_max_payload_size() -> None:
    for size, expected in (("1KB", 0), ("2KB", 1)):
        world = World(f"retainer.max_payload_size = {size}")
        publish(world, bytes(2000), retain=True)
        assert len(world.broker.retained) == expected


def test_retainer_expiry_interval() -> None:
    for word, expected in (("1h", 0), ("never", 1)):
        world = World(f"retainer.expiry_interval = {word}")
        publish(world, b"x", retain=True)
        world.advance(3599)
        assert len(world.broker.retained) == 1
        world.advance(1)
        assert len(world.broker.retained) == expected


def test_retainer_replay_batch() -> None:
    for size in (1, 3):
        world = World(f"retainer.replay_batch = {size}")
        for topic in "abcdef":
            publish(world, b"x", topic=topic, retain=True)
        bob = world.connect("bob")
        bob.write(encode(Subscribe(1, [(b"#", 0)]), 5))
        world.flush()
        assert len([packet for packet in bob.received() if isinstance(packet, Publish)]) == size
