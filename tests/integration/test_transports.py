"""[node] io: both ways of serving sockets, on every reactor, with real sockets."""
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.task import Clock

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.mqtt.packets import Puback, Publish
from tests.integration.program import Program
from tests.integration.raw import RawClient
from tests.transports import CLASSES

HOST = Path(__file__).with_name("reactor_host.py")
REACTORS = {
    "epoll": "twisted EPollReactor", "select": "twisted SelectReactor", "poll": "twisted PollReactor",
    "asyncio": "asyncio AsyncioSelectorReactor", "uvloop": "uvloop AsyncioSelectorReactor",
}
each_way = pytest.mark.parametrize("io", CLASSES)


class Host:
    """A broker in a process of its own, on a reactor that the test chose."""

    def __init__(self, reactor_name: str, io: str, *lines: str) -> None:
        configuration = "\n".join([f"node.io = {io}", "listener.tcp.default.bind = 127.0.0.1:0", *lines])
        self.program = Program(sys.executable, "-W", "error", HOST, reactor_name, configuration)
        self.port = int(self.program.next(r"^port (\d+)")[1])


@pytest.fixture(params=CLASSES)
def io(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=REACTORS)
def host(request: pytest.FixtureRequest, io: str) -> Iterator[Host]:
    made = Host(request.param, io)
    yield made
    made.program.kill()


def test_clients_are_served_on_every_reactor(host: Host, io: str, request: pytest.FixtureRequest) -> None:
    large = bytes(range(256)) * 4000
    with RawClient(host.port) as bob, RawClient(host.port, 4) as alice:
        bob.connect("bob")
        alice.connect("alice")
        assert bob.subscribe(b"a/#", 1) == [1]
        for number in range(5):  # more than a socket takes at once
            alice.send(Publish(b"a/b", large, 1, packet_id=number + 1))
        for number in range(5):
            got = bob.next(Publish)
            bob.send(Puback(got.packet_id))
            assert got.payload == large
            assert alice.next(Puback).packet_id == number + 1
        alice.send(Publish(b"report", b""))
        name = REACTORS[request.node.callspec.params["host"]]
        host.program.next(f"^reactor {name} transports {CLASSES[io].__name__}$")


def test_the_reactors_end_is_the_end_of_every_connection(host: Host) -> None:
    with RawClient(host.port) as bob, RawClient(host.port) as alice:
        bob.connect("bob")
        alice.connect("alice")
        alice.send(Publish(b"stop", b""))
        assert bob.is_closed()
        assert alice.is_closed()
        host.program.next("^left 0$")
        assert host.program.wait() == 0


def test_node_io() -> None:
    assert BrokerService(reactor=reactor).sockets is not None
    assert BrokerService(parse("node.io = stock"), reactor).sockets is None
    assert BrokerService(parse("node.io = engine"), Clock()).sockets is None


@each_way
def test_a_reader_that_is_slow_gets_all_and_its_publisher_is_not_held_up(io: str) -> None:
    """What it does not take waits in its session: unsent bytes are bounded, and nothing is lost."""
    host = Host("epoll", io, "mqtt.client.max_unsent = 64KB")
    try:
        with RawClient(host.port) as bob, RawClient(host.port) as alice:
            bob.connect("bob")
            alice.connect("alice")
            assert bob.subscribe(b"a", 1) == [1]
            payloads = [bytes((number,)) * 500_000 for number in range(40)]  # more than sockets and bound together take
            for number, payload in enumerate(payloads, 1):
                alice.send(Publish(b"a", payload, 1, packet_id=number))
                assert alice.next(Puback).reason_code == 0
            for payload in payloads:
                got = bob.next(Publish)
                assert got.payload == payload
                bob.send(Puback(got.packet_id))
    finally:
        host.program.kill()
