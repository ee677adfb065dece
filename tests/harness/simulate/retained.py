"""Retained messages: clients at all nodes retain and delete them, and all nodes come to have the newest.

Which of two is newer, their stamps say. Each has a later stamp than what its node knew; no node goes back to an earlier one, nor
forgets in a crash what was accepted there. In peace the last one is the newest, whatever the clocks of the nodes say.
"""
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from emqtwist.core.cluster.marks import Mark
from emqtwist.mqtt.packets import Publish
from tests.harness.simulate.account import FILL, Account, Mail
from tests.harness.simulate.knowing import matches
from tests.harness.simulate.world import Found, World
from tests.properties.journal.clients import Arrival

if TYPE_CHECKING:
    from tests.harness.simulate.clients import SimClient
    from tests.harness.simulate.node import Node
    from tests.harness.simulate.run import Simulation

DELETES: Final = 0.25  # of all messages
NOTHING: Final[Mark] = (-1, "", False)  # earlier than all


class Write(Mail):
    """A message to be retained; without a payload it deletes. `marks` are what it was given each time, lastly at `node`."""

    def __init__(self, number: int, sender: str, topic: str, qos: int, calm: bool, deletes: bool) -> None:
        super().__init__(number, sender, topic, b"" if deletes else b"%06d" % number + FILL, qos, True, calm)
        self.marks: list[Mark] = []
        self.node = ""


@dataclass
class Watcher:
    """What a client has to find for a filter that it asks for, by topic, unless that is changed before."""

    client: "SimClient"
    asked: dict[str, dict[str, Mark]] = field(default_factory=dict)  # by filter, while there was no SUBACK
    owed: dict[str, Mark] = field(default_factory=dict)
    found: dict[str, bytes] = field(default_factory=dict)


