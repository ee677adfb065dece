"""Enhanced authentication: the exchange before CONNACK, and what ends it."""
import pytest

from emqtwist.core import causes
from emqtwist.core.authenticating import MAX_BYTES, MAX_ROUNDS
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Auth, Connack, Connect, Disconnect, Packet, Pingreq, Pingresp, Puback, Publish, Subscribe, Will
from tests.gates import NOBODY, Gate, reason, told
from tests.methods import NAME, auth, more, no, opening, yes
from tests.peers import properties
from tests.scenes import LAST_WORDS, mourner

# Before CONNACK.

@pytest.mark.mqtt5("4.12.0-2", "4.12.0-5")
def test_the_exchange_goes_on_until_the_client_is_accepted() -> None:
    world = Gate(more(b"2"), more(b"4"), yes("alice", b"6"))
    peer = world.peer()
    peer.send(opening(data=b"1"))
    assert told(peer.one(Auth)) == (c.CONTINUE_AUTHENTICATION, NAME, b"2")
    peer.send(auth(b"3"))
    assert told(peer.one(Auth)) == (c.CONTINUE_AUTHENTICATION, NAME, b"4")
    peer.send(auth(b"5"))
    assert told(peer.one(Connack)) == (c.SUCCESS, NAME, b"6")
    assert world.method.asked == [b"1", b"3", b"5"]
    assert peer.connection.user_name == "alice"
    peer.send(Pingreq())
    peer.one(Pingresp)


def test_the_method_may_need_nothing_but_connect_and_have_nothing_to_say() -> None:
    world = Gate(yes())
    peer = world.peer()
    peer.send(opening())
    assert told(peer.one(Connack)) == (c.SUCCESS, NAME, None)
    assert world.method.asked == [None]


def test_the_method_is_told_who_claims_to_be_there() -> None:
    world = Gate(yes("proved"))
    peer = world.peer(loopback=False)
    peer.send(opening("identifier", user_name="claimed"))
    [client] = world.method.clients
    assert (client.client_id, client.user_name, client.listener, client.peer, client.address, client.loopback) == (
        "identifier", "claimed", "tcp.default", "10.0.0.1:50000", "10.0.0.1", False)
    assert peer.connection.user_name == "proved"


def test_nothing_of_the_client_is_there_before_it_is_accepted() -> None:
    world = Gate(yes("first"), more(), lines=())
    watcher = mourner(world)
    old = world.peer()
    old.send(opening("a", session_expiry_interval=100))
    old.received()
    old.subscribe("x", qos=1)
    peer = world.peer()
    peer.send(opening("a", will=LAST_WORDS))
    peer.one(Auth)
    assert not old.closed
    assert world.broker.metrics.connects == 2
    peer.drop()
    assert watcher.received() == []
    assert world.session("a").subscriptions.keys() == {b"x"}
    assert not old.closed


def test_an_acceptance_takes_the_session_over() -> None:
    world = Gate(yes(), more(), yes())
    old, new = world.peer(), world.peer()
    old.send(opening("a", session_expiry_interval=100))
    old.received()
    new.send(opening("a", clean_start=False), auth())
    assert old.one(Disconnect).reason_code == c.SESSION_TAKEN_OVER
    assert [type(packet) for packet in new.received()] == [Auth, Connack]


@pytest.mark.mqtt5("4.12.0-4")
def test_a_refusal_is_told_in_connack() -> None:
    world = Gate(more(), no())
    peer = world.peer()
    peer.send(opening(), auth())
    connack = peer.received()[-1]
    assert isinstance(connack, Connack)
    assert told(connack) == (c.NOT_AUTHORIZED, None, None)
    assert reason(connack) == "no such luck"
    assert peer.closed
    assert world.broker.sessions.by_id == {}
    assert world.ends == {"not_authorized": 1}


@pytest.mark.mqtt5("4.12.0-1")
def test_an_unknown_method_is_refused() -> None:
    world = Gate()
    peer = world.peer()
    peer.send(opening(method="OTHER"))
    assert told(peer.one(Connack)) == (c.BAD_AUTHENTICATION_METHOD, None, None)
    assert peer.closed
    assert world.method.clients == []


