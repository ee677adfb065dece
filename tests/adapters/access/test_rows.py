"""[auth]: who is asked, and each of its keys."""
from pathlib import Path
from typing import Any

import pytest
from twisted.python.failure import Failure

from emqtwist.access import hashes
from emqtwist.app import authentication
from emqtwist.app.methods import located
from emqtwist.config import ConfigError, parse
from emqtwist.core.access import Deny, Finding, Ignore, Ok
from emqtwist.core.hooks import CLIENT_AUTHENTICATE
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Suback, Subscribe
from emqtwist.services.part import Killed
from tests import oracles
from tests.oracles import Oracle
from tests.places import Place
from tests.wires import Caller

WRONG = c.BAD_USER_NAME_OR_PASSWORD
PENCIL = hashes.make(b"pencil", bytes(16))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files with alice and the client identifier bob."""
    (tmp_path / "users").write_text("alice:{plain}pencil\n")
    (tmp_path / "clients").write_text("bob:{plain}pen\n")
    return tmp_path


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Oracle:
    made = Oracle()
    monkeypatch.setattr(oracles, "ORACLE", made, raising=False)
    return made


def lines(folder: Path, *more: str) -> tuple[str, ...]:
    return ("auth.order = file, clientid", f"auth.file.path = {folder}/users", f"auth.clientid.path = {folder}/clients", *more)


def asks_oracle(*more: str) -> tuple[str, ...]:
    return ("auth.order = python", "auth.python.object = tests.oracles:ORACLE", "auth.cache_ttl = 0", *more)


def test_auth_order(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    place = Place(monkeypatch, *lines(files))
    assert place.enter("x", "alice", b"pencil") == c.SUCCESS
    assert place.enter("x", "alice", b"pen") == WRONG
    assert place.enter("bob", "alice", b"pencil") == c.SUCCESS
    assert place.enter("bob", "carol", b"pen") == c.SUCCESS
    place.reload(*lines(files)[1:], "auth.order = clientid, file")
    assert place.enter("bob", "alice", b"pencil") == WRONG
    assert place.enter("x", "alice", b"pencil") == c.SUCCESS
    place.reload()
    assert place.enter("x", "alice", b"pen") == c.SUCCESS  # of this machine, and nobody is asked


def test_listener_authenticators(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    bind, own = "listener.tcp.default.bind = 127.0.0.1:0", "listener.tcp.default.authenticators"
    place = Place(monkeypatch, *lines(files, bind, f"{own} = clientid"))
    assert place.enter("bob", "alice", b"pen") == c.SUCCESS
    assert place.enter("x", "alice", b"pencil") == WRONG
    place.reload(*lines(files, bind))
    assert place.enter("x", "alice", b"pencil") == c.SUCCESS
    place.reload(*lines(files, bind, f"{own} = nobody"))
    assert place.enter("x", "alice", b"pen") == c.SUCCESS
    place.reload(*lines(files, bind, f"{own} = file")[1:])
    assert place.enter("x", "alice", b"pen") == WRONG


@pytest.mark.parametrize(("user_name", "password", "host", "code"), [
    (None, None, "127.0.0.1", c.SUCCESS), (None, None, "10.0.0.1", c.NOT_AUTHORIZED), ("carol", b"x", "127.0.0.1", WRONG),
    ("carol", None, "127.0.0.1", WRONG), (None, b"x", "127.0.0.1", WRONG), ("alice", None, "127.0.0.1", WRONG)])
def test_who_says_who_it_is_and_is_not_known_is_not_anonymous(
        monkeypatch: pytest.MonkeyPatch, files: Path, user_name: str | None, password: bytes | None, host: str,
        code: int) -> None:
    assert Place(monkeypatch, *lines(files)).enter("x", user_name, password, host=host) == code


def test_how_it_ended_is_counted(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    place = Place(monkeypatch, *lines(files))
    for who in (("x", "alice", b"pencil"), ("x", "alice", b"x"), ("x",)):
        place.enter(*who)
    assert place.service.broker.metrics.authentications == {"accepted": 1, "anonymous": 1, "refused": 1}


@pytest.mark.parametrize(("finding", "begins_as", "answer", "code"), [
    (Ok(), True, False, WRONG), (Ok(), True, None, c.SUCCESS), (Ignore(), False, True, c.SUCCESS), (Deny(), None, True, WRONG)])
def test_functions_have_the_last_word_but_about_who_is_denied(
        monkeypatch: pytest.MonkeyPatch, oracle: Oracle, finding: Finding, begins_as: bool | None, answer: bool | None,
        code: int) -> None:
    asked: list[object] = []

    def function(client: object, password: bytes | None, accepted: bool) -> bool | None:
        asked.append(accepted)
        return answer

    place = Place(monkeypatch, *asks_oracle())
    place.service.hooks.add(CLIENT_AUTHENTICATE, function)
    oracle.findings = [finding]
    assert place.enter("x", "alice", b"pencil") == code
    assert asked == ([] if begins_as is None else [begins_as])


def test_before_5_0_a_return_code_says_it(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle())
    oracle.findings = [Deny(), ValueError()]
    codes = []
    for _ in range(2):
        caller = place.knock("x", "alice", b"x", version=c.MQTT_3_1_1)
        codes.append(caller.one(Connack).reason_code)
    assert codes == [4, 3]


def test_an_authenticator_can_be_registered(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    place, oracle = Place(monkeypatch, *lines(files)), Oracle(Deny())
    assert place.service.register_auth_mod("mine", oracle, 1)
    assert not place.service.register_auth_mod("mine", oracle)
    assert not place.service.register_auth_mod("file", oracle)
    assert place.enter("x", "alice", b"pencil") == WRONG
    assert place.service.unregister_auth_mod("mine")
    assert not place.service.unregister_auth_mod("mine")
    assert place.enter("x", "alice", b"pencil") == c.SUCCESS


def test_auth_timeout(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle("auth.timeout = 2s"))
    caller = place.knock("x", "alice")
    place.reactor.advance(1.9)
    assert caller.received() == []
    place.reactor.pump([0.1, 0])
    assert caller.one(Connack).reason_code == c.SERVER_UNAVAILABLE


def test_auth_on_error(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle())
    oracle.findings = [ValueError(), ValueError()]
    assert place.enter() == c.SERVER_UNAVAILABLE
    place.reload(*asks_oracle("auth.on_error = next"))
    assert place.enter() == c.SUCCESS


def test_auth_concurrency(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle("auth.concurrency = 1"))
    place.knock("a")
    place.knock("b")
    assert len(oracle.waiting) == 1


def test_auth_max_waiting(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle("auth.max_waiting = 1"))
    place.knock("a")
    assert place.enter("b") == c.SERVER_BUSY


def test_auth_max_wait(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    more = asks_oracle("auth.concurrency = 1", "auth.timeout = 1m")
    place = Place(monkeypatch, *more, "auth.max_wait = 2s")
    place.knock("a")
    caller = place.knock("b")
    place.reactor.advance(2)
    oracle.answer(Ok())
    place.run()
    assert caller.one(Connack).reason_code == c.SERVER_BUSY
    place.reload(*more, "auth.max_wait = 3s")
    place.knock("a")
    caller = place.knock("b")
    place.reactor.advance(2)
    oracle.answer(Ok())
    oracle.answer(Ok())
    place.run()
    assert caller.one(Connack).reason_code == c.SUCCESS


def test_few_wait_for_threads_and_the_others_in_the_line(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    (files / "users").write_text(f"alice:{PENCIL}\n")
    place = Place(monkeypatch, *lines(files, "auth.hash_threads = 1", "auth.concurrency = 5"))
    for number in range(10):
        place.knock(f"{number}", "alice", b"pencil")
        place.reactor.advance(0)
    assert len(place.service.hashing.waiting) + len(place.service.hashing.running) == 4
    assert len(place.service.access.running) == 10


def test_auth_cache_size(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle()[:2], "auth.cache_size = 1")
    oracle.findings = [Ok(), Ok(), Ok(), Ok()]
    for name in "aabab":
        place.enter(name)
    assert len(oracle.asked) == 4
    place.reload(*asks_oracle()[:2], "auth.cache_size = off")
    place.knock("b")
    assert len(oracle.asked) == 5


def test_auth_cache_ttl(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle()[:2], "auth.cache_ttl = 3s")
    oracle.findings = [Ok(), Ok()]
    for seconds in (0, 2.9, 0.1):
        place.reactor.advance(seconds)
        place.enter()
    assert len(oracle.asked) == 2


def test_auth_breaker_failures(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle("auth.breaker_failures = 2"))
    oracle.findings = [ValueError(), ValueError(), Ok()]
    assert [place.enter(name) for name in "abc"] == [c.SERVER_UNAVAILABLE] * 3
    assert len(oracle.asked) == 2


def test_auth_breaker_pause(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    place = Place(monkeypatch, *asks_oracle("auth.breaker_failures = 1", "auth.breaker_pause = 3s"))
    oracle.findings = [ValueError(), Ok()]
    place.enter()
    place.reactor.advance(2.9)
    assert place.enter() == c.SERVER_UNAVAILABLE
    place.reactor.advance(0.1)
    assert place.enter() == c.SUCCESS


def test_auth_hash_threads(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    (files / "users").write_text(f"alice:{PENCIL}\n")
    place = Place(monkeypatch, *lines(files, "auth.hash_threads = 3"))
    callers = [place.knock(name, "alice", b"pencil") for name in "abcd"]
    [held] = [threads for threads in place.threads if threads.held]
    assert (held.size, len(held.held)) == (3, 3)
    place.run()
    assert [caller.one(Connack).reason_code for caller in callers] == [c.SUCCESS] * 4
    place.reload(*lines(files, "auth.hash_threads = 1"))
    assert held.size == 1


def test_auth_file_path(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    place = Place(monkeypatch, *lines(files))
    assert place.enter("x", "alice", b"pencil") == c.SUCCESS
    (files / "users").write_text("alice:{plain}pen\n")
    assert place.enter("x", "alice", b"pen") == WRONG
    place.reload(*lines(files))
    assert place.enter("x", "alice", b"pen") == c.SUCCESS
    assert place.enter("x", "alice", b"pencil") == WRONG
    assert located(parse("auth.file.path = users"), "/etc").auth.file.path == "/etc/users"


def test_auth_clientid_path(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    assert Place(monkeypatch, *lines(files)).enter("bob", None, b"pen") == c.SUCCESS
    assert located(parse("auth.clientid.path = users"), "/etc").auth.clientid.path == "/etc/users"


def subscribe(place: Place, caller: Caller) -> int:
    caller.received()
    caller.send(Subscribe(1, [(b"a", 0)]))
    return caller.one(Suback).reason_codes[0]


def test_auth_file_superusers(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    (files / "acl.conf").write_text("{deny, all}.")
    more = (f"mqtt.acl_file = {files}/acl.conf", "auth.file.superusers = root, alice")
    place = Place(monkeypatch, *lines(files, *more))
    assert subscribe(place, place.knock("x", "alice", b"pencil")) == 0
    assert subscribe(place, place.knock("bob", None, b"pen")) == c.NOT_AUTHORIZED


def test_auth_python_object(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    oracle.findings = [Ok()]
    assert Place(monkeypatch, *asks_oracle()).enter("x", "alice", b"pencil") == c.SUCCESS
    assert oracle.asked == [("alice", b"pencil")]
    place = Place(monkeypatch, "auth.order = python", "auth.python.object = tests.oracles:Oracle")
    place.knock()
    assert len(place.service.access.running) == 1


@pytest.mark.parametrize(("line", "message"), [
    ("tests.oracles:NOBODY", "AttributeError"), ("no_such_module_here:x", "ModuleNotFoundError"),
    ("builtins:len", "TypeError"), ("builtins:object", "does not provide IAuthenticator")])
def test_an_object_that_cannot_be_had_is_an_error(monkeypatch: pytest.MonkeyPatch, line: str, message: str) -> None:
    config = parse(f"auth.order = python\nauth.python.object = {line}")
    with pytest.raises(ConfigError, match=rf"\[auth.python\] object: cannot be used: .*{message}"):
        authentication.check(config)


def test_a_check_of_the_configuration_reads_the_files(files: Path) -> None:
    authentication.check(parse("\n".join(lines(files))))
    (files / "clients").write_text("bob\n")
    with pytest.raises(ConfigError, match="clients:1: not name:hash"):
        authentication.check(parse("\n".join(lines(files))))


def test_a_reload_with_a_bad_file_changes_nothing(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    place = Place(monkeypatch, *lines(files))
    (files / "users").write_text("alice\n")
    with pytest.raises(ConfigError, match="users:1: "):
        place.reload(*lines(files, "mqtt.max_qos_allowed = 0"))
    assert place.enter("x", "alice", b"pencil") == c.SUCCESS
    assert place.service.config.mqtt.max_qos_allowed == 2


def test_a_stranger_costs_a_hash_as_a_wrong_password_does(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    place = Place(monkeypatch, *lines(files))
    place.knock("x", "carol", b"pencil")
    assert sum(len(threads.held) for threads in place.threads) == 1


def test_without_argon2id_strangers_are_told_at_once(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    def none(password: bytes, salt: bytes) -> str:
        raise ValueError("no")

    monkeypatch.setattr(hashes, "make", none)
    place = Place(monkeypatch, *lines(files))
    assert place.knock("x", "carol", b"pencil").one(Connack).reason_code == WRONG


# Deaths. (Beside those under traffic, in tests/integration/supervision.)

def restarts(place: Place, path: str) -> Any:
    return place.service.root.find(path).restarts


def test_a_death_while_passwords_are_hashed_costs_nobody_the_login(
        monkeypatch: pytest.MonkeyPatch, files: Path, logged_failures: list[Failure]) -> None:
    (files / "users").write_text(f"alice:{PENCIL}\n")
    place = Place(monkeypatch, *lines(files, "auth.hash_threads = 1", "auth.timeout = 1m", "auth.max_wait = 1m"))
    callers = [place.knock(name, "alice", b"pencil") for name in "abc"]
    for path in ("access_control/hashing", "access_control/asking", "access_control"):
        place.service.root.kill(path)
        place.reactor.pump([1.0] * 6)  # it is patient with what is in a thread
        assert restarts(place, path) == 1
        callers.append(place.knock(path, "alice", b"pencil"))
    place.run()
    place.run()
    assert [caller.one(Connack).reason_code for caller in callers] == [c.SUCCESS] * 6
    logged_failures[:] = [each for each in logged_failures if each.check(Killed) is None]
