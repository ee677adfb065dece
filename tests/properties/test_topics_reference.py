"""`topics` against a regular expression made from the rules of section 4.7."""
import re

from hypothesis import given
from hypothesis import strategies as st

from emqtwist.mqtt.errors import MQTTError, TopicFilterInvalid
from emqtwist.mqtt.topics import check_topic_filter, check_topic_name, matches, parse_share

LEVEL = st.sampled_from(["", "a", "b", "$", "$S", "a.b", "ü"])
NAMES = st.lists(LEVEL, min_size=1, max_size=5).map("/".join).filter(bool)
FILTERS = st.builds(
    lambda levels, rest: "/".join(levels + rest),
    st.lists(LEVEL | st.just("+"), max_size=5), st.sampled_from([[], ["#"]]),
).filter(bool)


def selects(topic_filter: str, topic_name: str) -> bool:
    """The slow and plain way to tell."""
    if topic_name.startswith("$") and topic_filter[0] in "+#":
        return False
    pattern = "/".join("[^/]*" if level == "+" else re.escape(level) for level in topic_filter.split("/"))
    pattern = pattern.replace(re.escape("#"), "#")
    if pattern == "#":
        pattern = ".*"
    elif pattern.endswith("/#"):
        pattern = pattern[:-2] + "(/.*)?"
    return re.fullmatch(pattern, topic_name) is not None


@given(FILTERS, NAMES)
def test_matches_as_the_reference(topic_filter: str, topic_name: str) -> None:
    assert matches(topic_filter.encode(), topic_name.encode()) == selects(topic_filter, topic_name)


@given(NAMES, st.data())
def test_a_filter_made_from_a_name_selects_it(name: str, chance: st.DataObject) -> None:
    levels = name.split("/")
    first = 1 if name.startswith("$") else 0
    for place in range(first, len(levels)):
        if chance.draw(st.booleans()):
            levels[place] = "+"
    end = chance.draw(st.integers(first, len(levels)))
    topic_filter = "/".join(levels[:end] + ["#"]) if chance.draw(st.booleans()) else "/".join(levels)
    check_topic_filter(topic_filter.encode(), 0)
    assert matches(topic_filter.encode(), name.encode())


def valid_filter(text: str) -> bool:
    """Section 4.7.1 as an expression."""
    return bool(text) and re.fullmatch(r"(([^/+#\0]*|\+)/)*([^/+#\0]*|\+|#)", text) is not None


@given(st.text("a/+#$\0", max_size=12))
def test_checks_as_the_reference(text: str) -> None:
    raw = text.encode()
    for check, valid in ((check_topic_filter, valid_filter(text)),
                         (check_topic_name, re.fullmatch(r"[^+#\0]+", text) is not None)):
        try:
            check(raw, 0)
        except MQTTError:
            assert not valid
        else:
            assert valid


@given(st.binary(max_size=40) | st.text("a/+#$", max_size=12).map(lambda text: b"$share/" + text.encode()))
def test_any_bytes_are_a_share_a_plain_filter_or_invalid(topic_filter: bytes) -> None:
    try:
        group, plain = parse_share(topic_filter)
    except TopicFilterInvalid:
        return
    if group == b"":
        assert plain == topic_filter
    else:
        assert topic_filter in (b"$share/" + group + b"/" + plain, group + b"/" + plain)
        assert plain
        assert b"/" not in group
