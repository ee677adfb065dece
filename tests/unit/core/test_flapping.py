"""[flapping]: clients that connect too often are banned for a while."""
import pytest

from emqtwist.core.door import Terms
from emqtwist.core.flapping import BY
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect
from tests.peers import World

ON = "flapping.enable = on"


def visits(world: World, count: int, client_id: str = "alice") -> None:
    for _ in range(count):
        world.connect(client_id).drop()


def refused(world: World, client_id: str = "alice") -> bool:
    peer = world.peer()
    code = peer.connect(client_id).reason_code
    peer.drop()
    assert code in (c.SUCCESS, c.BANNED)
    return code == c.BANNED


def test_flapping_enable() -> None:
    world = World()
    visits(world, 100)
    world.configure(ON)
    visits(world, 15)
    assert refused(world)
    assert not refused(world, "bob")
    assert world.witness.told("banned") == [("client", "alice", BY, "more than 15 connections within 60 s")]


def test_flapping_max_count() -> None:
    world = World(ON, "flapping.max_count = 2")
    visits(world, 2)
    assert refused(world)


def test_flapping_window_time() -> None:
    world = World(ON, "flapping.max_count = 2", "flapping.window_time = 10s")
    visits(world, 2)
    world.advance(10)
    visits(world, 2)
    world.advance(9)
    assert refused(world)


def test_flapping_ban_time() -> None:
    world = World(ON, "flapping.max_count = 2", "flapping.ban_time = 100s")
    visits(world, 2)
    assert refused(world)
    world.advance(99)
    assert refused(world)
    world.advance(1)
    visits(world, 2)
    assert refused(world)


def test_two_that_take_one_identifier_from_each_other_both_go() -> None:
    world = World(ON, "flapping.max_count = 3")
    first, second = world.connect("x"), world.connect("x")
    assert first.closed
    third, fourth = world.connect("x"), world.peer()
    assert second.closed
    assert fourth.connect("x").reason_code == c.BANNED
    assert third.one(Disconnect).reason_code == c.ADMINISTRATIVE_ACTION
    assert world.ends == {"session_taken_over": 2, "banned": 1, "administrative_action": 1}


def test_identifiers_that_the_broker_assigns_are_not_counted() -> None:
    world = World(ON, "flapping.max_count = 1")
    for _ in range(10):
        world.connect("").drop()
    assert len(world.broker.arrivals) == 0


def test_who_does_not_get_in_is_not_counted() -> None:
    world = World(ON, "flapping.max_count = 1")
    world.broker.hooks.add("client.authenticate", lambda *arguments: False)
    for _ in range(3):
        assert world.peer().connect("alice", user_name="al", password=b"x").reason_code == c.BAD_USER_NAME_OR_PASSWORD
    assert world.broker.bans.table == {}


def test_who_is_over_a_quota_is_not_counted() -> None:
    world = World(ON, "flapping.max_count = 1", "mqtt.session.max_sessions = 1")
    world.connect("bob")
    for _ in range(3):
        assert world.peer().connect("alice").reason_code == c.QUOTA_EXCEEDED
    assert world.broker.bans.table == {}


def test_who_has_no_place_below_the_mountpoint_is_not_counted() -> None:
    world = World(ON, "flapping.max_count = 1")
    world.door.terms = Terms(mountpoint="%u/")
    for _ in range(3):
        assert world.peer().connect("alice", user_name="a/b").reason_code == c.NOT_AUTHORIZED
    assert world.broker.bans.table == {}


@pytest.mark.parametrize("version", [3, 4, 5])
def test_every_version_is_counted(version: int) -> None:
    world = World(ON, "flapping.max_count = 1")
    world.connect("alice", version=version).drop()
    assert refused(world)
