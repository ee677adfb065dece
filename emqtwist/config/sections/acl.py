"""[acl.rule.<name>]: who may publish where, and subscribe to what."""
from dataclasses import dataclass, field
from typing import Final, Literal

from emqtwist.config.acl import TOPICS, WHO
from emqtwist.config.rows import named, row
from emqtwist.config.values import Choice

Action = Literal["allow publish", "allow subscribe", "allow pubsub", "deny publish", "deny subscribe", "deny pubsub"]
Reason = Literal["not_authorized", "quota_exceeded", "unspecified_error", "implementation_specific_error"]

EFFECTS: Final = "tests/adapters/test_acl.py"
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
        meaning="Which topics. `%c`, `%u` and `%a` stand for the client's identifier, user name and address.")
    reason: Reason = row(
        "not_authorized", REASON, live=True, test=EFFECTS,
        meaning="The reason code that a 5.0 client is told when the rule denies it something.")


@dataclass(frozen=True, kw_only=True)
class AclSection:
    """All rules."""

    rule: tuple[AclRule, ...] = named(AclRule, live=True)
