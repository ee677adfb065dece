"""[auth.http] against a web server."""
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from emqtwist import BrokerService
from emqtwist.access.http import LONGEST, Http, HttpAuthorizer
from emqtwist.access.stage import Unreachable
from emqtwist.app.authentication import check
from emqtwist.app.authorization import check as check_authorizers
from emqtwist.config import ConfigError, parse
from emqtwist.config.sections.http import PARAMS, HttpSection
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok, Verdict
from emqtwist.mqtt.constants import NOT_AUTHORIZED
from tests.integration.supervision.traffic import Talker, join
from tests.oracles import client


class Oracle(Resource):
    """Answers /auth and /acl with `status` and `body`, and /super with `super_status`; `seen` are requests."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.status = self.super_status = 200
        self.body = b""
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.clients: set[int] = set()
        self.cuts = False

    def render(self, request: Request) -> Any:
        method, path = request.method.decode(), request.path.decode()
        text = request.content.read().decode()  # type: ignore[union-attr]
        if request.getHeader("content-type") == "application/json":
            values = json.loads(text)
        else:
            values = {name.decode(): value[0].decode() for name, value in request.args.items()}
        self.seen.append((method, path, values))
        self.clients.add(request.getClientAddress().port)
        if self.cuts:
            request.transport.abortConnection()  # type: ignore[union-attr]
            return NOT_DONE_YET
        request.setResponseCode(self.super_status if path == "/super" else self.status)
        return self.body


class Site_(Site):
    noisy = False


@asynccontextmanager
async def served(*lines: str) -> AsyncIterator[tuple[Oracle, HttpSection]]:
    """A server, and a section that names it; `{}` in lines is where it is."""
    oracle = Oracle()
    port = await TCP4ServerEndpoint(cast(Any, reactor), 0, interface="127.0.0.1").listen(Site_(oracle))
    place = f"http://127.0.0.1:{port.getHost().port}"
    text = "\n".join(f"auth.http.{line.format(place)}" for line in ("auth_req = {}/auth", *lines))
    try:
        yield oracle, parse(text).auth.http
    finally:
        await port.stopListening()


@asynccontextmanager
async def asked(*lines: str) -> AsyncIterator[tuple[Oracle, Http]]:
    """A server, and an Http that asks it."""
    async with served(*lines) as (oracle, section):
        http = Http(section, reactor)
        try:
            yield oracle, http
        finally:
            await http._pool.closeCachedConnections()


@asynccontextmanager
async def ruled(*lines: str) -> AsyncIterator[tuple[Oracle, HttpAuthorizer]]:
    """A server, and an HttpAuthorizer that asks it."""
    async with served("acl_req = {}/acl", *lines) as (oracle, section):
        http = HttpAuthorizer(section, reactor)
        try:
            yield oracle, http
        finally:
            await http._pool.closeCachedConnections()


async def ask(http: Http, who: Client | None = None, password: bytes | None = b"p&=%") -> Finding:
    found: Deferred[Finding] = Deferred.fromCoroutine(http.authenticate(who or client(), password))
    return await found


async def may(http: HttpAuthorizer, action: str = "publish", topic: str = "ü/+", who: Client | None = None) -> Verdict:
    verdict: Deferred[Verdict] = Deferred.fromCoroutine(http.authorize(who or client(), action, topic))
    return await verdict


SENT = {"clientid": "c", "username": "alice", "password": "p&=%"}


async def test_auth_http_auth_req() -> None:
    async with asked() as (oracle, http):
        assert isinstance(await ask(http), Ok)
        assert oracle.seen == [("POST", "/auth", SENT)]
        oracle.body = b"ignore\n"
        assert isinstance(await ask(http), Ignore)
        for oracle.status in (401, 302, 500):
            assert isinstance(await ask(http), Deny)


async def test_auth_http_method() -> None:
    async with asked("method = get") as (oracle, http):
        await ask(http)
        assert oracle.seen == [("GET", "/auth", SENT)]


async def test_auth_http_params() -> None:
    async with asked("params = who=%u, at=%a,from=here") as (oracle, http):
        await ask(http, client(user_name="ü%c"))
        await ask(http, client(user_name=None))
        assert [values for _, _, values in oracle.seen] == [
            {"who": "ü%c", "at": "10.0.0.1", "from": "here"}, {"who": "", "at": "10.0.0.1", "from": "here"}]


async def test_auth_http_format() -> None:
    async with asked("format = json") as (oracle, http):
        await ask(http)
        assert oracle.seen == [("POST", "/auth", SENT)]


async def test_auth_http_super_req() -> None:
    async with asked("super_req = {}/super") as (oracle, http):
        for oracle.super_status, superuser in ((200, True), (403, False)):
            finding = await ask(http)
            assert isinstance(finding, Ok)
            assert finding.superuser is superuser
        oracle.status = 401
        await ask(http)
        assert [path for _, path, _ in oracle.seen] == ["/auth", "/super"] * 2 + ["/auth"]


async def test_auth_http_super_params() -> None:
    async with asked("super_req = {}/super", "super_params = who=%u,password=%P") as (oracle, http):
        await ask(http)
        assert oracle.seen[1][2] == {"who": "alice", "password": ""}


async def test_auth_http_pool() -> None:
    async with asked("pool = 1") as (oracle, http):
        for _ in range(3):
            await ask(http)
        assert len(oracle.clients) == 1
        assert http._pool.maxPersistentPerHost == 1


async def test_who_does_not_say_who_it_is_is_not_asked_about() -> None:
    async with asked() as (oracle, http):
        assert isinstance(await ask(http, client(user_name=None), None), Ignore)
        assert isinstance(await ask(http, password=b"\xff"), Deny)
        assert oracle.seen == []


async def test_a_long_answer_is_not_kept() -> None:
    async with asked() as (oracle, http):
        oracle.body = b"x" * 10 * LONGEST
        assert isinstance(await ask(http), Ok)


async def test_a_server_that_cannot_be_asked_is_a_failure_without_secrets() -> None:
    async with asked() as (oracle, http):
        oracle.cuts = True
        with pytest.raises(Unreachable) as raised:
            await ask(http)
        assert "p&" not in str(raised.value)


def test_an_address_is_needed_and_parameters_are_pairs() -> None:
    with pytest.raises(ConfigError, match="http needs auth.http.auth_req"):
        parse("auth.order = http")
    with pytest.raises(ConfigError, match="not http:// or"):
        parse("auth.http.auth_req = ftp://x")
    with pytest.raises(ConfigError, match="without user and password in it"):
        parse("auth.http.auth_req = http://user:secret@x/auth")
    for url in ("http://x", "https://[::1]:8080/a?token=b@c", "http://x?a=@"):
        parse(f"auth.http.auth_req = {url}")
    for text in ("a", "a=b,", "a=b=c", "a=b,a=c", "=x"):
        with pytest.raises(ValueError, match="not a list of parameters"):
            PARAMS.read(text)
    for value in (("a=b",), (("a", 1),), [("a", "b")], (("a", "b", "c"),)):
        assert not PARAMS.holds(value)
    check(parse("auth.order = http\nauth.http.auth_req = https://localhost/auth"))


# What a client may do.

ASKED = {"username": "alice", "clientid": "c", "ipaddr": "10.0.0.1", "topic": "ü/+"}


async def test_auth_http_acl_req() -> None:
    async with ruled() as (oracle, http):
        for access, action in (("2", "publish"), ("1", "subscribe")):
            assert (await may(http, action)).answer == "allow"
            assert oracle.seen.pop() == ("GET", "/acl", {"access": access, **ASKED})
        oracle.body = b"ignore\n"
        assert (await may(http)).answer == "ignore"
        for oracle.status in (401, 302, 500):
            verdict = await may(http)
            assert (verdict.answer, verdict.why) == ("deny", f"the server has answered {oracle.status}")


async def test_auth_http_acl_method() -> None:
    async with ruled("acl_method = post", "format = json") as (oracle, http):
        await may(http)
        assert oracle.seen == [("POST", "/acl", {"access": "2", **ASKED})]


async def test_auth_http_acl_params() -> None:
    async with ruled("acl_params = who=%u,what=%t,how=%A,secret=%P") as (oracle, http):
        await may(http, topic="%u&=", who=client(user_name=None))
        assert oracle.seen == [("GET", "/acl", {"who": "", "what": "%u&=", "how": "2", "secret": "%P"})]


async def test_a_server_that_cannot_be_asked_what_a_client_may_do_is_a_failure() -> None:
    async with ruled() as (oracle, http):
        oracle.cuts = True
        with pytest.raises(Unreachable):
            await may(http)
    check_authorizers(parse("acl.order = http, rules\nauth.http.acl_req = https://localhost/acl"))


async def test_clients_get_from_a_broker_what_a_web_server_lets_them() -> None:
    async with served("acl_req = {}/acl", "super_req = {}/super") as (oracle, section):
        config = parse("listener.tcp.default.bind = 127.0.0.1:0\nacl.order = http\nauth.http.acl_req = x:y".replace(
            "x:y", section.acl_req))
        broker = BrokerService(config)
        broker.startService()
        await broker.when_ready()
        talker = Talker()
        await join(talker, broker.port())
        await talker.enter("dan")
        assert await talker.subscribe(b"a", 1) == [1]
        oracle.status = 403
        assert await talker.subscribe(b"b", 1) == [NOT_AUTHORIZED]
        assert [values["topic"] for _, _, values in oracle.seen] == ["a", "b"]
        talker.abort()
        await broker.stopService()
