"""Taking: a session that comes from another node, which keeps its copy until all of it is here.

The client is answered once what the session is has been stored, and gets its queue as that comes. What is published meanwhile
goes to the copy at the other node, and comes behind the rest. When all is here that there was, the session subscribes at this
node; what comes directly from then on waits until the last of the other node has come, and is left out if it has come that way
too.

A process that crashes meanwhile finds the session as one that is coming: it asks for the rows that it does not have. When the
other node is lost, what comes directly does not count, until that one is back.

If the session was here before, some nodes may know it nowhere else: what those send goes to the other node, and comes back.
"""
from typing import Final

from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.addressed import cut, send_cut, send_on
from emqtwist.core.cluster.aftermath import Aftermath, filters_of
from emqtwist.core.cluster.course import Course, note_here
from emqtwist.core.cluster.epochs import AWAITING, HERE, epoch_of, set_epoch
from emqtwist.core.cluster.flushing import Flushing
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.keeping import keep_now
from emqtwist.core.cluster.moved import NO_ORIGIN, row_of
from emqtwist.core.cluster.origin import Origin, Origins
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.placing import place
from emqtwist.core.cluster.tables import Send
from emqtwist.core.message import NEVER, NO_IDENTIFIERS, PUBLISH_BYTE, QOS_BITS, Delivery, Message
from emqtwist.core.move import Move
from emqtwist.core.pending import Pending
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscriber

PATIENCE: Final = 2.0  # seconds without the other node, after which the client is told to come again


class Surroundings:
    """What a session needs to come: the broker, and ways to other nodes."""

    __slots__ = ("broker", "peers", "origins", "flushing", "send", "send_stored", "done")

    def __init__(self, broker: Broker, peers: dict[str, Peer], origins: Origins, flushing: Flushing, send: Send,
                 send_stored: Send, done: "Done") -> None:
        self.broker = broker
        self.peers = peers
        self.origins = origins
        self.flushing = flushing
        self.send = send
        self.send_stored = send_stored
        self.done = done

    def connected(self) -> set[str]:
        """The names of the nodes that are."""
        return {peer.name for peer in self.peers.values() if peer.link is not None}


class Done:
    """Who hears that a session has come wholly, but for what is sent on of some nodes."""

    def await_rest(self, session: Session, sources: dict[str, int], nodes: set[str], fading: set[str],
                   gone_to: Peer | None, filters: dict[str, list[bytes]]) -> None:
        raise NotImplementedError

    def arrived(self, taking: "Taking") -> None:
        raise NotImplementedError


