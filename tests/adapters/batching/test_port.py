"""The listening port: how many it accepts, and what it does when it cannot."""
import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure

from emqtwist.net.batching import Port, listen_tcp, port
from tests.batches import LIMIT, Recorder, Room


class Factory(ServerFactory):
    """Makes Recorders; `refusal` is what it does instead."""

    noisy = False
    refusal: type[Exception] | str = ""

    def __init__(self) -> None:
        self.made: list[Recorder] = []
        self.addresses: list[Any] = []
        self.protocols: list[Recorder] = []  # those of the next connections; then Recorders

    def buildProtocol(self, addr: IAddress) -> Recorder | None:  # type: ignore[override]
        self.addresses.append(addr)
        if isinstance(self.refusal, str) and self.refusal:
            return None
        if self.refusal:
            raise self.refusal
        self.made.append(self.protocols.pop(0) if self.protocols else Recorder())
        return self.made[-1]


class Entrance(Room):
    """A port of a set in a reactor that is turned by hand."""

    def __init__(self, interface: str = "127.0.0.1") -> None:
        super().__init__()
        self.factory = Factory()
        self.interface = interface
        listening = listen_tcp(0, self.factory, 50, interface, self.sockets, (True, True))
        assert isinstance(listening, Port)
        self.port = listening

    def call(self) -> socket.socket:
        self.ends.append(socket.create_connection((self.interface, self.port.getHost().port), LIMIT))
        return self.ends[-1]

    def fail_to_accept(self, *errors: int) -> None:
        self.port.socket = Faulty(self.port.socket, errors)


class Faulty:
    """A listening socket whose first accepts fail."""

    def __init__(self, real: Any, errors: tuple[int, ...]) -> None:
        self.real = real
        self.errors = list(errors)

    def _accept(self) -> Any:
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return self.real._accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.fixture(params=["127.0.0.1"])
def entrance(request: pytest.FixtureRequest) -> Iterator[Entrance]:
    made = Entrance(request.param)
    yield made
    made.close()


def test_who_connects_is_served(entrance: Entrance) -> None:
    far = entrance.call()
    far.send(b"x")
    entrance.reactor.turn_until(lambda: bool(entrance.factory.made) and entrance.factory.made[0].data == b"x")
    assert entrance.factory.addresses == [IPv4Address("TCP", *far.getsockname())]
    stream = entrance.factory.made[0].stream
    assert stream.getPeer() == entrance.factory.addresses[0]
    assert stream.getHost() == entrance.port.getHost()


@pytest.mark.parametrize("entrance", ["::1"], indirect=True)
def test_an_ipv6_peer_has_an_ipv6_address(entrance: Entrance) -> None:
    far = entrance.call()
    entrance.reactor.turn_until(lambda: bool(entrance.factory.made))
    stream = entrance.factory.made[0].stream
    assert isinstance(stream.getPeer(), IPv6Address)
    assert (stream.getPeer().host, stream.getPeer().port) == ("::1", far.getsockname()[1])
    assert stream.getHost() == entrance.port.getHost()


def test_one_batch_accepts_a_bounded_number(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "ACCEPTS", 2)
    for _ in range(5):
        entrance.call()
    counts = []
    for _ in range(3):
        entrance.reactor.turn()
        counts.append(len(entrance.factory.made))
    assert counts == [2, 4, 5]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_port_without_room_pauses_and_then_goes_on(entrance: Entrance, number: int) -> None:
    entrance.fail_to_accept(number)
    entrance.call()
    entrance.reactor.turn()
    assert entrance.factory.made == []
    assert entrance.reactor.ready() == []  # though somebody waits: it does not spin
    entrance.reactor.advance(port.PAUSE - 0.1)
    assert entrance.reactor.ready() == []
    entrance.reactor.advance(0.1)
    entrance.reactor.turn()
    assert len(entrance.factory.made) == 1


def test_a_port_that_is_held_does_not_accept_when_a_pause_is_over(entrance: Entrance) -> None:
    entrance.fail_to_accept(errno.EMFILE)
    entrance.call()
    entrance.reactor.turn()
    entrance.port.stopReading()
    entrance.reactor.advance(port.PAUSE)
    assert entrance.reactor.ready() == []
    entrance.port.startReading()
    entrance.reactor.turn()
    assert len(entrance.factory.made) == 1


def test_a_port_that_is_released_in_a_pause_waits_for_its_end(entrance: Entrance) -> None:
    entrance.fail_to_accept(errno.EMFILE)
    entrance.call()
    entrance.reactor.turn()
    entrance.port.stopReading()
    entrance.port.startReading()
    assert entrance.reactor.ready() == []
    entrance.reactor.advance(port.PAUSE)
    entrance.reactor.turn()
    assert len(entrance.factory.made) == 1


def test_connections_that_stand_are_served_meanwhile(entrance: Entrance) -> None:
    far = entrance.call()
    entrance.reactor.turn_until(lambda: bool(entrance.factory.made))
    entrance.fail_to_accept(errno.EMFILE)
    entrance.call()
    entrance.reactor.turn()
    far.send(b"x")
    entrance.reactor.turn_until(lambda: entrance.factory.made[0].data == b"x")


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPERM, errno.EPROTO])
def test_a_connection_that_is_gone_before_it_is_accepted_is_passed_over(entrance: Entrance, number: int) -> None:
    entrance.fail_to_accept(number, number)
    entrance.call()
    entrance.reactor.turn()
    assert len(entrance.factory.made) == 1


