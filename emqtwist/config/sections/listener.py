"""[listener.<type>.<name>]: where clients connect."""
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

from emqtwist.config.access import ACCESS, Access
from emqtwist.config.names import Names
from emqtwist.config.rows import named, row
from emqtwist.config.sections.auth import ASKED, KINDS
from emqtwist.config.sections.tls import TlsRows
from emqtwist.config.sections.websocket import WebSocketRows
from emqtwist.config.values import (
    BIND,
    BIND_FILE,
    DURATION,
    FILE_MODE,
    FLAG,
    INTEGER,
    VERSIONS,
    WHOLE_SECONDS,
    Address,
    Choice,
    SocketFile,
    Text,
)

EFFECTS: Final = "tests/integration/test_listeners.py"
NAMES: Final = "tests/integration/test_tls.py"
PROXY: Final = "tests/integration/test_proxy.py"
RATES: Final = "tests/adapters/test_crowds.py"
MOUNT: Final = "tests/unit/core/test_mounting.py"
TERMS: Final = "tests/unit/core/test_terms.py"


@dataclass(frozen=True, kw_only=True)
class AnyListener:
    """What listeners of all types have. `kind` is the type."""

    kind: ClassVar[str]
    name: str
    bind: Address | SocketFile
    backlog: int = row(
        "1024", INTEGER, minimum="1", maximum="65535", test=EFFECTS,
        meaning="Connections that the system holds before they are accepted.")
    max_connections: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=EFFECTS,
        meaning="Connections that the listener has at a time; who comes then sees its connection close. 0 is unlimited.")
    max_connections_per_address: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=RATES,
        meaning="Connections that the listener has at a time from one address; an IPv6 address counts as its network of 64 bits. "
                "0 is unlimited.")
    connection_rate: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=RATES,
        meaning="Connections that the listener accepts a second, a second's worth at once; others wait in the `backlog`. 0 is "
                "unlimited.")
    connection_rate_per_address: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=RATES,
        meaning="Connections a second from one address, a second's worth at once; those beyond are closed. 0 is unlimited.")
    access: Access = row(
        "allow all", ACCESS, live=True, test=EFFECTS,
        meaning="From which networks clients may connect: the first rule that has the address decides. Who is denied sees "
                "its connection close before anything is read.")
    protocol_versions: tuple[int, ...] = row(
        "3.1, 3.1.1, 5.0", VERSIONS, live=True, test=TERMS,
        meaning="Versions of MQTT that clients may speak here.")
    max_keep_alive: int = row(
        "0", WHOLE_SECONDS, live=True, words={"unlimited": 0}, maximum="65535", test=TERMS,
        meaning="Longest Keep Alive. A 5.0 client that asks for more, or for none, is told this one instead; an older one does "
                "not get in. 0 is unlimited.")
    use_username_as_clientid: bool = row(
        "off", FLAG, live=True, test=TERMS,
        meaning="Whether the User Name, where there is one, is the Client Identifier too, whatever the client says.")
    handshake_timeout: float = row(
        "auto", DURATION, live=True, words={"auto": 0.0}, test=TERMS,
        meaning="Time that a client has from its connection to CONNECT. `auto`: `mqtt.client.idle_timeout`. "
                "A handshake of TLS or WebSocket before that may take as long.")
    mountpoint: str = row(
        "", Text("levels of a topic that end with /, without wildcards", r"([^$+#\0][^+#\0]*/)?"), live=True, test=MOUNT,
        meaning="What comes before all topics of the clients here, and is taken off on the way to them. `%c` is the Client "
                "Identifier, `%u` the User Name. Empty: nothing.")
    authenticators: tuple[str, ...] | None = row(
        "auth.order", KINDS, live=True, words={"auth.order": None, "nobody": ()}, test=ASKED,
        meaning="Who is asked about the clients of this listener, in the place of `auth.order`.")
    peer_cert_as_username: str = row(
        "off", Choice("off", "cn", "dn", "san"), live=True, test=NAMES,
        meaning="Take the user name from the client's certificate, whatever CONNECT says: its Common Name, its whole subject "
                "as in RFC 4514 (`CN=lamp,O=Acme`), or the first of its alternative names. The client is authenticated by "
                "that; one whose certificate has no such name is refused. Who shows no certificate, where it is optional, "
                "is treated as at any other listener. A proxy that ends TLS tells the Common Name alone, by version 2 of "
                "`proxy_protocol`.")
    superusers: tuple[str, ...] = row(
        "", Names(), live=True, test=NAMES,
        meaning="Names whose clients are superusers, whom no access rule concerns, where `peer_cert_as_username` takes them from "
                "a certificate. Not of clients with an Authentication Method.")
    proxy_protocol: str = row(
        "off", Choice("off", "v1", "v2", "any"), live=True, test=PROXY,
        meaning="Version of the PROXY protocol whose header stands before all else, from a proxy that tells whom it speaks "
                "for. That address is the client's then, wherever one is looked at or shown. Without a header, or with "
                "another version, nobody gets in.")
    proxy_protocol_timeout: float = row(
        "5s", DURATION, live=True, minimum="10ms", test=PROXY,
        meaning="Time until the header has come.")
    proxy_protocol_from: Access = row(
        "allow all", ACCESS, live=True, test=PROXY,
        meaning="From which networks proxies may connect, as in `access`, which is about clients. What a proxy says is "
                "believed: all who can reach the listener and are allowed here can say that they are anybody.")

    @property
    def label(self) -> str:
        """Type and name, as `tcp.default`: no other listener has this."""
        return f"{self.kind}.{self.name}"

    @cached_property
    def bounded(self) -> bool:
        """Whether anything here is against some of those who connect; looked at for each of them."""
        return bool(self.max_connections or self.max_connections_per_address or self.connection_rate
                    or self.connection_rate_per_address or self.access.rules or not self.access.otherwise)


