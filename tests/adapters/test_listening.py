"""Listeners as parts: one whose port another has taken is tried for again and again, and nobody else pays for it."""
from collections.abc import Iterator

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.services.part import Killed

CONFIGURATION = parse("listener.tcp.a.bind = 127.0.0.1:2883\nlistener.tcp.b.bind = 127.0.0.1:2884")
A, B = "listeners/tcp.a", "listeners/tcp.b"


class Crowded(MemoryReactorClock):
    """Other programs have the ports in `taken`."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[int] = set()

    def listenTCP(self, port: int, *arguments: object, **named: object) -> IListeningPort:
        if port in self.taken:
            raise CannotListenError("127.0.0.1", port, OSError("in use"))
        listening: IListeningPort = super().listenTCP(port, *arguments, **named)
        return listening


@pytest.fixture
def reactor(logged_failures: list[Failure]) -> Iterator[Crowded]:
    yield Crowded()
    logged_failures[:] = [failure for failure in logged_failures if not failure.check(CannotListenError, Killed)]


@pytest.fixture
def service(reactor: Crowded) -> BrokerService:
    service = BrokerService(CONFIGURATION, reactor)
    service.startService()
    return service


def restarts(service: BrokerService) -> dict[str, int]:
    return {path: row.restarts for path, row in service.root.walk() if row.restarts}


@pytest.mark.parametrize("minutes", [1 / 60, 10])
def test_a_port_that_another_took_is_tried_for_until_it_is_free(reactor: Crowded, service: BrokerService, minutes: float) -> None:
    reactor.taken.add(2883)
    service.root.kill(A)
    assert service.root.find(A).state == "waiting"
    for _ in range(int(minutes * 60)):
        reactor.advance(1)
        assert (service.port("a"), service.port("b")) == (0, 2884)
    assert not service.ended.called
    reactor.taken.clear()
    reactor.advance(5)
    assert service.port("a") == 2883
    assert service.root.find(A).state == "running"
    assert set(restarts(service)) == {A}


def test_a_restart_on_request_that_fails_is_told_and_tried_again(reactor: Crowded, service: BrokerService) -> None:
    reactor.taken.add(2883)
    told: list[Failure] = []
    service.root.restart(A).addErrback(told.append)
    assert [failure.type for failure in told] == [CannotListenError]
    reactor.advance(5)
    assert service.port("a") == 0
    reactor.taken.clear()
    reactor.advance(5)
    assert service.port("a") == 2883


def test_a_listener_that_waits_for_its_port_can_be_restarted_and_stopped(reactor: Crowded, service: BrokerService) -> None:
    reactor.taken.add(2883)
    service.root.kill(A)
    reactor.advance(1)
    reactor.taken.clear()
    assert service.root.restart(A).called
    assert service.port("a") == 2883
    reactor.taken.add(2883)
    service.root.kill(A)
    assert service.stopService().called
    assert reactor.getDelayedCalls() == []
