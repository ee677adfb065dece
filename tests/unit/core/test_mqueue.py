"""MQueue: order, bounds, what is dropped for what, watermarks; the cases of emqttd's mqueue suite among them."""
import tracemalloc

import pytest

from emqtwist.core.message import NEVER, Delivery, Message
from emqtwist.core.mqueue import OVERHEAD, MQueue

BOTH = pytest.mark.parametrize("kind", ["simple", "priority"])


def queue_of(kind: str = "simple", priorities: dict[bytes, int] | None = None, max_length: int = 0, max_bytes: int = 0,
             low_watermark: float = 0.2, high_watermark: float = 0.6) -> MQueue:
    return MQueue(kind, priorities or {}, max_length, max_bytes, low_watermark, high_watermark)


def delivery(topic: bytes, payload: bytes = b"", expires_at: float = NEVER) -> Delivery:
    return Message(topic, payload, 1, expires_at=expires_at), 0x32, (), 0


def put_all(queue: MQueue, topic: bytes, payloads: bytes) -> list[bytes]:
    """Put a message for each byte; the payloads of what was dropped."""
    dropped: list[Delivery] = []
    for payload in payloads:
        dropped += queue.put(delivery(topic, bytes([payload])))
    return payloads_of(dropped)


def payloads_of(deliveries: list[Delivery]) -> list[bytes]:
    return [message.payload for message, _, _, _ in deliveries]


def take_all(queue: MQueue) -> list[bytes]:
    return payloads_of([queue.take() for _ in range(len(queue))])


# Order.

@BOTH
def test_what_was_put_is_taken_as_it_was(kind: str) -> None:
    queue = queue_of(kind)
    first, second = delivery(b"a"), (Message(b"a", b"x"), 0x35, (7, 9), 4)
    queue.put(first)
    queue.put(second)
    assert len(queue) == 2
    assert queue.peek() == first
    assert queue.take() == first
    assert queue.peek() == second
    assert queue.take() == second
    assert len(queue) == 0


@BOTH
def test_first_in_first_out_over_all_topics_of_one_priority(kind: str) -> None:
    queue = queue_of(kind, {b"a": 3, b"z": 3})
    for topic, payload in ((b"z", b"1"), (b"a", b"2"), (b"z", b"3"), (b"a", b"4")):
        queue.put(delivery(topic, payload))
    assert take_all(queue) == [b"1", b"2", b"3", b"4"]


def test_simple_knows_no_priorities() -> None:
    queue = queue_of("simple", {b"alarm": 9})
    put_all(queue, b"x", b"1")
    put_all(queue, b"alarm", b"2")
    assert take_all(queue) == [b"1", b"2"]


def test_a_higher_priority_goes_first_and_a_topic_without_one_last() -> None:
    queue = queue_of("priority", {b"alarm": 255, b"state": 1})
    put_all(queue, b"other", b"56")
    put_all(queue, b"state", b"34")
    put_all(queue, b"alarm", b"12")
    assert payloads_of(queue.waiting()) == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert queue.take()[0].payload == b"1"
    put_all(queue, b"alarm", b"9")
    assert take_all(queue) == [b"2", b"9", b"3", b"4", b"5", b"6"]


def test_a_changed_priority_does_not_reorder_what_waits_of_the_topic() -> None:
    priorities = {b"t": 1, b"u": 2}
    queue = queue_of("priority", priorities)
    put_all(queue, b"t", b"1")
    priorities[b"t"] = 9
    put_all(queue, b"t", b"2")
    put_all(queue, b"u", b"0")
    assert take_all(queue) == [b"0", b"1", b"2"]
    put_all(queue, b"u", b"2")
    put_all(queue, b"t", b"1")
    assert take_all(queue) == [b"1", b"2"]


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


# Expiry.

@BOTH
def test_expired_messages_are_dropped_in_the_order_of_expiry(kind: str) -> None:
    queue = queue_of(kind, {b"p": 5})
    for topic, payload, expires_at in ((b"t", b"1", 9.0), (b"p", b"2", 3.0), (b"t", b"3", NEVER), (b"t", b"4", 2.0),
                                       (b"p", b"5", 9.5)):
        queue.put(delivery(topic, payload, expires_at))
    assert queue.drop_expired(1.9) == []
    assert payloads_of(queue.drop_expired(3.0)) == [b"4", b"2"]
    assert len(queue) == 3
    assert queue.bytes == 3 * (2 + OVERHEAD)
    assert sorted(payloads_of(queue.waiting())) == [b"1", b"3", b"5"]
    assert queue.drop_expired(3.0) == []
    assert payloads_of(queue.drop_expired(9.2)) == [b"1"]
    assert sorted(take_all(queue)) == [b"3", b"5"]


