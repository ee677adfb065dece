"""Inbox: what other nodes forward is delivered here, each message once, and acknowledged when it is stored.

A kept message is taken by its number: with the rows that it becomes here goes, in the same commit, a mark up to where the outbox
of the other node was taken. So what is sent again after a crash of either is known.
"""
from emqtwist.core import records as r
from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.addressed import MARK
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.origin import ForwardedMessage
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.tables import Send
from emqtwist.core.message import NEVER, RETAIN_BIT
from emqtwist.core.pubsub import fan_out
from emqtwist.core.records import Snapshot
from emqtwist.core.router import Route
from emqtwist.core.subscriber import Overlap, Subscription


class Mark:
    """Up to where messages of one node were taken: kept ones of its outbox `identity`, volatile ones of a process of it.

    `noted` is the kept number that the journal has, `told` are the numbers of both that the node was told.
    """

    __slots__ = ("identity", "kept", "noted", "incarnation", "volatile", "told")

    def __init__(self, identity: str, kept: int) -> None:
        self.identity = identity
        self.kept = self.noted = kept
        self.incarnation = ""
        self.volatile = 0
        self.told = (0, 0)


class Inbox(Part):
    """`marks` by name of the node. `to_group` and `to_client` take what is for one member of a group, or for one session."""

    __slots__ = ("marks", "to_group", "to_client", "_broker", "_send", "_send_stored", "_local")

    def __init__(self, broker: Broker, send: Send, send_stored: Send) -> None:
        self.marks: dict[str, Mark] = {}
        self.to_group: To | None = None
        self.to_client: To | None = None
        self._broker = broker
        self._send = send
        self._send_stored = send_stored
        self._local: dict[bytes, tuple[Route, Route]] = {}  # all of a route, and those of it who are here

    def recover(self, snapshot: Snapshot) -> None:
        for node, identity, number in snapshot.taken:
            self.marks[node] = Mark(identity, number)

    def greet(self, peer: Peer, frame: Frame) -> None:
        """A node says which outbox it sends from; it is told what of that was taken, once that is stored."""
        mark = self.marks.get(peer.name)
        if mark is None or mark.identity != frame[1]:
            mark = self.marks[peer.name] = Mark(frame[1], 0)
        if mark.incarnation != peer.incarnation:
            mark.incarnation, mark.volatile = peer.incarnation, 0
        mark.told = (mark.kept, mark.volatile)
        self._send_stored(peer, (f.MARK, mark.identity, mark.kept, mark.volatile))

    def forward(self, peer: Peer, frame: Frame) -> None:
        """Take a message, unless it was taken before."""
        _, kept, volatile, origin, flags, topic, payload, properties, rest, publisher, group = frame
        if not self.is_new(peer, kept, volatile):
            return
        if not topic or flags > 5:
            raise BadFrame("FORWARD without a topic, or at no QoS")
        broker = self._broker
        message = ForwardedMessage(topic, payload, flags >> 1, flags & RETAIN_BIT != 0, properties,
                                   NEVER if rest is None else broker.turn.now + rest, publisher, (peer.name, origin))
        broker.metrics.forwarded_received += 1
        if group:
            to = self.to_client if group.startswith(MARK) else self.to_group
            if to is not None:
                to.take(peer, message, group)
        else:
            route = self.local_route(topic)
            if route:
                fan_out(route, message, broker.circle)

    def is_new(self, peer: Peer, kept: int, volatile: int) -> bool:
        """Whether what comes under a number was not taken before; it is from here on."""
        mark = self.marks.get(peer.name)
        if mark is None:
            raise BadFrame("a message before GREET")
        if kept:
            if kept <= mark.kept:
                peer.stir()
                return False
            mark.kept = kept
        elif volatile:
            if volatile <= mark.volatile:
                peer.stir()
                return False
            mark.volatile = volatile
        return True

    def local_route(self, topic: bytes) -> Route:
        """Those of a route who are here and no group: of a group the node of the publisher chooses the member."""
        route = self._broker.router.route(topic)
        known = self._local.get(topic)
        if known is not None and known[0] is route:
            return known[1]
        local: Route = []
        for subscription in route:
            if subscription.subscriber.lives_here():
                local += _for_others(subscription)
        if len(self._local) >= self._broker.settings.route_cache:
            self._local.clear()
        self._local[topic] = route, local
        return local

    def settle(self, peer: Peer) -> None:
        mark = self.marks.get(peer.name)
        if mark is None:
            return
        if mark.kept != mark.noted:
            mark.noted = mark.kept
            if self._broker.journal is not None:
                self._broker.journal.add((r.TAKEN, peer.name, mark.identity, mark.kept))
        if mark.told != (mark.kept, mark.volatile):
            peer.stir()

    def proceed(self, peer: Peer) -> None:
        """Acknowledge: what is volatile now, what is kept once it is stored."""
        mark = self.marks.get(peer.name)
        if mark is None:
            return
        if mark.volatile != mark.told[1]:
            self._send(peer, (f.TOOK, mark.identity, 0, mark.volatile))
        if mark.kept != mark.told[0]:
            self._send_stored(peer, (f.TOOK, mark.identity, mark.kept, 0))
        mark.told = (mark.kept, mark.volatile)

    def left(self, peer: Peer) -> None:
        if self.marks.pop(peer.name, None) is not None and self._broker.journal is not None:
            self._broker.journal.add((r.TAKEN, peer.name, "", 0))


def _for_others(subscription: Subscription) -> Route:
    """What of it is not only for what is published on this node: one subscription, or none."""
    left: Subscription | None = None
    for part in subscription.parts():
        if not part.local():
            left = part if left is None else Overlap(left, part)
    return [] if left is None else [left]


class To:
    """Who takes messages that are not for all subscribers of a topic."""

    def take(self, peer: Peer, message: ForwardedMessage, group: bytes) -> None:
        raise NotImplementedError
