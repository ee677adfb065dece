"""An allowed filter never gets a denied topic, and the comparison of filters agrees with matching."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.acl import SUBSCRIBE, Acl, Asker, Pattern, Rule, Who, contains, levels_of, overlaps
from emqtwist.mqtt.topics import matches

LEVELS = st.sampled_from(["", "a", "b", "$s"])
NAMES = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = st.builds(lambda levels, end: "/".join(levels + end),
                    st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=3),
                    st.sampled_from([[], ["#"]])).filter(bool) | st.just("#")
RULES = st.lists(st.builds(lambda allow, topic_filter: Rule(allow, Who(), SUBSCRIBE, [Pattern(topic_filter.encode())]),
                           st.booleans(), FILTERS), max_size=5)
ASKER = Asker("x", None, "")


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
