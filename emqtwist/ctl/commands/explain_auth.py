"""explain auth: whom a login would be shown to, and what they say of it."""
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from emqtwist.access.chain import DENY, ERROR, IGNORE, OK, Told
from emqtwist.core.access import Client, Deny, Finding, Ok
from emqtwist.core.door import Door, Peer
from emqtwist.core.hooks import CLIENT_AUTHENTICATE
from emqtwist.core.who import address_of
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words
from emqtwist.mqtt.constants import REASON_NAMES
from emqtwist.services.systopics import NO_ONE

SAYS: Final = {OK: "decides", DENY: "decides", IGNORE: "does not know it", ERROR: "has failed"}


async def explain(context: Context, words: Words) -> list[Line]:
    """Who is asked, and how, is what a CONNECT would find: by the same function. Of a password nothing is told."""
    client, password = _client(context, words), words[4].encode() if len(words) > 4 and words[4] else None
    access, chain = context.service.access, context.service.access.chain(client.listener)
    decision = await access.decide(client, password, lambda: True)
    lines = [_who(client, password)]
    lines += [_told(told) for told in decision.story]
    lines += [_line(stage.name, "", "is not asked") for stage in chain[len(decision.story):]]
    hooks = context.broker.hooks.at[CLIENT_AUTHENTICATE]
    if hooks and not isinstance(decision.finding, Deny):
        lines.append(_line("client.authenticate", f"{len(hooks)} functions", "have the last word, and are not asked here"))
    return [*lines, _result(context, client, password, decision.finding, bool(chain))]


def _client(context: Context, words: Sequence[str]) -> Client:
    client_id, user_name, host, listener = words[:4]
    if listener not in context.service.listeners:
        raise Refused("Error: Listener not found!")
    address = address_of(host)
    if address is None:
        raise Refused("Error: not an IP address")
    peer = Peer(host, str(address), ip_address(address).is_loopback)
    return Client(client_id, None if user_name == NO_ONE else user_name, Door(listener), peer)


def _who(client: Client, password: bytes | None) -> Line:
    name, has = NO_ONE if client.user_name is None else client.user_name, "without" if password is None else "with"
    columns: dict[str, object] = {"client_id": client.client_id, "username": client.user_name, "address": client.address,
                                  "listener": client.listener, "password": password is not None}
    text = f"Client({client.client_id}, username={name}, address={client.address}) at {client.listener}, {has} a password"
    return text, columns


def _told(told: Told) -> Line:
    return _line(told.name, told.outcome + (f": {told.why}" if told.why else ""), SAYS[told.outcome])


def _line(name: str, said: str, result: str) -> Line:
    return f"{name}: {said + ': ' if said else ''}{result}", {"authenticator": name, "said": said, "result": result}


def _result(context: Context, client: Client, password: bytes | None, finding: Finding, asked: bool) -> Line:
    if isinstance(finding, Ok):
        result = "ok, superuser" if finding.superuser else "ok"
    elif isinstance(finding, Deny):
        result = f"deny, {REASON_NAMES[finding.error.reason_code]}"
    elif asked and (client.user_name is not None or password is not None):
        result = "deny, as nobody knows who it says that it is"
    else:
        allowed = context.broker.settings.allow_anonymous
        admitted = allowed == "on" or (allowed == "loopback" and client.loopback)
        result = f"{'ok' if admitted else 'deny'}, as mqtt.allow_anonymous is {allowed}"
    return result, {"result": result}


def add(registry: Registry) -> None:
    words = "<ClientId> <User> <Address> <Listener>"
    registry.add_waiting("explain auth", words,
                         f"Show who is asked about a login, and what they say; `{NO_ONE}` is no user name; the password is asked "
                         "for, or is a line of standard input, and an empty one is none", explain,
                         "whom they are asked about, then `<authenticator>: <what it says>: <result>` for each, then `ok`, `ok, "
                         "superuser` or `deny`, and why; never the password. Certificates and Authentication Methods are not "
                         "looked at",
                         asks_password=True)
    registry.add_waiting("explain auth", f"{words} <Password>", "The same; others see what stands in a command", explain,
                         "the same")
