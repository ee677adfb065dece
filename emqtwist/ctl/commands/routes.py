"""routes and topics: which Topic Filters lead to which nodes. Each node knows the routes of all."""
from collections.abc import Iterator

from emqtwist.core.bridges.bridge import Bridge
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.group import Group
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Step, Words
from emqtwist.ctl.walking import in_order


def _nodes(context: Context, topic_filter: bytes) -> list[str]:
    """Where somebody subscribes to it, this node first."""
    found: set[str] = set()
    for holder in context.broker.router.holders(topic_filter):
        if isinstance(holder, Peer) and not isinstance(holder, Bridge):  # those of this node lead on from here
            found.add(holder.name)
        elif isinstance(holder, Group):
            for members in (holder.here, holder.away):
                found |= {subscription.node or context.node for subscription in members.queue.values()}
        else:
            found.add(context.node)
    return sorted(found, key=lambda node: (node != context.node, node))


def _routes(context: Context, topic_filter: bytes) -> Iterator[Line]:
    topic = topic_filter.decode(errors="replace")
    for node in _nodes(context, topic_filter):
        yield f"{topic} -> {node}", {"topic": topic, "node": node}


def _filters(context: Context) -> Iterator[bytes | None]:
    """Every Topic Filter that somebody subscribes to, without what stands before shared ones."""
    router = context.broker.router
    for topic_filter in in_order(router.filters()):
        yield None if topic_filter is None or not router.holds(topic_filter) else topic_filter


def routes(context: Context, words: Words) -> Iterator[Step]:
    for topic_filter in _filters(context):
        yield None
        if topic_filter is not None:
            yield from _routes(context, topic_filter)


def topics(context: Context, words: Words) -> Iterator[Step]:
    for topic_filter in _filters(context):
        topic = "" if topic_filter is None else topic_filter.decode(errors="replace")
        yield None if topic_filter is None else (topic, {"topic": topic})


def show(context: Context, words: Words) -> Iterator[Line]:
    """Nothing when nobody subscribes to it, as in emqttd."""
    yield from _routes(context, words[0].encode())


def show_topic(context: Context, words: Words) -> Iterator[Line]:
    nodes = _nodes(context, words[0].encode())
    if nodes:
        yield f"{words[0]} -> {','.join(nodes)}", {"topic": words[0], "node": ",".join(nodes)}


def add(registry: Registry) -> None:
    registry.add("routes list", "", "List the routes", routes, "`<topic> -> <node>`, a line for each node")
    registry.add("routes show", "<Topic>", "Show the routes of a Topic Filter", show, "the same, or nothing")
    registry.add("topics list", "", "List the Topic Filters that are subscribed to", topics, "one in a line")
    registry.add("topics show", "<Topic>", "Show where a Topic Filter leads", show_topic,
                 "`<topic> -> <node>,<node>`, or nothing")
