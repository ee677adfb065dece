"""Delayed messages against correct clients: random histories, with crashes wherever a group of records may be."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.broker import Broker
from tests.properties.journal.clients import Client, JournalWorld, Letter

STEPS = st.lists(st.one_of(
    st.tuples(st.just("publish"), st.integers(0, 6)), st.tuples(st.just("wait"), st.integers(1, 4)),
    st.tuples(st.just("crash"), st.integers(0, 8)), st.sampled_from([("take", 0), ("answer", 0), ("commit", 0)])), max_size=40)


class Story:
    """`alice` publishes for later, `bob` has subscribed; the store answers when the history says so."""

    def __init__(self, qos: int) -> None:
        self.world = JournalWorld(stored=True)
        self.qos = qos
        self.alice, self.bob = Client(self.world, "alice", 5), Client(self.world, "bob", 5)
        self.letters: list[Letter] = []
        self._open(self.world.broker)
        self.bob.subscribe("later", qos)
        self._talk()
        self.world.stored = False

    def _open(self, broker: Broker) -> None:
        broker.delayed.open = True
        for client in (self.alice, self.bob):
            client.connect()
        self._talk()

    def _talk(self) -> None:
        self.world.settle()
        for client in (self.alice, self.bob):
            client.read()
            while client.acknowledge():
                self.world.settle()
                client.read()

    def play(self, step: str, number: int) -> None:
        world = self.world
        if step == "publish":
            letter = Letter(f"$delayed/{number}/later", b"%d" % len(self.letters), self.qos)
            self.letters.append(letter)
            self.alice.publish(letter)
            if not letter.places:  # it has not come in yet
                self.letters.pop()
        elif step == "wait":
            world.advance(float(number))
        elif step == "crash":
            world.crash(float(number))
            self._open(world.broker)
        elif step == "take":
            world.take()
        elif step == "answer" and world.take():
            world.answer()
        elif step == "commit":
            world.commit()
        self._talk()

    def finish(self) -> list[bytes]:
        """What has arrived in the end."""
        self.world.stored = True
        for _ in range(8):
            self._talk()
            self.world.advance(1.0)
        self._talk()
        assert self.world.store.delayed == {}
        assert self.world.broker.delayed.held == {}
        return [arrival.payload for arrival in self.bob.arrived]


@given(STEPS)
def test_at_qos_2_each_arrives_once_whenever_the_broker_crashes(steps: list[tuple[str, int]]) -> None:
    story = Story(2)
    for step, number in steps:
        story.play(step, number)
    assert sorted(story.finish()) == sorted(letter.payload for letter in story.letters)


@given(STEPS)
def test_at_qos_1_each_arrives_whenever_the_broker_crashes(steps: list[tuple[str, int]]) -> None:
    story = Story(1)
    for step, number in steps:
        story.play(step, number)
    assert set(story.finish()) == {letter.payload for letter in story.letters}
