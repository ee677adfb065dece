"""The router by itself: tables, routes, the cache, and what a change makes it forget."""
import pytest

from emqtwist.core.reserved import is_reserved
from emqtwist.core.router import PATIENCE, REMEMBERED, Router
from emqtwist.core.subscriber import Subscriber, Subscription

ALICE, BOB, CAROL = Subscriber("alice"), Subscriber("bob"), Subscriber("carol")


def add(router: Router, subscriber: Subscriber, topic_filter: bytes, options: int = 0) -> bool:
    return router.subscribe(Subscription(subscriber, topic_filter, options, ()))


def reached(router: Router, topic: bytes) -> list[str]:
    return sorted([subscription.subscriber.client_id for subscription in router.route(topic)])


@pytest.mark.parametrize("topic_filter", [b"a/b", b"a/+", b"#"])
def test_subscribers_come_and_go(topic_filter: bytes) -> None:
    router = Router(100)
    assert [add(router, each, topic_filter) for each in (ALICE, BOB, CAROL)] == [True, True, True]
    assert reached(router, b"a/b") == ["alice", "bob", "carol"]
    assert router.subscriptions == 3
    assert router.filters() == [topic_filter]
    assert router.unsubscribe(topic_filter, BOB)
    assert reached(router, b"a/b") == ["alice", "carol"]
    assert router.unsubscribe(topic_filter, ALICE)
    assert reached(router, b"a/b") == ["carol"]
    assert not router.unsubscribe(topic_filter, ALICE)
    assert not router.unsubscribe(b"other", CAROL)
    assert router.unsubscribe(topic_filter, CAROL)
    assert reached(router, b"a/b") == []
    assert (router.subscriptions, router.filters()) == (0, [])


@pytest.mark.parametrize("topic_filter", [b"a/b", b"a/+"])
@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_second_subscription_to_a_filter_replaces_the_first(topic_filter: bytes, others: int) -> None:
    router = Router(100)
    for each in (BOB, CAROL)[:others]:
        add(router, each, topic_filter)
    assert add(router, ALICE, topic_filter, 1)
    assert not add(router, ALICE, topic_filter, 2)
    assert [each.options for each in router.route(b"a/b") if each.subscriber is ALICE] == [2]
    assert router.subscriptions == others + 1


@pytest.mark.parametrize("topic_filter", [b"a/b", b"a/+"])
def test_who_is_not_subscribed_takes_nothing_away(topic_filter: bytes) -> None:
    router = Router(100)
    for each in (ALICE, BOB):
        add(router, each, topic_filter)
    assert not router.unsubscribe(topic_filter, CAROL)
    assert (router.subscriptions, reached(router, b"a/b")) == (2, ["alice", "bob"])


@pytest.mark.parametrize("topic_filter", [b"$SYS/#", b"$SYS/uptime"])
def test_filters_that_begin_with_a_dollar_are_counted_once_each(topic_filter: bytes) -> None:
    router = Router(100)
    counts = []
    for name in (b"#", b"a/$b", topic_filter):
        add(router, ALICE, name)
        counts.append(router.dollars)
    add(router, BOB, topic_filter)
    for each in (ALICE, BOB):
        counts.append(router.dollars)
        router.unsubscribe(topic_filter, each)
    assert (counts, router.dollars) == ([0, 0, 1, 1, 1], 0)


def test_a_wildcard_filter_that_is_gone_is_not_looked_for_any_more() -> None:
    router = Router(100)
    for topic_filter in (b"a/+", b"#"):
        add(router, ALICE, topic_filter)
    router.unsubscribe(b"a/+", ALICE)
    assert reached(router, b"a/b") == ["alice"]


def test_a_subscriber_stands_in_a_route_once() -> None:
    router = Router(100)
    for topic_filter in (b"a/b", b"a/+", b"#", b"+/b"):
        add(router, ALICE, topic_filter)
    add(router, BOB, b"a/b")
    assert reached(router, b"a/b") == ["alice", "bob"]


