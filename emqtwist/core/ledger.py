"""Ledger: how the queue of one session and the store go together.

Each message for a session that outlives its connection is a row, from the moment it is taken until the client has it. Rows
are numbered; at QoS 1 and 2 the Packet Identifier follows from the number, so it is stored with the row and survives with
it. The first rows are in memory too; behind them, those that find no place there are in the store only, and come back in
pages.
"""
from typing import Final

from emqtwist.core import records as r
from emqtwist.core.inflight import identifier_of
from emqtwist.core.journal import Journal, Rows
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, QOS_2_BITS, QOS_BITS, Delivery, Message
from emqtwist.core.records import Fetch
from emqtwist.core.wills import WillMessage

BEFORE_ALL: Final = -(1 << 31)  # a rank before every other


# A row of a session's queue as it comes from a store: its rank, its state as in `records`, and what is delivered.
Row = tuple[int, int, Delivery]


class Ledger:
    """The rows of session `number`; `front` is the rank of what is sent at once, before all that waits.

    Behind (`last_rank`, `last_seq`) none is in memory while some are in the store only.

    `released` maps Packet Identifiers that wait for PUBCOMP to rows. `doubtful`: so many of the first rows that come from
    the store may have been sent before this process began; `repeated` are those of them that came. `begun` are rows of QoS 2
    that were sent, as far as others have to know. `asked` is the page that somebody waits for. `has_will`: the store has a Will
    of this session.
    """

    __slots__ = ("number", "journal", "rows", "front", "next_seq", "last_rank", "last_seq", "released", "doubtful", "repeated",
                 "begun", "asked", "has_will", "_last_group")

    def __init__(self, number: int, journal: Journal, front: int) -> None:
        self.number = number
        self.journal = journal
        self.rows = Rows(number)
        self.front = front
        self.next_seq = 1
        self.last_rank, self.last_seq = BEFORE_ALL, 0
        self.released: dict[int, int] = {}
        self.doubtful = 0
        self.repeated: set[int] = set()
        self.begun: set[int] = set()
        self.asked: Fetch | None = None
        self.has_will = False
        self._last_group = 0  # that has a row of those in the store only

    def record(self, kind: int) -> None:
        """A record that says no more than which session."""
        self.journal.add((kind, self.number))

    def left(self, due: float) -> None:
        """The client went; the session ends then."""
        self.journal.add((r.LEFT, self.number, self.journal.wall(due)))

    def ended(self) -> None:
        """The session is no more, and its rows are for nobody."""
        self.journal.forget(self.rows)
        self.record(r.ENDED)

    def subscribed(self, name: bytes, options: int, identifiers: tuple[int, ...]) -> None:
        self.journal.add((r.SUBSCRIBED, self.number, name, options, identifiers))

    def will(self, will: WillMessage) -> None:
        """The Will of the connection that begins."""
        self.has_will = True
        self.journal.add((r.WILL, self.number, will.topic, will.payload, will.qos, will.retain, will.properties, will.publisher,
                          will.delay, will.lifetime))

    def will_due(self, due: float) -> None:
        """The connection is lost; its Will is published then."""
        self.journal.add((r.WILL_DUE, self.number, self.journal.wall(due)))

    def no_will(self) -> None:
        """Whatever Will there was, it is published or taken back."""
        if self.has_will:
            self.has_will = False
            self.record(r.WILL_GONE)

    # Rows.

    def enter(self, rank: int, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> Delivery:
        """A new row."""
        seq = self.next_seq
        self.next_seq = seq + 1
        if rank:
            self.rows.ranks[seq] = rank
        delivery = message, first_byte, identifiers, seq
        self.journal.queue(self.rows, delivery)
        return delivery

    def is_before_last(self, rank: int) -> bool:
        """Whether the next row would come before the last one in memory."""
        return rank < self.last_rank

    def keep(self, rank: int, seq: int) -> None:
        """A row is in memory."""
        if (rank, seq) > (self.last_rank, self.last_seq):
            self.last_rank, self.last_seq = rank, seq

    def leave(self, seq: int) -> None:
        """A row just entered is in the store only."""
        if self.rows.ranks:
            self.journal.store_now(self.rows, seq)
            self.rows.ranks.pop(seq, None)
        self._last_group = self.journal.group

    def bring_back(self, rows: list[Row]) -> list[int]:
        """The next rows come from the store. The Packet Identifiers of those that have nothing to send but PUBREL."""
        owed: list[int] = []
        for rank, state, delivery in rows:
            seq = delivery[3]
            if rank:
                self.rows.ranks[seq] = rank
            if state == r.STATE_RELEASED:
                owed.append(identifier_of(seq))
                self.released[owed[-1]] = seq
            elif self.doubtful and delivery[1] & QOS_BITS:
                self.doubtful -= 1
                self.repeated.add(seq)
            if state == r.STATE_SENT:
                self.begun.add(seq)
        if rows:
            self.last_rank, self.last_seq = rows[-1][0], rows[-1][2][3]
        return owed

    def done(self, seq: int) -> None:
        """A row is over: its client has it, or it was dropped."""
        if self.repeated:
            self.repeated.discard(seq)
        if self.begun:
            self.begun.discard(seq)
        self.journal.done(self.rows, seq)

    def done_together(self, seqs: list[int]) -> None:
        """As `done` for each."""
        if self.rows.ranks or self.repeated or self.begun:
            for seq in seqs:
                self.done(seq)
        else:
            self.journal.done_together(self.rows, seqs)

    # Sending.

    def keeps_up(self) -> bool:
        """Whether what need not be kept may be stored too: not while the store has no room or is behind."""
        return not (self.journal.failing or self.journal.crowded())

    def send(self, link: Link, data: bytes) -> None:
        """Send once all that was recorded is committed."""
        number = self.journal.barrier()
        if not number and not link.held:
            link.send(data)
        elif link.hold(number, data):
            self.journal.hold(link, number)

    def begin(self, delivery: Delivery) -> None:
        """A row is sent; at QoS 2 it may expire no more, nor go to another member of its group."""
        message, first_byte, _, seq = delivery
        if first_byte & QOS_BITS == QOS_2_BITS and seq not in self.begun and (message.expires_at != NEVER or message.group()):
            self.begun.add(seq)
            self.journal.mark(r.SENT, self.rows, seq)

    def release(self, packet_id: int, seq: int) -> None:
        """PUBREC came: only the Packet Identifier is still needed."""
        self.released[packet_id] = seq
        self.journal.mark(r.RELEASED, self.rows, seq)

    def complete(self, packet_id: int) -> None:
        """PUBCOMP came."""
        self.done(self.released.pop(packet_id))

    # Pages.

    def want(self, size: int) -> None:
        """Ask for the next rows, some `size` bytes of them, unless a page is under way."""
        if self.asked is None:
            self.ask(Fetch(self.number, self.last_rank, self.last_seq, size, self._last_group))

    def ask(self, fetch: Fetch) -> None:
        """Ask for a page; nobody waits for another one any more."""
        self.asked = fetch
        self.journal.want(fetch)

    def takes(self, fetch: Fetch) -> bool:
        """Whether somebody waits for the page that has come."""
        if fetch is not self.asked:
            return False
        self.asked = None
        return True
