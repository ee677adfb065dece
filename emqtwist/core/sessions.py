"""All sessions by client identifier: open, resume, leave, expire."""
from typing import Final

from emqtwist.core import records as r
from emqtwist.core.circle import Circle
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.hooks import SESSION_TERMINATED
from emqtwist.core.ledger import Ledger
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscriptions import Subscriptions

FRONT: Final = -(1 << 30)  # a rank before every priority


class Sessions:
    """`by_id` maps client identifiers to Sessions, `by_number` those that a store keeps; the absent persistent ones have a
    deadline.
    """

    __slots__ = ("by_id", "by_number", "_circle", "_subscriptions", "_deadlines")

    def __init__(self, circle: Circle, subscriptions: Subscriptions) -> None:
        self.by_id: dict[str, Session] = {}
        self.by_number: dict[int, Session] = {}
        self._circle = circle
        self._subscriptions = subscriptions
        self._deadlines: Deadlines[str] = Deadlines()

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
            journal.add((r.OPENED, ledger.number, session.client_id, session.expiry_interval, version))

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
            self.discard(session)  # [MQTT-4.1.0-2]
        else:
            due = self._circle.turn.now + session.expiry_interval
            self.expire_at(session, due)  # [MQTT-4.1.0-2]
            if session.ledger is not None:
                session.ledger.left(due)
            self._subscriptions.groups.departed(session)

    def discard(self, session: Session) -> None:
        """End it: its subscriptions and messages are gone."""
        self._deadlines.clear(session.client_id)
        del self.by_id[session.client_id]
        held, session.subscriptions = session.subscriptions, {}
        for subscription in held.values():
            self._subscriptions.remove(subscription, session.subscriptions)
        self._subscriptions.groups.ended(session)
        session.end()
        if session.ledger is not None:
            del self.by_number[session.ledger.number]
            session.ledger.record(r.ENDED)
            session.ledger = None
        self._circle.hooks.run(SESSION_TERMINATED, (session.client_id,))

    def subscribe(self, session: Session, subscription: Subscription) -> bool:
        """Whether the subscription is new to the session [MQTT-3.8.4-3]."""
        name = subscription.name()
        new = name not in session.subscriptions
        session.subscriptions[name] = subscription  # [MQTT-3.8.4-3]
        if name in session.replays:  # what the old one is still owed, the new one gets
            session.replays[name] = session.replays[name][0], subscription
        self._subscriptions.add(subscription, session.subscriptions)  # in one step [MQTT-3.8.4-4]
        if session.ledger is not None:
            session.ledger.subscribed(name, subscription.options, subscription.identifiers)
        return new

    def unsubscribe(self, session: Session, name: bytes) -> bool:
        """Whether there was a subscription of this name, a Topic Filter with its prefix."""
        subscription = session.subscriptions.pop(name, None)  # [MQTT-3.10.4-1]
        if subscription is None:  # [MQTT-3.10.4-1]
            return False
        session.replays.pop(name, None)
        self._subscriptions.remove(subscription, session.subscriptions)  # [MQTT-3.10.4-2]
        if session.ledger is not None:
            session.ledger.journal.add((r.UNSUBSCRIBED, session.ledger.number, name))
        return True

    def take_expired(self, now: float) -> list[str]:
        """End the sessions whose time is over; their client identifiers."""
        expired = self._deadlines.take(now)
        for client_id in expired:
            self.discard(self.by_id[client_id])  # [MQTT-4.1.0-2]
        return expired
