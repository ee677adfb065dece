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
