"""Topic Filter -> subscriptions, and Topic Name -> the subscriptions it reaches.

Filters without wildcards are found by one dictionary look-up, the others by a trie. What a Topic Name reaches is remembered
in a bounded cache, so that the hot path is one look-up; a changed exact filter forgets its own topic, a changed wildcard
filter forgets all. Where there are more topics than the cache holds, a topic that is somebody's filter is found by one more
look-up, and needs no check; wildcard filters of few shapes by one for each shape (`core/shapes.py`), else by the trie. The single
subscriber of a filter stands in the table by itself: a dictionary each would cost more than all the rest.
"""
from typing import Final

from emqtwist.core.reserved import DELAYED, DOLLAR, is_reserved
from emqtwist.core.shapes import Held, Shapes, matching
from emqtwist.core.subscriber import Overlap, Subscriber, Subscription
from emqtwist.core.trie import Trie
from emqtwist.mqtt.topics import is_wildcard

Route = list[Subscription]

PATIENCE: Final = 4  # see new_route
REMEMBERED: Final = 256  # bytes of the longest Topic Name in the cache: what clients make up may not fill the memory


class Router:
    """Tables of subscriptions; `cache` maps Topic Names that clients may publish to, once checked, to their routes.

    `subscriptions` counts each: those that are one here, and the members of a group. `dollars` is how many Topic Filters begin
    with `$`: no others reach topics that do [MQTT-4.7.2-1].
    """

    __slots__ = ("cache", "cache_size", "subscriptions", "dollars", "_exact", "_wild", "_trie", "_shapes", "_left_out")

    def __init__(self, cache_size: int) -> None:
        self.cache: dict[bytes, Route] = {}
        self.cache_size = cache_size
        self.subscriptions = 0
        self.dollars = 0
        self._exact: dict[bytes, Held] = {}
        self._wild: dict[bytes, Held] = {}
        self._trie = Trie()
        self._shapes = Shapes()
        self._left_out = 0  # topics that found the cache full

    def subscribe(self, subscription: Subscription) -> bool:
        """Add or replace; whether it is new to its subscriber."""
        topic_filter = subscription.topic_filter
        wildcard = is_wildcard(topic_filter)
        table = self._wild if wildcard else self._exact
        held = table.get(topic_filter)
        before: Subscription | None = None
        if held is None:
            table[topic_filter] = subscription
            self.dollars += topic_filter[0] == DOLLAR
            if wildcard:
                self._trie.insert(topic_filter)
                self._shapes.add(topic_filter)
        elif isinstance(held, dict):
            before = held.get(subscription.subscriber)
            held[subscription.subscriber] = subscription
        elif held.subscriber is subscription.subscriber:
            before = held
            table[topic_filter] = subscription  # [MQTT-3.8.4-3]
        else:
            table[topic_filter] = {held.subscriber: held, subscription.subscriber: subscription}
        self.subscriptions += len(subscription.parts()) - (0 if before is None else len(before.parts()))
        self._forget(topic_filter, wildcard)
        return before is None

    def unsubscribe(self, topic_filter: bytes, subscriber: Subscriber) -> bool:
        """Whether there was such a subscription."""
        wildcard = is_wildcard(topic_filter)
        table = self._wild if wildcard else self._exact
        held = table.get(topic_filter)
        if isinstance(held, dict):
            gone = held.pop(subscriber, None)
            if gone is None:
                return False
            if len(held) == 1:
                table[topic_filter] = next(iter(held.values()))
        elif held is None or held.subscriber is not subscriber:
            return False
        else:
            gone = held
            del table[topic_filter]  # [MQTT-3.10.4-2]
            self.dollars -= topic_filter[0] == DOLLAR
            if wildcard:
                self._trie.delete(topic_filter)
                self._shapes.remove(topic_filter)
        self.subscriptions -= len(gone.parts())
        self._forget(topic_filter, wildcard)
        return True

    def route(self, topic: bytes) -> Route:
        """Whom a valid Topic Name reaches, each subscriber once; remembered unless the topic is reserved."""
        route = self.cache.get(topic)
        if route is None:
            route = self._match(self._exact.get(topic), topic) if is_reserved(topic) else self.new_route(topic)
        return route

    def new_route(self, topic: bytes) -> Route:
        """The same for a topic that is neither in the cache nor reserved.

        A full cache stays as it is for `PATIENCE` times as many topics as it holds: where there are too many for it, most of
        them are not worth their place, and who makes up new ones does not drive out those in use.
        """
        route = self._match(self._exact.get(topic), topic)  # [MQTT-3.3.2-3]
        if len(topic) <= REMEMBERED and not topic.startswith(DELAYED):
            if len(self.cache) >= self.cache_size:
                self._left_out += 1
                if self._left_out < PATIENCE * self.cache_size:
                    return route
                self._left_out = 0
                self.cache.clear()
            self.cache[topic] = route
        return route

    def by_name(self, topic: bytes) -> Route | None:
        """The route of a topic that somebody has as a filter, so that it was checked then; None where nobody has.

        It is remembered only while there is room: a million of them would drive each other out, at a higher price than this.
        What begins with `$` may be reserved, and takes the whole way.
        """
        held = self._exact.get(topic)
        if held is None or topic[0] == DOLLAR:
            return None
        if isinstance(held, dict) or (self._wild and self._trie.leads(topic)):
            route = self._match(held, topic)
        else:
            route = [held]
        if len(self.cache) < self.cache_size and len(topic) <= REMEMBERED:
            self.cache[topic] = route
        return route

    def topics(self) -> int:
        """How many Topic Filters somebody subscribes to."""
        return len(self._exact) + len(self._wild)

    def holds(self, topic_filter: bytes) -> bool:
        """Whether somebody subscribes to this Topic Filter."""
        return topic_filter in self._exact or topic_filter in self._wild

    def find(self, topic_filter: bytes, subscriber: Subscriber) -> Subscription | None:
        """What this subscriber has of this Topic Filter."""
        held = (self._wild if is_wildcard(topic_filter) else self._exact).get(topic_filter)
        if isinstance(held, dict):
            return held.get(subscriber)
        return held if held is not None and held.subscriber is subscriber else None

    def holders(self, topic_filter: bytes) -> list[Subscriber]:
        """Who subscribes to this Topic Filter."""
        held = (self._wild if is_wildcard(topic_filter) else self._exact).get(topic_filter)
        if held is None:
            return []
        return list(held) if isinstance(held, dict) else [held.subscriber]

    def filters(self) -> list[bytes]:
        """All Topic Filters that somebody subscribes to."""
        return [*self._exact, *self._wild]

    def _match(self, held: Held | None, topic: bytes) -> Route:
        """Those of the exact filter, and those of all wildcard filters that match."""
        few = self._shapes.few
        if few:
            others = matching(few, topic, self._wild)  # [MQTT-3.3.2-3]
        elif self._wild:
            others = [self._wild[topic_filter] for topic_filter in self._trie.match(topic)]  # [MQTT-3.3.2-3]
        else:
            others = []
        if held is not None:
            others.append(held)
        if len(others) == 1 and not isinstance(others[0], dict):
            return [others[0]]
        found: Route = []
        for other in others:
            found += _members(other)
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


def _members(held: Held) -> Route:
    """The subscriptions to one filter, as a new list."""
    return list(held.values()) if isinstance(held, dict) else [held]
