"""BrokerService on a reactor in memory: what it listens on, what its clock does, live settings, a graceful end."""
from collections.abc import Callable
from typing import cast

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from emqtwist import BrokerService
from emqtwist.config import Config, ConfigError, MqttSection, parse
from emqtwist.core.message import Message
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import TopicFilterInvalid, TopicNameInvalid
from emqtwist.mqtt.packets import Connect, Disconnect, Publish, Subscribe, Will
from emqtwist.net.protocol import LINGER
from emqtwist.services.periodic import Periodic
from emqtwist.services.supervisor import Exhausted
from tests.peers import properties
from tests.wires import Caller


class Place:
    """A started service, its reactor, and a clock of its own that runs with the reactor's."""

    def __init__(self, *lines: str) -> None:
        self.reactor = MemoryReactorClock()
        self.offset = 1000.0
        self.service = BrokerService(parse("\n".join(lines)), self.reactor, self.now)
        self.service.startService()

    def now(self) -> float:
        return self.offset + self.reactor.seconds()

    def call(self, listener: str = "default") -> Caller:
        return Caller(self.service.listeners[listener].factory, self.reactor)

    def connect(self, client_id: str, listener: str = "default") -> Caller:
        caller = self.call(listener)
        assert caller.connect(client_id).reason_code == c.SUCCESS
        return caller


# Listening.

def test_the_embedded_default_listens_at_loopback_1883() -> None:
    reactor = MemoryReactorClock()
    BrokerService(reactor=reactor).startService()
    assert [(port, interface) for port, _, _, interface in reactor.tcpServers] == [(1883, "127.0.0.1")]


def test_ports_may_be_taken_before_the_start_and_are_taken_once() -> None:
    reactor = MemoryReactorClock()
    service = BrokerService(parse("listener.tcp.a.bind = 127.0.0.1:2883"), reactor)
    assert service.port("a") == 0
    service.bind()
    service.privilegedStartService()
    service.startService()
    assert len(reactor.tcpServers) == 1
    assert service.port("a") == 2883


def test_a_port_that_cannot_be_had_is_an_error() -> None:
    class Busy(MemoryReactorClock):
        def listenTCP(self, port: int, *arguments: object, **named: object) -> IListeningPort:
            raise CannotListenError("127.0.0.1", port, OSError("in use"))

    with pytest.raises(CannotListenError):
        BrokerService(reactor=Busy()).startService()


def test_a_configuration_made_by_a_program_is_held_to_the_rules_of_a_file() -> None:
    with pytest.raises(ConfigError):
        BrokerService(Config(mqtt=MqttSection(max_packet_size=1)), MemoryReactorClock())


def test_clients_of_all_listeners_meet() -> None:
    place = Place("listener.tcp.a.bind = 127.0.0.1:2883", "listener.tcp.b.bind = 127.0.0.1:2884")
    bob, alice = place.connect("bob", "a"), place.connect("alice", "b")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.received()
    alice.send(Publish(b"a", b"x"))
    assert bob.one(Publish).payload == b"x"


# Time.

def test_the_ticker_ends_what_is_overdue() -> None:
    place = Place("mqtt.client.idle_timeout = 5s")
    silent = place.call()
    place.reactor.pump([1.0] * 4)
    assert not silent.closing
    place.reactor.pump([1.0] * 2)
    assert silent.closing


def test_time_is_what_the_service_is_given_and_not_the_reactors() -> None:  # which is wall time in real ones
    place = Place()
    alice = place.call()
    alice.send(Connect(5, "alice", keep_alive=10))
    alice.received()
    place.offset += 100  # so the clock of the broker runs on, and the reactor's does not
    place.reactor.advance(1)
    assert alice.one(Disconnect).reason_code == c.KEEP_ALIVE_TIMEOUT


def test_a_tick_that_fails_is_not_the_last(logged_failures: list[Failure]) -> None:
    place = Place("mqtt.client.idle_timeout = 1s")
    silent = place.call()
    broker, place.service.broker = place.service.broker, None  # type: ignore[assignment]
    place.reactor.advance(1)
    assert logged_failures.pop().type is AttributeError
    assert not silent.closing
    place.service.broker = broker
    assert [(row.state, row.restarts) for path, row in place.service.root.walk() if path == "ticker"] == [("running", 1)]
    place.reactor.advance(1)
    place.reactor.advance(0)
    assert silent.closing


# From the host.

def test_the_host_publishes_and_subscribes() -> None:
    place = Place()
    seen: list[Message] = []
    callback = place.service.subscribe("a/+", seen.append)
    bob = place.connect("bob")
    bob.send(Subscribe(1, [(b"a/#", 2)]))
    bob.received()
    reached = place.service.publish("a/b", b"x", 1, expiry=60, properties=properties(content_type="text/plain"))
    place.reactor.advance(0)
    assert reached == 2
    assert [(message.topic_name, message.payload, message.qos) for message in seen] == [("a/b", b"x", 1)]
    made = bob.one(Publish).properties
    assert made is not None
    assert (made.content_type, made.message_expiry_interval) == ("text/plain", 60)
    assert place.service.unsubscribe(callback)
    assert not place.service.unsubscribe(callback)


