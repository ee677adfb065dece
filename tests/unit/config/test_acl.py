"""Access rules in broker.ini: whom they are about, and which topics."""
import pytest

from emqtwist.config import AclRule, AclSection, Config, ConfigError, apply_live, live_changes, parse, validate
from emqtwist.config.acl import patterns_of, who_of
from emqtwist.core.acl import PUBLISH, Acl, Rule
from emqtwist.core.who import Asker

ASKER = Asker("x", "al or", "10.0.0.1", certificate="a lamp")


@pytest.mark.parametrize(("text", "expected"), [
    ("all", True), ("client x", True), ("client y", False), ('user "al or"', True), ("user al", False),
    ('cert "a lamp"', True), ("cert x", False), ("ip 10.0.0.9/8", True),
    ("ip 2001:db8::/32", False), ("client x and ip 11.0.0.0/8", False), ("client x or ip 11.0.0.0/8", True),
    ("client x or client x and client y", True), ("(client x or client x) and client y", False), ("((client y) or all)", True),
    ('client "\\x"', True), ('client "y\\""', False), ("client all", False),
])
def test_whom_a_rule_is_about(text: str, expected: bool) -> None:
    assert who_of(text).includes(ASKER) is expected


@pytest.mark.parametrize(("text", "reason"), [
    ("", "who is meant is missing"), ("client", "an identifier is missing"), ("user )", "a name is missing"),
    ("cert", "a name is missing"),
    ("ip", "an address is missing"), ("ip 300.0.0.1", "not an IP address"), ("nobody", "not all, client, user, cert or ip"),
    ('"all"', "not all, client"), ("all and", "who is meant is missing"), ("all all", "left over"),
    ("(all", "a bracket has no end"),
    ("all)", "left over"), ('client "x', "a quote has no end"), ("(" * 60 + "all", "too many brackets"),
])
def test_what_is_wrong_with_whom(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        who_of(text)


@pytest.mark.parametrize(("text", "asked", "expected"), [
    ("a/#", "a/b", True), ('"#"', "a", True), ('b, "#"', "a", True), ("b, c", "a", False), ("to/%c", "to/x", True),
    ('eq "a b"', "a b", True), ('"all"', "all", True), ('"all"', "a", False), ("all", "$SYS/a", True), ("eq/a", "eq/a", True)])
def test_which_topics_a_rule_is_about(text: str, asked: str, expected: bool) -> None:
    acl = Acl([Rule(True, who_of("all"), PUBLISH, patterns_of(text))], False)
    assert acl.allows(ASKER, PUBLISH, asked.encode()) is expected


@pytest.mark.parametrize(("text", "reason"), [
    ("", "a topic is missing"), ("a,", "a topic is missing"), ("a b", "a comma is missing"), ("a#", "stands alone"),
    ("eq", "a topic is missing"), ("all, a b", "a comma"), (",", "a topic is missing")])
def test_what_is_wrong_with_topics(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        patterns_of(text)


INI = """
acl.rule.first.action = deny publish
[acl.rule.second]
action = allow
who = user office and ip 10.1.0.0/16
topics = devices/#
"""


def test_rules_keep_their_order_and_know_their_place() -> None:
    assert parse(INI, "b.ini").acl.rule == (
        AclRule(name="first", action="deny publish"),
        AclRule(name="second", action="allow pubsub", who="user office and ip 10.1.0.0/16", topics="devices/#"))
    assert [rule.place for rule in parse(INI, "b.ini").acl.rule] == ["b.ini:2", "b.ini:3"]


@pytest.mark.parametrize(("text", "message"), [
    ("[acl.rule.x]\nwho = all", "b.ini:1: .*must be set"), ("[acl.rule.x]\naction = may", "b.ini:2: .*not one of"),
    ("[acl.rule.x]\naction = deny\ntopics = #", "b.ini:3: .*a topic is missing"),
    ("[acl.rule.x]\naction = deny\nwho = nobody", "b.ini:3: .*not all, client"),
    ("[acl.rule.x]\naction = allow\nreason = quota_exceeded", "no reason to tell"),
    ("[acl.rule.x]\naction = deny\nplace = here", "unknown key")])
def test_what_is_wrong_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text, "b.ini")


def test_a_program_is_held_to_the_same() -> None:
    validate(Config(acl=AclSection(rule=(AclRule(name="x", action="deny publish", who="client x"),))))
    for bad in ({"who": "nobody"}, {"topics": ""}, {"action": "deny"}):
        with pytest.raises(ConfigError, match="not allowed"):
            validate(Config(acl=AclSection(rule=(AclRule(name="x", **{"action": "deny publish", **bad}),))))  # type: ignore[arg-type]


def test_a_reload_changes_which_rules_there_are_and_their_order() -> None:
    one, other = AclRule(name="one", action="deny publish"), AclRule(name="other", action="allow publish")
    before, after = Config(acl=AclSection(rule=(one, other))), Config(acl=AclSection(rule=(other,)))
    assert live_changes(before, after) == (["acl.rule.one"], [])
    assert live_changes(after, before) == (["acl.rule.one"], [])
    assert apply_live(before, after).acl == after.acl
    turned = Config(acl=AclSection(rule=(other, one)))
    assert live_changes(before, turned) == (["acl.rule"], [])
    assert apply_live(before, turned).acl == turned.acl
