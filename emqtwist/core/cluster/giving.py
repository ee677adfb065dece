"""Giving: a session that another node takes. The copy here stays whole until the other node has all of it.

Its connection has ended, and its subscriptions stay: what comes for it is added to its queue, as ever. The other node gets
what the session is, then its queue, a window at a time. When it has caught up, it subscribes by itself; once all nodes know
that, all that was forwarded to this node before is awaited, sent behind the rest, and that is the end.

Nodes that were not there meanwhile may still send here what they have not sent there: from the end on that is sent on, message by
message, until each of them has cut.
"""
from collections import deque
from typing import Final

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.addressed import cut, send_cut, send_on
from emqtwist.core.cluster.aftermath import Aftermath
from emqtwist.core.cluster.course import Course, note_here
from emqtwist.core.cluster.epochs import AWAITING, GIVEN, HERE, epoch_of, set_epoch
from emqtwist.core.cluster.flushing import Flush
from emqtwist.core.cluster.keeping import AS_IT_WAS, end_given, forget_rows, keep_absent, leave_group
from emqtwist.core.cluster.moved import NO_ORIGIN, Moved, Wire
from emqtwist.core.cluster.origin import Origin, Origins
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.tables import Send
from emqtwist.core.inflight import identifier_of
from emqtwist.core.ledger import BEFORE_ALL, Row
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, NO_IDENTIFIERS, PUBLISH_BYTE, QOS_BITS, Message
from emqtwist.core.move import Move
from emqtwist.core.pending import Pending
from emqtwist.core.records import STATE_RELEASED, Fetch
from emqtwist.core.session import Session
from emqtwist.core.sessions import Sessions
from emqtwist.core.subscriber import Subscriber
from emqtwist.mqtt.constants import MAX_PACKET_ID

PIECE: Final = 30_000  # bytes of rows in a frame, or a little more
WINDOW: Final = 64  # frames that the other node has not stored
PAGE: Final = 500_000  # bytes of rows that are read from the store at once


