"""Clients that go on whatever happens to their broker, and know what was promised to them."""
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Event, Thread

from emqtwist.mqtt.constants import MQTT_5_0
from emqtwist.mqtt.packets import Connack, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel, Suback, Subscribe
from tests.integration.keeping import connect
from tests.integration.program import LIMIT
from tests.integration.raw import RawClient

PAUSE = 0.1  # seconds until a client that found no broker tries again


class Worker(Thread):
    """Does `work` with a connection to the socket file `where`, again and again until it is to stop."""

    def __init__(self, where: Path, client_id: str) -> None:
        super().__init__(daemon=True)
        self.where = where
        self.client_id = client_id
        self.moved = Condition()
        self.stopping = Event()
        self.defect: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                try:
                    with RawClient(str(self.where), MQTT_5_0) as client:
                        client.socket.settimeout(LIMIT)
                        self.work(client)
                except (OSError, AssertionError) as error:
                    if isinstance(error, AssertionError) and not str(error).startswith("closed, no"):
                        raise
                    self.stopping.wait(PAUSE)
        except BaseException as error:
            self.defect = error
        with self.moved:
            self.moved.notify_all()

    def work(self, client: RawClient) -> None:
        raise NotImplementedError

    def until(self, reached: Callable[[], object]) -> None:
        """Wait until `reached()` is true."""
        with self.moved:
            assert self.moved.wait_for(lambda: self.defect is not None or reached(), 2 * LIMIT)
        assert self.defect is None, self.defect

    def end(self) -> None:
        self.stopping.set()
        self.join(LIMIT)
        assert self.defect is None, self.defect


class Publisher(Worker):
    """Publishes numbers to `topic`, one after the other, QoS 1 and 2 in turns; `acknowledged` is how many were."""

    def __init__(self, where: Path, client_id: str, topic: bytes) -> None:
        self.topic = topic
        self.acknowledged = 0
        self._begun = False  # the number that is due may have been passed on
        self._released = False  # QoS 2: it was, and PUBREL is to be sent
        super().__init__(where, client_id)

    def work(self, client: RawClient) -> None:
        assert connect(client, self.client_id).reason_code == 0
        while not self.stopping.is_set():
            self._publish(client, self.acknowledged)
            with self.moved:
                self.acknowledged += 1
                self.moved.notify_all()

    def _publish(self, client: RawClient, number: int) -> None:
        qos, packet_id = 1 + number % 2, 1 + number % 60_000
        if not self._released:
            client.send(Publish(self.topic, b"%d" % number, qos, dup=self._begun, packet_id=packet_id))
            self._begun = True
            assert client.next(Puback if qos == 1 else Pubrec).reason_code in (0, 0x10)
            self._released = qos == 2
        if self._released:
            client.send(Pubrel(packet_id))
            client.next(Pubcomp)
        self._begun = self._released = False

    def advance(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        target = self.acknowledged + count
        self.until(lambda: self.acknowledged >= target)


class Subscriber(Worker):
    """A persistent session with one subscription: `heard` has the payloads with their QoS by topic, as they came."""

    def __init__(self, where: Path, client_id: str, topic_filter: bytes = b"t/#") -> None:
        self.topic_filter = topic_filter
        self.heard: dict[bytes, list[tuple[int, int]]] = {}
        self._known: set[int] = set()  # identifiers of QoS 2 that were not released
        super().__init__(where, client_id)

    def work(self, client: RawClient) -> None:
        connack: Connack = connect(client, self.client_id)
        assert connack.reason_code == 0
        if not connack.session_present:
            self._known.clear()
            client.send(Subscribe(1, [(self.topic_filter, 2)]))
            assert client.next(Suback).reason_codes == [2]
            with self.moved:
                self.heard.setdefault(b"", [])
                self.moved.notify_all()
        client.socket.settimeout(0.2)
        while not self.stopping.is_set():
            try:
                packet = client.next(Packet)
            except TimeoutError:
                continue
            if isinstance(packet, Pubrel):
                self._known.discard(packet.packet_id)
                client.send(Pubcomp(packet.packet_id))
            else:
                assert isinstance(packet, Publish), packet
                self._take(client, packet)

    def _take(self, client: RawClient, packet: Publish) -> None:
        if packet.qos == 2 and packet.packet_id in self._known:
            client.send(Pubrec(packet.packet_id))
            return
        with self.moved:
            self.heard.setdefault(packet.topic_name, []).append((int(packet.payload), packet.qos))
            self.moved.notify_all()
        if packet.qos == 2:
            self._known.add(packet.packet_id)
            client.send(Pubrec(packet.packet_id))
        else:
            client.send(Puback(packet.packet_id))

    def is_there(self) -> bool:
        """Whether it has subscribed."""
        return bool(self.heard)

    def until_it_has(self, topic: bytes, number: int) -> None:
        """Wait for the last ones of both QoS."""
        self.until(lambda: {number - 1, number - 2} <= {each for each, _ in self.heard.get(topic, [])[-1000:]})


def check(subscriber: Subscriber, publisher: Publisher) -> None:
    """All that was acknowledged has come; QoS 2 once, each QoS in its order."""
    heard = subscriber.heard[publisher.topic]
    for qos in (1, 2):
        numbers = [number for number, at in heard if at == qos]
        first_seen = list(dict.fromkeys(numbers))
        assert first_seen == sorted(first_seen), f"QoS {qos}, out of order"
        assert set(range(qos - 1, publisher.acknowledged, 2)) <= set(numbers), f"QoS {qos}, lost"
        assert qos == 1 or len(numbers) == len(set(numbers)), "QoS 2, doubled"
