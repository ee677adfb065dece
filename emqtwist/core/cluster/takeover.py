"""Takeover: sessions go to where their clients are, from whichever node had them."""
from collections.abc import Callable

from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.aftermath import Aftermath, ToClient
from emqtwist.core.cluster.aftermaths import Aftermaths
from emqtwist.core.cluster.claims import Claims
from emqtwist.core.cluster.clock import COUNTER, Clock
from emqtwist.core.cluster.course import Course, course_of, note_here
from emqtwist.core.cluster.discarding import Discarding
from emqtwist.core.cluster.epochs import COMING, FIRST, GIVEN, HERE, epoch_of, new_epoch, set_epoch, state_of
from emqtwist.core.cluster.flushing import Flushing
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.giving import Giving
from emqtwist.core.cluster.handover import Handover
from emqtwist.core.cluster.inbox import Inbox
from emqtwist.core.cluster.keeping import end_given, keep_now
from emqtwist.core.cluster.origin import Origins
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.registry import Registry
from emqtwist.core.cluster.settling import begin, settle
from emqtwist.core.cluster.tables import Authored, Send
from emqtwist.core.cluster.taking import PATIENCE, Done, Surroundings, Taking
from emqtwist.core.move import Claim
from emqtwist.core.pending import Pending
from emqtwist.core.records import Snapshot
from emqtwist.core.session import Session
from emqtwist.mqtt.errors import ServerBusy

Serve = Callable[[Peer, Frame], None]


