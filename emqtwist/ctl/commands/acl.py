"""acl, explain acl: the access rules, and what they say about somebody."""
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from emqtwist.access.authorizers import Authorizer
from emqtwist.access.chain import ERROR, IGNORE, Told
from emqtwist.config import ConfigError
from emqtwist.core.access import Client
from emqtwist.core.acl import DECIDES, OTHER_TOPIC, PASSES, PUBLISH, SUBSCRIBE, Acl, Rule
from emqtwist.core.door import Door, Peer
from emqtwist.core.prefixes import check_filter
from emqtwist.core.reserved import is_reserved
from emqtwist.core.who import asker
from emqtwist.ctl.commands.clients import connection_of
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, plain
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_name
from emqtwist.services.systopics import NO_ONE

ACCESS: Final = {"publish": PUBLISH, "subscribe": SUBSCRIBE}
SAYS: Final = {IGNORE: "has no say", ERROR: "has failed"}


def _rules(context: Context) -> Acl:
    acl = context.broker.acl
    if acl is None:
        raise Refused("There are no access rules: everybody may do everything.")
    return acl


def listed(context: Context, words: Words) -> Iterator[Line]:
    acl = _rules(context)
    for rule in [*acl.rules, acl.otherwise]:
        yield f"{rule.place}: {rule.text}", {"place": rule.place, "rule": rule.text}


def again(context: Context, words: Words) -> list[Line]:
    try:
        context.service.reload_acl()
    except ConfigError as error:
        raise Refused(str(error)) from None
    return [plain("reload acl_internal successfully")]


async def explain(context: Context, words: Words) -> list[Line]:
    """What is asked is what a packet of the client would ask, by the same functions."""
    client_id, action, topic = words
    acl = _rules(context)
    if action not in ACCESS:
        raise Refused("Error: publish or subscribe")
    asked, client = _asked(context, action, topic.encode()), _client(context, client_id)
    trail: dict[Rule, int] = {}
    authorization, story = context.service.authorization, iter(tuple[Told, ...]())
    order: Sequence[Authorizer | None] = [None]
    if acl.authority is None or client.superuser:
        rule = acl.decide(asker(client), ACCESS[action], asked, trail)
    else:
        decided = await authorization.decide(acl, client, ACCESS[action], asked, lambda: True, trail)
        rule, story, order = decided.ruling.rule, iter(decided.story), authorization.order
    lines = [_who(client)]
    for stage in [] if client.superuser else order:
        lines += _said(acl, trail) if stage is None else [_told(stage.place, told) for told in islice(story, 1)]
        if lines[-1][1].get("result") == PASSES[DECIDES] or (stage is not None and rule.failed and rule.place == stage.place):
            break  # nobody else was asked
    if rule is acl.otherwise or rule is acl.superusers:
        lines.append(_line(rule, DECIDES))
    return [*lines, _result(rule, action, asked)]


def _said(acl: Acl, trail: dict[Rule, int]) -> Iterator[Line]:
    """What each rule has said, until one has decided."""
    for rule in acl.rules:
        passes = trail.get(rule, OTHER_TOPIC)
        yield _line(rule, passes)
        if passes == DECIDES:
            return


def _line(rule: Rule, passes: int) -> Line:
    return f"{rule.place}: {rule.text}: {PASSES[passes]}", {"place": rule.place, "rule": rule.text, "result": PASSES[passes]}


def _told(place: str, told: Told) -> Line:
    said, result = told.outcome + (f": {told.why}" if told.why else ""), SAYS.get(told.outcome, PASSES[DECIDES])
    return f"{place}: {said}: {result}", {"place": place, "rule": said, "result": result}


def _asked(context: Context, action: str, topic: bytes) -> bytes:
    """The Topic Name, or the Topic Filter without what stands before it."""
    levels = context.broker.settings.max_topic_levels
    try:
        if action == "publish":
            check_topic_name(topic, levels)
            return topic
        prefix = check_filter(topic, levels)
    except MQTTError as error:
        raise Refused(f"Error: {error.reason}") from None
    return topic if prefix is None else prefix.topic_filter


def _client(context: Context, client_id: str) -> Client:
    connection = connection_of(context, client_id)
    session = context.broker.sessions.by_id.get(client_id)
    if connection is not None:
        return connection.client()
    return Client(client_id, None if session is None else session.user_name, Door(""), Peer("", "", False))


def _who(client: Client) -> Line:
    columns: dict[str, object] = {"client_id": client.client_id, "username": client.user_name, "address": client.address or None}
    name = NO_ONE if client.user_name is None else client.user_name
    return f"Client({client.client_id}, username={name}, address={client.address or NO_ONE})", columns


def _result(rule: Rule, action: str, asked: bytes) -> Line:
    result = "allow" if rule.allow else "deny"
    if action == "publish" and is_reserved(asked) and not rule.opens():
        result = "deny, as no rule names this topic of the broker's own"
    return result, {"result": result}


def add(registry: Registry) -> None:
    registry.add("acl list", "", "List the access rules in their order", listed,
                 "`<file>:<line>: <rule>`, and what holds at the end")
    registry.add("acl reload", "", "Read the file of access rules again", again,
                 "`reload acl_internal successfully`, or what is wrong with the file: then the old rules hold")
    registry.add_waiting("explain acl", "<ClientId> <publish|subscribe> <Topic>",
                         "Show what the access rules say, rule by rule, and authorizers", explain,
                         "whom they are asked about, then `<file>:<line>: <rule>: <result>`, or `authorizer <name>: <what it "
                         "says>: <result>`, for each until one `decides`, then `allow` or `deny`; of a client who is away the "
                         "address is not known")
