"""The endpoint: protocols that know nothing of it, and where there are no batches."""
import socket
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.protocols.basic import LineReceiver
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface.verify import verifyObject

from emqtwist.net.batching import BatchingServerEndpoint, Port, Stream, endpoint
from tests.batches import LIMIT, HandReactor


class Echo(LineReceiver):
    made: ClassVar[list["Echo"]] = []

    def connectionMade(self) -> None:
        self.made.append(self)

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(line[::-1])


class Page(Resource):
    isLeaf = True
    body = bytes(300_000) + b"end"

    def render_GET(self, request: Request) -> bytes:
        return self.body


class Stand:
    """A port of a set of its own, in a reactor that is turned by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(endpoint, "can_batch", lambda reactor: isinstance(reactor, HandReactor))
        self.reactor = HandReactor()
        self.made: list[Any] = []
        self.ends: list[socket.socket] = []

    def listen(self, factory: Any) -> Port:
        listening: list[Any] = []
        made = BatchingServerEndpoint(self.reactor, 0, interface="127.0.0.1", options=(True, True))
        verifyObject(IStreamServerEndpoint, made)
        made.listen(factory).addCallback(listening.append)
        [port] = listening
        assert isinstance(port, Port)
        self.made.append(port)
        return port

    def call(self, port: Port) -> socket.socket:
        self.ends.append(socket.create_connection(("127.0.0.1", port.getHost().port), LIMIT))
        return self.ends[-1]

    def read(self, far: socket.socket, end: bytes) -> bytes:
        far.setblocking(False)
        data = b""
        for _ in range(1000):
            self.reactor.turn(0.01)
            try:
                data += far.recv(65536)
            except BlockingIOError:
                continue
            if data.endswith(end):
                return data
        raise AssertionError(data)

    def close(self) -> None:
        for port in self.made:
            port.stopListening()
        for far in self.ends:
            far.close()
        self.reactor.turn_until(lambda: not self.reactor.readers)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    made = Stand(monkeypatch)
    yield made
    made.close()


def test_a_protocol_of_twisted_is_served(stand: Stand) -> None:
    far = stand.call(stand.listen(Factory.forProtocol(Echo)))
    far.send(b"abc\r\n")
    assert stand.read(far, b"\r\n") == b"cba\r\n"
    transport = Echo.made.pop().transport
    assert isinstance(transport, Stream)
    assert (transport.getTcpNoDelay(), transport.getTcpKeepAlive()) == (True, True)


def test_a_site_of_twisted_is_served(stand: Stand) -> None:
    far = stand.call(stand.listen(Site(Page(), reactor=stand.reactor)))
    far.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    head, _, body = stand.read(far, b"end").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == Page.body


def test_each_endpoint_has_its_own_set(stand: Stand) -> None:
    for _ in range(2):
        stand.listen(Factory.forProtocol(Echo))
    assert len(stand.reactor.readers) == 2


def test_a_port_in_use_cannot_be_had(stand: Stand) -> None:
    failures: list[Any] = []
    number = stand.listen(Factory.forProtocol(Echo)).getHost().port
    again = BatchingServerEndpoint(stand.reactor, number, interface="127.0.0.1")
    again.listen(Factory.forProtocol(Echo)).addErrback(failures.append)
    assert failures[0].check(CannotListenError)


def test_a_reactor_without_batches_listens_itself() -> None:
    reactor = MemoryReactor()
    factory = Factory.forProtocol(Echo)
    BatchingServerEndpoint(reactor, 1234, 7, "127.0.0.1").listen(factory)
    assert reactor.tcpServers == [(1234, factory, 7, "127.0.0.1")]