@BOTH
def test_what_left_before_does_not_expire_any_more(kind: str) -> None:
    queue = queue_of(kind, max_length=2)
    for payload in b"123":
        queue.put(delivery(b"t", bytes([payload]), 5.0))
    queue.take()
    assert payloads_of(queue.drop_expired(6.0)) == [b"3"]
    queue.put(delivery(b"t", b"4", 7.0))
    queue.clear()
    assert queue.drop_expired(8.0) == []


@BOTH
def test_an_expired_message_in_the_middle_makes_room(kind: str) -> None:
    queue = queue_of(kind, max_length=3)
    for payload, expires_at in ((b"1", NEVER), (b"2", 1.0), (b"3", NEVER)):
        queue.put(delivery(b"t", payload, expires_at))
    queue.drop_expired(1.0)
    assert not queue.full(b"t", 0)
    assert put_all(queue, b"t", b"4") == []
    assert put_all(queue, b"t", b"5") == [b"1"]
    assert take_all(queue) == [b"3", b"4", b"5"]


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


# Memory.

@BOTH
def test_clearing_gives_all_in_the_order_of_sending(kind: str) -> None:
    queue = queue_of(kind, {b"t": 1})
    put_all(queue, b"t", b"123")
    assert payloads_of(queue.clear()) == [b"1", b"2", b"3"]
    assert len(queue) == 0
    assert queue.waiting() == []
    put_all(queue, b"t", b"4")
    assert take_all(queue) == [b"4"]


@BOTH
def test_an_empty_queue_keeps_nothing_of_the_topics_it_has_seen(kind: str) -> None:
    queue = queue_of(kind, max_length=2)
    for number in range(200):
        put_all(queue, b"topic/%d" % number, b"123")
    while queue:
        queue.take()
    assert not queue._lines
    assert not queue._ranks


def test_dropped_messages_leave_no_memory_behind_an_old_one() -> None:
    queue = queue_of("priority", {b"high": 9}, max_length=2)
    put_all(queue, b"low/old", b"1")
    for _ in range(5_000):
        queue.put(delivery(b"low/busy", b"x"))
    assert len(queue) == 3
    assert sum([len(rank.places) for rank in queue._ranks.values()]) <= 2 * 3 + 64
    assert take_all(queue) == [b"1", b"x", b"x"]


@BOTH
def test_expired_messages_leave_no_memory_behind_an_old_one(kind: str) -> None:
    queue = queue_of(kind)
    queue.put(delivery(b"t", b"old"))
    tracemalloc.start()
    for step in range(3_000):
        queue.put(delivery(b"t", b"x" * 100, float(step)))
        assert len(queue.drop_expired(float(step))) == 1
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 100_000
    put_all(queue, b"t", b"1")
    assert take_all(queue) == [b"old", b"1"]


@BOTH
def test_messages_that_never_expire_cost_nothing_for_it(kind: str) -> None:
    queue = queue_of(kind)
    put_all(queue, b"t", b"123")
    assert not queue._mortal


@BOTH
def test_messages_taken_before_they_expire_leave_no_memory_behind(kind: str) -> None:
    queue = queue_of(kind)
    tracemalloc.start()
    for step in range(3_000):
        queue.put(delivery(b"t", b"x" * 100, 1e9 + step))
        queue.take()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 100_000


# Those that somebody else wants.

@BOTH
def test_some_are_taken_from_anywhere_and_the_rest_stays_in_order(kind: str) -> None:
    queue = queue_of(kind, {b"a": 1}, max_length=10)
    for topic, payloads in ((b"b", b"12"), (b"a", b"34"), (b"b", b"567")):
        put_all(queue, topic, payloads)
    asked: list[bytes] = []

    def odd(delivery: Delivery) -> bool:
        asked.append(delivery[0].payload)
        return delivery[0].payload in b"1357"

    order = payloads_of(queue.waiting())
    taken = payloads_of(queue.take_where(odd))
    assert asked == order
    assert sorted(taken) == [b"1", b"3", b"5", b"7"]
    assert taken == [payload for payload in order if payload in taken]
    assert (len(queue), queue.bytes) == (3, 3 * (OVERHEAD + 2))
    put_all(queue, b"b", b"8")
    assert take_all(queue) == [payload for payload in order if payload not in taken] + [b"8"]


def test_enough_of_them_taken_reaches_the_low_mark() -> None:
    queue = queue_of(max_length=10)
    put_all(queue, b"a", b"1234567")
    assert queue.above_high
    queue.take_where(lambda delivery: True)
    assert (queue.above_high, len(queue)) == (False, 0)


@BOTH
def test_what_leaves_while_it_is_asked_for_is_not_taken_too(kind: str) -> None:
    queue = queue_of(kind)
    put_all(queue, b"a", b"123")

    def taking(delivery: Delivery) -> bool:
        if delivery[0].payload == b"1":
            queue.take()
            queue.take()
        put_all(queue, b"a", b"9")
        return True

    assert payloads_of(queue.take_where(taking)) == [b"3"]
    assert take_all(queue) == [b"9", b"9"]
