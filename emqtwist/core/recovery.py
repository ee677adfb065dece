"""From what a store has back to sessions, subscriptions, Wills and retained messages; queues follow in pages."""
from emqtwist.core.backlog import Backlog
from emqtwist.core.bans import Ban, Bans
from emqtwist.core.circle import Circle
from emqtwist.core.delayed import Delayed
from emqtwist.core.group import SharedMessage
from emqtwist.core.journal import Journal
from emqtwist.core.ledger import Row
from emqtwist.core.message import NEVER, Message
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.core.prefixes import subscription_to
from emqtwist.core.records import BRIDGE, ENDED, OUTBOX, Fetch, Record, Snapshot
from emqtwist.core.retained import Retained
from emqtwist.core.session import Session
from emqtwist.core.sessions import Sessions
from emqtwist.core.users import User, Users
from emqtwist.core.wills import WillMessage, Wills


def recover(journal: Journal, snapshot: Snapshot, sessions: Sessions, wills: Wills, retained: Retained, bans: Bans,
            users: Users, delayed: Delayed, circle: Circle) -> list[Record]:
    """Fill the tables; the sessions of the store that are no client's, but outboxes for other nodes.

    What fell due meanwhile is left to the next tick; a client that was connected has been lost now.
    """
    journal.begin(snapshot.highest_session, snapshot.highest_message)
    lost: set[int] = set()
    outboxes: list[Record] = []
    for record in snapshot.sessions:
        if record[3] in (OUTBOX, BRIDGE):
            outboxes.append(record)
        else:
            _recover_session(record, journal, sessions, circle, lost)
    for number, name, options, identifiers in snapshot.subscriptions:
        session = sessions.by_number.get(number)
        if session is not None:
            sessions.put(session, name, subscription_to(session, name, options, identifiers))
    for number, packet_id in snapshot.received:
        session = sessions.by_number.get(number)
        if session is not None:
            session.received[packet_id] = None
    for record in snapshot.wills:
        _recover_will(record, journal, sessions, wills, circle)
    for topic, payload, qos, properties, expires_at, publisher, until, _stamp, _node in snapshot.retained:
        message = Message(topic, payload, qos, True, properties, monotonic(expires_at, journal), publisher)
        retained.keep(message, monotonic(until, journal))
    for kind, value, reason, by, at, until in snapshot.bans:
        bans.put(Ban(kind, value, reason, by, monotonic(at, journal), monotonic(until, journal)))
    for name, password_hash, superuser in snapshot.users:
        users.recover(User(name, password_hash, bool(superuser)))
    for number, due, topic, payload, qos, retain, properties, expires_at, publisher in snapshot.delayed:
        message = Message(topic, payload, qos, bool(retain), properties, monotonic(expires_at, journal), publisher)
        delayed.put(number, message, monotonic(due, journal))
    for number in lost:
        session = sessions.by_number[number]
        if session.expiry_interval <= 0:
            sessions.discard(session)
    return outboxes


def give_up(journal: Journal, outboxes: list[Record], version: int) -> None:
    """What waits for other nodes in outboxes of this `version` is for nobody: there are none any more."""
    for record in outboxes:
        if record[3] == version:
            journal.add((ENDED, record[0]))


def bury(journal: Journal, snapshot: Snapshot, now: float) -> None:
    """Nobody else sees to the tombstones of retained messages whose time is over: there is no cluster any more."""
    for topic, _, _, until in snapshot.tombstones:
        if monotonic(until, journal) <= now:
            journal.retain_no_more(topic)


def monotonic(at: float | None, journal: Journal) -> float:
    """A stored time on this process's clock."""
    return NEVER if at is None else at - journal.offset


def _recover_session(record: Record, journal: Journal, sessions: Sessions, circle: Circle, lost: set[int]) -> None:
    number, client_id, expiry_interval, _version, expires_at, queued, queued_bytes, next_seq, epoch, _move = record
    interval = NEVER if expiry_interval is None else float(expiry_interval)
    session = sessions.restore(client_id, number, interval, next_seq)
    session.epoch = epoch
    ledger = session.ledger
    if ledger is None:
        return
    if expires_at is None and interval != NEVER:  # connected when the process ended
        lost.add(number)
        due = circle.turn.now + interval
        ledger.left(due)
    else:
        due = monotonic(expires_at, journal)
    sessions.expire_at(session, due)
    if queued:
        backlog = session.backlog = Backlog(client_id, circle, ledger)
        backlog.queue.stored, backlog.queue.stored_bytes = queued, queued_bytes + queued * OVERHEAD
        backlog.note_crowd(b"")
        ledger.doubtful = circle.settings.max_inflight


def _recover_will(record: Record, journal: Journal, sessions: Sessions, wills: Wills, circle: Circle) -> None:
    number, topic, payload, qos, retain, properties, publisher, delay, lifetime, due = record
    session = sessions.by_number.get(number)
    if session is None or session.ledger is None:
        return
    session.ledger.has_will = True
    will = WillMessage(topic, payload, qos, bool(retain), properties, publisher, delay, NEVER if lifetime is None else lifetime)
    if due is None:  # its connection was lost with the process
        due_here = circle.turn.now + min(delay, session.expiry_interval)
        session.ledger.will_due(due_here)
    else:
        due_here = monotonic(due, journal)
    wills.hold(session.client_id, will, due_here)


def rows_of(records: list[Record], offset: float) -> list[Row]:
    """The rows of a page; those of one message share it."""
    messages: dict[int, Message] = {}
    rows: list[Row] = []
    for record in records:
        rank, seq, state, first_byte, identifiers, topic, payload, qos, retain, properties, expires_at, publisher, number, group \
            = record
        message = messages.get(number)
        if message is None:
            due = NEVER if expires_at is None else expires_at - offset
            message = Message(topic, payload, qos, bool(retain), properties, due, publisher)
            if group:
                message = SharedMessage(message, group)
            messages[number] = message
        rows.append((rank, state, (message, first_byte, identifiers, seq)))
    return rows


def bring_back(session: Session, fetch: Fetch, rows: list[Row], more: bool) -> None:
    """A page of a session's queue has come, for whoever still waits for it; `more`: there are rows behind it."""
    backlog, ledger = session.backlog, session.ledger
    if ledger is None or not ledger.takes(fetch):
        return
    if (session.move is not None and session.move.page(fetch, rows, more)) or backlog is None:
        return
    for packet_id in ledger.bring_back(rows):
        session.inflight.held[packet_id] = None
        session.send_pubrel(packet_id)
    backlog.bring_back(rows)
    if not rows and not more:
        backlog.nothing_stored()
    session.pump()