@pytest.mark.mqtt5("4.12.0-6")
def test_without_a_method_it_is_as_before() -> None:
    world = Gate(lines=())
    peer = world.connect("a")
    assert peer.told.authentication_method is None
    assert Gate().peer().connect("a").reason_code == c.NOT_AUTHORIZED


def test_what_is_wrong_with_connect_is_told_before_the_method_is_asked() -> None:
    world = Gate()
    peer = world.peer()
    peer.send(opening(will=Will(b"a/#", b"")))
    assert peer.one(Connack).reason_code == c.TOPIC_NAME_INVALID
    assert world.method.clients == []


@pytest.mark.parametrize("packet", [
    Pingreq(), Subscribe(1, [(b"a", 0)]), Publish(b"a", b"x", 1, packet_id=1), Puback(1), Connect(5, "a"),
    auth(b"", c.RE_AUTHENTICATE), auth(b"", c.SUCCESS), auth(b"", method="OTHER"), Auth()],
    ids=["PINGREQ", "SUBSCRIBE", "PUBLISH", "PUBACK", "CONNECT", "0x19", "0x00", "method", "bare"])
@pytest.mark.mqtt5("3.1.2-30", "4.12.0-3", "4.12.0-5")
def test_the_exchange_is_for_auth_with_its_method_alone(packet: Packet) -> None:
    world = Gate(more())
    peer = world.peer()
    peer.send(opening())
    peer.one(Auth)
    peer.send(packet)
    assert peer.one(Connack).reason_code == c.PROTOCOL_ERROR
    assert peer.closed
    assert len(world.method.asked) == 1


@pytest.mark.mqtt5("3.2.2-8")
def test_what_connack_has_no_code_for_is_a_protocol_error_there() -> None:
    world = Gate(more())
    peer = world.peer()
    peer.send(opening())
    peer.one(Auth)
    publish = Publish(b"", b"x")
    publish.properties = properties(topic_alias=0)  # 0x94, Topic Alias invalid
    peer.send(publish)
    assert peer.one(Connack).reason_code == c.PROTOCOL_ERROR
    assert peer.closed


@pytest.mark.mqtt5("3.2.2-8")
def test_who_waits_when_the_broker_stops_is_told_that_it_is_not_available() -> None:
    world = Gate()
    told: list[object] = []
    world.broker.hooks.add("client.connack", lambda client, reason_code: told.append(reason_code))
    peer = world.peer()
    peer.send(opening())
    world.broker.shut_down()
    world.advance(0)
    connack = peer.one(Connack)
    assert (connack.reason_code, reason(connack), told) == (
        c.SERVER_UNAVAILABLE, "the server is shutting down", [c.SERVER_UNAVAILABLE])
    assert world.ends == {"server_shutting_down": 1}


def test_the_client_may_leave_the_exchange() -> None:
    world = Gate(more())
    peer = world.peer()
    peer.send(opening(), Disconnect())
    peer.one(Auth)
    assert peer.closed
    assert world.ends == {causes.NORMAL: 1}


def test_a_packet_in_the_exchange_is_no_larger_than_connect_may_be() -> None:
    world = Gate(more(), more(), yes(), lines=(NOBODY, "mqtt.client.max_connect_size = 1KB", "mqtt.max_packet_size = 8KB"))
    peer, other = world.peer(), world.peer()
    peer.send(opening())
    peer.send(auth(bytes(1024)))
    connack = peer.received()[-1]
    assert isinstance(connack, Connack)
    assert connack.reason_code == c.PACKET_TOO_LARGE
    other.send(opening())
    other.send(auth())
    connack = other.received()[-1]
    assert isinstance(connack, Connack)
    assert connack.properties is not None
    assert connack.properties.maximum_packet_size == 8192
    other.send(Publish(b"a", bytes(8000)))
    assert not other.closed


@pytest.mark.mqtt5("3.1.2-24")
def test_auth_that_the_client_cannot_take_ends_the_connection() -> None:
    world = Gate(more(bytes(200)))
    peer = world.peer()
    peer.send(opening(maximum_packet_size=100))
    assert peer.received() == []
    assert world.ends == {"packet_too_large": 1}


# Bounds.

