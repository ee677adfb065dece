"""sessions: what the broker, or whatever node of a cluster, keeps for each client."""
from collections.abc import Callable, Iterator
from heapq import heappush, heappushpop

from emqtwist.core.session import Session
from emqtwist.ctl import across
from emqtwist.ctl.commands.clients import word
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Listing, Refused, Registry, Step, Words
from emqtwist.ctl.walking import in_order
from emqtwist.services.slowness import Slow
from emqtwist.services.systopics import NO_ONE

LINE = ("`Session(<id>, clean_sess=<bool>, subscriptions=<n>, max_inflight=<n>, inflight=<n>, mqueue_len=<n>, "
        "mqueue_dropped=<n>, awaiting_rel=<n>, deliver_msg=undefined, enqueue_msg=<n>, created_at=<unix seconds>)`; "
        "deliveries are not counted for each session; what the store has kept counts as created when the broker started, its "
        "`mqueue_dropped` and `enqueue_msg` are since then, and until its client comes `max_inflight` is "
        "`mqtt.session.max_inflight`")
SLOW = ("`Slow(<id>, delay=<ms>, topic=<topic>, messages=<n>, last_at=<unix seconds>)`: the longest delay and the topic of that "
        "message, how many slow messages were delivered since it is in the ranking, and when it was seen to be slow last; or "
        "`Error: <why>`")
TOP = 10
MOST = 1000


def _line(context: Context, session: Session) -> Line:
    backlog = session.backlog
    clean = session.expiry_interval <= 0
    columns: dict[str, object] = {
        "client_id": session.client_id, "clean_sess": clean, "subscriptions": len(session.subscriptions),
        "max_inflight": session.inflight.window or context.broker.settings.max_inflight,
        "inflight": len(session.inflight.held), "mqueue_len": session.queued(),
        "mqueue_dropped": 0 if backlog is None else backlog.dropped, "awaiting_rel": len(session.received),
        "deliver_msg": None, "enqueue_msg": 0 if backlog is None else backlog.entered,
        "created_at": context.unix(session.created_at)}
    shown = {**columns, "clean_sess": word(clean), "deliver_msg": NO_ONE}
    del shown["client_id"]
    return f"Session({session.client_id}, {', '.join(f'{key}={value}' for key, value in shown.items())})", columns


def _listed(wanted: Callable[[Session], bool]) -> Listing:
    def listed(context: Context, words: Words) -> Iterator[Step]:
        by_id = context.broker.sessions.by_id
        for client_id in in_order(list(by_id)):
            session = None if client_id is None else by_id.get(client_id)
            yield None if session is None or not wanted(session) else _line(context, session)
    return listed


def show(context: Context, words: Words) -> Iterator[Line]:
    session = context.broker.sessions.by_id.get(words[0])
    if session is None:
        raise Refused("Not Found.")
    yield _line(context, session)


def top(context: Context, words: Words) -> Iterator[Step]:
    """Most messages under way or waiting first; of equals, the one that comes first in order."""
    count = _count(words[0] if words else str(TOP))
    by_id = context.broker.sessions.by_id
    most: list[tuple[int, int, str]] = []
    for place, client_id in enumerate(list(by_id)):
        session = by_id.get(client_id)
        if session is not None:
            entry = session.load(), -place, client_id
            if len(most) < count:
                heappush(most, entry)
            else:
                heappushpop(most, entry)
        yield None
    for _, _, client_id in sorted(most, reverse=True):
        session = by_id.get(client_id)
        yield None if session is None else _line(context, session)


def slow(context: Context, words: Words) -> Iterator[Step]:
    """The slowest subscribers first, with what they have not got yet."""
    count = _count(words[0] if words else str(MOST))
    if not context.service.modules.known["slow_subs"].active:
        raise Refused("Error: the module slow_subs is not loaded")
    slowness, by_id = context.service.slowness, context.broker.sessions.by_id
    for client_id in list(by_id):
        session = by_id.get(client_id)
        if session is not None:
            slowness.look(session)
        yield None
    for each in slowness.ranking()[:count]:
        yield _slow(context, each)


def _slow(context: Context, slow: Slow) -> Line:
    columns: dict[str, object] = {
        "client_id": slow.client_id, "delay": int(slow.delay * 1000), "topic": slow.topic.decode(), "messages": slow.messages,
        "last_at": context.unix(slow.last)}
    shown = ", ".join(f"{key}={value}" for key, value in columns.items() if key != "client_id")
    return f"Slow({slow.client_id}, {shown})", columns


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise Refused(f"Count should be from 1 to {MOST}")
    return int(text)


def add(registry: Registry) -> None:
    across.add(registry, "sessions list", "", "List all sessions", _listed(lambda session: True), LINE)
    across.add(registry, "sessions list persistent", "", "List the sessions that outlive their connection",
               _listed(lambda session: session.expiry_interval > 0), "the same")
    across.add(registry, "sessions list transient", "", "List the sessions that end with their connection",
               _listed(lambda session: session.expiry_interval <= 0), "the same")
    across.add_one(registry, "sessions show", "<ClientId>", "Show a session", show, "the same, or `Not Found.`")
    registry.add("sessions top", "", f"Show the {TOP} sessions of this node with most messages under way or waiting", top,
                 "the same")
    registry.add("sessions top", "<Count>", "Show that many of them", top, "the same")
    registry.add("sessions slow", "", "Rank the subscribers of this node whose messages take longest (module slow_subs)", slow,
                 SLOW)
    registry.add("sessions slow", "<Count>", "Show that many of them", slow, "the same")