def test_the_host_retains_and_a_later_subscriber_gets_it() -> None:
    place = Place()
    place.service.publish("a", b"kept", retain=True)
    seen: list[Message] = []
    place.service.subscribe("#", seen.append)
    assert seen == []
    place.reactor.advance(0)
    assert [message.payload for message in seen] == [b"kept"]


def test_bad_topics_of_the_host_are_errors() -> None:
    service = Place().service
    with pytest.raises(TopicNameInvalid):
        service.publish("a/#", b"")
    with pytest.raises(TopicFilterInvalid):
        service.subscribe("a#", print)


def test_what_a_function_of_the_host_raises_is_logged(logged_failures: list[Failure]) -> None:
    place = Place()
    fail: Callable[[Message], object] = lambda message: 1 / 0  # noqa: E731
    place.service.subscribe("a", fail)
    assert place.service.publish("a", b"x") == 1
    assert logged_failures.pop().type is ZeroDivisionError


# Live settings.

def test_a_reload_applies_what_is_live() -> None:
    place = Place()
    place.service.reconfigure(parse("mqtt.client.max_unsent = 64KB\nmqtt.max_qos_allowed = 0\nmqtt.allow_anonymous = off"))
    alice = place.connect("alice")  # allow_anonymous waits for a restart
    assert alice.wire.bufferSize == 65536
    alice.send(Publish(b"a", b"x", 1, packet_id=1))
    assert alice.one(Disconnect).reason_code == c.QOS_NOT_SUPPORTED
    assert place.service.config.mqtt.allow_anonymous == "loopback"


def test_a_reload_that_sends_clients_away_sees_the_time_of_now() -> None:
    place = Place()
    seen: list[Message] = []
    place.service.subscribe("will", seen.append)
    alice = place.call()
    alice.send(Connect(5, "alice", will=Will(b"will", b"x", properties=properties(message_expiry_interval=10))))
    alice.received()
    place.offset += 0.5  # within a second of the last tick
    place.service.reconfigure(parse("mqtt.server_moved = moved"))
    place.reactor.advance(0)
    assert alice.one(Disconnect).reason_code == c.SERVER_MOVED
    assert alice.closing
    assert [message.expires_at for message in seen] == [place.now() + 10]


# The end.

def test_a_graceful_end_tells_clients_publishes_wills_and_waits_for_them() -> None:
    place = Place()
    seen: list[Message] = []
    place.service.subscribe("will", seen.append)
    alice, opening = place.call(), place.call()
    alice.send(Connect(5, "alice", will=Will(b"will", b"last words")))
    alice.received()
    stopped = place.service.stopService()
    assert alice.one(Disconnect).reason_code == c.SERVER_SHUTTING_DOWN
    assert [message.payload for message in seen] == [b"last words"]
    assert alice.closing
    assert opening.closing
    alice.hang_up()
    assert not stopped.called
    opening.hang_up()
    assert stopped.called
    assert place.reactor.getDelayedCalls() == []


def test_a_client_that_does_not_go_does_not_hold_up_the_end() -> None:
    place = Place()
    alice = place.connect("alice")
    stopped = place.service.stopService()
    place.reactor.advance(LINGER)
    assert alice.wire.disconnected
    alice.hang_up()
    assert stopped.called


def test_a_service_without_clients_ends_at_once_and_can_start_again() -> None:
    place = Place()
    for _ in range(2):
        stopped = place.service.stopService()
        assert stopped.called
        assert place.service.port() == 0
        assert place.reactor.getDelayedCalls() == []
        place.service.startService()
        assert place.service.port() == 1883


def test_a_service_that_never_started_can_be_stopped() -> None:
    assert BrokerService(reactor=MemoryReactorClock()).stopService().called


# Parts that die.

def test_a_broker_that_gives_up_tells_the_host_and_lets_clients_go() -> None:
    place = Place()
    alice = place.connect("alice")
    ended: list[Failure] = []
    place.service.ended.addErrback(ended.append)
    for _ in range(11):
        assert not alice.closing
        cast(Periodic, place.service.root.find("systopics").service).kill()
        place.reactor.pump([1.0] * 5)
    assert [failure.type for failure in ended] == [Exhausted]
    assert alice.one(Disconnect).reason_code == c.SERVER_SHUTTING_DOWN
    assert alice.closing
    assert place.service.port() == 0
    assert place.service.stopService().called


def test_assigned_identifiers_cannot_be_guessed() -> None:
    place = Place()
    first, second = place.call().connect(""), place.call().connect("")
    identifiers = [each.properties.assigned_client_identifier for each in (first, second) if each.properties is not None]
    assert len(set(identifiers)) == 2
    assert all(identifier is not None and len(identifier) >= 16 for identifier in identifiers)
