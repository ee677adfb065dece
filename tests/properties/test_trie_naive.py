"""Trie against `matches` on a plain set of filters."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.trie import Node, Trie
from emqtwist.mqtt.topics import matches
from tests.properties.topic_strategies import FILTERS, NAMES

ALIKE = st.lists(st.sampled_from([b"a", b"b", b"+"]), min_size=1, max_size=7).map(b"/".join)  # share many levels
ALIKE_NAMES = st.lists(st.sampled_from([b"a", b"b"]), min_size=1, max_size=7).map(b"/".join)


@given(st.lists(st.tuples(FILTERS | ALIKE, st.booleans()), max_size=40), st.lists(NAMES | ALIKE_NAMES, min_size=1, max_size=8))
def test_the_filters_found_are_those_that_match(steps: list[tuple[bytes, bool]], names: list[bytes]) -> None:
    trie, held = Trie(), set()
    for topic_filter, inserted in steps:
        if inserted:
            trie.insert(topic_filter)
            held.add(topic_filter)
        else:
            trie.delete(topic_filter)
            held.discard(topic_filter)
        assert len(trie) == len(held)
    for name in names:
        found = trie.match(name)
        assert sorted(found) == sorted([one for one in held if matches(one, name)])
        assert trie.leads(name) or not found


def shape(below: Node | bytes | None) -> object:
    """A node and all below it as something to compare."""
    if not isinstance(below, Node):
        return below
    words = {word: shape(child) for word, child in (below.words or {}).items()}
    return below.skip, below.end, below.hash, shape(below.plus), words, below.words is None


@given(st.lists(FILTERS | ALIKE, unique=True, max_size=20), st.integers(0, 20))
def test_deleted_filters_leave_the_trie_as_if_they_had_never_been(filters: list[bytes], kept: int) -> None:
    plain, pruned = Trie(), Trie()
    for topic_filter in filters[:kept]:
        plain.insert(topic_filter)
    for topic_filter in reversed(filters):
        pruned.insert(topic_filter)
    for topic_filter in filters[kept:]:
        pruned.delete(topic_filter)
    assert shape(pruned._root) == shape(plain._root)
