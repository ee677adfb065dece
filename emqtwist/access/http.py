"""A web server that is asked, as by emqttd's emq_auth_http: who a client is, and what it may do.

200 is ok, with the body `ignore` it means that the client is not known, or that others are to say what it may do; any other
status denies. Where there is an address for it, 200 from there says that the client is a superuser.
"""
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseFailed, _HTTP11ClientFactory
from twisted.web.http_headers import Headers
from zope.interface import implementer

from emqtwist.access.stage import Unreachable
from emqtwist.config.sections.http import HttpSection
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok, Verdict
from emqtwist.core.hooks import PUBLISH, SUBSCRIBE
from emqtwist.interfaces import IAuthenticator, IAuthorizer

OK: Final = 200
LONGEST: Final = 4096  # bytes of an answer
ACCESS: Final = {SUBSCRIBE: "1", PUBLISH: "2"}
FORMS: Final = {"form": b"application/x-www-form-urlencoded", "json": b"application/json"}


class _Quiet(_HTTP11ClientFactory):
    noisy = False


class _Web:
    """Asks the server of `section`."""

    def __init__(self, section: HttpSection, reactor: Any) -> None:
        self._section = section
        self._pool = HTTPConnectionPool(reactor)
        self._pool._factory = _Quiet
        self._pool.maxPersistentPerHost = section.pool
        self._agent = Agent(reactor, pool=self._pool)

    async def _ask(self, method: str, url: str, values: dict[str, str]) -> tuple[int, bytes]:
        section, headers, body = self._section, Headers({b"user-agent": [b"emqtwist"]}), None
        if method == "get":
            url += ("&" if "?" in url else "?") + urlencode(values)
        else:
            text = urlencode(values) if section.format == "form" else json.dumps(values)
            headers.addRawHeader(b"content-type", FORMS[section.format])
            body = FileBodyProducer(BytesIO(text.encode()))
        try:
            response = await self._agent.request(method.upper().encode(), url.encode(), headers, body)
            answer = _Body()
            response.deliverBody(answer)
            return response.code, await answer.whole
        except (ConnectError, ConnectionClosed, ResponseFailed) as error:
            raise Unreachable(f"the server cannot be asked: {type(error).__name__}") from None

    def close(self) -> None:
        self._pool.closeCachedConnections().addErrback(lambda failure: None)  # who is cut off by that has its own end


@implementer(IAuthenticator)
class Http(_Web):
    """Who a client is."""

    async def authenticate(self, client: Client, password: bytes | None) -> Finding:
        section = self._section
        if client.user_name is None and password is None:
            return Ignore("it does not say who it is")
        try:
            text = (password or b"").decode()
        except UnicodeDecodeError:
            return Deny("the password is not UTF-8")
        status, body = await self._ask(section.method, section.auth_req, filled(section.params, {**known(client), "%P": text}))
        if status != OK:
            return Deny(f"the server has answered {status}")
        if body.strip() == b"ignore":
            return Ignore("the server does not know it")
        if not section.super_req:
            return Ok()
        status, _ = await self._ask(section.method, section.super_req,
                                    filled(section.super_params, {**known(client), "%P": ""}))
        return Ok(status == OK)


@implementer(IAuthorizer)
class HttpAuthorizer(_Web):
    """What a client may do."""

    async def authorize(self, client: Client, action: str, topic: str) -> Verdict:
        section = self._section
        values = filled(section.acl_params, {**known(client), "%A": ACCESS[action], "%t": topic})
        status, body = await self._ask(section.acl_method, section.acl_req, values)
        if status != OK:
            return Verdict("deny", f"the server has answered {status}")
        return Verdict("ignore" if body.strip() == b"ignore" else "allow")


class _Body(Protocol):
    """The beginning of an answer; the rest is of no interest, and not kept."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data = (self._data + data)[:LONGEST]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.whole.called:
            self.whole.callback(self._data)


def known(client: Client) -> dict[str, str]:
    """What stands for the placeholders of a client; empty where it is not known."""
    common_name = "" if client.certificate is None else client.certificate.cn
    return {"%c": client.client_id, "%u": client.user_name or "", "%a": client.address, "%C": common_name}


def filled(params: Sequence[tuple[str, str]], values: Mapping[str, str]) -> dict[str, str]:
    """`params` with the values for placeholders, which stand alone."""
    return {name: values.get(value, value) for name, value in params}
