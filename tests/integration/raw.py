"""A client that sends what it is told and shows what comes: packets over a blocking socket."""
import socket
from ssl import SSLContext
from types import TracebackType
from typing import Self, TypeVar

from emqtwist.mqtt.constants import MAX_PACKET, MQTT_5_0
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connack, Connect, Packet, Suback, Subscribe, Will
from tests.integration.program import LIMIT
from tests.websockets import BINARY, CLOSE, Frames, frame, request

P = TypeVar("P", bound=Packet)


def connected(where: int | str, host: str = "127.0.0.1") -> socket.socket:
    """A connection to a port, or to the path of a Unix socket."""
    if isinstance(where, int):
        return socket.create_connection((host, where), LIMIT)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.settimeout(LIMIT)
        made.connect(where)
    except OSError:
        made.close()
        raise
    return made


class RawClient:
    """One connection; a context, at whose end it is closed without DISCONNECT."""

    def __init__(self, where: int | str, version: int = MQTT_5_0, host: str = "127.0.0.1", tls: SSLContext | None = None,
                 first: bytes = b"") -> None:
        """`first` is sent before all else, TLS too."""
        self.version = version
        self.socket = connected(where, host)
        self.socket.sendall(first)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._decoder = Decoder(MAX_PACKET, version)
        self._packets: list[Packet] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def send(self, packet: Packet) -> None:
        self.socket.sendall(encode(packet, self.version))

    def next(self, kind: type[P]) -> P:
        """The next packet, which has to be of this kind."""
        while not self._packets:
            received = self._read()
            assert received, f"closed, no {kind.__name__}"
            self._packets = self._decoder.feed(received)
            assert self._decoder.error is None, self._decoder.error
        packet = self._packets.pop(0)
        assert isinstance(packet, kind), packet
        return packet

    def _read(self) -> bytes:
        """Some bytes of packets; none at the end."""
        return self.socket.recv(65536)

    def is_closed(self) -> bool:
        """Whether the connection is closed, and nothing came before its end."""
        return not self._packets and not self._read()

    def connect(self, client_id: str, will: Will | None = None) -> Connack:
        self.send(Connect(self.version, client_id, will=will))
        connack = self.next(Connack)
        assert connack.reason_code == 0
        return connack

    def subscribe(self, topic_filter: bytes, qos: int = 0) -> list[int]:
        """The reason codes."""
        self.send(Subscribe(1, [(topic_filter, qos)]))
        return self.next(Suback).reason_codes


class RawWebSocket(RawClient):
    """The same over WebSocket: a frame for each packet. `close_code` is that of the server's CLOSE, None before it has come."""

    def __init__(self, port: int, version: int = MQTT_5_0, asking: bytes = b"", tls: SSLContext | None = None,
                 first: bytes = b"") -> None:
        super().__init__(port, version, tls=tls, first=first)
        self.close_code: int | None = None
        self._frames = Frames()
        self._came: list[tuple[int, bytes]] = []
        self.socket.sendall(asking or request())

    @property
    def status(self) -> int:
        """Of HTTP."""
        while not self._frames.status:
            self._came += self._frames.feed(self._some())
        return self._frames.status

    def send(self, packet: Packet) -> None:
        assert self.status == 101
        self.socket.sendall(frame(encode(packet, self.version)))

    def next_frame(self) -> tuple[int, bytes]:
        """Its opcode and payload; (CLOSE, nothing) at the end of the connection."""
        while not self._came:
            data = self._some()
            self._came += self._frames.feed(data)
            if not data:
                return CLOSE, b""
        return self._came.pop(0)

    def _some(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def _read(self) -> bytes:
        opcode, payload = self.next_frame()
        while opcode not in (BINARY, CLOSE):
            opcode, payload = self.next_frame()
        if opcode == CLOSE and payload:
            self.close_code = int.from_bytes(payload[:2], "big")
        return payload if opcode == BINARY else b""
