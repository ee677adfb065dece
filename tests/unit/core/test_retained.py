"""Retained messages: kept, replaced, deleted, bounded; replayed by Topic Filter in portions."""
import tracemalloc

import pytest

from emqtwist.core.causes import RETAINED_TOO_LARGE, RETAINED_TOO_MANY
from emqtwist.core.message import NEVER, Message
from emqtwist.core.retained import BLOCK, STEPS, Replay, Retained


def message(topic: bytes, payload: bytes = b"x", expires_at: float = NEVER) -> Message:
    return Message(topic, payload, 1, True, expires_at=expires_at)


def retained_of(*topics: bytes) -> Retained:
    retained = Retained(0, 0)
    for topic in topics:
        assert retained.store(message(topic)) == ""
    return retained


def drain(replay: Replay, limit: int = 3, now: float = 0.0) -> list[bytes]:
    """The topics that a replay gives, to its end."""
    topics: list[bytes] = []
    while not replay.done:
        found = replay.take(limit, now)
        assert len(found) <= limit
        topics += [one.topic for one in found]
    return topics


# The store.

@pytest.mark.mqtt5("3.3.1-5")
def test_a_message_is_kept_for_its_topic_and_replaced_by_the_next() -> None:
    retained, first, second = Retained(0, 0), message(b"a", b"1"), message(b"a", b"2")
    assert retained.get(b"a") is None
    assert retained.store(first) == ""
    assert retained.get(b"a") is first
    assert retained.store(second) == ""
    assert retained.get(b"a") is second
    assert len(retained) == 1


@pytest.mark.mqtt5("3.3.1-6", "3.3.1-7")
def test_an_empty_payload_deletes_and_is_not_kept() -> None:
    retained = retained_of(b"a", b"b")
    assert retained.store(message(b"a", b"")) == ""
    assert retained.store(message(b"never there", b"")) == ""
    assert len(retained) == 1
    assert retained.get(b"a") is None
    assert drain(retained.replay(b"#")) == [b"b"]


def test_delete_says_whether_there_was_a_message() -> None:
    retained = retained_of(b"a")
    assert retained.delete(b"a")
    assert not retained.delete(b"a")
    assert len(retained) == 0


def test_bytes_are_those_of_the_messages_kept() -> None:
    retained = Retained(0, 0)
    retained.store(Message(b"topic", b"payload", properties=b"property"))
    assert retained.bytes == 5 + 7 + 8
    retained.store(Message(b"topic", b"x"))
    retained.store(Message(b"other", b"y", expires_at=1.0))
    assert retained.bytes == 6 + 6
    retained.take_expired(1.0)
    assert retained.bytes == 6
    retained.delete(b"topic")
    assert retained.bytes == 0


# Limits.

def test_exactly_as_many_as_allowed_are_kept() -> None:
    retained = Retained(2, 0)
    assert [retained.store(message(topic)) for topic in (b"a", b"b", b"c")] == ["", "", RETAINED_TOO_MANY]
    assert len(retained) == 2
    assert retained.get(b"c") is None


def test_a_full_store_still_updates_and_deletes() -> None:
    retained = Retained(1, 0)
    retained.store(message(b"a", b"1"))
    assert retained.store(message(b"a", b"2")) == ""
    assert retained.get(b"a") is not None
    assert retained.store(message(b"b", b"")) == ""
    assert retained.store(message(b"a", b"")) == ""
    assert retained.store(message(b"b")) == ""


def test_a_payload_beyond_the_limit_is_refused_and_the_one_before_stays() -> None:
    retained, held = Retained(0, 4), message(b"a", b"1234")
    assert retained.store(held) == ""
    assert retained.store(message(b"a", b"12345")) == RETAINED_TOO_LARGE
    assert retained.get(b"a") is held


def test_a_refusal_can_be_asked_for_before() -> None:
    retained = Retained(1, 4)
    assert retained.refusal(message(b"a", b"12345")) == RETAINED_TOO_LARGE
    assert retained.refusal(message(b"a")) == ""
    retained.store(message(b"a"))
    assert retained.refusal(message(b"a")) == ""
    assert retained.refusal(message(b"b", b"")) == ""
    assert retained.refusal(message(b"b")) == RETAINED_TOO_MANY


