"""Retained messages against a plain dictionary and `matches`, while topics come and go."""
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.message import NEVER, Message
from emqtwist.core.retained import STEPS, Retained
from emqtwist.mqtt.topics import matches
from tests.properties.topic_strategies import FILTERS, NAMES

PAYLOADS = st.sampled_from([b"", b"x", b"long"])


@given(st.lists(st.tuples(NAMES, PAYLOADS, st.integers(0, 9) | st.just(NEVER)), max_size=40), st.integers(0, 6),
       st.sampled_from([0, 3]), FILTERS, st.integers(1, 4))
def test_a_store_keeps_and_replays_as_a_dictionary_would(
        steps: list[tuple[bytes, bytes, float]], most: int, longest: int, topic_filter: bytes, limit: int) -> None:
    retained, model = Retained(most, longest), dict[bytes, Message]()
    now = 0.0
    for topic, payload, life in steps:
        now += 1.0
        message = Message(topic, payload, expires_at=now + life)
        refused = retained.store(message)
        if not payload:
            model.pop(topic, None)
        elif longest and len(payload) > longest:
            assert refused == "retained_too_large"
        elif most and len(model) >= most and topic not in model:
            assert refused == "retained_too_many"
        else:
            assert refused == ""
            model[topic] = message
        expired = [topic for topic, held in model.items() if held.expires_at <= now - 2]
        assert sorted(retained.take_expired(now - 2)) == sorted(expired)
        for topic in expired:
            del model[topic]
    assert len(retained) == len(model)
    assert retained.bytes == sum(held.size for held in model.values())
    replay, given = retained.replay(topic_filter), list[Message]()
    while not replay.done:
        given += replay.take(limit, now)
    expected = [held for held in model.values() if held.expires_at > now and matches(topic_filter, held.topic)]
    assert given == sorted(expected, key=lambda held: held.topic)


def change(retained: Retained, present: dict[bytes, Message], chance: Random) -> set[bytes]:
    """Store, replace and delete a few topics, or many; those that were deleted."""
    deleted: set[bytes] = set()
    for _ in range(chance.choice([0, 1, 3, 3, 600])):
        topic = b"/".join(chance.choices([b"", b"a", b"b", b"a-", b"a0", b"$x", b"%d" % chance.randrange(40)], k=4))
        if chance.random() < 0.5 and present:
            topic = chance.choice(list(present)[:300])
            assert retained.delete(topic)
            del present[topic]
            deleted.add(topic)
        if chance.random() < 0.6:
            present[topic] = Message(topic, b"x")
            retained.store(present[topic])
    return deleted


@given(st.integers(0, 1 << 32), FILTERS | st.sampled_from([b"#", b"+/#", b"+/+/+/+", b"+/a/#", b"a/+/+/b", b"+/+/+/7"]))
def test_a_paced_replay_sees_what_stays_once_and_nothing_twice(seed: int, topic_filter: bytes) -> None:
    chance = Random(seed)
    retained, present = Retained(0, 0), dict[bytes, Message]()
    for _ in range(chance.choice([1, 3])):
        change(retained, present, chance)
    stayed, seen = set(present), list[bytes]()
    replay = retained.replay(topic_filter)
    while not replay.done:
        limit = chance.choice([1, 2, 20, 200])
        for message in replay.take(limit, 0.0):
            assert present[message.topic] is message
            assert matches(topic_filter, message.topic)
            seen.append(message.topic)
        if chance.random() < 0.2:
            stayed -= change(retained, present, chance)
    assert len(set(seen)) == len(seen)
    assert {topic for topic in stayed if matches(topic_filter, topic)} <= set(seen)


@given(st.lists(NAMES, max_size=60, unique=True), FILTERS, st.integers(1, 3))
def test_a_replay_advances_with_every_call(topics: list[bytes], topic_filter: bytes, limit: int) -> None:
    """A step passes one topic at least, so the calls are bounded by topics over steps, and one to find the end."""
    retained = Retained(0, 0)
    for topic in topics:
        retained.store(Message(topic, b"x"))
    replay, calls, found = retained.replay(topic_filter), 0, 0
    while not replay.done:
        found += len(replay.take(limit, 0.0))
        calls += 1
    assert calls <= 2 + len(topics) // (STEPS * limit) + found // limit