class Taking(Move):
    """What comes from `peer`, None where nobody has the rest; `lost_at` is since when it is away, NEVER while it is here.

    `waiting` are other nodes that ask for the session. `level`, `ended` are for what the other node says. `there` are nodes
    that knew all the time where it subscribes; once the other node has been told of them it is `ready`, and only `again` all
    begins anew. `late` are those whose messages the other node sends on.

    Where the session was here before, and had `gone_to` another node, what comes of the nodes `back` comes nowhere else; `before`
    is for what was sent on to here then, and still is.
    """

    __slots__ = ("session", "peer", "lost_at", "waiting", "level", "ended", "stopped", "ending", "there", "ready",
                 "again", "late", "whole", "back", "before", "gone_to", "_around", "_late", "_known", "_next")

    def __init__(self, session: Session, around: Surroundings, peer: Peer | None, back: set[str], before: Aftermath | None,
                 gone_to: Peer | None, have: int = 0) -> None:
        self.session = session
        self.epoch = epoch_of(session)
        self.peer = peer
        self.lost_at = NEVER if peer is not None and peer.link is not None else session.circle.turn.now
        self.waiting: dict[Peer, Frame] = {}
        self.level: Pending[bool] = Pending()
        self.ended: Pending[bool] = Pending()
        self.stopped = False
        self.ending = False  # all of it is here
        self.there: set[str] = set()
        self.ready = self.again = False
        self.late: set[str] = set()
        self.whole = True
        self.back = back
        self.before = before
        self.gone_to = gone_to
        self._around = around
        self._next = have + 1  # of the rows that come
        self._late: list[tuple[Origin, Delivery]] = []
        self._known: dict[Origin, None] = {}  # of rows that may come directly too
        session.move = self

    def note(self) -> None:
        """Have stored how far it has come."""
        course = Course()
        course.other = "" if self.peer is None else self.peer.name
        course.number, course.nodes = self._next - 1, self.back
        if self.before is not None:
            self.before.describe(course)
        course.gone_to = "" if self.gone_to is None else self.gone_to.name
        course.note(self.session)

    # What comes from the other node.

    def find(self, peer: Peer) -> None:
        """That node has the rest: it is asked for that."""
        self.peer = peer
        if peer.link is not None and not self.ending:
            self.lost_at = NEVER
            self._around.send_stored(peer, (f.TAKE, self.session.client_id, self.epoch, self._next - 1))

    def lose(self, now: float) -> None:
        """The other node is away."""
        if not self.ending:
            self.lost_at = min(self.lost_at, now)
            if self.level.decision is not None:
                self.level = Pending()
                self.ended.resume(False)

    def end(self, late: set[str], whole: bool) -> None:
        """That was the last of it, but for what is sent on: of these nodes all. `whole`: nothing is."""
        if self.ended.decision is None and self.level.decision:
            self.late, self.whole = late, whole
            self.ending = True
            self.ended.resume(True)

    def tell_ready(self) -> None:
        """The others know where it subscribes."""
        self.ready = True
        if self.peer is not None and self.ended.decision is None:
            self._around.send_stored(self.peer, (f.READY, self.session.client_id, self.epoch, tuple(sorted(self.there)),
                                                 tuple(sorted(self.claimed()))))

    def claimed(self) -> set[str]:
        """The nodes whose messages it gets in any case, because it was here before."""
        return set(self.back) if self.before is None else self.back | self.before.awaited()

    def start_over(self) -> None:
        """What the other node was told does not hold: all that comes directly comes from it too, once more."""
        if self.peer is None:
            return
        self.again = True
        self.ending = False
        self.level = Pending()
        self.ended.resume(False)
        if self.peer.link is None:
            self.lost_at = self.session.circle.turn.now
        self.find(self.peer)

    def give_up(self) -> None:
        """There is no more of it: what is here is all."""
        self.peer, self.ending, self.lost_at = None, True, NEVER
        self.late, self.whole = set(), True
        self.level.resume(True)
        self.ended.resume(True)

    def leave(self, peer: Peer) -> None:
        """A node belongs to the cluster no more."""
        self.back.discard(peer.name)
        if self.gone_to is peer:
            self.gone_to = None
        self.note()

    def rows(self, rows: tuple[object, ...]) -> None:
        now = self.session.circle.turn.now
        last = -1
        for wire in rows:
            row = row_of(wire, now)
            if row.origin != NO_ORIGIN:
                self._known[row.origin] = None
            if row.seq < self._next:
                continue  # it is here already
            last, self._next = row.seq, row.seq + 1
            place(self.session, row)
        self.session.pump()
        if self.peer is not None and last >= 0:
            self.note()
            self._around.send_stored(self.peer, (f.HAVE, self.session.client_id, self.epoch, last))

    # What comes directly.

    def collect(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        origin, group = self._around.origins.of(message), message.group()
        if not first_byte & QOS_BITS:
            if group or origin[0] in self.there:
                self._late.append((NO_ORIGIN if group else origin, (message, first_byte, identifiers, 0)))
        elif self.before is not None and not self.before.wants(message, first_byte):
            return  # it is sent on to here
        elif group and self.ending:
            self._take(message, first_byte, identifiers)  # the other node may have ended its copy before it came there
        elif group or origin[0] in self.back:
            self._send_back(message, first_byte, origin)
        elif origin[0] in self.there:  # else it comes from the other node, or has come before the session moved
            self._late.append((origin, (message, first_byte, identifiers, 0)))

    def relayed(self, message: Message, origin: Origin, peer: Subscriber) -> None:
        first_byte = PUBLISH_BYTE | message.qos << 1
        if peer is self.peer:
            self._known[origin] = None
            self._take(message, first_byte)
        else:
            self._send_back(message, first_byte, origin)

    def _send_back(self, message: Message, first_byte: int, origin: Origin) -> None:
        """Have it come from the other node, behind what there is."""
        if self.peer is not None:
            send_on(self.peer, self.session.client_id, self.epoch, message, first_byte, origin)
        else:
            self._take(message, first_byte)

    def _take(self, message: Message, first_byte: int, identifiers: tuple[int, ...] = NO_IDENTIFIERS) -> None:
        """Rows that are still to come may stand behind it in the store only: so it waits first, as they do."""
        self.session.wait((message, first_byte, identifiers, 0))
        self.session.pump()

    def cut(self, node: str, epoch: int, direct: bool) -> None:
        claimed, before = self.claimed(), self.before
        if before is not None and direct:
            passes = before.passes(node, epoch)
            if epoch > before.epoch:
                self._leave(node, epoch)
            elif not passes:
                return
        elif direct:
            self._leave(node, epoch)
        elif before is not None and node in before.nodes and epoch > before.epoch:
            before.nodes.discard(node)
            self._leave(node, epoch)
        self.note()
        if self.ready and claimed != self.claimed():
            self.start_over()

    def _leave(self, node: str, epoch: int) -> None:
        """Nothing comes here of it only."""
        if node in self.back:
            self.back.discard(node)
            self._pass_on(node, epoch)

    def _pass_on(self, node: str, epoch: int) -> None:
        if self.gone_to is not None:
            send_cut(self.gone_to, cut(self.session.client_id, node, epoch))

    def forget(self) -> None:
        """All that came directly goes to the other node too."""
        self.ended = Pending(True if self.ending else None)
        self.ready = self.again = False
        self._late.clear()
        self.there.clear()

    # Ends.

    def stop(self) -> None:
        self.stopped = True
        if self.session.move is self:
            self.session.move = None
        self.level.resume(False)
        self.ended.resume(False)

    def close(self) -> None:
        """All is here: go on as any other session."""
        session, broker = self.session, self._around.broker
        self.stop()
        for node in sorted(self.claimed() - self.late):  # nothing of these goes any more to where it had gone
            self._pass_on(node, self.epoch)
        sources = {} if self.before is None else self.before.sources
        nodes, fading = self.late - self.back, self.late & self.back
        if self.before is not None:
            nodes |= self.before.nodes
            fading |= self.before.fading
        if self.peer is not None and not self.whole:
            sources[self.peer.name] = self.epoch
        set_epoch(session, self.epoch, AWAITING if sources or nodes or fading else HERE)
        keep_now(broker.sessions, session)
        for origin, (message, first_byte, identifiers, _) in self._late:
            if origin == NO_ORIGIN or (origin[0] not in self.late and origin not in self._known):
                session.deliver(message, first_byte, identifiers)
        if sources or nodes or fading:
            filters = dict.fromkeys(self.late, filters_of(session))
            if self.before is not None:
                filters.update({node: self.before.filters[node] for node in self.before.awaited()})
            self._around.done.await_rest(session, sources, nodes, fading, self.gone_to, filters)
        else:
            note_here(session)
        session.pump()
        self._around.done.arrived(self)
