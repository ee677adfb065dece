"""A PUBLISH once it is inside the broker, and the bytes that its receivers share."""
from math import ceil
from typing import Final

from emqtwist.mqtt.encoder import publish_head
from emqtwist.mqtt.properties import publish_properties

# One message on its way to one subscriber: the message, the first byte of its PUBLISH (QoS and RETAIN as granted), the
# Subscription Identifiers that matched, and the number of its row in the store, 0 where it has none. Queues and in-flight
# windows hold these.
Delivery = tuple["Message", int, tuple[int, ...], int]

PUBLISH_BYTE: Final = 0x30
QOS_BITS: Final = 0x06
QOS_1_BITS: Final = 0x02
QOS_2_BITS: Final = 0x04
RETAIN_BIT: Final = 0x01
DUP_BIT: Final = 0x08
MQTT_5_BIT: Final = 0x100  # beside the first byte in a shape: the receiver speaks MQTT 5.0
NO_IDENTIFIERS: Final[tuple[int, ...]] = ()
NEVER: Final = float("inf")
GRAIN: Final = 0.001  # seconds; far above the rounding of `now + interval - now`, which may exceed the interval


class Message:
    """An Application Message as the broker keeps it.

    `topic` is the Topic Name as bytes; `properties` are the encoded PUBLISH properties that are forwarded unaltered
    [MQTT-3.3.2-4], without length; `expires_at` is on the monotonic clock, NEVER without Message Expiry Interval;
    `publisher` is the client identifier it came from, empty when the broker itself or its host published. `head` and
    `tail` are the bytes last made by `encode`, for receivers of that `shape`; a QoS 0 PUBLISH comes with its own. `number`
    is that of the journal, which knows whether it still holds.
    """

    __slots__ = ("topic", "payload", "qos", "retain", "properties", "expires_at", "publisher", "head", "tail", "shape", "number",
                 "_expiry")

    def __init__(self, topic: bytes, payload: bytes, qos: int = 0, retain: bool = False, properties: bytes = b"",
                 expires_at: float = NEVER, publisher: str = "", head: bytes = b"", shape: int = -1) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
        self.expires_at = expires_at
        self.publisher = publisher
        self.head = head
        self.tail = b""
        self.shape = shape
        self.number = 0
        self._expiry = -1

    def encode(self, shape: int, identifiers: tuple[int, ...], now: float) -> None:
        """Make `head` and `tail`, the PUBLISH before and after the Packet Identifier; at QoS 0 `head` is all of it.

        `shape` is the first byte of the packet, plus MQTT_5_BIT. Receivers of one shape find the bytes ready, so a fan-out
        encodes once; the Message Expiry Interval counts down while a message waits [MQTT-3.3.2-6].
        """
        expiry = -1 if self.expires_at == NEVER else self.rest(now)  # [MQTT-3.3.2-6]
        if shape == self.shape and expiry == self._expiry and not identifiers:
            return
        if shape & MQTT_5_BIT:
            if expiry >= 0 or identifiers or self.properties:
                tail = publish_properties(self.properties, expiry, identifiers) + self.payload
            else:
                tail = b"\0" + self.payload
        else:
            tail = self.payload
        head = publish_head(shape & 0xFF, self.topic, len(tail))
        if shape & QOS_BITS:
            self.head, self.tail = head, tail
        else:
            self.head, self.tail = head + tail, b""
        self.shape = -1 if identifiers else shape
        self._expiry = expiry

    def rest(self, now: float) -> int:
        """What is left of the Message Expiry Interval, in whole seconds; -1 when there is none [MQTT-3.3.2-6]."""
        return -1 if self.expires_at == NEVER else max(0, ceil(self.expires_at - now - GRAIN))  # [MQTT-3.3.2-6]

    def copy(self) -> "Message":
        """The same message without the bytes made for receivers: for those who keep it long."""
        return Message(self.topic, self.payload, self.qos, self.retain, self.properties, self.expires_at, self.publisher)

    def changed(self, topic_name: str | None = None, payload: bytes | None = None, qos: int | None = None,
                retain: bool | None = None) -> "Message":
        """The same message, but for what is given."""
        made = self.copy()
        made.topic = self.topic if topic_name is None else topic_name.encode()
        made.payload = self.payload if payload is None else payload
        made.qos = self.qos if qos is None else qos
        made.retain = self.retain if retain is None else retain
        return made

    def group(self) -> bytes:
        """The group of a shared subscription that handed it out; empty if none did."""
        return b""

    def published_at(self) -> float:
        """When it was published, on the monotonic clock, if somebody wanted that to be known; else NEVER."""
        return NEVER

    @property
    def topic_name(self) -> str:
        return self.topic.decode()

    @property
    def size(self) -> int:
        """Bytes that the message itself holds."""
        return len(self.topic) + len(self.payload) + len(self.properties)


class TimedMessage(Message):
    """A message that knows when it was published; what `copy` makes of it does not."""

    __slots__ = ("_published_at",)

    def __init__(self, message: Message, now: float) -> None:
        super().__init__(message.topic, message.payload, message.qos, message.retain, message.properties,
                         message.expires_at, message.publisher)
        self._published_at = now

    def published_at(self) -> float:
        return self._published_at
