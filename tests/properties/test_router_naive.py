"""The router with its cache and its short cuts finds whom a naive look at all filters finds, whatever came before."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.router import REMEMBERED, Route, Router
from emqtwist.core.subscriber import Subscriber, Subscription
from emqtwist.mqtt.topics import matches

LONG = b"a/" + b"b" * REMEMBERED
FILTERS = st.sampled_from([b"a", b"a/b", b"b/a", b"/a", b"$s/a", b"a/+", b"a/#", b"+/b", b"#", b"+", b"$s/#", LONG, b"c/#"])
DEEP = st.sampled_from([b"+/+", b"a/+/c", b"a/+/#", b"+/b/c", b"a/b/c/#"])  # with these there are many shapes
TOPICS = st.sampled_from([b"a", b"a/b", b"b/a", b"/a", b"$s/a", b"b", b"b/b", LONG, b"c", b"a/b/c"])
KINDS = st.sampled_from(["subscribe", "unsubscribe", "publish", "publish"])
STEPS = st.lists(st.tuples(KINDS, st.integers(0, 2), FILTERS | DEEP, TOPICS), max_size=40)


def found(router: Router, topic: bytes) -> Route:
    """As a PUBLISH looks: the cache, the short cut, the whole way."""
    route = router.cache.get(topic)
    if route is None:
        route = router.by_name(topic)
    return router.route(topic) if route is None else route


@given(STEPS, st.integers(1, 3))
def test_whom_a_topic_reaches_is_what_a_naive_look_finds(steps: list[tuple[str, int, bytes, bytes]], cache_size: int) -> None:
    router = Router(cache_size)
    subscribers = [Subscriber(f"{number}") for number in range(3)]
    held: set[tuple[int, bytes]] = set()
    for step, who, topic_filter, topic in steps:
        if step == "subscribe":
            router.subscribe(Subscription(subscribers[who], topic_filter, 1, ()))
            held.add((who, topic_filter))
        elif step == "unsubscribe":
            assert router.unsubscribe(topic_filter, subscribers[who]) == ((who, topic_filter) in held)
            held.discard((who, topic_filter))
        else:
            reached = [subscription.subscriber.client_id for subscription in found(router, topic)]
            assert sorted(reached) == sorted({f"{one}" for one, each in held if matches(each, topic)})
            assert len(router.cache) <= cache_size
