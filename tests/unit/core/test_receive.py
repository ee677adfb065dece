"""What a connection does with each kind of packet, with bytes that are none, and with what follows its end."""
import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Will,
)
from tests.peers import VERSIONS, Peer, World, before_5, every_version, properties


def ended(peer: Peer, reason_code: int) -> bool:
    """Whether the connection was closed, and a 5.0 client told why."""
    if peer.version == c.MQTT_5_0:
        assert peer.one(Disconnect).reason_code == reason_code
    return peer.closed and peer.received() == []


# Before CONNECT.

@pytest.mark.parametrize("data", [
    encode(Publish(b"a", b"x"), 4), encode(Pingreq(), 4), encode(Subscribe(1, [(b"a", 0)]), 4), encode(Puback(1), 4),
    encode(Disconnect(), 4), encode(Connack(), 4), b"\x00\x00", b"\xff\xff\xff\xff\xff",
])
@pytest.mark.mqtt5("3.1.0-1", "3.14.0-1")
def test_the_first_packet_is_connect(data: bytes) -> None:
    world = World()
    peer = world.peer()
    peer.write(data)
    world.settle()
    assert peer.raw == b""
    assert peer.closed
    assert sum(world.ends.values()) == 1
    assert world.ends.keys() <= {"protocol_error", "malformed_packet"}


def test_bytes_before_connect_are_bounded() -> None:
    world = World("mqtt.client.max_connect_size = 1KB")
    peer = world.peer()
    peer.write(b"\x10\x80\x08")  # 1024 and the header
    world.settle()
    assert peer.closed
    assert world.ends == {"packet_too_large": 1}


def test_a_connect_at_the_bound_is_taken() -> None:
    world = World("mqtt.client.max_connect_size = 1KB")
    peer = world.peer()
    packet = Connect(4, "alice", user_name="u", password=bytes(1024 - 25))
    assert len(encode(packet, 4)) == 1024
    peer.send(packet)
    assert peer.one(Connack).reason_code == c.SUCCESS


def test_max_packet_size_bounds_connect_too() -> None:
    world = World("mqtt.max_packet_size = 1KB")
    peer = world.peer()
    peer.write(b"\x10\x80\x08")
    assert world.ends == {"packet_too_large": 1}


# Broken and forbidden packets.

@every_version
@pytest.mark.mqtt5("3.1.0-2", "3.2.0-2", "4.13.1-1")
def test_a_second_connect_ends_the_connection(version: int) -> None:
    world = World()
    peer = world.connect("alice", version=version)
    peer.send(Connect(version, "bob"))
    assert ended(peer, c.PROTOCOL_ERROR)
    assert world.broker.sessions.by_id == {}


@every_version
@pytest.mark.mqtt5("3.1.0-2")
def test_a_second_connect_of_an_unsupported_version_ends_the_connection(version: int) -> None:
    peer = World().connect("alice", version=version)
    peer.write(b"\x10\x0d\x00\x04MQTT\x09\x02\x00\x00\x00\x01x")
    peer.world.settle()
    assert ended(peer, c.PROTOCOL_ERROR)


@every_version
@pytest.mark.parametrize("packet", [Connack(), Suback(1, [0]), Unsuback(1, [0]), Pingresp()])
def test_a_packet_that_only_servers_send_ends_the_connection(version: int, packet: Packet) -> None:
    peer = World().connect("alice", version=version)
    peer.send(packet)
    assert ended(peer, c.PROTOCOL_ERROR)


@pytest.mark.mqtt5("4.12.0-7")
def test_auth_without_authentication_ends_the_connection() -> None:
    peer = World().connect("alice")
    peer.send(Auth(c.RE_AUTHENTICATE, properties(authentication_method="x")))
    assert ended(peer, c.PROTOCOL_ERROR)


@every_version
@pytest.mark.mqtt5("4.13.1-1", "4.13.2-1")
def test_a_malformed_packet_ends_its_connection_and_no_other(version: int) -> None:
    world = World()
    peer, other = world.connect("alice", version=version), world.connect("bob", version=version)
    other.subscribe("a")
    peer.write(b"\x30\x01\x00")
    world.settle()
    assert ended(peer, c.MALFORMED_PACKET)
    assert world.ends == {"malformed_packet": 1}
    [(client_id, cause, reason)] = world.witness.told("disconnected")
    assert (client_id, cause) == ("alice", "malformed_packet")
    assert isinstance(reason, str)
    assert reason.startswith("PUBLISH: no room for a Topic Name (byte 3 of the packet")
    world.connect("carol").publish("a", b"x")
    assert other.payloads() == [b"x"]


@every_version
@pytest.mark.mqtt5("4.13.2-1")
def test_packets_before_a_broken_one_are_served_and_those_after_it_are_not(version: int) -> None:
    world = World()
    watcher = world.connect("bob")
    watcher.subscribe("#")
    peer = world.connect("alice", version=version)
    good = encode(Publish(b"a", b"x"), version)
    peer.write(good + b"\x36\x05\x00\x01a\x00\x01" + good)  # QoS 3
    peer.write(good)
    world.settle()
    assert watcher.payloads() == [b"x"]
    assert ended(peer, c.MALFORMED_PACKET)


