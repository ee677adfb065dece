"""Where a subscription takes effect: in the router, in a group, in the list of those that exclude others."""
from collections.abc import Callable

from emqtwist.core.circle import Circle
from emqtwist.core.groups import Groups
from emqtwist.core.prefixes import EXCLUSIVE_PREFIX, LOCAL_PREFIX, Prefix, Prefixed
from emqtwist.core.router import Router
from emqtwist.core.subscriber import Overlap, Subscriber, Subscription
from emqtwist.mqtt.errors import QuotaExceeded

Held = dict[bytes, Subscription]  # the subscriptions of one subscriber by name, the Topic Filter with its prefix


class Subscriptions:
    """`owners` maps topics to who has subscribed to them with `$exclusive/`.

    The router has one subscription of a subscriber to a filter: what it holds with `$local/`, with `$exclusive/` and with
    neither is one there. Shared ones are apart.
    """

    __slots__ = ("router", "groups", "owners")

    def __init__(self, circle: Circle, router: Router, token: Callable[[], str]) -> None:
        self.router = router
        self.groups = Groups(circle, router, token)
        self.owners: dict[bytes, Subscriber] = {}

    def check_owner(self, prefix: Prefix, subscriber: Subscriber) -> None:
        """Raise QuotaExceeded if the subscription is exclusive and another has it."""
        if prefix.exclusive and self.owners.get(prefix.topic_filter, subscriber) is not subscriber:
            raise QuotaExceeded("another client has subscribed to this topic exclusively")

    def add(self, subscription: Subscription, held: Held) -> None:
        """`subscription` counts from now on; it is in `held` already."""
        if isinstance(subscription, Prefixed):
            if subscription.prefix.group:
                self.groups.join(subscription)
                return
            if subscription.prefix.exclusive:
                self.owners[subscription.topic_filter] = subscription.subscriber
        self.router.subscribe(_as_one(held, subscription.topic_filter) or subscription)

    def remove(self, subscription: Subscription, held: Held) -> None:
        """It counts no longer; it is not in `held` any more."""
        if isinstance(subscription, Prefixed):
            if subscription.prefix.group:
                self.groups.leave(subscription)
                return
            if subscription.prefix.exclusive:
                del self.owners[subscription.topic_filter]
        left = _as_one(held, subscription.topic_filter)
        if left is None:
            self.router.unsubscribe(subscription.topic_filter, subscription.subscriber)  # [MQTT-3.10.4-2]
        else:
            self.router.subscribe(left)


def _as_one(held: Held, topic_filter: bytes) -> Subscription | None:
    """All that a subscriber holds of one filter, shared ones apart."""
    found = held.get(topic_filter)
    for prefix in (LOCAL_PREFIX, EXCLUSIVE_PREFIX):
        other = held.get(prefix + topic_filter)
        if other is not None:
            found = other if found is None else Overlap(found, other)
    return found
