"""Enhanced authentication over a transport: reading rests while a decision is waited for; SCRAM's users come from a file."""
from pathlib import Path

import pytest
from scramp import ScramClient
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from emqtwist import BrokerService
from emqtwist.access.verifiers import METHOD, line_of, make
from emqtwist.app.methods import located
from emqtwist.app.settings import settings_of
from emqtwist.config import Config, ConfigError, parse
from emqtwist.core.broker import Broker
from emqtwist.core.door import Door
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Auth, Connack, Disconnect, Pingreq, Pingresp, Publish
from emqtwist.net.protocol import LINGER, MQTTFactory
from emqtwist.net.turns import Turns
from tests.methods import NAME, Method, auth, more, no, opening, yes
from tests.wires import Caller

SALT = bytes(16)


# A decision that takes time.

class Gate:
    """A factory whose broker asks `method`, and a caller that has sent CONNECT."""

    def __init__(self, *lines: str) -> None:
        config = parse("\n".join(("mqtt.allow_anonymous = off", *lines)))
        self.clock = Clock()
        self.broker = Broker(settings_of(config), str, Turn(), Observer())
        self.method = Method()
        self.broker.methods[NAME] = self.method
        turns = Turns(self.broker, self.clock, self.clock.seconds)
        factory = MQTTFactory(turns, self.clock, Door("tcp.default"), True, config.mqtt.client.max_unsent)
        self.caller = Caller(factory, self.clock)
        self.caller.send(opening(keep_alive=10))

    @property
    def reading(self) -> bool:
        return self.caller.wire.producerState == "producing"


def test_nothing_is_read_until_the_decision() -> None:
    gate = Gate()
    assert not gate.reading
    gate.method.decide(yes())
    assert not gate.reading
    gate.clock.advance(0)
    assert gate.reading
    assert gate.caller.one(Connack).reason_code == c.SUCCESS


def test_what_is_read_nevertheless_is_served_later() -> None:
    gate = Gate()
    gate.caller.send(auth(b"1"))
    gate.caller.send(auth(b"2"))
    gate.method.decide(more())
    gate.clock.advance(0)
    assert (gate.method.asked, gate.reading) == ([None, b"1"], False)
    gate.method.decide(more())
    gate.clock.advance(0)
    assert (gate.method.asked, gate.reading) == ([None, b"1", b"2"], False)
    gate.method.decide(yes())
    gate.clock.advance(0)
    assert gate.reading
    assert [type(packet) for packet in gate.caller.received()] == [Auth, Auth, Connack]


def test_a_decision_is_served_at_the_time_it_is_made() -> None:
    gate = Gate()
    gate.clock.advance(5)
    gate.method.decide(yes())
    gate.clock.advance(0)
    assert gate.caller.protocol.connection.last_seen == 5.0


def test_a_refusal_reads_on_so_that_it_arrives() -> None:
    gate = Gate()
    gate.method.decide(no())
    gate.clock.advance(0)
    assert gate.reading
    assert gate.caller.one(Connack).reason_code == c.NOT_AUTHORIZED
    assert gate.caller.closing


def test_an_end_while_waiting_reads_on_so_that_it_arrives() -> None:
    gate = Gate("mqtt.client.idle_timeout = 10s")
    gate.clock.advance(10)
    gate.caller.protocol.factory.turns.begin()
    gate.broker.tick()
    gate.clock.advance(0)
    assert gate.reading
    assert gate.caller.one(Connack).reason_code == c.NOT_AUTHORIZED
    assert gate.caller.closing


def test_a_decision_after_the_network_connection_is_lost_is_ignored() -> None:
    gate = Gate()
    gate.method.decide(yes())
    gate.caller.protocol.connectionLost(Failure(ConnectionLost()))
    gate.clock.advance(0)
    assert gate.broker.sessions.by_id == {}
    assert gate.clock.getDelayedCalls() == []


def test_a_defect_after_the_decision_costs_this_connection_alone(logged_failures: list[Failure]) -> None:
    gate = Gate()
    gate.method.decide(yes())
    gate.broker.pools = None  # type: ignore[assignment]
    gate.clock.advance(0)
    assert logged_failures.pop().type is AttributeError
    assert gate.caller.one(Connack).reason_code == c.IMPLEMENTATION_SPECIFIC_ERROR
    assert gate.caller.closing
    gate.clock.advance(LINGER)


def test_a_defect_of_the_method_keeps_the_client_out(logged_failures: list[Failure]) -> None:
    gate = Gate()
    gate.method.decide(more())
    gate.clock.advance(0)
    gate.caller.received()
    gate.method.take = None  # type: ignore[method-assign, assignment]
    gate.caller.send(auth())
    assert logged_failures.pop().type is TypeError
    assert gate.caller.one(Connack).reason_code == c.IMPLEMENTATION_SPECIFIC_ERROR
    assert gate.broker.sessions.by_id == {}
    gate.clock.advance(LINGER)


# [auth.scram]

