"""An allowed filter never gets a denied topic, and the comparison of filters agrees with matching."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.access.aclfile import parse_rules
from emqtwist.access.aclini import rules_of
from emqtwist.config import parse
from emqtwist.core.acl import DECIDES, PUBLISH, REASONS, SUBSCRIBE, Acl, Pattern, Rule
from emqtwist.core.filters import contains, levels_of, overlaps
from emqtwist.core.who import Asker, Who
from emqtwist.mqtt.topics import matches

LEVELS = st.sampled_from(["", "a", "b", "$s"])
NAMES = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = st.builds(lambda levels, end: "/".join(levels + end),
                    st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=3),
                    st.sampled_from([[], ["#"]])).filter(bool) | st.just("#")
RULES = st.lists(st.builds(lambda allow, topic_filter: Rule(allow, Who(), SUBSCRIBE, [Pattern(topic_filter.encode())]),
                           st.booleans(), FILTERS), max_size=5)
ASKER = Asker("x", None, "")
WIDER = st.one_of(FILTERS, st.sampled_from(["%c", "%c/a", "a%c", "x/#"]))
SEVERAL = st.lists(st.builds(lambda allow, filters: Rule(allow, Who(), SUBSCRIBE, [Pattern(each.encode()) for each in filters]),
                             st.booleans(), st.lists(WIDER, max_size=3)), max_size=6)


@given(RULES, st.booleans(), FILTERS, NAMES)
def test_an_allowed_filter_never_matches_a_denied_topic(rules: list[Rule], otherwise: bool, asked: str, name: str) -> None:
    acl = Acl(rules, otherwise)
    if matches(asked.encode(), name.encode()) and acl.allows(ASKER, SUBSCRIBE, asked.encode()):
        assert acl.allows(ASKER, SUBSCRIBE, name.encode())


@given(FILTERS, NAMES)
def test_a_filter_contains_and_overlaps_the_names_that_it_matches(topic_filter: str, name: str) -> None:
    expected = matches(topic_filter.encode(), name.encode())
    outer, inner = levels_of(topic_filter.encode()), levels_of(name.encode())
    assert contains(outer, inner) is expected
    assert overlaps(outer, inner) is expected


@given(FILTERS, FILTERS, NAMES)
def test_containment_and_overlap_agree_with_matching(one: str, other: str, name: str) -> None:
    mine, theirs = matches(one.encode(), name.encode()), matches(other.encode(), name.encode())
    if mine and theirs:
        assert overlaps(levels_of(one.encode()), levels_of(other.encode()))
    if theirs and not mine:
        assert not contains(levels_of(one.encode()), levels_of(other.encode()))


@given(SEVERAL, st.booleans(), st.one_of(FILTERS, NAMES, st.just("x")))
def test_rules_that_are_not_asked_would_not_have_decided(rules: list[Rule], otherwise: bool, asked: str) -> None:
    levels = levels_of(asked.encode())
    acl = Acl(rules, otherwise)
    decided = [rule for rule in rules if rule.passes(ASKER, SUBSCRIBE, levels) == DECIDES]
    assert acl.decide(ASKER, SUBSCRIBE, asked.encode()) is [*decided, acl.otherwise][0]


# The two forms of a rule. `WHO` are pairs: as in acl.conf, and as in broker.ini.

VALUES = st.sampled_from(["x", "a b", "and", "%c", "#", "10.0.0.1"])
ONE = st.one_of(
    st.just(("all", "all")),
    VALUES.map(lambda value: (f'{{client, "{value}"}}', f'client "{value}"')),
    VALUES.map(lambda value: (f'{{user, "{value}"}}', f'user "{value}"')),
    VALUES.map(lambda value: (f'{{cert, "{value}"}}', f'cert "{value}"')),
    st.sampled_from(["10.0.0.0/8", "10.0.0.1", "::/0"]).map(lambda net: (f'{{ipaddr, "{net}"}}', f"ip {net}")))


def joined(word: str, parts: list[tuple[str, str]]) -> tuple[str, str]:
    return f"{{'{word}', [{', '.join([conf for conf, _ in parts])}]}}", f"({f' {word} '.join([ini for _, ini in parts])})"


WHO = st.recursive(ONE, lambda inner: st.builds(joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)),
                   max_leaves=5)
TOPICS = st.lists(st.tuples(st.booleans(), WIDER), min_size=1, max_size=3)
RULE = st.tuples(st.booleans(), WHO, st.sampled_from(["publish", "subscribe", "pubsub"]), TOPICS, st.sampled_from(list(REASONS)))
WRITTEN = tuple[bool, tuple[str, str], str, list[tuple[bool, str]], str]


def as_conf(rule: WRITTEN) -> str:
    allow, (who, _), access, topics, reason = rule
    filters = ", ".join([f'{{eq, "{each}"}}' if literal else f'"{each}"' for literal, each in topics])
    return f"{{{'allow' if allow else 'deny'}, {who}, {access}, [{filters}]{'' if allow else f', {reason}'}}}."


def as_ini(number: int, rule: WRITTEN) -> str:
    allow, (_, who), access, topics, reason = rule
    filters = ", ".join([f'eq "{each}"' if literal else f'"{each}"' for literal, each in topics])
    told = "" if allow else f"reason = {reason}"
    return f"[acl.rule.{number}]\naction = {'allow' if allow else 'deny'} {access}\nwho = {who}\ntopics = {filters}\n{told}\n"


ASKERS = st.sampled_from([Asker("x", None, "10.0.0.1"), Asker("a b", "x", ""), Asker("#", "and", "::1", certificate="x")])


@given(st.lists(RULE, max_size=4), ASKERS,
       st.sampled_from([PUBLISH, SUBSCRIBE]), st.one_of(FILTERS, NAMES))
def test_a_rule_decides_the_same_in_either_file(rules: list[WRITTEN], asker: Asker, access: int, asked: str) -> None:
    conf = Acl(parse_rules("\n".join(map(as_conf, rules)), "acl.conf"), True)
    ini = Acl(rules_of(parse("".join([as_ini(number, rule) for number, rule in enumerate(rules)])).acl), True)
    one, other = [acl.decide(asker, access, asked.encode()) for acl in (conf, ini)]
    assert [*conf.rules, conf.otherwise].index(one) == [*ini.rules, ini.otherwise].index(other)
    assert (one.allow, one.reason_code, one.opens()) == (other.allow, other.reason_code, other.opens())
