"""Cluster: this node among others. It wires the parts; what they are told by others comes in as frames.

    cluster = Cluster(broker, "a@host", token(), token, pack, rules)
    peer = cluster.opened("b@host", incarnation, link)  # authenticated; `link.owner` writes what is on it
    cluster.take(peer, frames)                          # what came over it, in order
    cluster.closed(peer, link)

Whoever drives it calls `tick` some ten times a second, and `proceed` when the owner of a link is told to, or the link takes more
again. Parts that are added to `parts` later are ticked by who has added them.
"""
from collections.abc import Callable, Iterable
from typing import Final

from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.clock import Clock
from emqtwist.core.cluster.frames import Frame, check
from emqtwist.core.cluster.inbox import Inbox
from emqtwist.core.cluster.link import send_stored
from emqtwist.core.cluster.origin import Origins
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Pack, Peer
from emqtwist.core.cluster.retained import Replicas
from emqtwist.core.cluster.routes import Routes
from emqtwist.core.cluster.sharing import Sharing
from emqtwist.core.cluster.tables import ROUTES, SESSIONS, Authored, Mirrored, Names
from emqtwist.core.cluster.takeover import Takeover
from emqtwist.core.link import Link
from emqtwist.core.move import Claim
from emqtwist.core.neighbours import Neighbours
from emqtwist.core.pending import Pending
from emqtwist.core.records import ENDED, OUTBOX, Fetch, Record, Snapshot
from emqtwist.core.recovery import rows_of
from emqtwist.core.session import Session
from emqtwist.core.settings import QueueSettings
from emqtwist.core.subscriber import Subscription

COMPARE: Final = 10.0  # seconds between two looks whether tables are still the same

Serve = Callable[[Peer, Frame], None]


