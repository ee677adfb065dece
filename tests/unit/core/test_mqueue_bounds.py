"""MQueue: bounds, what is dropped for what, watermarks; the cases of emqttd's mqueue suite among them."""
import pytest

from emqtwist.core.message import Message
from emqtwist.core.mqueue import OVERHEAD
from tests.queues import BOTH, delivery, payloads_of, put_all, queue_of, take_all

# Length.

def test_simple_with_a_bound_drops_the_oldest() -> None:  # t_simple_mqueue
    queue = queue_of(max_length=3)
    assert put_all(queue, b"t", b"123") == []
    assert put_all(queue, b"u", b"45") == [b"1", b"2"]
    assert len(queue) == 3
    assert take_all(queue) == [b"3", b"4", b"5"]


@BOTH
def test_without_bounds_nothing_is_dropped(kind: str) -> None:  # t_infinity_simple_mqueue, t_infinity_priority_mqueue
    queue = queue_of(kind, {b"t": 1})
    assert put_all(queue, b"t", bytes(range(256))) + put_all(queue, b"u", bytes(range(256))) == []
    assert len(queue) == 512
    assert not queue.full(b"t", 1 << 30)


def test_the_bound_of_priority_is_one_for_each_topic() -> None:  # t_priority_mqueue, t_priority_mqueue2
    queue = queue_of("priority", {b"t1": 1, b"t2": 2}, max_length=3)
    for topic, payloads in ((b"t3", b"789"), (b"t2", b"123"), (b"t1", b"456")):
        assert put_all(queue, topic, payloads) == []
    assert len(queue) == 9
    assert put_all(queue, b"t1", b"a") == [b"4"]
    assert put_all(queue, b"t3", b"bc") == [b"7", b"8"]
    assert len(queue) == 9
    assert take_all(queue) == [b"1", b"2", b"3", b"5", b"6", b"a", b"9", b"b", b"c"]


def test_full_says_whether_a_put_would_drop_by_length() -> None:
    simple, priority = queue_of(max_length=2), queue_of("priority", max_length=2)
    for queue in (simple, priority):
        put_all(queue, b"t", b"1")
        assert not queue.full(b"t", 0)
        put_all(queue, b"t", b"2")
        assert queue.full(b"t", 0)
    assert simple.full(b"u", 0)
    assert not priority.full(b"u", 0)


def test_the_bound_that_sank_holds_from_the_next_put_on() -> None:
    queue = queue_of(max_length=4)
    put_all(queue, b"t", b"1234")
    queue.max_length = 2
    assert put_all(queue, b"t", b"5") == [b"1", b"2", b"3"]
    assert take_all(queue) == [b"4", b"5"]


# Bytes.

@BOTH
def test_bytes_are_those_of_the_messages_and_an_overhead_for_each(kind: str) -> None:
    queue = queue_of(kind, max_length=2)
    queue.put((Message(b"topic", b"payload", properties=b"property"), 0, (), 0))
    assert queue.bytes == 5 + 7 + 8 + OVERHEAD
    queue.put(delivery(b"topic", b"x"))
    queue.put(delivery(b"topic", b"y"))
    assert queue.bytes == 2 * (6 + OVERHEAD)
    queue.take()
    assert queue.bytes == 6 + OVERHEAD
    queue.clear()
    assert queue.bytes == 0


def test_simple_drops_the_oldest_until_the_bytes_suffice() -> None:
    queue = queue_of(max_bytes=3 * (2 + OVERHEAD))
    assert put_all(queue, b"t", b"123") == []
    assert payloads_of(queue.put(delivery(b"u", b"x" * (OVERHEAD + 3)))) == [b"1", b"2"]
    assert take_all(queue) == [b"3", b"x" * (OVERHEAD + 3)]


def test_full_says_whether_a_put_would_drop_by_bytes() -> None:
    queue = queue_of(max_bytes=2 * OVERHEAD + 20)
    queue.put(delivery(b"t", b"x" * 9))
    assert not queue.full(b"t", 10)
    assert queue.full(b"t", 11)
    assert queue.put(delivery(b"t", b"y" * 9)) == []


@BOTH
def test_a_message_that_is_too_large_by_itself_is_the_one_dropped(kind: str) -> None:
    queue = queue_of(kind, max_bytes=1000)
    put_all(queue, b"t", b"1")
    large = delivery(b"t", b"x" * 1000)
    assert queue.full(b"t", large[0].size)
    assert queue.put(large) == [large]
    assert take_all(queue) == [b"1"]


def test_for_bytes_the_oldest_of_the_lowest_priority_goes() -> None:
    queue = queue_of("priority", {b"high": 9, b"mid": 5, b"also": 5}, max_bytes=4 * (5 + OVERHEAD))
    for topic, payload in ((b"high", b"1"), (b"mid", b"2"), (b"also", b"3"), (b"low", b"4")):
        queue.put(delivery(topic, payload))
    assert put_all(queue, b"high", b"5") == [b"4"]
    assert put_all(queue, b"high", b"6") == [b"2"]
    assert put_all(queue, b"high", b"7") == [b"3"]
    assert put_all(queue, b"high", b"8") == [b"1"]
    assert take_all(queue) == [b"5", b"6", b"7", b"8"]


