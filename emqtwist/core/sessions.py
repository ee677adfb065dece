"""All sessions by client identifier: open, resume, leave, expire."""
from typing import Final

from emqtwist.core import records as r
from emqtwist.core.alarm import ERROR
from emqtwist.core.alarms import Alarms
from emqtwist.core.circle import Circle
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.hooks import SESSION_TERMINATED
from emqtwist.core.ledger import Ledger
from emqtwist.core.link import Link
from emqtwist.core.neighbours import Neighbours
from emqtwist.core.owners import Owners
from emqtwist.core.pool import Job, Pools
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscriptions import Subscriptions, Write

AGAIN: Final = 10.0  # seconds until a session that could not be ended is ended again
FRONT: Final = -(1 << 30)  # a rank before every priority


class Sessions:
    """`by_id` maps client identifiers to Sessions, `by_number` those that a store keeps; the absent persistent ones have a
    deadline. `cluster` is told of what comes and goes, where there are other nodes.
    """

    __slots__ = ("by_id", "by_number", "owners", "cluster", "_circle", "_subscriptions", "_pools", "_alarms", "_deadlines",
                 "_stuck")

    def __init__(self, circle: Circle, subscriptions: Subscriptions, pools: Pools, alarms: Alarms) -> None:
        self.by_id: dict[str, Session] = {}
        self.by_number: dict[int, Session] = {}
        self.owners = Owners()
        self.cluster: Neighbours | None = None
        self._circle = circle
        self._subscriptions = subscriptions
        self._pools = pools
        self._alarms = alarms
        self._deadlines: Deadlines[str] = Deadlines()
        self._stuck: set[str] = set()  # could not be ended

    def create(self, client_id: str) -> Session:
        """A new Session; there must be none of this identifier."""
        session = self.by_id[client_id] = Session(client_id, self._circle)  # [MQTT-3.1.3-2]
        return session

    def keep(self, session: Session, version: int) -> None:
        """The store has it from now on, with its expiry interval."""
        journal = self._circle.journal
        if journal is None or (session.ledger is None and session.expiry_interval <= 0):
            return
        if session.ledger is None:
            self.enroll(session, Ledger(journal.session_number(), journal, self._front()))
        ledger = session.ledger
        if ledger is not None:
            journal.add((r.OPENED, ledger.number, session.client_id, session.expiry_interval, version, session.epoch))

    def enroll(self, session: Session, ledger: Ledger) -> None:
        session.ledger = ledger
        self.by_number[ledger.number] = session

    def restore(self, client_id: str, number: int, expiry_interval: float, next_seq: int) -> Session:
        """A session that the store has."""
        session = self.create(client_id)
        session.expiry_interval = expiry_interval
        journal = self._circle.journal
        if journal is not None:
            self.enroll(session, Ledger(number, journal, self._front()))
        if session.ledger is not None:
            session.ledger.next_seq = next_seq
        return session

    def put(self, session: Session, name: bytes, subscription: Subscription) -> None:
        """A subscription that the store has."""
        session.subscriptions[name] = subscription
        self._subscriptions.add(subscription, session.subscriptions)

    def expire_at(self, session: Session, due: float) -> None:
        """It ends then, unless its client comes back."""
        self._deadlines.set(session.client_id, due)

    def hold(self, session: Session) -> float:
        """It does not expire; when it would have."""
        return self._deadlines.clear(session.client_id)

    def _front(self) -> int:
        return FRONT if self._circle.settings.queue.kind == "priority" else 0

    def resume(self, session: Session) -> None:
        """Its client is back: it does not expire meanwhile."""
        self._deadlines.clear(session.client_id)  # [MQTT-4.1.0-1]
        self._subscriptions.groups.arrived(session)

    def leave(self, session: Session) -> None:
        """Its client went: it ends now or when its expiry interval has passed [MQTT-3.1.2-23]."""
        session.detach()
        if session.expiry_interval <= 0:
            if session.subscriptions or not self._end_now(session):
                self.discard(session)  # [MQTT-4.1.0-2]
        else:
            due = self._circle.turn.now + session.expiry_interval
            self.expire_at(session, due)  # [MQTT-4.1.0-2]
            if session.ledger is not None:
                session.ledger.left(due)
            self._subscriptions.groups.departed(session)

    def _end_now(self, session: Session) -> bool:
        """Do what `discard` would, for a session without subscriptions to which nothing is happening; False when it is another.

        Most clients that come and go have no more than that, and for them a job is as much again.
        """
        client_id = session.client_id
        worker = self._pools.sm.worker(client_id)
        if not worker.up or worker.lines or self._pools.server.worker(client_id).lines:
            return False
        if session.move is not None or not self.is_over(session):
            return False
        try:
            self.end(session)
        except Exception as error:
            worker.fail(End(self, session), error)
        return True

    def discard(self, session: Session) -> "End":
        """Have it ended, by the worker of its client: its subscriptions and messages go."""
        self._deadlines.clear(session.client_id)
        end = End(self, session)
        self._pools.sm.submit(end)
        return end

    def is_over(self, session: Session) -> bool:
        """Whether it is to end, and was not resumed since."""
        client_id = session.client_id
        return self.by_id.get(client_id) is session and session.opener is None and client_id not in self._deadlines

    def is_changing(self, session: Session) -> bool:
        """Whether a subscription may come, or come back, by what is under way."""
        return self._pools.server.is_busy(session.client_id)

    def clean_up(self, session: Session) -> "CleanUp":
        """Have its subscriptions removed."""
        job = CleanUp(self._subscriptions, session)
        self._pools.server.submit(job)
        return job

    def end(self, session: Session) -> None:
        """It is no more; its subscriptions are gone already."""
        self._subscriptions.groups.ended(session)
        session.end()
        del self.by_id[session.client_id]
        if self.owners.counts:
            self.owners.disown(session.client_id)
        if session.ledger is not None:
            del self.by_number[session.ledger.number]
            session.ledger.ended()
            session.ledger = None
        if self._stuck and session.client_id in self._stuck:
            self._stuck.discard(session.client_id)
            self._alarms.clear(f"session_not_ended/{session.client_id}")
        if self.cluster is not None:
            self.cluster.session_ended(session)
        if self._circle.hooks.at[SESSION_TERMINATED]:
            self._circle.hooks.run(SESSION_TERMINATED, (session.client_id,))

    def end_later(self, session: Session, error: Exception) -> None:
        """It could not be ended: nobody can resume it, and its end is tried again."""
        client_id = session.client_id
        session.expiry_interval = 0.0
        self.expire_at(session, self._circle.turn.now + AGAIN)
        self._stuck.add(client_id)
        self._alarms.raise_(f"session_not_ended/{client_id}", ERROR, "a session could not be ended",
                            f"the session of {client_id} is over, but ending it failed with {error!r}; it is tried again")

    def subscribe(self, session: Session, subscription: Subscription) -> Write:
        """Enter a subscription; when that is over, `subscribed` or `withdraw` is to be called."""
        session.subscriptions[subscription.name()] = subscription  # [MQTT-3.8.4-3]
        return self._subscriptions.enter(subscription, session.subscriptions)  # in one step [MQTT-3.8.4-4]

    def subscribed(self, session: Session, subscription: Subscription) -> None:
        """It counts."""
        name = subscription.name()
        if name in session.replays:  # what the old one is still owed, the new one gets
            session.replays[name] = session.replays[name][0], subscription
        if session.ledger is not None:
            session.ledger.subscribed(name, subscription.options, subscription.identifiers)

    def withdraw(self, session: Session, subscription: Subscription, before: Subscription | None) -> None:
        """It could not be entered, at least not wholly; `before` is what it would have replaced."""
        name = subscription.name()
        if before is None:
            session.subscriptions.pop(name, None)
            self._subscriptions.take_out(subscription, session.subscriptions)
        else:
            session.subscriptions[name] = before
            self._subscriptions.enter(before, session.subscriptions)

    def unsubscribe(self, session: Session, subscription: Subscription) -> Write:
        """Take a subscription out; when that is over, `unsubscribed` or `retain` is to be called."""
        session.subscriptions.pop(subscription.name(), None)  # [MQTT-3.10.4-1]
        return self._subscriptions.take_out(subscription, session.subscriptions)  # [MQTT-3.10.4-2]

    def unsubscribed(self, session: Session, name: bytes) -> None:
        """It does not count any more."""
        session.replays.pop(name, None)
        if session.ledger is not None:
            session.ledger.journal.add((r.UNSUBSCRIBED, session.ledger.number, name))

    def retain(self, session: Session, subscription: Subscription) -> None:
        """It could not be taken out, at least not wholly: it stays."""
        session.subscriptions[subscription.name()] = subscription
        self._subscriptions.enter(subscription, session.subscriptions)

    def take_expired(self, now: float) -> list[str]:
        """End the sessions whose time is over; their client identifiers."""
        expired = self._deadlines.take(now)
        for client_id in expired:
            self.discard(self.by_id[client_id])  # [MQTT-4.1.0-2]
        return expired


