"""Takeover: sessions go to where their clients are, from whichever node had them."""
from collections.abc import Callable

from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.aftermath import Aftermath, ToClient
from emqtwist.core.cluster.claims import Claims
from emqtwist.core.cluster.discarding import Discarding
from emqtwist.core.cluster.epochs import AWAITING, COMING, FIRST, GIVEN, HERE, IGNORANT, epoch_of, set_epoch, state_of
from emqtwist.core.cluster.flushing import Flushing
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.giving import end_given, keep_now
from emqtwist.core.cluster.handover import Handover, leave_over
from emqtwist.core.cluster.inbox import Inbox
from emqtwist.core.cluster.origin import Origin, Origins
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.registry import Registry
from emqtwist.core.cluster.tables import Send
from emqtwist.core.cluster.taking import PATIENCE, Done, Surroundings, Taking, begin
from emqtwist.core.move import Claim
from emqtwist.core.pending import Pending
from emqtwist.core.records import Snapshot
from emqtwist.core.session import Session
from emqtwist.mqtt.errors import ServerBusy

Serve = Callable[[Peer, Frame], None]


class Takeover(Part):
    """Wires what belongs to sessions: `registry` knows where they are, `claims` who waits for one, and which are on their way."""

    __slots__ = ("registry", "flushing", "claims", "discarding", "handover", "serve", "aftermaths", "_broker", "_peers",
                 "_origins", "_around", "_send", "_send_stored")

    def __init__(self, broker: Broker, node: str, peers: dict[str, Peer], origins: Origins, inbox: Inbox, send: Send,
                 send_stored: Send) -> None:
        self.registry = Registry(send)
        self.flushing = Flushing(peers, send)
        self.claims = Claims(broker, peers, self.registry, send)
        self.discarding = Discarding(broker, node, self.registry, self.claims, send_stored)
        self.handover = Handover(broker, self.claims, self.registry, origins, self.flushing, send, send_stored)
        self.serve: dict[int, Serve] = {
            f.FLUSHED: self.flushing.flushed, f.TAKE: self.handover.take, f.HAVE: self.handover.has,
            f.READY: self.handover.ready, f.DONE: self.handover.done, f.SESSION: self._session, f.ROWS: self._rows,
            f.LEVEL: self._level, f.END: self._end, f.GONE: self._gone, f.DISCARD: self.discarding.discard,
        }
        self.aftermaths: dict[str, Aftermath] = {}
        self._broker = broker
        self._peers = peers
        self._origins = origins
        self._send = send
        self._send_stored = send_stored
        self._around = Surroundings(broker, peers, origins, self.flushing, send, send_stored, Arrival(self))
        inbox.to_client = ToClient(broker.sessions)

    # What the broker says.

    def claim(self, client_id: str, clean_start: bool) -> Pending[Claim] | None:
        return self.claims.claim(client_id, clean_start)

    def session_opened(self, session: Session, clean_start: bool) -> None:
        """Who does not know of all nodes whether they have a session of the client begins one that gives way to theirs."""
        if not epoch_of(session):
            knows = clean_start or self.claims.knows_all()
            set_epoch(session, max(self.registry.highest(session.client_id) + 1, FIRST if knows else IGNORANT), HERE)
        self.registry.put(session)

    def session_ended(self, session: Session) -> None:
        client_id = session.client_id
        giving, taking = self.claims.givings.pop(client_id, None), self.claims.takings.pop(client_id, None)
        self.registry.drop(client_id)
        if giving is not None:
            leave_over(self._broker, session, giving.left_over())
        if taking is not None:
            taking.stop()
            for peer, frame in taking.waiting.items():
                self.handover.take(peer, frame)
        self.claims.look_at(client_id)

    # What becomes of nodes.

    def recover(self, snapshot: Snapshot) -> None:
        for session in list(self._broker.sessions.by_id.values()):
            if not epoch_of(session):
                set_epoch(session, FIRST, HERE)
            self.registry.put(session)
            if state_of(session) == AWAITING:
                self._await(session, set(self._peers), {}, {}).unsure = True
            elif state_of(session) == COMING:
                taking = self.claims.takings[session.client_id] = Taking(session, self._around, None)
                taking.settle(list(session.subscriptions.values()))

    def _await(self, session: Session, nodes: set[str], met: dict[str, Pending[bool]], seen: dict[Origin, None]) -> Aftermath:
        aftermath = Aftermath(session, nodes, met, self._origins, seen, self._broker.turn.now)
        session.move = self.aftermaths[session.client_id] = aftermath
        return aftermath

    def opened(self, peer: Peer) -> None:
        for giving in self.claims.givings.values():
            if giving.peer is peer:
                giving.tell_again()
        for taking in list(self.claims.takings.values()):
            if taking.peer is peer:
                taking.find(peer)
        self.discarding.meet_all(peer)
        self.claims.look()

    def lost(self, peer: Peer) -> None:
        for giving in self.claims.givings.values():
            if giving.peer is peer:
                giving.stale = True
        for taking in self.claims.takings.values():
            taking.there.discard(peer.name)
            taking.waiting.pop(peer, None)
            if taking.peer is peer:
                taking.lose(self._broker.turn.now)
        self.claims.lost(peer)

    def left(self, peer: Peer) -> None:
        """What it had of a session is lost; what it was to get stays."""
        self.registry.left(peer)
        for giving in list(self.claims.givings.values()):
            if giving.peer is peer and giving.is_done():
                giving.end()
            elif giving.peer is peer:
                del self.claims.givings[giving.session.client_id]
                giving.take_back()
        for taking in self.claims.takings.values():
            if taking.peer is peer:
                taking.give_up()
        self.claims.look()

    def proceed(self, peer: Peer) -> None:
        for giving in list(self.claims.givings.values()):
            if giving.peer is peer:
                giving.pump()

    def tick(self, now: float) -> None:
        """A client whose session cannot come wholly has to come again."""
        self.claims.look()
        self.claims.tick(now)
        self.handover.look()
        if self.aftermaths:
            there = self._around.connected()
            for client_id, aftermath in list(self.aftermaths.items()):
                if aftermath.unsure:
                    aftermath.nodes.update(self._peers)
                if aftermath.session.move is not aftermath or aftermath.tick(now, there | {self._origins.node}):
                    del self.aftermaths[client_id]
                    aftermath.stop()
                    self._is_whole(aftermath.session)
                    self.discarding.meet_all_of(client_id)
        for taking in list(self.claims.takings.values()):
            session = taking.session
            if now - taking.lost_at >= PATIENCE and session.opener is not None:
                name = "another node" if taking.peer is None else f"the node {taking.peer.name}"
                session.opener.fail(ServerBusy(f"a part of the session is at {name}, which does not answer"))

    def _is_whole(self, session: Session) -> None:
        """Nothing more is to come for it from where it was."""
        if self._broker.sessions.by_id.get(session.client_id) is session and state_of(session) == AWAITING:
            set_epoch(session, epoch_of(session), HERE)
            keep_now(self._broker.sessions, session)

    # What other nodes say.

    def _session(self, peer: Peer, frame: Frame) -> None:
        client_id = frame[1]
        session = self._broker.sessions.by_id.get(client_id)
        if self._taking(peer, frame) is not None:
            return
        claiming = self.claims.under_way.get(client_id)
        believed: set[str] = set()
        if session is not None and state_of(session) == GIVEN:  # that is what has come to where it comes from now
            giving = self.claims.givings.get(client_id)
            believed = giving.awaited() if giving is not None else believed
            end_given(self._broker.sessions, session)
            session = self._broker.sessions.by_id.get(client_id)
        if session is not None or claiming is None or claiming.asked is not peer:
            self._send(peer, (f.GONE, client_id, frame[2], ""))  # nobody wants it any more
            return
        taking = self.claims.takings[client_id] = begin(self._around, peer, frame, believed)
        self.registry.put(taking.session)
        self.claims.come(client_id)

    def _rows(self, peer: Peer, frame: Frame) -> None:
        taking = self._taking(peer, frame)
        if taking is not None:
            taking.rows(frame[3])

    def _level(self, peer: Peer, frame: Frame) -> None:
        taking = self._taking(peer, frame)
        if taking is not None:
            taking.level.resume(True)

    def _end(self, peer: Peer, frame: Frame) -> None:
        taking = self._taking(peer, frame)
        late = {name for name in frame[3] if isinstance(name, str)}
        if taking is not None:
            taking.end(late, frame[4])
            return
        aftermath = self.aftermaths.get(frame[1])
        if aftermath is not None and aftermath.unsure and epoch_of(aftermath.session) == frame[2]:
            met = {name: self.flushing.meet(other) for name, other in self._peers.items() if name in late}
            aftermath.know(late, met)

    def _gone(self, peer: Peer, frame: Frame) -> None:
        taking = self._taking(peer, frame)
        if taking is not None:
            taking.give_up()
        elif not self.handover.gone(peer, frame):
            self.claims.gone(peer, frame)

    def _taking(self, peer: Peer, frame: Frame) -> Taking | None:
        taking = self.claims.takings.get(frame[1])
        return taking if taking is not None and taking.peer is peer and taking.epoch == frame[2] else None

    def arrived(self, taking: Taking) -> None:
        """All of a session has come."""
        client_id = taking.session.client_id
        self.claims.takings.pop(client_id, None)
        nodes = {self._origins.node, *taking.there}
        absent = taking.absent()
        if absent:
            met = {name: self.flushing.meet(peer) for name, peer in absent.items() if name not in taking.believed}
            self._await(taking.session, set(absent), met, taking.seen())
        if taking.peer is not None:
            self._send_stored(taking.peer, (f.DONE, client_id, taking.epoch, tuple(nodes)))
        for peer, frame in taking.waiting.items():
            self.handover.take(peer, frame)
        self.claims.look_at(client_id)


class Arrival(Done):
    """Tells a Takeover."""

    __slots__ = ("_takeover",)

    def __init__(self, takeover: Takeover) -> None:
        self._takeover = takeover

    def arrived(self, taking: Taking) -> None:
        self._takeover.arrived(taking)