def test_the_exchange_is_bounded_in_time() -> None:
    world = Gate(more(), more(), lines=(NOBODY, "mqtt.client.idle_timeout = 10s"))
    peer = world.peer()
    peer.send(opening())
    world.advance(9)
    peer.send(auth())  # talking does not prolong it
    assert len(peer.all(Auth)) == 2
    world.advance(1)
    assert peer.one(Connack).reason_code == c.NOT_AUTHORIZED
    assert peer.closed


def test_the_time_of_the_exchange_begins_with_connect() -> None:
    world = Gate(more(), lines=(NOBODY, "mqtt.client.idle_timeout = 10s"))
    peer = world.peer()
    world.advance(9)
    peer.send(opening())
    world.advance(9)
    assert not peer.closed


def test_the_exchange_is_bounded_in_rounds() -> None:
    world = Gate(*[more()] * 100)
    peer = world.peer()
    peer.send(opening(), *[auth()] * MAX_ROUNDS)
    packets = peer.received()
    assert [type(packet) for packet in packets] == [Auth] * MAX_ROUNDS + [Connack]
    assert isinstance(packets[-1], Connack)
    assert packets[-1].reason_code == c.QUOTA_EXCEEDED


def test_the_exchange_is_bounded_in_bytes() -> None:
    world = Gate(*[more()] * 100)
    peer = world.peer()
    peer.send(opening(), auth(bytes(MAX_BYTES // 2 - 1)), auth(bytes(MAX_BYTES // 2 - 1)), auth(bytes(2)), auth(b"x"))
    packets = peer.received()
    assert [type(packet) for packet in packets] == [Auth] * 4 + [Connack]
    assert isinstance(packets[-1], Connack)
    assert packets[-1].reason_code == c.QUOTA_EXCEEDED


# Decisions that take time.

def test_a_client_waits_until_its_method_has_decided() -> None:
    world = Gate()
    peer = world.peer()
    peer.send(opening())
    assert peer.received() == []
    world.decide(more(b"2"))
    assert told(peer.one(Auth)) == (c.CONTINUE_AUTHENTICATION, NAME, b"2")
    peer.send(auth())
    assert peer.received() == []
    world.decide(yes())
    assert peer.one(Connack).reason_code == c.SUCCESS


def test_a_late_refusal_is_a_refusal() -> None:
    world = Gate()
    peer = world.peer()
    peer.send(opening())
    world.decide(no())
    assert peer.one(Connack).reason_code == c.NOT_AUTHORIZED
    assert peer.closed


def test_what_comes_before_an_acceptance_in_the_same_chunk_is_served_after_it() -> None:
    world = Gate()
    peer = world.peer()
    peer.send(opening(), Pingreq())
    assert peer.received() == []
    world.decide(yes())
    assert [type(packet) for packet in peer.received()] == [Connack, Pingresp]


def test_what_comes_before_a_question_has_to_be_its_answer() -> None:
    world = Gate()
    peer = world.peer()
    peer.send(opening(), auth(b"1"), auth(b"2"))
    world.decide(more())
    assert world.method.asked == [None, b"1"]
    world.decide(more())
    assert world.method.asked == [None, b"1", b"2"]
    peer.send(Pingreq())
    world.decide(more())
    assert isinstance(peer.received()[-1], Connack)
    assert peer.closed


def test_a_decision_after_the_end_of_the_connection_changes_nothing() -> None:
    world = Gate()
    peer = world.peer()
    peer.send(opening("a"))
    peer.drop()
    assert world.method.pending[0].cancelled
    world.decide(yes())
    assert world.broker.sessions.by_id == {}
    assert world.broker.metrics.connects == 0
    assert peer.connection.exchange is None


def test_a_decision_made_in_the_turn_of_the_end_changes_nothing() -> None:
    world = Gate()
    peer = world.peer()
    peer.send(opening("a"))
    world.method.decide(yes())
    peer.drop()
    assert world.broker.sessions.by_id == {}
    assert world.ends == {causes.CONNECTION_LOST: 1}


def test_a_method_that_does_not_decide_in_time_lets_nobody_in() -> None:
    world = Gate(lines=(NOBODY, "mqtt.client.idle_timeout = 10s"))
    peer = world.peer()
    peer.send(opening())
    world.advance(10)
    assert peer.one(Connack).reason_code == c.NOT_AUTHORIZED
    assert peer.closed
    world.decide(yes())
    assert peer.received() == []