class End(Job):
    """The end of a session, a job of the sm pool. One that fails is told as an alarm, and tried again later."""

    __slots__ = ("_sessions", "_session", "_clean_up")

    def __init__(self, sessions: Sessions, session: Session) -> None:
        Job.__init__(self, session.client_id)
        self._sessions = sessions
        self._session = session
        self._clean_up: CleanUp | None = None

    def run(self) -> None:
        sessions, session = self._sessions, self._session
        if not sessions.is_over(session):
            return  # it has ended, or its client is back
        if session.move is not None:
            session.move.stop()
        if not session.subscriptions and not sessions.is_changing(session):
            sessions.end(session)
            return
        self._clean_up = sessions.clean_up(session)
        if self._clean_up.over:
            self._finish(self._clean_up)
        else:
            self.wait(self._clean_up.when_over(), self._cleaned_up)

    def _cleaned_up(self, link: Link, decision: bool) -> None:
        if self._clean_up is not None:
            self._finish(self._clean_up)

    def _finish(self, clean_up: "CleanUp") -> None:
        self.error = clean_up.error
        if self.error is None:
            self._sessions.end(self._session)
        else:
            self.failed()

    def failed(self) -> None:
        if self.error is not None:
            self._sessions.end_later(self._session, self.error)


class CleanUp(Job):
    """The end of a session's subscriptions, a job of the server pool."""

    __slots__ = ("_subscriptions", "_session", "_left", "_write")

    def __init__(self, subscriptions: Subscriptions, session: Session) -> None:
        super().__init__(session.client_id)
        self._subscriptions = subscriptions
        self._session = session
        self._left: list[Subscription] = []
        self._write: Write | None = None

    def run(self) -> None:
        held, self._session.subscriptions = self._session.subscriptions, {}
        self._left = list(held.values())
        self._left.reverse()
        self._remove()

    def failed(self) -> None:
        """What is not removed stays the session's."""
        for subscription in self._left:
            self._session.subscriptions[subscription.name()] = subscription

    def _remove(self) -> None:
        while self._left and self.error is None:
            write = self._subscriptions.take_out(self._left[-1], self._session.subscriptions)
            if not write.over:
                self._write = write
                self.wait(write.when_over(), self._removed)
                return
            self._note(write)

    def _removed(self, link: Link, decision: bool) -> None:
        if self._write is not None:
            self._note(self._write)
        self._remove()

    def _note(self, write: Write) -> None:
        self.error = write.error
        if self.error is None:
            self._left.pop()
        else:
            self.failed()
