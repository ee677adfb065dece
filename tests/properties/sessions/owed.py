"""What one session is owed: the messages it waits for, has been sent, and has not finished."""
from collections import Counter
from dataclasses import dataclass, field
from math import inf

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Publish, Will
from tests.peers import Peer, properties

Line = tuple[str, bytes, int]  # publisher, Topic Name, QoS: within one, order is kept


@dataclass(eq=False)
class Message:
    """An Application Message; its payload occurs once in a history, unless it is empty."""

    topic: bytes
    payload: bytes
    qos: int
    retain: bool
    publisher: str
    expires_at: float = inf
    user_properties: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Subscription:
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    identifier: int = 0


@dataclass(eq=False)
class Owed:
    """One message for one session, with the QoS, RETAIN and identifiers it has to have.

    `identifiers` is None when they cannot be known. `optional`: it may have been dropped. `sent_on` is where its PUBLISH
    was sent last.
    """

    message: Message
    qos: int
    retain: bool
    identifiers: list[int] | None
    optional: bool = False
    packet_id: int = 0
    released: bool = False
    sent_on: "Connection | None" = None

    @property
    def line(self) -> Line:
        return self.message.publisher, self.message.topic, self.qos

    def is_this(self, packet: Publish, version: int, now: float) -> bool:
        """Whether a PUBLISH of this version is this message, with all that belongs to it."""
        message = self.message
        same = (packet.topic_name, packet.payload, packet.qos, packet.retain) == (
            message.topic, message.payload, self.qos, self.retain)
        if version != c.MQTT_5_0:
            return same and packet.properties is None
        got = packet.properties or properties()
        return (same and self.identifiers in (None, sorted(got.subscription_identifiers))
                and got.user_properties == message.user_properties and self._right_expiry(got.message_expiry_interval, now))

    def _right_expiry(self, interval: int | None, now: float) -> bool:
        if interval is None or self.message.expires_at == inf:
            return interval is None and self.message.expires_at == inf
        return abs(interval - max(0.0, self.message.expires_at - now)) < 1

    def fits(self, connection: "Connection") -> bool:
        if connection.max_packet == c.MAX_PACKET:
            return True
        message = self.message
        made = properties(user_properties=message.user_properties, subscription_identifiers=self.identifiers or [])
        made.message_expiry_interval = None if message.expires_at == inf else 1
        packet = Publish(message.topic, message.payload, self.qos, self.retain, False, 1, made)
        return len(encode(packet, connection.version)) <= connection.max_packet


@dataclass(eq=False)
class Replay:
    """The retained messages that a new subscription is owed, those of each topic once.

    `topics` are those that have to come; what is retained later may come too, as they need not come at once. `optional`:
    they need not come any more, as the subscription is gone, or was made again so that all come again. Which replay a
    message belongs to cannot be seen where filters overlap, so a session counts how many came of each topic.
    """

    topic_filter: bytes
    subscriptions: list[Subscription]  # that of SUBSCRIBE, and any that has replaced it since
    topics: dict[bytes, Message]
    optional: bool = False


@dataclass
class Answer:
    """A packet that a client is owed; one reason code for each it may have, in a tuple for each that it holds."""

    type: int
    packet_id: int = 0
    reason_codes: tuple[tuple[int, ...], ...] = ((0,),)
    session_present: bool = False


@dataclass(eq=False)
class Connection:
    """A client's connection; `window` is its Receive Maximum or the broker's own bound, `answers` are in order."""

    peer: Peer
    session: "Session"
    version: int
    window: int
    max_packet: int
    keep_alive: int
    will: Will | None
    last_seen: float
    open: bool = True
    stalled: bool = False
    greeted: bool = False
    answers: list[Answer] = field(default_factory=list)
    to_complete: list[Owed] = field(default_factory=list)  # PUBREL came, PUBCOMP is due

    def owe(self, answer_type: int, packet_id: int = 0, *reason_codes: int) -> None:
        """An answer with one reason code, any of these, 0 unless given; before 5.0 there is only 0."""
        codes = reason_codes if reason_codes and self.version == c.MQTT_5_0 else (0,)
        self.answers.append(Answer(answer_type, packet_id, (codes,)))


@dataclass(eq=False)
class Session:
    """`waiting` is in order of publication, `inflight` in that of sending, or of release.

    `received` are the QoS 2 flows from the client that wait for PUBREL.
    """

    client_id: str
    expiry: float = 0.0
    ends_at: float = inf
    connection: Connection | None = None
    subscriptions: dict[bytes, Subscription] = field(default_factory=dict)
    waiting: list[Owed] = field(default_factory=list)
    inflight: list[Owed] = field(default_factory=list)
    replays: list[Replay] = field(default_factory=list)
    replayed: Counter[bytes] = field(default_factory=Counter)  # how many came for these, by topic
    received: dict[int, Publish] = field(default_factory=dict)

    def listens(self) -> bool:
        return self.connection is not None and not self.connection.stalled

    def held(self) -> list[Owed]:
        """What counts against the window: sent here and unfinished, or waiting for PUBCOMP."""
        return [owed for owed in self.inflight if owed.released or owed.sent_on is self.connection]

    def by_packet_id(self, packet_id: int) -> Owed | None:
        return next((owed for owed in self.inflight if owed.packet_id == packet_id), None)

    def to_acknowledge(self) -> list[Owed]:
        """What the client has on this connection and can acknowledge: PUBACK, PUBREC or PUBCOMP."""
        if self.connection is None:
            return []
        return [owed for owed in self.inflight
                if (owed in self.connection.to_complete if owed.released else owed.sent_on is self.connection)]
