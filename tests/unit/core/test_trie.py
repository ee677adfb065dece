"""Trie: which Topic Filters match, section 4.7, and what is left of those that were deleted."""
import tracemalloc

import pytest

from emqtwist.core.trie import Trie


def trie_of(*topic_filters: bytes) -> Trie:
    trie = Trie()
    for topic_filter in topic_filters:
        trie.insert(topic_filter)
    return trie


def empty(trie: Trie) -> bool:
    root = trie._root
    return len(trie) == 0 and not (root.words or root.plus or root.hash or root.end)


def test_all_filters_that_match_are_found() -> None:
    trie = trie_of(b"#", b"+/#", b"+/+/#", b"a/b/c", b"a/+/c", b"a/b/+", b"a/b/#", b"a/b", b"a/b/c/+", b"b/#", b"+/b/d")
    assert sorted(trie.match(b"a/b/c")) == sorted(
        [b"#", b"+/#", b"+/+/#", b"a/b/c", b"a/+/c", b"a/b/+", b"a/b/#"])


@pytest.mark.parametrize(("topic_name", "found"), [
    (b"sport", True), (b"sport/tennis", True), (b"sport/a/b/c", True), (b"sport/", True), (b"sports", False)])
def test_a_multi_level_wildcard_includes_the_parent_level(topic_name: bytes, found: bool) -> None:
    for others in ((), (b"sport/tennis/+", b"sport/+/x"), (b"sport",)):
        trie = trie_of(b"sport/#", *others)
        assert (b"sport/#" in trie.match(topic_name)) == found


def test_a_single_level_wildcard_takes_exactly_one_level() -> None:
    trie = trie_of(b"sport/+", b"sport/+/player")
    assert trie.match(b"sport") == []
    assert trie.match(b"sport/tennis") == [b"sport/+"]
    assert trie.match(b"sport/tennis/player") == [b"sport/+/player"]
    assert trie.match(b"sport/tennis/player/rank") == []


@pytest.mark.mqtt5("4.7.3-4")
def test_empty_levels_are_levels() -> None:
    trie = trie_of(b"+/+", b"/+", b"+", b"/finance/+", b"/")
    assert sorted(trie.match(b"/finance")) == [b"+/+", b"/+"]
    assert sorted(trie.match(b"/finance/")) == [b"/finance/+"]
    assert sorted(trie.match(b"/")) == [b"+/+", b"/", b"/+"]
    assert trie.match(b"finance") == [b"+"]


@pytest.mark.parametrize("topic_name", [b"$SYS", b"$SYS/uptime", b"$x/y", b"$"])
@pytest.mark.mqtt5("4.7.2-1")
def test_leading_wildcards_do_not_match_names_that_begin_with_a_dollar(topic_name: bytes) -> None:
    assert trie_of(b"#", b"+", b"+/#", b"+/+", b"+/uptime", b"+/y").match(topic_name) == []


@pytest.mark.mqtt5("4.7.2-1")
def test_names_that_begin_with_a_dollar_are_matched_by_filters_that_do() -> None:
    trie = trie_of(b"#", b"$SYS/#", b"$SYS/+", b"$SYS/+/x", b"+/#", b"$x/y", b"d/#")
    assert sorted(trie.match(b"$SYS/uptime")) == [b"$SYS/#", b"$SYS/+"]
    assert trie.match(b"$x/y") == [b"$x/y"]


@pytest.mark.parametrize(("topic_filter", "topic_name", "leads"), [
    (b"a/#", b"a", True), (b"a/#", b"a/b", True), (b"a/#", b"ab", False), (b"a/#", b"b/a", False), (b"a/+", b"b", False),
    (b"#", b"b", True), (b"+", b"b/c", True), (b"/#", b"/b", True), (b"/#", b"b", False)])
def test_the_first_level_tells_where_a_filter_may_match(topic_filter: bytes, topic_name: bytes, leads: bool) -> None:
    trie = trie_of(topic_filter)
    assert trie.leads(topic_name) == leads
    trie.delete(topic_filter)
    assert not trie.leads(topic_name)


def test_a_wildcard_at_the_end_matches_where_another_comes_before_it() -> None:
    trie = trie_of(b"+/b/#", b"+/c/+", b"x/+/d/+", b"x/+/e/#")
    assert trie.match(b"a/b/q/r") == [b"+/b/#"]
    assert trie.match(b"a/c/q") == [b"+/c/+"]
    assert trie.match(b"a/c/q/r") == []
    assert trie.match(b"x/a/d/q") == [b"x/+/d/+"]
    assert trie.match(b"x/a/e") == [b"x/+/e/#"]


def test_a_dollar_elsewhere_shields_nothing() -> None:
    assert sorted(trie_of(b"#", b"a/+", b"+/+").match(b"a/$b")) == [b"#", b"+/+", b"a/+"]


def test_upper_and_lower_case_differ() -> None:
    assert trie_of(b"ACCOUNTS/+").match(b"Accounts/x") == []


