"""The PROXY protocol, versions 1 and 2: who stands behind a load balancer.

The header comes before the first byte of TLS, WebSocket or MQTT. It is believed as it stands, so a listener that
reads it must be reachable from its balancer alone. Bytes in, a `Proxied` out; no socket and no clock are here.
"""

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from emqtwist.core.door import Certificate

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V1_START: Final = b"PROXY "
V1_LIMIT: Final = 107  # the longest line of version 1, with its CR LF
V2_LIMIT: Final = 4096  # of the addresses and additions that follow the 16 bytes of version 2
V2_HEAD: Final = 16

SSL: Final = 0x20  # types of addition
SSL_CN: Final = 0x22
OVER_TLS: Final = 0x01  # the client's connection to the balancer
CERTIFICATE_SHOWN: Final = 0x02 | 0x04  # in this connection, or in the TLS session that it resumes


class ProxyRefused(Exception):
    """What came is no header of the PROXY protocol, or one that breaks its rules."""


class Proxied:
    """What a header says: `address` is "" for LOCAL and UNKNOWN, where the socket's own peer is the client.

    `over_tls`: the client speaks TLS with the balancer, so whatever comes from there is not the client's own handshake.
    `common_name` is that of a client certificate that the balancer has verified.
    """

    __slots__ = ("address", "common_name", "over_tls", "port")

    def __init__(self, address: str = "", port: int = 0, over_tls: bool = False, common_name: str = "") -> None:
        self.address = address
        self.port = port
        self.over_tls = over_tls
        self.common_name = common_name

    @property
    def certificate(self) -> Certificate | None:
        """What is known of the one that the client has shown to the balancer."""
        return Certificate(self.common_name, "", ()) if self.common_name else None


class ProxyParser:
    """Reads one header of `version` 1 or 2; `rest` is what came behind it."""

    def __init__(self) -> None:
        self._read = b""
        self.version = 0
        self.rest = b""

    def feed(self, chunk: bytes) -> Proxied | None:
        """What the header says, once it is whole; ProxyRefused as soon as it cannot be one."""
        self._read += chunk
        if self._read.startswith(V1_START):
            self.version = 1
            return self._version_1()
        if self._read.startswith(SIGNATURE):
            self.version = 2
            return self._version_2()
        if not (V1_START.startswith(self._read) or SIGNATURE.startswith(self._read)):
            raise ProxyRefused("no PROXY header")
        return None

    def _version_1(self) -> Proxied | None:
        end = self._read.find(b"\r\n", 0, V1_LIMIT)
        if end < 0:
            if len(self._read) >= V1_LIMIT:
                raise ProxyRefused("line too long")
            return None
        line, self.rest = self._read[len(V1_START) : end], self._read[end + 2 :]
        return _line(line)

    def _version_2(self) -> Proxied | None:
        read = self._read
        if len(read) < V2_HEAD:
            return None
        length = int.from_bytes(read[14:16], "big")
        if length > V2_LIMIT:
            raise ProxyRefused("header too long")
        end = V2_HEAD + length
        if len(read) < end:
            return None
        self.rest = read[end:]
        return _block(read[12], read[13], read[V2_HEAD:end])


def _line(line: bytes) -> Proxied:
    fields = line.split(b" ")
    if fields[0] == b"UNKNOWN":
        return Proxied()
    if len(fields) != 5 or fields[0] not in (b"TCP4", b"TCP6"):
        raise ProxyRefused("line is wrong")
    family = IPv4Address if fields[0] == b"TCP4" else IPv6Address
    source = _address(family, fields[1])
    _address(family, fields[2])
    port = _port(fields[3])
    _port(fields[4])
    return Proxied(source, port)


def _address(family: type[IPv4Address] | type[IPv6Address], field: bytes) -> str:
    try:
        if b"%" in field:  # a zone has a meaning on the balancer alone
            raise ProxyRefused("address is wrong")
        return str(family(field.decode("ascii")))
    except (AddressValueError, UnicodeDecodeError):
        raise ProxyRefused("address is wrong") from None


def _port(field: bytes) -> int:
    if not field.isdigit() or len(field) > 5 or (field[:1] == b"0" and field != b"0") or int(field) > 65_535:
        raise ProxyRefused("port is wrong")
    return int(field)


def _block(version_and_command: int, family: int, block: bytes) -> Proxied:
    if version_and_command == 0x20:  # LOCAL: the balancer speaks for itself, whatever follows is to be skipped
        return Proxied()
    if version_and_command != 0x21:
        raise ProxyRefused("version or command is unknown")
    if family == 0x00:
        return Proxied()
    if family == 0x11 and len(block) >= 12:
        return Proxied(str(IPv4Address(block[:4])), int.from_bytes(block[8:10], "big"), *_tls(block[12:]))
    if family == 0x21 and len(block) >= 36:
        return Proxied(str(IPv6Address(block[:16])), int.from_bytes(block[32:34], "big"), *_tls(block[36:]))
    if family == 0x31 and len(block) >= 216:
        return Proxied("", 0, *_tls(block[216:]))
    raise ProxyRefused("addresses are wrong")


def _tls(block: bytes) -> tuple[bool, str]:
    """Whether the client speaks it; and the subject's CN, only if it showed a certificate and the balancer found it good."""
    ssl = _additions(block).get(SSL)
    if ssl is None:
        return False, ""
    if len(ssl) < 5:
        raise ProxyRefused("addition is cut off")
    inner = _additions(ssl[5:])
    over_tls = ssl[0] & (OVER_TLS | CERTIFICATE_SHOWN) != 0
    if not ssl[0] & CERTIFICATE_SHOWN or ssl[1:5] != bytes(4):
        return over_tls, ""
    try:
        name = inner.get(SSL_CN, b"").decode("utf-8")
    except UnicodeDecodeError:
        raise ProxyRefused("subject is no UTF-8") from None
    if "\x00" in name:
        raise ProxyRefused("subject holds a NUL")
    return over_tls, name


def _additions(block: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(block):
        end = at + 3 + int.from_bytes(block[at + 1 : at + 3], "big")
        if at + 3 > len(block) or end > len(block):
            raise ProxyRefused("addition is cut off")
        if block[at] in (SSL, SSL_CN) and block[at] in found:
            raise ProxyRefused("addition comes twice")  # which of two subjects holds is nobody's guess
        found[block[at]] = block[at + 3 : end]
        at = end
    return found
