"""Clients that behave, at any node: they send again what was not acknowledged, and acknowledge when they get round to it."""
from typing import Final

from emqtwist.mqtt.packets import Connack, Connect, Packet, Publish, Suback, Unsuback, Will
from tests.harness.simulate.account import LONG, Account, Mail
from tests.harness.simulate.node import Node, SimPeer
from tests.harness.simulate.world import World
from tests.peers import Peer, properties
from tests.properties.journal.clients import Client

EXPIRY: Final = 500_000  # seconds: longer than any clock on the wall steps
PATIENCE: Final = 2.0  # seconds for a CONNACK
KNOWN: Final = 4.0  # seconds from the start after which all nodes have heard of the first sessions
MOST_OUTGOING: Final = 8
LIVES: Final = (0, 1, 4, 20, LONG, LONG)  # seconds until a message expires


class SimClient(Client):
    """`persistent`: its session outlives its connections; `roams`: it connects at any node, else always at `home`.

    `publishes` and `subscribes` say what it does besides, to what its account or `filters` say; one that `stays` never
    unsubscribes; `anew`: at times it gives its session up, and `begins` another until it has one; `expires`: what it sends may.
    While `calm` is set it stays connected, and begins nothing; while it `rests` it does not connect.
    """

    def __init__(self, world: World, nodes: dict[str, Node], account: Account, client_id: str, home: Node, version: int,
                 persistent: bool = True, roams: bool = False, publishes: bool = False, subscribes: bool = False,
                 filters: tuple[str, ...] = (), stays: bool = False, anew: bool = False, expires: bool = False) -> None:
        super().__init__(home, client_id, version, EXPIRY)
        self.sim = world
        self.node = home
        self.persistent = persistent
        self.roams = roams
        self.publishes = publishes
        self.subscribes = subscribes
        self.filters = filters or account.filters
        self.stays = stays
        self.anew = anew and version == 5  # before, Clean Session ends with the connection
        self.expires = expires and version == 5
        self.begins = False
        self.calm = False
        self.rests = False
        self._nodes = nodes
        self.account = account
        self._looks = False
        self._life = 0  # of the connection
        self.start = 0  # of the process that it is connected with, or was
        account.joins(self)

    # What it does by itself.

    def begin(self) -> None:
        self.sim.later(self.sim.between(0.0, 2.0), self._step)
        if self.persistent:
            self.enter(self.node)  # its session begins while all is well

    def _step(self) -> None:
        self.sim.later(self.sim.between(0.02, 2.0), self._step)
        chance = self.sim.random.random()
        if self.here and self.node.paused:
            if chance < 0.2:
                self.sim.say(self.client_id, "hears nothing of its node, and leaves")
                self.drop()
        elif not self.here:
            if self.peer is None and (chance < 0.5 or self.calm) and not self.rests:
                self.enter()
        elif not self.calm:
            self._act(chance)

    def _act(self, chance: float) -> None:
        """What it does of itself while it is connected."""
        if chance < 0.05:
            self.sim.say(self.client_id, "loses its connection")
            self.drop()
        elif chance < 0.07:
            self.sim.say(self.client_id, "disconnects")
            self.disconnect()
        elif self.publishes and chance < 0.8:
            for _ in range(self.sim.random.choice((1, 1, 1, 2, 5))):
                self.send_one(self.sim.random.choice(self.account.topics), self.sim.random.choice((0, 1, 1, 2, 2)))
        elif self.subscribes:
            self._change_mind(chance)

    def _change_mind(self, chance: float) -> None:
        topic_filter = self.sim.random.choice(self.filters)
        if chance < 0.5:
            self.listen(topic_filter)
        elif chance < 0.6 and topic_filter in self.subscribed and not self.stays:
            self.sim.say(self.client_id, f"unsubscribes from {topic_filter}")
            self.account.ends(self, topic_filter)
            self.unsubscribe(topic_filter)

    def listen(self, topic_filter: str) -> None:
        """Subscribe, unless it has."""
        if self.here and topic_filter not in self.subscribed and not self._asks(topic_filter):
            qos = self.sim.random.choice((1, 2, 2) if self.persistent else (0, 1, 2))
            self.sim.say(self.client_id, f"subscribes to {topic_filter} at {qos}")
            self.account.asks(self, topic_filter)
            self.subscribe(topic_filter, qos)

    def send_one(self, topic: str, qos: int, calm: bool = False) -> None:
        """Publish something, unless too much is under way."""
        if self.here and len(self.outgoing) < MOST_OUTGOING:
            mail = self.account.mail(self.client_id, topic, qos, calm)
            if self.expires and not calm:
                mail.expiry = self.sim.random.choice(LIVES)
            self.publish(mail)

    # Its connection.

    def enter(self, node: Node | None = None) -> None:
        """Connect, at this node, or at its own, or at any."""
        if self.roams and node is None and (not self.persistent or self.sim.now > KNOWN):
            self.node = self.sim.random.choice(list(self._nodes.values()))
        if not self.node.alive or self.node.paused or self.node.closing:
            return
        self.drop()
        self.world = self.node
        self.account.enters(self, self.node)
        if self.anew and not (self.calm or self.begins) and self.sim.now > KNOWN and self.sim.random.random() < 0.2:
            self.sim.say(self.client_id, "begins anew")
            self._end_session()
            self.begins = True
        if self.begins or not self.persistent:
            self.outgoing.clear()
            self.known.clear()
        self._life += 1
        self.start = self.node.starts
        self.peer = peer = self.node.peer()
        peer.reader = self
        self.sim.say(self.client_id, f"connects to {self.node.name}")
        self.sim.later(PATIENCE + 3.0, self._give_up, self._life)
        expiry = properties(session_expiry_interval=EXPIRY) if self.version == 5 and self.persistent else None
        clean_start = self.begins or not self.persistent
        peer.send(Connect(self.version, self.client_id, clean_start, 0, None, None, self._will(), False, expiry))

    def _will(self) -> Will | None:
        """That of the connection that begins."""
        return None

    def _give_up(self, life: int) -> None:
        if life == self._life and self.peer is not None and not self.here:
            self.sim.say(self.client_id, "has waited for CONNACK in vain")
            self.drop()

    def forget(self) -> None:
        if self.here:
            self.sim.say(self.client_id, "is not connected any more")
        super().forget()
        self._life += 1
        self.account.leaves(self)
        if not self.persistent:
            self._end_session()

    def _end_session(self) -> None:
        self.subscribed.clear()
        self.unsubscribed.clear()
        self.account.ends_session(self)

    def stir(self) -> None:
        """Something has come: it looks soon."""
        if not self._looks:
            self._looks = True
            self.sim.later(self.sim.between(0.0, 0.05), self._look)

    def _look(self) -> None:
        """What comes at a node that is paused is read later: so nothing is sent to it."""
        if self.node.paused and self.peer is not None:
            self.sim.later(0.1, self._look)
            return
        self._looks = False
        self.read()
        if self.owed:
            self.sim.later(self.sim.between(0.0, 0.05 if self.calm else 1.0), self._acknowledge)

    def _acknowledge(self) -> None:
        if self.node.paused and self.owed:
            self.sim.later(0.1, self._acknowledge)
            return
        self.acknowledge(self.sim.random.randrange(1, 8))
        if self.owed and self.peer is not None:
            self.sim.later(self.sim.between(0.0, 0.2), self._acknowledge)

    # What goes out and comes in.

    def _send(self, peer: Peer, letter: object, packet_id: int, dup: bool = False) -> None:
        assert isinstance(letter, Mail)
        assert isinstance(peer, SimPeer)
        self.sim.say(self.client_id, f"publishes {letter.name} to {letter.topic} at {letter.qos}{', again' if dup else ''}")
        self.account.sends(self, letter)
        values = {"message_expiry_interval": letter.expiry} if letter.expiry else {}
        peer.publish(letter.topic, letter.payload, letter.qos, letter.retain, dup=dup, packet_id=packet_id, **values)
        self.account.sent(self, letter)

    def _take(self, peer: Peer, packet: Packet) -> None:
        if isinstance(packet, Connack) and packet.reason_code:
            self.sim.say(self.client_id, f"is refused: {packet.reason_code:#04x}")
            return  # the connection is closed behind it
        accepted = len(self.accepted)
        asked = self.asked.get(packet.packet_id) if isinstance(packet, (Suback, Unsuback)) else None
        if isinstance(packet, Connack):
            self.sim.say(self.client_id, f"is connected, {'present' if packet.session_present else 'no session'}")
            self.account.connected(self, packet.session_present)
            self.begins = False
        super()._take(peer, packet)
        for letter in self.accepted[accepted:]:
            assert isinstance(letter, Mail)
            self.sim.say(self.client_id, f"is told that {letter.name} is accepted")
            self.account.accepts(letter)
        if asked is not None and isinstance(packet, Suback):
            self.sim.say(self.client_id, f"is subscribed to {asked[0]}: {packet.reason_codes[0]}")
            self.account.subscribed(self, asked[0], packet.reason_codes[0])
        elif asked is not None:
            self.sim.say(self.client_id, f"is unsubscribed from {asked[0]}")
            self.account.unsubscribed(self, asked[0])

    def _arrive(self, packet: Publish) -> None:
        if packet.retain and (packet.qos < 2 or packet.packet_id not in self.known):
            self.sim.say(self.client_id, f"finds {packet.payload[:6].decode()} on {packet.topic_name.decode()}")
            self.account.retained(self, packet)
        before = len(self.arrived)
        super()._arrive(packet)
        for arrival in self.arrived[before:]:
            self.sim.say(self.client_id, f"gets {arrival.payload[:6].decode()} at {arrival.qos}{', again' if packet.dup else ''}")
            self.account.arrives(self, arrival)

    def idle(self) -> bool:
        """Whether it is connected, if it is to be, and nothing is under way."""
        known = self.known and not self.anew  # else it may be of the session that it has given up
        return self.rests or self.here and not (self.outgoing or self.asked or self.owed or known)
