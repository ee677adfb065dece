"""explain: whom a message reaches, what was decided about a client, and what became of messages that reached nobody."""
from collections.abc import Iterator
from typing import Final

from emqtwist.core.bridges.bridge import Bridge
from emqtwist.core.causes import DROPS
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.seats import Seat
from emqtwist.core.group import Group
from emqtwist.core.reserved import is_reserved
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscriber, Subscription
from emqtwist.ctl.context import Context
from emqtwist.ctl.filters import topic_filter_of
from emqtwist.ctl.registry import Line, Refused, Registry, Step, Words, plain
from emqtwist.mqtt.constants import OPTION_NO_LOCAL, OPTION_QOS
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_name, matches

IN_PROCESS: Final = "(this process)"


def route(context: Context, words: Words) -> Iterator[Line]:
    """The route is the one that a PUBLISH takes."""
    topic, broker = words[0].encode(), context.broker
    try:
        check_topic_name(topic, broker.settings.max_topic_levels)
    except MQTTError as error:
        raise Refused(f"Error: {error.reason}") from None
    if is_reserved(topic):
        yield plain("clients may not publish to it: it is the broker's own")
    found = broker.router.route(topic)
    if not found:
        yield plain("it reaches nobody")
    for subscription in list(found):
        yield from _receiver(context, subscription)


def _receiver(context: Context, subscription: Subscription) -> Iterator[Line]:
    subscriber = subscription.subscriber
    if isinstance(subscriber, Group):
        yield _group(context, subscriber)
        return
    filters = [part.name().decode(errors="replace") for part in subscription.parts()]
    client_id, state = _name(subscriber), _state(subscriber)
    qos, no_local = subscription.options & OPTION_QOS, subscription.options & OPTION_NO_LOCAL != 0
    columns: dict[str, object] = {"client_id": client_id, "filters": filters, "qos": qos, "no_local": no_local, "state": state}
    own = ", but not what it publishes itself" if no_local else ""
    yield f"{client_id} by {' and '.join(filters)}, up to QoS {qos}{own}: {state}", columns


def _group(context: Context, group: Group) -> Line:
    name, strategy = group.name.decode(errors="replace"), context.broker.settings.shared_strategy
    here, away = [[_name(each) for each in members.order] for members in (group.here, group.away)]
    columns: dict[str, object] = {"group": name, "here": here, "away": away, "strategy": strategy}
    return f"one of {name} ({strategy}): here {', '.join(here) or 'nobody'}; away {', '.join(away) or 'nobody'}", columns


def _name(subscriber: Subscriber) -> str:
    if isinstance(subscriber, Seat):
        return f"(one of node {subscriber.bench.peer.name})"
    if isinstance(subscriber, Bridge):
        return f"(bridge {subscriber.terms.name} to node {subscriber.name})"
    if isinstance(subscriber, Peer):
        return f"(node {subscriber.name})"
    return subscriber.client_id or IN_PROCESS


def _state(subscriber: Subscriber) -> str:
    if isinstance(subscriber, Peer):
        return f"it is {'not ' if subscriber.absent() else ''}connected, and {subscriber.load()} messages are on their way to it"
    if not isinstance(subscriber, Session):
        return "it is called at once"
    link, waiting = subscriber.link, subscriber.queued()
    if link is None:
        return f"it is away, and {waiting} messages wait for it"
    if link.congested:
        return f"it is too slow, and {waiting} messages wait for it"
    return f"it is connected, and {waiting} messages wait for it" if waiting else "it is connected"


def client(context: Context, words: Words) -> Iterator[Line]:
    found = context.service.decisions.of(words[0])
    if not found:
        raise Refused("Nothing is known of it.")
    for each in found:
        at, cause = context.unix(each.at), f"{each.cause}: " if each.cause else ""
        columns: dict[str, object] = {"at": at, "peer": each.peer, "what": each.what, "cause": each.cause, "reason": each.reason}
        yield f"{at} {each.what} from {each.peer}: {cause}{each.reason}", columns


def _drops(context: Context, topic_filter: bytes = b"", client_id: str = "") -> Iterator[Step]:
    """In the order of causes, then of time."""
    for cause, drops in context.broker.circle.drops.by_cause.items():
        for when, topic, publisher, receiver in list(drops):
            wanted = not topic_filter or matches(topic_filter, topic)
            if not wanted or (client_id and client_id not in (publisher, receiver)):
                yield None
                continue
            at, name = context.unix(when), topic.decode(errors="replace")
            columns: dict[str, object] = {"at": at, "cause": cause, "topic": name, "publisher": publisher, "client_id": receiver}
            whom = f" for {receiver}" if receiver else ""
            yield f"{at} {cause}: {name} from {publisher or IN_PROCESS}{whom}: {DROPS[cause]}", columns


def drop(context: Context, words: Words) -> Iterator[Step]:
    return _drops(context)


def drop_topic(context: Context, words: Words) -> Iterator[Step]:
    return _drops(context, topic_filter_of(words[0]))


def drop_client(context: Context, words: Words) -> Iterator[Step]:
    return _drops(context, client_id=words[0])


def add(registry: Registry) -> None:
    drops = "`<unix seconds> <cause>: <topic> from <client id> for <client id>: <why>`, the last 100 of each cause"
    registry.add("explain route", "<Topic>", "Show who would get what is published to a topic, and why", route,
                 "`<client id> by <filters>, up to QoS <n>: <how it is>`, and `one of <group>` with its members; or `it reaches "
                 "nobody`")
    registry.add("explain client", "<ClientId>", "Show when a client came, and why it was refused or its connections ended",
                 client,
                 "`<unix seconds> connected from <ip:port>: <how>` and `<unix seconds> ended from <ip:port>: <cause>: <why>`, of "
                 "the last 1000 of all clients; or `Nothing is known of it.`")
    registry.add("explain drop", "", "Show what was dropped lately, and why", drop, drops)
    registry.add("explain drop topic", "<Filter>", "Show what was dropped where a filter selects the topic", drop_topic,
                 "the same")
    registry.add("explain drop client", "<ClientId>", "Show what was dropped of a client, or for it", drop_client, "the same")
