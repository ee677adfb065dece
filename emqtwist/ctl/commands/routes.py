"""routes and topics: which Topic Filters lead where."""
from collections.abc import Iterator

from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Step, Words
from emqtwist.ctl.walking import in_order


def _route(context: Context, topic: str) -> Line:
    return f"{topic} -> {context.node}", {"topic": topic, "node": context.node}


def _filters(context: Context) -> Iterator[str | None]:
    """Every Topic Filter that somebody subscribes to, without what stands before shared ones."""
    router = context.broker.router
    for topic_filter in in_order(router.filters()):
        yield None if topic_filter is None or not router.holds(topic_filter) else topic_filter.decode(errors="replace")


def routes(context: Context, words: Words) -> Iterator[Step]:
    for topic in _filters(context):
        yield None if topic is None else _route(context, topic)


def topics(context: Context, words: Words) -> Iterator[Step]:
    for topic in _filters(context):
        yield None if topic is None else (topic, {"topic": topic})


def show(context: Context, words: Words) -> Iterator[Line]:
    """Nothing when nobody subscribes to it, as in emqttd."""
    if context.broker.router.holds(words[0].encode()):
        yield _route(context, words[0])


def add(registry: Registry) -> None:
    registry.add("routes list", "", "List the routes", routes, "`<topic> -> <node>`")
    registry.add("routes show", "<Topic>", "Show the routes of a Topic Filter", show, "the same, or nothing")
    registry.add("topics list", "", "List the Topic Filters that are subscribed to", topics, "one in a line")
    registry.add("topics show", "<Topic>", "Show where a Topic Filter leads", show, "`<topic> -> <node>`, or nothing")
