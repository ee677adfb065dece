"""subscriptions: what sessions subscribe to, and changes of it by hand."""
from collections.abc import Iterator
from typing import Final

from emqtwist.core.by_hand import ByHand, Subscribing, Unsubscribing
from emqtwist.core.prefixes import Prefixed
from emqtwist.core.request import DEFECT
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.ctl import across
from emqtwist.ctl.awaiting import decided
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Step, Words, pair, plain
from emqtwist.ctl.walking import in_order
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError

NO_SESSION: Final = "Error: Session not found!"


def _name(subscription: Subscription) -> str:
    return subscription.name().decode(errors="replace")


def _line(session: Session, subscription: Subscription) -> Line:
    topic = _name(subscription)
    return f"{session.client_id} -> {topic}", {"client_id": session.client_id, "topic": topic, **_options(subscription)}


def _options(subscription: Subscription) -> dict[str, object]:
    options = subscription.options
    found: dict[str, object] = {"qos": options & c.OPTION_QOS}
    if isinstance(subscription, Prefixed):
        prefix = subscription.prefix
        found |= {"share": prefix.group.decode(errors="replace"), "local": prefix.local, "only": prefix.exclusive}
    found |= {"no_local": options & c.OPTION_NO_LOCAL != 0, "rap": options & c.OPTION_RETAIN_AS_PUBLISHED != 0}
    return {key: value for key, value in found.items() if key == "qos" or value}


def listed(context: Context, words: Words) -> Iterator[Step]:
    by_id = context.broker.sessions.by_id
    for client_id in in_order(list(by_id)):
        session = None if client_id is None else by_id.get(client_id)
        yield None
        if session is not None:
            for subscription in list(session.subscriptions.values()):
                yield _line(session, subscription)


def show(context: Context, words: Words) -> Iterator[Line]:
    session = context.broker.sessions.by_id.get(words[0])
    if session is None or not session.subscriptions:
        raise Refused("Not Found.")
    for subscription in list(session.subscriptions.values()):
        yield _line(session, subscription)
        for key, value in _options(subscription).items():
            line, _ = pair(key, "true" if value is True else value, 8, "  ")
            yield line, {}


def _session(context: Context, client_id: str) -> Session:
    session = context.broker.sessions.by_id.get(client_id)
    if session is None:
        raise Refused(NO_SESSION)
    return session


async def _done(context: Context, job: ByHand) -> list[Line]:
    """Once it took effect and, where the store keeps the session, is stored."""
    broker = context.broker
    broker.pools.server.submit(job)
    if not job.over:
        await decided(broker.turn, job.when_over())
    if job.error is not None:
        raise Refused(f"Error: {job.error.reason if isinstance(job.error, MQTTError) else DEFECT}")
    await decided(broker.turn, job.stored())
    return [plain("ok")]


async def subscribe(context: Context, words: Words) -> list[Line]:
    client_id, topic, qos = words
    if qos not in ("0", "1", "2"):
        raise Refused("QoS should be 0, 1, 2")
    return await _done(context, Subscribing(context.broker, _session(context, client_id), topic.encode(), int(qos)))


async def unsubscribe(context: Context, words: Words) -> list[Line]:
    return await _done(context, Unsubscribing(context.broker, _session(context, words[0]), words[1].encode()))


def add(registry: Registry) -> None:
    across.add(registry, "subscriptions list", "", "List all subscriptions", listed, "`<client id> -> <topic>`")
    across.add_one(registry, "subscriptions show", "<ClientId>", "Show the subscriptions of a client", show,
                   "the same, and below each its options as `  qos     : 1`; or `Not Found.`")
    registry.add_waiting("subscriptions add", "<ClientId> <Topic> <QoS>",
                         "Subscribe a client by hand: no hook is asked, nor how many it has", subscribe,
                         f"`ok` once it is stored, where the session is; `{NO_SESSION}`, `QoS should be 0, 1, 2`, or `Error: ` "
                         "and what is wrong with the topic or the store")
    registry.add_waiting("subscriptions del", "<ClientId> <Topic>", "End a subscription of a client", unsubscribe,
                         f"`ok` once that is stored, where the session is; `{NO_SESSION}`, or `Error: ` and what is wrong with "
                         "the store")