class Giving(Move):
    """What goes to `peer`, where it has `epoch`; `due` is when it would have expired. `over`: END is sent, and from then on what
    comes of `nodes`. `done`: the other node has all rows. `before` is for what still comes from where it was before.

    It is `stale` when the other node was away, and has not asked for it again.
    """

    __slots__ = ("session", "peer", "due", "over", "done", "stale", "nodes", "before", "_sessions", "_origins",
                 "_send", "_send_stored", "_memory", "_next", "_sent", "_late", "_rows", "_cursor", "_doubtful", "_end",
                 "_page", "_read", "_place", "_last", "_under_way", "_level", "_flushed", "_asked",
                 "_began", "_by_number", "_late_nodes", "_claimed", "_flush", "_late_origins")

    def __init__(self, session: Session, sessions: Sessions, origins: Origins, send: Send, send_stored: Send) -> None:
        self.session = session
        self.due = sessions.hold(session)
        self.peer: Peer | None = None
        self.epoch = 0
        self.over = self.done = self.stale = False
        self.nodes: set[str] = set()
        self._sessions = sessions
        self._origins = origins
        self._send = send
        self._send_stored = send_stored
        self._memory = [] if session.ledger is not None else _in_memory(session)
        self._next = self._memory[-1].seq + 1 if self._memory else 1
        self._end = self._next if session.ledger is None else session.ledger.next_seq
        self._sent = {held[3] for held in session.inflight.held.values() if held is not None}
        if session.ledger is not None:
            self._sent |= session.ledger.repeated
        self._late: list[Moved] = []  # what came since
        self._late_origins: set[Origin] = set()  # of that
        self._by_number = session.circle.settings.queue.kind != "simple"  # the store has them in another order
        self._asked: Pending[bool] | None = None
        self._flush: Flush | None = None  # for what is still to come here
        self.before = session.move if isinstance(session.move, Aftermath) else None
        session.move = self
        self._reset(-1)

    def recover(self, peer: Peer, course: Course, before: Aftermath | None) -> None:
        """As it was when the last process ended; rows are sent when the other node asks for them."""
        self.peer, self.epoch, self.over, self.nodes = peer, course.number, course.over, course.nodes
        self.before = before
        self.stale = True

    def start(self, peer: Peer, epoch: int, have: int, stored: Pending[bool]) -> None:
        """Send what `peer` does not have: it has the rows up to `have`, -1: it has nothing. `stored`: that it is given is."""
        session, ledger = self.session, self.session.ledger
        self.peer, self.epoch = peer, epoch
        self.over = self.done = self.stale = False
        self.nodes = set()
        self._doubtful = 0 if ledger is None else ledger.doubtful
        self._reset(have)
        self.note()
        self._ask(stored)
        if have < 0:
            interval = None if session.expiry_interval == NEVER else session.expiry_interval
            self._send_stored(peer, (f.SESSION, session.client_id, epoch, interval,
                                     tuple([(name, one.options, one.identifiers) for name, one in session.subscriptions.items()]),
                                     tuple(session.received)))  # behind what it is told of the way that the session came
        peer.stir()

    def _reset(self, have: int) -> None:
        """Send the rows from here on."""
        self._level = self._flushed = self._began = False
        self._page: Fetch | None = None  # the one that is awaited; others are of the last time, or for the client, who has gone
        self._rows: deque[Moved] = deque([row for row in self._memory if row.seq > have])
        self._cursor = (BEFORE_ALL, 0)
        self._read = self.session.ledger is None
        self._place = 0
        self._last = have
        self._under_way: deque[int] = deque()
        self._late_nodes: set[str] = set()
        self._claimed: set[str] = set()

    def note(self) -> None:
        """Have stored how far it has come."""
        course = Course()
        course.other = "" if self.peer is None else self.peer.name
        course.number, course.over, course.nodes = self.epoch, self.over, self.nodes
        if self.before is not None:
            self.before.describe(course)
        course.note(self.session)

    # What comes.

    def collect(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        if self.before is None or self.before.wants(message, first_byte):
            origin, group = self._origins.of(message), message.group()
            if self.over and (group or origin[0] in self.nodes):
                self._send_on(message, first_byte, origin)
            else:
                self._add(message, first_byte, identifiers, NO_ORIGIN if group else origin)

    def relayed(self, message: Message, origin: Origin, peer: Subscriber) -> None:
        first_byte = PUBLISH_BYTE | message.qos << 1
        if self.over:
            self._send_on(message, first_byte, origin)
        else:
            self._add(message, first_byte, NO_IDENTIFIERS, origin)

    def _send_on(self, message: Message, first_byte: int, origin: Origin) -> None:
        if self.peer is not None and first_byte & QOS_BITS:
            send_on(self.peer, self.session.client_id, self.epoch, message, first_byte, origin)

    def _add(self, message: Message, first_byte: int, identifiers: tuple[int, ...], origin: Origin) -> None:
        if self.done or origin in self._late_origins:
            return  # it goes to the other node too, or has come directly and by where it is sent on
        session, ledger = self.session, self.session.ledger
        before = _taken(session) if ledger is None else ledger.next_seq
        session.wait((message, first_byte, identifiers, 0))
        if before == (_taken(session) if ledger is None else ledger.next_seq):
            return  # it was dropped
        seq = self._next if ledger is None else before
        self._next += 1
        self._late.append(Moved(seq, 0, False, (message, first_byte, identifiers, seq), origin))
        if origin != NO_ORIGIN:
            self._late_origins.add(origin)
        if self.peer is not None:
            self.peer.stir()

    def page(self, fetch: Fetch, rows: list[Row], more: bool) -> bool:
        if fetch is not self._page:
            return True
        self._page = None
        ledger = self.session.ledger
        for rank, state, delivery in rows:
            seq = delivery[3]
            sent = seq in self._sent
            if ledger is not None and (rank, seq) > (ledger.last_rank, ledger.last_seq) and self._doubtful:
                if state != STATE_RELEASED and delivery[1] & QOS_BITS:
                    self._doubtful -= 1
                    sent = True
            self._cursor = rank, seq
            if self._last < seq < self._end:
                self._rows.append(Moved(seq, state, sent, delivery, NO_ORIGIN))
        self._read = not more
        if self._read and self._by_number:
            self._rows = deque(sorted(self._rows, key=_number))
        self._stir()
        return True

    def _stir(self) -> None:
        if self.peer is not None:
            self.peer.stir()

    # What the other node says.

    def has(self, seq: int) -> None:
        """It has stored the rows up to this one."""
        while self._under_way and self._under_way[0] <= seq:
            self._under_way.popleft()
        self._stir()

    def await_flush(self, flush: Flush, unknowing: set[str], claimed: set[str]) -> None:
        """All nodes know where its subscriptions are but those `unknowing`; once this is decided, all is here that there will be,
        but of the late. What `claimed` nodes send to the other node it takes in any case.
        """
        if self._level and self._asked is None:
            self._flush = flush
            self._late_nodes = unknowing
            self._claimed = claimed
            self._ask(flush.pending)

    def finish(self) -> None:
        """The other node has stored all rows."""
        self.done = True
        forget_rows(self.session)
        self._late.clear()
        self._late_origins.clear()
        self.look()

    def cut(self, node: str, epoch: int, direct: bool) -> None:
        before = self.before
        if direct:
            if before is not None:
                before.passes(node, epoch)
        elif before is None or node not in before.nodes or epoch <= before.epoch:
            return
        else:
            before.nodes.discard(node)
        if self.over and self.peer is not None and epoch > self.epoch and node in self.nodes:
            send_cut(self.peer, cut(self.session.client_id, node, epoch))
        if epoch >= self.epoch:
            self.nodes.discard(node)
        self.note()
        self.look()

    def left(self, group: bytes, peer: Subscriber) -> None:
        """What the copy is given for a group goes to the other node: it stays a member for as long as its client does there."""
        if self.over and peer is self.peer:
            leave_group(self._sessions, self.session, group)

    def has_gone(self) -> bool:
        """Whether the other node has all, and nothing more can come that is to be sent on."""
        return self.over and self.done and not self.nodes and (self.before is None or not self.before.sources)

    def look(self) -> None:
        """It ends when there is no more to do."""
        if self.has_gone():
            self.end()

    # Going on.

    def pump(self) -> None:
        """Send what there is, as far as the link takes it."""
        peer = self.peer
        if peer is None or not self._began or self.over or self.stale:
            return
        self._fetch()
        while peer.link is not None and not peer.link.congested and len(self._under_way) < WINDOW:
            rows = self._take_piece()
            if not rows:
                self._finish(peer)
                return
            self._under_way.append(rows[-1][0])
            self._send_stored(peer, (f.ROWS, self.session.client_id, self.epoch, tuple(rows)))
            self._fetch()

    def _finish(self, peer: Peer) -> None:
        if not self._read:
            return
        if not self._level:
            self._level = True
            self._send_stored(peer, (f.LEVEL, self.session.client_id, self.epoch))
        elif self._flushed and peer.outbox.is_sent():  # what was published here comes first, where it crosses by itself
            self.over = True
            self.nodes = self._late_nodes
            if self._flush is not None:
                self.nodes |= self._flush.late
            whole = True
            if self.before is not None:
                self.nodes |= self.before.awaited()  # they may still send where it was before, which sends on to here
                self.nodes -= self.before.nodes & self._claimed  # and that is the other node
                whole = not self.before.sources
            self.note()
            self._send_stored(peer, (f.END, self.session.client_id, self.epoch, tuple(sorted(self.nodes)),
                                     whole and not self.nodes))

    def _take_piece(self) -> list[Wire]:
        rows: list[Wire] = []
        size, now = 0, self.session.circle.turn.now
        while size < PIECE:
            if self._rows and (self._read or not self._by_number):
                row = self._rows.popleft()
            elif self._read and self._place < len(self._late):
                row = self._late[self._place]
                self._place += 1
            else:
                break
            size += row.size() + 100
            rows.append(row.wire(now))
        return rows

    def _fetch(self) -> None:
        ledger = self.session.ledger
        if ledger is None or self._read or self._page is not None or (self._rows and not self._by_number):
            return
        self._page = Fetch(ledger.number, *self._cursor, PAGE, ledger.journal.barrier())
        ledger.ask(self._page)

    # Waiting for the store, and for other nodes.

    def _ask(self, pending: Pending[bool]) -> None:
        if self._asked is not None:
            self._asked.cancel()
        link = Link(self.session.circle.turn)
        link.owner = self
        self._asked = pending
        pending.hold(link, self._decided)
        if pending.is_decided():
            link.turn.proceed(link)

    def proceed(self) -> None:
        """What was waited for is there."""
        asked = self._asked
        if asked is not None and asked.is_decided():
            asked.proceed()

    def flush(self) -> None:
        """There is never anything to send: the link of this is only what waits."""

    def _decided(self, link: Link, decision: bool) -> None:
        self._asked = None
        if self._began:
            self._flushed = True
        self._began = True
        self._stir()

    # Ends.

    def stop(self) -> None:
        if self.session.move is self:
            self.session.move = None
        if self.session.ledger is not None:
            self.session.ledger.asked = None  # or the client would be given from the beginning on what it has
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None

    def take_back(self) -> None:
        """The other node has nothing of it: it is as if nothing had been."""
        session = self.session
        self.stop()
        set_epoch(session, epoch_of(session), HERE if self.before is None else AWAITING)
        keep_absent(self._sessions, session, self.due)
        session.move = self.before
        if self.before is None:
            note_here(session)
        else:
            self.before.note()

    def end(self) -> None:
        """The other node has all: what is here is not needed any more."""
        self.stop()
        end_given(self._sessions, self.session)


def fence(sessions: Sessions, session: Session, origins: Origins, send: Send, send_stored: Send) -> Giving:
    """From now on the session is another node's."""
    giving = Giving(session, sessions, origins, send, send_stored)
    set_epoch(session, epoch_of(session), GIVEN)
    sessions.keep(session, AS_IT_WAS)
    if session.ledger is not None:
        session.ledger.left(giving.due)
        session.ledger.no_will()
    return giving


def _number(row: Moved) -> int:
    return row.seq


def _taken(session: Session) -> int:
    return 0 if session.backlog is None else session.backlog.entered


def _in_memory(session: Session) -> list[Moved]:
    """The rows of a session that no store has; their numbers go with their Packet Identifiers."""
    rows: list[Moved] = []
    last = 0
    for packet_id, held in session.inflight.held.items():
        last += 1 + (packet_id - identifier_of(last + 1)) % MAX_PACKET_ID
        if held is None:
            rows.append(Moved(last, STATE_RELEASED, True, (Message(b"", b""), 0, (), last), NO_ORIGIN))
        else:
            rows.append(Moved(last, 0, True, held, NO_ORIGIN))
    if session.backlog is not None:
        for waiting in session.backlog.queue.waiting():
            last += 1
            rows.append(Moved(last, 0, False, waiting, NO_ORIGIN))
    return rows


