"""Where the rows of a session that comes from another node go: at the end, if they were not sent to the client yet.

What is in flight keeps its number, by which its Packet Identifier follows. So does the rest, unless something that came for the
session in another way has that number already.
"""
from emqtwist.core.backlog import Backlog
from emqtwist.core.cluster.moved import Moved
from emqtwist.core.inflight import identifier_of
from emqtwist.core.ledger import Ledger
from emqtwist.core.message import QOS_BITS
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.core.records import RELEASED, SENT, STATE_RELEASED, STATE_SENT
from emqtwist.core.session import Session


def place(session: Session, row: Moved) -> None:
    """Put a row where it belongs."""
    ledger = session.ledger
    if session.backlog is None:
        session.backlog = Backlog(session.client_id, session.circle, ledger)
    if ledger is None:
        _place_in_memory(session, session.backlog, row)
    else:
        _place_in_store(session, session.backlog, ledger, row)


def _place_in_memory(session: Session, backlog: Backlog, row: Moved) -> None:
    message, first_byte, identifiers, _ = row.delivery
    inflight, packet_id = session.inflight, identifier_of(row.seq)
    if row.state == STATE_RELEASED:
        inflight.held[packet_id] = None
        session.send_pubrel(packet_id)
    elif row.sent and first_byte & QOS_BITS:
        inflight.held[packet_id] = message, first_byte, identifiers, 0
        inflight.resend = {packet_id: None, **inflight.resend}  # the next one is the last of these
    else:
        backlog.qos0 += not first_byte & QOS_BITS
        backlog.queue.append((message, first_byte, identifiers, 0))


def _place_in_store(session: Session, backlog: Backlog, ledger: Ledger, row: Moved) -> None:
    message, first_byte, identifiers, _ = row.delivery
    released = row.state == STATE_RELEASED
    queue = backlog.queue
    rank = ledger.front if row.sent else queue.rank(message.topic)
    ledger.next_seq = max(ledger.next_seq, row.seq)
    delivery = ledger.enter(rank, message, first_byte, identifiers)
    seq = delivery[3]
    if row.state == STATE_SENT:
        ledger.journal.mark(SENT, ledger.rows, seq)
    elif released:
        ledger.journal.mark(RELEASED, ledger.rows, seq)
    if (rank, seq) > (ledger.last_rank, ledger.last_seq):
        ledger.doubtful += row.sent and not released and first_byte & QOS_BITS != 0
        ledger.leave(seq)
        queue.stored += 1
        queue.stored_bytes += message.size + OVERHEAD
        queue.mark()
        return
    if released:
        ledger.released[identifier_of(seq)] = seq
        session.inflight.held[identifier_of(seq)] = None
        session.send_pubrel(identifier_of(seq))
        return
    if row.state == STATE_SENT:
        ledger.begun.add(seq)
    if row.sent and first_byte & QOS_BITS:
        ledger.repeated.add(seq)
    backlog.qos0 += not first_byte & QOS_BITS
    queue.append(delivery)
