"""Retained messages: one a topic, found by Topic Filter, replayed a few at a time.

Beside the dictionary, the Topic Names stand in byte order, in blocks. That order is the topic tree without its nodes:
what lies below a level is one stretch of it, and a search leaps over the stretches that cannot match. A replay is no
more than its filter and the Topic Name where it goes on: it costs nothing while it waits, and whatever is stored and
deleted meanwhile, it sees each topic once at most, and each that stays exactly once.
"""
from bisect import bisect_left, bisect_right, insort
from typing import Final

from emqtwist.core.causes import RETAINED_QUOTA, RETAINED_TOO_LARGE, RETAINED_TOO_MANY
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.message import NEVER, Message
from emqtwist.mqtt.topics import is_wildcard

BLOCK: Final = 512  # names in a block at most
STEPS: Final = 4  # topics a replay looks at for each message that it may give


class Topics:
    """Topic Names in byte order, in `blocks`; what a block holds lies from its bound up to the next one."""

    __slots__ = ("blocks", "bounds")

    def __init__(self) -> None:
        self.blocks: list[list[bytes]] = [[]]  # only the first may be empty
        self.bounds = [b""]

    def add(self, topic: bytes) -> None:
        at = bisect_right(self.bounds, topic) - 1
        block = self.blocks[at]
        insort(block, topic)
        if len(block) > BLOCK:
            half = len(block) // 2
            self.blocks.insert(at + 1, block[half:])
            self.bounds.insert(at + 1, block[half])
            del block[half:]

    def remove(self, topic: bytes) -> None:
        at = bisect_right(self.bounds, topic) - 1
        block = self.blocks[at]
        del block[bisect_left(block, topic)]
        if not block and at:
            del self.blocks[at]
            del self.bounds[at]

    def seek(self, topic: bytes, at: int) -> tuple[int, int]:
        """Block and place of the first name that is not before `topic`, from block `at` on; past the last: no name."""
        at = bisect_right(self.bounds, topic, at) - 1
        place = bisect_left(self.blocks[at], topic)
        return (at, place) if place < len(self.blocks[at]) else (at + 1, 0)


class Retained:
    """The retained messages by topic; at most `max_messages`, none with a payload above `max_payload`; 0: no limit.

    `bytes` is the size of all of them. While one client's are bounded, `_counts` is how many each has. While it is `closed` the
    broker stores nothing more here but what other nodes retain, and nobody is given any.
    """

    __slots__ = ("max_messages", "max_payload", "closed", "bytes", "topics", "_max_of_client", "_counts", "_messages",
                 "_deadlines")

    def __init__(self, max_messages: int, max_payload: int) -> None:
        self.max_messages = max_messages
        self.max_payload = max_payload
        self.closed = False
        self.bytes = 0
        self.topics = Topics()
        self._max_of_client = 0
        self._counts: dict[str, int] = {}
        self._messages: dict[bytes, Message] = {}
        self._deadlines: Deadlines[bytes] = Deadlines()

    def bound_clients(self, most: int) -> None:
        """Keep no more than `most` of one client from now on; 0: no limit. What is kept already stays."""
        if most and not self._max_of_client:
            for message in self._messages.values():
                self._count(message, 1)
        elif not most:
            self._counts = {}
        self._max_of_client = most

    def _count(self, message: Message, change: int) -> None:
        count = self._counts.get(message.publisher, 0) + change
        if count:
            self._counts[message.publisher] = count
        else:
            self._counts.pop(message.publisher, None)

    def __len__(self) -> int:
        return len(self._messages)

    def refusal(self, message: Message) -> str:
        """Why `message` would not be kept; empty if it would."""
        if 0 < self.max_payload < len(message.payload):
            return RETAINED_TOO_LARGE
        if 0 < self.max_messages <= len(self._messages) and message.payload and message.topic not in self._messages:
            return RETAINED_TOO_MANY
        if self._max_of_client and message.publisher and message.payload and self._is_over(message):
            return RETAINED_QUOTA
        return ""

    def _is_over(self, message: Message) -> bool:
        held = self._messages.get(message.topic)
        own = held is not None and held.publisher == message.publisher
        return not own and self._counts.get(message.publisher, 0) >= self._max_of_client

    def store(self, message: Message, until: float = NEVER) -> str:
        """Keep `message`, or forget that of its topic if it has no payload; empty, or the cause of a refusal.

        It is deleted when it expires, or at `until` (monotonic seconds) if that is earlier.
        """
        if not message.payload:  # [MQTT-3.3.1-7]
            self.delete(message.topic)  # [MQTT-3.3.1-6]
            return ""
        refusal = self.refusal(message)
        if not refusal:
            self.keep(message, until)
        return refusal

    def keep(self, message: Message, until: float) -> None:
        """`store` for what was taken before, whatever the limits are now."""
        held = self._messages.get(message.topic)
        if held is not None:
            message.topic = held.topic  # the name in memory once
            self._leave(held)
        else:
            self.topics.add(message.topic)
        self._messages[message.topic] = message  # [MQTT-3.3.1-5]
        self.bytes += message.size
        if self._max_of_client:
            self._count(message, 1)
        due = min(message.expires_at, until)
        if due != NEVER:
            self._deadlines.set(message.topic, due)

    def _leave(self, held: Message) -> None:
        """It is not kept any more, or another in its place."""
        self.bytes -= held.size
        self._deadlines.clear(held.topic)
        if self._max_of_client:
            self._count(held, -1)

    def get(self, topic: bytes) -> Message | None:
        return self._messages.get(topic)

    def due(self, topic: bytes) -> float:
        """When the message of `topic` is deleted, unless it is replaced."""
        due = self._deadlines.due(topic)
        return NEVER if due is None else due

    def after(self, topic: bytes) -> bytes | None:
        """The first topic behind `topic` in byte order that has a message; None when there is none."""
        at, place = self.topics.seek(topic + b"\0", 0)  # no Topic Name is between the two
        return self.topics.blocks[at][place] if at < len(self.topics.blocks) else None

    def delete(self, topic: bytes) -> bool:
        """Whether there was a message."""
        held = self._messages.pop(topic, None)
        if held is None:
            return False
        self._leave(held)
        self.topics.remove(topic)
        return True

    def take_expired(self, now: float) -> list[bytes]:
        """Delete what expired by `now`; the topics."""
        expired = self._deadlines.take(now)
        for topic in expired:
            self.delete(topic)
        return expired

    def replay(self, topic_filter: bytes) -> "Replay":
        """The messages that a valid Topic Filter matches, to be taken a few at a time."""
        return Replay(self, topic_filter)


