"""Keep Alive, the time before CONNECT, and the ends of a connection."""
import pytest

from emqtwist.core import causes
from emqtwist.core.door import Door
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, ServerBusy
from emqtwist.mqtt.packets import Connect, Disconnect, Pingreq, Pingresp, Publish, Subscribe
from tests.peers import World, before_5, every_version
from tests.scenes import LAST_WORDS, mourner

# Time.

@every_version
@pytest.mark.mqtt5("3.1.2-22", "3.2.2-22")
def test_a_client_is_gone_after_one_and_a_half_keep_alive(version: int) -> None:
    world = World()
    peer = world.connect("alice", version=version, keep_alive=10)
    world.advance(15)
    assert not peer.closed
    world.advance(0.1)
    assert peer.closed
    if version == c.MQTT_5_0:
        assert peer.one(Disconnect).reason_code == c.KEEP_ALIVE_TIMEOUT
    assert peer.received() == []
    assert world.ends == {"keep_alive_timeout": 1}


@every_version
@pytest.mark.mqtt5("3.1.2-22")
def test_every_packet_counts_for_keep_alive(version: int) -> None:
    world = World()
    peer = world.connect("alice", version=version, keep_alive=10)
    peer.subscribe("a")
    for packet in (Pingreq(), Publish(b"a", b""), Subscribe(9, [(b"b", 0)])):
        world.advance(14)
        peer.send(packet)
    world.advance(14)
    assert not peer.closed


def test_bytes_that_are_no_packet_do_not_count_for_keep_alive() -> None:
    world = World()
    peer = world.connect("alice", keep_alive=10)
    for byte in b"\x30\x10\x00\x01":
        peer.write(bytes((byte,)))
        world.advance(4)
    assert peer.closed


@every_version
@pytest.mark.mqtt5("3.1.2-22")
def test_keep_alive_0_is_never(version: int) -> None:
    world = World()
    peer = world.connect("alice", version=version, keep_alive=0)
    world.advance(1e9)
    assert not peer.closed


def test_a_connection_has_its_time_for_connect() -> None:
    world = World("mqtt.client.idle_timeout = 5s")
    silent, slow = world.peer(), world.peer()
    world.advance(4.9)
    slow.write(b"\x10\x10\x00\x04MQ")  # bytes alone buy no time
    assert not silent.closed
    world.advance(0.1)
    assert silent.closed
    assert slow.closed
    assert silent.received() == []
    assert world.ends == {causes.CONNECT_TIMEOUT: 2}


def test_large_parts_of_a_connect_buy_no_time() -> None:
    world = World("mqtt.client.idle_timeout = 5s")
    peer = world.peer()
    peer.write(b"\x10\x80\x80\x01")
    for _ in range(3):
        peer.write(bytes(4000))
        world.advance(2)
    assert world.ends == {causes.CONNECT_TIMEOUT: 1}


def test_large_parts_of_a_packet_count_for_keep_alive() -> None:  # no PINGREQ can pass it
    world = World()
    peer = world.connect("alice", keep_alive=10)
    peer.write(b"\x30\x80\x80\x01\x00\x01a\x00")
    for _ in range(4):
        world.advance(14)
        peer.write(bytes(4000))
    world.advance(14)
    assert not peer.closed
    peer.write(bytes(300))
    world.advance(2)
    assert peer.closed


def test_time_for_connect_does_not_bind_an_accepted_client() -> None:
    world = World("mqtt.client.idle_timeout = 5s")
    peer = world.connect("alice")
    world.advance(60)
    assert not peer.closed


@every_version
@pytest.mark.mqtt5("3.12.4-1")
def test_a_ping_is_answered(version: int) -> None:
    peer = World().connect("alice", version=version)
    peer.send(Pingreq())
    peer.one(Pingresp)


# The end.

@every_version
def test_a_lost_connection_is_counted_and_told(version: int) -> None:
    world = World()
    peer = world.connect("alice", version=version)
    peer.drop()
    assert world.ends == {causes.CONNECTION_LOST: 1}
    assert world.witness.told("disconnected") == [("alice", causes.CONNECTION_LOST, "the test dropped it")]
    assert list(world.broker.links) == []


@every_version
def test_who_is_not_let_in_is_told_with_the_listener(version: int) -> None:
    world = World("mqtt.allow_anonymous = off")
    world.door = Door("ssl.external")
    peer = world.peer()
    peer.send(Connect(version, "alice"))
    [(client_id, listener, cause, reason)] = world.witness.told("refused")
    assert (client_id, listener, cause) == ("alice", "ssl.external", "not_authorized")
    assert str(reason).startswith("anonymous clients are not allowed")
    assert world.witness.told("disconnected") == [("alice", "not_authorized", reason)]


def test_who_is_let_in_or_leaves_by_itself_is_not_refused() -> None:
    world = World()
    world.peer().drop()
    alice = world.connect("alice")
    alice.write(b"\xf0\x00")
    assert world.ends == {causes.CONNECTION_LOST: 1, "protocol_error": 1}
    assert world.witness.told("refused") == []


def test_a_connection_ends_once() -> None:
    world = World()
    peer = world.connect("alice", will=LAST_WORDS)
    watcher = mourner(world)
    peer.connection.fail(ServerBusy("first"))
    peer.connection.fail(ServerBusy("second"))
    peer.drop()
    assert world.ends == {"server_busy": 1}
    assert [packet.reason_code for packet in peer.all(Disconnect)] == [c.SERVER_BUSY]
    assert watcher.payloads() == [b"last words"]


def test_a_connection_that_never_connected_can_be_lost() -> None:
    world = World()
    world.peer().drop()
    assert world.witness.told("disconnected") == [("", causes.CONNECTION_LOST, "the test dropped it")]
    assert list(world.broker.links) == []


@pytest.mark.mqtt5("3.14.2-3")
def test_disconnect_says_why_in_words_where_there_is_room() -> None:
    world = World()
    roomy, narrow = world.connect("roomy"), world.connect("narrow", maximum_packet_size=30)
    for peer in (roomy, narrow):
        peer.connection.fail(MQTTError("because of a long story that fills a packet", c.ADMINISTRATIVE_ACTION))
    world.settle()
    words = roomy.one(Disconnect)
    assert words.properties is not None
    assert words.properties.reason_string == "because of a long story that fills a packet"
    brief = narrow.one(Disconnect)
    assert (brief.reason_code, brief.properties) == (c.ADMINISTRATIVE_ACTION, None)


@before_5
def test_before_5_the_server_has_no_disconnect(version: int) -> None:
    world = World()
    peer = world.connect("alice", version=version)
    peer.connection.fail(MQTTError("because", c.ADMINISTRATIVE_ACTION))
    world.settle()
    assert (peer.received(), peer.closed) == ([], True)
