"""The messages that a session waits to send.

What waits at one priority stands in one rank, in the order of its arrival; kind `simple` has one rank only. Kind
`priority` also threads the places of each topic into a line, since a topic that is full loses its oldest. What leaves
from the middle, as that or as expired, leaves an empty place, until the head of the rank comes there or half are empty.
"""
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

from emqtwist.core.message import NEVER, QOS_1_BITS, QOS_BITS, Delivery, Message
from emqtwist.mqtt.constants import MAX_PACKET_ID

OVERHEAD: Final = 400  # bytes that a waiting message takes beside its own
GONE: Final = Message(b"", b"")  # stands in an empty place
EMPTY: Final[Delivery] = (GONE, 0, (), 0)


class Place:
    """Where a message waits that takes `size` bytes, or GONE; `after` is the next place of its line."""

    __slots__ = ("delivery", "size", "after")

    def __init__(self, delivery: Delivery, size: int) -> None:
        self.delivery = delivery
        self.size = size
        self.after: Place | None = None


class Line:
    """The `length` messages of a topic from `first` to `last`; the first place is never empty."""

    __slots__ = ("first", "last", "length", "priority")

    def __init__(self, place: Place, priority: int) -> None:
        self.first = self.last = place
        self.length = 0
        self.priority = priority


class Rank:
    """`length` messages of one priority, `size` bytes in all; the first place is never empty."""

    __slots__ = ("places", "length", "size")

    def __init__(self) -> None:
        self.places: deque[Place] = deque()
        self.length = 0
        self.size = 0


