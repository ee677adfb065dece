"""The closed list of causes: each is counted by a scene below, and nothing else is ever counted."""
from collections.abc import Callable
from typing import Any

import pytest

from emqtwist.core import causes
from emqtwist.core.acl import Acl
from emqtwist.core.banning import ban
from emqtwist.core.bans import CLIENT, Ban
from emqtwist.core.hooks import Stop
from emqtwist.core.message import NEVER
from emqtwist.core.overload import begin
from emqtwist.core.ruling import use_rules
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.packets import Auth, Connect, Pingreq, Puback, Publish, Pubrec, Will
from tests.bridged import Lands
from tests.clusters import Net
from tests.jobs import Poisoned
from tests.peers import Peer, World, properties
from tests.stores import StoredWorld

LASTING = {"clean_start": False, "session_expiry_interval": 1000}


def bob_away(world: World) -> None:
    bob = world.connect("bob", **LASTING)
    bob.subscribe("a", qos=2)
    bob.drop()


def publish(world: World, qos: int = 1, topic: str = "a", payload: bytes = b"x", retain: bool = False, **values: Any) -> None:
    world.connect("alice").publish(topic, payload, qos, retain, **values)


# One scene for each cause of a drop; each drops one message.

def no_subscribers() -> World:
    world = World()
    publish(world)
    return world


def queue_full() -> World:
    world = World("mqtt.mqueue.max_length = 1")
    bob_away(world)
    publish(world)
    publish(world, qos=0)
    return world


def queue_full_refused() -> World:
    world = World("mqtt.mqueue.max_length = 1")
    bob_away(world)
    publish(world)
    publish(world)
    return world


def qos0_not_stored() -> World:
    world = World("mqtt.mqueue.store_qos0 = off")
    bob_away(world)
    publish(world, qos=0)
    return world


def expired() -> World:
    world = World()
    bob_away(world)
    publish(world, message_expiry_interval=5)
    world.advance(5)
    world.connect("bob", **LASTING)
    return world


def too_large_for_client() -> World:
    world = World()
    world.connect("bob", maximum_packet_size=50).subscribe("a")
    publish(world, payload=bytes(50))
    return world


def session_ended() -> World:
    world = World()
    bob_away(world)
    publish(world)
    world.advance(1000)
    return world


def retained_too_many() -> World:
    world = World("retainer.max_message_num = 1")
    world.connect("bob").subscribe("#")
    publish(world, retain=True)
    publish(world, topic="b", retain=True, qos=0)
    return world


def retainer_unloaded() -> World:
    world = World()
    world.broker.retained.closed = True
    world.broker.subscribe("a", print, 0)
    world.broker.publish(world.broker.local_message("a", b"x", 0, True, b"", 60.0))
    return world


def retained_too_large() -> World:
    world = World("retainer.max_payload_size = 1")
    world.connect("bob").subscribe("#")
    publish(world, payload=b"xx", retain=True, qos=0)
    return world


def retained_quota() -> World:
    world = World("retainer.max_per_client = 1")
    world.connect("bob").subscribe("#")
    publish(world, retain=True)
    publish(world, topic="b", retain=True, qos=0)
    return world


def reserved_topic() -> World:
    world = World()
    publish(world, topic="$SYS/a")
    return world


def acl_denied() -> World:
    world = World()
    world.broker.acl = Acl([], False)
    publish(world)
    return world


def delay_invalid() -> World:
    world = World()
    world.broker.delayed.open = True
    publish(world, topic="$delayed/soon/a")
    return world


def delayed_full() -> World:
    world = World()
    world.broker.delayed.open, world.broker.delayed.max_messages = True, 1
    publish(world, topic="$delayed/5/a")
    publish(world, topic="$delayed/5/a")
    return world


def refused_by_client() -> World:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("a", qos=1)
    publish(world)
    bob.send(Puback(1, c.NOT_AUTHORIZED))
    return world


def overload() -> World:
    world = World()
    world.connect("bob").subscribe("a")
    begin(world.broker, "a test")
    world.broker.circle.overloaded = False
    alice = world.connect("alice")
    world.broker.circle.overloaded = True
    alice.publish("a")
    return world


def no_longer_allowed() -> World:
    world = World()
    bob = world.connect("bob", receive_maximum=1)
    bob.subscribe("a", qos=1)
    publish(world)
    publish(world)
    use_rules(world.broker, Acl([], False))
    bob.acknowledge(bob.one(Publish))
    return world


def stopped_by_hook() -> World:
    world = World()
    world.connect("bob").subscribe("a")
    world.broker.hooks.add("message.publish", lambda message: Stop())
    publish(world)
    return world


