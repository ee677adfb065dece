"""Who comes back with all as it was is not looked at: neither what waits nor what is under way."""
from collections.abc import Callable

import pytest

from emqtwist.core.acl import SUBSCRIBE, Acl, Pattern, Rule
from emqtwist.core.door import Door, Terms
from emqtwist.core.ruling import use_rules
from emqtwist.core.session import Session
from emqtwist.core.who import Who
from emqtwist.mqtt.packets import Publish
from tests.judges import YES, Judge
from tests.peers import Peer, World
from tests.stores import StoredWorld

LASTING = {"clean_start": False, "session_expiry_interval": 1000}


def rules() -> Acl:
    return Acl([Rule(False, Who(), SUBSCRIBE, [Pattern(b"no/#")])], True)


def away(world: World, **options: object) -> Session:
    """The session of carol, who has two messages under way or waiting."""
    carol = world.connect("carol", receive_maximum=1, **{**LASTING, **options})
    carol.subscribe("yes", qos=1)
    carol.drop()
    dan = world.connect("dan")
    for _ in range(2):
        dan.publish("yes", b"x", 1)
    return world.session("carol")


def back(world: World, **options: object) -> Peer:
    return world.connect("carol", receive_maximum=1, **{**LASTING, **options})


@pytest.mark.parametrize("turns", [1, 3])
def test_nobody_stands_at_the_gate_where_all_is_as_it_was(turns: int) -> None:
    world = World()
    world.broker.acl = rules()
    session = away(world)
    for _ in range(turns):
        carol = back(world)
        assert session.gate is None
        assert carol.one(Publish).topic_name == b"yes"
        carol.drop()


def another_user(world: World) -> Peer:
    return back(world, user_name="another")


def another_listener(world: World) -> Peer:
    world.door = Door("tcp.other")
    return back(world)


def another_mountpoint(world: World) -> Peer:
    world.door.terms = Terms(mountpoint="tenant/")
    return back(world)


def other_rules(world: World) -> Peer:
    use_rules(world.broker, rules())
    return back(world)


def an_authority(world: World) -> Peer:
    Judge(world, yes=YES)
    return back(world)


def rules_that_were_others_meanwhile(world: World) -> Peer:
    before = world.broker.acl
    use_rules(world.broker, rules())
    back(world).drop()
    use_rules(world.broker, before)
    return back(world)


@pytest.mark.parametrize("come", [another_user, another_listener, another_mountpoint, other_rules, an_authority,
                                  rules_that_were_others_meanwhile])
def test_whatever_is_different_somebody_looks(come: Callable[[World], Peer]) -> None:
    world = World()
    world.broker.acl = rules()
    session = away(world)
    come(world)
    assert session.gate is not None


def test_who_looks_goes_on_when_the_client_comes_back_once_more() -> None:
    world = World()
    world.broker.acl = rules()
    session = away(world)
    another_user(world).drop()
    gate = session.gate
    assert gate is not None
    another_user(world)
    assert session.gate is gate


def test_an_authority_may_say_something_else_each_time() -> None:
    world = World()
    Judge(world, yes=YES)
    session = away(world)
    for _ in range(2):
        carol = back(world)
        assert session.gate is not None
        carol.drop()


def test_nobody_knows_under_which_rules_a_store_was_filled() -> None:
    world = StoredWorld()
    world.broker.acl = rules()
    away(world)
    world.crash()
    world.broker.acl = rules()
    back(world)
    assert world.session("carol").gate is not None


def test_rules_that_were_none_do_not_count() -> None:
    world = World()
    session = away(world)
    world.broker.acl = rules()
    back(world)
    assert session.gate is not None
