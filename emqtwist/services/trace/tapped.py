"""What looks at one connection for the traces that select it, or that may yet do so."""
from collections.abc import Callable
from typing import Final, Protocol, cast

from emqtwist.core.connection import OPEN, OPENING, Connection
from emqtwist.core.link import Link
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.packets import AliasedPublish, Connect, Packet, Publish
from emqtwist.services.trace.event import Event
from emqtwist.services.trace.summary import VERSIONS, fields_of
from emqtwist.services.trace.trace import CLIENT, Trace

MOST_HELD: Final = 20  # events of a connection whose client is not known yet
MOST_PAYLOAD: Final = 4096  # bytes that a trace may show


class Choice(Protocol):
    """What `traces.Traces` offers: which traces go on, and whom they select."""

    @property
    def clients(self) -> bool: ...
    @property
    def topics(self) -> list[Trace]: ...
    @property
    def wall(self) -> Callable[[], float]: ...
    def of(self, connection: Connection, asked: str) -> list[Trace]: ...
    def at(self, topic: bytes) -> list[Trace]: ...
    def failed(self, connection: Connection) -> None: ...


class Tapped:
    """The Tap of one connection. It does not hold the connection, which holds it.

    `_whole` are the traces of all that goes over the connection. Before the client is known, `_held` keeps what came first.
    Topic Aliases are followed, as those who trace a topic want it by its name.
    """

    __slots__ = ("_traces", "_whole", "_held", "_asked", "_from_client", "_to_client")

    def __init__(self, traces: Choice, connection: Connection) -> None:
        self._traces = traces
        self._whole: list[Trace] = []
        self._held: list[Event] | None = [] if connection.state == OPENING else None
        self._asked = ""
        self._from_client = {} if connection.incoming is None else connection.incoming.names()
        self._to_client = {} if connection.aliases is None else connection.aliases.names()

    def choose(self, connection: Connection) -> bool:
        """Other traces have begun, or some are over: whether there is still something to look for."""
        self._whole = self._traces.of(connection, self._asked)
        return bool(self._whole or self._traces.topics or (self._held is not None and self._traces.clients))

    # As a Tap.

    def received(self, link: Link, packets: list[Packet]) -> None:
        connection = cast(Connection, link)
        try:
            for packet in packets:
                if packet.type == c.CONNECT and self._held is not None:
                    self._asked = cast(Connect, packet).client_id
                self._note(connection, "received", packet, self._from_client, connection.topic_alias_maximum)
            self._settle(connection)
        except Exception:
            self._traces.failed(connection)

    def sent(self, link: Link, pieces: list[bytes]) -> None:
        connection = cast(Connection, link)
        try:
            self._settle(connection)
            if connection.tap is self and pieces:
                self._sent(connection, b"".join(pieces))
        except Exception:
            self._traces.failed(connection)

    def ended(self, link: Link, cause: str, reason: str) -> None:
        connection = cast(Connection, link)
        try:
            self._settle(connection)
            if connection.tap is self:
                self._sent(connection, b"".join(connection.out))
                self._tell(connection, self._whole, "ended", "", {"cause": cause, "reason": reason})
        except Exception:
            self._traces.failed(connection)

    def greet(self, connection: Connection, trace: Trace) -> None:
        """A trace has begun: tell it of a client that is there already."""
        if trace in self._whole and connection.state == OPEN:
            seconds = int(connection.turn.now - connection.connected_at)
            self._tell(connection, [trace], "connected", "", {"version": VERSIONS.get(connection.version), "seconds": seconds})

    # What these have in common.

    def _sent(self, connection: Connection, data: bytes) -> None:
        decoder = Decoder(c.MAX_PACKET, connection.version or c.MQTT_3_1_1)
        most = 0 if connection.aliases is None else connection.aliases.maximum
        for packet in decoder.feed(data):
            self._note(connection, "sent", packet, self._to_client, most)
        if decoder.error is not None:
            self._tell(connection, self._whole, "unreadable", "", {"length": len(data), "reason": decoder.error.reason})

    def _note(self, connection: Connection, what: str, packet: Packet, aliases: dict[int, bytes], most: int) -> None:
        topic, payload = None, b""
        traces = self._whole
        if packet.type == c.PUBLISH:
            publish = cast(Publish, packet)
            topic = resolved(publish, aliases, most)
            payload = publish.payload[:MOST_PAYLOAD]
            if topic is not None and self._traces.topics:
                traces = [*traces, *self._traces.at(connection.mount + topic)]
        if traces or self._held is not None:
            fields = fields_of(packet, connection.version, topic)
            self._tell(connection, traces, what, c.PACKET_NAMES[packet.type], fields, payload)

    def _tell(self, connection: Connection, traces: list[Trace], what: str, packet: str, fields: dict[str, object],
              payload: bytes = b"") -> None:
        event = Event(self._traces.wall(), connection.client_id, connection.peer.text, what, packet, fields, payload)
        for trace in traces:
            trace.note(event)
        if self._held is not None and len(self._held) < MOST_HELD:
            self._held.append(event)

    def _settle(self, connection: Connection) -> None:
        """See whether it is known by now who the client is, and give those who trace it what came until then."""
        if self._held is None:
            return
        known = self._whole
        self._whole = self._traces.of(connection, self._asked)
        for event in self._held:
            event.client_id = connection.client_id or self._asked
            for trace in self._whole:
                if trace not in known:
                    trace.note(event)
        if connection.state != OPENING or any(trace.kind == CLIENT for trace in self._whole):
            self._held = None
            if not self._whole and not self._traces.topics:
                connection.tap = None


def resolved(packet: Publish, aliases: dict[int, bytes], most: int) -> bytes | None:
    """The Topic Name of a PUBLISH, which its Topic Alias may stand for; None when that stands for nothing."""
    if not isinstance(packet, AliasedPublish):
        return packet.topic_name
    if packet.topic_name and packet.topic_alias <= most:
        aliases[packet.topic_alias] = packet.topic_name
    return packet.topic_name or aliases.get(packet.topic_alias)
