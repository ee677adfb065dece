"""clients: who is connected."""
from collections.abc import Iterator, Sequence

from emqtwist.core.connection import Connection
from emqtwist.ctl.registry import Context, Line, Refused, Registry


def _line(client: Connection) -> Line:
    columns: dict[str, object] = {"client_id": client.client_id, "username": client.user_name, "peername": client.peer}
    name = "undefined" if client.user_name is None else client.user_name
    return f"Client({client.client_id}, username={name}, peername={client.peer})", columns


def listed(context: Context, words: Sequence[str]) -> Iterator[Line]:
    for client in list(context.broker.links):  # references only: those that leave meanwhile are passed over
        if isinstance(client, Connection) and client.session is not None and client in context.broker.links:
            yield _line(client)


def show(context: Context, words: Sequence[str]) -> Iterator[Line]:
    session = context.broker.sessions.by_id.get(words[0])
    if session is None or not isinstance(session.link, Connection):
        raise Refused("Not Found.")
    yield _line(session.link)


def add(registry: Registry) -> None:
    registry.add("clients list", "", "List all clients", listed)
    registry.add("clients show", "<ClientId>", "Show a client", show)
