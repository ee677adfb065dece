"""Bridge: one that leads to another node. In the router it stands like a session; what matches waits in an outbox of its own."""
from emqtwist.core import causes
from emqtwist.core.bridges.terms import BridgeTerms
from emqtwist.core.bridges.trail import OutwardMessage, after, nodes_of, trail_of
from emqtwist.core.circle import Circle
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.origin import Origins
from emqtwist.core.cluster.outbox import Outbox
from emqtwist.core.cluster.peer import KEPT, Pack, Peer, Sending
from emqtwist.core.ledger import Ledger
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, QOS_BITS, Delivery, Message
from emqtwist.core.records import BRIDGE
from emqtwist.mqtt.constants import MAX_STRING


class Bridge(Peer):
    """`taken` counts the messages that it took, `dropped` those that it could not send or keep; `returned` have been where it
    leads. `here` is what this node is called.

    What another node of the cluster forwarded is not for it: of one message the node that it was published at takes care.
    """

    __slots__ = ("terms", "taken", "returned", "_lost", "here", "_leading")

    def __init__(self, node: str, terms: BridgeTerms, identity: str, circle: Circle, pack: Pack, origins: Origins) -> None:
        rules = terms.rules(circle.settings.queue)
        super().__init__(terms.node, identity, circle, rules, pack, origins)
        self.terms = terms
        self.taken = self.returned = 0
        self._lost = 0
        self.here = node
        self._sending = self._leading = Leading(pack, circle, origins)
        self.outbox = Outbox(label(terms.name), identity, circle, rules, self._sending, BRIDGE, terms.text())

    @property
    def is_up(self) -> bool:
        """Whether messages go."""
        return self.link is not None and self.outbox.ready

    @property
    def sent(self) -> int:
        """How many times a message was sent; again, where it was not known whether the other node had it."""
        return self._leading.sent

    @property
    def dropped(self) -> int:
        return self._lost + (0 if self.outbox.backlog is None else self.outbox.backlog.dropped)

    def deliver(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        terms, trail = self.terms, trail_of(message)
        if trail and terms.node in nodes_of(trail):
            self.returned += 1
            return
        self.taken += 1
        topic = terms.prefix + message.topic + terms.suffix
        if len(topic) > MAX_STRING:
            self._lose(message, causes.BRIDGE_TOPIC)
            return
        outward = OutwardMessage(message, topic, after(trail, self.here))
        if first_byte & QOS_BITS:
            self.outbox.put(outward, first_byte, KEPT)
        elif self.link is None or self.link.congested or not self.outbox.ready:
            self._lose(message, causes.NODE_AWAY)
        else:
            self._sending.send(self.link, 0, 0, (outward, first_byte, identifiers, 0), None)

    def _lose(self, message: Message, cause: str) -> None:
        self._lost += 1
        self._circle.drop(self.outbox.name, message, cause)

    def refuses(self, message: Message) -> bool:
        return self.terms.on_full == "refuse" and self.outbox.full(message)

    def keeps(self) -> bool:
        return self._circle.journal is not None

    def broken(self, error: Exception) -> None:
        self._circle.observer.delivery_failed(self.outbox.name, error)
        if self.link is not None:
            self.link.close()


class Leading(Sending):
    """Makes frames of what goes over a bridge; `sent` counts them."""

    __slots__ = ("sent",)

    def __init__(self, pack: Pack, circle: Circle, origins: Origins) -> None:
        super().__init__(pack, circle, origins)
        self.sent = 0

    def send(self, link: Link, kept: int, volatile: int, delivery: Delivery, ledger: Ledger | None) -> None:
        message, first_byte = delivery[0], delivery[1]
        self.sent += 1
        flags, topic = (first_byte & QOS_BITS) | message.retain, message.topic
        rest = None if message.expires_at == NEVER else max(0.0, message.expires_at - self._circle.turn.now)
        self._put(link, ledger, self._pack((f.BRIDGED, kept, volatile, flags, topic, message.payload, message.properties, rest,
                                            message.publisher, message.group())))


def label(name: str) -> str:
    """What a bridge is called among clients: where messages were dropped, and in alarms."""
    return f"$bridge/{name}"
