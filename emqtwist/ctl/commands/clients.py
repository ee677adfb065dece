"""clients: who is connected, to whatever node of a cluster."""
from collections.abc import Iterator

from emqtwist.core.connection import Connection
from emqtwist.ctl import across
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Step, Words
from emqtwist.ctl.walking import in_order
from emqtwist.mqtt.constants import ADMINISTRATIVE_ACTION
from emqtwist.mqtt.errors import MQTTError
from emqtwist.services.systopics import NO_ONE

LINE = "`Client(<id>, clean_sess=<bool>, username=<name>, peername=<ip:port>, connected_at=<unix seconds>)`"


def word(flag: bool) -> str:
    return "true" if flag else "false"


def connection_of(context: Context, client_id: str) -> Connection | None:
    session = context.broker.sessions.by_id.get(client_id)
    link = None if session is None else session.link
    return link if isinstance(link, Connection) else None


def _line(context: Context, client: Connection) -> Line:
    session = client.session
    clean = session is None or session.expiry_interval <= 0
    at = context.unix(client.connected_at)
    columns: dict[str, object] = {"client_id": client.client_id, "clean_sess": clean, "username": client.user_name,
                                  "peername": client.peer.text, "connected_at": at}
    name = NO_ONE if client.user_name is None else client.user_name
    return (f"Client({client.client_id}, clean_sess={word(clean)}, username={name}, peername={client.peer.text}, "
            f"connected_at={at})"), columns


def listed(context: Context, words: Words) -> Iterator[Step]:
    for client_id in in_order(list(context.broker.sessions.by_id)):
        client = None if client_id is None else connection_of(context, client_id)
        yield None if client is None else _line(context, client)


def _found(context: Context, client_id: str) -> Connection:
    client = connection_of(context, client_id)
    if client is None:
        raise Refused("Not Found.")
    return client


def show(context: Context, words: Words) -> Iterator[Line]:
    yield _line(context, _found(context, words[0]))


def kick(context: Context, words: Words) -> list[Line]:
    """Its session goes on as it would after any other end; emqttd prints nothing either."""
    _found(context, words[0]).fail(MQTTError("an administrator has ended this connection", ADMINISTRATIVE_ACTION))
    return []


def add(registry: Registry) -> None:
    across.add(registry, "clients list", "", "List all clients that are connected", listed, LINE)
    across.add_one(registry, "clients show", "<ClientId>", "Show a client", show, "the same, or `Not Found.`")
    across.add_one(registry, "clients kick", "<ClientId>", "End the connection of a client", kick, "nothing, or `Not Found.`")
