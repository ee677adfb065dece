"""CONNECT: which Session it opens, resumes, ends or takes over."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect, Publish, Will
from tests.peers import Peer, World, before_5, every_version


def come_back(world: World, version: int, clean_start: bool = False, **options: object) -> Peer:
    if version == c.MQTT_5_0:
        options.setdefault("session_expiry_interval", 100)
    return world.connect("alice", version=version, clean_start=clean_start, **options)


def present(peer: Peer) -> bool:
    assert peer.connack is not None
    return peer.connack.session_present


@every_version
@pytest.mark.mqtt5("3.1.2-6", "3.2.2-3")
def test_without_a_session_one_is_made_and_session_present_is_0(version: int) -> None:
    world = World()
    assert not present(come_back(world, version))
    assert list(world.broker.sessions.by_id) == ["alice"]


@every_version
@pytest.mark.mqtt5("3.1.2-5", "3.1.2-23", "3.1.3-2", "3.2.0-1", "3.2.2-2", "3.2.2-3", "4.5.0-1")
@pytest.mark.mqtt3("3.1.2-5")
def test_a_session_is_resumed_without_clean_start(version: int) -> None:
    world = World()
    first = come_back(world, version)
    first.subscribe("a", qos=1)
    first.disconnect()
    world.connect("bob").publish("a", b"kept", qos=1)
    second = come_back(world, version)
    assert present(second) == (version > c.MQTT_3_1)  # 3.1 has no Session Present
    assert second.payloads() == [b"kept"]


@every_version
@pytest.mark.mqtt5("3.1.2-4", "3.1.4-4", "3.2.2-2")
def test_clean_start_forgets_the_session(version: int) -> None:
    world = World()
    first = come_back(world, version)
    first.subscribe("a", qos=1)
    first.disconnect()
    world.connect("bob").publish("a", b"lost", qos=1)
    second = come_back(world, version, clean_start=True)
    assert not present(second)
    world.connect("bob").publish("a", b"nobody", qos=1)
    assert second.received() == []
    assert world.drops == {"session_ended": 1, "no_subscribers": 1}


@every_version
@pytest.mark.mqtt5("4.1.0-2")
def test_a_session_without_expiry_ends_with_its_connection(version: int) -> None:
    world = World()
    world.connect("alice", version=version, clean_start=True).disconnect()
    assert world.broker.sessions.by_id == {}
    assert not present(come_back(world, version))


@pytest.mark.mqtt5("3.1.2-23")
def test_a_clean_start_session_lives_on_for_its_expiry_interval() -> None:
    world = World()
    world.connect("alice", session_expiry_interval=100).disconnect()
    world.advance(99)
    assert present(world.connect("alice", clean_start=False))


@pytest.mark.mqtt5("4.1.0-2")
def test_a_session_expires_when_its_interval_has_passed_since_the_disconnection() -> None:
    world = World()
    peer = world.connect("alice", session_expiry_interval=100)
    world.advance(1000)
    peer.disconnect()
    world.advance(99.9)
    assert "alice" in world.broker.sessions.by_id
    world.advance(0.1)
    assert "alice" not in world.broker.sessions.by_id


@pytest.mark.mqtt5("4.1.0-1")
def test_a_session_that_is_resumed_does_not_expire_meanwhile() -> None:
    world = World()
    world.connect("alice", session_expiry_interval=100).disconnect()
    world.advance(50)
    peer = world.connect("alice", clean_start=False, session_expiry_interval=100)
    assert "alice" not in world.broker.sessions._deadlines
    world.advance(1000)
    assert not peer.closed
    assert "alice" in world.broker.sessions.by_id


def test_a_resume_without_expiry_interval_makes_the_session_end_with_the_connection() -> None:
    world = World()
    world.connect("alice", session_expiry_interval=100).disconnect()
    world.connect("alice", clean_start=False).disconnect()
    assert world.broker.sessions.by_id == {}


@before_5
def test_before_5_a_session_is_kept_as_long_as_the_operator_allows(version: int) -> None:
    world = World("mqtt.session.expiry_interval = 1h")
    world.connect("alice", version=version, clean_start=False).disconnect()
    world.advance(3599)
    assert "alice" in world.broker.sessions.by_id
    world.advance(1)
    assert "alice" not in world.broker.sessions.by_id


@pytest.mark.parametrize("asked", [3601, c.SESSION_NEVER_EXPIRES])
def test_a_longer_expiry_interval_is_cut_and_the_client_told(asked: int) -> None:
    world = World("mqtt.session.expiry_interval = 1h")
    peer = world.connect("alice", session_expiry_interval=asked)
    assert peer.told.session_expiry_interval == 3600
    peer.disconnect()
    world.advance(3600)
    assert world.broker.sessions.by_id == {}


def test_an_expiry_interval_within_the_bound_is_not_answered() -> None:
    world = World("mqtt.session.expiry_interval = 1h")
    assert world.connect("alice", session_expiry_interval=3600).told.session_expiry_interval is None


def test_a_session_may_last_for_ever_where_the_operator_allows_it() -> None:
    world = World("mqtt.session.expiry_interval = never")
    peer = world.connect("alice", session_expiry_interval=c.SESSION_NEVER_EXPIRES)
    assert peer.told.session_expiry_interval is None
    peer.disconnect()
    world.advance(1e10)
    assert "alice" in world.broker.sessions.by_id


def test_a_bound_beyond_four_bytes_of_seconds_can_be_answered() -> None:
    world = World("mqtt.session.expiry_interval = 60000d")
    peer = world.connect("alice", session_expiry_interval=c.SESSION_NEVER_EXPIRES)
    assert peer.told.session_expiry_interval == c.SESSION_NEVER_EXPIRES - 1


# Takeover.

@every_version
@pytest.mark.mqtt5("3.1.3-2", "3.1.4-3")
def test_a_second_connection_takes_the_session_over(version: int) -> None:
    world = World()
    first = come_back(world, version)
    first.subscribe("a", qos=1)
    second = come_back(world, version)
    assert first.closed
    if version == c.MQTT_5_0:
        assert first.one(Disconnect).reason_code == c.SESSION_TAKEN_OVER
    assert first.received() == []
    assert present(second) == (version > c.MQTT_3_1)
    world.connect("bob").publish("a", b"x", qos=1)
    assert second.payloads() == [b"x"]
    assert world.ends == {"session_taken_over": 1}


@every_version
def test_taking_over_a_session_that_ends_with_its_connection_finds_none(version: int) -> None:
    world = World()
    first = world.connect("alice", version=version)
    first.subscribe("a")
    second = come_back(world, version)
    assert first.closed
    assert not present(second)
    world.connect("bob").publish("a", b"x")
    assert second.received() == []


def test_a_client_of_another_version_takes_over_too() -> None:
    world = World()
    first = world.connect("alice", version=5, session_expiry_interval=100)
    first.subscribe("a", qos=1, identifier=7)
    second = world.connect("alice", version=4, clean_start=False)
    world.connect("bob").publish("a", b"x", qos=1, content_type="text/plain")
    publish = second.one(Publish)
    assert first.closed
    assert (publish.payload, publish.properties) == (b"x", None)


def test_a_refused_client_takes_nothing_over() -> None:
    world = World()
    first = world.connect("alice")
    will = Will(b"$SYS/x", b"")
    assert world.peer().connect("alice", will=will).reason_code == c.NOT_AUTHORIZED
    assert not first.closed
