"""Topic Filter -> subscriptions, and Topic Name -> the subscriptions it reaches.

Filters without wildcards are found by one dictionary look-up, the others by a trie. What a Topic Name reaches is remembered
in a bounded cache, so that the hot path is one look-up; a changed exact filter forgets its own topic, a changed wildcard
filter forgets all. The single subscriber of a filter stands in the table by itself: a dictionary each would cost more than
all the rest.
"""
from typing import Final

from emqtwist.core.subscriber import Overlap, Subscriber, Subscription
from emqtwist.core.trie import Trie
from emqtwist.mqtt.topics import is_wildcard

Route = list[Subscription]

RESERVED: Final = (b"$SYS/", b"$share/", b"$queue/")  # clients may not publish there


def is_reserved(topic: bytes) -> bool:
    return topic.startswith(RESERVED)


class Router:
    """Tables of subscriptions; `cache` maps Topic Names that clients may publish to, once checked, to their routes."""

    __slots__ = ("cache", "cache_size", "subscriptions", "_exact", "_wild", "_trie")

    def __init__(self, cache_size: int) -> None:
        self.cache: dict[bytes, Route] = {}
        self.cache_size = cache_size
        self.subscriptions = 0
        self._exact: dict[bytes, Subscription | dict[Subscriber, Subscription]] = {}
        self._wild: dict[bytes, Subscription | dict[Subscriber, Subscription]] = {}
        self._trie = Trie()

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
            route = self._match(topic)
            if not is_reserved(topic):
                if len(self.cache) >= self.cache_size:
                    self.cache.clear()
                self.cache[topic] = route
        return route

    def only(self, topic: bytes) -> Route | None:
        """The route of a topic whose sole subscription has it as its filter; None where it takes more to know.

        It is remembered only while there is room: a million of them would drive each other out, at a higher price than this.
        The topic was checked when it was subscribed to.
        """
        held = self._exact.get(topic)
        if held is None or isinstance(held, dict) or len(self._trie) or topic[:1] == b"$":
            return None
        route = [held]
        if len(self.cache) < self.cache_size:
            self.cache[topic] = route
        return route

    def topics(self) -> int:
        """How many Topic Filters somebody subscribes to."""
        return len(self._exact) + len(self._wild)

    def filters(self) -> list[bytes]:
        """All Topic Filters that somebody subscribes to."""
        return [*self._exact, *self._wild]

    def _match(self, topic: bytes) -> Route:
        found: Route = []
        sources = 0
        held = self._exact.get(topic)  # [MQTT-3.3.2-3]
        if held is not None:
            sources = 1
            self._collect(held, found)
        if self._wild:
            for topic_filter in self._trie.match(topic):
                sources += 1
                self._collect(self._wild[topic_filter], found)  # [MQTT-3.3.2-3]
        return self._merge(found) if sources > 1 else found

    def _collect(self, held: Subscription | dict[Subscriber, Subscription], found: Route) -> None:
        if isinstance(held, dict):
            found.extend(held.values())
        else:
            found.append(held)

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
