"""Queues longer than their share of memory: what is behind it is in the store only, and comes back in pages."""
import pytest

from emqtwist.core import records as r
from emqtwist.core.journal import Journal, Rows
from emqtwist.core.message import Message
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Puback, Publish
from tests.peers import Peer, World, properties
from tests.scenes import arrive
from tests.stores import StoredWorld, now

SMALL = "mqtt.mqueue.max_memory = 1KB"  # two messages, with what each costs besides


def away(world: World, *filters: str, qos: int = 2) -> None:
    """bob subscribes, and goes."""
    bob = arrive(world)
    bob.subscribe(*(filters or ("a",)), qos=qos)
    bob.drop()


def in_memory(world: World) -> int:
    backlog = world.session("bob").backlog
    assert backlog is not None
    return len(backlog.queue)


def fill(world: World, count: int, qos: int = 1, topic: str = "a") -> Peer:
    alice = world.connect("alice")
    for number in range(count):
        alice.publish(topic, b"%d" % number, qos=qos)
    return alice


def drained(bob: Peer) -> list[bytes]:
    """Take all there is, acknowledging each message; their payloads."""
    payloads: list[bytes] = []
    while publishes := [packet for packet in bob.received() if isinstance(packet, Publish)]:
        for publish in publishes:
            payloads.append(publish.payload)
            bob.acknowledge(publish)
    return payloads


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_mqtt_mqueue_max_memory() -> None:
    world = StoredWorld(SMALL)
    away(world)
    fill(world, 50)
    assert in_memory(world) <= 3
    assert world.session("bob").queued() == 50
    assert len(world.store.rows) == 50


def test_it_comes_back_in_order_and_memory_stays_small() -> None:
    world = StoredWorld(SMALL, "mqtt.session.max_inflight = 3")
    away(world)
    fill(world, 50)
    bob = arrive(world)
    payloads = []
    while publishes := bob.all(Publish):
        assert in_memory(world) <= 6
        payloads += [publish.payload for publish in publishes]
        bob.acknowledge(*publishes)
    assert payloads == numbers(50)
    assert not world.store.rows
    assert not world.store.messages


def test_nothing_overtakes_what_is_in_the_store() -> None:
    world = StoredWorld(SMALL, "mqtt.session.max_inflight = 3")
    away(world)
    alice = fill(world, 20)
    bob = arrive(world)
    alice.publish("a", b"late", qos=1)
    alice.publish("a", b"later")
    assert drained(bob) == [*numbers(20), b"late", b"later"]


def test_after_a_crash_only_pages_are_read() -> None:
    world = StoredWorld(SMALL, "mqtt.session.max_inflight = 3")
    away(world)
    fill(world, 50, qos=2)
    world.crash()
    assert in_memory(world) == 0
    assert world.session("bob").queued() == 50
    alice = fill(world, 1, topic="b")
    alice.publish("a", b"new", qos=2)
    bob = arrive(world)
    publishes = bob.all(Publish)
    assert len(publishes) == 3
    assert in_memory(world) < 10
    bob.acknowledge(*publishes)
    assert [publish.payload for publish in publishes] + drained(bob) == [*numbers(50), b"new"]
    assert not world.store.rows


def test_the_end_of_a_session_ends_what_is_stored_too() -> None:
    world = StoredWorld(SMALL)
    away(world)
    fill(world, 20)
    assert arrive(world, clean_start=True).received() == []
    assert world.drops["session_ended"] == 20
    assert not world.store.rows


def test_a_page_for_a_session_that_ended_meanwhile_is_nobodys() -> None:
    world = StoredWorld(SMALL)
    away(world)
    fill(world, 20)
    world.crash()
    world.stored = False
    bob = world.peer()
    bob.send(Connect(5, "bob", False, properties=properties(session_expiry_interval=1000)))
    world.take()
    world.answer()
    world.flush()
    fetch = world.journal.wanted.pop()
    page = now(world.store.page(fetch))
    arrive_anew = world.peer()
    arrive_anew.send(Connect(5, "bob", True))
    world.broker.page(fetch, *page)
    world.commit()
    assert [type(packet) for packet in arrive_anew.received()] == [Connack]
    assert world.drops["session_ended"] == 20


def test_bounds_count_what_is_stored() -> None:
    world = StoredWorld(SMALL, "mqtt.mqueue.max_length = 10")
    away(world)
    alice = fill(world, 10)
    alice.received()
    alice.publish("a", b"too many", qos=1)
    assert alice.answer(Puback)[1] == c.QUOTA_EXCEEDED
    world.crash()
    alice = world.connect("alice")
    alice.publish("a", b"too many", qos=1)
    assert alice.answer(Puback)[1] == c.QUOTA_EXCEEDED
    assert drained(arrive(world)) == numbers(10)


def test_mqtt_mqueue_max_stored() -> None:
    world = StoredWorld(SMALL, "mqtt.mqueue.max_stored = 10KB")
    away(world)
    alice = world.connect("alice")
    alice.publish("a", b"x" * 8000, qos=1)
    alice.publish("a", b"x" * 8000, qos=1)
    assert [packet.reason_code for packet in alice.all(Puback)] == [c.SUCCESS, c.QUOTA_EXCEEDED]


