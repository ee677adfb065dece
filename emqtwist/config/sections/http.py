"""[auth.http]: a web server that is asked who a client is, and what it may do.

Its addresses are secrets: some have a token in them.
"""
import re
from dataclasses import dataclass
from typing import Final, Literal

from emqtwist.config.rows import row
from emqtwist.config.values import INTEGER, Choice, Text, Unit

Method = Literal["post", "get"]
Format = Literal["form", "json"]

HTTP: Final = "tests/integration/test_http.py"
URL: Final = Text("http:// or https:// and an address, without user and password in it", r"(?:https?://[^\s/?#@]+(?:[/?#]\S*)?)?")
PAIR: Final = re.compile(r"[^=,\s]+=[^=,\s]*")


class Params(Unit[tuple[tuple[str, str], ...]]):
    """Names of parameters, each with its value or a placeholder for it."""

    name = "parameters"
    form = "parameters as clientid=%c,username=%u,password=%P,ipaddr=%a"

    def read(self, text: str) -> tuple[tuple[str, str], ...]:
        parts = [part.strip() for part in text.split(",")] if text else []
        pairs = tuple((part.partition("=")[0], part.partition("=")[2]) for part in parts)
        if not all(map(PAIR.fullmatch, parts)) or len(dict(pairs)) < len(pairs):
            raise ValueError("not a list of parameters, each once")
        return pairs

    def holds(self, value: object) -> bool:
        if not isinstance(value, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
            return False
        return all(isinstance(name, str) and isinstance(text, str) and PAIR.fullmatch(f"{name}={text}") for name, text in value)

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return ",".join(f"{name}={text}" for name, text in value)


PARAMS: Final = Params()


@dataclass(frozen=True, kw_only=True)
class HttpSection:
    """A web server: `http` in `auth.order`. 200 lets a client in, or with the body `ignore` does not know it; all else denies."""

    auth_req: str = row(
        "", URL, live=True, test=HTTP, secret=True,
        meaning="Address that is asked. Beyond this machine it should be https://, as passwords go there.")
    method: Method = row(
        "post", Choice[Method]("post", "get"), live=True, test=HTTP,
        meaning="How it is asked. `get` puts the password into the address, which servers log.")
    params: tuple[tuple[str, str], ...] = row(
        "clientid=%c,username=%u,password=%P", PARAMS, live=True, test=HTTP,
        meaning="What is sent: `%c` is the Client Identifier, `%u` the User Name, `%P` the password, `%a` the address, "
                "`%C` the Common Name of its certificate.")
    format: Format = row(
        "form", Choice[Format]("form", "json"), live=True, test=HTTP,
        meaning="Form of what is posted.")
    super_req: str = row(
        "", URL, live=True, test=HTTP, secret=True,
        meaning="Address that says of a client which gets in whether it is a superuser: 200. Empty: nobody is.")
    super_params: tuple[tuple[str, str], ...] = row(
        "clientid=%c,username=%u", PARAMS, live=True, test=HTTP,
        meaning="What is sent there, in the same way.")
    acl_req: str = row(
        "", URL, live=True, test=HTTP, secret=True,
        meaning="Address that is asked what a client may do: `http` in `acl.order`. 200 allows it, or with the body `ignore` has "
                "no say; all else denies.")
    acl_method: Method = row(
        "get", Choice[Method]("post", "get"), live=True, test=HTTP,
        meaning="How it is asked.")
    acl_params: tuple[tuple[str, str], ...] = row(
        "access=%A,username=%u,clientid=%c,ipaddr=%a,topic=%t", PARAMS, live=True, test=HTTP,
        meaning="What is sent there: `%A` is 1 to subscribe and 2 to publish, `%t` the topic, the others are as above.")
    pool: int = row(
        "100", INTEGER, live=True, minimum="1", maximum="10000", test=HTTP,
        meaning="Connections to the server that are kept open: as many as `auth.concurrency`, or some questions need one each, "
                "which costs the broker more than the question.")
