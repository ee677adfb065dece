"""The messages of one session that wait, under the operator's rules for what may be dropped."""
from collections.abc import Callable, Collection

from emqtwist.core import causes
from emqtwist.core.circle import Circle
from emqtwist.core.ledger import Ledger, Row
from emqtwist.core.message import QOS_BITS, Delivery, Message
from emqtwist.core.mqueue import OVERHEAD, MQueue
from emqtwist.core.records import STATE_RELEASED
from emqtwist.core.settings import QueueSettings


class Backlog:
    """An MQueue with its rules; `persistent` sessions never drop what was acknowledged unless the rules say so.

    `qos0` counts the waiting QoS 0 messages: later ones must not overtake them. `entered` counts those that came to wait,
    `dropped` those that the rules or their expiry took out, or kept out. With a `ledger` what waits is stored too, and
    the queue may be longer than its share of memory.
    """

    __slots__ = ("client_id", "circle", "ledger", "queue", "qos0", "entered", "dropped", "_rules")

    def __init__(self, client_id: str, circle: Circle, ledger: Ledger | None = None, rules: QueueSettings | None = None) -> None:
        rules = rules or circle.settings.queue
        self.client_id = client_id
        self.circle = circle
        self.ledger = ledger
        max_bytes = rules.max_bytes if ledger is None else rules.max_stored
        self.queue = MQueue(rules.kind, rules.priorities, rules.max_length, max_bytes, rules.low_watermark, rules.high_watermark)
        self.qos0 = 0
        self.entered = 0
        self.dropped = 0
        self._rules = rules

    def __len__(self) -> int:
        """How many wait, in memory or in the store only."""
        return len(self.queue) + self.queue.stored

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
        size = message.size
        above = queue.above_high
        roomy = queue.is_roomy(size, self.circle.settings.max_packet_size)
        if not roomy and not self._make_room(message, size, persistent):
            return
        self.entered += 1
        if self.ledger is None:
            self.qos0 += not delivery[1] & QOS_BITS
            queue.append(delivery)
        else:
            self._store(self.ledger, delivery, size)
        if not roomy:
            self.note_crowd(message.topic)
        if not roomy or queue.above_high != above:
            self._note_level(above)

    def _make_room(self, message: Message, size: int, persistent: bool) -> bool:
        """Whether there is room, after the rules have dropped what had to go for it."""
        topic, queue = message.topic, self.queue
        if queue.full(topic, size):
            self._forget(queue.drop_expired(self.circle.turn.now), causes.EXPIRED)
            if self._keeps_old(persistent) and queue.full(topic, size):
                self._drop(message, causes.QUEUE_FULL)
                return False
        if not queue.could_fit(topic, size):
            self._drop(message, causes.QUEUE_FULL)
            self.refill()  # what is in memory can be dropped the next time
            return False
        self._forget(queue.make_room(topic, size), causes.QUEUE_FULL)
        return True

    def note_crowd(self, topic: bytes) -> None:
        """Let publishers to `topic` look here before they rely on room."""
        if self.queue.full(topic, self.circle.settings.max_packet_size):
            self.circle.crowded.add(self.client_id)

    def take(self) -> Delivery:
        """The next to send."""
        queue = self.queue
        above = queue.above_high
        delivery = queue.take()
        self.qos0 -= not delivery[1] & QOS_BITS
        self._note_level(above)
        return delivery

    def take_run(self, most: int, in_use: dict[int, Delivery | None]) -> list[Delivery]:
        """The next `most` to send, or less: as `MQueue.take_run`."""
        above = self.queue.above_high
        run = self.queue.take_run(most, in_use)
        self._note_level(above)
        return run

    def give_away(self, give: Callable[[Delivery], bool]) -> None:
        """Offer each to `give`, in the order of sending; what that takes waits no longer.

        What an earlier process sent at QoS 2 is not offered.
        """
        above = self.queue.above_high
        sent: Collection[int] = () if self.ledger is None else self.ledger.begun
        for delivery in self.queue.take_where(lambda each: each[3] not in sent and give(each)):
            self.qos0 -= not delivery[1] & QOS_BITS
            if self.ledger is not None:
                self.ledger.done(delivery[3])
        self._note_level(above)

    def expire(self, message: Message, row: int) -> None:
        """Drop what was taken, as it has expired."""
        self._drop(message, causes.EXPIRED)
        if self.ledger is not None:
            self.ledger.done(row)

    def clear(self) -> int:
        """Drop all; how many there were."""
        above = self.queue.above_high
        dropped = len(self)
        self.queue.clear()
        self.qos0 = 0
        self.nothing_stored()
        self._note_level(above)
        return dropped

    def end(self, cause: str) -> None:
        """Drop all for this cause; those in the store only are counted, and not looked at."""
        above = self.queue.above_high
        for delivery in self.queue.take_where(_any):
            self._drop(delivery[0], cause)
        self.circle.metrics.drop(cause, self.queue.stored)
        self.qos0 = 0
        self.nothing_stored()
        self._note_level(above)

    def holds_qos0(self) -> bool:
        """Whether QoS 0 messages wait, or may do so."""
        return self.qos0 > 0 or self.queue.stored > 0

    # With a store.

    def refill(self) -> None:
        """Ask for what comes next when little of it is in memory."""
        if self.ledger is not None and self.queue.stored and self.queue.bytes <= self._rules.max_memory // 2:
            self.ledger.want(self._rules.max_memory)

    def bring_back(self, rows: list[Row]) -> None:
        """Rows that were in the store only are in memory too, and wait if there is something to send."""
        queue = self.queue
        waiting = [delivery for _, state, delivery in rows if state != STATE_RELEASED]
        size = queue.extend(waiting) + OVERHEAD * (len(rows) - len(waiting))
        queue.stored = max(0, queue.stored - len(rows))
        queue.stored_bytes = max(0, queue.stored_bytes - size) if queue.stored else 0
        queue.mark()
        self.qos0 += len([delivery for delivery in waiting if not delivery[1] & QOS_BITS])

    def nothing_stored(self) -> None:
        """The store has no more rows than there are in memory."""
        self.queue.stored = self.queue.stored_bytes = 0
        self.queue.mark()

    def _store(self, ledger: Ledger, delivery: Delivery, size: int) -> None:
        message, queue = delivery[0], self.queue
        rank = queue.rank(message.topic)
        row = ledger.enter(rank, message, delivery[1], delivery[2])
        if self._has_place(ledger, rank, size):
            ledger.keep(rank, row[3])
            self.qos0 += not delivery[1] & QOS_BITS
            queue.append(row)
        else:
            ledger.leave(row[3])
            queue.stored += 1
            queue.stored_bytes += size + OVERHEAD
            queue.mark()

    def _has_place(self, ledger: Ledger, rank: int, size: int) -> bool:
        """Whether a row goes to memory: not past those in the store only, and within the share; of priorities all do."""
        if self.queue.stored:
            return ledger.is_before_last(rank)
        return self._rules.kind == "priority" or not self.queue or self.queue.bytes + size <= self._rules.max_memory

    def _keeps_old(self, persistent: bool) -> bool:
        return self._rules.on_full == "drop_newest" or (persistent and self._rules.on_full == "refuse")

    def _forget(self, dropped: list[Delivery], cause: str) -> None:
        if dropped:
            for delivery in dropped:
                self._drop(delivery[0], cause)
            if self.ledger is not None:
                for delivery in dropped:
                    self.ledger.done(delivery[3])
            self.qos0 -= len([one for one in dropped if not one[1] & QOS_BITS])

    def _drop(self, message: Message, cause: str) -> None:
        self.dropped += 1
        self.circle.drop(self.client_id, message, cause)

    def _note_level(self, above: bool) -> None:
        """Tell when a watermark was crossed; `above` is how it was before."""
        if self.queue.above_high and not above:
            self.circle.observer.queue_filling(self.client_id, len(self))
        elif above and not self.queue.above_high:
            self.circle.observer.queue_relieved(self.client_id, len(self))
        if not len(self):
            self.circle.crowded.discard(self.client_id)


def _any(delivery: Delivery) -> bool:
    return True
