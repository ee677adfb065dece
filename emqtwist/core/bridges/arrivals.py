"""Arrivals: what comes over bridges of other nodes is published here, each message once, and acknowledged when that is stored."""
import re
from typing import Final

from emqtwist.core import causes
from emqtwist.core import records as r
from emqtwist.core.bridges.trail import LONGEST, MOST_HOPS, BridgedMessage, nodes_of
from emqtwist.core.broker import Broker
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.inbox import Inbox, Mark
from emqtwist.core.cluster.origin import Origins
from emqtwist.core.cluster.peer import Pack, Peer
from emqtwist.core.cluster.tables import Send
from emqtwist.core.message import NEVER, RETAIN_BIT
from emqtwist.core.records import Snapshot
from emqtwist.core.reserved import is_reserved
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.properties import decode_forwarded, forwarded_properties
from emqtwist.mqtt.topics import check_topic_name

MARKED: Final = "bridge "  # what marks of bridges are called by in the store, before their nodes and identities
IDENTITY: Final = re.compile(r"[!-~]{1,64}")


class Guest(Peer):
    """The far end of a bridge that leads here from `node`. It has a name of its own once it has said which one it is."""

    __slots__ = ("node", "taken")

    def __init__(self, node: str, broker: Broker, pack: Pack, origins: Origins) -> None:
        super().__init__("", "", broker.circle, broker.settings.queue, pack, origins)
        self.node = node
        self.taken = 0


class Arrivals(Inbox):
    """At `node`; `guests` by name are the bridges that are connected."""

    __slots__ = ("node", "guests")

    def __init__(self, broker: Broker, node: str, send: Send, send_stored: Send) -> None:
        super().__init__(broker, send, send_stored)
        self.node = node
        self.guests: dict[str, Guest] = {}

    def recover(self, snapshot: Snapshot) -> None:
        for name, identity, number in snapshot.taken:
            if name.startswith(MARKED):
                self.marks[name] = Mark(identity, number)

    def welcome(self, guest: Guest, identity: str, frame: Frame) -> None:
        """A bridge says which one it is: of one that comes anew the old link is dead."""
        if guest.name or not IDENTITY.fullmatch(identity):
            raise BadFrame("GREET of a bridge without a name, or for the second time")
        name = f"{MARKED}{guest.node} {identity}"
        old = self.guests.get(name)
        if old is not None and old.link is not None:
            old.link.close()
        guest.name = name
        self.guests[name] = guest
        self.greet(guest, frame)

    def gone(self, guest: Guest) -> None:
        if self.guests.get(guest.name) is guest:
            del self.guests[guest.name]

    def over(self, guest: Guest) -> None:
        """The bridge is taken down: nothing of it is sent again."""
        mark = self.marks.pop(guest.name, None)
        if mark is not None and self._broker.journal is not None:
            self._broker.journal.add((r.TAKEN, guest.name, mark.identity, 0))

    def forward(self, peer: Peer, frame: Frame) -> None:
        """Publish a message, unless it was before, or goes round in a circle."""
        _, kept, volatile, flags, topic, payload, encoded, rest, publisher, trail = frame
        if not self.is_new(peer, kept, volatile):
            return
        if flags > 5 or not trail or len(trail) > LONGEST:
            raise BadFrame("BRIDGED at no QoS, or from nowhere")
        broker = self._broker
        try:
            properties = forwarded_properties(decode_forwarded(encoded)) if encoded else b""
        except MQTTError as error:
            raise BadFrame(f"BRIDGED with bad properties: {error.reason}") from None
        due = NEVER if rest is None else broker.turn.now + rest
        message = BridgedMessage(topic, payload, flags >> 1, flags & RETAIN_BIT != 0, properties, due, publisher, trail)
        if isinstance(peer, Guest):
            peer.taken += 1
        cause = self._refusal(message)
        if cause:
            broker.circle.lose(message, cause)
        else:
            broker.publish(message)

    def _refusal(self, message: BridgedMessage) -> str:
        """Why it is not to be published here; empty if it is."""
        try:
            check_topic_name(message.topic, self._broker.settings.max_topic_levels)
        except MQTTError:
            return causes.BRIDGE_TOPIC
        if is_reserved(message.topic):
            return causes.RESERVED_TOPIC
        nodes = nodes_of(message.trail)
        cluster = self._broker.cluster
        ours = {self.node} if not isinstance(cluster, Cluster) else {self.node, *cluster.peers}
        return causes.BRIDGE_LOOP if len(nodes) > MOST_HOPS or not ours.isdisjoint(nodes) else ""
