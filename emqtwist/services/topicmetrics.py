"""Topic metrics: what is published, delivered and dropped at the topics that a filter selects.

While there is no filter nothing is looked at, and messages go their short way.
"""
from typing import Final

from emqtwist.core.hooks import DELIVERY_DROPPED, MESSAGE_DELIVERED, MESSAGE_DROPPED, MESSAGE_PUBLISH, Function, Hooks
from emqtwist.core.message import Message
from emqtwist.mqtt.topics import matches

MOST: Final = 100  # filters
MOST_REMEMBERED: Final = 10_000  # topics
LONGEST_REMEMBERED: Final = 256  # bytes
LAST: Final = 1_000_000  # the priority at message.publish: what counts is what others have made of the message
TAG: Final = "topic metrics"


class Counts:
    """Messages and bytes of one filter: published, delivered (to each client once), and dropped."""

    __slots__ = ("received", "received_qos", "received_bytes", "sent", "dropped")

    def __init__(self) -> None:
        self.received = 0
        self.received_qos = [0, 0, 0]
        self.received_bytes = 0
        self.sent = 0
        self.dropped = 0

    def by_name(self) -> dict[str, int]:
        return {
            "messages/received": self.received,
            **{f"messages/qos{qos}/received": count for qos, count in enumerate(self.received_qos)},
            "bytes/received": self.received_bytes, "messages/sent": self.sent, "messages/dropped": self.dropped}


class TopicMetrics:
    """`counts` maps filters to Counts."""

    def __init__(self, hooks: Hooks) -> None:
        self.counts: dict[bytes, Counts] = {}
        self._hooks = hooks
        self._known: dict[bytes, list[Counts]] = {}
        self._functions: list[tuple[str, Function, int]] = [
            (MESSAGE_PUBLISH, self._published, LAST), (MESSAGE_DELIVERED, self._delivered, 0),
            (MESSAGE_DROPPED, self._dropped, 0), (DELIVERY_DROPPED, self._lost, 0)]

    def add(self, topic_filter: bytes) -> bool:
        """Count from now on; whether there is room for another. The filter is valid, and not there yet."""
        if len(self.counts) >= MOST:
            return False
        if not self.counts:
            for name, function, priority in self._functions:
                self._hooks.add(name, function, priority, TAG)
        self.counts[topic_filter] = Counts()
        self._known.clear()
        return True

    def remove(self, topic_filter: bytes) -> bool:
        """Count no more; whether it was there."""
        if self.counts.pop(topic_filter, None) is None:
            return False
        self._known.clear()
        if not self.counts:
            for name, function, _ in self._functions:
                self._hooks.delete(name, function, TAG)
        return True

    def _of(self, message: Message) -> list[Counts]:
        topic = message.topic
        found = self._known.get(topic)
        if found is None:
            found = [counts for topic_filter, counts in self.counts.items() if matches(topic_filter, topic)]
            if len(topic) <= LONGEST_REMEMBERED:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[topic] = found
        return found

    def _published(self, message: Message) -> None:
        for counts in self._of(message):
            counts.received += 1
            counts.received_qos[message.qos] += 1
            counts.received_bytes += len(message.payload)

    def _delivered(self, client_id: str, user_name: str | None, message: Message) -> None:
        for counts in self._of(message):
            counts.sent += 1

    def _dropped(self, message: Message, cause: str) -> None:
        for counts in self._of(message):
            counts.dropped += 1

    def _lost(self, client_id: str, message: Message, cause: str) -> None:
        self._dropped(message, cause)
