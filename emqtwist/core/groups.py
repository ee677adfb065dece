"""All groups of shared subscriptions, and what becomes of a message whose receiver is lost."""
from collections.abc import Callable
from zlib import crc32

from emqtwist.core.circle import Circle
from emqtwist.core.group import ANY_QOS, Group, SharedMessage
from emqtwist.core.message import NO_IDENTIFIERS, PUBLISH_BYTE, QOS_1_BITS, QOS_BITS, Delivery
from emqtwist.core.prefixes import Prefix, Prefixed
from emqtwist.core.router import Router
from emqtwist.core.session import Session
from emqtwist.core.strategies import Dice
from emqtwist.core.subscriber import Subscriber


class Groups:
    """`by_name` maps Topic Filters with their prefix to Groups, each of which is in the router once.

    `_joined` maps each subscriber that ever joined one to those it is in. A message stays with the member that it was
    given to until that one acknowledges it, until its connection is lost while another member is here, or until its
    session ends. At QoS 2 what was sent is never given to another. `maker` makes those that may have members elsewhere.
    """

    __slots__ = ("by_name", "maker", "_circle", "_router", "_token", "_dice", "_joined")

    def __init__(self, circle: Circle, router: Router, token: Callable[[], str]) -> None:
        self.by_name: dict[bytes, Group] = {}
        self.maker: Maker | None = None
        self._circle = circle
        self._router = router
        self._token = token
        self._dice: Dice | None = None
        self._joined: dict[Subscriber, dict[bytes, Group]] = {}

    def join(self, subscription: Prefixed) -> None:
        """A member more, or other options of one; the first makes the group."""
        prefix, subscriber = subscription.prefix, subscription.subscriber
        group = self.open(prefix)
        group.join(subscription)
        joined = self._joined.setdefault(subscriber, {})
        self._router.subscriptions += prefix.name not in joined
        joined[prefix.name] = group

    def leave(self, subscription: Prefixed) -> None:
        """A member less; the last takes the group with it. What the member was given stays with it [MQTT-3.10.4-3]."""
        prefix, subscriber = subscription.prefix, subscription.subscriber
        group = self._joined.get(subscriber, {}).pop(prefix.name, None)
        if group is not None:
            self._router.subscriptions -= 1
            if group.leave(subscriber):
                self.close(group, prefix)

    def open(self, prefix: Prefix) -> Group:
        """The group of this name; it is made when there is none."""
        group = self.by_name.get(prefix.name)
        if group is None:
            group = self._group(prefix)
            self._router.subscribe(Prefixed(group, prefix, ANY_QOS, NO_IDENTIFIERS))
            self._router.subscriptions -= 1  # its members count
            self.by_name[prefix.name] = group  # only now: one that is in no route would get nothing
        return group

    def close(self, group: Group, prefix: Prefix) -> None:
        """It is empty."""
        del self.by_name[prefix.name]
        self._router.unsubscribe(prefix.topic_filter, group)
        self._router.subscriptions += 1

    def arrived(self, session: Session) -> None:
        """Its client is back."""
        for group in self._joined.get(session, {}).values():
            group.arrived(session)

    def departed(self, session: Session) -> None:
        """Its client is away: members who are here get what it had not acknowledged or not been sent."""
        joined = self._joined.get(session)
        if joined is not None:
            for group in joined.values():
                group.departed(session)
            self._give_away(session, self._to_one_here)

    def ended(self, session: Session) -> None:
        """It has left its groups, and is no more: any other member gets its messages."""
        if self._joined.pop(session, None) is not None:
            self._give_away(session, self._to_anyone)

    def hand_on(self, session: Session, delivery: Delivery) -> bool:
        """Give what it may not have any more to a group that it has left for that; whether another member gets it."""
        return delivery[0].group() not in self._joined.get(session, {}) and self._to_anyone(delivery)

    def forget(self, subscriber: Subscriber) -> None:
        """It has left its groups, and had no messages."""
        self._joined.pop(subscriber, None)

    def _group(self, prefix: Prefix) -> Group:
        if self._dice is None:
            self._dice = Dice(crc32(self._token().encode()))
        if self.maker is None or prefix.local:
            return Group(prefix.name, self._circle, self._dice)
        return self.maker.make(prefix, self._circle, self._dice)

    def _give_away(self, session: Session, give: Callable[[Delivery], bool]) -> None:
        for packet_id, delivery in list(session.inflight.held.items()):  # but QoS 2
            if delivery is not None and delivery[1] & QOS_BITS == QOS_1_BITS and give(delivery):  # [MQTT-4.8.2-4] [MQTT-4.8.2-5]
                session.forget(packet_id)
        if session.backlog is not None:
            session.backlog.give_away(give)

    def _to_one_here(self, delivery: Delivery) -> bool:
        """Give it to a member who is here; whether there is one with room for it."""
        message = delivery[0]
        if isinstance(message, SharedMessage):
            group = self.by_name.get(message.group())
            return group is not None and bool(group.here.order) and self.pass_on(group, message)
        return False

    def _to_anyone(self, delivery: Delivery) -> bool:
        message = delivery[0]
        if isinstance(message, SharedMessage):
            group = self.by_name.get(message.group())
            return group is not None and self.pass_on(group, message)
        return False

    def pass_on(self, group: Group, message: SharedMessage) -> bool:
        """Give what a member may not have any more to another; whether there is one with room for it."""
        if message.expires_at <= self._circle.turn.now or not group.takes(message):  # [MQTT-3.3.2-5]
            return False
        group.deliver(message, PUBLISH_BYTE, NO_IDENTIFIERS)
        return True


class Maker:
    """Makes groups that may have members on other nodes."""

    def make(self, prefix: Prefix, circle: Circle, dice: Dice) -> Group:
        raise NotImplementedError
