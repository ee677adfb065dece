"""The messages that a session waits to send.

Each waits in a line: one for all (`simple`), or one a topic (`priority`). The lines of one priority share a rank, where
all stand in the order of their arrival. What leaves from the middle, because its line was full or it expired, leaves an
empty place behind, until the head of the rank reaches it or half of the rank is such.
"""
from collections import deque
from heapq import heapify, heappop, heappush
from typing import Final

from emqtwist.core.message import NEVER, Delivery, Message

OVERHEAD: Final = 400  # bytes that a waiting message takes beside its own
GONE: Final[Delivery] = (Message(b"", b""), 0, ())  # stands in an empty place


class Place:
    """Where a message waits; `after` is the next place of its line."""

    __slots__ = ("delivery", "after")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.after: Place | None = None


class Line:
    """`length` messages from `first` to `last`; the first place is never empty."""

    __slots__ = ("priority", "first", "last", "length")

    def __init__(self, priority: int, place: Place) -> None:
        self.priority = priority
        self.first = self.last = place
        self.length = 0


class Rank:
    """What waits at one priority: `length` messages of `size` bytes in `places`, of which the first is never empty."""

    __slots__ = ("places", "length", "size")

    def __init__(self) -> None:
        self.places: deque[Place] = deque()
        self.length = 0
        self.size = 0


class MQueue:
    """First in, first out; of kind `priority`, higher numbers of `priorities` go first, 0 where a topic has none.

    `max_length` bounds the messages, of each topic where the kind is `priority`; `max_bytes` bounds `bytes`, the sum
    of all, with OVERHEAD for each; 0: no bound. `above_high` turns true when more wait than `high_watermark`, and
    false when fewer than `low_watermark`, both fractions of `max_length`.
    """

    __slots__ = ("max_length", "max_bytes", "bytes", "above_high", "_by_topic", "_priorities", "_low", "_high",
                 "_lines", "_ranks", "_mortal", "_length", "_arrivals")

    def __init__(self, kind: str, priorities: dict[bytes, int], max_length: int, max_bytes: int, low_watermark: float,
                 high_watermark: float) -> None:
        self.max_length = max_length
        self.max_bytes = max_bytes
        self.bytes = 0
        self.above_high = False
        self._by_topic = kind == "priority"
        self._priorities = priorities
        self._low = max(1, int(max_length * low_watermark + 0.5))  # an empty queue is below any mark
        self._high = int(max_length * high_watermark + 0.5)
        self._lines: dict[bytes, Line] = {}
        self._ranks: dict[int, Rank] = {}
        self._mortal: list[tuple[float, int, Place]] = []  # a heap by expiry; stale entries wait to be popped
        self._length = 0
        self._arrivals = 0

    def __len__(self) -> int:
        return self._length

    def full(self, topic: bytes, size: int) -> bool:
        """Whether a message of this topic and `Message.size` would drop another, or itself."""
        if 0 < self.max_bytes < self.bytes + size + OVERHEAD:
            return True
        line = self._lines.get(topic if self._by_topic else b"")
        return line is not None and 0 < self.max_length <= line.length

    def put(self, delivery: Delivery) -> list[Delivery]:
        """Append, and return what was dropped for it, oldest first.

        A line of `max_length` loses its oldest. For `max_bytes` the oldest of the lowest priority goes, but nothing of
        a higher priority than the new message: it is returned itself when it cannot fit.
        """
        message = delivery[0]
        key = message.topic if self._by_topic else b""
        priority = self._priorities.get(key, 0) if self._by_topic else 0
        dropped: list[Delivery] = []
        if self.full(message.topic, message.size):
            if not self._fits(priority, message.size + OVERHEAD):
                return [delivery]
            dropped = self._make_room(key, message.size + OVERHEAD)
        self._append(delivery, key, priority)
        self._mark()
        return dropped

    def peek(self) -> Delivery:
        """What `take` would give; only while something waits."""
        return self._ranks[max(self._ranks)].places[0].delivery

    def take(self) -> Delivery:
        """Remove what is sent next; only while something waits."""
        delivery = self._leave(self._ranks[max(self._ranks)].places[0])
        self._mark()
        return delivery

    def drop_expired(self, now: float) -> list[Delivery]:
        """Remove what expired by `now`, in the order of expiry."""
        dropped: list[Delivery] = []
        while self._mortal and self._mortal[0][0] <= now:
            place = heappop(self._mortal)[2]
            if place.delivery is not GONE:
                dropped.append(self._leave(place))
        self._mark()
        return dropped

    def waiting(self) -> list[Delivery]:
        """All, in the order of sending."""
        found: list[Delivery] = []
        for priority in sorted(self._ranks, reverse=True):
            found += [place.delivery for place in self._ranks[priority].places if place.delivery is not GONE]
        return found

    def clear(self) -> list[Delivery]:
        """Remove all, in the order of sending."""
        found = self.waiting()
        self._lines, self._ranks, self._mortal = {}, {}, []
        self._length = self.bytes = 0
        self._mark()
        return found

    def _fits(self, priority: int, size: int) -> bool:
        """Whether `size` bytes find room once nothing waits but what has a higher priority."""
        above = [rank.size for other, rank in self._ranks.items() if other > priority]
        return not self.max_bytes or sum(above) + size <= self.max_bytes

    def _make_room(self, key: bytes, size: int) -> list[Delivery]:
        dropped: list[Delivery] = []
        line = self._lines.get(key)
        while line is not None and 0 < self.max_length <= line.length:
            dropped.append(self._leave(line.first))
        while 0 < self.max_bytes < self.bytes + size:
            dropped.append(self._leave(self._ranks[min(self._ranks)].places[0]))
        return dropped

    def _append(self, delivery: Delivery, key: bytes, priority: int) -> None:
        message = delivery[0]
        place = Place(delivery)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(priority, place)
        else:
            line.last.after = place
            line.last = place
        line.length += 1
        rank = self._ranks.get(line.priority)
        if rank is None:
            rank = self._ranks[line.priority] = Rank()
        rank.places.append(place)
        rank.length += 1
        size = message.size + OVERHEAD
        rank.size += size
        self.bytes += size
        self._length += 1
        if message.expires_at != NEVER:
            self._arrivals += 1
            heappush(self._mortal, (message.expires_at, self._arrivals, place))
            if len(self._mortal) > 2 * self._length + 64:
                self._mortal = [entry for entry in self._mortal if entry[2].delivery is not GONE]
                heapify(self._mortal)

    def _leave(self, place: Place) -> Delivery:
        """Empty a place; lines and ranks without messages go."""
        delivery = place.delivery
        place.delivery = GONE
        message = delivery[0]
        key = message.topic if self._by_topic else b""
        line = self._lines[key]
        line.length -= 1
        if not line.length:
            del self._lines[key]
        while line.first.delivery is GONE and line.first.after is not None:
            line.first = line.first.after
        rank = self._ranks[line.priority]
        rank.length -= 1
        size = message.size + OVERHEAD
        rank.size -= size
        self.bytes -= size
        self._length -= 1
        if not rank.length:
            del self._ranks[line.priority]
        else:
            while rank.places[0].delivery is GONE:
                rank.places.popleft()
        return delivery

    def _mark(self) -> None:
        if self._length < self._low:
            self.above_high = False
        elif self._high and self._length > self._high:
            self.above_high = True
