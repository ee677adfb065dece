"""routes and topics: which Topic Filters lead where."""
from collections.abc import Iterator, Sequence

from emqtwist.ctl.registry import Context, Line, Refused, Registry, plain


def _filters(context: Context) -> Iterator[str]:
    seen: dict[bytes, None] = {}
    by_id = context.broker.sessions.by_id
    for client_id in list(by_id):
        for topic_filter in list(by_id[client_id].subscriptions) if client_id in by_id else []:
            if topic_filter not in seen:
                seen[topic_filter] = None
                yield topic_filter.decode(errors="replace")


def _route(context: Context, topic: str) -> Line:
    return f"{topic} -> {context.node}", {"topic": topic, "node": context.node}


def routes(context: Context, words: Sequence[str]) -> Iterator[Line]:
    return (_route(context, topic) for topic in _filters(context))


def topics(context: Context, words: Sequence[str]) -> Iterator[Line]:
    return (plain(topic) for topic in _filters(context))


def show(context: Context, words: Sequence[str]) -> Iterator[Line]:
    topic = words[0]
    if not any(topic.encode() in session.subscriptions for session in context.broker.sessions.by_id.values()):
        raise Refused("Not Found.")
    yield _route(context, topic)


def add(registry: Registry) -> None:
    registry.add("routes list", "", "List the routes of clients' subscriptions", routes)
    registry.add("routes show", "<Topic>", "Show a route", show)
    registry.add("topics list", "", "List the Topic Filters of clients", topics)
    registry.add("topics show", "<Topic>", "Show a Topic Filter", show)
