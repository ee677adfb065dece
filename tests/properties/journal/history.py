"""A random history of clients, a store and crashes, and what must hold when all has settled."""
from random import Random

from tests.properties.journal.clients import Client
from tests.stores import StoredWorld

TOPICS = ("a", "b")
CONFIG = ("mqtt.session.max_inflight = 3", "mqtt.mqueue.max_memory = 2KB")


class JournalHistory:
    """`owed` is what each reader has to get: accepted after its first SUBACK for the topic was seen."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world = StoredWorld(*CONFIG, stored=False)
        self.readers = [Client(self.world, "old", 4), Client(self.world, "new", 5)]
        self.writers = [Client(self.world, "w4", 4), Client(self.world, "w5", 5)]
        self.clients = self.readers + self.writers
        self.owed: dict[str, list[tuple[str, bytes, int]]] = {"old": [], "new": []}
        self.published = 0
        self._lines: dict[bytes, tuple[str, str, int]] = {}  # who published it, where, at which QoS: these keep their order
        self._marks: dict[tuple[str, str], int] = {}
        self.retained: dict[bytes, set[bytes]] = {}  # whatever was to be retained, by topic

    def play(self, steps: int = 120) -> None:
        for client in self.clients:
            client.connect()
        for _ in range(steps):
            self._step(self.random.random())
            self._read()
        self._settle()
        self._check()

    def _step(self, chance: float) -> None:
        client = self.random.choice(self.clients)
        if chance < 0.35:
            self.published += 1
            topic, payload = self.random.choice(TOPICS), b"%06d" % self.published + b"." * 150
            retain = self.random.random() < 0.2
            if retain:
                self.retained.setdefault(topic.encode(), set()).add(payload)
            writer, qos = self.random.choice(self.writers), self.random.randrange(3)
            self._lines[payload] = writer.client_id, topic, qos
            writer.publish(topic, payload, qos, retain)
        elif chance < 0.42:
            self.random.choice(self.readers).subscribe(self.random.choice(TOPICS), self.random.choice((1, 2, 2)))
        elif chance < 0.60:
            client.acknowledge(self.random.randrange(1, 4))
        elif chance < 0.66:
            client.drop()
        elif chance < 0.76:
            client.connect()
        elif chance < 0.86:
            self.world.take()
        elif chance < 0.92:
            if self.world.take():
                self.world.answer()
                self.world.settle()
        elif chance < 0.96:
            self.world.commit()
        else:
            self._crash()

    def _crash(self) -> None:
        self.world.settle()
        self._read()
        self.world.crash(1.0)
        for client in self.clients:
            client.forget()

    def _read(self) -> None:
        before = [dict(reader.subscribed) for reader in self.readers]
        for writer in self.writers:
            known = len(writer.accepted)
            writer.read()
            for topic, payload, qos in writer.accepted[known:]:
                for reader, subscribed in zip(self.readers, before, strict=True):
                    if subscribed.get(topic) and self._since(reader, topic) < int(payload[:6]):
                        self.owed[reader.client_id].append((topic, payload, qos))
        for reader in self.readers:
            reader.read()
            for topic in reader.subscribed:
                self._since(reader, topic)

    def _since(self, reader: Client, topic: str) -> int:
        """The last that had been published when the reader's first SUBACK for `topic` came."""
        return self._marks.setdefault((reader.client_id, topic), self.published)

    def _settle(self) -> None:
        for client in self.clients:
            client.connect()
        for _ in range(1000):
            self.world.commit()
            self._read()
            arrived = sum(len(client.arrived) for client in self.clients)
            busy = [client.acknowledge() for client in self.clients]
            self.world.commit()
            self._read()
            idle = not any(busy) and not any(client.owed for client in self.clients)
            if idle and arrived == sum(len(client.arrived) for client in self.clients):
                return
        raise AssertionError("it never settles")

    def _check(self) -> None:
        for client in self.clients:
            assert not client.lost, client.client_id
            assert not client.outgoing, client.client_id
        for reader in self.readers:
            arrived = [payload for _, payload, _ in reader.arrived]
            for owed in self.owed[reader.client_id]:
                assert owed[1] in arrived, (reader.client_id, owed)
            twice = [payload for _, payload, qos in reader.arrived if qos == 2]
            assert len(twice) == len(set(twice)), reader.client_id
            last: dict[tuple[object, ...], bytes] = {}
            for payload, qos in dict.fromkeys((payload, qos) for _, payload, qos in reader.arrived):
                line = *self._lines[payload], qos
                if int(payload[:6]) <= self._since(reader, line[1]):
                    continue  # may have been sent again, and only then have met the subscription
                assert last.get(line, b"") < payload, (reader.client_id, line)
                last[line] = payload
        store = self.world.store
        for topic, fields in store.retained.items():
            assert fields[0] in self.retained[topic]
        assert not store.rows
        assert not store.messages
        assert not store.received
