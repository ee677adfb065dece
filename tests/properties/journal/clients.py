"""A correct and plain MQTT client: it sends again what was not acknowledged, and keeps the identifiers of QoS 2."""
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.peers import Peer, properties
from tests.stores import StoredWorld


class JournalWorld(StoredWorld):
    """`sent` counts what clients have published, each time anew."""

    sent = 0


class Letter:
    """A message that a client publishes; `expiry` in seconds, 0 for none; `until`: on the wall, when it expires at the latest."""

    def __init__(self, topic: str, payload: bytes, qos: int, retain: bool = False, expiry: int = 0) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.expiry = expiry
        self.until = 0.0
        self.places: list[int] = []  # where it stands among all that was sent, for each time


class Arrival:
    """A message that a client got; `rest` is its Message Expiry Interval, at `at` on the wall."""

    def __init__(self, packet: Publish, at: float) -> None:
        self.topic = packet.topic_name.decode()
        self.payload = packet.payload
        self.qos = packet.qos
        self.dup = packet.dup
        self.rest = packet.properties.message_expiry_interval if packet.properties is not None else None
        self.at = at


class Client:
    """`accepted` are Letters, `arrived` Arrivals; `present` are the answers to its CONNECTs that nobody has looked at yet.

    `subscribed` maps topics for which it has seen a SUBACK, and not asked for anything else since, to QoS;
    `unsubscribed` has those for which that was an UNSUBACK.
    """

    def __init__(self, world: JournalWorld, client_id: str, version: int, session_expiry: int = 100_000) -> None:
        self.world = world
        self.client_id = client_id
        self.version = version
        self.session_expiry = session_expiry
        self.peer: Peer | None = None
        self.here = False
        self.present: list[bool] = []
        self.outgoing: dict[int, Letter | None] = {}  # None from PUBREC on
        self.accepted: list[Letter] = []
        self._last_id = 0
        self.asked: dict[int, tuple[str, int]] = {}  # -1 in place of a QoS: to unsubscribe
        self.subscribed: dict[str, int] = {}
        self.unsubscribed: set[str] = set()
        self.known: set[int] = set()
        self.arrived: list[Arrival] = []
        self.owed: list[Packet] = []

    def connect(self, will: Will | None = None) -> None:
        self.drop()
        self.peer = self.world.peer()
        expiry = properties(session_expiry_interval=self.session_expiry) if self.version == 5 else None
        self.peer.send(Connect(self.version, self.client_id, False, 0, None, None, will, False, expiry))

    def disconnect(self) -> None:
        if self.here and self.peer is not None:
            self.peer.disconnect()
        self.drop()

    def drop(self) -> None:
        if self.peer is not None and not self.peer.closed:
            self.peer.drop()
        self.forget()

    def forget(self) -> None:
        """The connection ended; what was not acknowledged comes again."""
        self.peer, self.here, self.owed = None, False, []
        self.asked.clear()

    def publish(self, letter: Letter) -> None:
        if self.here and self.peer is not None:
            packet_id = self._next_id() if letter.qos else 0
            if letter.qos:
                self.outgoing[packet_id] = letter
            self._send(self.peer, letter, packet_id)

    def subscribe(self, topic: str, qos: int) -> None:
        if self.here and self.peer is not None:
            self._ask(topic, qos)
            self.peer.send(Subscribe(self._last_id, [(topic.encode(), qos)], None))

    def unsubscribe(self, topic: str) -> None:
        if self.here and self.peer is not None:
            self._ask(topic, -1)
            self.peer.send(Unsubscribe(self._last_id, [topic.encode()], None))

    def _ask(self, topic: str, qos: int) -> None:
        self.asked[self._next_id()] = topic, qos
        self.unsubscribed.discard(topic)
        if qos < 0:
            self.subscribed.pop(topic, None)

    def _asks(self, topic: str) -> bool:
        """Whether it has asked for something else since."""
        return topic in [each for each, _ in self.asked.values()]

    def _send(self, peer: Peer, letter: Letter, packet_id: int, dup: bool = False) -> None:
        self.world.sent += 1
        letter.places.append(self.world.sent)
        letter.until = self.world.wall + letter.expiry
        values = {"message_expiry_interval": letter.expiry} if letter.expiry else {}
        peer.publish(letter.topic, letter.payload, letter.qos, letter.retain, dup=dup, packet_id=packet_id, **values)

    def read(self) -> None:
        """Take what came; acknowledgements to the broker are owed from here on."""
        if self.peer is None:
            return
        for packet in self.peer.received():
            self._take(self.peer, packet)
        if self.peer.closed:
            self.forget()

    def acknowledge(self, most: int = 1_000_000) -> bool:
        """Send what is owed, the oldest first; whether there was anything."""
        owed, self.owed = self.owed[:most], self.owed[most:]
        if owed and self.peer is not None:
            self.peer.send(*owed)
        return bool(owed)

    def _take(self, peer: Peer, packet: Packet) -> None:
        if isinstance(packet, Connack):
            self.here = True
            self.present.append(packet.session_present)
            for packet_id, held in self.outgoing.items():
                if held is None:
                    peer.send(Pubrel(packet_id))
                else:
                    self._send(peer, held, packet_id, packet.session_present)
        elif isinstance(packet, Puback):
            held = self.outgoing.pop(packet.packet_id, None)
            if held is not None and packet.reason_code < 0x80:
                self.accepted.append(held)
        elif isinstance(packet, Pubrec):
            held = self.outgoing.get(packet.packet_id)
            if held is not None and packet.reason_code < 0x80:
                self.accepted.append(held)
            self.outgoing[packet.packet_id] = None
            self.owed.append(Pubrel(packet.packet_id))
        elif isinstance(packet, Pubcomp):
            self.outgoing.pop(packet.packet_id, None)
        elif isinstance(packet, Suback):
            topic, qos = self.asked.pop(packet.packet_id)
            if not self._asks(topic):
                self.subscribed[topic] = qos
        elif isinstance(packet, Unsuback):
            topic, _ = self.asked.pop(packet.packet_id)
            if not self._asks(topic):
                self.unsubscribed.add(topic)
        elif isinstance(packet, Pubrel):
            self.known.discard(packet.packet_id)
            self.owed.append(Pubcomp(packet.packet_id))
        elif isinstance(packet, Publish):
            self._arrive(packet)

    def _arrive(self, packet: Publish) -> None:
        if not packet.retain and (packet.qos < 2 or packet.packet_id not in self.known):  # a retained one came before
            self.arrived.append(Arrival(packet, self.world.wall))
        if packet.qos == 2:
            self.known.add(packet.packet_id)
            self.owed.append(Pubrec(packet.packet_id))
        elif packet.qos == 1:
            self.owed.append(Puback(packet.packet_id))

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id
