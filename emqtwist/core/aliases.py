"""Topic Aliases, numbers for Topic Names: those of the client and ours. They end with the network connection [MQTT-3.3.2-7].

Ours are given to the first topics that come. When all are given, topics that are not used any more lose theirs: a hand
goes round and moves one place for every `PATIENCE` messages that found no alias. A topic that was used since the hand
was there last keeps its alias. So topics that only come once, or too many in turn, do not drive out those that are used.
"""
from typing import Final

from emqtwist.core.message import NEVER, PUBLISH_BYTE, QOS_BITS, Message
from emqtwist.mqtt.encoder import publish_head
from emqtwist.mqtt.errors import ProtocolError, TopicAliasInvalid
from emqtwist.mqtt.properties import NO_PROPERTIES, alias_property, publish_properties
from emqtwist.mqtt.wire import encode_binary, encode_variable

PATIENCE: Final = 8
LARGE: Final = 16384  # bytes of a PUBLISH
SHORTEST: Final = 7  # bytes of a Topic Name: with an alias of 3 bytes, two messages of such a topic take less than without


class Incoming:
    """Topic Alias -> Topic Name, as a client set them on its connection, which was promised `maximum` of them."""

    __slots__ = ("maximum", "_names", "_heads")

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._names: dict[int, bytes] = {}
        self._heads: dict[int, bytes] = {}  # what stands between Remaining Length and payload at QoS 0, without properties

    def resolve(self, topic_alias: int, topic_name: bytes) -> bytes:
        """The Topic Name of a PUBLISH; one that it carries is what the alias stands for from now on [MQTT-3.3.2-12]."""
        if topic_alias > self.maximum:
            # [MQTT-3.2.2-17]
            raise TopicAliasInvalid(f"Topic Alias {topic_alias}, the Topic Alias Maximum is {self.maximum}")  # [MQTT-3.3.2-9]
        if topic_name:
            self._names[topic_alias] = topic_name  # [MQTT-3.3.2-12]
            self._heads[topic_alias] = encode_binary(topic_name) + NO_PROPERTIES
            return topic_name
        known = self._names.get(topic_alias)
        if known is None:
            raise ProtocolError(f"an empty Topic Name, and Topic Alias {topic_alias} was not set")
        return known

    def names(self) -> dict[int, bytes]:
        """What the aliases stand for now."""
        return dict(self._names)

    def frame(self, topic_alias: int, payload: bytes) -> bytes:
        """The PUBLISH at QoS 0 with the Topic Name in place of its alias; nothing for a large one, whose bytes can wait."""
        head = self._heads[topic_alias]
        length = len(head) + len(payload)
        if length < 0x80:
            return bytes((PUBLISH_BYTE, length)) + head + payload
        return bytes((PUBLISH_BYTE,)) + encode_variable(length) + head + payload if length < LARGE else b""


class Outgoing:
    """Topic Name -> Topic Alias on one connection, `maximum` of them at most [MQTT-3.1.2-26] [MQTT-3.3.2-11].

    `head` and `tail` are the bytes last made by `encode`.
    """

    __slots__ = ("maximum", "head", "tail", "_numbers", "_names", "_used", "_hand", "_misses")

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.head = b""
        self.tail = b""
        self._numbers: dict[bytes, int] = {}
        self._names: list[bytes] = []  # of alias 1, 2, ...
        self._used: list[bool] = []  # since the hand was there last
        self._hand = 0
        self._misses = 0

    def encode(self, message: Message, first_byte: int, identifiers: tuple[int, ...], now: float, max_packet: int) -> bool:
        """Make `head` and `tail`, what comes before the Packet Identifier and after it; the payload is to follow.

        At QoS 0 `tail` is empty. False when the packet is larger than `max_packet`: then there is nothing to send, and no
        alias was given.
        """
        topic = message.topic
        number = self._numbers.get(topic)
        if number is not None:
            self._used[number - 1] = True
            length = 6 + len(message.payload)
            plain = not (message.properties or identifiers) and message.expires_at == NEVER
            if plain and first_byte == PUBLISH_BYTE and length < 0x80:  # what most are, made in one go
                self.head = bytes((PUBLISH_BYTE, length, 0, 0, 3, 0x23, number >> 8, number & 0xFF))
                self.tail = b""
                return 2 + length <= max_packet
            return self._make(message, b"", number, first_byte, identifiers, now) <= max_packet
        number = self._free_number() if len(topic) >= SHORTEST else 0
        if number and self._make(message, topic, number, first_byte, identifiers, now) <= max_packet:
            self._give(topic, number)
            return True
        return self._make(message, topic, 0, first_byte, identifiers, now) <= max_packet

    def names(self) -> dict[int, bytes]:
        """What the aliases stand for now."""
        return dict(enumerate(self._names, 1))

    def shown(self, message: Message) -> Message:
        """The message as the client is to see it."""
        return message

    def _free_number(self) -> int:
        """An alias that is not given, or that its topic may lose; 0 for none."""
        if len(self._names) < self.maximum:  # [MQTT-3.1.2-26] [MQTT-3.3.2-11]
            return len(self._names) + 1
        self._misses += 1
        if self._misses % PATIENCE:
            return 0
        place, self._hand = self._hand, (self._hand + 1) % self.maximum
        if self._used[place]:
            self._used[place] = False
            return 0
        return place + 1

    def _give(self, topic: bytes, number: int) -> None:
        if number > len(self._names):
            self._names.append(topic)
            self._used.append(False)
        else:
            del self._numbers[self._names[number - 1]]
            self._names[number - 1] = topic
        self._numbers[topic] = number

    def _make(self, message: Message, topic_name: bytes, number: int, first_byte: int, identifiers: tuple[int, ...],
              now: float) -> int:
        """Make the bytes; how many the whole packet has."""
        if number and not message.properties and message.expires_at == NEVER and not identifiers:
            properties = bytes((3, 0x23, number >> 8, number & 0xFF))
        else:
            forwarded = alias_property(number) + message.properties if number else message.properties
            properties = publish_properties(forwarded, message.rest(now), identifiers)
        size = len(properties) + len(message.payload)
        head = publish_head(first_byte, topic_name, size)
        if first_byte & QOS_BITS:
            self.head, self.tail = head, properties
            return len(head) + 2 + size
        self.head, self.tail = head + properties, b""
        return len(head) + size