def test_a_queue_that_drops_its_oldest_drops_them_in_the_store_too() -> None:
    world = StoredWorld(SMALL, "mqtt.mqueue.max_length = 4", "mqtt.mqueue.on_full = drop_oldest")
    away(world)
    fill(world, 10)
    assert len(world.store.rows) == 4
    world.crash()
    alice = fill(world, 1)  # nothing is in memory that could go for it: it goes itself, and a page comes
    alice.publish("a", b"next", qos=1)
    payloads = drained(arrive(world))
    assert len(payloads) == 4
    assert payloads[-1] == b"next"


def test_expired_messages_of_a_page_are_dropped() -> None:
    world = StoredWorld(SMALL)
    away(world)
    alice = world.connect("alice")
    for number in range(20):
        alice.publish("a", b"%d" % number, qos=1, message_expiry_interval=10 if number % 2 else 100)
    world.crash(50)
    assert drained(arrive(world)) == numbers(20)[::2]
    assert world.drops["expired"] == 10
    assert not world.store.rows


def test_priorities_hold_over_a_crash() -> None:
    world = StoredWorld(SMALL, "mqtt.mqueue.type = priority", "mqtt.mqueue.priority = high=9")
    away(world, "low", "high")
    fill(world, 5, topic="low")
    fill(world, 5, topic="high")
    world.crash()
    bob = arrive(world)
    fill(world, 1, topic="high")
    topics = [packet.topic_name for packet in bob.all(Publish)]
    assert topics == [b"high"] * 5 + [b"low"] * 5 + [b"high"]


def test_identifiers_go_round_after_65535_rows() -> None:
    world = StoredWorld()
    away(world)
    session = world.session("bob")
    assert session.ledger is not None
    session.ledger.next_seq = 65_535
    fill(world, 3)
    bob = arrive(world)
    assert [packet.packet_id for packet in bob.all(Publish)] == [65_535, 1, 2]


def test_an_identifier_that_is_still_in_use_is_waited_for() -> None:
    world = StoredWorld()
    bob = arrive(world)
    bob.subscribe("a", qos=1)
    alice = fill(world, 1)
    first = bob.one(Publish)
    session = world.session("bob")
    assert session.ledger is not None
    session.ledger.next_seq = 65_536  # whose identifier is that of the first row
    alice.publish("a", b"waits", qos=1)
    assert bob.received() == []
    bob.acknowledge(first)
    assert [(packet.packet_id, packet.payload) for packet in bob.all(Publish)] == [(1, b"waits")]


def test_acknowledgements_in_order_are_one_record() -> None:
    world = StoredWorld()
    away(world)
    fill(world, 6)
    bob = arrive(world)
    world.stored = False
    publishes = bob.all(Publish)
    bob.send(*[Puback(publishes[place].packet_id) for place in (0, 1, 2, 4, 5)])
    records = world.journal.take()
    assert [record for record in records if record[0] == r.DONE] == [(r.DONE, 1, 0, 1, 3), (r.DONE, 1, 0, 5, 6)]


def test_a_run_ends_before_an_identifier_that_is_in_use() -> None:
    world = StoredWorld()
    bob = arrive(world)
    bob.subscribe("a", qos=1)
    alice = fill(world, 1)
    first = bob.one(Publish)
    session = world.session("bob")
    assert session.ledger is not None
    bob.stall()
    session.ledger.next_seq = 65_535
    for payload in (b"1", b"2", b"3"):  # the second has the identifier of the first row
        alice.publish("a", payload, qos=1)
    bob.relieve()
    assert bob.payloads() == [b"1"]
    bob.acknowledge(first)
    assert bob.payloads() == [b"2", b"3"]


def test_a_page_waits_for_the_last_group_that_brought_a_row_for_it() -> None:
    world = StoredWorld(SMALL)
    away(world)
    fill(world, 50)
    last = world.journal.group - 1
    world.connect("alice").publish("elsewhere", b"kept", retain=True)  # a group that has nothing for bob
    assert world.journal.group > last + 1
    ledger = world.session("bob").ledger
    assert ledger is not None
    ledger.want(100)
    assert [fetch.group for fetch in world.journal.wanted] == [last]
    assert world.journal.has(last)
    assert not world.journal.has(world.journal.group)


@pytest.mark.parametrize(("seqs", "ranges"), [
    ([1, 2, 3], [(1, 3)]), ([2, 3, 5, 6, 9], [(2, 3), (5, 6), (9, 9)]), ([3, 1, 2], [(3, 3), (1, 2)]), ([7], [(7, 7)]), ([], []),
])
def test_rows_that_end_together_are_as_few_records_as_can_be(seqs: list[int], ranges: list[tuple[int, int]]) -> None:
    together, apart = Journal(), Journal()
    together.done_together(Rows(4), seqs)
    for seq in seqs:
        apart.done(Rows(4), seq)
    assert together.take() == apart.take() == [(r.DONE, 4, 0, first, last) for first, last in ranges]
    assert (together.settled, apart.settled) == (0, 0)


def test_rows_that_came_in_this_group_go_with_what_ends_together() -> None:
    journal, rows = Journal(), Rows(4)
    for seq in (5, 6, 8):
        journal.queue(rows, (Message(b"t", b"x", 1), 0x32, (), seq))
    journal.done_together(rows, [3, 4, 5, 6, 7, 8])
    assert journal.settled == 6
    assert journal.unsettled() == 0
    assert journal.take() == [(r.DONE, 4, 0, 3, 4), (r.DONE, 4, 0, 7, 7)]
