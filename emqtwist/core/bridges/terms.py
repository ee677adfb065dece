"""What one bridge is to do, and how the store has it."""
import json
from typing import Final

from emqtwist.core.prefixes import parse_prefix
from emqtwist.core.settings import QueueSettings
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter, check_topic_name

MOST_QUEUED: Final = 10_000  # messages, where nobody says how many
MOST_BYTES: Final = 256_000_000  # the same, of bytes


class BadBridge(Exception):
    """There is no such bridge, or there cannot be; the message is emqttd's word for it."""


class BridgeTerms:
    """A bridge `name` leads what matches `topic_filter` to `node`, which is dialled at `address`.

    There its topics have `prefix` before them and `suffix` behind; `qos` is the highest QoS. At most `max_length` messages wait,
    of `max_bytes` in all; a length of 0 is no bound. `on_full` says what gives way. One that was started `by_hand` stands in no
    file.
    """

    __slots__ = ("name", "node", "address", "topic_filter", "prefix", "suffix", "qos", "max_length", "max_bytes", "on_full",
                 "by_hand")

    def __init__(self, name: str, node: str, address: str, topic_filter: bytes, prefix: bytes = b"", suffix: bytes = b"",
                 qos: int = 2, max_length: int = MOST_QUEUED, max_bytes: int = MOST_BYTES, on_full: str = "drop_oldest",
                 by_hand: bool = False) -> None:
        self.name = name
        self.node = node
        self.address = address
        self.topic_filter = topic_filter
        self.prefix = prefix
        self.suffix = suffix
        self.qos = qos
        self.max_length = max_length
        self.max_bytes = max_bytes
        self.on_full = on_full
        self.by_hand = by_hand

    def check(self) -> None:
        """BadBridge where this cannot be."""
        try:
            check_topic_filter(self.topic_filter, 0)
            if parse_prefix(self.topic_filter) is not None:
                raise BadBridge("bad_topic_filter")
        except MQTTError:
            raise BadBridge("bad_topic_filter") from None
        try:
            check_topic_name(self.prefix + b"x" + self.suffix, 0)
        except MQTTError:
            raise BadBridge("bad_prefix_or_suffix") from None

    def leads_as(self, other: "BridgeTerms") -> bool:
        """Whether both lead the same messages to the same node."""
        return self.node == other.node and self.topic_filter == other.topic_filter

    def rules(self, queue: QueueSettings) -> QueueSettings:
        """Those of its queue; `queue` says what all queues have in common."""
        return QueueSettings("simple", {}, self.max_length, self.max_bytes, self.max_bytes, queue.max_memory, queue.low_watermark,
                             queue.high_watermark, False, self.on_full)

    def text(self) -> str:
        """As the store has it."""
        return json.dumps([self.name, self.node, self.address, self.topic_filter.decode(), self.prefix.decode(),
                           self.suffix.decode(), self.qos, self.max_length, self.max_bytes, self.on_full, self.by_hand])


def terms_of(text: str) -> BridgeTerms | None:
    """From the store; None for what this version cannot read."""
    try:
        name, node, address, topic_filter, prefix, suffix, qos, max_length, max_bytes, on_full, by_hand = json.loads(text)
        return BridgeTerms(str(name), str(node), str(address), str(topic_filter).encode(), str(prefix).encode(),
                           str(suffix).encode(), int(qos), int(max_length), int(max_bytes), str(on_full), bool(by_hand))
    except (ValueError, TypeError):
        return None