def test_a_filter_that_is_the_beginning_of_another_stays_apart() -> None:
    trie = trie_of(b"a/b/c/d", b"a/b", b"a", b"a/b/c")
    for topic_name in (b"a", b"a/b", b"a/b/c", b"a/b/c/d"):
        assert trie.match(topic_name) == [topic_name]


def test_levels_that_several_filters_share_are_compared_too() -> None:
    trie = trie_of(b"a/s/q", b"a/s/b/z", b"a/s/b/a/#", b"a/s/b/a/+")
    assert trie.match(b"a/b") == []
    assert trie.match(b"a/b/b/a/x") == []
    assert sorted(trie.match(b"a/s/b/a/x")) == [b"a/s/b/a/#", b"a/s/b/a/+"]


def test_filters_that_shared_levels_part_at_each_of_them() -> None:
    filters = [b"x/1/2/3/4/a", b"x/1/2/3/4/b"]
    for branch in (b"x/1/2/+/y", b"x/9/2/3/4/a", b"x/1/2/3", b"x/1/2/3/5/#"):
        trie = trie_of(*filters, branch)
        for topic_filter in filters:
            assert trie.match(topic_filter) == [topic_filter]
        assert branch in trie.match(branch.replace(b"+", b"p").replace(b"#", b"p"))
        assert trie.match(b"x/1/3/4/a") == []


def test_inserting_twice_is_inserting_once() -> None:
    filters = [b"a/+", b"a/+/c", b"a/#", b"a", b"a/b", b"#", b"+"]
    trie = trie_of(*filters, *filters)
    assert len(trie) == len(filters)
    assert sorted(trie.match(b"a/b")) == [b"#", b"a/#", b"a/+", b"a/b"]
    for topic_filter in filters:
        trie.delete(topic_filter)
    assert empty(trie)


def test_deleting_what_is_not_there_changes_nothing() -> None:
    filters = [b"a/b/c/+", b"a/b/c/#", b"x/y", b"x/y/z/+/1", b"x/y/z/+/2"]
    trie = trie_of(*filters)
    for unknown in (b"a", b"a/b", b"a/b/c", b"a/b/c/d", b"a/b/x/+", b"#", b"+", b"x/#", b"x/y/z/+", b"x/y/z/+/3", b"x/q/z/+/1",
                    b"x/+", b"x/y/z/1/+", b"x", b""):
        trie.delete(unknown)
    assert len(trie) == len(filters)
    assert sorted(trie.match(b"a/b/c/d")) == [b"a/b/c/#", b"a/b/c/+"]
    assert trie.match(b"x/y") == [b"x/y"]
    assert trie.match(b"x/y/z/q/2") == [b"x/y/z/+/2"]


def test_deleted_filters_leave_the_others_and_at_last_nothing() -> None:
    filters = [b"a/b/c/d/e/+", b"a/b/c/x/#", b"a/b", b"a/+/c/d/e/f", b"#", b"a/b/c/d/e/f/g/+", b"+", b"a/b/c/d"]
    trie = trie_of(*filters)
    while filters:
        trie.delete(filters.pop(0))
        assert len(trie) == len(filters)
        found = trie.match(b"a/b/c/d/e/f")
        assert sorted(found) == sorted({b"a/b/c/d/e/+", b"a/+/c/d/e/f", b"#"} & set(filters))
    assert empty(trie)


def test_filters_that_come_and_go_leave_no_memory_behind() -> None:
    trie = trie_of(b"site/+/floor/1/#", b"site/+/floor/2/#")

    def come_and_go(first: int) -> int:
        filters = [b"site/%d/floor/%d/+" % (number, number % 7) for number in range(first, first + 500)]
        for topic_filter in filters:
            trie.insert(topic_filter)
        for topic_filter in filters:
            trie.delete(topic_filter)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = come_and_go(0)
    after = [come_and_go(500 * step) for step in range(1, 6)][-1]
    tracemalloc.stop()
    assert after - before < 50_000  # 2,500 filters; other parts of the process allocate too


def test_memory_is_in_proportion_to_the_filters_however_deep() -> None:
    filters = [b"client-%d/" % number + b"level/" * 120 + end for number in range(200) for end in (b"a/+", b"b/+")]
    tracemalloc.start()
    trie = trie_of(*filters)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(trie) == 400
    assert size < 2 * sum([len(topic_filter) for topic_filter in filters])


def test_many_filters_alike_cost_little_each() -> None:
    filters = [b"devices/%06d/+/state" % number for number in range(20_000)]
    tracemalloc.start()
    trie = trie_of(*filters)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(trie) == 20_000
    assert size < 200 * 20_000


def test_128_levels_of_wildcards_match_without_recursion() -> None:
    deep = b"/".join([b"+"] * 128)
    trie = trie_of(deep, deep[:-2] + b"/x", b"/".join([b"x"] * 127) + b"/#")
    assert sorted(trie.match(b"/".join([b"x"] * 128))) == sorted([deep, deep[:-2] + b"/x", b"/".join([b"x"] * 127) + b"/#"])
    assert trie.match(b"/".join([b"x"] * 129)) == [b"/".join([b"x"] * 127) + b"/#"]
