"""Retained messages of nodes that are cut off, slow, stopped and wrong about the time: when they meet, all have the newest."""
from random import Random, SystemRandom

import pytest

from emqtwist.core.cluster.marks import Mark
from emqtwist.core.cluster.retained import COMPARE
from emqtwist.core.message import NEVER, Message
from tests.clusters import Net
from tests.stores import START, WALL

NAMES = ("a", "b", "c")
TOPICS = (b"t", b"t/1", b"t/2", b"u")


class Written:
    """What was written to a topic: `until` when it holds, and whether it is `safe`: in the store, or known elsewhere."""

    def __init__(self, mark: Mark, payload: bytes, until: float, node: str) -> None:
        self.mark = mark
        self.payload = payload
        self.until = until
        self.node = node
        self.safe = False


class Story:
    """Random writes and faults; remembers each write."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.net = Net(*NAMES)
        self.written: dict[bytes, dict[Mark, Written]] = {topic: {} for topic in TOPICS}
        self.count = 0

    def play(self) -> None:
        for _ in range(self.random.randrange(10, 60)):
            self.random.choice([self.write, self.write, self.write, self.write, self.cut, self.join, self.stall, self.congest,
                                self.crash, self.step, self.lose, self.wait])()
        self.heal()
        self.check()

    def node(self) -> str:
        return self.random.choice(NAMES)

    def write(self) -> None:
        node, topic = self.net[self.node()], self.random.choice(TOPICS)
        before = node.cluster.replicas.marks.get(topic)
        self.count += 1
        payload = self.random.choice([b"", b"%d" % self.count, b"%d" % self.count])
        until = NEVER if self.random.random() < 0.8 else node.turn.now + self.random.choice([1.0, 5.0, 1000.0])
        node.broker.retain(Message(topic, payload, 1, True, b"", until, "p"))
        mark = node.cluster.replicas.marks.get(topic)
        assert mark is not None
        assert before is None or mark > before  # whatever the clocks say
        self.written[topic][mark] = Written(mark, payload, until, node.name)
        self.net.settle()
        self.note_safe()

    def note_safe(self) -> None:
        """What a node has that stores all of it is not lost."""
        for name in NAMES:
            if self.net[name].stored:
                for topic in TOPICS:
                    mark = self.net[name].cluster.replicas.marks.get(topic)
                    written = None if mark is None else self.written[topic].get(mark)
                    if written is not None:
                        written.safe = True

    def pair(self) -> tuple[str, str]:
        one, other = self.random.sample(NAMES, 2)
        return one, other

    def cut(self) -> None:
        self.net.cut(*self.pair())

    def join(self) -> None:
        one, other = self.pair()
        if (one, other) not in self.net.ends:
            self.net.join(one, other)

    def stall(self) -> None:
        one, other = self.pair()
        if (one, other) in self.net.ends:
            self.net.stall(one, other, self.random.random() < 0.5)

    def congest(self) -> None:
        one, other = self.pair()
        if (one, other) in self.net.ends:
            self.net.congest(one, other, self.random.random() < 0.5)

    def lose(self) -> None:
        """From now on a node stores nothing, or again all."""
        node = self.net[self.node()]
        node.stored = not node.stored
        self.net.settle()
        self.note_safe()

    def crash(self) -> None:
        node = self.net[self.node()]
        node.crash()
        node.stored = True
        self.net.settle()

    def step(self) -> None:
        """A clock on the wall is set: by less than what it takes to forget that a message is gone."""
        node = self.net[self.node()]
        node.journal.offset = WALL - START + self.random.choice([-40_000.0, -100.0, 0.0, 1.0, 100.0, 40_000.0])

    def wait(self) -> None:
        self.net.advance(self.random.choice([0.001, 0.5, 3.0]))

    def heal(self) -> None:
        """Links open, or go on with what they have."""
        for name in NAMES:
            self.net[name].stored = True
        self.net.settle()
        for one, other in list(self.net.ends):
            if (one, other) in self.net.ends and self.random.random() < 0.3:
                self.net.cut(one, other)
        for one, other in list(self.net.ends):
            self.net.stall(one, other, False)
            self.net.congest(one, other, False)
        self.net.join_all()

    def check(self) -> None:
        self.check_same([topic for topic in TOPICS if not self.expires(topic)])
        self.net.advance(COMPARE + 1.0)  # not all messages have expired at all nodes at one time
        self.check_same(list(TOPICS))
        digests = [self.net[name].cluster.replicas.marks.digests for name in NAMES]
        assert digests[0] == digests[1] == digests[2]
        self.check_stored()
        for name in NAMES:
            self.net[name].crash()
        self.check_same([topic for topic in TOPICS if not self.expires(topic)])

    def expires(self, topic: bytes) -> bool:
        return any(written.until != NEVER for written in self.written[topic].values())

    def check_same(self, topics: list[bytes]) -> None:
        for topic in topics:
            known = [self.net[name].cluster.replicas.marks.get(topic) for name in NAMES]
            assert known[0] == known[1] == known[2], (topic, known)
            messages = [self.net[name].broker.retained.get(topic) for name in NAMES]
            payloads = {None if message is None else message.payload for message in messages}
            assert len(payloads) == 1, (topic, payloads)
            self.check_newest(topic, known[0], payloads.pop())

    def check_newest(self, topic: bytes, known: Mark | None, payload: bytes | None) -> None:
        safe = [mark for mark, written in self.written[topic].items() if written.safe]
        if known is None:
            assert not safe
            return
        written = self.written[topic].get(known) or self.written[topic][known[0], known[1], False]  # the end of that one
        assert not safe or max(safe) <= known
        assert payload in ((None,) if known[2] else (written.payload,))

    def check_stored(self) -> None:
        for name in NAMES:
            self.net[name].settle()
            store, replicas = self.net[name].store, self.net[name].cluster.replicas
            for topic in TOPICS:
                mark = replicas.marks.get(topic)
                held = store.retained[topic][6:8] if topic in store.retained else store.tombstones.get(topic, ())[:2]
                assert held == (() if mark is None else mark[:2])
                assert (topic in store.tombstones) == (mark is not None and mark[2])


def test_nodes_that_meet_have_the_newest() -> None:
    for seed in range(50):
        Story(seed).play()


@pytest.mark.sweep
def test_nodes_that_meet_have_the_newest_in_many_new_stories() -> None:
    for _ in range(5000):
        Story(SystemRandom().randrange(1 << 32)).play()