class Replay:
    """Retained messages still to be given for one Topic Filter; `done` when there are no more."""

    __slots__ = ("done", "_retained", "_filter", "_levels", "_shielded", "_next")

    def __init__(self, retained: Retained, topic_filter: bytes) -> None:
        self.done = False
        self._retained = retained
        self._filter = topic_filter
        self._levels = topic_filter.split(b"/") if is_wildcard(topic_filter) else []
        self._shielded = topic_filter[:1] in (b"+", b"#")
        self._next = b""  # names before this one are dealt with

    def take(self, limit: int, now: float) -> list[Message]:
        """Up to `limit` messages that have not expired; fewer, even none, while many other topics lie between them."""
        found: list[Message] = []
        if not self._levels:
            self.done = True
            self._give(self._filter, now, found)
            return found
        topics = self._retained.topics
        at, place = topics.seek(self._next, 0)
        for _ in range(limit * STEPS):
            name = topics.blocks[at][place] if at < len(topics.blocks) else b""
            target = self._leap(name) if name else None
            if target is None:
                self.done = True
                break
            if target != name:
                self._next = target
                at, place = topics.seek(target, at)
                continue
            self._next = name + b"\0"  # what comes next in byte order
            self._give(name, now, found)
            if len(found) == limit:
                break
            place += 1
            if place == len(topics.blocks[at]):
                at, place = at + 1, 0
        return found

    def _give(self, name: bytes, now: float, found: list[Message]) -> None:
        message = self._retained.get(name)
        if message is not None and message.expires_at > now:  # [MQTT-3.3.2-5]
            found.append(message)

    def _leap(self, name: bytes) -> bytes | None:
        """The least name from `name` on that may match: `name` itself if it does, None if there is none."""
        if self._shielded and name[:1] == b"$":
            return b"%"  # [MQTT-4.7.2-1]
        words = name.split(b"/")
        start = 0  # of the level looked at
        turn = -1  # end of the last level that a '+' took
        for depth, level in enumerate(self._levels):
            if level == b"#":
                return name
            if depth == len(words):
                return name + b"\0"
            if level == b"+":
                turn = start + len(words[depth])
            elif level != words[depth]:
                return _ahead(name, name[:start] + level, turn)
            start += len(words[depth]) + 1
        return name if len(words) == len(self._levels) else name[:start - 1] + b"0"  # '0' follows '/': past all below


def _ahead(name: bytes, wanted: bytes, turn: int) -> bytes | None:
    """Where to go on from `name`, which parts from `wanted` in its last level; `turn` as in `_leap`."""
    if wanted > name:
        return wanted
    if wanted + b"/" > name:
        return wanted + b"/"  # `a-` lies between `a` and `a/`
    return name[:turn] + b"0" if turn >= 0 else None
