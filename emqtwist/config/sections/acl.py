"""[acl.rule.<name>]: who may publish where, and subscribe to what."""
from dataclasses import dataclass, field
from typing import Final, Literal

from emqtwist.config.acl import TOPICS, WHO
from emqtwist.config.names import Words
from emqtwist.config.rows import named, row
from emqtwist.config.sections.auth import OBJECT, ON_ERROR, OnError
from emqtwist.config.values import DURATION, INTEGER, Choice

Action = Literal["allow publish", "allow subscribe", "allow pubsub", "deny publish", "deny subscribe", "deny pubsub"]
Reason = Literal["not_authorized", "quota_exceeded", "unspecified_error", "implementation_specific_error"]

EFFECTS: Final = "tests/adapters/test_acl.py"
ASKED: Final = "tests/adapters/access/test_acl_rows.py"
KINDS: Final = Words("rules", "sqlite", "http", "python")
ACTION: Final = Choice[Action](
    "allow publish", "allow subscribe", "allow pubsub", "deny publish", "deny subscribe", "deny pubsub",
    aliases={"allow": "allow pubsub", "deny": "deny pubsub"})
REASON: Final = Choice[Reason]("not_authorized", "quota_exceeded", "unspecified_error", "implementation_specific_error")


@dataclass(frozen=True, kw_only=True)
class AclRule:
    """A rule of [who may do what](guide.md#who-may-do-what), the same as one in `mqtt.acl_file`. The first rule that decides is
    the answer: those of broker.ini, in the order in which they stand there, then those of the file."""

    name: str
    place: str = field(default="", compare=False)  # file and line
    action: Action = row(
        None, ACTION, live=True, test=EFFECTS,
        meaning="What it allows or denies.")
    who: str = row(
        "all", WHO, live=True, test=EFFECTS,
        meaning="Whom. `user office and ip 10.1.0.0/16`: both have to fit; `and` binds closer than `or`. A name stands in quotes "
                "if it has blanks or signs in it.")
    topics: str = row(
        "all", TOPICS, live=True, test=EFFECTS,
        meaning="Which topics. `%c`, `%u`, `%a` and `%C` stand for the client's identifier, user name, address, and the Common "
                "Name of its certificate.")
    reason: Reason = row(
        "not_authorized", REASON, live=True, test=EFFECTS,
        meaning="The reason code that a 5.0 client is told when the rule denies it something.")


@dataclass(frozen=True, kw_only=True)
class AclPythonSection:
    """An object of your own: `python` in `acl.order`."""

    object: str = row(
        "", OBJECT, live=True, test=ASKED,
        meaning="What provides `emqtwist.interfaces.IAuthorizer`, or a class that makes such objects without arguments, as "
                "`module:object`.")


@dataclass(frozen=True, kw_only=True)
class AclSection:
    """Who says what clients may do. See [who else may say](guide.md#who-else-may-say)."""

    order: tuple[str, ...] = row(
        "rules", KINDS, live=True, test=ASKED,
        meaning="Who is asked what a client may do, one after the other, until one allows it or denies it; where none does, "
                "`mqtt.acl_nomatch` holds. `rules` are those of `[acl.rule.<name>]` and `mqtt.acl_file`.")
    timeout: float = row(
        "5s", DURATION, live=True, minimum="10ms", maximum="10m", test=ASKED,
        meaning="Time that each has for its answer; later, it has failed. The client waits.")
    on_error: OnError = row(
        "deny", ON_ERROR, live=True, test=ASKED,
        meaning="What holds when one fails. `deny`: the client may not (0x83), nor connect where that would have to be known "
                "(0x88). `next`: the next one is asked.")
    concurrency: int = row(
        "100", INTEGER, live=True, minimum="1", maximum="100000", test=ASKED,
        meaning="Questions that each is asked at a time; others wait in turn.")
    cache_ttl: float = row(
        "60s", DURATION, live=True, words={"off": 0.0}, test=ASKED,
        meaning="Time that a connection remembers which topics it may publish to, where others than rules are asked. SIGHUP "
                "and `acl reload` forget all; 0: each message is asked about.")
    breaker_failures: int = row(
        "5", INTEGER, live=True, minimum="1", maximum="1000000", test=ASKED,
        meaning="Failures in a row after which one is left alone, and an alarm is raised.")
    breaker_pause: float = row(
        "10s", DURATION, live=True, minimum="10ms", maximum="1h", test=ASKED,
        meaning="Time that it is left alone; then one question is tried.")
    rule: tuple[AclRule, ...] = named(AclRule, live=True)
    python: AclPythonSection = AclPythonSection()
