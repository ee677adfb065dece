"""Re-authentication on an open connection, and what ends it."""
import pytest

from emqtwist.core.authenticating import MAX_ROUNDS
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Auth, Disconnect, Packet, Pingreq, Pingresp, Publish
from tests.gates import NOBODY, Gate, told
from tests.methods import NAME, auth, more, no, yes
from tests.scenes import LAST_WORDS


@pytest.mark.mqtt5("4.12.0-5", "4.12.1-1")
def test_re_authentication_succeeds() -> None:
    world = Gate()
    peer = world.enter()
    world.method.steps += [more(b"2"), yes("alice", b"4")]
    peer.send(auth(b"1", c.RE_AUTHENTICATE))
    assert told(peer.one(Auth)) == (c.CONTINUE_AUTHENTICATION, NAME, b"2")
    peer.send(auth(b"3"))
    assert told(peer.one(Auth)) == (c.SUCCESS, NAME, b"4")
    assert world.method.asked == [None, b"1", b"3"]
    assert (world.method.clients[1].client_id, world.method.clients[1].user_name) == ("a", "alice")
    world.method.steps.append(yes())
    peer.send(auth(None, c.RE_AUTHENTICATE))
    assert told(peer.one(Auth)) == (c.SUCCESS, NAME, None)


def test_other_packets_flow_during_re_authentication() -> None:
    world = Gate()
    peer = world.enter()
    peer.subscribe("a")
    world.method.steps.append(more())
    peer.send(auth(b"", c.RE_AUTHENTICATE), Publish(b"a", b"x"), Pingreq())
    assert [type(packet) for packet in peer.received()] == [Auth, Publish, Pingresp]


def test_messages_reach_a_client_that_waits_for_a_decision() -> None:
    world = Gate()
    peer, other = world.enter("a"), world.enter("b")
    peer.subscribe("a")
    peer.send(auth(b"", c.RE_AUTHENTICATE))
    other.publish("a", b"x")
    assert peer.one(Publish).payload == b"x"


@pytest.mark.mqtt5("4.12.1-2")
def test_a_failed_re_authentication_ends_the_connection() -> None:
    world = Gate()
    watcher = world.enter("watcher")
    watcher.subscribe("will")
    peer = world.enter(will=LAST_WORDS)
    world.method.steps.append(no())
    peer.send(auth(b"", c.RE_AUTHENTICATE))
    assert peer.one(Disconnect).reason_code == c.NOT_AUTHORIZED
    assert peer.closed
    assert watcher.payloads() == [b"last words"]


def test_nobody_becomes_another_user() -> None:
    world = Gate()
    peer = world.enter()
    world.method.steps.append(yes("mallory"))
    peer.send(auth(b"", c.RE_AUTHENTICATE))
    assert peer.one(Disconnect).reason_code == c.NOT_AUTHORIZED


@pytest.mark.parametrize("packet", [
    auth(b"", c.CONTINUE_AUTHENTICATION), auth(b"", c.SUCCESS), Auth(), auth(b"", c.RE_AUTHENTICATE, "OTHER")],
    ids=["0x18", "0x00", "bare", "method"])
@pytest.mark.mqtt5("4.12.1-1")
def test_re_authentication_begins_with_0x19_and_the_same_method(packet: Packet) -> None:
    world = Gate()
    peer = world.enter()
    world.method.steps.append(yes())
    peer.send(packet)
    assert peer.one(Disconnect).reason_code == c.PROTOCOL_ERROR
    assert len(world.method.asked) == 1


def test_re_authentication_within_one_is_an_error() -> None:
    world = Gate()
    peer = world.enter()
    world.method.steps += [more(), yes()]
    peer.send(auth(b"", c.RE_AUTHENTICATE), auth(b"", c.RE_AUTHENTICATE))
    last = peer.received()[-1]
    assert isinstance(last, Disconnect)
    assert last.reason_code == c.PROTOCOL_ERROR


@pytest.mark.mqtt5("4.12.0-7")
def test_auth_of_a_client_without_a_method_is_an_error() -> None:
    world = Gate(yes(), lines=())
    peer = world.connect("a")
    peer.send(auth(b"", c.RE_AUTHENTICATE))
    assert peer.one(Disconnect).reason_code == c.PROTOCOL_ERROR
    assert world.method.asked == []


def test_a_method_that_is_gone_cannot_re_authenticate() -> None:
    world = Gate()
    peer = world.enter()
    world.broker.methods = {}
    peer.send(auth(b"", c.RE_AUTHENTICATE))
    assert peer.one(Disconnect).reason_code == c.BAD_AUTHENTICATION_METHOD


def test_re_authentication_is_bounded_in_time() -> None:
    world = Gate(lines=(NOBODY, "mqtt.client.idle_timeout = 10s"))
    peer = world.enter()
    world.advance(100)
    world.method.steps.append(more())
    peer.send(auth(b"", c.RE_AUTHENTICATE))
    world.advance(9)
    peer.one(Auth)
    world.advance(1)
    assert peer.one(Disconnect).reason_code == c.NOT_AUTHORIZED


def test_each_re_authentication_has_its_own_rounds() -> None:
    world = Gate()
    peer = world.enter()
    for _ in range(MAX_ROUNDS + 1):
        world.method.steps.append(yes())
        peer.send(auth(b"", c.RE_AUTHENTICATE))
        assert peer.one(Auth).reason_code == c.SUCCESS


def test_a_finished_re_authentication_leaves_the_connection_open() -> None:
    world = Gate(lines=(NOBODY, "mqtt.client.idle_timeout = 10s"))
    peer = world.enter()
    world.method.steps.append(yes())
    peer.send(auth(b"", c.RE_AUTHENTICATE))
    world.advance(1000)
    assert not peer.closed
