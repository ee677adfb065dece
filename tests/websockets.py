"""The client's side of WebSocket, byte by byte: what is sent may be wrong in any way."""
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1
from typing import Final

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

NONCE: Final = b64encode(bytes(range(16))).decode()
ACCEPT: Final = b64encode(sha1(NONCE.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
KEY: Final = b"\x12\x34\x56\x78"


def request(path: str = "/mqtt", protocols: str | None = "mqtt", origin: str | None = None, **headers: str) -> bytes:
    """An opening handshake; `headers` are more of them, or others in place of the usual."""
    lines = {
        "Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": NONCE, **headers}
    if protocols is not None:
        lines["Sec_WebSocket_Protocol"] = protocols
    if origin is not None:
        lines["Origin"] = origin
    text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items() if value)
    return f"GET {path} HTTP/1.1\r\n{text}\r\n".encode()


def frame(payload: bytes, opcode: int = BINARY, fin: bool = True, key: bytes | None = KEY,
          length: int | None = None) -> bytes:
    """One frame of a client; it may announce another `length`."""
    announced = len(payload) if length is None else length
    masked = 0 if key is None else 0x80
    if announced < 126:
        size = bytes((masked | announced,))
    elif announced < 1 << 16:
        size = bytes((masked | 126,)) + announced.to_bytes(2, "big")
    else:
        size = bytes((masked | 127,)) + announced.to_bytes(8, "big")
    head = bytes((opcode | (0x80 if fin else 0),)) + size
    if key is None:
        return head + payload
    repeated = (key * (len(payload) // 4 + 1))[:len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + key + number.to_bytes(len(payload), "big")


class Frames:
    """What a server sends, in frames: (opcode, payload) pairs. `response` are the headers of its answer, None before."""

    def __init__(self) -> None:
        self.response: str | None = None
        self._data = b""

    def feed(self, data: bytes) -> Iterable[tuple[int, bytes]]:
        self._data += data
        if self.response is None and b"\r\n\r\n" in self._data:
            headers, _, self._data = self._data.partition(b"\r\n\r\n")
            self.response = headers.decode()
        while self.response is not None and (length := self._length()) is not None:
            start = {126: 4, 127: 10}.get(self._data[1], 2)
            assert self._data[0] & 0x80, "a server has no reason to fragment"
            yield self._data[0] & 0x0F, self._data[start:start + length]
            self._data = self._data[start + length:]

    @property
    def status(self) -> int:
        """Of HTTP; 0 before it has come."""
        return 0 if self.response is None else int(self.response.split()[1])

    def _length(self) -> int | None:
        """That of the first frame, if it is complete."""
        data = self._data
        if len(data) < 2:
            return None
        size = {126: 2, 127: 8}.get(data[1], 0)
        if len(data) < 2 + size:
            return None
        length = int.from_bytes(data[2:2 + size], "big") if size else data[1]
        return length if len(data) >= 2 + size + length else None
