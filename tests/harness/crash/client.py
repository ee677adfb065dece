"""A client that connects again whenever its connection breaks, and keeps its half of the session as the standard says."""
import selectors
import socket
import time
from typing import Final

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from emqtwist.mqtt.properties import Properties

EXPIRY: Final = 3600  # seconds that sessions wait, and messages that expire
AGAIN: Final = 0.03  # seconds between two attempts to connect


class Found(Exception):
    """The broker broke a promise."""


class Loop:
    """The sockets of all clients."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.clients: list[Client] = []

    def step(self) -> None:
        """Let everybody do what can be done now; wait for a few milliseconds when that is nothing."""
        for client in self.clients:
            client.act()
        for key, _ in self.selector.select(0.005):
            client, connection = key.data
            client.readable(connection)

    def run(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.step()


class Client:
    """`wanted` says whether it shall be connected; what it does beside answering is in `act` and the methods `got_...`.

    `expiry`: seconds that its session waits for it.
    """

    expiry = EXPIRY

    def __init__(self, loop: Loop, port: int, client_id: str, version: int = c.MQTT_5_0) -> None:
        self.client_id = client_id
        self.version = version
        self.wanted = True
        self.connected = False
        self.outgoing: dict[int, Publish | Pubrel] = {}  # not acknowledged, in order
        self.requests: dict[int, Subscribe | Unsubscribe] = {}
        self.incoming: set[int] = set()  # QoS 2 identifiers that wait for PUBREL
        self._known = False  # a CONNACK has said that there is a session
        self._last_id = 0
        self._loop = loop
        self._port = port
        self._socket: socket.socket | None = None
        self._decoder = Decoder(c.MAX_PACKET, version)
        self._next_try = 0.0
        loop.clients.append(self)

    # Connections.

    def act(self) -> None:
        if self.wanted and self._socket is None and time.monotonic() >= self._next_try:
            self.connect()
        elif not self.wanted and self._socket is not None:
            self.drop()

    def connect(self) -> None:
        """Open a connection; one that is there is left to the broker: it is taken over."""
        self._next_try = time.monotonic() + AGAIN
        try:
            fresh = socket.create_connection(("127.0.0.1", self._port), 5)
        except OSError:
            return
        properties = None
        if self.version == c.MQTT_5_0:
            properties = Properties()
            properties.session_expiry_interval = self.expiry
        old, self._socket = self._socket, fresh
        self._decoder = Decoder(c.MAX_PACKET, self.version)
        self.connected = False
        self._loop.selector.register(fresh, selectors.EVENT_READ, (self, fresh))
        self._send(Connect(self.version, self.client_id, clean_start=False, will=self.next_will(), properties=properties))
        if old is not None:
            self._loop.selector.unregister(old)
            old.close()

    def drop(self) -> None:
        if self._socket is not None:
            self._loop.selector.unregister(self._socket)
            self._socket.close()
        self._socket = None
        self.connected = False

    def readable(self, connection: socket.socket) -> None:
        if connection is not self._socket:
            return
        try:
            data = connection.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.drop()
            return
        for packet in self._decoder.feed(data):
            self._got(packet)
        if self._decoder.error is not None:
            raise Found(f"{self.client_id} got bytes that are no packet: {self._decoder.error}")

    def _send(self, packet: Packet) -> None:
        if self._socket is not None:
            try:
                self._socket.sendall(encode(packet, self.version))
            except OSError:
                self.drop()

    # What is asked.

    def publish(self, topic: bytes, payload: bytes, qos: int, retain: bool = False, expiry: int = 0) -> int:
        properties = None
        if expiry:
            properties = Properties()
            properties.message_expiry_interval = expiry
        packet = Publish(topic, payload, qos, retain, False, self._identifier(), properties)
        self.outgoing[packet.packet_id] = packet
        if self.connected:
            self._send(packet)
        return packet.packet_id

    def request(self, packet: Subscribe | Unsubscribe) -> None:
        packet.packet_id = self._identifier()
        self.requests[packet.packet_id] = packet
        if self.connected:
            self._send(packet)

    def _identifier(self) -> int:
        self._last_id = self._last_id % c.MAX_PACKET_ID + 1
        while self._last_id in self.outgoing or self._last_id in self.requests:
            self._last_id = self._last_id % c.MAX_PACKET_ID + 1
        return self._last_id

    # What comes.

    def _got(self, packet: Packet) -> None:
        if isinstance(packet, Connack):
            self._accepted(packet)
        elif isinstance(packet, Publish):
            self._take(packet)
        elif isinstance(packet, Puback | Pubrec):
            self._acknowledged(packet)
        elif isinstance(packet, Pubrel):
            self.incoming.discard(packet.packet_id)
            self._send(Pubcomp(packet.packet_id))
        elif isinstance(packet, Pubcomp):
            self.outgoing.pop(packet.packet_id, None)
        elif isinstance(packet, Suback | Unsuback):
            request = self.requests.pop(packet.packet_id, None)
            if request is not None:
                self.got_answer(request)
        elif isinstance(packet, Disconnect):
            self.drop()

    def _accepted(self, connack: Connack) -> None:
        if connack.reason_code:
            self.drop()  # as while the store is away
            return
        self.got_session(connack.session_present)
        self._known = self.connected = True
        for packet in list(self.outgoing.values()):
            if isinstance(packet, Publish):
                packet.dup = True
                self.sends_again(packet)
            self._send(packet)
        for request in list(self.requests.values()):
            self._send(request)

    def _take(self, publish: Publish) -> None:
        if publish.qos == 2:
            again = publish.packet_id in self.incoming
            self.incoming.add(publish.packet_id)
            if not again:
                self.got_message(publish)
            self._send(Pubrec(publish.packet_id))
        else:
            self.got_message(publish)
            if publish.qos:
                self._send(Puback(publish.packet_id))

    def _acknowledged(self, packet: Puback | Pubrec) -> None:
        publish = self.outgoing.get(packet.packet_id)
        if isinstance(packet, Pubrec) and packet.reason_code < 0x80:
            release = Pubrel(packet.packet_id)
            self.outgoing[packet.packet_id] = release
            self._send(release)
        else:
            self.outgoing.pop(packet.packet_id, None)
        if isinstance(publish, Publish):
            self.got_acknowledgement(publish, packet.reason_code)

    def next_will(self) -> Will | None:
        """That of the connection that begins."""
        return None

    def got_session(self, present: bool) -> None:
        """The connection is accepted; a session that there was has to be there."""
        if self._known and not present:
            raise Found(f"the session of {self.client_id} is gone")

    def got_message(self, publish: Publish) -> None:
        """Each one that an application would get."""

    def sends_again(self, publish: Publish) -> None:
        """A message was not acknowledged on the connection before."""

    def got_acknowledgement(self, publish: Publish, reason_code: int) -> None:
        """The broker has taken a message, or refused it."""

    def got_answer(self, request: Subscribe | Unsubscribe) -> None:
        """A SUBACK or UNSUBACK came."""
