"""MQueue against plain lists, searched from end to end."""
import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from emqtwist.core.inflight import identifier_of
from emqtwist.core.message import NEVER, Delivery, Message
from emqtwist.core.mqueue import OVERHEAD, MQueue

TOPICS = st.sampled_from([b"a", b"b", b"c", b"d/e"])
PRIORITIES = st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 2))


class Model:
    """What should wait, in the order of arrival."""

    def __init__(self, kind: str, priorities: dict[bytes, int], max_length: int, max_bytes: int, low: float,
                 high: float) -> None:
        self.by_topic = kind == "priority"
        self.priorities = priorities
        self.max_length = max_length
        self.max_bytes = max_bytes or 1 << 60
        self.low = max(1, math.floor(max_length * low + 0.5))
        self.high = math.floor(max_length * high + 0.5) or 1 << 60
        self.above = False
        self.arrived: list[Delivery] = []

    def priority(self, delivery: Delivery) -> int:
        return self.priorities.get(delivery[0].topic, 0) if self.by_topic else 0

    def bytes(self, deliveries: list[Delivery]) -> int:
        return sum(message.size + OVERHEAD for message, _, _, _ in deliveries)

    def sending(self) -> list[Delivery]:
        return sorted(self.arrived, key=lambda delivery: -self.priority(delivery))

    def put(self, new: Delivery) -> list[Delivery]:
        stay = [one for one in self.arrived if self.priority(one) > self.priority(new)]
        if self.bytes(stay + [new]) > self.max_bytes:
            return [new]
        dropped: list[Delivery] = []
        alike = [one for one in self.arrived if not self.by_topic or one[0].topic == new[0].topic]
        if self.max_length and len(alike) == self.max_length:
            dropped.append(alike[0])
            self.arrived.remove(alike[0])
        while self.bytes(self.arrived + [new]) > self.max_bytes:
            dropped.append(min(self.arrived, key=self.priority))
            self.arrived.remove(dropped[-1])
        self.note_length()
        self.arrived.append(new)
        return dropped

    def note_length(self) -> None:
        if len(self.arrived) < self.low:
            self.above = False
        elif len(self.arrived) > self.high:
            self.above = True


