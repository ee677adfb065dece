"""Who receives, and what it subscribed to."""
from typing import Final

from emqtwist.core.inflight import Inflight
from emqtwist.core.ledger import Ledger
from emqtwist.core.link import Link
from emqtwist.core.message import PUBLISH_BYTE, Message
from emqtwist.core.retained import Replay
from emqtwist.mqtt.constants import OPTION_NO_LOCAL, OPTION_QOS

OPTION_UPGRADE_QOS: Final = 0x40  # ours, in a bit that is reserved on the wire: deliver at the higher of both QoS
SPECIAL: Final = OPTION_NO_LOCAL | OPTION_UPGRADE_QOS


def granted(message: Message, options: int) -> int:
    """The first byte of the PUBLISH that `message` becomes under these Subscription Options, RETAIN 0 [MQTT-3.8.4-8]."""
    qos = options & OPTION_QOS
    if (message.qos > qos) == (options & OPTION_UPGRADE_QOS != 0):  # [MQTT-3.8.4-8]
        qos = message.qos
    return PUBLISH_BYTE | qos << 1  # [MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2]


class Subscriber:
    """Where messages go: a Session, or a callback of this process. `client_id` is empty for what is no client.

    `direct` is the Link that a QoS 0 message can be put on as it is right away, if there is one, and where there is `flight`
    too, one at QoS 1, as far as its window has room. `shape` is MQTT_5_BIT when the link belongs to a 5.0 client. `ledger` is
    there when a store keeps what is taken here.
    """

    __slots__ = ("client_id", "replays", "direct", "flight", "shape", "ledger")

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.direct: Link | None = None
        self.flight: Inflight | None = None
        self.ledger: Ledger | None = None
        self.shape = 0
        self.replays: dict[bytes, tuple[Replay, Subscription]] = {}  # retained messages still to be handed over, by filter

    def deliver(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        """Take `message` as a PUBLISH with this first byte and these Subscription Identifiers."""

    def room(self) -> int:
        """How many messages it can take at once."""
        return 0

    def refuses(self, message: Message) -> bool:
        """Whether taking `message` would break the promise to keep it."""
        return False

    def full(self, message: Message) -> bool:
        """Whether taking `message` would cost it a message, this one or another."""
        return False

    def load(self) -> int:
        """How many messages are on their way to it."""
        return 0

    def keeps(self) -> bool:
        """Whether a store has what is taken here."""
        return False

    def absent(self) -> bool:
        """Whether it is away, so that messages wait for it."""
        return False

    def lives_here(self) -> bool:
        """Whether it is one receiver, of this node: no group, and no other node."""
        return True

    def broken(self, error: Exception) -> None:
        """Serving this subscriber raised `error`, a defect of ours: it alone bears the consequences."""


class Subscription:
    """One Topic Filter of one subscriber; `options` is the Subscription Options byte.

    `special`: it has what makes a QoS 0 PUBLISH differ between subscribers.
    """

    __slots__ = ("subscriber", "topic_filter", "options", "identifiers", "special")

    def __init__(self, subscriber: Subscriber, topic_filter: bytes, options: int, identifiers: tuple[int, ...]) -> None:
        self.subscriber = subscriber
        self.topic_filter = topic_filter
        self.options = options
        self.identifiers = identifiers
        self.special = identifiers != () or options & SPECIAL != 0

    def name(self) -> bytes:
        """The Topic Filter with its prefix."""
        return self.topic_filter

    def local(self) -> bool:
        """Whether it is only for what is published on this node, and no other node need know of it."""
        return False

    def parts(self) -> "list[Subscription]":
        """Of several that are one, each."""
        return [self]

    def for_own(self) -> "Subscription | None":
        """What applies to messages that the subscriber itself published."""
        return None if self.options & OPTION_NO_LOCAL else self  # [MQTT-3.8.3-3]


class Overlap(Subscription):
    """Several subscriptions of one subscriber that match one topic: one PUBLISH, the highest QoS, all identifiers."""

    __slots__ = ("own", "first", "second")

    def __init__(self, first: Subscription, second: Subscription) -> None:
        options = (first.options | second.options) & ~OPTION_QOS
        options |= max(first.options & OPTION_QOS, second.options & OPTION_QOS)  # [MQTT-3.3.4-2]
        super().__init__(first.subscriber, first.topic_filter, options, first.identifiers + second.identifiers)  # [MQTT-3.3.4-4]
        self.first = first
        self.second = second
        mine, other = first.for_own(), second.for_own()
        self.own = Overlap(mine, other) if mine and other and options & OPTION_NO_LOCAL else mine or other

    def local(self) -> bool:
        return self.first.local() and self.second.local()

    def parts(self) -> list[Subscription]:
        return self.first.parts() + self.second.parts()

    def for_own(self) -> Subscription | None:
        return self.own if self.options & OPTION_NO_LOCAL else self
