"""When the Will of a connection is published, and when it is not."""
from typing import Any

import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connect, Publish, Will
from tests.peers import World, every_version, properties
from tests.scenes import LAST_WORDS, mourner


def will(delay: int) -> Will:
    return Will(b"will", b"last words", properties=properties(will_delay_interval=delay))


@every_version
@pytest.mark.mqtt5("3.1.2-7", "3.1.2-8")
def test_the_will_is_published_when_the_connection_is_lost(version: int) -> None:
    world = World()
    watcher = mourner(world)
    peer = world.connect("alice", version=version, will=Will(b"will", b"last words", qos=1))
    peer.drop()
    publish = watcher.one(Publish)
    assert (publish.payload, publish.qos, publish.retain) == (b"last words", 1, False)


@every_version
@pytest.mark.mqtt5("3.1.2-10", "3.14.4-3")
def test_the_will_is_forgotten_after_a_normal_disconnect(version: int) -> None:
    world = World()
    watcher = mourner(world)
    peer = world.connect("alice", version=version, will=LAST_WORDS)
    peer.disconnect()
    peer.drop()
    world.advance(10)
    assert watcher.received() == []


@every_version
def test_the_will_is_published_when_keep_alive_runs_out(version: int) -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", version=version, keep_alive=10, will=LAST_WORDS)
    world.advance(16)
    assert watcher.payloads() == [b"last words"]


@every_version
def test_the_will_is_published_after_a_broken_packet(version: int) -> None:
    world = World()
    watcher = mourner(world)
    peer = world.connect("alice", version=version, will=LAST_WORDS)
    peer.write(b"\x36\x05\x00\x01a\x00\x01")  # QoS 3
    world.settle()
    assert watcher.payloads() == [b"last words"]


def test_disconnect_with_will_keeps_the_will() -> None:  # 0x04
    world = World()
    watcher = mourner(world)
    peer = world.connect("alice", will=LAST_WORDS)
    peer.disconnect(c.DISCONNECT_WITH_WILL)
    assert watcher.payloads() == [b"last words"]
    assert peer.received() == []
    assert world.ends == {causes.DISCONNECT_WITH_WILL: 1}


@pytest.mark.parametrize("reason_code", [c.UNSPECIFIED_ERROR, c.IMPLEMENTATION_SPECIFIC_ERROR, c.PACKET_TOO_LARGE])
def test_a_disconnect_because_of_an_error_keeps_the_will(reason_code: int) -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", will=LAST_WORDS).disconnect(reason_code)
    assert watcher.payloads() == [b"last words"]


@every_version
@pytest.mark.mqtt5("3.1.2-15")
def test_a_retained_will_is_retained(version: int) -> None:
    world = World()
    world.connect("alice", version=version, will=Will(b"will", b"last words", retain=True)).drop()
    watcher = mourner(world)
    publish = watcher.one(Publish)
    assert (publish.payload, publish.retain) == (b"last words", True)


@pytest.mark.mqtt5("3.1.2-14")
def test_a_will_that_is_not_retained_is_not() -> None:
    world = World()
    world.connect("alice", will=LAST_WORDS).drop()
    assert mourner(world).received() == []


@pytest.mark.mqtt5("3.1.3-10")
def test_the_wills_properties_are_forwarded() -> None:
    world = World()
    watcher = mourner(world)
    values: dict[str, Any] = {
        "payload_format_indicator": 1, "content_type": "text/plain", "response_topic": "answers",
        "correlation_data": b"\0\1", "user_properties": [("b", "2"), ("a", "1"), ("b", "2")]}
    world.connect("alice", will=Will(b"will", b"last words", properties=properties(**values))).drop()
    publish = watcher.one(Publish)
    assert publish.properties is not None
    assert {name: getattr(publish.properties, name) for name in values} == values
    assert publish.properties.will_delay_interval is None


@pytest.mark.mqtt5("3.1.2-8", "3.1.2-10")
def test_a_will_waits_for_its_delay() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", session_expiry_interval=100, will=will(delay=10)).drop()
    world.advance(9.9)
    assert watcher.received() == []
    world.advance(0.1)
    assert watcher.payloads() == [b"last words"]
    world.advance(100)
    assert watcher.received() == []


@pytest.mark.mqtt5("3.1.2-8")
def test_a_will_does_not_outlive_its_session() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", session_expiry_interval=5, will=will(delay=10)).drop()
    world.advance(4.9)
    assert watcher.received() == []
    world.advance(0.1)
    assert watcher.payloads() == [b"last words"]


