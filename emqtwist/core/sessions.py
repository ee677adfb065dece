"""All sessions by client identifier: open, resume, leave, expire."""
from emqtwist.core.circle import Circle
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscriptions import Subscriptions


class Sessions:
    """`by_id` maps client identifiers to Sessions; the absent persistent ones have a deadline."""

    __slots__ = ("by_id", "_circle", "_subscriptions", "_deadlines")

    def __init__(self, circle: Circle, subscriptions: Subscriptions) -> None:
        self.by_id: dict[str, Session] = {}
        self._circle = circle
        self._subscriptions = subscriptions
        self._deadlines: Deadlines[str] = Deadlines()

    def create(self, client_id: str) -> Session:
        """A new Session; there must be none of this identifier."""
        session = self.by_id[client_id] = Session(client_id, self._circle)  # [MQTT-3.1.3-2]
        return session

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
            self._deadlines.set(session.client_id, self._circle.turn.now + session.expiry_interval)  # [MQTT-4.1.0-2]
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

    def subscribe(self, session: Session, subscription: Subscription) -> bool:
        """Whether the subscription is new to the session [MQTT-3.8.4-3]."""
        name = subscription.name()
        new = name not in session.subscriptions
        session.subscriptions[name] = subscription  # [MQTT-3.8.4-3]
        if name in session.replays:  # what the old one is still owed, the new one gets
            session.replays[name] = session.replays[name][0], subscription
        self._subscriptions.add(subscription, session.subscriptions)
        return new

    def unsubscribe(self, session: Session, name: bytes) -> bool:
        """Whether there was a subscription of this name, a Topic Filter with its prefix."""
        subscription = session.subscriptions.pop(name, None)  # [MQTT-3.10.4-1]
        if subscription is None:
            return False
        session.replays.pop(name, None)
        self._subscriptions.remove(subscription, session.subscriptions)  # [MQTT-3.10.4-2]
        return True

    def take_expired(self, now: float) -> list[str]:
        """End the sessions whose time is over; their client identifiers."""
        expired = self._deadlines.take(now)
        for client_id in expired:
            self.discard(self.by_id[client_id])  # [MQTT-4.1.0-2]
        return expired
