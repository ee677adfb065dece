"""Topic Filter -> subscriptions, and Topic Name -> the subscriptions it reaches.

Filters without wildcards are found by one dictionary look-up, the others by a trie. What a Topic Name reaches is remembered
in a bounded cache, so that the hot path is one look-up; a changed exact filter forgets its own topic, a changed wildcard
filter forgets all. Where there are more topics than the cache holds, a topic that is one subscription's filter is found by
one more look-up, unless a wildcard filter begins as it does. The single subscriber of a filter stands in the table by
itself: a dictionary each would cost more than all the rest.
"""
from typing import Final

from emqtwist.core.subscriber import Overlap, Subscriber, Subscription
from emqtwist.core.trie import Trie
from emqtwist.mqtt.topics import is_wildcard

Route = list[Subscription]

RESERVED: Final = (b"$SYS/", b"$share/", b"$queue/")  # clients may not publish there
DOLLAR: Final = 0x24
NO_FILTERS: Final[list[bytes]] = []
PATIENCE: Final = 4  # see new_route
REMEMBERED: Final = 256  # bytes of the longest Topic Name in the cache: what clients make up may not fill the memory


def is_reserved(topic: bytes) -> bool:
    return topic.startswith(RESERVED)


class Router:
    """Tables of subscriptions; `cache` maps Topic Names that clients may publish to, once checked, to their routes."""

    __slots__ = ("cache", "cache_size", "subscriptions", "_exact", "_wild", "_trie", "_left_out")

    def __init__(self, cache_size: int) -> None:
        self.cache: dict[bytes, Route] = {}
        self.cache_size = cache_size
        self.subscriptions = 0
        self._exact: dict[bytes, Subscription | dict[Subscriber, Subscription]] = {}
        self._wild: dict[bytes, Subscription | dict[Subscriber, Subscription]] = {}
        self._trie = Trie()
        self._left_out = 0  # topics that found the cache full

    def subscribe(self, subscription: Subscription) -> bool:
        """Add or replace; whether it is new to its subscriber."""
        topic_filter = subscription.topic_filter
        wildcard = is_wildcard(topic_filter)
        table = self._wild if wildcard else self._exact
        held = table.get(topic_filter)
        new = True
        if held is None:
            table[topic_filter] = subscription
            if wildcard:
                self._trie.insert(topic_filter)
        elif isinstance(held, dict):
            new = subscription.subscriber not in held
            held[subscription.subscriber] = subscription
        elif held.subscriber is subscription.subscriber:
            new = False
            table[topic_filter] = subscription  # [MQTT-3.8.4-3]
        else:
            table[topic_filter] = {held.subscriber: held, subscription.subscriber: subscription}
        self.subscriptions += new
        self._forget(topic_filter, wildcard)
        return new

    def unsubscribe(self, topic_filter: bytes, subscriber: Subscriber) -> bool:
        """Whether there was such a subscription."""
        wildcard = is_wildcard(topic_filter)
        table = self._wild if wildcard else self._exact
        held = table.get(topic_filter)
        if isinstance(held, dict):
            if held.pop(subscriber, None) is None:
                return False
            if len(held) == 1:
                table[topic_filter] = next(iter(held.values()))
        elif held is None or held.subscriber is not subscriber:
            return False
        else:
            del table[topic_filter]  # [MQTT-3.10.4-2]
            if wildcard:
                self._trie.delete(topic_filter)
        self.subscriptions -= 1
        self._forget(topic_filter, wildcard)
        return True

    def route(self, topic: bytes) -> Route:
        """Whom a valid Topic Name reaches, each subscriber once; remembered unless the topic is reserved."""
        route = self.cache.get(topic)
        if route is None:
            route = self._match(topic) if is_reserved(topic) else self.new_route(topic)
        return route

    def new_route(self, topic: bytes) -> Route:
        """The same for a topic that is neither in the cache nor reserved.

        A full cache stays as it is for `PATIENCE` times as many topics as it holds: where there are too many for it, most of
        them are not worth their place, and who makes up new ones does not drive out those in use.
        """
        route = self._match(topic)
        if len(topic) <= REMEMBERED:
            if len(self.cache) >= self.cache_size:
                self._left_out += 1
                if self._left_out < PATIENCE * self.cache_size:
                    return route
                self._left_out = 0
                self.cache.clear()
            self.cache[topic] = route
        return route

    def only(self, topic: bytes) -> Route | None:
        """The route of a topic whose sole subscription has it as its filter; None where it takes more to know.

        It is remembered only while there is room: a million of them would drive each other out, at a higher price than this.
        The topic was checked when it was subscribed to. What begins with `$` may be reserved.
        """
        held = self._exact.get(topic)
        if held is None or isinstance(held, dict) or topic[0] == DOLLAR or (self._wild and self._trie.leads(topic)):
            return None
        route = [held]
        if len(self.cache) < self.cache_size and len(topic) <= REMEMBERED:
            self.cache[topic] = route
        return route

    def topics(self) -> int:
        """How many Topic Filters somebody subscribes to."""
        return len(self._exact) + len(self._wild)

    def filters(self) -> list[bytes]:
        """All Topic Filters that somebody subscribes to."""
        return [*self._exact, *self._wild]

    def _match(self, topic: bytes) -> Route:
        held = self._exact.get(topic)  # [MQTT-3.3.2-3]
        filters = self._trie.match(topic) if self._wild else NO_FILTERS  # [MQTT-3.3.2-3]
        if held is None and len(filters) == 1:
            return _members(self._wild[filters[0]])
        found = [] if held is None else _members(held)
        if not filters:
            return found
        for topic_filter in filters:
            found += _members(self._wild[topic_filter])
        return self._merge(found)

    def _merge(self, found: Route) -> Route:
        """Overlapping subscriptions of one subscriber become one."""
        merged: dict[Subscriber, Subscription] = {}
        for subscription in found:
            other = merged.get(subscription.subscriber)
            # [MQTT-3.3.4-2] [MQTT-3.3.4-4]
            merged[subscription.subscriber] = subscription if other is None else Overlap(other, subscription)
        return list(merged.values())

    def _forget(self, topic_filter: bytes, wildcard: bool) -> None:
        if wildcard:
            self.cache.clear()
        else:
            self.cache.pop(topic_filter, None)


def _members(held: Subscription | dict[Subscriber, Subscription]) -> Route:
    """The subscriptions to one filter, as a new list."""
    return list(held.values()) if isinstance(held, dict) else [held]
