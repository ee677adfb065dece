"""What a connection does with each kind of packet, with bytes that are none, and with what follows its end."""
import pytest

from emqtwist.core import causes
from emqtwist.core.message import Message
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


# Runs of PUBACK.

def owed(world: World, *qos: int) -> tuple[Peer, list[int]]:
    """A client with messages of these QoS in flight; their Packet Identifiers."""
    bob = world.connect("bob", receive_maximum=len(qos))
    bob.subscribe("t", qos=2)
    alice = world.connect("alice")
    for number in qos:
        alice.publish("t", b"x", number)
    return bob, [publish.packet_id for publish in bob.all(Publish)]


def counted(world: World) -> tuple[int, int, int]:
    counters = world.broker.metrics.counters()
    return counters["packets_received"], counters["puback_received"], counters["puback_missed"]


def rise(world: World, before: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple(now - then for now, then in zip(counted(world), before, strict=True))


def test_a_run_of_pubacks_ends_all_flows_and_makes_room() -> None:
    world = World()
    bob, packet_ids = owed(world, 1, 1, 1)
    world.connect("carol").publish("t", b"later", 1)
    assert bob.received() == []
    before = counted(world)
    bob.send(*[Puback(packet_id) for packet_id in packet_ids], Pingreq())
    assert [packet.type for packet in bob.received()] == [c.PINGRESP, c.PUBLISH]
    assert rise(world, before) == (4, 3, 0)
    assert len(world.session("bob").inflight.held) == 1


def test_in_a_run_an_unknown_identifier_costs_nothing_but_itself() -> None:
    world = World()
    bob, packet_ids = owed(world, 1, 1, 1)
    before = counted(world)
    bob.send(Puback(packet_ids[0]), Puback(999), Puback(packet_ids[1]), Puback(packet_ids[0]), Puback(packet_ids[2]))
    assert rise(world, before) == (5, 5, 2)
    assert not world.session("bob").inflight.held
    assert not bob.closed


@pytest.mark.mqtt5("4.13.1-1")
def test_in_a_run_the_first_for_a_qos_2_message_ends_the_connection() -> None:
    world = World()
    bob, packet_ids = owed(world, 1, 2, 1)
    before = counted(world)
    bob.send(*[Puback(packet_id) for packet_id in packet_ids])
    assert ended(bob, c.PROTOCOL_ERROR)
    assert rise(world, before) == (2, 2, 0)


def test_a_function_that_ends_the_connection_in_a_run_is_the_last_to_be_called() -> None:
    world = World()
    bob, packet_ids = owed(world, 1, 1, 1)
    told: list[str] = []

    def acked(client_id: str, user_name: str | None, message: Message) -> None:
        told.append(client_id)
        bob.connection.end(causes.NORMAL, "enough")

    world.broker.hooks.add("message.acked", acked)
    before = counted(world)
    bob.send(*[Puback(packet_id) for packet_id in packet_ids])
    assert told == ["bob"]
    assert bob.closed
    assert rise(world, before) == (1, 1, 0)


def test_what_is_sent_again_after_a_return_is_acknowledged_one_by_one() -> None:
    world = World()
    bob = world.connect("bob", clean_start=False, session_expiry_interval=1000)
    bob.subscribe("t", qos=1)
    alice = world.connect("alice")
    for _ in range(3):
        alice.publish("t", b"x", 1)
    packet_ids = [publish.packet_id for publish in bob.all(Publish)]
    bob.drop()
    again = world.connect("bob", clean_start=False, session_expiry_interval=1000, receive_maximum=1)
    assert again.one(Publish).packet_id == packet_ids[0]
    again.send(Puback(packet_ids[0]), Puback(packet_ids[1]))
    assert [publish.packet_id for publish in again.all(Publish)] == packet_ids[1:]
    assert list(world.session("bob").inflight.held) == [packet_ids[2]]