def other_node(qos: int) -> Net:
    """A publisher here, and what it publishes for a client of another node does not arrive."""
    net = Net("here", "there")
    net["there"].connect("bob").subscribe("a", qos=1)
    net.stall("here", "there")
    publish(net["here"], qos)
    return net


def node_away() -> World:
    net = other_node(1)
    net.cut("here", "there")
    publish(net["here"], 0)
    return net["here"]


def node_restarted() -> World:
    net = other_node(1)
    net["there"].crash()
    net.join("here", "there")
    return net["here"]


def node_left() -> World:
    net = other_node(1)
    net["here"].cluster.forget("there")
    return net["here"]


def bridge_stopped() -> World:
    lands = Lands("a@x", "b@x")
    bridge = lands.bridge("a@x", "b@x", "a", join=False)
    publish(lands["a@x"])
    lands["a@x"].bridges.stop(bridge)
    return lands["a@x"]


def bridge_topic() -> World:
    lands = Lands("a@x", "b@x")
    lands.bridge("a@x", "b@x", "a/+", prefix=b"p" * 65534)
    publish(lands["a@x"], topic="a/b")
    return lands["a@x"]


def bridge_loop() -> World:
    lands = Lands("a@x", "b@x")
    bridge = lands.bridge("a@x", "b@x", "a")
    bridge.here = "b@x"
    publish(lands["a@x"])
    return lands["b@x"]


DROPS = [no_subscribers, queue_full, queue_full_refused, qos0_not_stored, expired, too_large_for_client, session_ended,
         retained_too_many, retained_quota, retained_too_large, retainer_unloaded, reserved_topic, acl_denied, delay_invalid,
         delayed_full, refused_by_client, stopped_by_hook, overload, no_longer_allowed, node_away, node_restarted, node_left,
         bridge_stopped, bridge_topic, bridge_loop]


@pytest.mark.parametrize("cause", causes.DROPS)
def test_each_cause_of_a_drop_is_counted_where_it_belongs(cause: str) -> None:
    scene = {scene.__name__: scene for scene in DROPS}[cause]
    assert scene().drops == {cause: 1}


@pytest.mark.parametrize("cause", causes.DROPS)
def test_each_cause_of_a_drop_is_explained(cause: str) -> None:
    assert " " in causes.DROPS[cause]


# One scene for each cause of an end; each ends one connection.

def client(world: World, **options: Any) -> Peer:
    return world.connect("alice", **options)


def normal() -> World:
    world = World()
    client(world).disconnect()
    return world


def disconnect_with_will() -> World:
    world = World()
    client(world).disconnect(c.DISCONNECT_WITH_WILL)
    return world


def connection_lost() -> World:
    world = World()
    client(world).drop()
    return world


def connect_timeout() -> World:
    world = World("mqtt.client.idle_timeout = 5s")
    world.peer()
    world.advance(5)
    return world


def keep_alive_timeout() -> World:
    world = World()
    client(world, keep_alive=10)
    world.advance(16)
    return world


def session_taken_over() -> World:
    world = World()
    client(world)
    client(world)
    return world


def server_shutting_down() -> World:
    world = World()
    client(world)
    world.broker.shut_down()
    return world


def malformed_packet() -> World:
    world = World()
    client(world).write(b"\x30\x00")
    return world


def protocol_error() -> World:
    world = World()
    client(world).send(Auth(c.RE_AUTHENTICATE, properties(authentication_method="x")))
    return world


def unsupported_protocol_version() -> World:
    world = World()
    world.peer().write(b"\x10\x0d\x00\x04MQTT\x09\x02\x00\x00\x00\x01x")
    return world


def client_identifier_not_valid() -> World:
    world = World()
    world.peer().connect("", version=4, clean_start=False)
    return world


def not_authorized() -> World:
    world = World()
    world.peer(loopback=False).connect("alice")
    return world


def bad_authentication_method() -> World:
    world = World()
    world.peer().connect("alice", authentication_method="x")
    return world


def topic_name_invalid() -> World:
    world = World()
    client(world).publish("a/#")
    return world


def receive_maximum_exceeded() -> World:
    world = World("mqtt.session.receive_maximum = 1")
    client(world).send(Publish(b"a", b"", 2, packet_id=1), Publish(b"a", b"", 2, packet_id=2))
    return world


def topic_alias_invalid() -> World:
    world = World()
    client(world).publish("a", topic_alias=33)
    return world


def packet_too_large() -> World:
    world = World("mqtt.max_packet_size = 1KB")
    client(world).publish("a", bytes(1024))
    return world


def quota_exceeded() -> World:
    world = World("mqtt.mqueue.max_length = 1")
    bob = world.connect("bob", receive_maximum=1, **LASTING)
    bob.subscribe("a", qos=1)
    alice = world.connect("alice", version=4)
    for _ in range(3):
        alice.publish("a", qos=1)
    return world