class Place:
    """A service whose users are in a file, alice among them with the password `pencil`."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.file = folder / "users"
        self.write(alice="pencil")
        self.lines = (f"auth.scram.file = {self.file}", *lines)
        self.reactor = MemoryReactorClock()
        self.service = BrokerService(self.config(), self.reactor, self.reactor.seconds)
        self.service.startService()

    def config(self) -> Config:
        return parse("\n".join(self.lines))

    def write(self, **passwords: str) -> None:
        lines = [line_of(user, make(password, SALT, 4096)) for user, password in passwords.items()]
        self.file.write_text("\n".join(lines))

    def call(self, host: str = "127.0.0.1") -> Caller:
        return Caller(self.service.listeners["default"].factory, self.reactor, host)

    def log_in(self, user: str, password: str, caller: Caller | None = None) -> Caller:
        """What comes last is to be received."""
        caller = caller or self.call()
        client = ScramClient([METHOD], user, password)
        caller.send(opening("client", client.get_client_first().encode(), method=METHOD))
        question = caller.one(Auth).properties
        assert question is not None
        assert question.authentication_data is not None
        client.set_server_first(question.authentication_data.decode())
        caller.send(auth(client.get_client_final().encode(), method=METHOD))
        return caller

    def lets_in(self, user: str, password: str) -> bool:
        return self.log_in(user, password).one(Connack).reason_code == c.SUCCESS


def test_auth_scram_file(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.lets_in("alice", "pencil")
    assert not place.lets_in("alice", "Pencil")
    assert not place.lets_in("bob", "pencil")


def test_without_a_file_there_is_no_scram() -> None:
    reactor = MemoryReactorClock()
    service = BrokerService(Config(), reactor)
    service.startService()
    caller = Caller(service.listeners["default"].factory, reactor)
    caller.send(opening(method=METHOD))
    assert caller.one(Connack).reason_code == c.BAD_AUTHENTICATION_METHOD


def test_auth_scram_iterations(tmp_path: Path) -> None:
    place = Place(tmp_path, "auth.scram.iterations = 5000")
    for user, iterations in (("alice", b"4096"), ("nobody", b"5000")):
        caller = place.call()
        caller.send(opening("x", f"n,,n={user},r=x".encode(), method=METHOD))
        question = caller.one(Auth).properties
        assert question is not None
        assert question.authentication_data is not None
        assert question.authentication_data.rpartition(b",i=")[2] == iterations


def test_scram_is_for_those_that_anonymous_access_keeps_out(tmp_path: Path) -> None:
    place = Place(tmp_path, "mqtt.allow_anonymous = loopback")
    assert place.log_in("alice", "pencil", place.call("10.0.0.1")).one(Connack).reason_code == c.SUCCESS
    assert place.call("10.0.0.1").connect("x").reason_code == c.NOT_AUTHORIZED
    place = Place(tmp_path, "mqtt.allow_anonymous = off")
    assert place.lets_in("alice", "pencil")
    assert place.call().connect("x").reason_code == c.NOT_AUTHORIZED


def test_a_client_that_got_in_is_served_and_may_prove_itself_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    caller = place.log_in("alice", "pencil")
    caller.one(Connack)
    client = ScramClient([METHOD], "alice", "pencil")
    caller.send(auth(client.get_client_first().encode(), c.RE_AUTHENTICATE, METHOD))
    question = caller.one(Auth).properties
    assert question is not None
    assert question.authentication_data is not None
    client.set_server_first(question.authentication_data.decode())
    caller.send(Pingreq())
    caller.one(Pingresp)
    caller.send(auth(client.get_client_final().encode(), method=METHOD))
    answer = caller.one(Auth)
    assert answer.reason_code == c.SUCCESS
    assert answer.properties is not None
    assert answer.properties.authentication_data is not None
    client.set_server_final(answer.properties.authentication_data.decode())
    caller.send(Publish(b"a", b"x"))
    assert not caller.closing


def test_nonces_differ(tmp_path: Path) -> None:
    place = Place(tmp_path)
    answers = set()
    for _ in range(2):
        caller = place.call()
        caller.send(opening("x", b"n,,n=alice,r=x", method=METHOD))
        question = caller.one(Auth).properties
        assert question is not None
        assert question.authentication_data is not None
        assert len(question.authentication_data.partition(b",")[0]) > 24
        answers.add(question.authentication_data)
    assert len(answers) == 2


def test_a_reload_reads_the_users_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    caller = place.log_in("alice", "pencil")
    caller.one(Connack)
    place.write(bob="pen")
    place.service.reconfigure(place.config())
    assert place.lets_in("bob", "pen")
    assert not place.lets_in("alice", "pencil")


def test_a_reload_may_take_scram_away(tmp_path: Path) -> None:
    place = Place(tmp_path)
    caller = place.log_in("alice", "pencil")
    caller.one(Connack)
    place.lines = ()
    place.service.reconfigure(place.config())
    caller.send(auth(b"", c.RE_AUTHENTICATE, METHOD))
    assert caller.one(Disconnect).reason_code == c.BAD_AUTHENTICATION_METHOD


def test_a_reload_with_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.file.write_text("alice:pencil")
    place.lines = (*place.lines, "mqtt.max_qos_allowed = 0")
    with pytest.raises(ConfigError, match="users:1: "):
        place.service.reconfigure(place.config())
    assert place.lets_in("alice", "pencil")
    assert place.service.config.mqtt.max_qos_allowed == 2


def test_a_bad_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: cannot be read"):
        BrokerService(parse(f"auth.scram.file = {tmp_path}/nowhere"), MemoryReactorClock())


@pytest.mark.parametrize(("file", "found"), [("users", "/etc/users"), ("/run/users", "/run/users"), ("", "")])
def test_the_file_is_beside_the_configuration(file: str, found: str) -> None:
    assert located(parse(f"auth.scram.file = {file}"), "/etc").auth.scram.file == found