@dataclass(frozen=True, kw_only=True)
class PortListener(AnyListener):
    """What listeners have that listen at a port."""

    bind: Address = row(
        None, BIND, test=EFFECTS,
        meaning="Where to listen; a port alone means every IPv4 address of the machine, port 0 one that the system "
                "chooses. Other than at loopback it needs `mqtt.allow_anonymous` or `[auth.scram]` to say who gets in.")
    nodelay: bool = row(
        "on", FLAG, live=True, test=EFFECTS,
        meaning="Send small packets at once (TCP_NODELAY).")


@dataclass(frozen=True, kw_only=True)
class TcpListener(PortListener):
    """An address that clients connect to over TCP. Without any listener there is `default`, at 127.0.0.1:1883."""

    kind = "tcp"


@dataclass(frozen=True, kw_only=True)
class UnixListener(AnyListener):
    """A Unix socket that programs on this machine connect to. They have no address: networks in `access` are not about them,
    the last rule is; for `mqtt.allow_anonymous` they are at loopback."""

    kind = "unix"
    bind: SocketFile = row(
        None, BIND_FILE, test=EFFECTS,
        meaning="Where the socket's file is to be. A relative path starts at the folder that the broker was started in. A "
                "file that a dead broker left is replaced; nothing else is.")
    mode: int = row(
        "0660", FILE_MODE, live=True, test=EFFECTS,
        meaning="Permissions of the socket's file: who may write to it may connect.")


@dataclass(frozen=True, kw_only=True)
class SslListener(PortListener, TlsRows):
    """An address that clients connect to over TLS, 1.2 or 1.3. Files that change are read again."""

    kind = "ssl"


@dataclass(frozen=True, kw_only=True)
class WsListener(PortListener, WebSocketRows):
    """An address that clients connect to over WebSocket, browsers among them."""

    kind = "ws"


@dataclass(frozen=True, kw_only=True)
class WssListener(PortListener, TlsRows, WebSocketRows):
    """An address that clients connect to over WebSocket and TLS: both their rows."""

    kind = "wss"


@dataclass(frozen=True, kw_only=True)
class ListenerSection:
    """All listeners."""

    tcp: tuple[TcpListener, ...] = named(TcpListener, TcpListener(name="default", bind=Address("127.0.0.1", 1883)))
    unix: tuple[UnixListener, ...] = named(UnixListener)
    ssl: tuple[SslListener, ...] = named(SslListener)
    ws: tuple[WsListener, ...] = named(WsListener)
    wss: tuple[WssListener, ...] = named(WssListener)

    def all(self) -> tuple[AnyListener, ...]:
        return (*self.tcp, *self.unix, *self.ssl, *self.ws, *self.wss)