def test_any_other_error_is_logged_and_closes_the_port(entrance: Entrance, logged_failures: list[Failure]) -> None:
    number = entrance.port.getHost().port
    entrance.fail_to_accept(errno.EINVAL)
    entrance.call()
    entrance.reactor.turn()
    assert logged_failures.pop().type is OSError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number))


def test_a_factory_may_refuse(entrance: Entrance) -> None:
    entrance.factory.refusal = "nobody"
    far = entrance.call()
    entrance.reactor.turn_until(lambda: bool(entrance.factory.addresses))
    assert far.recv(1) == b""


def test_a_factory_that_fails_costs_that_connection(entrance: Entrance, logged_failures: list[Failure]) -> None:
    entrance.factory.refusal = ZeroDivisionError
    far = entrance.call()
    entrance.reactor.turn_until(lambda: bool(entrance.factory.addresses))
    assert far.recv(1) == b""
    assert logged_failures.pop().type is ZeroDivisionError


class Faults:
    """A step of accepting a connection that fails once."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.failed = False

    def __call__(self, *arguments: Any) -> Any:
        if self.failed:
            return self.real(*arguments)
        self.failed = True
        raise ZeroDivisionError


@pytest.mark.parametrize("step", ["_peer", "stream"])
def test_a_step_that_fails_costs_that_connection_and_not_the_port(entrance: Entrance, step: str,
                                                                 logged_failures: list[Failure]) -> None:
    setattr(entrance.port, step, Faults(getattr(entrance.port, step)))
    far, other = entrance.call(), entrance.call()
    entrance.reactor.turn()
    other.send(b"x")
    entrance.reactor.turn()
    assert far.recv(1) == b""
    assert entrance.factory.made[-1].data == b"x"
    assert logged_failures.pop().type is ZeroDivisionError


def test_a_protocol_that_fails_as_it_is_made_costs_its_connection(entrance: Entrance, logged_failures: list[Failure]) -> None:
    class Faulty(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            raise ZeroDivisionError

    entrance.factory.protocols.append(Faulty())
    far, other = entrance.call(), entrance.call()
    entrance.reactor.turn()
    other.send(b"x")
    entrance.reactor.turn()
    assert far.recv(1) == b""
    assert [each.ended for each in entrance.factory.made] == ["ZeroDivisionError", ""]
    assert entrance.factory.made[1].data == b"x"
    assert logged_failures.pop().type is ZeroDivisionError


def test_a_socket_that_the_set_has_no_room_for_is_in_no_set(entrance: Entrance, logged_failures: list[Failure]) -> None:
    """epoll_ctl gives ENOSPC where `fs.epoll.max_user_watches` is reached."""
    members = dict(entrance.sockets.members)
    entrance.call()
    full, entrance.sockets._epoll = entrance.sockets._epoll, Full(entrance.sockets._epoll)  # type: ignore[assignment]
    entrance.reactor.turn()
    entrance.sockets._epoll = full
    assert entrance.sockets.members == members
    assert logged_failures.pop().type is OSError
    entrance.call()
    entrance.reactor.turn_until(lambda: len(entrance.factory.made) == 2)


class Full:
    """An epoll set without room."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def register(self, fd: int, events: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_a_port_that_is_closed_leaves_its_connections(entrance: Entrance) -> None:
    far = entrance.call()
    entrance.reactor.turn_until(lambda: bool(entrance.factory.made))
    address = far.getpeername()
    stopped: list[object] = []
    entrance.port.stopListening().addCallback(stopped.append)
    assert stopped == []
    entrance.reactor.turn()
    assert len(stopped) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    far.send(b"x")
    entrance.reactor.turn_until(lambda: entrance.factory.made[0].data == b"x")


@pytest.mark.parametrize("late", [False, True])
def test_a_port_that_is_closed_in_a_pause_does_not_open_again(entrance: Entrance, late: bool) -> None:
    entrance.fail_to_accept(errno.EMFILE)
    entrance.call()
    entrance.reactor.turn()
    entrance.port.stopListening()
    if late:
        entrance.reactor.advance(port.PAUSE)
    entrance.reactor.turn()
    assert entrance.reactor.getDelayedCalls() == []
    assert entrance.sockets.members == {}


def test_a_port_in_use_cannot_be_had(entrance: Entrance) -> None:
    with pytest.raises(CannotListenError):
        listen_tcp(entrance.port.getHost().port, Factory(), 50, "127.0.0.1", entrance.sockets)


def test_the_end_of_the_reactor_closes_the_port(entrance: Entrance) -> None:
    number = entrance.port.getHost().port
    entrance.port.stopListening()
    entrance.sockets.connectionLost(Failure(ConnectionLost()))
    entrance.reactor.turn()  # what was to close it finds it closed
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number))


def test_connections_inherit_the_options_and_may_change_them(entrance: Entrance) -> None:
    entrance.call()
    entrance.reactor.turn()
    stream = entrance.factory.made[0].stream
    assert (stream.getTcpNoDelay(), stream.getTcpKeepAlive()) == (True, True)
    for enabled in (True, False, True):
        stream.setTcpNoDelay(enabled)
        stream.setTcpKeepAlive(enabled)
        assert (stream.getTcpNoDelay(), stream.getTcpKeepAlive()) == (enabled, enabled)