def test_a_route_is_remembered() -> None:
    router = Router(100)
    add(router, ALICE, b"a")
    assert router.cache == {}
    route = router.route(b"a")
    assert router.cache[b"a"] is route
    assert router.route(b"a") is route


def test_an_empty_route_is_remembered_too() -> None:
    router = Router(100)
    assert router.route(b"a") == []
    assert b"a" in router.cache


@pytest.mark.parametrize("topic", [b"$SYS/x", b"$share/x", b"$queue/x"])
def test_reserved_topics_are_not_in_the_cache(topic: bytes) -> None:  # what is there may be published to
    router = Router(100)
    add(router, ALICE, b"$SYS/#")
    assert len(router.route(topic)) == topic.startswith(b"$SYS")
    assert router.cache == {}


@pytest.mark.parametrize(("topic", "reserved"), [
    (b"$SYS/", True), (b"$share/a", True), (b"$queue/a", True), (b"$SYS", False), (b"$SYSx/", False), (b"a/$SYS/", False)])
def test_reserved_is_what_lies_below_the_brokers_own_names(topic: bytes, reserved: bool) -> None:
    assert is_reserved(topic) == reserved


def test_an_exact_filter_forgets_its_own_topic_and_no_other() -> None:
    router = Router(100)
    for topic in (b"a", b"b"):
        router.route(topic)
    add(router, ALICE, b"a")
    assert list(router.cache) == [b"b"]
    assert reached(router, b"a") == ["alice"]
    router.unsubscribe(b"a", ALICE)
    assert list(router.cache) == [b"b"]
    assert reached(router, b"a") == []


def test_a_wildcard_filter_forgets_all() -> None:
    router = Router(100)
    for topic in (b"a", b"b"):
        router.route(topic)
    add(router, ALICE, b"+")
    assert router.cache == {}
    assert reached(router, b"a") == ["alice"]
    router.unsubscribe(b"+", ALICE)
    assert reached(router, b"a") == []


def test_the_cache_is_bounded() -> None:
    router = Router(10)
    for number in range(1000):
        router.route(b"%d" % number)
        assert len(router.cache) <= 10


def test_new_topics_do_not_drive_out_those_in_the_cache_until_many_have_come() -> None:
    router = Router(10)
    for number in range(10):
        router.route(b"%d" % number)
    held = dict(router.cache)
    for number in range(10 * PATIENCE - 1):
        router.route(b"new/%d" % number)
    assert router.cache == held
    router.route(b"last")
    assert list(router.cache) == [b"last"]
    for number in range(10):  # as at first
        router.route(b"%d" % number)
    assert list(router.cache) == [b"last", *[b"%d" % number for number in range(9)]]


def test_routes_that_do_not_fit_are_found_all_the_same() -> None:
    router = Router(1)
    router.route(b"full")
    add(router, ALICE, b"a/+")
    router.route(b"full")
    for topic_filter in (b"a/b", b"#"):
        assert reached(router, b"a/b") == ["alice"]
        add(router, ALICE, topic_filter)
        router.route(b"full")
    router.unsubscribe(b"#", ALICE)
    router.unsubscribe(b"a/+", ALICE)
    router.unsubscribe(b"a/b", ALICE)
    assert reached(router, b"a/b") == []


@pytest.mark.parametrize(("length", "remembered"), [(REMEMBERED, True), (REMEMBERED + 1, False)])
def test_a_long_topic_is_routed_but_not_remembered(length: int, remembered: bool) -> None:
    router = Router(10)
    topic = b"a" * length
    router.route(topic)
    assert (topic in router.cache) == remembered
    add(router, ALICE, topic)
    route = router.by_name(topic)
    assert route is not None
    assert [subscription.subscriber for subscription in route] == [ALICE]
    assert (topic in router.cache) == remembered
    assert reached(router, topic) == ["alice"]


def test_a_route_in_use_is_not_changed() -> None:
    router = Router(100)
    add(router, ALICE, b"a")
    add(router, BOB, b"a")
    route = router.route(b"a")
    add(router, CAROL, b"a")
    router.unsubscribe(b"a", ALICE)
    assert [subscription.subscriber for subscription in route] == [ALICE, BOB]