def test_limits_change_while_it_runs() -> None:
    retained = Retained(1, 1)
    retained.store(message(b"a"))
    retained.max_messages, retained.max_payload = 2, 2
    assert retained.store(message(b"b", b"12")) == ""
    retained.max_messages = retained.max_payload = 0
    assert retained.store(message(b"c", b"123")) == ""


# Expiry.

def test_what_expires_is_deleted_when_due() -> None:
    retained = Retained(0, 0)
    for topic, expires_at in ((b"late", 3.0), (b"soon", 1.0), (b"stays", NEVER), (b"next", 2.0)):
        retained.store(message(topic, expires_at=expires_at))
    assert retained.take_expired(0.9) == []
    assert retained.take_expired(2.0) == [b"soon", b"next"]
    assert len(retained) == 2
    assert drain(retained.replay(b"+")) == [b"late", b"stays"]


def test_the_stores_own_limit_of_life_holds_too() -> None:
    retained = Retained(0, 0)
    retained.store(message(b"a"), 5.0)
    retained.store(message(b"b", expires_at=2.0), 5.0)
    retained.store(message(b"c", expires_at=9.0), 5.0)
    assert retained.take_expired(2.0) == [b"b"]
    assert sorted(retained.take_expired(5.0)) == [b"a", b"c"]


def test_a_new_message_brings_its_own_expiry() -> None:
    retained = Retained(0, 0)
    for first, second in ((1.0, NEVER), (1.0, 5.0), (5.0, 1.0)):
        retained.store(message(b"a", expires_at=first))
        retained.store(message(b"a", expires_at=second))
        assert retained.take_expired(min(1.0, second)) == ([b"a"] if second == 1.0 else [])
        assert retained.take_expired(4.0) == []
        retained.delete(b"a")


def test_a_deleted_message_takes_its_expiry_along() -> None:
    retained = Retained(0, 0)
    for expires_at, until in ((1.0, NEVER), (NEVER, 1.0)):
        retained.store(message(b"a", expires_at=expires_at), until)
        retained.delete(b"a")
        retained.store(message(b"a"))
        assert retained.take_expired(2.0) == []


# Replay.

NAMES = [b"a", b"a/", b"a/b", b"a/b/c", b"a-", b"a-/b", b"a/b-/c", b"a0/b", b"ab", b"/", b"/a", b"b/b", b"$SYS/b", b"$x"]


@pytest.mark.parametrize(("topic_filter", "topics"), [
    (b"a/b", [b"a/b"]),
    (b"nothing", []),
    (b"#", [b"/", b"/a", b"a", b"a-", b"a-/b", b"a/", b"a/b", b"a/b-/c", b"a/b/c", b"a0/b", b"ab", b"b/b"]),
    (b"a/#", [b"a", b"a/", b"a/b", b"a/b-/c", b"a/b/c"]),
    (b"a/b/#", [b"a/b", b"a/b/c"]),
    (b"+", [b"a", b"a-", b"ab"]),
    (b"+/+", [b"/", b"/a", b"a-/b", b"a/", b"a/b", b"a0/b", b"b/b"]),
    (b"+/b", [b"a-/b", b"a/b", b"a0/b", b"b/b"]),
    (b"+/b/#", [b"a-/b", b"a/b", b"a/b/c", b"a0/b", b"b/b"]),
    (b"a/+/c", [b"a/b-/c", b"a/b/c"]),
    (b"/+", [b"/", b"/a"]),
    (b"+/", [b"/", b"a/"]),
    (b"+/+/+/+", []),
    (b"z/#", []),
    (b"$SYS/#", [b"$SYS/b"]),
    (b"$SYS/+", [b"$SYS/b"]),
    (b"$x", [b"$x"]),
])
def test_a_replay_gives_what_the_filter_matches(topic_filter: bytes, topics: list[bytes]) -> None:
    retained = retained_of(*reversed(NAMES))
    for limit in (1, 2, 100):
        assert drain(retained.replay(topic_filter), limit) == topics


@pytest.mark.mqtt5("4.7.2-1")
def test_leading_wildcards_do_not_reach_names_that_begin_with_a_dollar() -> None:
    retained = retained_of(b"$SYS", b"$SYS/uptime", b"$", b"!", b"zero")
    for topic_filter in (b"#", b"+", b"+/#", b"+/uptime"):
        assert not [topic for topic in drain(retained.replay(topic_filter)) if topic.startswith(b"$")]
    assert drain(retained.replay(b"#")) == [b"!", b"zero"]


