"""The messages of one session that wait, under the operator's rules for what may be dropped."""
from collections.abc import Callable

from emqtwist.core import causes
from emqtwist.core.circle import Circle
from emqtwist.core.message import QOS_BITS, Delivery
from emqtwist.core.mqueue import MQueue


class Backlog:
    """An MQueue with its rules; `persistent` sessions never drop what was acknowledged unless the rules say so.

    `qos0` counts the waiting QoS 0 messages: later ones must not overtake them.
    """

    __slots__ = ("client_id", "circle", "queue", "qos0", "_rules")

    def __init__(self, client_id: str, circle: Circle) -> None:
        rules = circle.settings.queue
        self.client_id = client_id
        self.circle = circle
        self.queue = MQueue(rules.kind, rules.priorities, rules.max_length, rules.max_bytes,
                            rules.low_watermark, rules.high_watermark)
        self.qos0 = 0
        self._rules = rules

    def refuses(self, topic: bytes, size: int) -> bool:
        """Whether a message of this size would make a session that promised to keep messages drop one."""
        return self._rules.on_full == "refuse" and self.full(topic, size)

    def full(self, topic: bytes, size: int) -> bool:
        """Whether there is no room for a message of this size, although what has expired goes."""
        if not self.queue.full(topic, size):
            return False
        above = self.queue.above_high
        self._forget(self.queue.drop_expired(self.circle.turn.now), causes.EXPIRED)
        self._note_level(above)
        return self.queue.full(topic, size)

    def put(self, delivery: Delivery, persistent: bool) -> None:
        """Let `delivery` wait, or drop it or older ones as the rules say; every drop is counted."""
        message, queue = delivery[0], self.queue
        above = queue.above_high
        if queue.full(message.topic, message.size):
            self._forget(queue.drop_expired(self.circle.turn.now), causes.EXPIRED)
            if self._keeps_old(persistent) and queue.full(message.topic, message.size):
                self.circle.metrics.drop(causes.QUEUE_FULL)
                return
        self.qos0 += not delivery[1] & QOS_BITS
        self._forget(queue.put(delivery), causes.QUEUE_FULL)
        if queue.full(message.topic, self.circle.settings.max_packet_size):
            self.circle.crowded.add(self.client_id)
        self._note_level(above)

    def take(self) -> Delivery:
        """The next to send."""
        queue = self.queue
        above = queue.above_high
        delivery = queue.take()
        self.qos0 -= not delivery[1] & QOS_BITS
        self._note_level(above)
        return delivery

    def give_away(self, give: Callable[[Delivery], bool]) -> None:
        """Offer each to `give`, in the order of sending; what that takes waits no longer."""
        above = self.queue.above_high
        for delivery in self.queue.take_where(give):
            self.qos0 -= not delivery[1] & QOS_BITS
        self._note_level(above)

    def clear(self) -> int:
        """Drop all; how many there were."""
        above = self.queue.above_high
        dropped = self.queue.clear()
        self.qos0 = 0
        self._note_level(above)
        return len(dropped)

    def _keeps_old(self, persistent: bool) -> bool:
        return self._rules.on_full == "drop_newest" or (persistent and self._rules.on_full == "refuse")

    def _forget(self, dropped: list[Delivery], cause: str) -> None:
        if dropped:
            self.circle.metrics.drop(cause, len(dropped))
            self.qos0 -= len([one for one in dropped if not one[1] & QOS_BITS])

    def _note_level(self, above: bool) -> None:
        """Tell when a watermark was crossed; `above` is how it was before."""
        if self.queue.above_high and not above:
            self.circle.observer.queue_filling(self.client_id, len(self.queue))
        elif above and not self.queue.above_high:
            self.circle.observer.queue_relieved(self.client_id, len(self.queue))
        if not self.queue:
            self.circle.crowded.discard(self.client_id)
