"""[listener.tcp.<name>]: each key has its effect."""
import pytest
from twisted.internet import reactor
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread

from emqtwist import BrokerService
from emqtwist.config import parse
from tests.integration.raw import RawClient
from tests.transports import IO


def make_broker(*lines: str) -> BrokerService:
    return BrokerService(parse("\n".join([f"node.io = {IO}", *lines])), reactor)


def test_listener_tcp_bind() -> None:
    memory = MemoryReactorClock()
    broker = BrokerService(parse(
        "mqtt.allow_anonymous = on\n"
        "[listener.tcp.a]\nbind = 127.0.0.1:2883\n"
        "[listener.tcp.b]\nbind = [::1]:2884\n"
        "[listener.tcp.c]\nbind = 2885\n"), memory)
    broker.startService()
    asked = [(port, interface) for port, _, _, interface in memory.tcpServers]
    assert asked == [(2883, "127.0.0.1"), (2884, "::1"), (2885, "0.0.0.0")]


def test_listener_tcp_backlog() -> None:
    memory = MemoryReactorClock()
    broker = BrokerService(parse(
        "[listener.tcp.a]\nbind = 127.0.0.1:2883\nbacklog = 7\n[listener.tcp.b]\nbind = 127.0.0.1:2884\n"), memory)
    broker.startService()
    assert [backlog for _, _, backlog, _ in memory.tcpServers] == [7, 1024]


async def test_each_listener_takes_connections_at_its_own_port() -> None:
    broker = make_broker("listener.tcp.a.bind = 127.0.0.1:0", "listener.tcp.b.bind = 127.0.0.1:0")
    broker.startService()
    try:
        assert broker.port("a") != broker.port("b")
        for name in ("a", "b"):
            with RawClient(broker.port(name)) as client:
                await deferToThread(client.connect, name)
        with pytest.raises(KeyError):
            broker.port("c")
    finally:
        await broker.stopService()


@pytest.mark.parametrize("nodelay", ["on", "off"])
async def test_listener_tcp_nodelay(nodelay: str) -> None:
    broker = make_broker("listener.tcp.default.bind = 127.0.0.1:0", f"listener.tcp.default.nodelay = {nodelay}")
    broker.startService()
    try:
        with RawClient(broker.port()) as client:
            await deferToThread(client.connect, "c")
            [protocol] = broker.listeners["default"].factory.protocols
            assert protocol.transport.getTcpNoDelay() == (nodelay == "on")
    finally:
        await broker.stopService()


async def test_listener_tcp_max_connections() -> None:
    broker = make_broker("listener.tcp.default.bind = 127.0.0.1:0", "listener.tcp.default.max_connections = 1",
                         "listener.tcp.other.bind = 127.0.0.1:0")
    broker.startService()
    try:
        with RawClient(broker.port()) as first:
            await deferToThread(first.connect, "first")
            with RawClient(broker.port()) as refused:
                assert await deferToThread(refused.is_closed)
            with RawClient(broker.port("other")) as other:  # each listener counts its own
                await deferToThread(other.connect, "other")
            assert refusals(broker) == ({"too_many_connections": 1}, 1)
        await broker.listeners["default"].factory.when_empty()
        with RawClient(broker.port()) as next_one:
            await deferToThread(next_one.connect, "next")
    finally:
        await broker.stopService()


async def test_listener_tcp_access() -> None:
    broker = make_broker("listener.tcp.default.bind = 127.0.0.1:0", "listener.tcp.default.access = deny 127.0.0.0/8, allow all")
    broker.startService()
    try:
        with RawClient(broker.port()) as refused:
            assert await deferToThread(refused.is_closed)
        assert refusals(broker) == ({"address_denied": 1}, 1)
    finally:
        await broker.stopService()


async def test_limits_of_a_listener_are_changed_live_for_who_comes_later() -> None:
    port = "listener.tcp.default.bind = 127.0.0.1:0"
    broker = make_broker(port)
    broker.startService()
    try:
        with RawClient(broker.port()) as first:
            await deferToThread(first.connect, "first")
            for line in ("max_connections = 1", "access = deny all"):
                broker.reconfigure(parse(f"node.io = {IO}\n{port}\nlistener.tcp.default.{line}"))
                with RawClient(broker.port()) as refused:
                    assert await deferToThread(refused.is_closed)
            assert await deferToThread(first.subscribe, b"a") == [0]
        assert refusals(broker) == ({"too_many_connections": 1, "address_denied": 1}, 2)
    finally:
        await broker.stopService()


def refusals(broker: BrokerService) -> tuple[dict[str, int], int]:
    """Those of the listener `default` by cause, and how many the broker counts."""
    counters = broker.broker.metrics.counters()
    return broker.listeners["default"].admission.refused, sum(
        count for name, count in counters.items() if name.startswith("refused_"))
