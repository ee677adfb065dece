"""A correct and plain MQTT client: it sends again what was not acknowledged, and keeps the identifiers of QoS 2."""
from emqtwist.mqtt.packets import Connack, Connect, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel, Suback, Subscribe
from tests.peers import Peer, properties
from tests.stores import StoredWorld


class Client:
    """`accepted` and `arrived` hold (topic, payload, qos); `lost` is set when the broker forgot a session it had confirmed."""

    def __init__(self, world: StoredWorld, client_id: str, version: int) -> None:
        self.world = world
        self.client_id = client_id
        self.version = version
        self.peer: Peer | None = None
        self.here = self.confirmed = self.lost = False
        self.outgoing: dict[int, tuple[str, bytes, int, bool] | None] = {}  # None from PUBREC on
        self.accepted: list[tuple[str, bytes, int]] = []
        self.subscribing: dict[int, tuple[str, int]] = {}
        self.subscribed: dict[str, int] = {}
        self.known: set[int] = set()
        self.arrived: list[tuple[str, bytes, int]] = []
        self.owed: list[Packet] = []
        self._last_id = 0

    def connect(self) -> None:
        self.drop()
        self.peer = self.world.peer()
        expiry = properties(session_expiry_interval=100_000) if self.version == 5 else None
        self.peer.send(Connect(self.version, self.client_id, False, 0, None, None, None, False, expiry))

    def drop(self) -> None:
        if self.peer is not None and not self.peer.closed:
            self.peer.drop()
        self.forget()

    def forget(self) -> None:
        """The connection ended; what was not acknowledged comes again."""
        self.peer, self.here, self.owed = None, False, []
        self.subscribing.clear()

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool = False) -> None:
        if self.here and self.peer is not None:
            packet_id = self._next_id() if qos else 0
            if qos:
                self.outgoing[packet_id] = topic, payload, qos, retain
            self.peer.publish(topic, payload, qos, retain, packet_id=packet_id)

    def subscribe(self, topic: str, qos: int) -> None:
        if self.here and self.peer is not None:
            packet_id = self._next_id()
            self.subscribing[packet_id] = topic, qos
            self.peer.send(Subscribe(packet_id, [(topic.encode(), qos)], None))

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
            self.lost = self.lost or (self.confirmed and not packet.session_present)
            self.confirmed = True
            for packet_id, held in self.outgoing.items():
                if held is None:
                    peer.send(Pubrel(packet_id))
                else:
                    peer.publish(*held, dup=packet.session_present, packet_id=packet_id)
        elif isinstance(packet, Puback):
            held = self.outgoing.pop(packet.packet_id, None)
            if held is not None and packet.reason_code < 0x80:
                self.accepted.append(held[:3])
        elif isinstance(packet, Pubrec):
            held = self.outgoing.get(packet.packet_id)
            if held is not None and packet.reason_code < 0x80:
                self.accepted.append(held[:3])
            self.outgoing[packet.packet_id] = None
            self.owed.append(Pubrel(packet.packet_id))
        elif isinstance(packet, Pubcomp):
            self.outgoing.pop(packet.packet_id, None)
        elif isinstance(packet, Suback):
            topic, qos = self.subscribing.pop(packet.packet_id)
            self.subscribed[topic] = qos
        elif isinstance(packet, Pubrel):
            self.known.discard(packet.packet_id)
            self.owed.append(Pubcomp(packet.packet_id))
        elif isinstance(packet, Publish):
            self._arrive(packet)

    def _arrive(self, packet: Publish) -> None:
        if not packet.retain and (packet.qos < 2 or packet.packet_id not in self.known):  # a retained one came before
            self.arrived.append((packet.topic_name.decode(), packet.payload, packet.qos))
        if packet.qos == 2:
            self.known.add(packet.packet_id)
            self.owed.append(Pubrec(packet.packet_id))
        elif packet.qos == 1:
            self.owed.append(Puback(packet.packet_id))

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id
