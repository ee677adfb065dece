"""Whatever is published through Topic Aliases, in either direction, arrives as it would without."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.mqtt.packets import Publish
from tests.peers import Peer, World

TOPICS = st.sampled_from(["a", "topic/1", "topic/2", "topic/3", "topic/4", "ä" * 60])
# Topic, QoS, payload, whether by alias.
PUBLISHES = st.tuples(TOPICS, st.integers(0, 2), st.sampled_from([b"", b"x", b"y" * 130]), st.booleans())
BREAKS = st.just(None)  # the receivers' connections break


class Aliasing:
    """A publisher's own account of its aliases: `space` of them, given to topics in turn."""

    def __init__(self, peer: Peer, space: int) -> None:
        self.peer = peer
        self.space = space
        self.given: dict[int, str] = {}
        self.next = 0

    def publish(self, topic: str, payload: bytes, qos: int) -> None:
        for alias, name in self.given.items():
            if name == topic:
                self.peer.publish("", payload, qos, topic_alias=alias)
                return
        alias = self.next + 1
        self.next = alias % self.space
        self.given[alias] = topic
        self.peer.publish(topic, payload, qos, topic_alias=alias)


class Resolving:
    """A receiver that takes `space` aliases, and what it was sent, as Topic Name, payload, QoS, identifier and DUP."""

    def __init__(self, world: World, name: str, space: int) -> None:
        self.world = world
        self.name = name
        self.space = space
        self.got: list[tuple[bytes, bytes, int, int, bool]] = []
        self.arrive()
        self.peer.subscribe("#", qos=2)

    def arrive(self) -> None:
        values = {"topic_alias_maximum": self.space} if self.space else {}
        self.peer = self.world.connect(self.name, clean_start=False, session_expiry_interval=1000, **values)
        self.names: dict[int, bytes] = {}

    def take(self) -> None:
        for publish in self.peer.all(Publish):
            alias = getattr(publish, "topic_alias", 0)
            assert alias <= self.space
            if alias and publish.topic_name:
                self.names[alias] = publish.topic_name
            name = self.names[alias] if alias else publish.topic_name
            self.got.append((name, publish.payload, publish.qos, publish.packet_id, publish.dup))


@given(st.lists(PUBLISHES | BREAKS, max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_messages_by_alias_arrive_as_without(
        actions: list[tuple[str, int, bytes, bool] | None], incoming: int, outgoing: int) -> None:
    world = World()
    receivers = [Resolving(world, "plain", 0), Resolving(world, "few", outgoing), Resolving(world, "more", 30)]
    alice = Aliasing(world.connect("alice"), incoming)
    expected = []
    for action in actions:
        if action is None:
            for receiver in receivers:
                receiver.peer.drop()
                receiver.arrive()
        else:
            topic, qos, payload, by_alias = action
            expected.append((topic.encode(), payload, qos))
            if by_alias:
                alice.publish(topic, payload, qos)
            else:
                alice.peer.publish(topic, payload, qos)
        for receiver in receivers:
            receiver.take()
    first, *others = [receiver.got for receiver in receivers]
    assert [each[:3] for each in first if not each[4]] == expected
    assert others == [first, first]