class Retained(Account):
    """`writes` are all messages, the first is number 1. `last` maps topics to what was written in peace.

    `safe` has by topic the highest mark that was accepted; `known` has by node and topic the highest one that it showed.
    """

    topics = ("$r/0", "$r/1", "$r/2")  # Topic Names with a $ are nobody's who subscribes to #
    filters = (*topics, "$r/+")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.writes: list[Write] = []
        self.last: dict[str, Write] = {}
        self.safe = dict.fromkeys(self.topics, NOTHING)
        self.known: dict[tuple[str, str], Mark] = {}
        self.watchers: dict[str, Watcher] = {}
        self._kept: dict[tuple[str, str], Mark] = {}  # by node and topic, the highest that was accepted there
        self._by_mark: dict[tuple[str, Mark], Write] = {}

    def people(self, play: "Simulation") -> None:
        random = self.world.random
        for at, node in enumerate(play.nodes.values()):
            roams = play.loads.takeover and random.random() < 0.7
            play.client(self, f"scribe{at}", node, persistent=True, roams=roams, publishes=True, subscribes=True)
        for name in ("teller", "visitor"):
            play.client(self, f"{name}0", random.choice(list(play.nodes.values())), persistent=False, roams=True,
                        publishes=name == "teller", subscribes=name == "visitor")

    def joins(self, client: "SimClient") -> None:
        self.watchers[client.client_id] = Watcher(client)

    # Who writes.

    def mail(self, sender: str, topic: str, qos: int, calm: bool) -> Write:
        write = Write(len(self.writes) + 1, sender, topic, qos, calm, self.world.random.random() < DELETES)
        self.writes.append(write)
        return write

    def sends(self, client: "SimClient", mail: Mail) -> None:
        self._look_at(client.node)

    def sent(self, client: "SimClient", mail: Mail) -> None:
        """Its node has given it a mark; not to what its session had before, at QoS 2."""
        assert isinstance(mail, Write)
        if client.peer is None or client.peer.closed:
            return
        before, mark = self.known.get((client.node.name, mail.topic), NOTHING), mark_at(client.node, mail.topic)
        if mark == before and mail.qos == 2 and mail.marks:
            return
        if mark <= before or self._by_mark.setdefault((mail.topic, mark), mail) is not mail:
            raise Found(f"G6: {mail.name} on {mail.topic} is not the newest at {client.node.name}: {mark}, {before}", mail.name,
                        mail.topic)
        mail.marks.append(mark)
        mail.node = client.node.name
        self._look_at(client.node)
        if mail.calm:
            self.last[mail.topic] = mail

    def accepts(self, mail: Mail) -> None:
        assert isinstance(mail, Write)
        here = mail.node, mail.topic
        self.safe[mail.topic] = max(self.safe[mail.topic], mail.marks[-1])
        self._kept[here] = max(self._kept.get(here, NOTHING), mail.marks[-1])

    # Who reads.

    def asks(self, client: "SimClient", topic_filter: str) -> None:
        """What is there now it finds."""
        node, watcher = client.node, self.watchers[client.client_id]
        there = [topic for topic in self.topics if matches(topic_filter, topic) and payload_at(node, topic)]
        watcher.asked[topic_filter] = {topic: mark_at(node, topic) for topic in there}
        for topic in there:
            watcher.found.pop(topic, None)

    def subscribed(self, client: "SimClient", topic_filter: str, code: int) -> None:
        if code >= 0x80:
            raise Found(f"{client.client_id} is refused {topic_filter}: {code:#04x}", client.client_id)
        watcher = self.watchers[client.client_id]
        watcher.owed.update({topic: mark for topic, mark in watcher.asked.pop(topic_filter, {}).items()
                             if topic not in watcher.found})

    def arrives(self, client: "SimClient", arrival: Arrival) -> None:
        self.watchers[client.client_id].owed.pop(arrival.topic, None)

    def retained(self, client: "SimClient", packet: Publish) -> None:
        watcher, topic = self.watchers[client.client_id], packet.topic_name.decode()
        write = self.writes[int(packet.payload[:6]) - 1]
        if write.topic != topic or write.payload != packet.payload:
            raise Found(f"G6: {client.client_id} finds {write.name} on {topic}", client.client_id, write.name)
        watcher.found[topic] = packet.payload
        watcher.owed.pop(topic, None)

    def leaves(self, client: "SimClient") -> None:
        self.watchers[client.client_id] = Watcher(client)

    # Nodes.

    def crashed(self, node: "Node") -> None:
        """It knows what was accepted there."""
        for topic in self.topics:
            self.known[node.name, topic] = self._kept.get((node.name, topic), NOTHING)

    def look(self) -> None:
        for node in self.network.nodes.values():
            self._look_at(node)
        for watcher in self.watchers.values():
            watcher.owed = {topic: mark for topic, mark in watcher.owed.items() if mark_at(watcher.client.node, topic) == mark}

    def _look_at(self, node: "Node") -> None:
        for topic in self.topics if node.alive else ():
            before, mark = self.known.get((node.name, topic), NOTHING), mark_at(node, topic)
            if mark < before:
                raise Found(f"G6: {node.name} goes back on {topic}, from {before} to {mark}", topic)
            self.known[node.name, topic] = mark

    # When all has settled.

    def busy(self) -> list[str]:
        found = [f"{topic} is not the same at all nodes" for topic in self.topics
                 if len({(mark_at(node, topic), payload_at(node, topic)) for node in self.network.nodes.values()}) > 1]
        return found + [f"{name} has not found {topic}" for name, watcher in self.watchers.items() for topic in watcher.owed]

    def epilogue(self, play: "Simulation") -> None:
        """One writes after the other, and then at each node somebody comes who looks."""
        for _ in range(2):
            for topic in self.topics:
                writers = [client for client in play.of(self) if client.publishes and client.persistent]
                self.world.random.choice(writers).send_one(topic, self.world.random.randrange(3), calm=True)
            play.settle()
        lookers = [play.client(self, f"looker{at}", node, persistent=False) for at, node in enumerate(play.nodes.values())]
        for looker in lookers:
            looker.calm = True
            looker.begin()
        play.settle()
        for looker in lookers:
            looker.listen("$r/+")
        play.settle()
        for looker in lookers:
            self._check_found(looker)

    def check(self) -> None:
        if self.busy():
            raise Found(f"G6: {self.busy()}", *self.topics)
        for node in self.network.nodes.values():
            for topic in self.topics:
                self._check_at(node, topic)

    def _check_at(self, node: "Node", topic: str) -> None:
        mark, payload = mark_at(node, topic), payload_at(node, topic)
        if mark < self.safe[topic]:
            raise Found(f"G6: {mark} is not the newest on {topic}, which is {self.safe[topic]}", topic)
        write = self._by_mark.get((topic, mark))
        if payload != (write.payload if write else b""):
            raise Found(f"G6: {payload[:6].decode()} on {topic}, which has {mark}", topic)
        if topic in self.last and self.last[topic] is not write:
            raise Found(f"G6: {self.last[topic].name} came last on {topic}, not {mark}", topic)
        held = node.store.retained[topic.encode()][6:8] if payload else node.store.tombstones.get(topic.encode(), ())[:2]
        if held != mark[:2] and mark != NOTHING:
            raise Found(f"G6: the store of {node.name} has {held} on {topic}, not {mark}", topic)

    def _check_found(self, client: "SimClient") -> None:
        """It has subscribed to all, and nothing was written since."""
        kept = {topic: payload for topic in self.topics if (payload := payload_at(client.node, topic))}
        found = self.watchers[client.client_id].found
        if found != kept:
            raise Found(f"G6: {client.client_id} finds {found}, not {kept}", client.client_id, *self.topics)


def mark_at(node: "Node", topic: str) -> Mark:
    return node.cluster.replicas.marks.get(topic.encode()) or NOTHING


def payload_at(node: "Node", topic: str) -> bytes:
    message = node.broker.retained.get(topic.encode())
    return b"" if message is None else message.payload
