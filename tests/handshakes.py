"""TLS without sockets: a client at the other end of a transport in memory."""
from ssl import CERT_NONE, PROTOCOL_TLS_CLIENT, MemoryBIO, SSLContext, SSLObject, SSLWantReadError, SSLZeroReturnError, TLSVersion

from twisted.internet.address import IPv4Address

from emqtwist.net.tls.layer import TlsFactory, TlsLayer
from tests.authorities import Pair
from tests.wires import Wire

VERSIONS = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}


def client_context(authority: str = "", pair: Pair | None = None, version: str = "") -> SSLContext:
    """Of a client that believes what `authority` has issued, or anybody; it shows the certificate of `pair`."""
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    if authority:
        context.load_verify_locations(authority)
    else:
        context.check_hostname = False
        context.verify_mode = CERT_NONE
    if pair is not None:
        context.load_cert_chain(pair.certfile, pair.keyfile)
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


class TlsCaller:
    """A client that has connected to `factory`, and shaken no hands yet."""

    def __init__(self, factory: TlsFactory, context: SSLContext | None = None, server_name: str = "localhost") -> None:
        address = IPv4Address("TCP", "10.0.0.1", 50000)
        self.layer: TlsLayer = factory.buildProtocol(address)
        self.wire = Wire(address)
        self.layer.makeConnection(self.wire)
        self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
        self.tls: SSLObject = (context or client_context()).wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def shake_hands(self) -> None:
        """Raises SSLError when the listener, or this client, refuses."""
        done = False
        while not done:
            try:
                self.tls.do_handshake()
                done = True
            except SSLWantReadError:
                pass
            finally:
                self.deliver()
            self.feed()

    def deliver(self) -> None:
        """What this client has to send arrives in one piece."""
        data = self._outgoing.read()
        if data:
            self.layer.dataReceived(data)

    def encrypt(self, data: bytes) -> bytes:
        """`data` as it goes over the wire."""
        sent = 0
        while sent < len(data):
            sent += self.tls.write(data[sent:])
        return self._outgoing.read()

    def send(self, data: bytes) -> None:
        self.layer.dataReceived(self.encrypt(data))

    def goodbye(self) -> bytes:
        """Close_notify as it goes over the wire."""
        try:
            self.tls.unwrap()
        except SSLWantReadError:
            pass
        return self._outgoing.read()

    def feed(self) -> None:
        """What the listener has sent arrives."""
        self._incoming.write(self.wire.read())

    def received(self) -> bytes:
        """All that the listener has sent since the last call."""
        self.feed()
        pieces: list[bytes] = []
        try:
            while piece := self.tls.read(65536):
                pieces.append(piece)
        except SSLWantReadError:
            pass
        return b"".join(pieces)

    def ended(self) -> bool:
        """Whether the listener has said that nothing more comes."""
        self.feed()
        try:
            return self.tls.read(65536) == b""
        except SSLZeroReturnError:
            return True
        except SSLWantReadError:
            return False
