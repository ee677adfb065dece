"""Which connections have bytes that their clients do not take, on both kinds of transports."""
import socket
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater

from emqtwist.app.settings import settings_of
from emqtwist.config import Config
from emqtwist.core.broker import Broker
from emqtwist.core.door import Door
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connect
from emqtwist.net.batching import Stream
from emqtwist.net.protocol import MQTTFactory, MQTTProtocol
from emqtwist.net.turns import Turns
from emqtwist.net.unsent import unsent
from tests.batches import Room

BLOCK = bytes(1 << 20)


def turns_on(clock: Any) -> Turns:
    return Turns(Broker(settings_of(Config()), lambda: "x", Turn(), Observer()), clock, lambda: 0.0)


def connect(room: Room, turns: Turns) -> tuple[MQTTProtocol, socket.socket]:
    factory = MQTTFactory(turns, room.reactor, Door("tcp.default"), False, 8 << 20)
    protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
    assert isinstance(protocol, MQTTProtocol)
    near, far = socket.socketpair()
    near.setblocking(False)
    room.ends.append(far)
    protocol.makeConnection(QuietStream(near, IPv4Address("TCP", "127.0.0.1", 1), protocol, room.sockets))
    return protocol, far


class QuietStream(Stream):
    """On a socket that is not TCP."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        assert enabled is False


def test_a_connection_is_there_while_bytes_wait_for_it(room: Room) -> None:
    turns = turns_on(room.reactor)
    slow, far = connect(room, turns)
    quick, _ = connect(room, turns)
    quick.transport.write(b"x")
    assert list(unsent(room.reactor, room.sockets, turns)) == []
    slow.transport.write(BLOCK)
    [(connection, size)] = unsent(room.reactor, room.sockets, turns)
    assert connection is slow.connection
    assert 0 < size < len(BLOCK)
    assert isinstance(slow.transport, Stream)
    assert size == slow.transport.unsent
    room.drain(far, lambda: not list(unsent(room.reactor, room.sockets, turns)))
    assert list(unsent(room.reactor, room.sockets, turns)) == []


def test_a_connection_that_ends_with_unsent_bytes_is_there_no_more(room: Room) -> None:
    turns = turns_on(room.reactor)
    slow, far = connect(room, turns)
    slow.transport.write(BLOCK)
    far.close()
    room.reactor.turn_until(lambda: not room.sockets.members)
    assert list(unsent(room.reactor, room.sockets, turns)) == []
    assert room.sockets.writing == set()


async def test_tls_connections_of_the_host_are_none_of_the_brokers() -> None:
    """Of a program that talks TLS by Twisted's own means, to somebody who does not read."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", server.getsockname()[1], CertificateOptions())
        host = await connectProtocol(endpoint, Protocol())
        far, _ = server.accept()
        with far:
            transport = cast(Any, host.transport)
            transport.transport.write(bytes(32 << 20))
            assert transport.transport in reactor.getWriters()
            assert list(unsent(reactor, None, turns_on(reactor))) == []
            transport.abortConnection()


async def test_it_is_the_same_with_twisteds_transports() -> None:
    turns, others = turns_on(reactor), turns_on(reactor)
    factory = MQTTFactory(turns, reactor, Door("tcp.default"), False, 64 << 20)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    address = cast(IPv4Address, port.getHost())
    with socket.create_connection((address.host, address.port)) as far:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # some systems would hold all for it
        far.sendall(encode(Connect(5, "slow"), 5))
        while not factory.protocols or not next(iter(factory.protocols)).connection.client_id:
            await deferLater(reactor, 0.001, lambda: None)
        [slow] = factory.protocols
        assert list(unsent(reactor, None, turns)) == []
        slow.transport.write(bytes(32 << 20))
        [(connection, size)] = unsent(reactor, None, turns)
        assert connection is slow.connection
        assert size == 32 << 20
        assert list(unsent(reactor, None, others)) == []
        while [*unsent(reactor, None, turns)] == [(connection, size)]:
            await deferLater(reactor, 0.001, lambda: None)
        [(_, left)] = unsent(reactor, None, turns)
        assert 0 < left < size
        slow.transport.abortConnection()
        await factory.when_empty()
    await maybeDeferred(port.stopListening)
