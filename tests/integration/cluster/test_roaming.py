"""Clients that go from node to node, groups and retained messages, while nodes are cut off and killed: three for all of it."""
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from emqtwist.mqtt.constants import (
    MQTT_3_1_1,
    MQTT_5_0,
    NO_MATCHING_SUBSCRIBERS,
    REFUSED_SERVER_UNAVAILABLE,
    SERVER_UNAVAILABLE,
    SESSION_TAKEN_OVER,
)
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
)
from tests.integration.cluster.load import Publisher, Subscriber
from tests.integration.cluster.nodes import heard, publish
from tests.integration.cluster.three import Three, three, until
from tests.integration.keeping import connect
from tests.integration.raw import RawClient

SOME = 40  # messages
APART = 0.5  # seconds by which one is surely newer: what nodes take for the time differs by some milliseconds


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    with three(tmp_path_factory.mktemp("three"), b="orphan = fresh\n") as made:
        yield made


class Roamer:
    """A client with a persistent session: `taken` are the payloads with their QoS, as they came at one node or another."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.taken: list[tuple[bytes, int]] = []
        self._known: set[int] = set()  # identifiers of QoS 2 that were not released
        self._last = 0  # identifier

    def subscribe(self, where: Path, topic_filter: bytes) -> None:
        """Begin, and go away."""
        with RawClient(str(where)) as client:
            assert not connect(client, self.client_id).session_present
            assert client.subscribe(topic_filter, 2) == [2]

    @contextmanager
    def at(self, where: Path) -> Iterator[RawClient]:
        """Connected there, in its session."""
        with RawClient(str(where)) as client:
            connack = connect(client, self.client_id)
            assert (connack.reason_code, connack.session_present) == (0, True)
            yield client

    def take(self, client: RawClient, count: int) -> None:
        """Until it has so many, all of them acknowledged but for what is to be released."""
        while len(self.taken) < count:
            packet = client.next(Packet)
            if isinstance(packet, Pubrel):
                self._release(client, packet.packet_id)
            else:
                assert isinstance(packet, Publish), packet
                self._acknowledge(client, packet)

    def hold(self, client: RawClient, count: int) -> None:
        """So many or more, the last at QoS 2: its PUBREL, which says that all was understood, is not answered."""
        self.take(client, count)
        while self.taken[-1][1] != 2:
            self.take(client, len(self.taken) + 1)
        while True:
            packet = client.next(Packet)
            if isinstance(packet, Pubrel):
                if packet.packet_id == self._last:
                    return
                self._release(client, packet.packet_id)

    def _release(self, client: RawClient, packet_id: int) -> None:
        self._known.discard(packet_id)
        client.send(Pubcomp(packet_id))

    def _acknowledge(self, client: RawClient, packet: Publish) -> None:
        if packet.qos == 1:
            client.send(Puback(packet.packet_id))
        else:
            client.send(Pubrec(packet.packet_id))
        if packet.packet_id not in self._known:
            self.taken.append((packet.payload, packet.qos))
            self._last = packet.packet_id
        if packet.qos == 2:
            self._known.add(packet.packet_id)

    def check(self, count: int) -> None:
        """It has had these numbers, each once and those of each QoS in order."""
        for qos in (1, 2):
            assert [payload for payload, at in self.taken if at == qos] == [b"%d" % number for number in range(qos - 1, count, 2)]


class Numbers:
    """Published at QoS 1 and 2 in turns, and acknowledged: `count` are."""

    def __init__(self, nodes: Three, topic: bytes) -> None:
        self.nodes = nodes
        self.topic = topic
        self.count = 0

    def publish(self, count: int) -> None:
        """So many more, at node a."""
        with self.nodes.client("a") as client:
            for number in range(self.count, self.count + count):
                publish(client, b"%d" % number, 1 + number % 2, self.topic)
        self.count += count


def test_a_session_goes_from_node_to_node_with_all_that_waits_for_it(nodes: Three) -> None:
    where, roamer = nodes.sockets, Roamer("roamer")
    numbers = Numbers(nodes, b"roamer")
    roamer.subscribe(where["a"], b"roamer")
    numbers.publish(12)
    with roamer.at(where["b"]) as old:
        until([nodes.nodes["b"].name], nodes.sessions, "roamer")
        roamer.hold(old, 5)
        numbers.publish(8)
        with roamer.at(where["c"]) as client:
            while not isinstance(last := old.next(Packet), Disconnect):
                pass
            assert last.reason_code == SESSION_TAKEN_OVER
            numbers.publish(2)
            roamer.take(client, numbers.count)
            numbers.publish(2)  # before which all would have come that there is
            roamer.take(client, numbers.count)
            roamer.check(numbers.count)
            until([nodes.nodes["c"].name], nodes.sessions, "roamer")


def test_a_session_that_is_cut_off_is_had_again_when_its_node_is_back_and_nothing_is_lost(nodes: Three) -> None:
    where, roamer = nodes.sockets, Roamer("split")
    numbers = Numbers(nodes, b"split")
    roamer.subscribe(where["c"], b"split")
    with RawClient(str(where["c"]), MQTT_3_1_1) as client:
        assert connect(client, "split-3").reason_code == 0
    numbers.publish(12)
    with nodes.cut_off("c"):
        with RawClient(str(where["a"]), MQTT_5_0) as new, RawClient(str(where["a"]), MQTT_3_1_1) as old:
            new.send(Connect(MQTT_5_0, "split", False))
            old.send(Connect(MQTT_3_1_1, "split-3", False))
            refused = new.next(Connack)
            assert refused.reason_code == SERVER_UNAVAILABLE
            assert refused.properties is not None
            assert nodes.nodes["c"].name in (refused.properties.reason_string or "")
            assert old.next(Connack).reason_code == REFUSED_SERVER_UNAVAILABLE
        numbers.publish(8)
        with roamer.at(where["c"]) as client:
            roamer.hold(client, 5)
    with roamer.at(where["a"]) as client:
        roamer.take(client, numbers.count)
        numbers.publish(2)
        roamer.take(client, numbers.count)
        roamer.check(numbers.count)
        until([nodes.nodes["a"].name], nodes.sessions, "split")
    nodes.until_agreed()


def begin(client: RawClient, topic_filter: bytes, clean_start: bool) -> None:
    """A new session, subscribed."""
    connack = connect(client, topic_filter.decode(), clean_start)
    assert (connack.reason_code, connack.session_present) == (0, False)
    client.send(Subscribe(1, [(topic_filter, 1)]))
    assert client.next(Suback).reason_codes == [1]


def test_of_a_client_on_both_sides_the_session_stays_that_began_last(nodes: Three) -> None:
    where = nodes.sockets
    with (RawClient(str(where["c"])) as old, RawClient(str(where["a"])) as anew, RawClient(str(where["b"])) as orphan,
          nodes.client("c", "writer") as writer):
        begin(old, b"both", True)
        with RawClient(str(where["c"])) as gone:
            begin(gone, b"orphan", True)
        with nodes.cut_off("c"):
            begin(anew, b"both", True)
            begin(orphan, b"orphan", False)  # as this node has orphan = fresh
            publish(writer, b"there", 1, b"both")
            assert heard(old) == (b"there", 1)
        assert old.next(Disconnect).reason_code == SESSION_TAKEN_OVER
        until([nodes.nodes["a"].name], nodes.sessions, "both")
        until([nodes.nodes["b"].name], nodes.sessions, "orphan")
        for topic, client in ((b"both", anew), (b"orphan", orphan)):
            publish(writer, b"after", 1, topic)
            assert heard(client) == (b"after", 1)
    nodes.until_agreed()


class Crew:
    """Members of a group at nodes a and c, and publishers at a and b; they go on until the stack ends."""

    def __init__(self, nodes: Three, stack: ExitStack) -> None:
        self.members = {name: Subscriber(nodes.sockets[name], f"member-{name}", b"$share/crew/work/#") for name in ("a", "c")}
        for member in self.members.values():
            stack.callback(member.end)
            member.until(member.is_there)
        self.publishers = [Publisher(nodes.sockets[name], f"foreman-{name}", b"work/" + name.encode()) for name in ("a", "b")]
        for publisher in self.publishers:
            stack.callback(publisher.end)

    def heard(self, topic: bytes, *names: str) -> list[tuple[int, int]]:
        """Numbers with their QoS."""
        return [one for name in names for one in list(self.members[name].heard.get(topic, []))]

    def until_more(self, name: str) -> None:
        """A member gets messages of each publisher."""
        least = {publisher.topic: len(self.heard(publisher.topic, name)) + SOME for publisher in self.publishers}
        self.members[name].until(lambda: all(len(self.heard(topic, name)) >= count for topic, count in least.items()))

    def until_heard(self, topic: bytes, numbers: range, *names: str) -> None:
        """These members have all of it."""
        until(set(), lambda: set(numbers) - {number for number, _ in self.heard(topic, *names)})


def test_a_group_has_each_message_once_while_a_node_of_it_is_killed(nodes: Three) -> None:
    with ExitStack() as stack:
        crew = Crew(nodes, stack)
        crew.until_more("a")
        crew.until_more("c")
        with nodes.killed("c"):
            alone = [publisher.acknowledged + 1 for publisher in crew.publishers]  # the one before may be on its way
            for publisher, first in zip(crew.publishers, alone, strict=True):
                publisher.advance(SOME)
                crew.until_heard(publisher.topic, range(first, publisher.acknowledged), "a")
        crew.until_more("c")
        for publisher in crew.publishers:
            publisher.end()
            crew.until_heard(publisher.topic, range(publisher.acknowledged), "a", "c")
        nodes.until_agreed()
        for publisher in crew.publishers:
            at_qos_2 = sorted(number for number, qos in crew.heard(publisher.topic, "a", "c") if qos == 2)
            assert at_qos_2 == list(range(1, publisher.acknowledged, 2))


def retain(client: RawClient, topic: bytes, payload: bytes) -> None:
    """Or delete, where there is no payload."""
    client.send(Publish(topic, payload, 1, True, packet_id=1))
    assert client.next(Puback).reason_code == NO_MATCHING_SUBSCRIBERS


def retained(where: Path, count: int) -> dict[bytes, bytes]:
    """What a client that comes is given; there are so many."""
    with RawClient(str(where)) as client:
        client.connect("")
        client.subscribe(b"kept/#")
        return {message.topic_name: message.payload for message in (client.next(Publish) for _ in range(count))}


def test_retained_messages_are_the_same_everywhere_after_a_partition_and_deleted_ones_are_gone(nodes: Three) -> None:
    def topics(name: str) -> list[bytes]:
        return sorted(str(row["topic"]).encode() for row in nodes.ask(name, "retainer", "topics", "kept/#"))

    with nodes.client("b") as there, nodes.client("c") as cut_off:
        before = [b"kept/back", b"kept/gone", b"kept/gone-late"]
        for topic in before:
            retain(there, topic, b"before")
        for name in nodes.nodes:
            until(before, topics, name)
        with nodes.cut_off("c"):
            retain(there, b"kept/there", b"x")
            retain(cut_off, b"kept/cut-off", b"y")
            retain(there, b"kept/gone", b"")
            retain(there, b"kept/both", b"older")
            retain(there, b"kept/back", b"")
            retain(cut_off, b"kept/gone-late", b"again")
            time.sleep(APART)
            retain(cut_off, b"kept/both", b"newer")
            retain(cut_off, b"kept/back", b"again")
            retain(there, b"kept/gone-late", b"")
    expected = {b"kept/back": b"again", b"kept/both": b"newer", b"kept/cut-off": b"y", b"kept/there": b"x"}
    for name, where in nodes.sockets.items():
        until(sorted(expected), topics, name)
        until(expected, retained, where, len(expected))