def payload_format_invalid() -> World:
    world = World()
    client(world).publish("a", b"\xff", payload_format_indicator=1)
    return world


def retain_not_supported() -> World:
    world = World("mqtt.retain_available = off")
    client(world).publish("a", retain=True)
    return world


def qos_not_supported() -> World:
    world = World("mqtt.max_qos_allowed = 0")
    client(world).publish("a", qos=1)
    return world


def use_another_server() -> World:
    world = World()
    client(world)
    world.configure("mqtt.server_moved = use_another")
    return world


def server_moved() -> World:
    world = World("mqtt.server_moved = moved")
    world.peer().connect("alice")
    return world


def implementation_specific_error() -> World:
    world = World()
    client(world, maximum_packet_size=50).subscribe("a")
    del world.broker.metrics.drops[causes.TOO_LARGE_FOR_CLIENT]  # so that counting it fails
    world.connect("bob").publish("a", bytes(50))
    return world


def server_busy() -> World:
    world = StoredWorld()
    world.stored = False
    for _ in range(2):
        world.peer().send(Connect(5, "alice", properties=properties(session_expiry_interval=100)))
    return world


def server_unavailable() -> World:
    world = StoredWorld()
    world.journal.failing = "the disk is full"
    world.peer().connect("alice", session_expiry_interval=100)
    return world


def unspecified_error() -> World:
    world = World()
    world.bear()
    world.broker.sessions.by_id = Poisoned({}, ["alice"])
    world.peer().connect("alice")
    return world


def bad_user_name_or_password() -> World:
    world = World()
    world.broker.hooks.add("client.authenticate", lambda *arguments: False)
    world.peer().connect("alice", user_name="alice", password=b"x")
    return world


def banned() -> World:
    world = World()
    ban(world.broker, Ban(CLIENT, "alice", "", "a test", world.turn.now, NEVER))
    world.peer().connect("alice")
    return world


def administrative_action() -> World:
    world = World()
    client(world)
    world.broker.end_links(MQTTError("somebody wants it so", c.ADMINISTRATIVE_ACTION))
    return world


ENDS: list[Callable[[], World]] = [
    normal, disconnect_with_will, connection_lost, connect_timeout, keep_alive_timeout, session_taken_over,
    server_shutting_down, malformed_packet, protocol_error, unsupported_protocol_version, client_identifier_not_valid,
    not_authorized, bad_authentication_method, topic_name_invalid, receive_maximum_exceeded, topic_alias_invalid,
    packet_too_large, quota_exceeded, payload_format_invalid, retain_not_supported, qos_not_supported,
    implementation_specific_error, use_another_server, server_moved, server_busy, server_unavailable, unspecified_error,
    bad_user_name_or_password, banned, administrative_action,
]


@pytest.mark.parametrize("scene", ENDS, ids=lambda scene: scene.__name__)
def test_each_cause_of_an_end_is_counted_where_it_belongs(scene: Callable[[], World]) -> None:
    world = scene()
    assert world.ends == {scene.__name__: 1}
    assert [event[1] for event in world.witness.told("disconnected")] == [scene.__name__]


def test_each_end_without_a_reason_code_of_the_standard_has_a_scene() -> None:
    assert causes.ENDS.keys() <= {scene.__name__ for scene in ENDS}


def test_each_end_is_of_the_closed_list() -> None:
    listed = {*causes.ENDS, *[causes.end_cause(code) for code in c.REASON_NAMES]}
    assert {scene.__name__ for scene in ENDS} <= listed


def test_an_unknown_reason_code_is_an_unspecified_error() -> None:
    assert causes.end_cause(0xEE) == "unspecified_error"
    assert causes.end_cause(c.SESSION_TAKEN_OVER) == "session_taken_over"


def test_a_refusal_of_pubrec_is_counted_once() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("a", qos=2)
    publish(world, qos=2)
    bob.send(Pubrec(1, c.NOT_AUTHORIZED))
    bob.drop()
    assert world.drops == {causes.REFUSED_BY_CLIENT: 1}


def test_a_quiet_life_counts_nothing() -> None:
    world = World()
    bob = world.connect("bob", will=Will(b"a", b""), **LASTING)
    bob.subscribe("a", qos=2)
    for qos in (0, 1, 2):
        publish(world, qos=qos)
    bob.acknowledge(*bob.all(Publish))
    bob.send(Pingreq())
    world.advance(10)
    assert world.drops == {}
    assert world.ends.keys() == {"session_taken_over"}


def test_connect_that_is_broken_is_counted_once() -> None:
    world = World()
    peer = world.peer()
    for _ in range(3):
        peer.write(encode(Connect(5, "x"), 5).replace(b"MQTT", b"MQTX"))
    assert world.ends == {"unsupported_protocol_version": 1}
