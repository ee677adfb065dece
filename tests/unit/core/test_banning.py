"""Who is banned does not get in, and has to go."""
import pytest

from emqtwist.core.banning import ban
from emqtwist.core.bans import ADDRESS, CLIENT, KINDS, USER, Ban
from emqtwist.core.message import NEVER
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Publish
from tests.methods import NAME, Method, opening, yes
from tests.peers import World, before_5, properties
from tests.scenes import LAST_WORDS, arrive, mourner
from tests.stores import StoredWorld

WHO = {CLIENT: "alice", USER: "al", ADDRESS: "10.0.0.0/8"}  # peers of a World come from 10.0.0.1
each_kind = pytest.mark.parametrize("kind", KINDS)


def banned(world: World, kind: str, reason: str = "", lasts: float = NEVER) -> None:
    assert ban(world.broker, Ban(kind, WHO[kind], reason, "a test", world.turn.now, world.turn.now + lasts))
    world.settle()


@each_kind
def test_who_is_banned_is_told_so(kind: str) -> None:
    world = World()
    banned(world, kind, "because")
    alice = world.peer()
    assert alice.connect("alice", user_name="al").reason_code == c.BANNED
    assert str(alice.told.reason_string).endswith("is banned: because")
    assert alice.closed
    assert world.ends == {"banned": 1}
    assert world.broker.sessions.by_id == {}


@before_5
@each_kind
def test_before_5_0_it_is_not_authorized(kind: str, version: int) -> None:
    world = World()
    banned(world, kind)
    assert world.peer().connect("alice", version=version, user_name="al").reason_code == c.REFUSED_NOT_AUTHORIZED


def test_others_get_in() -> None:
    world = World()
    banned(world, CLIENT)
    banned(world, USER)
    world.connect("al", user_name="alice")


@each_kind
def test_who_is_here_has_to_go(kind: str) -> None:
    world = World()
    alice, old, other = world.connect("alice", user_name="al"), world.connect("old", version=4, user_name="al"), world.connect()
    banned(world, kind, "because")
    packet = alice.one(Disconnect)
    assert packet.reason_code == c.ADMINISTRATIVE_ACTION
    assert packet.properties is not None
    assert str(packet.properties.reason_string).endswith("is banned: because")
    assert (alice.closed, old.closed, other.closed) == (True, kind != CLIENT, kind == ADDRESS)
    assert old.received() == []


def test_the_will_of_who_has_to_go_is_published() -> None:
    world = World()
    mourning = mourner(world)
    world.connect("alice", will=LAST_WORDS)
    banned(world, CLIENT)
    assert mourning.one(Publish).payload == LAST_WORDS.payload


def test_who_waits_for_its_connack_is_told_in_it() -> None:
    world = StoredWorld(stored=False)
    alice = world.peer()
    alice.send(Connect(5, "alice", properties=properties(session_expiry_interval=100)))
    assert alice.received() == []
    banned(world, CLIENT)
    assert alice.one(Connack).reason_code == c.BANNED
    assert alice.closed


def test_a_connection_without_connect_from_a_banned_address_is_closed() -> None:
    world = World()
    peer = world.peer()
    banned(world, ADDRESS)
    assert (peer.closed, peer.raw) == (True, b"")


def test_the_user_that_a_method_has_proved_counts() -> None:
    world = World()
    world.broker.methods[NAME] = Method(yes("al"))
    banned(world, USER)
    peer = world.peer()
    peer.send(opening("alice"))
    assert world.ends == {"banned": 1}


def test_who_is_banned_while_it_proves_who_it_is_does_not_get_in() -> None:
    world = World()
    world.broker.methods[NAME] = method = Method()
    peer = world.peer()
    peer.send(opening("alice"))
    banned(world, CLIENT)
    assert not peer.closed
    method.decide(yes())
    world.settle()
    assert peer.one(Connack).reason_code == c.BANNED
    assert world.broker.sessions.by_id == {}


def test_it_gets_in_again_when_the_time_is_over() -> None:
    world = World()
    banned(world, CLIENT, lasts=5.0)
    assert world.peer().connect("alice").reason_code == c.BANNED
    world.advance(5.0)
    world.connect("alice")
    assert world.broker.bans.table == {}


def test_a_session_stays_for_when_the_ban_is_over() -> None:
    world = World()
    arrive(world, client_id="alice").subscribe("a", qos=1)
    banned(world, CLIENT, lasts=5.0)
    world.connect("bob").publish("a", b"x", qos=1)
    world.advance(5.0)
    assert arrive(world, client_id="alice").one(Publish).payload == b"x"


@each_kind
def test_bans_outlive_the_process(kind: str) -> None:
    world = StoredWorld()
    banned(world, kind, "because", lasts=60.0)
    world.crash(seconds=50.0)
    assert world.peer().connect("alice", user_name="al").reason_code == c.BANNED
    [found] = world.broker.bans.table.values()
    assert (found.reason, found.by, found.until) == ("because", "a test", world.turn.now + 10.0)
    world.crash(seconds=20.0)
    world.connect("alice", user_name="al")
    world.crash()
    assert world.store.bans == {}


def test_what_is_no_ban_any_more_is_none_after_a_crash() -> None:
    world = StoredWorld()
    banned(world, CLIENT)
    banned(world, USER)
    assert world.broker.bans.remove(CLIENT, "alice")
    world.settle()
    world.crash()
    assert list(world.broker.bans.table) == [(USER, "al")]