# The short cut for topics that are somebody's filter.


def test_a_sole_subscription_is_found_by_its_filter_and_remembered_while_there_is_room() -> None:
    router = Router(1)
    add(router, ALICE, b"a")
    add(router, BOB, b"b")
    for topic in (b"a", b"b"):
        route = router.by_name(topic)
        assert route is not None
        assert [subscription.topic_filter for subscription in route] == [topic]
    assert list(router.cache) == [b"a"]
    router.unsubscribe(b"a", ALICE)
    assert router.by_name(b"a") is None
    assert router.cache == {}


@pytest.mark.parametrize(("filters", "topic", "whom"), [
    ([b"a", b"a"], b"a", ["alice", "bob"]), ([b"a", b"+"], b"a", ["alice", "bob"]), ([b"a", b"b/#"], b"a", ["alice"]),
    ([b"a", b"a/#"], b"a", ["alice", "bob"]), ([b"a/b", b"+/b"], b"a/b", ["alice", "bob"]),
    ([b"a/b", b"a/+/#"], b"a/b", ["alice", "bob"]),
    ([b"a/b", b"a/c/#"], b"a/b", ["alice"])])
def test_all_who_subscribe_to_a_name_are_found_by_it(filters: list[bytes], topic: bytes, whom: list[str]) -> None:
    router = Router(9)
    for subscriber, topic_filter in zip((ALICE, BOB), filters, strict=True):
        add(router, subscriber, topic_filter)
    route = router.by_name(topic)
    assert route is not None
    assert sorted([subscription.subscriber.client_id for subscription in route]) == whom


@pytest.mark.parametrize(("filters", "topic"), [
    ([b"a"], b"b"), ([b"a/+"], b"a/b"), ([b"$SYS/a"], b"$SYS/a"), ([b"$x", b"b/#"], b"$x")])
def test_what_is_nobodys_filter_and_what_begins_with_a_dollar_goes_the_whole_way(filters: list[bytes], topic: bytes) -> None:
    router = Router(9)
    for topic_filter in filters:
        add(router, ALICE, topic_filter)
    assert router.by_name(topic) is None


@pytest.mark.parametrize(("topic", "wildcard"), [(b"a", b"$SYS/#"), (b"a", b"b/#"), (b"a/b", b"b/+"), (b"a", b"aa/#")])
def test_a_wildcard_filter_that_begins_otherwise_is_not_looked_at(topic: bytes, wildcard: bytes) -> None:
    router = Router(9)
    add(router, ALICE, topic)
    add(router, BOB, wildcard)
    route = router.by_name(topic)
    assert route is not None
    assert [subscription.subscriber for subscription in route] == [ALICE]


@pytest.mark.parametrize("wildcard", [b"a/+", b"#", b"+/b", b"a/b/#"])
def test_a_route_found_by_name_gives_way_to_a_wildcard_filter(wildcard: bytes) -> None:
    router = Router(9)
    add(router, ALICE, b"a/b")
    assert router.by_name(b"a/b") is not None
    add(router, BOB, wildcard)
    assert reached(router, b"a/b") == ["alice", "bob"]
    router.unsubscribe(wildcard, BOB)
    assert reached(router, b"a/b") == ["alice"]


@pytest.mark.parametrize("others", [[], [b"x/+", b"x/#", b"x/+/+", b"x/+/#", b"x/x/+"]])
@pytest.mark.mqtt5("3.3.2-3")
def test_many_shapes_of_filters_and_few_find_the_same(others: list[bytes]) -> None:
    router = Router(9)
    for topic_filter in [b"a/#", *others]:
        add(router, ALICE, topic_filter)
    add(router, BOB, b"a/+/c")
    add(router, BOB, b"a/b/c")
    assert reached(router, b"a/b/c") == ["alice", "bob"]
    for topic_filter in others:
        router.unsubscribe(topic_filter, ALICE)
    router.unsubscribe(b"a/#", ALICE)
    assert reached(router, b"a/x/c") == ["bob"]