class Cluster(Neighbours):
    """This node, called `node`, in the process `incarnation`; `peers` are the others by name, connected or not.

    `serve` maps kinds of frames to who takes them, `parts` hear of nodes that come and go. `token` gives a fresh random string;
    `rules` are those for what waits for another node. While it is `announcing`, as it is from the beginning, the others are told
    of its tables.
    """

    __slots__ = ("broker", "node", "incarnation", "clock", "origins", "pack", "peers", "parts", "serve", "routes", "inbox",
                 "replicas", "takeover", "authored", "mirrors", "announcing", "_own", "_token", "_rules", "_compared", "_flushes")

    def __init__(self, broker: Broker, node: str, incarnation: str, token: Callable[[], str], pack: Pack,
                 rules: QueueSettings) -> None:
        self.broker = broker
        self.node = node
        self.incarnation = incarnation
        self.clock = Clock(broker.turn, broker.journal, incarnation)
        self.origins = Origins(node, incarnation)
        self.pack = pack
        self.peers: dict[str, Peer] = {}
        self.routes = Routes(broker.router, self.send, self.send_stored)
        self.inbox = Inbox(broker, self.send, self.send_stored)
        self.replicas = Replicas(broker, self.clock, node, pack, self.send_stored)
        self.takeover = Takeover(broker, self.clock, node, self.peers, self.peer, self.origins, self.inbox, self.routes.table,
                                 self.send, self.send_stored)
        sessions = self.takeover.registry
        sharing = Sharing(node, broker, self.routes, self.inbox, self.send)
        self.authored: dict[int, Authored] = {ROUTES: self.routes.table, SESSIONS: sessions.table}
        self.mirrors: dict[int, Callable[[Peer], Mirrored]] = {ROUTES: self.routes.mirror, SESSIONS: sessions.mirror}
        self._own: list[Part] = [self.inbox, sharing, self.takeover.flushing, self.takeover, self.replicas]
        self.parts = [*self._own]
        self.serve: dict[int, Serve] = {
            f.STATE: self._hear, f.WANT: self._want, f.DELTA: self._hear, f.SNAPSHOT: self._hear, f.APPLIED: self._applied,
            f.GREET: self.inbox.greet, f.MARK: self._mark, f.FORWARD: self.inbox.forward, f.TOOK: self._took,
            f.FLUSH: self._flush, f.LOAD: sharing.loaded,
            f.RETAIN: self.replicas.retain, f.ERASE: self.replicas.erase, f.DIGESTS: self.replicas.digests,
            f.MARKS: self.replicas.marked, f.NEED: self.replicas.need, **self.takeover.serve,
        }
        self.announcing = True
        self._token = token
        self._rules = rules
        self._compared = broker.turn.now
        self._flushes: list[tuple[Peer, int]] = []
        broker.join(self)

    # Nodes that come and go.

    def peer(self, name: str) -> Peer:
        """Another node, which need not be connected."""
        peer = self.peers.get(name)
        if peer is None:
            peer = self.peers[name] = Peer(name, self._token(), self.broker.circle, self._rules, self.pack, self.origins)
        return peer

    def opened(self, name: str, incarnation: str, link: Link) -> Peer:
        """A node is connected by `link`, which takes the place of one that is there still: `closed` comes first then."""
        peer = self.peer(name)
        if peer.link is not None:
            self.closed(peer, peer.link)
        if peer.incarnation != incarnation:
            peer.incarnation = incarnation
            peer.outbox.restarted()
        peer.attach(link)
        for table in self.authored.values():
            table.opened(peer)
        self.send(peer, (f.GREET, peer.outbox.identity))
        for part in self.parts:
            part.opened(peer)
        return peer

    def closed(self, peer: Peer, link: Link) -> None:
        """A link is gone; it may have been replaced before."""
        if peer.link is not link:
            return
        peer.attach(None)
        link.held = None
        self._flushes = [one for one in self._flushes if one[0] is not peer]
        for table in self.authored.values():
            table.lost(peer)
        for part in self.parts:
            part.lost(peer)

    def forget(self, name: str) -> None:
        """A node belongs to the cluster no more."""
        peer = self.peers.get(name)
        if peer is None:
            return
        if peer.link is not None:
            link = peer.link
            self.closed(peer, link)
            link.close()
        self.routes.left(peer)
        for part in self.parts:
            part.left(peer)
        peer.outbox.end()
        del self.peers[name]

    # What they say.

    def take(self, peer: Peer, frames: Iterable[object]) -> None:
        """Serve what came over the link of a node; BadFrame when that is its fault, and the link is to be closed."""
        try:
            for frame in frames:
                known = check(frame)
                serve = self.serve.get(known[0])
                if serve is not None:
                    serve(peer, known)
        finally:
            for part in self.parts:
                part.settle(peer)

    def send(self, peer: Peer, frame: Frame) -> None:
        """Send to a node, if it is connected."""
        if peer.link is not None:
            peer.link.send(self.pack(frame))

    def send_stored(self, peer: Peer, frame: Frame) -> None:
        """Send to a node once all that was recorded is stored."""
        if peer.link is not None:
            send_stored(peer.link, self.broker.journal, self.pack(frame))

    def broadcast(self, frame: Frame) -> None:
        """Send to all nodes that are connected."""
        data = self.pack(frame)
        for peer in self.peers.values():
            if peer.link is not None:
                peer.link.send(data)

    def proceed(self, peer: Peer) -> None:
        """There is something to do for a node, or its link takes more."""
        peer.stirred = False
        if self.announcing:
            for table in self.authored.values():
                table.tell(peer)
        for part in self.parts:
            part.proceed(peer)
        peer.outbox.pump()
        self._answer_flushes()

    def announce(self, announcing: bool) -> None:
        """Tell the others of the tables of this node from now on, and of what has changed meanwhile; or no more."""
        self.announcing = announcing
        if announcing:
            for peer in self.peers.values():
                peer.stir()

    def tick(self, now: float) -> None:
        """What is due in the tables, and in its own parts."""
        for table in self.authored.values():
            for late in table.give_up(now):
                if late.link is not None:
                    late.link.close()  # it is told all anew when it is back
        for part in self._own:
            part.tick(now)
        if now - self._compared >= COMPARE:
            self._compared = now
            for table in self.authored.values():
                table.compare()

    # What the broker says.

    def changed(self, topic_filter: bytes, before: Subscription | None, after: Subscription | None) -> None:
        self.routes.changed(topic_filter, before, after)

    def settled(self) -> Pending[Names] | None:
        return self.routes.table.settled(self.broker.turn.now)

    def retained(self, topic: bytes, until: float) -> None:
        self.replicas.retained(topic, until)

    def erased(self, topic: bytes) -> None:
        self.replicas.erased(topic)

    def expired(self, topic: bytes) -> None:
        self.replicas.expired(topic)

    def claim(self, client_id: str, clean_start: bool, is_wanted: Callable[[], bool]) -> Pending[Claim] | None:
        return self.takeover.claim(client_id, clean_start, is_wanted)

    def session_opened(self, session: Session, clean_start: bool) -> None:
        self.takeover.session_opened(session, clean_start)

    def announced(self) -> Pending[Names] | None:
        return self.takeover.registry.table.settled(self.broker.turn.now)

    def session_ended(self, session: Session) -> None:
        self.takeover.session_ended(session)

    def recover(self, snapshot: Snapshot) -> None:
        outboxes: dict[int, Peer] = {}
        for record in snapshot.sessions:
            if record[3] == OUTBOX:
                self._recover_outbox(record, outboxes)
        for number, name, _, _ in snapshot.subscriptions:
            if number in outboxes:
                self.routes.recover(outboxes[number], name)
        for part in self.parts:
            part.recover(snapshot)

    def page(self, fetch: Fetch, rows: list[Record], more: bool) -> None:
        journal = self.broker.journal
        for peer in self.peers.values():
            ledger = peer.outbox.ledger
            if ledger is not None and journal is not None and ledger.takes(fetch):
                peer.outbox.bring_back(rows_of(rows, journal.offset), more)
                peer.stir()

    def _recover_outbox(self, record: Record, outboxes: dict[int, Peer]) -> None:
        identity, _, name = record[1].partition(" ")
        if name not in self.peers and name != self.node:
            peer = self.peers[name] = Peer(name, identity, self.broker.circle, self._rules, self.pack, self.origins)
            peer.outbox.recover(record[0], record[7], record[5], record[6])
            outboxes[record[0]] = peer
        elif self.broker.journal is not None:  # an older one, or from when this node had another name
            self.broker.journal.add((ENDED, record[0]))

    # Frames.

    def _hear(self, peer: Peer, frame: Frame) -> None:
        """A node speaks of a table of its own. Once all of it is known, clients that wait for the node need not any longer."""
        mirror_of = self.mirrors.get(frame[1])
        if mirror_of is None:
            return
        mirror = mirror_of(peer)
        before = mirror.current
        if frame[0] == f.STATE:
            mirror.state(frame[2], frame[3])
        elif frame[0] == f.DELTA:
            mirror.delta(frame[2], frame[3])
        else:
            mirror.snapshot(frame[2], frame[3], frame[4], frame[5], frame[6])
        if mirror.current and not before:
            self.takeover.claims.look()

    def _want(self, peer: Peer, frame: Frame) -> None:
        table = self.authored.get(frame[1])
        if table is not None:
            table.want(peer, frame[2])

    def _applied(self, peer: Peer, frame: Frame) -> None:
        table = self.authored.get(frame[1])
        if table is not None:
            table.applied(peer, frame[2])
            self.takeover.heard(peer)

    def _mark(self, peer: Peer, frame: Frame) -> None:
        if frame[1] == peer.outbox.identity:
            peer.outbox.begin(frame[2], frame[3])
            peer.stir()

    def _took(self, peer: Peer, frame: Frame) -> None:
        if frame[1] == peer.outbox.identity:
            peer.outbox.took(frame[2], frame[3])
            peer.stir()

    def _flush(self, peer: Peer, frame: Frame) -> None:
        self._flushes.append((peer, frame[1]))
        peer.stir()

    def _answer_flushes(self) -> None:
        """Answer behind all that was forwarded before; what waits still goes first."""
        for peer, number in list(self._flushes):
            link, backlog = peer.link, peer.outbox.backlog
            if link is None or not peer.outbox.ready or (backlog is not None and len(backlog)):
                continue
            self._flushes.remove((peer, number))
            data = self.pack((f.FLUSHED, number))
            if link.held:
                link.hold(link.held[-1][0], data)
            else:
                link.send(data)