class Machine(RuleBasedStateMachine):
    """Any order of puts, takes, expiry and clearing."""

    @initialize(kind=st.sampled_from(["simple", "priority"]), priorities=PRIORITIES, max_length=st.integers(0, 6),
                bound=st.sampled_from([0, 0, 2, 5]), low=st.sampled_from([0.0, 0.2, 0.5]),
                high=st.sampled_from([0.0, 0.6, 1.0]))
    def begin(self, kind: str, priorities: dict[bytes, int], max_length: int, bound: int, low: float, high: float) -> None:
        max_bytes = bound * (OVERHEAD + 20)
        self.queue = MQueue(kind, priorities, max_length, max_bytes, low, high)
        self.model = Model(kind, priorities, max_length, max_bytes, low, high)
        self.number = 0
        self.now = 0.0

    @rule(topic=TOPICS, size=st.sampled_from([0, 10, 20, 500, 3000]), life=st.integers(0, 5) | st.just(NEVER),
          qos=st.sampled_from([0, 1, 1, 1, 2]), identifiers=st.sampled_from([(), (), (7,)]),
          skipped=st.sampled_from([0, 0, 65_533]))
    def put(self, topic: bytes, size: int, life: float, qos: int, identifiers: tuple[int, ...], skipped: int) -> None:
        self.number += 1 + skipped
        new = Message(topic, b"x" * size, expires_at=self.now + life), 0x30 | qos << 1, identifiers, self.number
        before = len(self.model.arrived)
        full = self.queue.full(topic, new[0].size)
        dropped = self.queue.put(new)
        assert dropped == self.model.put(new)
        assert full == bool(dropped)
        assert len(self.queue) == before + 1 - len(dropped)
        self.model.note_length()

    @precondition(lambda self: self.model.arrived)
    @rule()
    def take(self) -> None:
        expected = self.model.sending()[0]
        assert self.queue.peek() == expected
        assert self.queue.take() == expected
        self.model.arrived.remove(expected)
        self.model.note_length()

    @rule(most=st.integers(-1, 5), in_use=st.sets(st.integers(1, 9)))
    def take_run(self, most: int, in_use: set[int]) -> None:
        expected: list[Delivery] = []
        for one in self.model.sending() if not self.model.by_topic else []:
            message, first_byte, identifiers, row = one
            if len(expected) >= most or first_byte != 0x32 or identifiers or message.expires_at != NEVER:
                break
            if identifier_of(row) in in_use or row - self.model.arrived[0][3] >= 65_535:
                break
            expected.append(one)
        assert self.queue.take_run(most, dict.fromkeys(in_use)) == expected
        self.model.arrived = [one for one in self.model.arrived if one not in expected]
        self.model.note_length()

    @rule(passed=st.integers(0, 3))
    def drop_expired(self, passed: int) -> None:
        self.now += passed
        expired = [one for one in self.model.arrived if one[0].expires_at <= self.now]
        assert self.queue.drop_expired(self.now) == sorted(expired, key=lambda one: one[0].expires_at)
        self.model.arrived = [one for one in self.model.arrived if one not in expired]
        self.model.note_length()

    @rule()
    def clear(self) -> None:
        assert self.queue.clear() == self.model.sending()
        self.model.arrived = []
        self.model.note_length()

    @invariant()
    def agree(self) -> None:
        assert self.queue.waiting() == self.model.sending()
        assert len(self.queue) == len(self.model.arrived)
        assert self.queue.bytes == self.model.bytes(self.model.arrived)
        assert self.queue.above_high == self.model.above


TestMachine = Machine.TestCase


@given(st.integers(0, 1 << 32), PRIORITIES)
def test_order_holds_over_empty_places(seed: int, priorities: dict[bytes, int]) -> None:
    """Long runs behind one message that stays, so that most places of its rank are empty again and again."""
    chance = Random(seed)
    queue, model = MQueue("priority", priorities, 2, 0, 0.2, 0.6), Model("priority", priorities, 2, 0, 0.2, 0.6)
    for number in range(250):
        topic = chance.choice([b"a", b"b", b"c"]) if number else b"d/e"
        lasts = not number or chance.random() < 0.5
        new = Message(topic, b"x", expires_at=NEVER if lasts else float(number)), 0, (number,), 0
        assert queue.put(new) == model.put(new)
        if not lasts:
            assert queue.drop_expired(float(number)) == [new]
            model.arrived.remove(new)
    assert queue.clear() == model.sending()


@given(st.integers(0, 1 << 32), st.sampled_from(["simple", "priority"]), PRIORITIES)
def test_expiry_holds_over_many_messages(seed: int, kind: str, priorities: dict[bytes, int]) -> None:
    """Long runs of messages that are sent or expire in any order, so that what is stale is swept again and again."""
    chance = Random(seed)
    queue, model = MQueue(kind, priorities, 0, 0, 0.2, 0.6), Model(kind, priorities, 0, 0, 0.2, 0.6)
    for number in range(300):
        new = Message(chance.choice([b"a", b"b"]), b"x", expires_at=float(number + chance.randrange(200))), 0, (number,), 0
        assert queue.put(new) == model.put(new) == []
        if chance.random() < 0.9:
            assert queue.take() == model.sending()[0]
            model.arrived.remove(model.sending()[0])
        if chance.random() < 0.05:
            expired = [one for one in model.arrived if one[0].expires_at <= number]
            assert queue.drop_expired(float(number)) == sorted(expired, key=lambda one: one[0].expires_at)
            model.arrived = [one for one in model.arrived if one not in expired]
