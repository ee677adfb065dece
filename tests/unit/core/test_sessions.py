"""The table of sessions by itself: opened, left, resumed, expired, discarded."""
from emqtwist.core.message import NEVER
from emqtwist.core.session import Session
from emqtwist.core.sessions import Sessions
from emqtwist.core.subscriber import Subscription
from tests.peers import World


def opened(world: World, client_id: str, expiry: float) -> Session:
    session = world.broker.sessions.create(client_id)
    session.expiry_interval = expiry
    return session


def sessions_of(world: World) -> Sessions:
    return world.broker.sessions


def test_a_session_that_is_left_expires_in_its_time() -> None:
    world = World()
    sessions = sessions_of(world)
    for client_id, expiry in (("a", 30.0), ("b", 10.0), ("c", NEVER)):
        sessions.leave(opened(world, client_id, expiry))
    assert sessions.take_expired(world.turn.now + 9.9) == []
    assert sessions.take_expired(world.turn.now + 30) == ["b", "a"]
    assert sessions.take_expired(1e15) == []
    assert list(sessions.by_id) == ["c"]


def test_a_session_without_expiry_goes_when_it_is_left() -> None:
    world = World()
    sessions_of(world).leave(opened(world, "a", 0.0))
    assert sessions_of(world).by_id == {}


def test_a_session_that_is_resumed_has_no_deadline() -> None:
    world = World()
    sessions = sessions_of(world)
    session = opened(world, "a", 10.0)
    sessions.leave(session)
    sessions.resume(session)
    assert sessions.take_expired(1e9) == []
    sessions.leave(session)
    assert sessions.take_expired(world.turn.now + 10) == ["a"]


def test_a_discarded_session_leaves_no_route_and_no_deadline() -> None:
    world = World()
    sessions = sessions_of(world)
    session = opened(world, "a", 10.0)
    for topic_filter in (b"a", b"a/+", b"#"):
        sessions.subscribe(session, Subscription(session, topic_filter, 0, ()))
    sessions.leave(session)
    assert len(world.broker.router.route(b"a")) == 1
    sessions.discard(session)
    assert world.broker.router.route(b"a") == []
    assert world.broker.router.subscriptions == 0
    assert session.subscriptions == {}
    opened(world, "a", 10.0)
    assert sessions.take_expired(1e9) == []
    assert list(sessions.by_id) == ["a"]
