"""Bridges: those that lead from this node to others, and those of others that lead here.

    bridges = Bridges(broker, "a@host", token(), token, pack, declared)
    bridges.opened(bridge, incarnation, link)       # authenticated, and the node that the bridge leads to
    guest = bridges.welcome("b@host", incarnation, link)  # the other end
    bridges.take(guest, frames)
    bridges.closed(guest, link)

They begin when the broker has what the store has; where nothing is stored whoever drives it calls `begin`. The links are the same
as those between the nodes of a cluster, and what is said over them is less.
"""
from collections.abc import Callable, Iterable

from emqtwist.core import causes
from emqtwist.core.bridges.arrivals import Arrivals, Guest
from emqtwist.core.bridges.bridge import Bridge
from emqtwist.core.bridges.terms import BadBridge, BridgeTerms, terms_of
from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import BadFrame, Frame, check
from emqtwist.core.cluster.link import send_stored
from emqtwist.core.cluster.origin import Origins
from emqtwist.core.cluster.peer import Pack, Peer
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, NO_IDENTIFIERS
from emqtwist.core.neighbours import Neighbours
from emqtwist.core.records import BRIDGE, ENDED, OPENED, Fetch, Record, Snapshot
from emqtwist.core.recovery import rows_of
from emqtwist.core.subscriber import Subscription
from emqtwist.mqtt.constants import OPTION_RETAIN_AS_PUBLISHED


