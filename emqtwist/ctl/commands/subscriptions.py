"""subscriptions: what sessions subscribe to, and changes of it by hand."""
from collections.abc import Iterator
from typing import Final

from emqtwist.core.hooks import SESSION_SUBSCRIBED, SESSION_UNSUBSCRIBED
from emqtwist.core.message import NO_IDENTIFIERS
from emqtwist.core.prefixes import Prefixed, canonical, check_filter, subscription_to
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscribing import granted_options
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Step, Words, pair, plain
from emqtwist.ctl.walking import in_order
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, QuotaExceeded

NO_SESSION: Final = "Error: Session not found!"
BUSY: Final = "Error: the worker that would do it is down; try again"


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


def subscribe(context: Context, words: Words) -> list[Line]:
    """With the options that the client itself would be granted. It is not told; retained messages come."""
    client_id, topic, qos = words
    if qos not in ("0", "1", "2"):
        raise Refused("QoS should be 0, 1, 2")
    broker, session, name = context.broker, _session(context, client_id), topic.encode()
    try:
        prefix = check_filter(name, broker.settings.max_topic_levels)
        if prefix is not None:
            broker.subscriptions.check_owner(prefix, session)
        if broker.journal is not None and broker.journal.failing and session.keeps():
            raise QuotaExceeded(f"subscriptions cannot be kept now: {broker.journal.failing}")
    except MQTTError as error:
        raise Refused(f"Error: {error.reason}") from None
    subscription = subscription_to(session, name, granted_options(int(qos), broker.settings), NO_IDENTIFIERS)
    before = session.subscriptions.get(subscription.name())
    write = broker.sessions.subscribe(session, subscription)
    if not write.over or write.error is not None:
        broker.sessions.withdraw(session, subscription, before)
        raise Refused(BUSY)
    broker.sessions.subscribed(session, subscription)
    broker.hooks.run(SESSION_SUBSCRIBED, (client_id, session.user_name, subscription.name(), subscription.options))
    broker.replay_retained(subscription, before is None)
    return [plain("ok")]


def unsubscribe(context: Context, words: Words) -> list[Line]:
    session, name = _session(context, words[0]), words[1].encode()
    broker = context.broker
    subscription = session.subscriptions.get(canonical(name))
    if subscription is None:
        return [plain("ok")]
    write = broker.sessions.unsubscribe(session, subscription)
    if not write.over or write.error is not None:
        broker.sessions.retain(session, subscription)
        raise Refused(BUSY)
    broker.sessions.unsubscribed(session, subscription.name())
    broker.hooks.run(SESSION_UNSUBSCRIBED, (words[0], session.user_name, name))
    return [plain("ok")]


def add(registry: Registry) -> None:
    registry.add("subscriptions list", "", "List all subscriptions", listed, "`<client id> -> <topic>`")
    registry.add("subscriptions show", "<ClientId>", "Show the subscriptions of a client", show,
                 "the same, and below each its options as `  qos     : 1`; or `Not Found.`")
    registry.add("subscriptions add", "<ClientId> <Topic> <QoS>",
                 "Subscribe a client by hand: no hook is asked, nor how many it has", subscribe,
                 f"`ok`, `{NO_SESSION}`, `QoS should be 0, 1, 2`, or `Error: ` and what is wrong with the topic")
    registry.add("subscriptions del", "<ClientId> <Topic>", "End a subscription of a client", unsubscribe,
                 f"`ok` or `{NO_SESSION}`")
