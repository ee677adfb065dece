"""A client that goes from node to node while others publish, and what it may expect of that."""
from emqtwist.mqtt.packets import Connack, Connect, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel
from emqtwist.mqtt.properties import Properties
from tests.clusters import Net
from tests.peers import Peer, properties

NODES = ("a", "b", "c")


def ask(net: Net, node: str) -> Peer:
    """Alice wants her session there, and is not answered yet."""
    peer = net[node].peer()
    peer.send(Connect(5, "alice", False, 0, None, None, None, False, properties(session_expiry_interval=3600)))
    return peer


class History:
    """`alice` subscribes to all; a publisher at each node sends numbered messages at QoS 1 and 2 in turn.

    Alice keeps to her part: of QoS 2 she takes a message when it is new to her, and no other of its identifier until PUBREL. So
    she has each of these once, if the broker keeps to its own.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.alice: Peer | None = None
        self.got: list[bytes] = []
        self.sent: dict[str, list[bytes]] = {node: [] for node in NODES}  # acknowledged ones, by publisher
        self._open: set[int] = set()  # of QoS 2, taken and not released
        self._publishers: dict[str, Peer] = {}
        self._count = 0

    def begin(self, node: str, absent: bool = True) -> None:
        """There is a session, with messages that wait and with some in flight."""
        self.arrive(node)
        assert self.alice is not None
        self.alice.subscribe("t/#", qos=2)
        self.publish(*NODES)
        self._answer(most=2)
        if absent:
            self.alice.drop()
        for _ in range(3):
            self.publish(*NODES)

    def arrive(self, node: str, clean_start: bool = False) -> None:
        """Alice connects there; the CONNACK may come later."""
        peer = Peer(self.net[node])
        self.alice = peer
        made = Properties()
        made.session_expiry_interval = 3600
        made.receive_maximum = 4
        peer.send(Connect(5, "alice", clean_start, 0, None, None, None, False, made))

    def arrive_again(self, node: str) -> None:
        """If her connection was ended."""
        if self.alice is None or self.alice.closed:
            self.arrive(node)

    def leave(self) -> None:
        """Her connection breaks."""
        if self.alice is not None and not self.alice.closed:
            self.alice.drop()

    def wait(self, seconds: float) -> None:
        """Let time pass, in which alice takes what comes."""
        while seconds > 0:
            self.net.advance(0.5)
            self.take()
            seconds -= 0.5

    def publish(self, *nodes: str) -> None:
        for node in nodes:
            publisher = self._publishers.get(node)
            if publisher is None or publisher.closed:
                self._count += 1
                publisher = self._publishers[node] = self.net[node].connect(f"publisher-{node}-{self._count}")
            for qos in (1, 2):
                payload = b"%s%d" % (node.encode(), len(self.sent[node]))
                self.sent[node].append(payload)
                publisher.publish(f"t/{node}", payload, qos=qos)

    def crash(self, node: str) -> None:
        """What its clients had acknowledged counts."""
        for client in self._publishers.values():
            client.received()
        self.net[node].crash()
        for other in NODES:
            if other != node:
                self.net[node].cluster.peer(other)  # the store knows who belongs to the cluster

    def take(self) -> None:
        """Alice acknowledges what has come."""
        while self._answer():
            pass

    def check(self) -> None:
        """Alice has all, those of a publisher and a QoS in order."""
        self.take()
        for node in NODES:
            for qos in (1, 2):
                ones = [each for each in self.got if each.startswith(node.encode()) and self._qos(each) == qos]
                wanted = [each for each in self.sent[node] if self._qos(each) == qos]
                assert list(dict.fromkeys(ones)) == wanted, f"of {node}: {ones}"
                assert qos == 1 or ones == wanted, f"of {node}, twice: {ones}"

    def holders(self) -> list[str]:
        """The nodes that have a session of alice."""
        return [node for node in NODES if "alice" in self.net[node].broker.sessions.by_id]

    def _qos(self, payload: bytes) -> int:
        return 1 + int(payload[1:]) % 2

    def _answer(self, most: int = 0) -> bool:
        """Whether something came."""
        assert self.alice is not None
        packets = self.alice.received()
        done = 0
        for packet in packets:
            if isinstance(packet, Publish):
                done += 1
                if most and done > most:
                    continue
                self._take(packet)
            elif isinstance(packet, Pubrel):
                self._open.discard(packet.packet_id)
                self._send(Pubcomp(packet.packet_id))
            elif isinstance(packet, Connack):
                assert not packet.reason_code, packet.reason_code
        return bool(packets)

    def _take(self, publish: Publish) -> None:
        if publish.qos == 2:
            if publish.packet_id not in self._open:
                self.got.append(publish.payload)
            self._open.add(publish.packet_id)
            self._send(Pubrec(publish.packet_id))
        else:
            self.got.append(publish.payload)
            self._send(Puback(publish.packet_id))

    def _send(self, packet: Packet) -> None:
        if self.alice is not None and not self.alice.closed:
            self.alice.send(packet)