class Bridges(Neighbours):
    """Of `node`, in the process `incarnation`: `known` are those that lead away, by name.

    `declared` are those of the configuration. `settle` is called when there is one more, or one less. `token` gives a fresh
    random string.
    """

    __slots__ = ("broker", "node", "known", "arrivals", "settle", "_declared", "_token", "_pack", "_origins")

    def __init__(self, broker: Broker, node: str, incarnation: str, token: Callable[[], str], pack: Pack,
                 declared: list[BridgeTerms]) -> None:
        self.broker = broker
        self.node = node
        self.known: dict[str, Bridge] = {}
        self.arrivals = Arrivals(broker, node, self._send, self._send_stored)
        self.settle: Callable[[], None] = nothing
        self._declared = declared
        self._token = token
        self._pack = pack
        self._origins = Origins(node, incarnation)
        broker.bridges = self

    # Those that lead away.

    def begin(self) -> None:
        """Those of the configuration that are not there yet."""
        declared, self._declared = self._declared, []
        for terms in declared:
            self._lead(self._make(terms, self._token()))

    def start(self, terms: BridgeTerms) -> Bridge:
        """One more; BadBridge where there is one already, or can be none."""
        terms.check()
        if terms.node == self.node:
            raise BadBridge("bridge_to_self")
        if terms.name in self.known or self.find(terms.node, terms.topic_filter) is not None:
            raise BadBridge("already_started")
        bridge = self._make(terms, self._token())
        self._lead(bridge)
        return bridge

    def find(self, node: str, topic_filter: bytes) -> Bridge | None:
        for bridge in self.known.values():
            if bridge.terms.node == node and bridge.terms.topic_filter == topic_filter:
                return bridge
        return None

    def free_name(self, node: str) -> str:
        """A name for one more bridge to a node."""
        number = 1
        while f"{node}.{number}" in self.known:
            number += 1
        return f"{node}.{number}"

    def stop(self, bridge: Bridge) -> None:
        """Take it down, and drop what waits for it."""
        if self.known.pop(bridge.terms.name, None) is None:
            return
        if self.broker.router.unsubscribe(bridge.terms.topic_filter, bridge):
            self.broker.router.subscriptions += 1
        self._send(bridge, (f.BRIDGE_OVER,))
        bridge.outbox.end(causes.BRIDGE_STOPPED)
        self.settle()

    def _make(self, terms: BridgeTerms, identity: str) -> Bridge:
        bridge = Bridge(self.node, terms, identity, self.broker.circle, self._pack, self._origins)
        self.known[terms.name] = bridge
        return bridge

    def _lead(self, bridge: Bridge) -> None:
        """Messages go over it from here on."""
        bridge.outbox.keep()
        options = bridge.terms.qos | OPTION_RETAIN_AS_PUBLISHED
        router = self.broker.router
        router.subscribe(Subscription(bridge, bridge.terms.topic_filter, options, NO_IDENTIFIERS))
        router.subscriptions -= 1  # it is no client's
        self.settle()

    # With a store.

    def recover(self, snapshot: Snapshot) -> None:
        self.arrivals.recover(snapshot)
        for record in snapshot.sessions:
            if record[3] == BRIDGE:
                self._recover_one(record)
        self.begin()

    def _recover_one(self, record: Record) -> None:
        """One with its queue. What the configuration says of it holds; one that it does not have any more is taken down."""
        identity, _, text = record[1].partition(" ")
        terms, journal = terms_of(text), self.broker.journal
        declared = None
        for each in self._declared:
            if terms is not None and each.leads_as(terms):
                declared = each
        if declared is not None:
            self._declared.remove(declared)
            terms = declared
        elif terms is not None and (not terms.by_hand or terms.name in self.known):
            terms = None
        if journal is None:
            return
        if terms is None:
            self.broker.metrics.drop(causes.BRIDGE_STOPPED, record[5])
            journal.add((ENDED, record[0]))
            return
        bridge = self._make(terms, identity)
        bridge.outbox.recover(record[0], record[7], record[5], record[6])
        if bridge.outbox.backlog is not None:
            bridge.outbox.backlog.note_crowd(terms.topic_filter)
        if terms.text() != text:
            journal.add((OPENED, record[0], f"{identity} {terms.text()}", NEVER, BRIDGE, 0))
        self._lead(bridge)

    def page(self, fetch: Fetch, rows: list[Record], more: bool) -> None:
        journal = self.broker.journal
        for bridge in self.known.values():
            ledger = bridge.outbox.ledger
            if ledger is not None and journal is not None and ledger.takes(fetch):
                bridge.outbox.bring_back(rows_of(rows, journal.offset), more)

    # Links.

    def opened(self, bridge: Bridge, incarnation: str, link: Link) -> None:
        """The node that a bridge leads to is connected."""
        if bridge.link is not None:
            self.closed(bridge, bridge.link)
        bridge.incarnation = incarnation
        bridge.attach(link)
        self._send(bridge, (f.GREET, bridge.outbox.identity))

    def welcome(self, node: str, incarnation: str, link: Link) -> Guest:
        """A bridge of another node is connected."""
        guest = Guest(node, self.broker, self._pack, self._origins)
        guest.incarnation = incarnation
        guest.attach(link)
        return guest

    def closed(self, peer: Peer, link: Link) -> None:
        """A link is gone; it may have been replaced before."""
        if peer.link is not link:
            return
        peer.attach(None)
        link.held = None
        if isinstance(peer, Guest):
            self.arrivals.gone(peer)

    def take(self, peer: Peer, frames: Iterable[object]) -> None:
        """Serve what came over a link, in order; BadFrame when that is the other's fault, and the link is to be closed."""
        try:
            for each in frames:
                frame = check(each)
                if isinstance(peer, Bridge):
                    self._hear(peer, frame)
                elif isinstance(peer, Guest):
                    self._serve(peer, frame)
        finally:
            self.arrivals.settle(peer)

    def proceed(self, peer: Peer) -> None:
        """There is something to do for the other end, or its link takes more."""
        peer.stirred = False
        if isinstance(peer, Bridge):
            peer.outbox.pump()
        else:
            self.arrivals.proceed(peer)

    def _hear(self, bridge: Bridge, frame: Frame) -> None:
        """What is told by the node that a bridge leads to."""
        if frame[0] == f.MARK and frame[1] == bridge.outbox.identity:
            bridge.outbox.begin(frame[2], frame[3])
        elif frame[0] == f.TOOK and frame[1] == bridge.outbox.identity:
            bridge.outbox.took(frame[2], frame[3])
            bridge.stir()
        else:
            raise BadFrame(f"kind {frame[0]} in answer to a bridge")

    def _serve(self, guest: Guest, frame: Frame) -> None:
        """What is told by a node whose bridge leads here."""
        if frame[0] == f.BRIDGED:
            self.arrivals.forward(guest, frame)
        elif frame[0] == f.GREET:
            self.arrivals.welcome(guest, frame[1], frame)
        elif frame[0] == f.BRIDGE_OVER:
            self.arrivals.over(guest)
        else:
            raise BadFrame(f"kind {frame[0]} over a bridge")

    def _send(self, peer: Peer, frame: Frame) -> None:
        if peer.link is not None:
            peer.link.send(self._pack(frame))

    def _send_stored(self, peer: Peer, frame: Frame) -> None:
        if peer.link is not None:
            send_stored(peer.link, self.broker.journal, self._pack(frame))


def nothing() -> None:
    """Nobody wants to know."""
