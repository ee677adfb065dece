"""MQueue: order, expiry, what it keeps in memory; the cases of emqttd's mqueue suite among them."""
import tracemalloc

from emqtwist.core.message import NEVER, Delivery, Message
from emqtwist.core.mqueue import OVERHEAD
from tests.queues import BOTH, delivery, payloads_of, put_all, queue_of, take_all

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
