"""The access rules in broker.ini."""
from typing import Final

from emqtwist.config import AclRule, AclSection
from emqtwist.config.acl import patterns_of, who_of
from emqtwist.core.acl import PUBLISH, PUBSUB, REASONS, SUBSCRIBE, Rule

ACCESS: Final = {"publish": PUBLISH, "subscribe": SUBSCRIBE, "pubsub": PUBSUB}


def rules_of(section: AclSection) -> list[Rule]:
    """The rules in their order."""
    return [_rule(each) for each in section.rule]


def _rule(rule: AclRule) -> Rule:
    verdict, _, access = rule.action.partition(" ")
    place = rule.place or f"[acl.rule.{rule.name}]"
    text = f"{rule.action}, who = {rule.who}, topics = {rule.topics}"
    return Rule(verdict == "allow", who_of(rule.who), ACCESS[access], patterns_of(rule.topics), place, text, REASONS[rule.reason])
