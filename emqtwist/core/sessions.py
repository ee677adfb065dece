"""All sessions by client identifier: open, resume, leave, expire."""
from emqtwist.core.circle import Circle
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.router import Router
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription


class Sessions:
    """`by_id` maps client identifiers to Sessions; the absent persistent ones have a deadline."""

    __slots__ = ("by_id", "_circle", "_router", "_deadlines")

    def __init__(self, circle: Circle, router: Router) -> None:
        self.by_id: dict[str, Session] = {}
        self._circle = circle
        self._router = router
        self._deadlines: Deadlines[str] = Deadlines()

    def create(self, client_id: str) -> Session:
        """A new Session; there must be none of this identifier."""
        session = self.by_id[client_id] = Session(client_id, self._circle)
        return session

    def resume(self, session: Session) -> None:
        """Its client is back: it does not expire meanwhile."""
        self._deadlines.clear(session.client_id)

    def leave(self, session: Session) -> None:
        """Its client went: it ends now or when its expiry interval has passed [MQTT-3.1.2-23]."""
        session.detach()
        if session.expiry_interval <= 0:
            self.discard(session)
        else:
            self._deadlines.set(session.client_id, self._circle.turn.now + session.expiry_interval)

    def discard(self, session: Session) -> None:
        """End it: its subscriptions and messages are gone."""
        self._deadlines.clear(session.client_id)
        del self.by_id[session.client_id]
        for topic_filter in session.subscriptions:
            self._router.unsubscribe(topic_filter, session)
        session.subscriptions = {}
        session.end()

    def subscribe(self, session: Session, subscription: Subscription) -> bool:
        """Whether the subscription is new to the session [MQTT-3.8.4-3]."""
        topic_filter = subscription.topic_filter
        session.subscriptions[topic_filter] = subscription
        if topic_filter in session.replays:  # what the old one is still owed, the new one gets
            session.replays[topic_filter] = session.replays[topic_filter][0], subscription
        return self._router.subscribe(subscription)

    def unsubscribe(self, session: Session, topic_filter: bytes) -> bool:
        """Whether there was such a subscription."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return False
        session.replays.pop(topic_filter, None)
        return self._router.unsubscribe(topic_filter, session)

    def take_expired(self, now: float) -> list[str]:
        """End the sessions whose time is over; their client identifiers."""
        expired = self._deadlines.take(now)
        for client_id in expired:
            self.discard(self.by_id[client_id])
        return expired
