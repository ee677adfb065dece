"""Messages for later: what is published to `$delayed/{seconds}/{topic}` waits so long, and is published to the topic then.

Whoever is asked about such a PUBLISH is asked for the topic. What was taken stays, and is published when it is due, whether
more is taken or not: it was acknowledged.
"""
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from emqtwist.core import causes
from emqtwist.core import records as r
from emqtwist.core.circle import Circle
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.message import Message
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.core.reserved import DELAYED
from emqtwist.mqtt.errors import QuotaExceeded, TopicNameInvalid
from emqtwist.mqtt.topics import check_topic_name

LONGEST: Final = 4_294_967  # seconds, some 50 days: as many milliseconds as 32 bits hold
DIGITS: Final = 7
BATCH: Final = 200  # that are published at a time


class DelayInvalid(TopicNameInvalid):
    """No delay, or no topic behind it."""


def later(name: bytes, max_levels: int) -> tuple[int, bytes]:
    """Seconds and topic of a name that begins with `$delayed/`; DelayInvalid, TopicNameInvalid for what is no name at all."""
    check_topic_name(name, max_levels + 2 if max_levels else 0)
    digits, _, topic = name[len(DELAYED):].partition(b"/")
    if not digits.isdigit() or len(digits) > DIGITS or int(digits) > LONGEST:
        raise DelayInvalid(f"the delay is not a number of seconds from 0 to {LONGEST}")
    if not topic:
        raise DelayInvalid("no topic behind the delay")
    if topic.startswith(DELAYED):
        raise DelayInvalid("a delay behind the delay")
    return int(digits), topic


class Waiting:
    """A message, under its own topic, and when it is due, in monotonic seconds."""

    __slots__ = ("number", "message", "due")

    def __init__(self, number: int, message: Message, due: float) -> None:
        self.number = number
        self.message = message
        self.due = due


class Delayed:
    """All messages that wait, `held` by number, `bytes` of them. With a journal they outlive the process.

    While `open` more are taken, up to `max_messages` and `max_bytes`, 0 for no limit. `behind` says that some are due which
    were too many for one go.
    """

    __slots__ = ("open", "max_messages", "max_bytes", "held", "bytes", "behind", "_circle", "_deadlines", "_last")

    def __init__(self, circle: Circle) -> None:
        self.open = False
        self.max_messages = self.max_bytes = 0
        self.held: dict[int, Waiting] = {}
        self.bytes = 0
        self.behind = False
        self._circle = circle
        self._deadlines: Deadlines[int] = Deadlines()
        self._last = 0

    def takes(self, name: bytes) -> bool:
        """Whether what is published to this name is to wait."""
        return self.open and name.startswith(DELAYED)

    def meant(self, name: bytes) -> bytes:
        """The topic that a client means by `name`, for those who are asked whether it may publish there."""
        return name[len(self._before(name)):] or name

    def mounted(self, mount: bytes, name: bytes) -> bytes:
        """`name` with a mountpoint, which comes behind the delay."""
        before = self._before(name)
        return before + mount + name[len(before):]

    def _before(self, name: bytes) -> bytes:
        """What stands before the topic; nothing where all of it is the topic."""
        if not self.takes(name):
            return b""
        at = name.find(b"/", len(DELAYED))
        return name if at < 0 else name[:at + 1]

    def accept(self, message: Message) -> int:
        """As `keep`, where nobody is told that it cannot be; whom the message reaches now."""
        with suppress(DelayInvalid, QuotaExceeded):
            self.keep(message)
        return 0

    def keep(self, message: Message) -> None:
        """Keep what was published to `$delayed/...` until it is due; DelayInvalid or QuotaExceeded when that cannot be."""
        circle = self._circle
        try:
            seconds, topic = later(message.topic, circle.settings.max_topic_levels)
        except DelayInvalid:
            circle.lose(message, causes.DELAY_INVALID)
            raise
        if message.qos and circle.journal is not None and circle.journal.failing:
            raise QuotaExceeded(f"messages cannot be kept now: {circle.journal.failing}")
        reason = self.refusal(message)
        if reason:
            circle.lose(message, causes.DELAYED_FULL)
            raise QuotaExceeded(reason)
        kept = message.copy()
        kept.topic = topic
        self.add(kept, circle.turn.now + seconds)

    def refusal(self, message: Message) -> str:
        """Why there is no room for it; empty if there is."""
        if 0 < self.max_messages <= len(self.held):
            return f"{self.max_messages} messages are delayed, more may not be"
        if 0 < self.max_bytes < self.bytes + message.size + OVERHEAD:
            return f"delayed messages may have no more than {self.max_bytes} bytes"
        return ""

    def add(self, message: Message, due: float) -> None:
        """Keep a message until then. There is room."""
        number = self._last + 1
        self.put(number, message, due)
        journal = self._circle.journal
        if journal is not None:
            journal.add((r.DELAYED, number, journal.wall(due), message.topic, message.payload, message.qos, message.retain,
                         message.properties, journal.wall(message.expires_at), message.publisher))

    def put(self, number: int, message: Message, due: float) -> None:
        """One that the store has."""
        self._last = max(self._last, number)
        self.held[number] = Waiting(number, message, due)
        self.bytes += message.size + OVERHEAD
        self._deadlines.set(number, min(due, message.expires_at))  # what expires before makes room then

    def remove(self, number: int) -> Waiting | None:
        """It waits no more; None when there is none of this number."""
        waiting = self.held.pop(number, None)
        if waiting is not None:
            self._deadlines.clear(number)
            self.bytes -= waiting.message.size + OVERHEAD
            if self._circle.journal is not None:
                self._circle.journal.add((r.DELAYED_GONE, number))
        return waiting

    def give(self, publish: Callable[[Message], object]) -> None:
        """Publish what is due, a bounded number; each is gone with the commit that has what it left.

        They are taken one by one: if one of them cannot be published, the others are still due.
        """
        now = self._circle.turn.now
        self.behind = False
        for _ in range(BATCH):
            taken = self._deadlines.take(now, 1)
            if not taken:
                return
            waiting = self.remove(taken[0])
            if waiting is not None and waiting.message.expires_at <= now:
                self._circle.lose(waiting.message, causes.EXPIRED)
            elif waiting is not None:
                publish(waiting.message)
        self.behind = True
        self._circle.turn.wake()
