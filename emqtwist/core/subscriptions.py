"""Where a subscription takes effect: in the router, in a group, in the list of those that exclude others."""
from collections.abc import Callable

from emqtwist.core.circle import Circle
from emqtwist.core.groups import Groups
from emqtwist.core.neighbours import Neighbours
from emqtwist.core.pool import Job, Pool
from emqtwist.core.prefixes import EXCLUSIVE_PREFIX, LOCAL_PREFIX, Prefix, Prefixed
from emqtwist.core.router import Router
from emqtwist.core.subscriber import Overlap, Subscriber, Subscription
from emqtwist.mqtt.errors import MQTTError, QuotaExceeded

Held = dict[bytes, Subscription]  # the subscriptions of one subscriber by name, the Topic Filter with its prefix


class Subscriptions:
    """`owners` maps topics to who has subscribed to them with `$exclusive/`.

    The router has one subscription of a subscriber to a filter: what it holds with `$local/`, with `$exclusive/` and with
    neither is one there. Shared ones are apart. All of it is written by the workers of `pool`, one job at a time for each
    Topic Filter. `cluster` is told what changes, where there are other nodes.
    """

    __slots__ = ("router", "groups", "owners", "pool", "cluster")

    def __init__(self, circle: Circle, router: Router, token: Callable[[], str], pool: Pool) -> None:
        self.router = router
        self.pool = pool
        self.groups = Groups(circle, router, token)
        self.owners: dict[bytes, Subscriber] = {}
        self.cluster: Neighbours | None = None

    def check_owner(self, prefix: Prefix, subscriber: Subscriber) -> None:
        """Raise QuotaExceeded if the subscription is exclusive and another has it."""
        if prefix.exclusive and self.owners.get(prefix.topic_filter, subscriber) is not subscriber:
            raise QuotaExceeded("another client has subscribed to this topic exclusively")

    def enter(self, subscription: Subscription, held: Held) -> "Write":
        """Have it added."""
        write = Write(self, subscription, held, True)
        self.pool.submit(write)
        return write

    def take_out(self, subscription: Subscription, held: Held) -> "Write":
        """Have it removed."""
        write = Write(self, subscription, held, False)
        self.pool.submit(write)
        return write

    def add(self, subscription: Subscription, held: Held) -> None:
        """`subscription` counts from now on; it is in `held` already. QuotaExceeded if another has it exclusively."""
        if isinstance(subscription, Prefixed):
            if subscription.prefix.group:
                self.groups.join(subscription)
                return
            if subscription.prefix.exclusive:
                self.check_owner(subscription.prefix, subscription.subscriber)  # another may have been before it in line
                self.owners[subscription.topic_filter] = subscription.subscriber
        self._write(subscription, _as_one(held, subscription.topic_filter) or subscription)

    def remove(self, subscription: Subscription, held: Held) -> None:
        """It counts no longer, if it did; it is not in `held` any more."""
        if isinstance(subscription, Prefixed):
            if subscription.prefix.group:
                self.groups.leave(subscription)
                return
            if subscription.prefix.exclusive and self.owners.get(subscription.topic_filter) is subscription.subscriber:
                del self.owners[subscription.topic_filter]
        self._write(subscription, _as_one(held, subscription.topic_filter))

    def _write(self, subscription: Subscription, left: Subscription | None) -> None:
        """What a subscriber has of a filter is `left` from now on."""
        topic_filter, subscriber = subscription.topic_filter, subscription.subscriber
        before = None if self.cluster is None else self.router.find(topic_filter, subscriber)
        if left is None:
            self.router.unsubscribe(topic_filter, subscriber)  # [MQTT-3.10.4-2]
        else:
            self.router.subscribe(left)
        if self.cluster is not None:
            self.cluster.changed(topic_filter, before, left)


class Write(Job):
    """One subscription into the tables, or out of them."""

    __slots__ = ("_tables", "_subscription", "_held", "_adds")

    def __init__(self, tables: Subscriptions, subscription: Subscription, held: Held, adds: bool) -> None:
        Job.__init__(self, subscription.topic_filter)
        self._tables = tables
        self._subscription = subscription
        self._held = held
        self._adds = adds

    def run(self) -> None:
        if not self._adds:
            self._tables.remove(self._subscription, self._held)
            return
        try:
            self._tables.add(self._subscription, self._held)
        except MQTTError as error:
            self.error = error


def _as_one(held: Held, topic_filter: bytes) -> Subscription | None:
    """All that a subscriber holds of one filter, shared ones apart."""
    found = held.get(topic_filter)
    for prefix in (LOCAL_PREFIX, EXCLUSIVE_PREFIX):
        other = held.get(prefix + topic_filter)
        if other is not None:
            found = other if found is None else Overlap(found, other)
    return found
