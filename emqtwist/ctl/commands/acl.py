"""acl, explain acl: the access rules, and what they say about somebody."""
from collections.abc import Iterator
from typing import Final

from emqtwist.config import ConfigError
from emqtwist.core.acl import DECIDES, OTHER_TOPIC, PASSES, PUBLISH, SUBSCRIBE, Acl, Rule
from emqtwist.core.prefixes import check_filter
from emqtwist.core.router import is_reserved
from emqtwist.core.who import Asker, asker
from emqtwist.ctl.commands.clients import connection_of
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, plain
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_name
from emqtwist.services.systopics import NO_ONE

ACCESS: Final = {"publish": PUBLISH, "subscribe": SUBSCRIBE}


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


def explain(context: Context, words: Words) -> Iterator[Line]:
    """What the rules are asked is what a packet of the client would ask, by the same function."""
    client_id, action, topic = words
    acl = _rules(context)
    if action not in ACCESS:
        raise Refused("Error: publish or subscribe")
    asked = _asked(context, action, topic.encode())
    who = _asker(context, client_id)
    trail: dict[Rule, int] = {}
    decided = acl.decide(who, ACCESS[action], asked, trail)
    yield _who(who)
    for rule in [] if who.superuser else acl.rules:
        passes = trail.get(rule, OTHER_TOPIC)
        yield f"{rule.place}: {rule.text}: {PASSES[passes]}", {"place": rule.place, "rule": rule.text, "result": PASSES[passes]}
        if passes == DECIDES:
            break
    else:
        yield f"{decided.place}: {decided.text}: {PASSES[DECIDES]}", {
            "place": decided.place, "rule": decided.text, "result": PASSES[DECIDES]}
    yield _result(decided, action, asked)


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


def _asker(context: Context, client_id: str) -> Asker:
    connection = connection_of(context, client_id)
    session = context.broker.sessions.by_id.get(client_id)
    if connection is not None:
        return asker(connection.client())
    return Asker(client_id, None if session is None else session.user_name, "")


def _who(who: Asker) -> Line:
    address = "" if who.address is None else str(who.address)
    columns: dict[str, object] = {"client_id": who.client_id, "username": who.user_name, "address": address or None}
    name = NO_ONE if who.user_name is None else who.user_name
    return f"Client({who.client_id}, username={name}, address={address or NO_ONE})", columns


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
    registry.add("explain acl", "<ClientId> <publish|subscribe> <Topic>", "Show what the access rules say, rule by rule", explain,
                 "whom they are asked about, then `<file>:<line>: <rule>: <result>` for each until one `decides`, then `allow` "
                 "or `deny`; of a client who is away the address is not known")
