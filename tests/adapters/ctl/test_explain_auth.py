"""explain auth: what is told of a login is what becomes of it."""
import json
from pathlib import Path

import pytest

from emqtwist.core.access import Deny, Finding, Ignore, Ok
from emqtwist.core.hooks import CLIENT_AUTHENTICATE
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt.packets import Connack, Connect
from tests.desks import Desk
from tests.oracles import Oracle
from tests.wires import Caller

PASSWORD = "marked-secret"


def results(desk: Desk, *words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(desk.ask("explain", "auth", *words, form="json"))
    return found


def enters(desk: Desk, user_name: str | None, password: bytes | None, host: str) -> bool:
    """Whether such a client is let in."""
    caller = Caller(desk.service.listeners["default"].factory, desk.reactor, host)
    caller.send(Connect(5, "c", True, user_name=user_name, password=password))
    desk.reactor.advance(0)
    return caller.one(Connack).reason_code == 0


@pytest.mark.parametrize(("findings", "says", "result"), [
    ([Ok()], ["ok: decides", "is not asked"], "ok"),
    ([Ok(superuser=True)], ["ok: decides", "is not asked"], "ok, superuser"),
    ([Ignore("no such user"), Deny("too late")],
     ["ignore: no such user: does not know it", "deny: too late: decides"], "deny, Bad User Name or Password"),
    ([Ignore(), Ignore()], ["ignore: does not know it", "ignore: does not know it"],
     "deny, as nobody knows who it says that it is"),
    ([ValueError(PASSWORD), Ok()], ["error: ValueError: has failed", "is not asked"], "deny, Server unavailable"),
])
def test_each_says_its_part_and_the_end_is_that_of_a_login(findings: list[Finding | Exception], says: list[str],
                                                                  result: str) -> None:
    desk = Desk("auth.cache_ttl = 0", whole=True)
    first, second = Oracle(), Oracle()
    desk.service.register_auth_mod("second", second)
    desk.service.register_auth_mod("first", first)
    for _ in range(2):
        first.findings.append(findings[0])
        second.findings.extend(findings[1:])
    told = desk.lines("explain", "auth", "c", "alice", "10.0.0.1", "tcp.default", PASSWORD)
    assert told == ["Client(c, username=alice, address=10.0.0.1) at tcp.default, with a password",
                    *[f"{name}: {said}" for name, said in zip(("first", "second"), says, strict=True)], result]
    assert first.asked == [("alice", PASSWORD.encode())]
    assert enters(desk, "alice", PASSWORD.encode(), "10.0.0.1") is result.startswith("ok")


@pytest.mark.parametrize("next_one", [True, False])
def test_on_error_next_is_as_in_a_login(next_one: bool) -> None:
    desk = Desk(f"auth.on_error = {'next' if next_one else 'deny'}", whole=True)
    desk.service.register_auth_mod("second", Oracle(Ok()))
    desk.service.register_auth_mod("first", Oracle(ValueError()))
    last = results(desk, "c", "alice", "10.0.0.1", "tcp.default", "x")[-1]["result"]
    assert last == ("ok" if next_one else "deny, Server unavailable")


@pytest.mark.parametrize(("user_name", "password"), [(None, ""), ("alice", ""), (None, "x")])
@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1"])
@pytest.mark.parametrize("anonymous", ["on", "off", "loopback"])
@pytest.mark.parametrize("asked", [True, False])
def test_who_is_anonymous_comes_in_as_it_is_told(user_name: str | None, password: str, host: str, anonymous: str,
                                                 asked: bool) -> None:
    desk = Desk(f"mqtt.allow_anonymous = {anonymous}", whole=True)
    if asked:
        desk.service.register_auth_mod("nobody", Oracle(Ignore(), Ignore()))
    last = results(desk, "c", user_name or "undefined", host, "tcp.default", password)[-1]["result"]
    assert str(last).startswith("ok") is enters(desk, user_name, password.encode() if password else None, host)


def test_of_a_password_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("alice:{plain}pencil\n")
    desk = Desk("auth.order = file", f"auth.file.path = {tmp_path}/users", whole=True)
    for form in ("lines", "json", "table"):
        said = desk.ask("explain", "auth", "c", "alice", "10.0.0.1", "tcp.default", PASSWORD, form=form)
        assert PASSWORD not in said
        assert "pencil" not in said
        assert "the password is wrong" in said
    assert results(desk, "c", "alice", "10.0.0.1", "tcp.default", "pencil")[-1] == {"result": "ok"}


def test_a_login_is_asked_about_anew_and_nothing_is_remembered() -> None:
    desk = Desk(whole=True)
    oracle = Oracle(Ok(), Deny())
    desk.service.register_auth_mod("first", oracle)
    assert results(desk, "c", "alice", "10.0.0.1", "tcp.default", "x")[-1]["result"] == "ok"
    assert not enters(desk, "alice", b"x", "10.0.0.1")


def test_functions_that_have_the_last_word_are_named() -> None:
    desk = Desk(whole=True)
    desk.service.hooks.add(CLIENT_AUTHENTICATE, lambda client, password, accepted: False)
    assert results(desk, "c", "undefined", "127.0.0.1", "tcp.default", "")[1] == {
        "authenticator": "client.authenticate", "said": "1 functions", "result": "have the last word, and are not asked here"}


@pytest.mark.parametrize(("host", "listener", "why"), [
    ("somewhere", "tcp.default", "Error: not an IP address"), ("10.0.0.1", "tcp.other", "Error: Listener not found!")])
def test_what_cannot_be_asked_is_refused(host: str, listener: str, why: str) -> None:
    error = Desk().error("explain", "auth", "c", "alice", host, listener, "x")
    assert isinstance(error, Refused)
    assert str(error) == why