@every_version
@pytest.mark.mqtt5("3.2.2-15")
def test_a_packet_above_max_packet_size_ends_the_connection(version: int) -> None:
    world = World("mqtt.max_packet_size = 1KB")
    peer = world.connect("alice", version=version)
    peer.publish("a", bytes(1000 if version == c.MQTT_5_0 else 1001))
    assert not peer.closed
    peer.publish("a", bytes(1024))
    assert ended(peer, c.PACKET_TOO_LARGE)


@every_version
@pytest.mark.mqtt5("3.14.4-1")
def test_nothing_is_served_after_disconnect(version: int) -> None:
    world = World()
    watcher = world.connect("bob")
    watcher.subscribe("#")
    peer = world.connect("alice", version=version)
    peer.send(Disconnect(), Publish(b"a", b"x"), Pingreq())
    peer.send(Publish(b"a", b"x"))
    assert watcher.received() == []
    assert peer.received() == []
    assert peer.closed
    assert world.ends == {causes.NORMAL: 1}


@every_version
def test_packets_come_in_pieces_of_any_size(version: int) -> None:
    world = World()
    watcher = world.connect("bob")
    watcher.subscribe("#", qos=2)
    peer = world.peer()
    peer.version = version
    packets: list[Packet] = [Connect(version, "alice"), Publish(b"a", b"x", 1, packet_id=5), Publish(b"b", b"y"), Pingreq()]
    for byte in b"".join([encode(packet, version) for packet in packets]):
        peer.write(bytes((byte,)))
    world.settle()
    assert [type(packet) for packet in peer.received()] == [Connack, Puback, Pingresp]
    assert watcher.payloads() == [b"x", b"y"]


# DISCONNECT.

def test_disconnect_changes_the_session_expiry_interval() -> None:
    world = World()
    world.connect("shorter", session_expiry_interval=100).disconnect(session_expiry_interval=10)
    world.connect("longer", session_expiry_interval=10).disconnect(session_expiry_interval=100)
    world.connect("none", session_expiry_interval=100).disconnect(session_expiry_interval=0)
    assert list(world.broker.sessions.by_id) == ["shorter", "longer"]
    world.advance(10)
    assert list(world.broker.sessions.by_id) == ["longer"]
    world.advance(89)
    assert list(world.broker.sessions.by_id) == ["longer"]
    world.advance(1)
    assert list(world.broker.sessions.by_id) == []


def test_disconnect_cannot_give_a_session_a_life_that_connect_did_not() -> None:
    world = World()
    watcher = world.connect("bob")
    watcher.subscribe("will")
    peer = world.connect("alice", will=Will(b"will", b"last words"))
    peer.disconnect(session_expiry_interval=10)
    assert ended(peer, c.PROTOCOL_ERROR)
    assert watcher.payloads() == [b"last words"]
    assert list(world.broker.sessions.by_id) == ["bob"]


def test_disconnect_may_repeat_that_the_session_ends() -> None:
    world = World()
    peer = world.connect("alice")
    peer.disconnect(session_expiry_interval=0)
    assert peer.received() == []
    assert world.ends == {causes.NORMAL: 1}


def test_disconnect_cannot_pass_the_operators_bound() -> None:
    world = World("mqtt.session.expiry_interval = 1h")
    world.connect("alice", session_expiry_interval=10).disconnect(session_expiry_interval=c.SESSION_NEVER_EXPIRES)
    world.advance(3599)
    assert list(world.broker.sessions.by_id) == ["alice"]
    world.advance(1)
    assert list(world.broker.sessions.by_id) == []


def test_disconnect_can_ask_for_ever_where_the_operator_allows_it() -> None:
    world = World("mqtt.session.expiry_interval = never")
    world.connect("alice", session_expiry_interval=10).disconnect(session_expiry_interval=c.SESSION_NEVER_EXPIRES)
    world.advance(1e10)
    assert list(world.broker.sessions.by_id) == ["alice"]


def test_the_log_learns_which_error_a_client_left_for() -> None:
    world = World()
    world.connect("alice").disconnect(c.TOPIC_NAME_INVALID)
    assert world.witness.told("disconnected") == [
        ("alice", causes.DISCONNECT_WITH_WILL, "the client disconnected: Topic Name invalid")]


@before_5
def test_before_5_disconnect_is_always_normal(version: int) -> None:
    world = World()
    world.connect("alice", version=version).disconnect()
    assert world.ends == {causes.NORMAL: 1}


def test_two_versions_can_talk_to_each_other() -> None:
    world = World()
    peers = [world.connect(f"v{version}", version=version) for version in VERSIONS]
    for peer in peers:
        peer.subscribe("all", qos=1)
    for peer in peers:
        peer.send(Publish(b"all", f"from {peer.version}".encode()))
    for peer in peers:
        assert peer.payloads() == [b"from 3", b"from 4", b"from 5"]
