"""Who may connect to a listener: refused before anything is read, counted, and told in the log."""
from collections.abc import Iterator
from typing import cast

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from emqtwist.config import Address, TcpListener
from emqtwist.config.access import ACCESS
from emqtwist.core.causes import ADDRESS_DENIED, TOO_MANY_CONNECTIONS
from emqtwist.core.link import Turn
from emqtwist.core.metrics import Metrics
from emqtwist.net.admission import Admission

HERE = IPv4Address("TCP", "10.0.0.1", 50000)


class Gate:
    """An Admission, how many are inside, and what it logged."""

    def __init__(self, access: str = "allow all", max_connections: int = 0) -> None:
        self.inside = 0
        self.metrics = Metrics(Turn())
        section = TcpListener(name="a", bind=Address("127.0.0.1", 0), access=ACCESS.read(access),
                              max_connections=max_connections)
        self.admission = Admission("tcp.a", section, lambda: self.inside, self.metrics)


@pytest.fixture
def events() -> Iterator[list[LogEvent]]:
    seen: list[LogEvent] = []
    observer = cast(ILogObserver, seen.append)
    globalLogPublisher.addObserver(observer)
    yield seen
    globalLogPublisher.removeObserver(observer)


@pytest.mark.parametrize("address", [HERE, IPv6Address("TCP", "::1", 1)])
def test_everybody_may_come_in_by_default(address: IPv4Address | IPv6Address) -> None:
    gate = Gate()
    gate.inside = 1_000_000
    assert gate.admission.admits(address)
    assert gate.admission.refused == {}


def test_a_refusal_is_counted_and_logged_with_its_cause_and_listener(events: list[LogEvent]) -> None:
    gate = Gate("deny 10.0.0.0/8, allow all")
    assert not gate.admission.admits(HERE)
    assert gate.admission.refused == {ADDRESS_DENIED: 1}
    assert gate.metrics.counters()["refused_address_denied"] == 1
    [event] = [each for each in events if each["log_namespace"].startswith("emqtwist.net.admission")]
    assert (event["listener"], event["peer"], event["cause"]) == ("tcp.a", "10.0.0.1:50000", ADDRESS_DENIED)


def test_the_last_that_fits_comes_in_and_the_next_does_not() -> None:
    gate = Gate(max_connections=2)
    gate.inside = 1
    assert gate.admission.admits(HERE)
    gate.inside = 2
    assert not gate.admission.admits(HERE)
    assert gate.admission.refused == {TOO_MANY_CONNECTIONS: 1}
    assert gate.metrics.counters()["refused_too_many_connections"] == 1


def test_the_address_is_looked_at_first() -> None:
    gate = Gate("deny all", max_connections=1)
    gate.inside = 1
    gate.admission.admits(HERE)
    assert gate.admission.refused == {ADDRESS_DENIED: 1}


def told(events: list[LogEvent]) -> list[tuple[str, int]]:
    """Causes, and how many more there were: 0 for the line that names a peer."""
    own = [each for each in events if each["log_namespace"].startswith("emqtwist.net.admission")]
    return [(each["cause"], each.get("count", 0)) for each in own]


def test_of_many_refusals_the_log_has_a_line_for_each_cause_and_second(events: list[LogEvent]) -> None:
    gate = Gate("deny 10.0.0.0/8, allow all", max_connections=1)
    gate.inside = 1
    for _ in range(1000):
        gate.admission.admits(HERE)
        gate.admission.admits(IPv4Address("TCP", "11.0.0.1", 1))
    assert told(events) == [(ADDRESS_DENIED, 0), (TOO_MANY_CONNECTIONS, 0)]
    gate.admission.tell()
    assert told(events)[2:] == [(ADDRESS_DENIED, 999), (TOO_MANY_CONNECTIONS, 999)]
    gate.admission.tell()  # nothing more has happened
    assert len(told(events)) == 4
    gate.admission.admits(HERE)
    assert told(events)[4:] == [(ADDRESS_DENIED, 0)]
    gate.admission.tell()
    assert len(told(events)) == 5
    assert gate.admission.refused == {ADDRESS_DENIED: 1001, TOO_MANY_CONNECTIONS: 1000}
