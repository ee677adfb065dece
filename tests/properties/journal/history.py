"""A random history of clients, a store and crashes, and what must hold when all has settled."""
from random import Random

from emqtwist.mqtt.packets import Will
from tests.peers import properties
from tests.properties.journal.absences import DUE, IN_TIME, Testator
from tests.properties.journal.clients import Arrival, Client, JournalWorld, Letter

TOPICS = ("a", "b")
SILENT = ("r", "s")  # where messages are retained and deleted, and nobody listens
WILLS = "w"
CONFIG = ("mqtt.session.max_inflight = 3", "mqtt.mqueue.max_memory = 2KB")
SHORT, LONG = 5, 100_000  # seconds


class JournalHistory:
    """`owed` is what each reader has to get: accepted after it had seen a SUBACK for the topic."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world = JournalWorld(*CONFIG, stored=False)
        self.readers = [Client(self.world, "old", 4), Client(self.world, "new", 5)]
        self.writers = [Client(self.world, "w4", 4), Client(self.world, "w5", 5)]
        self.guest = Client(self.world, "guest", 5, SHORT)
        self.clients = [*self.readers, *self.writers, self.guest]
        self.lives = {client: Testator(client, 0 if client.version == 4 else SHORT) for client in [*self.writers, self.guest]}
        self.owed: dict[str, list[Letter]] = {"old": [], "new": []}
        self.published = 0
        self.letters: dict[bytes, Letter] = {}
        self._lines: dict[bytes, tuple[str, str, int]] = {}  # who published it, where, at which QoS: these keep their order
        self._marks: dict[tuple[str, str], int] = {}
        self._ends: dict[tuple[str, str], int] = {}
        self.retained: dict[str, list[Letter]] = {}
        self._whole = 0.0  # when all was stored, the last time that this was looked at

    def play(self, steps: int = 250) -> None:
        self._begin()
        for _ in range(steps):
            if not self.world.journal.barrier():
                self._whole = self.world.wall
            self._step(self.random.random())
            self._read()
        self._settle()
        self._check()

    def _begin(self) -> None:
        """Everybody is there, and the readers listen to Wills."""
        for client in self.clients:
            self._connect(client)
        self._commit()
        for reader in self.readers:
            reader.subscribe(WILLS, 2)
        self._commit()

    def _step(self, chance: float) -> None:
        client, reader = self.random.choice(self.clients), self.random.choice(self.readers)
        if chance < 0.33:
            self._publish(self.random.choice(self.writers), self.random.random() < 0.3)
        elif chance < 0.39:
            reader.subscribe(self.random.choice(TOPICS), self.random.choice((1, 2, 2)))
            self.guest.subscribe("a", 1)
        elif chance < 0.41:
            self._unsubscribe(reader, self.random.choice(TOPICS))
        elif chance < 0.58:
            client.acknowledge(self.random.randrange(1, 4))
        elif chance < 0.64:
            self._leave(client)
        elif chance < 0.74:
            self._connect(client)
        elif chance < 0.78:
            self.world.advance(self.random.choice((0.5, 2.0, 4.0)))
        elif chance < 0.86:
            self.world.take()
        elif chance < 0.92:
            if self.world.take():
                self.world.answer()
                self.world.settle()
        elif chance < 0.96:
            self._commit()
        else:
            self._crash()

    def _publish(self, writer: Client, retain: bool) -> None:
        topic, payload = self.random.choice(TOPICS), self._payload()
        qos, expiry = self.random.randrange(3), self.random.choice((0, 0, SHORT, LONG))
        if retain:
            topic, expiry = self.random.choice((*TOPICS, *SILENT)), 0
        if topic in SILENT and self.random.random() < 0.4:
            payload = b""
        letter = Letter(topic, payload, qos, retain, 0 if writer.version == 4 else expiry)
        self.letters[payload] = letter
        self._lines[payload] = writer.client_id, topic, qos
        if retain:
            self.retained.setdefault(topic, []).append(letter)
        writer.publish(letter)

    def _payload(self) -> bytes:
        self.published += 1
        return b"%06d" % self.published + b"." * 150

    def _unsubscribe(self, reader: Client, topic: str) -> None:
        reader.unsubscribe(topic)
        if topic not in reader.subscribed:
            self._marks.pop((reader.client_id, topic), None)
            self._ends.pop((reader.client_id, topic), None)

    def _connect(self, client: Client) -> None:
        life = self.lives.get(client)
        if life is None:
            client.connect()
        elif client is self.guest:
            life.connect(None)
        else:
            payload, delay = self._payload(), int(life.absence.delay)
            self._lines[payload] = client.client_id, WILLS, 2
            life.connect(Will(WILLS.encode(), payload, 2, properties=properties(will_delay_interval=delay) if delay else None))

    def _leave(self, client: Client) -> None:
        life = self.lives.get(client)
        if life is None:
            client.drop()
        elif self.random.random() < 0.3:
            life.disconnect()
        else:
            life.drop()

    def _commit(self) -> None:
        self.world.commit()
        for life in self.lives.values():
            life.committed()
        self._read()

    def _crash(self) -> None:
        self.world.settle()
        self._read()
        self.world.crash(self.random.choice((0.0, 1.0, 6.0)))
        for life in self.lives.values():
            life.crashed()
        for client in self.clients:
            client.forget()

    def _read(self) -> None:
        before = [dict(reader.subscribed) for reader in self.readers]
        for writer in self.writers:
            known = len(writer.accepted)
            writer.read()
            for letter in writer.accepted[known:]:
                for reader, subscribed in zip(self.readers, before, strict=True):
                    if letter.expiry != SHORT and subscribed.get(letter.topic) and self._is_after(reader, letter):
                        self.owed[reader.client_id].append(letter)
        self.guest.read()
        for reader in self.readers:
            known = len(reader.arrived)
            reader.read()
            self._judge(reader, reader.arrived[:known], reader.arrived[known:])
            for topic in reader.subscribed:
                self._since(reader, topic)
            for topic in reader.unsubscribed:
                self._ends.setdefault((reader.client_id, topic), self.published)
        for client, life in self.lives.items():
            self._look(client, life)

    def _look(self, client: Client, life: Testator) -> None:
        found, present = life.look(), client.present[-1:]
        if client is self.guest:
            assert not (found == DUE and present == [True]), "a session outlives its expiry"
            assert not (found == IN_TIME and present == [False]), "a session has ended too early"

    def _judge(self, reader: Client, before: list[Arrival], arrived: list[Arrival]) -> None:
        """No message lives too long, or comes to somebody who does not want it any more."""
        seen = {arrival.payload for arrival in before}
        for arrival in arrived:
            letter = self.letters.get(arrival.payload)
            if letter is None:
                continue  # a Will
            if arrival.topic in reader.unsubscribed and (end := self._ends.get((reader.client_id, arrival.topic))) is not None:
                assert int(arrival.payload[:6]) <= end, (reader.client_id, "has unsubscribed", arrival.payload)
            if letter.expiry and arrival.at >= letter.until:
                if arrival.qos == 2 and self._whole < letter.until:
                    continue  # may have been written in time, and have waited for its commit since
                assert arrival.dup, "has expired"
                assert arrival.qos == 2 or arrival.payload in seen, "has expired, and was not sent before"
            elif letter.expiry and reader.version == 5:
                assert arrival.rest is not None
                if arrival.qos < 2:  # the others were written before they waited for their commit
                    assert arrival.rest <= letter.until - arrival.at + 1, "lives too long"

    def _is_after(self, reader: Client, letter: Letter) -> bool:
        return self._since(reader, letter.topic) < int(letter.payload[:6])

    def _since(self, reader: Client, topic: str) -> int:
        """The last that had been published when the reader's SUBACK for `topic` came, that of its first SUBSCRIBE."""
        return self._marks.setdefault((reader.client_id, topic), self.published)

    def _settle(self) -> None:
        for client in self.clients:
            self._connect(client)
        for _ in range(1000):
            self._commit()
            arrived = sum(len(client.arrived) for client in self.clients)
            busy = [client.acknowledge() for client in self.clients]
            self._commit()
            idle = not any(busy) and not any(client.owed for client in self.clients)
            if idle and arrived == sum(len(client.arrived) for client in self.clients):
                return
        raise AssertionError("it never settles")

    def _check(self) -> None:
        for client in self.clients:
            assert client is self.guest or all(client.present[1:]), client.client_id
            assert not client.outgoing, client.client_id
        for reader in self.readers:
            self._check_reader(reader, [arrival.payload for arrival in reader.arrived])
        for topic, letters in self.retained.items():
            self._check_retained(topic, [letter for letter in letters if letter.places])
        store = self.world.store
        assert not store.rows
        assert not store.messages
        assert not store.received
        assert len(store.sessions) == len(self.clients)
        assert len(store.wills) == len(self.writers)

    def _check_reader(self, reader: Client, arrived: list[bytes]) -> None:
        for owed in self.owed[reader.client_id]:
            assert owed.payload in arrived, (reader.client_id, owed.topic, owed.payload)
        twice = [arrival.payload for arrival in reader.arrived if arrival.qos == 2]
        assert len(twice) == len(set(twice)), reader.client_id
        last: dict[tuple[object, ...], bytes] = {}
        for payload, qos in dict.fromkeys((arrival.payload, arrival.qos) for arrival in reader.arrived):
            line = *self._lines[payload], qos
            if int(payload[:6]) <= self._since(reader, line[1]):
                continue  # may have been sent again, and only then have met the subscription
            letter = self.letters.get(payload)
            if letter is not None and letter.expiry == SHORT and len(letter.places) > 1:
                continue  # may have expired, and have been sent again
            assert last.get(line, b"") < payload, (reader.client_id, line)
            last[line] = payload
        for life in self.lives.values():
            assert life.due <= set(arrived), (reader.client_id, "a Will is lost")
            assert not life.cancelled & set(arrived), (reader.client_id, "a Will that was taken back")
        number = {client_id: number for number, (client_id, *_) in self.world.store.sessions.items()}[reader.client_id]
        stored = {topic.decode() for session, topic in self.world.store.subscriptions if session == number}
        assert set(reader.subscribed) <= stored, (reader.client_id, "a subscription is lost")
        assert not reader.unsubscribed & stored, (reader.client_id, "a subscription is back")

    def _check_retained(self, topic: str, sent: list[Letter]) -> None:
        """It is the last that was accepted, or one that was sent later; of QoS 2, sent twice, either may count."""
        accepted = [letter for writer in self.writers for letter in writer.accepted if letter in sent]
        first = max([letter.places[0 if letter.qos == 2 else -1] for letter in accepted], default=0)
        possible = {letter.payload for letter in sent if letter.places[-1] >= first} | ({b""} if not accepted else set())
        found = self.world.store.retained.get(topic.encode(), (b"",))[0]
        assert found in possible, (topic, found, possible)
