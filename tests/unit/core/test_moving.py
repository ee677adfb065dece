"""A broker that sends its clients elsewhere."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Disconnect, Publish, Will
from tests.peers import World, before_5
from tests.scenes import LAST_WORDS, arrive, mourner

MODES = [("use_another", c.USE_ANOTHER_SERVER), ("moved", c.SERVER_MOVED)]
each_mode = pytest.mark.parametrize(("mode", "code"), MODES)
THERE = "mqtt.server_reference = there:1883 elsewhere:1883"


def told(packet: Connack | Disconnect) -> tuple[int, str | None]:
    assert packet.properties is not None
    return packet.reason_code, packet.properties.server_reference


@each_mode
def test_a_new_client_is_told_where_to_go(mode: str, code: int) -> None:
    alice = World(f"mqtt.server_moved = {mode}", THERE).peer()
    assert told(alice.connect("alice")) == (code, "there:1883 elsewhere:1883")
    assert alice.told.reason_string
    assert alice.closed


@before_5
@each_mode
def test_a_new_client_before_5_0_is_told_that_there_is_no_service(version: int, mode: str, code: int) -> None:
    alice = World(f"mqtt.server_moved = {mode}", THERE).peer()
    assert alice.connect("alice", version=version).reason_code == c.REFUSED_SERVER_UNAVAILABLE
    assert alice.closed


def test_it_is_told_before_anything_else_is_checked() -> None:
    world = World("mqtt.server_moved = moved", "mqtt.allow_anonymous = off")
    assert world.peer().connect("alice", authentication_method="x").reason_code == c.SERVER_MOVED


@each_mode
def test_who_is_connected_is_told_when_it_becomes_so(mode: str, code: int) -> None:
    world = World()
    alice, bob = world.connect("alice"), world.connect("bob", version=4)
    opening = world.peer()
    world.configure(f"mqtt.server_moved = {mode}", THERE)
    world.settle()
    assert told(alice.one(Disconnect)) == (code, "there:1883 elsewhere:1883")
    assert bob.received() == []
    assert (alice.closed, bob.closed, opening.closed) == (True, True, False)
    assert told(opening.connect("carol")) == (code, "there:1883 elsewhere:1883")


def test_sessions_stay_and_wills_are_published_as_for_any_end() -> None:
    world = World()
    mourner(world)
    arrive(world).subscribe("a", qos=1)
    world.connect("alice", will=LAST_WORDS)
    world.configure("mqtt.server_moved = use_another")
    world.settle()
    assert "bob" in world.broker.sessions.by_id
    world.configure("mqtt.server_moved = off")
    world.connect("carol").publish("a", b"x", 1)
    assert arrive(world).payloads() == [b"x"]
    assert world.connect("mourner", clean_start=False).one(Publish).payload == b"last words"


def test_a_server_reference_alone_sends_nobody_away() -> None:
    world = World(THERE)
    alice = world.connect("alice")
    world.configure(THERE)
    assert not alice.closed
    assert alice.told.server_reference is None


@pytest.mark.parametrize(("lines", "expected"), [
    ((), (c.SERVER_SHUTTING_DOWN, None)),
    ((THERE,), (c.USE_ANOTHER_SERVER, "there:1883 elsewhere:1883"))])
def test_a_broker_that_stops_says_where_to_go(lines: tuple[str, ...], expected: tuple[int, str | None]) -> None:
    world = World(*lines)
    alice = world.connect("alice")
    world.broker.shut_down()
    world.settle()
    assert told(alice.one(Disconnect)) == expected


def test_another_end_names_no_other_server() -> None:
    alice = World(THERE).connect("alice")
    alice.publish("a/#")
    assert told(alice.one(Disconnect)) == (c.TOPIC_NAME_INVALID, None)


def test_the_server_reference_is_told_where_the_reason_does_not_fit() -> None:
    alice = World("mqtt.server_moved = moved", "mqtt.server_reference = there").peer()
    answer = alice.connect("alice", maximum_packet_size=16, will=Will(b"a", b""))
    assert answer.properties is not None
    assert (answer.properties.server_reference, answer.properties.reason_string) == ("there", None)
