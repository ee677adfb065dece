"""[acl]: who says what clients may do, and each of its keys; authorizers of the host."""
from pathlib import Path

import pytest
from twisted.python.failure import Failure

from emqtwist.app import authorization
from emqtwist.config import ConfigError, parse
from emqtwist.core.access import Verdict
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Puback, Publish, Suback, Subscribe
from emqtwist.services.part import Killed
from tests import oracles
from tests.oracles import Sibyl
from tests.places import Place
from tests.wires import Caller

ALLOW, DENY, IGNORE = (Verdict(answer) for answer in ("allow", "deny", "ignore"))
CANNOT_TELL = c.IMPLEMENTATION_SPECIFIC_ERROR


@pytest.fixture
def sibyl(monkeypatch: pytest.MonkeyPatch) -> Sibyl:
    made = Sibyl()
    monkeypatch.setattr(oracles, "SIBYL", made, raising=False)
    return made


def asks_sibyl(*more: str, order: str = "python") -> tuple[str, ...]:
    return (f"acl.order = {order}", "acl.python.object = tests.oracles:SIBYL", "acl.cache_ttl = 0", *more)


def enter(place: Place, client_id: str = "c") -> Caller:
    caller = place.knock(client_id)
    place.run()
    caller.received()
    return caller


def publish(place: Place, caller: Caller, topic: bytes = b"a") -> int:
    """The reason code that a message gets, in the end; -1 when nobody subscribes to it, which is no refusal."""
    caller.send(Publish(topic, b"", 1, packet_id=1))
    place.run()
    code = caller.one(Puback).reason_code
    return 0 if code == c.NO_MATCHING_SUBSCRIBERS else code


def subscribe(place: Place, caller: Caller, topic: bytes = b"a") -> int:
    caller.send(Subscribe(1, [(topic, 0)]))
    place.run()
    return caller.one(Suback).reason_codes[0]


def test_acl_order(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl, tmp_path: Path) -> None:
    (tmp_path / "acl.conf").write_text('{deny, all, publish, ["no"]}.')
    file = f"mqtt.acl_file = {tmp_path}/acl.conf"
    place = Place(monkeypatch, *asks_sibyl(file, order="rules, python"))
    caller = enter(place)
    assert publish(place, caller, b"no") == c.NOT_AUTHORIZED
    assert sibyl.asked == []
    sibyl.verdicts = [DENY]
    assert publish(place, caller) == c.NOT_AUTHORIZED
    place.reload(*asks_sibyl(file, order="python, rules"))
    sibyl.verdicts = [ALLOW, IGNORE, IGNORE]
    assert [publish(place, caller, topic) for topic in (b"no", b"no", b"a")] == [0, c.NOT_AUTHORIZED, 0]
    place.reload(file)
    assert [publish(place, caller, topic) for topic in (b"no", b"a")] == [c.NOT_AUTHORIZED, 0]
    assert sibyl.closed == 2


def test_where_nobody_decides_mqtt_acl_nomatch_holds(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl("mqtt.acl_nomatch = deny"))
    sibyl.verdicts = [IGNORE, IGNORE]
    caller = enter(place)
    assert publish(place, caller) == c.NOT_AUTHORIZED
    place.reload(*asks_sibyl())
    assert publish(place, caller) == 0


def test_acl_timeout(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl("acl.timeout = 2s"))
    caller = enter(place)
    caller.send(Publish(b"a", b"", 1, packet_id=1))
    place.reactor.advance(1.9)
    assert caller.received() == []
    place.reactor.pump([0.1, 0])
    assert caller.one(Puback).reason_code == CANNOT_TELL


def test_acl_on_error(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl())
    sibyl.verdicts = [ValueError(), ValueError()]
    caller = enter(place)
    assert publish(place, caller) == CANNOT_TELL
    place.reload(*asks_sibyl("acl.on_error = next"))
    assert publish(place, caller) == 0


def test_acl_concurrency(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl("acl.concurrency = 1"))
    for name in "ab":
        enter(place, name).send(Publish(b"a", b"", 0))
    assert len(sibyl.waiting) == 1


def test_acl_cache_ttl(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl()[:2], "acl.cache_ttl = 3s")
    sibyl.verdicts = [ALLOW, ALLOW]
    caller = enter(place)
    for seconds in (0, 2, 1):
        place.reactor.advance(seconds)
        assert publish(place, caller) == 0
    assert len(sibyl.asked) == 2
    place.reload(*asks_sibyl()[:2], "acl.cache_ttl = off")
    sibyl.verdicts = [ALLOW, DENY]
    assert [publish(place, caller), publish(place, caller)] == [0, c.NOT_AUTHORIZED]