@pytest.mark.mqtt5("3.1.2-8")
def test_a_will_of_a_session_that_ends_with_its_connection_does_not_wait() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", will=will(delay=10)).drop()
    assert watcher.payloads() == [b"last words"]


def test_an_expiry_interval_in_disconnect_shortens_the_delay() -> None:
    world = World()
    watcher = mourner(world)
    peer = world.connect("alice", session_expiry_interval=100, will=will(delay=50))
    peer.disconnect(c.DISCONNECT_WITH_WILL, session_expiry_interval=3)
    world.advance(2.9)
    assert watcher.received() == []
    world.advance(0.1)
    assert watcher.payloads() == [b"last words"]


@pytest.mark.mqtt5("3.1.3-9")
def test_a_resume_before_the_delay_cancels_the_will() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", session_expiry_interval=100, will=will(delay=10)).drop()
    world.advance(9)
    world.connect("alice", clean_start=False, session_expiry_interval=100)
    world.advance(100)
    assert watcher.received() == []


@pytest.mark.mqtt5("3.1.2-8")
def test_a_clean_start_before_the_delay_publishes_the_will_at_once() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", session_expiry_interval=100, will=will(delay=10)).drop()
    world.connect("alice", clean_start=True)
    assert watcher.payloads() == [b"last words"]
    world.advance(100)
    assert watcher.received() == []


def test_a_session_that_is_discarded_does_not_get_its_own_will() -> None:
    world = World()
    alice = world.connect("alice", session_expiry_interval=100, will=Will(
        b"will", b"last words", 1, properties=properties(will_delay_interval=10)))
    alice.subscribe("will", qos=1)
    alice.drop()
    world.connect("alice", clean_start=True)
    assert world.drops == {causes.NO_SUBSCRIBERS: 1}


def test_a_takeover_publishes_a_will_without_delay() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", session_expiry_interval=100, will=will(delay=0))
    world.connect("alice", clean_start=False, session_expiry_interval=100)
    assert watcher.payloads() == [b"last words"]


@pytest.mark.mqtt5("3.1.3-9")
def test_a_takeover_that_resumes_cancels_a_will_with_delay() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", session_expiry_interval=100, will=will(delay=10))
    world.connect("alice", clean_start=False, session_expiry_interval=100)
    world.advance(100)
    assert watcher.received() == []


def test_a_takeover_with_clean_start_publishes_a_will_with_delay() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", session_expiry_interval=100, will=will(delay=10))
    world.connect("alice", clean_start=True)
    assert watcher.payloads() == [b"last words"]


def test_each_connection_has_its_own_will() -> None:
    world = World()
    watcher = mourner(world)
    world.connect("alice", session_expiry_interval=100, will=will(delay=10)).drop()
    second = world.connect("alice", clean_start=False, will=Will(b"will", b"second"))
    second.drop()
    world.advance(100)
    assert watcher.payloads() == [b"second"]


def test_the_expiry_of_a_will_begins_when_it_is_published() -> None:
    world = World()
    watcher = mourner(world)
    watcher.drop()
    world.connect("alice", session_expiry_interval=100, will=Will(
        b"will", b"x", 1, properties=properties(will_delay_interval=50, message_expiry_interval=20))).drop()
    world.advance(50)
    world.advance(5)
    back = world.connect("mourner", clean_start=False)
    publish = back.one(Publish)
    assert publish.properties is not None
    assert publish.properties.message_expiry_interval == 15


def test_a_will_expires_while_it_waits_for_its_receiver() -> None:
    world = World()
    watcher = mourner(world)
    watcher.drop()
    world.connect("alice", will=Will(b"will", b"x", 1, properties=properties(message_expiry_interval=20))).drop()
    world.advance(20)
    assert world.connect("mourner", clean_start=False).received() == []
    assert world.drops == {causes.EXPIRED: 1}


def test_a_refused_connect_has_no_will() -> None:
    world = World()
    watcher = mourner(world)
    peer = world.peer(loopback=False)
    peer.send(Connect(5, "alice", will=LAST_WORDS))
    peer.drop()
    assert watcher.received() == []


def test_a_client_gets_its_own_will_when_it_returns() -> None:
    world = World()
    peer = world.connect("alice", session_expiry_interval=100, will=Will(b"will", b"last words", 1))
    peer.subscribe("will", qos=1)
    peer.drop()
    assert world.connect("alice", clean_start=False).payloads() == [b"last words"]