class Takeover(Part):
    """Wires what belongs to sessions: `registry` knows where they are, `claims` who waits for one, and which are on their way.

    `peers` are the other nodes by name, `peer` makes one that has to be there. `routes` is what this node announces.
    """

    __slots__ = ("registry", "flushing", "claims", "discarding", "handover", "serve", "aftermaths", "_broker", "_clock", "_peers",
                 "_peer", "_origins", "_around", "_replaced", "_send", "_send_stored")

    def __init__(self, broker: Broker, clock: Clock, node: str, peers: dict[str, Peer], peer: Callable[[str], Peer],
                 origins: Origins, inbox: Inbox, routes: Authored, send: Send, send_stored: Send) -> None:
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
        to_client = inbox.to_client = ToClient(broker.sessions, inbox)
        self.aftermaths = Aftermaths(peers, origins, self.registry, self.flushing, routes, to_client, send, send_stored)
        self.serve[f.CUT] = self.aftermaths.cut
        self._broker = broker
        self._clock = clock
        self._peers = peers
        self._peer = peer
        self._replaced = ""  # the client whose session here is about to have another take its place
        self._origins = origins
        self._send = send
        self._send_stored = send_stored
        self._around = Surroundings(broker, peers, origins, self.flushing, send, send_stored, Arrival(self))

    # What the broker says.

    def claim(self, client_id: str, clean_start: bool, is_wanted: Callable[[], bool]) -> Pending[Claim] | None:
        return self.claims.claim(client_id, clean_start, is_wanted)

    def session_opened(self, session: Session, clean_start: bool) -> None:
        """Who does not know of all nodes whether they have a session of the client begins one that gives way to theirs, unless
        the client gives those up."""
        if not epoch_of(session):
            least = FIRST if clean_start or self.claims.knows_all() else 0
            now = self._clock.stamp() >> COUNTER
            set_epoch(session, new_epoch(least, now, self.registry.highest(session.client_id)), HERE)
        self.registry.put(session)

    def session_ended(self, session: Session) -> None:
        client_id = session.client_id
        giving, taking = self.claims.givings.pop(client_id, None), self.claims.takings.pop(client_id, None)
        self.aftermaths.known.pop(client_id, None)
        if giving is not None:
            giving.stop()
        if client_id == self._replaced:
            pass  # another takes its place at once
        elif giving is not None and giving.has_gone():
            self.registry.withdraw(client_id)  # it lives on elsewhere, where what an older copy has may still be awaited
        else:
            self.registry.drop(client_id)
        if taking is not None:
            taking.stop()
            for peer, frame in taking.waiting.items():
                self.handover.take(peer, frame)
        self.claims.look_at(client_id)

    # What becomes of nodes.

    def recover(self, snapshot: Snapshot) -> None:
        courses = {record[0]: course_of(record[9]) for record in snapshot.sessions if record[9]}
        for session in list(self._broker.sessions.by_id.values()):
            if not epoch_of(session):
                set_epoch(session, FIRST, HERE)
            number = 0 if session.ledger is None else session.ledger.number
            course = courses.get(number)
            if course is not None:
                self._go_on(session, course)
            self.registry.put(session)

    def _go_on(self, session: Session, course: Course) -> None:
        """Where the last process was."""
        before: Aftermath | None = None
        gone_to = self._peer(course.gone_to) if course.gone_to else None
        if course.sources or course.via or course.fading:
            for name in course.sources:
                self._peer(name)
            before = self.aftermaths.begin(session, course.come, course.sources, course.via, course.fading, gone_to,
                                           course.filters)
        if state_of(session) == GIVEN:
            giving = Giving(session, self._broker.sessions, self._origins, self._send, self._send_stored)
            giving.recover(self._peer(course.other), course, before)
            self.claims.givings[session.client_id] = giving
        elif state_of(session) == COMING:
            peer = self._peer(course.other) if course.other else None
            taking = Taking(session, self._around, peer, course.nodes, before, gone_to, course.number)
            self.claims.takings[session.client_id] = taking
            if peer is None:
                taking.give_up()
            settle(taking, self._around, list(session.subscriptions.values()))

    def opened(self, peer: Peer) -> None:
        self.aftermaths.opened(peer)
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
            if not taking.ready:
                taking.there.discard(peer.name)
            taking.waiting.pop(peer, None)
            if taking.peer is peer:
                taking.lose(self._broker.turn.now)
        self.registry.lost(peer)
        self.aftermaths.lost(peer)
        self.claims.lost(peer)

    def left(self, peer: Peer) -> None:
        """What it had of a session is lost; what it was to get stays."""
        self.registry.left(peer)
        for giving in list(self.claims.givings.values()):
            if giving.peer is peer and giving.done:
                giving.end()
            elif giving.peer is peer:
                self.handover.take_back(giving)
        for taking in self.claims.takings.values():
            if taking.peer is peer:
                taking.give_up()
            taking.leave(peer)
        self.aftermaths.left(peer)
        for giving in list(self.claims.givings.values()):
            giving.nodes.discard(peer.name)
            giving.note()
            giving.look()
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
        for giving in list(self.claims.givings.values()):
            giving.pump()
        self._look_at_aftermaths(now)
        for taking in list(self.claims.takings.values()):
            session = taking.session
            if now - taking.lost_at >= PATIENCE and session.opener is not None:
                name = "another node" if taking.peer is None else f"the node {taking.peer.name}"
                session.opener.fail(ServerBusy(f"a part of the session is at {name}, which does not answer"))

    def heard(self, peer: Peer) -> None:
        """A node knows more of the routes."""
        self.aftermaths.ask_all(peer, self._broker.turn.now)

    def _look_at_aftermaths(self, now: float) -> None:
        for client_id, aftermath in list(self.aftermaths.known.items()):
            giving = self.claims.givings.get(client_id)
            self.aftermaths.look(aftermath, giving, now)
            if giving is not None:
                giving.look()
            elif not aftermath.sources and not aftermath.awaited() and aftermath.session.move is aftermath:
                del self.aftermaths.known[client_id]
                self._is_whole(aftermath)

    def _is_whole(self, aftermath: Aftermath) -> None:
        """Nothing more is to come for it from where it was."""
        session = aftermath.session
        aftermath.stop()
        set_epoch(session, epoch_of(session), HERE)
        keep_now(self._broker.sessions, session)
        note_here(session)
        self.discarding.meet_all_of(session.client_id)

    # What other nodes say.

    def _session(self, peer: Peer, frame: Frame) -> None:
        client_id = frame[1]
        session = self._broker.sessions.by_id.get(client_id)
        if self._taking(peer, frame) is not None:
            return
        claiming = self.claims.under_way.get(client_id)
        if claiming is not None and claiming.asked is peer and claiming.is_old(frame):
            return
        wanted = claiming is not None and claiming.asked is peer and (session is None or state_of(session) == GIVEN)
        giving = self.claims.givings.get(client_id)
        back: set[str] = set()
        gone_to: Peer | None = None
        before: Aftermath | None = None
        if wanted and giving is not None:  # that is what has come to where it comes from now
            back, before = giving.nodes, giving.before
            gone_to = giving.peer
        if wanted and session is not None:
            self._replaced = client_id
            end_given(self._broker.sessions, session)
            self._replaced = ""
            wanted = client_id not in self._broker.sessions.by_id
        if not wanted:
            self._send(peer, (f.GONE, client_id, frame[2], ""))  # nobody wants it any more
            return
        taking = self.claims.takings[client_id] = begin(self._around, peer, frame, back, before, gone_to)
        if before is not None:
            self.aftermaths.known[client_id] = before
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
        if taking is not None:
            taking.end({name for name in frame[3] if isinstance(name, str)}, frame[4])

    def _gone(self, peer: Peer, frame: Frame) -> None:
        taking = self._taking(peer, frame)
        if taking is not None:
            taking.give_up()
        elif not self.handover.gone(peer, frame):
            self.claims.gone(peer, frame)

    def _taking(self, peer: Peer, frame: Frame) -> Taking | None:
        taking = self.claims.takings.get(frame[1])
        return taking if taking is not None and taking.peer is peer and taking.epoch == frame[2] else None

    def await_rest(self, session: Session, sources: dict[str, int], nodes: set[str], fading: set[str],
                   gone_to: Peer | None, filters: dict[str, list[bytes]]) -> None:
        """A session is here, but of some nodes something is still sent on."""
        self.aftermaths.begin(session, epoch_of(session), sources, nodes, fading, gone_to, filters).note()

    def arrived(self, taking: Taking) -> None:
        """All of a session has come."""
        client_id = taking.session.client_id
        self.claims.takings.pop(client_id, None)
        if taking.peer is not None:
            self._send_stored(taking.peer, (f.DONE, client_id, taking.epoch))
        if client_id in self.aftermaths.known:
            self._look_at_aftermaths(self._broker.turn.now)
        else:
            self.discarding.meet_all_of(client_id)
        for peer, frame in taking.waiting.items():
            self.handover.take(peer, frame)
        self.claims.look_at(client_id)


class Arrival(Done):
    """Tells a Takeover."""

    __slots__ = ("_takeover",)

    def __init__(self, takeover: Takeover) -> None:
        self._takeover = takeover

    def await_rest(self, session: Session, sources: dict[str, int], nodes: set[str], fading: set[str],
                   gone_to: Peer | None, filters: dict[str, list[bytes]]) -> None:
        self._takeover.await_rest(session, sources, nodes, fading, gone_to, filters)

    def arrived(self, taking: Taking) -> None:
        self._takeover.arrived(taking)
