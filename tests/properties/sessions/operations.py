"""The operations of a history: each is done by a client and told to the reference. One that makes no sense is left out.

`client` and other choices are numbers that stand for one of those that are there, so that any list is a history.
"""
from dataclasses import Field, dataclass, fields
from typing import ClassVar

from emqtwist.mqtt import constants as c
from emqtwist.mqtt import packets as p
from emqtwist.mqtt.properties import Properties
from tests.peers import properties
from tests.properties.sessions.judge import Wrong
from tests.properties.sessions.reference import Rules
from tests.properties.sessions.stage import SMALL_PACKETS, Stage, acknowledge, choose, relieve

CLIENTS = ("ann", "bob", "eve")
TOPICS = (b"a", b"a/b", b"a/c", b"$x/b", b"$SYS/b")
FILTERS = (b"a", b"a/b", b"a/+", b"a/#", b"+/b", b"#", b"$x/+", b"$SYS/#")
STRAY = 60_000  # no history uses so many Packet Identifiers


class Choice:
    """What a history is made of; it is written without the fields that have their default."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]

    def __repr__(self) -> str:
        values = [(each.name, getattr(self, each.name), each.default) for each in fields(self)]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value, usual in values if value != usual)})"


class Operation(Choice):
    def play(self, stage: Stage) -> None:
        """Do it; what follows is judged later."""


@dataclass(frozen=True, repr=False)
class Nothing(Operation):
    """Nothing, the simplest operation."""


@dataclass(frozen=True, repr=False)
class Will(Choice):
    topic: int = 0
    qos: int = 0
    retain: bool = False
    delay: int = 0
    expiry: int | None = None

    def packet(self, stage: Stage, version: int) -> p.Will:
        made = properties(message_expiry_interval=self.expiry, will_delay_interval=self.delay)
        return p.Will(TOPICS[self.topic], stage.payload("small"), self.qos, self.retain,
                      made if version == c.MQTT_5_0 else None)


@dataclass(frozen=True, repr=False)
class Connect(Operation):
    """A client connects, takes over if it is connected already."""

    client: int
    version: int = 5
    clean_start: bool = True
    expiry: int = 0
    window: int = 0
    small_packets: bool = False
    keep_alive: int = 0
    will: Will | None = None

    def play(self, stage: Stage) -> None:
        stage.uncork()
        packet = p.Connect(self.version, CLIENTS[self.client], self.clean_start, self.keep_alive)
        if self.will is not None:
            packet.will = self.will.packet(stage, self.version)
        if self.version == c.MQTT_5_0:
            packet.properties = self._properties(stage.rules)
        peer = stage.world.peer()
        peer.version = self.version
        connection = stage.reference.connect(peer, packet)
        stage.connections.append(connection)
        stage.send(connection, packet)

    def _properties(self, rules: Rules) -> Properties:
        small = self.small_packets and not rules.max_length
        return properties(session_expiry_interval=self.expiry, receive_maximum=self.window or None,
                          maximum_packet_size=SMALL_PACKETS if small else None)


@dataclass(frozen=True, repr=False)
class Publish(Operation):
    client: int
    topic: int = 0
    qos: int = 0
    retain: bool = False
    payload: str = "small"
    expiry: int | None = None
    user_property: bool = False
    dup: bool = False

    def play(self, stage: Stage) -> None:
        connection = stage.pick(self.client)
        if connection is None:
            return
        packet = p.Publish(TOPICS[self.topic], stage.payload(self.payload), self.qos, self.retain, self.dup and self.qos == 1,
                           stage.fresh_id(connection) if self.qos else 0)
        if connection.version == c.MQTT_5_0 and (self.expiry or self.user_property):
            pairs = [("number", str(stage.published))] if self.user_property else []
            packet.properties = properties(message_expiry_interval=self.expiry, user_properties=pairs)
        stage.reference.publish(connection, packet)
        stage.send(connection, packet)


@dataclass(frozen=True, repr=False)
class Repeat(Operation):
    """A QoS 2 PUBLISH again that was not released yet [MQTT-4.3.3-10]."""

    client: int
    which: int = 0

    def play(self, stage: Stage) -> None:
        connection = stage.pick(self.client)
        packet = choose(list(connection.session.received.values()), self.which) if connection else None
        if connection is None or packet is None:
            return
        made = packet.properties if connection.version == c.MQTT_5_0 else None
        again = p.Publish(packet.topic_name, packet.payload, 2, packet.retain, True, packet.packet_id, made)
        stage.reference.publish(connection, again)
        stage.send(connection, again)


@dataclass(frozen=True, repr=False)
class Release(Operation):
    """PUBREL for a QoS 2 PUBLISH, or for one that never was."""

    client: int
    which: int = 0
    stray: bool = False

    def play(self, stage: Stage) -> None:
        connection = stage.pick(self.client)
        packet_id = choose(list(connection.session.received), self.which) if connection else None
        packet_id = STRAY if self.stray else packet_id
        if connection is not None and packet_id is not None:
            stage.reference.release(connection, packet_id)
            stage.send(connection, p.Pubrel(packet_id))


@dataclass(frozen=True, repr=False)
class Subscribe(Operation):
    """`filters` are pairs (filter, Subscription Options); before 5.0 the QoS alone counts."""

    client: int
    filters: tuple[tuple[int, int], ...] = ((0, 0),)
    identifier: int = 0

    def play(self, stage: Stage) -> None:
        connection = stage.pick(self.client)
        if connection is None:
            return
        five = connection.version == c.MQTT_5_0
        filters = [(FILTERS[number], options if five else options & c.OPTION_QOS) for number, options in self.filters]
        made = properties(subscription_identifiers=[self.identifier]) if self.identifier and five else None
        packet = p.Subscribe(stage.fresh_id(connection), filters, made)
        stage.reference.subscribe(connection, packet)
        stage.send(connection, packet)


@dataclass(frozen=True, repr=False)
class Unsubscribe(Operation):
    client: int
    filters: tuple[int, ...] = (0,)

    def play(self, stage: Stage) -> None:
        connection = stage.pick(self.client)
        if connection is not None:
            packet = p.Unsubscribe(stage.fresh_id(connection), [FILTERS[number] for number in self.filters])
            stage.reference.unsubscribe(connection, packet)
            stage.send(connection, packet)


@dataclass(frozen=True, repr=False)
class Acknowledge(Operation):
    """PUBACK, PUBREC or PUBCOMP for one message that the client has, or for all; `refuse` with an error."""

    client: int
    which: int = 0
    all: bool = False
    refuse: bool = False

    def play(self, stage: Stage) -> None:
        connection = stage.pick(self.client)
        if connection is not None:
            due = connection.session.to_acknowledge()
            one = choose(due, self.which)
            refuse = self.refuse and connection.version == c.MQTT_5_0
            acknowledge(stage, connection, due if self.all or one is None else [one], c.QUOTA_EXCEEDED if refuse else 0)


@dataclass(frozen=True, repr=False)
class StrayAcknowledge(Operation):
    """An acknowledgement of nothing: only PUBREC has an answer."""

    client: int
    type: int = c.PUBACK

    def play(self, stage: Stage) -> None:
        connection = stage.pick(self.client)
        if connection is None:
            return
        if self.type == c.PUBREC:
            connection.owe(c.PUBREL, STRAY, c.PACKET_IDENTIFIER_NOT_FOUND)
        kind = {c.PUBACK: p.Puback, c.PUBREC: p.Pubrec, c.PUBCOMP: p.Pubcomp}[self.type]
        stage.send(connection, kind(STRAY))


@dataclass(frozen=True, repr=False)
class Drop(Operation):
    """The network connection breaks."""

    client: int

    def play(self, stage: Stage) -> None:
        stage.uncork()
        connection = stage.pick(self.client)
        if connection is not None:
            stage.reference.lost(connection)
            connection.peer.drop()


@dataclass(frozen=True, repr=False)
class Disconnect(Operation):
    client: int
    with_will: bool = False
    expiry: int | None = None

    def play(self, stage: Stage) -> None:
        stage.uncork()
        connection = stage.pick(self.client)
        if connection is None:
            return
        packet = p.Disconnect()
        if connection.version == c.MQTT_5_0:
            packet.reason_code = c.DISCONNECT_WITH_WILL if self.with_will else c.SUCCESS
            packet.properties = properties(session_expiry_interval=self.expiry)
        stage.reference.disconnect(connection, packet)
        stage.send(connection, packet)


@dataclass(frozen=True, repr=False)
class Stall(Operation):
    """The client stops reading, or reads again."""

    client: int

    def play(self, stage: Stage) -> None:
        stage.uncork()
        connection = stage.pick(self.client)
        if connection is None:
            return
        if connection.stalled:
            relieve(connection)
        else:
            connection.stalled = True
            connection.peer.stall()


@dataclass(frozen=True, repr=False)
class Ping(Operation):
    client: int

    def play(self, stage: Stage) -> None:
        connection = stage.pick(self.client)
        if connection is not None:
            connection.owe(c.PINGRESP)
            stage.send(connection, p.Pingreq())


@dataclass(frozen=True, repr=False)
class Advance(Operation):
    seconds: float = 1.0

    def play(self, stage: Stage) -> None:
        stage.advance(self.seconds)


@dataclass(frozen=True, repr=False)
class Cork(Operation):
    """What follows happens in one turn."""

    operations: int = 2

    def play(self, stage: Stage) -> None:
        stage.cork(self.operations)


@dataclass(frozen=True, repr=False)
class History:
    rules: Rules
    operations: list[Operation]

    def __repr__(self) -> str:
        lines = [f"        {operation!r}," for operation in self.operations if operation != Nothing()]
        return "\n".join([f"History({self.rules!r}, [", *lines, "])"])

    def play(self) -> None:
        stage = Stage(self.rules)
        for operation in self.operations:
            operation.play(stage)
            stage.settle()
        stage.uncork()
        _drain(stage)


def _drain(stage: Stage) -> None:
    """Everybody comes back and takes all there is: nothing that was owed may be missing."""
    for client, client_id in enumerate(CLIENTS):
        session = stage.reference.sessions.get(client_id)
        if session is not None and session.connection is None:
            Connect(client, clean_start=False, expiry=60).play(stage)
            stage.settle()
        elif session is not None and session.connection is not None and session.connection.stalled:
            relieve(session.connection)
            stage.settle()
    while any(session.to_acknowledge() for session in stage.reference.sessions.values()):
        for session in list(stage.reference.sessions.values()):
            if session.connection is not None:
                acknowledge(stage, session.connection, session.to_acknowledge(), 0)
                stage.settle()
    for session in stage.reference.sessions.values():
        if session.waiting or session.inflight or session.replays:
            raise Wrong(f"{session.client_id} never got all: {session}")
