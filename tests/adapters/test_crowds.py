"""[listener.*] max_connections_per_address, connection_rate_per_address, connection_rate: floods of connections."""
import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from emqtwist.config import AnyListener, parse
from emqtwist.core.causes import CONNECTION_RATE, TOO_MANY_FROM_ADDRESS
from emqtwist.net import crowds
from emqtwist.net.crowds import Crowd
from emqtwist.net.listeners import TOO_FAST, Listener
from tests.adapters.test_overload import Port
from tests.adapters.test_protocol import Hall
from tests.wires import Caller


def section(*lines: str) -> AnyListener:
    [made] = parse("\n".join(["listener.tcp.a.bind = 127.0.0.1:0", *(f"listener.tcp.a.{line}" for line in lines)])).listener.tcp
    return made


def address(host: str) -> IAddress:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, 5000)


class Street:
    """A listener, and who comes to it."""

    def __init__(self, *lines: str) -> None:
        self.hall = Hall()
        self.clock: Clock = self.hall.clock
        self.listener = Listener(section(*lines), self.hall.factory, self.clock)
        self.crowd = Crowd(self.listener)
        self.listener.admission.checks.append(self.crowd.check)
        self.port = Port()
        self.listener._port = self.port  # type: ignore[assignment]

    def call(self, host: str = "10.0.0.1") -> Caller | None:
        """A connection, or None when it is refused."""
        if self.listener.entrance.buildProtocol(address(host)) is None:
            return None
        return Caller(self.hall.factory, self.clock, host)

    def calls(self, *hosts: str) -> list[bool]:
        """Who comes in."""
        return [self.call(host) is not None for host in hosts]

    @property
    def refused(self) -> dict[str, int]:
        return self.listener.admission.refused


def test_listener_max_connections_per_address() -> None:
    street = Street("max_connections_per_address = 2")
    first = street.call()
    assert first is not None
    assert street.calls("10.0.0.1", "10.0.0.1", "10.0.0.2") == [True, False, True]
    assert street.refused == {TOO_MANY_FROM_ADDRESS: 1}
    first.hang_up()
    assert street.calls("10.0.0.1", "10.0.0.1") == [True, False]
    for protocol in list(street.hall.factory.protocols):
        protocol.connectionLost()
    assert street.hall.factory.sources() == {}


def test_connections_count_that_were_there_when_the_bound_came() -> None:
    street = Street()
    assert street.calls("10.0.0.1", "10.0.0.1", "10.0.0.1") == [True] * 3
    street.listener.configure(section("max_connections_per_address = 3"))
    assert street.calls("10.0.0.1", "10.0.0.2") == [False, True]


def test_listener_connection_rate_per_address() -> None:
    street = Street("connection_rate_per_address = 2")
    assert street.calls("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2") == [True, True, False, True]
    assert street.refused == {CONNECTION_RATE: 1}
    street.clock.advance(0.5)
    assert street.calls("10.0.0.1", "10.0.0.1") == [True, False]
    street.clock.advance(60)
    assert street.calls("10.0.0.1", "10.0.0.1", "10.0.0.1") == [True, True, False]


@pytest.mark.parametrize("line", ["max_connections_per_address = 1", "connection_rate_per_address = 1"])
def test_an_ipv6_network_is_one_address_and_a_socket_file_is_none(line: str) -> None:
    street = Street(line)
    assert street.calls("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1") == [True, False, True]
    for _ in range(3):
        assert street.listener.entrance.buildProtocol(UNIXAddress(b"")) is not None


def test_a_flood_from_many_addresses_is_not_remembered_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "MOST", 10)
    street = Street("connection_rate_per_address = 1")
    for number in range(100):
        assert street.crowd.check(f"10.0.1.{number}") == ""
    assert len(street.crowd) == 10
    assert street.crowd.check("10.0.1.99") == CONNECTION_RATE


def test_nobody_is_remembered_where_there_is_no_bound() -> None:
    street = Street()
    assert street.calls("10.0.0.1", "10.0.0.1") == [True, True]
    assert len(street.crowd) == 0


def test_listener_connection_rate() -> None:
    street = Street("connection_rate = 2")
    assert street.calls("10.0.0.1", "10.0.0.2") == [True, True]
    assert street.port.states == []
    assert street.calls("10.0.0.3") == [True]  # it was accepted already, and is not turned away
    assert street.port.states == ["held"]
    street.clock.advance(0.4)
    assert street.port.states == ["held"]
    street.clock.advance(0.1)
    assert street.port.states == ["held", "open"]


def test_who_was_accepted_beyond_the_rate_is_paid_for() -> None:
    street = Street("connection_rate = 2")
    assert street.calls(*["10.0.0.1"] * 12) == [True] * 12
    street.clock.advance(0.5)
    street.clock.advance(4.4)
    assert street.port.states == ["held"]
    street.clock.advance(0.2)
    assert street.port.states == ["held", "open"]


def test_a_listener_that_is_closed_meanwhile_leaves_no_timer_and_accepts_when_it_is_back() -> None:
    reactor = MemoryReactorClock()
    street = Street("connection_rate = 1")
    street.listener._reactor = reactor
    assert street.calls("10.0.0.1", "10.0.0.2") == [True, True]
    assert street.listener._holds == {TOO_FAST}
    street.port.stopListening = lambda: None  # type: ignore[attr-defined]
    street.listener.close()
    assert street.listener._holds == set()
    assert not reactor.getDelayedCalls()