def test_acl_breaker_failures(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl("acl.breaker_failures = 2"))
    sibyl.verdicts = [ValueError(), ValueError(), ALLOW]
    caller = enter(place)
    assert [publish(place, caller) for _ in range(3)] == [CANNOT_TELL] * 3
    assert len(sibyl.asked) == 2


def test_acl_breaker_pause(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl("acl.breaker_failures = 1", "acl.breaker_pause = 3s"))
    sibyl.verdicts = [ValueError(), ALLOW]
    caller = enter(place)
    publish(place, caller)
    place.reactor.advance(2.9)
    assert publish(place, caller) == CANNOT_TELL
    place.reactor.advance(0.1)
    assert publish(place, caller) == 0


def test_acl_python_object(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl())
    sibyl.verdicts = [ALLOW, DENY]
    caller = enter(place)
    assert (subscribe(place, caller), publish(place, caller)) == (0, c.NOT_AUTHORIZED)
    assert sibyl.asked == [("c", "subscribe", "a"), ("c", "publish", "a")]


def test_an_object_that_cannot_be_had_is_an_error() -> None:
    config = parse("acl.order = python\nacl.python.object = tests.oracles:Oracle")
    with pytest.raises(ConfigError, match=r"\[acl.python\] object: cannot be used: .*does not provide IAuthorizer"):
        authorization.check(config)
    authorization.check(parse("acl.order = python\nacl.python.object = tests.oracles:Sibyl"))


@pytest.mark.parametrize(("lines", "message"), [
    ("acl.order = http", "http needs auth.http.acl_req"), ("acl.order = python", "python needs acl.python.object"),
    ("acl.order = sqlite", "sqlite needs auth.sqlite.path"),
    ("acl.order =\n[acl.rule.x]\naction = deny", "there are access rules, but rules is not in acl.order"),
    ("acl.order =\nmqtt.acl_file = x", "there are access rules, but rules is not in acl.order"),
    ("acl.order = me", "not some of rules, sqlite, http, python")])
def test_an_order_has_what_it_needs(lines: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(lines)


def test_a_reload_with_a_bad_object_changes_nothing(monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl) -> None:
    place = Place(monkeypatch, *asks_sibyl())
    with pytest.raises(ConfigError):
        place.reload("acl.order = python", "acl.python.object = x:y")
    sibyl.verdicts = [DENY]
    assert publish(place, enter(place)) == c.NOT_AUTHORIZED


def test_an_authorizer_can_be_registered_and_what_was_allowed_is_asked_about_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    place, sibyl = Place(monkeypatch), Sibyl(DENY, DENY)
    caller = enter(place)
    assert (subscribe(place, caller), publish(place, caller, b"b")) == (0, 0)
    assert place.service.register_acl_mod("mine", sibyl)
    place.run()
    assert sibyl.asked == [("c", "subscribe", "a")]
    assert place.service.broker.sessions.by_id["c"].subscriptions == {}
    assert not place.service.register_acl_mod("mine", Sibyl())
    assert publish(place, caller, b"b") == c.NOT_AUTHORIZED
    assert place.service.unregister_acl_mod("mine")
    assert not place.service.unregister_acl_mod("mine")
    assert place.service.broker.acl is None
    assert (publish(place, caller, b"b"), sibyl.closed) == (0, 1)


def test_a_registered_one_stays_over_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    place, sibyl = Place(monkeypatch), Sibyl(DENY)
    place.service.register_acl_mod("mine", sibyl)
    place.reload("mqtt.max_qos_allowed = 1")
    assert publish(place, enter(place)) == c.NOT_AUTHORIZED
    place.service.reload_acl()
    sibyl.verdicts = [ALLOW]
    assert publish(place, enter(place, "d")) == 0


def test_it_ends_with_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    place, sibyl = Place(monkeypatch), Sibyl()
    place.service.register_acl_mod("mine", sibyl)
    place.service.stopService()
    place.reactor.pump([1.0] * 20)
    assert sibyl.closed == 1


def test_a_death_in_the_midst_of_a_question_costs_nobody_a_message(
        monkeypatch: pytest.MonkeyPatch, sibyl: Sibyl, logged_failures: list[Failure]) -> None:
    place = Place(monkeypatch, *asks_sibyl())
    callers = [enter(place, name) for name in "ab"]
    for caller in callers:
        caller.send(Publish(b"a", b"", 1, packet_id=1))
    for path in ("access_control/authorizing", "access_control"):
        place.service.root.kill(path)
        place.reactor.pump([1.0] * 3)
        assert place.service.root.find(path).restarts == 1
    for _ in range(2):
        sibyl.answer(ALLOW)
    place.run()
    for caller in callers:
        assert caller.one(Puback).packet_id == 1
    logged_failures[:] = [each for each in logged_failures if each.check(Killed) is None]
