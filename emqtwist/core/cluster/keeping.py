"""What a store is told of sessions that come and go between nodes."""
from typing import Final

from emqtwist.core.session import Session
from emqtwist.core.sessions import Sessions

AS_IT_WAS: Final = 4  # a protocol level, which nobody looks at


def end_given(sessions: Sessions, session: Session) -> None:
    """End what another node has; nobody else is to get its messages."""
    forget_rows(session)
    clean_up = sessions.clean_up(session)
    if clean_up.over and clean_up.error is None:
        sessions.end(session)  # at once: the worker of its client may wait for that
    else:
        sessions.discard(session)


def forget_rows(session: Session) -> None:
    """What is left in the store goes with the session."""
    session.inflight.held.clear()
    if session.backlog is not None:
        session.backlog.queue.clear()
        session.backlog.qos0 = 0
        session.backlog.nothing_stored()


def leave_group(sessions: Sessions, session: Session, group: bytes) -> None:
    """Have a session be no member of a group, if it is."""
    subscription = session.subscriptions.get(group)
    if subscription is not None:
        sessions.unsubscribe(session, subscription)
        sessions.unsubscribed(session, group)


def keep_absent(sessions: Sessions, session: Session, due: float) -> None:
    """Have stored what is said of a session whose client is away; it expires then."""
    sessions.keep(session, AS_IT_WAS)
    sessions.expire_at(session, due)
    if session.ledger is not None:
        session.ledger.left(due)


def keep_now(sessions: Sessions, session: Session) -> None:
    """Have stored what is said of a session, whether its client is there or not."""
    if session.opener is None:
        keep_absent(sessions, session, sessions.hold(session))
    else:
        sessions.keep(session, AS_IT_WAS)