@pytest.mark.mqtt5("3.3.2-5")
def test_a_replay_gives_no_expired_message() -> None:
    retained = retained_of(b"a/1")
    retained.store(message(b"a/2", expires_at=5.0))
    retained.store(message(b"a/3", expires_at=6.0))
    assert drain(retained.replay(b"a/+"), now=5.0) == [b"a/1", b"a/3"]
    assert drain(retained.replay(b"a/2"), now=5.0) == []
    assert drain(retained.replay(b"a/2"), now=4.9) == [b"a/2"]


def test_a_replay_gives_the_message_of_the_moment() -> None:
    retained, new = retained_of(b"a", b"b"), message(b"b", b"new")
    replay = retained.replay(b"+")
    replay.take(1, 0.0)
    retained.store(new)
    assert replay.take(2, 0.0) == [new]


def test_a_replay_of_an_empty_store_is_done_at_once() -> None:
    replay = Retained(0, 0).replay(b"#")
    assert replay.take(1, 0.0) == []
    assert replay.done


def test_a_call_looks_at_a_bounded_number_of_topics() -> None:
    retained = retained_of(*[b"a/%04d/b" % number for number in range(1000)], b"z/c")
    replay = retained.replay(b"+/+/c")
    calls = 0
    while not replay.done:
        assert replay.take(10, 0.0) == []
        calls += 1
    assert calls >= 1000 / (10 * STEPS)


def test_a_replay_leaps_over_what_cannot_match() -> None:
    sites = [b"site/%d/%d" % (site, number) for site in range(3) for number in range(500)]
    retained = retained_of(*[b"a/%04d" % number for number in range(2000)], *sites, b"z")
    assert [one.topic for one in retained.replay(b"site/+/7").take(3, 0.0)] == [b"site/0/7", b"site/1/7", b"site/2/7"]
    replay = retained.replay(b"b/+")
    replay.take(1, 0.0)
    assert replay.done


def test_what_waits_to_be_replayed_takes_no_memory() -> None:
    retained = retained_of(*[b"a/%05d" % number for number in range(5_000)])
    tracemalloc.start()
    replays = [retained.replay(b"a/+") for _ in range(100)]
    for replay in replays:
        assert len(replay.take(50, 0.0)) == 50
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 100 * 1_000


def test_topics_cost_little_beyond_their_messages() -> None:
    messages = [message(b"devices/%05d/state" % number) for number in range(20_000)]
    retained = Retained(0, 0)
    tracemalloc.start()
    for one in messages:
        retained.store(one)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 120 * 20_000


def test_a_topic_updated_for_ever_keeps_its_name_once() -> None:
    retained = Retained(0, 0)
    name = bytes([97]) * 60_000
    retained.store(message(name + b"/"))
    tracemalloc.start()
    retained.store(message(name + b"/"))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 30_000


def test_blocks_are_split_when_large_and_go_when_empty() -> None:
    names = [b"a/%05d" % number for number in range(10 * BLOCK)]
    retained = retained_of(*names[::2], *names[1::2])
    assert max([len(block) for block in retained.topics.blocks]) <= BLOCK
    for name in names[1:]:
        retained.delete(name)
    assert len(retained.topics.blocks) <= 2
    assert drain(retained.replay(b"a/+")) == names[:1]
    retained.delete(names[0])
    assert drain(retained.replay(b"#")) == []
    retained.store(message(b"b"))
    assert drain(retained.replay(b"#")) == [b"b"]


def test_topics_that_come_and_go_leave_no_memory_behind() -> None:
    retained = retained_of(b"a", b"z")

    def come_and_go(first: int) -> int:
        topics = [b"m/%d" % number for number in range(first, first + 2_000)]
        for topic in topics:
            retained.store(message(topic, expires_at=9.0))
        for topic in topics:
            retained.delete(topic)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = come_and_go(0)
    after = [come_and_go(2_000 * step) for step in range(1, 5)][-1]
    tracemalloc.stop()
    assert after - before < 100_000  # 8,000 topics; other parts of the process allocate too
    assert drain(retained.replay(b"#")) == [b"a", b"z"]
