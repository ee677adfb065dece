"""sessions and subscriptions: what the broker keeps for each client."""
from collections.abc import Callable, Iterator, Sequence

from emqtwist.core.session import Session
from emqtwist.ctl.registry import Context, Line, Refused, Registry
from emqtwist.mqtt.constants import OPTION_QOS


def _line(session: Session) -> Line:
    waiting = 0 if session.backlog is None else len(session.backlog.queue)
    columns: dict[str, object] = {
        "subscriptions": len(session.subscriptions), "max_inflight": session.inflight.window,
        "inflight": len(session.inflight.held), "mqueue_len": waiting, "awaiting_rel": len(session.received)}
    values = ", ".join(f"{key}={value}" for key, value in columns.items())
    return f"Session({session.client_id}, {values})", {"client_id": session.client_id, **columns}


def _listed(wanted: Callable[[Session], bool]) -> Callable[[Context, Sequence[str]], Iterator[Line]]:
    def listed(context: Context, words: Sequence[str]) -> Iterator[Line]:
        by_id = context.broker.sessions.by_id
        for client_id in list(by_id):
            session = by_id.get(client_id)
            if session is not None and wanted(session):
                yield _line(session)
    return listed


def _session(context: Context, client_id: str) -> Session:
    session = context.broker.sessions.by_id.get(client_id)
    if session is None:
        raise Refused("Not Found.")
    return session


def show(context: Context, words: Sequence[str]) -> Iterator[Line]:
    yield _line(_session(context, words[0]))


def _subscriptions(session: Session) -> Iterator[Line]:
    for topic_filter, subscription in list(session.subscriptions.items()):
        text = topic_filter.decode(errors="replace")
        yield (f"{session.client_id} -> {text}",
               {"client_id": session.client_id, "topic": text, "qos": subscription.options & OPTION_QOS})


def subscriptions(context: Context, words: Sequence[str]) -> Iterator[Line]:
    by_id = context.broker.sessions.by_id
    for client_id in list(by_id):
        if client_id in by_id:
            yield from _subscriptions(by_id[client_id])


def subscriptions_show(context: Context, words: Sequence[str]) -> Iterator[Line]:
    yield from _subscriptions(_session(context, words[0]))


def add(registry: Registry) -> None:
    registry.add("sessions list", "", "List all sessions", _listed(lambda session: True))
    registry.add("sessions list persistent", "", "List the sessions that outlive a connection",
                 _listed(lambda session: session.expiry_interval > 0))
    registry.add("sessions list transient", "", "List the sessions that do not",
                 _listed(lambda session: session.expiry_interval <= 0))
    registry.add("sessions show", "<ClientId>", "Show a session", show)
    registry.add("subscriptions list", "", "List all subscriptions", subscriptions)
    registry.add("subscriptions show", "<ClientId>", "Show the subscriptions of a client", subscriptions_show)
