"""Trail: over which nodes a message has come by bridges, the first one first, with a space between two names."""
from typing import Final

from emqtwist.core.message import Message

MOST_HOPS: Final = 8  # bridges that a message may cross
LONGEST: Final = 300 * MOST_HOPS  # bytes


class BridgedMessage(Message):
    """A message that came by a bridge. What is made of it knows its `trail` too."""

    __slots__ = ("trail",)

    def __init__(self, topic: bytes, payload: bytes, qos: int, retain: bool, properties: bytes, expires_at: float, publisher: str,
                 trail: bytes) -> None:
        super().__init__(topic, payload, qos, retain, properties, expires_at, publisher)
        self.trail = trail

    def copy(self) -> Message:
        return BridgedMessage(self.topic, self.payload, self.qos, self.retain, self.properties, self.expires_at, self.publisher,
                              self.trail)


class OutwardMessage(Message):
    """A message on its way over a bridge. The store has its trail in the place of a group, which it has none of."""

    __slots__ = ("trail",)

    def __init__(self, message: Message, topic: bytes, trail: bytes) -> None:
        super().__init__(topic, message.payload, message.qos, message.retain, message.properties, message.expires_at,
                         message.publisher)
        self.trail = trail

    def group(self) -> bytes:
        return self.trail


def trail_of(message: Message) -> bytes:
    """Empty where it came by no bridge."""
    return message.trail if isinstance(message, BridgedMessage) else b""


def after(trail: bytes, node: str) -> bytes:
    """That trail, and `node`."""
    return trail + b" " + node.encode() if trail else node.encode()


def nodes_of(trail: bytes) -> list[str]:
    return [name.decode(errors="replace") for name in trail.split(b" ")] if trail else []