def test_a_message_never_displaces_a_higher_priority() -> None:
    queue = queue_of("priority", {b"high": 9}, max_bytes=3 * (5 + OVERHEAD))
    put_all(queue, b"high", b"12")
    put_all(queue, b"low", b"3")
    new = delivery(b"low", b"x" * (OVERHEAD + 5))
    assert queue.put(new) == [new]
    assert put_all(queue, b"low", b"4") == [b"3"]
    assert take_all(queue) == [b"1", b"2", b"4"]


def test_a_message_takes_all_that_higher_priorities_leave() -> None:
    queue = queue_of("priority", {b"high": 9}, max_bytes=3 * (5 + OVERHEAD))
    put_all(queue, b"high", b"12")
    put_all(queue, b"low", b"3")
    assert payloads_of(queue.put(delivery(b"low", b"xx"))) == [b"3"]
    assert queue.bytes == queue.max_bytes


def test_what_left_a_higher_priority_makes_room_for_a_lower_one() -> None:
    queue = queue_of("priority", {b"high": 9}, max_bytes=3 * (5 + OVERHEAD))
    put_all(queue, b"high", b"123")
    assert put_all(queue, b"low", b"4") == [b"4"]
    queue.take()
    queue.take()
    assert put_all(queue, b"low", b"567") == [b"5"]
    assert take_all(queue) == [b"3", b"6", b"7"]


def test_a_topic_at_its_length_makes_room_in_bytes_first() -> None:
    queue = queue_of("priority", {b"a": 1}, max_length=1, max_bytes=2 * (2 + OVERHEAD))
    put_all(queue, b"a", b"1")
    put_all(queue, b"b", b"2")
    assert put_all(queue, b"a", b"3") == [b"1"]
    assert take_all(queue) == [b"3", b"2"]


# Watermarks.

@BOTH
def test_above_high_turns_above_the_high_mark_and_below_the_low_one(kind: str) -> None:
    queue = queue_of(kind, max_length=10)
    seen = []
    for payload in range(8):
        put_all(queue, b"t", bytes([payload]))
        seen.append(queue.above_high)
    assert seen == [False] * 6 + [True] * 2
    levels = []
    while queue:
        queue.take()
        levels.append((len(queue), queue.above_high))
    assert levels == [(7, True), (6, True), (5, True), (4, True), (3, True), (2, True), (1, False), (0, False)]


def test_marks_are_rounded() -> None:
    queue = queue_of(max_length=5, low_watermark=0.3, high_watermark=0.5)  # 1.5 and 2.5
    put_all(queue, b"t", b"123")
    assert not queue.above_high
    put_all(queue, b"t", b"4")
    assert queue.above_high
    for _ in range(2):
        queue.take()
    assert queue.above_high
    queue.take()
    assert not queue.above_high


def test_priority_counts_all_topics_against_the_marks() -> None:
    queue = queue_of("priority", max_length=10)
    for topic in b"abcdefg":
        put_all(queue, bytes([topic]), b"1")
    assert queue.above_high


@BOTH
def test_expiry_and_clearing_reach_the_low_mark_too(kind: str) -> None:
    for end in ("expire", "clear"):
        queue = queue_of(kind, max_length=10)
        for _ in range(8):
            queue.put(delivery(b"t", b"x", 5.0))
        assert queue.above_high
        if end == "expire":
            queue.drop_expired(5.0)
        else:
            queue.clear()
        assert not queue.above_high


def test_an_empty_queue_is_never_above_however_small_the_marks() -> None:
    queue = queue_of(max_length=2)  # 0.4 and 1.2
    put_all(queue, b"t", b"12")
    assert queue.above_high
    take_all(queue)
    assert not queue.above_high


@pytest.mark.parametrize(("max_length", "high_watermark"), [(0, 0.6), (10, 0.0)])
def test_without_a_bound_or_a_high_mark_nothing_is_above(max_length: int, high_watermark: float) -> None:
    queue = queue_of(max_length=max_length, high_watermark=high_watermark)
    put_all(queue, b"t", b"123456789")
    assert not queue.above_high


@BOTH
def test_where_it_is_roomy_neither_a_message_nor_the_next_is_too_much(kind: str) -> None:
    for length, size in ((4, 0), (0, 5 * OVERHEAD), (4, 10 * OVERHEAD), (0, 0)):
        queue = queue_of(kind, max_length=length, max_bytes=size)
        while len(queue) < 10 and queue.is_roomy(9, 99):
            assert queue.could_fit(b"t", 9)
            assert not queue.full(b"t", 9)
            assert queue.put(delivery(b"t", bytes(8))) == []
            assert not queue.full(b"t", 99)
        assert len(queue) == (3 if length or size else 10)


def test_what_is_in_the_store_only_takes_room_too() -> None:
    queue = queue_of(max_length=4, max_bytes=5 * OVERHEAD)
    assert queue.is_roomy(1, 1)
    queue.stored = 3
    assert not queue.is_roomy(1, 1)
    queue.stored, queue.stored_bytes = 1, 3 * OVERHEAD
    assert not queue.is_roomy(1, 1)
