"""bridges: messages to nodes outside the cluster."""
from collections.abc import Iterator
from typing import Final

from emqtwist.config.sections.bridge import BridgeSection
from emqtwist.config.sections.cluster import is_place
from emqtwist.config.table import Table
from emqtwist.config.tree import Config
from emqtwist.core.bridges.terms import BadBridge, BridgeTerms
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, pair, plain

OPTIONS: Final = {"prefix": "string", "suffix": "string", "queue": "integer", "bytes": "integer", "qos": "0 | 1 | 2",
                  "address": "host:port"}
EXAMPLE: Final = "prefix=abc/,suffix=/yxz,queue=1000"
BELOW: Final = ("name", "status", "reason", "queued", "taken", "sent", "dropped", "returned")
ROWS: Final = Table(Config).named["bridge"]


def listed(context: Context, words: Words) -> Iterator[Line]:
    for bridge in context.service.bridges.bridges.known.values():
        terms = bridge.terms
        topic = terms.topic_filter.decode()
        columns: dict[str, object] = {"name": terms.name, "local": context.node, "topic": topic, "node": terms.node}
        yield f"bridge: {context.node}--{topic}-->{terms.node}", columns


def status(context: Context, words: Words) -> Iterator[Line]:
    crossings = context.service.bridges
    for bridge in crossings.bridges.known.values():
        terms, problem = bridge.terms, crossings.ways[bridge.terms.name].problem
        topic = terms.topic_filter.decode()
        columns: dict[str, object] = {
            "name": terms.name, "topic": topic, "node": terms.node, "status": "up" if bridge.is_up else "down", "reason": problem,
            "queued": len(bridge.outbox), "taken": bridge.taken, "sent": bridge.sent, "dropped": bridge.dropped,
            "returned": bridge.returned}
        yield f"bridge: {context.node}--{topic}-->{terms.node}", columns
        for key in BELOW:
            if columns[key] != "":
                yield pair(key, columns[key], 16, "  ")[0], {}


def options(context: Context, words: Words) -> Iterator[Line]:
    yield plain("Options:")
    for name, kind in OPTIONS.items():
        yield f"  {name:<7} = {kind}", {"option": name, "type": kind}
    yield plain("Example:")
    yield plain(f"  {EXAMPLE}")


def _read(text: str) -> dict[str, str]:
    """`k=v,k=v`."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, _, value = part.partition("=")
        if key not in OPTIONS:
            raise Refused(f"Bad Option: {key}")
        found[key] = value
    return found


def _terms(context: Context, node: str, topic: str, said: dict[str, str]) -> BridgeTerms:
    """As a section of the configuration with these values."""
    rows = {"prefix": "prefix", "suffix": "suffix", "queue": "max_queue_len", "bytes": "max_queue_bytes", "qos": "qos"}
    values: dict[str, object] = {}
    for key, text in said.items():
        if key == "address":
            if not is_place(text):
                raise Refused("Bad Option: address")
            continue
        try:
            values[rows[key]] = ROWS[rows[key]].read(text)
        except ValueError:
            raise Refused(f"Bad Option: {key}") from None
    if not ROWS["node"].holds(node):
        raise Refused(f"error: {{bad_node,{node}}}")
    section = BridgeSection(name="", node=node, topic=topic, **values)  # type: ignore[arg-type]
    return BridgeTerms(context.service.bridges.bridges.free_name(node), node, said.get("address", ""), topic.encode(),
                       section.prefix.encode(), section.suffix.encode(), section.qos, section.max_queue_len,
                       section.max_queue_bytes, section.on_full, by_hand=True)


async def start(context: Context, words: Words) -> list[Line]:
    said = _read(words[2] if len(words) > 2 else "")
    cluster = context.service.config.cluster
    if not cluster.cookie and not cluster.certificate:
        raise Refused("error: no_cookie: [cluster] has neither a cookie nor a certificate to show to the other node")
    try:
        await context.service.bridges.start(_terms(context, words[0], words[1], said))
    except BadBridge as error:
        raise Refused(f"error: {error}") from None
    return [plain("bridge is started.")]


async def stop(context: Context, words: Words) -> list[Line]:
    crossings = context.service.bridges
    bridge = crossings.bridges.find(words[0], words[1].encode())
    if bridge is None:
        raise Refused("error: not_found")
    await crossings.stop(bridge)
    return [plain("bridge is stopped.")]


def add(registry: Registry) -> None:
    registry.add("bridges list", "", "List the bridges to other nodes", listed, "`bridge: <local node>--<topic>--><node>`")
    registry.add("bridges status", "", "How they are", status,
                 "the same, and below it " + ", ".join(f"`{key}`" for key in BELOW))
    registry.add("bridges options", "", "Show what can be said of a bridge that is started", options,
                 "the names of the options, and an example")
    prints = "`bridge is started.`, or `error: <why>`"
    meaning = "Start a bridge, which stays until it is stopped"
    registry.add_waiting("bridges start", "<Node> <Topic>", meaning, start, prints)
    registry.add_waiting("bridges start", "<Node> <Topic> <Options>", f"{meaning}, with options", start, prints)
    registry.add_waiting("bridges stop", "<Node> <Topic>", "Take a bridge down, and drop what waits for it", stop,
                         "`bridge is stopped.`, or `error: <why>`")
