"""What a message is called in the whole cluster, so that two copies of it can be known for one."""
from typing import Final
from zlib import crc32

from emqtwist.core.message import Message

Origin = tuple[str, int]  # the node that it came to first, and as which of its messages
MARK: Final = 24  # bits of a number that tell the processes of a node apart


class Origins:
    """Numbers the messages that were published at `node`, whose process is `incarnation`: what waited for longer than that
    lived keeps its number.

    All nodes that one message goes to get it one after the other, so that only the last is remembered.
    """

    __slots__ = ("node", "_last", "_count")

    def __init__(self, node: str, incarnation: str) -> None:
        self.node = node
        self._last: Message | None = None
        self._count = (crc32(incarnation.encode()) & ((1 << MARK) - 1)) << 62 - MARK

    def number(self, message: Message) -> int:
        """Which it is; the same for all copies that are asked about one after the other."""
        if message is not self._last:
            self._last = message
            self._count += 1
        return self._count

    def of(self, message: Message) -> Origin:
        """Its name, wherever it came from."""
        if isinstance(message, ForwardedMessage):
            return message.origin
        return self.node, self.number(message)


class ForwardedMessage(Message):
    """A message that another node forwarded; it is for the subscribers of this one only."""

    __slots__ = ("origin",)

    def __init__(self, topic: bytes, payload: bytes, qos: int, retain: bool, properties: bytes, expires_at: float, publisher: str,
                 origin: Origin) -> None:
        super().__init__(topic, payload, qos, retain, properties, expires_at, publisher)
        self.origin = origin