class MQueue:
    """First in, first out; of kind `priority`, higher numbers of `priorities` go first, 0 where a topic has none.

    `max_length` bounds the messages, of each topic where the kind is `priority`; `max_bytes` bounds `bytes`, the sum
    of all, with OVERHEAD for each; 0: no bound. `above_high` turns true when more wait than `high_watermark`, and
    false when fewer than `low_watermark`, both fractions of `max_length`. `stored` messages of `stored_bytes` wait behind
    these, in a store: they count too, and are not dropped for others.
    """

    __slots__ = ("max_length", "max_bytes", "bytes", "above_high", "stored", "stored_bytes", "_by_topic", "_priorities", "_low",
                 "_high", "_ranks", "_lines", "_mortal", "_length", "_arrivals")

    def __init__(self, kind: str, priorities: dict[bytes, int], max_length: int, max_bytes: int, low_watermark: float,
                 high_watermark: float) -> None:
        self.max_length = max_length
        self.max_bytes = max_bytes
        self.bytes = 0
        self.above_high = False
        self.stored = self.stored_bytes = 0
        self._by_topic = kind == "priority"
        self._priorities = priorities
        self._low = max(1, int(max_length * low_watermark + 0.5))  # an empty queue is below any mark
        self._high = int(max_length * high_watermark + 0.5)
        self._ranks: dict[int, Rank] = {}
        self._lines: dict[bytes, Line] = {}
        self._mortal: list[tuple[float, int, Place]] = []  # a heap by expiry; stale entries wait to be popped
        self._length = 0
        self._arrivals = 0

    def __len__(self) -> int:
        return self._length

    def full(self, topic: bytes, size: int) -> bool:
        """Whether a message of this topic and `Message.size` would drop another, or itself."""
        if 0 < self.max_bytes < self.bytes + self.stored_bytes + size + OVERHEAD:
            return True
        return 0 < self.max_length <= self._length + self.stored and self._crowded(topic)

    def is_roomy(self, size: int, next_size: int) -> bool:
        """Whether a message and another after it find room, whatever their topics."""
        if self.max_length and self.max_length <= self._length + self.stored + 1:
            return False
        return not self.max_bytes or self.bytes + self.stored_bytes + size + next_size + 2 * OVERHEAD <= self.max_bytes

    def put(self, delivery: Delivery) -> list[Delivery]:
        """Append, and return what was dropped for it, oldest first.

        A topic, or `simple` queue, of `max_length` loses its oldest. For `max_bytes` the oldest of the lowest priority
        goes, but nothing of a higher priority than the new message: it is returned itself when it cannot fit.
        """
        message = delivery[0]
        if not self.could_fit(message.topic, message.size):
            return [delivery]
        dropped = self.make_room(message.topic, message.size)
        self.append(delivery)
        return dropped

    def could_fit(self, topic: bytes, size: int) -> bool:
        """Whether there would be room for a message once all went that may go for it."""
        if 0 < self.max_length <= self.stored:
            return False
        return not self.max_bytes or not self.full(topic, size) or self._fits(topic, size)

    def make_room(self, topic: bytes, size: int) -> list[Delivery]:
        """Drop what has to go for a message that could fit, oldest first."""
        dropped = self._make_room(topic, size) if self.full(topic, size) else []
        self.mark()
        return dropped

    def append(self, delivery: Delivery) -> None:
        """Put `delivery` where it belongs, whether there is room or not."""
        self._append(Place(delivery, delivery[0].size + OVERHEAD))
        self.mark()

    def extend(self, deliveries: list[Delivery]) -> int:
        """Put all of them where they belong, in this order, whether there is room or not; the bytes that they take.

        A watermark that they cross is for `mark` to notice.
        """
        before = self.bytes
        for delivery in deliveries:
            self._append(Place(delivery, delivery[0].size + OVERHEAD))
        return self.bytes - before

    def rank(self, topic: bytes) -> int:
        """Where messages of this topic come in the store: lower ones first."""
        return -self._priority(topic) if self._by_topic else 0

    def peek(self) -> Delivery:
        """What `take` would give; only while something waits."""
        return self._head().delivery

    def take(self) -> Delivery:
        """Remove what is sent next; only while something waits."""
        delivery = self._leave(self._head())
        self.mark()
        return delivery

    def take_run(self, most: int, in_use: dict[int, Delivery | None]) -> list[Delivery]:
        """Remove up to `most` messages that are sent next, as long as nothing is to be asked about them.

        They have QoS 1, no Subscription Identifiers, they never expire, the Packet Identifiers of their rows are not
        `in_use`, and there is less than one round of these between them. Of kind `simple` only.
        """
        run: list[Delivery] = []
        if self._by_topic or not self._length or most <= 0:
            return run
        rank, size = self._ranks[0], 0
        places = rank.places
        round_ends = places[0].delivery[3] + MAX_PACKET_ID
        while places:
            place = places[0]
            delivery = place.delivery
            message, first_byte, identifiers, row = delivery
            if message is not GONE:
                if len(run) >= most or first_byte & QOS_BITS != QOS_1_BITS or identifiers or message.expires_at != NEVER:
                    break
                if row and (row >= round_ends or (row - 1) % MAX_PACKET_ID + 1 in in_use):  # as `identifier_of`
                    break
                run.append(delivery)
                size += place.size
                place.delivery = EMPTY
            places.popleft()
        self._shrink(0, rank, len(run), size)
        self.mark()
        return run

    def drop_expired(self, now: float) -> list[Delivery]:
        """Remove what expired by `now`, in the order of expiry."""
        dropped: list[Delivery] = []
        while self._mortal and self._mortal[0][0] <= now:
            place = heappop(self._mortal)[2]
            if place.delivery[0] is not GONE:
                dropped.append(self._leave(place))
        self.mark()
        return dropped

    def take_where(self, wanted: Callable[[Delivery], bool]) -> list[Delivery]:
        """Remove those for which `wanted` says so; it is asked in the order of sending, and may change the queue."""
        taken: list[Delivery] = []
        for place in self._places():
            if place.delivery[0] is not GONE and wanted(place.delivery) and place.delivery[0] is not GONE:
                taken.append(self._leave(place))
        self.mark()
        return taken

    def waiting(self) -> list[Delivery]:
        """All, in the order of sending."""
        return [place.delivery for place in self._places()]

    def clear(self) -> list[Delivery]:
        """Remove all, in the order of sending."""
        found = self.waiting()
        self._ranks, self._lines, self._mortal = {}, {}, []
        self._length = self.bytes = 0
        self.mark()
        return found

    # Inside.

    def _head(self) -> Place:
        return self._ranks[max(self._ranks) if self._by_topic else 0].places[0]

    def _places(self) -> list[Place]:
        """Where messages wait, in the order of sending."""
        found: list[Place] = []
        for priority in sorted(self._ranks, reverse=True):
            found += [place for place in self._ranks[priority].places if place.delivery[0] is not GONE]
        return found

    def _crowded(self, topic: bytes) -> bool:
        """Whether what counts with `topic` has reached `max_length`."""
        if not self._by_topic:
            return self._length + self.stored >= self.max_length
        line = self._lines.get(topic)
        return line is not None and line.length >= self.max_length

    def _priority(self, topic: bytes) -> int:
        """That of the messages of `topic` that wait already, so that they stay in order, else of the table."""
        line = self._lines.get(topic)
        return line.priority if line is not None else self._priorities.get(topic, 0)

    def _fits(self, topic: bytes, size: int) -> bool:
        """Whether there is room once nothing waits but what has a higher priority."""
        priority = self._priority(topic) if self._by_topic else 0
        above = sum([rank.size for other, rank in self._ranks.items() if other > priority])
        return above + self.stored_bytes + size + OVERHEAD <= self.max_bytes

    def _make_room(self, topic: bytes, size: int) -> list[Delivery]:
        dropped: list[Delivery] = []
        while 0 < self.max_length <= self._length + self.stored and self._crowded(topic):
            dropped.append(self._leave(self._lines[topic].first if self._by_topic else self._head()))
        while 0 < self.max_bytes < self.bytes + self.stored_bytes + size + OVERHEAD:
            dropped.append(self._leave(self._ranks[min(self._ranks)].places[0]))
        return dropped

    def _append(self, place: Place) -> None:
        message, size = place.delivery[0], place.size
        priority = self._line_up(place, message.topic) if self._by_topic else 0
        rank = self._ranks.get(priority)
        if rank is None:
            rank = self._ranks[priority] = Rank()
        rank.places.append(place)
        rank.length += 1
        rank.size += size
        self._length += 1
        self.bytes += size
        if message.expires_at != NEVER:
            self._arrivals += 1
            heappush(self._mortal, (message.expires_at, self._arrivals, place))
            if len(self._mortal) > 2 * self._length + 64:  # stale ones never outgrow the live
                self._mortal = [entry for entry in self._mortal if entry[2].delivery[0] is not GONE]
                heapify(self._mortal)

    def _line_up(self, place: Place, topic: bytes) -> int:
        """Append to the line of `topic`; its priority."""
        line = self._lines.get(topic)
        if line is None:
            line = self._lines[topic] = Line(place, self._priority(topic))
        else:
            line.last.after = place
            line.last = place
        line.length += 1
        return line.priority

    def _leave(self, place: Place) -> Delivery:
        """Empty a place; a line or rank without messages goes."""
        delivery = place.delivery
        place.delivery = EMPTY
        priority = self._leave_line(delivery[0].topic) if self._by_topic else 0
        rank = self._ranks[priority]
        self._shrink(priority, rank, 1, place.size)
        if not rank.length:
            return delivery
        places = rank.places
        while places[0].delivery[0] is GONE:
            places.popleft()
        if len(places) > 2 * rank.length + 64:
            self._close_up(rank)
        return delivery

    def _shrink(self, priority: int, rank: Rank, length: int, size: int) -> None:
        """So many messages, of so many bytes, have left a rank."""
        rank.length -= length
        rank.size -= size
        self._length -= length
        self.bytes -= size
        if not rank.length:
            del self._ranks[priority]

    def _leave_line(self, topic: bytes) -> int:
        line = self._lines[topic]
        line.length -= 1
        if not line.length:
            del self._lines[topic]
        while line.first.delivery[0] is GONE and line.first.after is not None:
            line.first = line.first.after
        return line.priority

    def _close_up(self, rank: Rank) -> None:
        """Remove the empty places of a rank, and from its lines."""
        rank.places = deque([place for place in rank.places if place.delivery[0] is not GONE])
        if self._by_topic:
            for place in rank.places:
                place.after = None
                line = self._lines[place.delivery[0].topic]
                if line.first is not place:
                    line.last.after = place
                line.last = place

    def mark(self) -> None:
        """Notice that a watermark is crossed."""
        length = self._length + self.stored
        if length < self._low:
            self.above_high = False
        elif 0 < self._high < length:
            self.above_high = True
