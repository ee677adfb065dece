"""[listener.<type>.<name>]: each key has its effect."""
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.mqtt.constants import NOT_AUTHORIZED
from emqtwist.mqtt.packets import Connack, Connect, Publish
from tests.authorities import Authority
from tests.integration.raw import RawClient
from tests.integration.supervision.traffic import until
from tests.transports import IO

KINDS = ("tcp", "unix")
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where Unix sockets are, by names that are short enough."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def bind(kind: str, name: str = "a") -> str:
    """The line that says where a listener is to be."""
    return f"listener.{kind}.{name}.bind = {name if kind == 'unix' else '127.0.0.1:0'}"


def make_broker(*lines: str) -> BrokerService:
    return BrokerService(parse("\n".join([f"node.io = {IO}", *lines])), reactor)


@asynccontextmanager
async def running(*lines: str) -> AsyncIterator[BrokerService]:
    broker = make_broker(*lines)
    broker.startService()
    try:
        yield broker
    finally:
        await broker.stopService()


def call(broker: BrokerService, label: str) -> RawClient:
    """A connection to a listener."""
    listener = broker.listeners[label]
    return RawClient(listener.port or listener.address)


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


def test_listener_ssl_bind(folder: Path) -> None:
    memory = MemoryReactorClock()
    pair = Authority(folder).server()
    broker = BrokerService(parse(f"[listener.ssl.a]\nbind = [::1]:2883\n{pair.lines}"), memory)
    broker.startService()
    assert [(port, interface) for port, _, _, interface in memory.tcpServers] == [(2883, "::1")]


def test_listener_ws_bind() -> None:
    memory = MemoryReactorClock()
    BrokerService(parse("[listener.ws.a]\nbind = [::1]:2883\n"), memory).startService()
    assert [(port, interface) for port, _, _, interface in memory.tcpServers] == [(2883, "::1")]


def test_listener_wss_bind(folder: Path) -> None:
    memory = MemoryReactorClock()
    pair = Authority(folder).server()
    BrokerService(parse(f"[listener.wss.a]\nbind = [::1]:2883\n{pair.lines}"), memory).startService()
    assert [(port, interface) for port, _, _, interface in memory.tcpServers] == [(2883, "::1")]


async def test_listener_unix_bind(folder: Path) -> None:
    async with running("listener.unix.a.bind = a", f"listener.unix.b.bind = {folder}/b") as broker:
        for path in (folder / "a", folder / "b"):
            assert stat.S_ISSOCK(path.stat().st_mode)
            with RawClient(str(path)) as client:
                await deferToThread(client.connect, path.name)
        assert [listener.address for listener in broker.listeners.values()] == ["a", f"{folder}/b"]
    assert list(folder.iterdir()) == []


def test_listener_backlog() -> None:
    memory = MemoryReactorClock()
    broker = BrokerService(parse(
        "[listener.tcp.a]\nbind = 127.0.0.1:2883\nbacklog = 7\n[listener.tcp.b]\nbind = 127.0.0.1:2884\n"
        "[listener.unix.a]\nbind = a\nbacklog = 7\n[listener.unix.b]\nbind = b\n"), memory)
    broker.startService()
    assert [backlog for _, _, backlog, _ in memory.tcpServers] == [7, 1024]
    assert [backlog for _, _, backlog, _, _ in memory.unixServers] == [7, 1024]


@each_kind
async def test_clients_that_are_refused_are_told_in_the_log_by_listener_and_once_a_second(kind: str) -> None:
    async with running(bind(kind), "mqtt.allow_anonymous = off") as broker:
        with capturedLogs() as events:
            for number in range(3):
                with call(broker, f"{kind}.a") as client:
                    client.send(Connect(client.version, f"c{number}"))
                    assert (await deferToThread(client.next, Connack)).reason_code == NOT_AUTHORIZED
            broker.tick()
        told = [event for event in events if event.get("cause") == "not_authorized"]
        assert formatEvent(told[0]).startswith(f"{kind}.a refuses c0 from ")
        assert [event["listener"] for event in told] == [f"{kind}.a"] * len(told)
        assert sum(event.get("count", 1) for event in told) == 3  # a second may have passed between two of them
        assert broker.listeners[f"{kind}.a"].factory.ends == {"not_authorized": 3}


@each_kind
async def test_each_listener_takes_connections_at_its_own_place(kind: str) -> None:
    async with running(bind(kind, "a"), bind(kind, "b")) as broker:
        assert broker.listeners[f"{kind}.a"].address != broker.listeners[f"{kind}.b"].address
        for name in ("a", "b"):
            with call(broker, f"{kind}.{name}") as client:
                await deferToThread(client.connect, name)
        for name in ("c", f"{kind}.c"):
            with pytest.raises(KeyError):
                broker.port(name)


async def test_listeners_of_all_types_may_have_one_name() -> None:
    async with running(*(bind(kind) for kind in KINDS)) as broker:
        for kind in KINDS:
            with call(broker, f"{kind}.a") as client:
                await deferToThread(client.connect, kind)
                [protocol] = broker.listeners[f"{kind}.a"].factory.protocols
                assert protocol.connection.client().listener == f"{kind}.a"
        assert broker.port("a") == broker.port("tcp.a") > broker.port("unix.a") == 0


async def test_ipv6_clients_are_served_and_known_by_their_address() -> None:
    async with running("listener.tcp.a.bind = [::1]:0", "listener.tcp.a.access = allow ::1, deny all") as broker:
        with RawClient(broker.port("a"), host="::1") as client:
            await deferToThread(client.connect, "six")
            [protocol] = broker.listeners["tcp.a"].factory.protocols
            assert (protocol.connection.peer.address, protocol.connection.peer.loopback) == ("::1", True)
            assert broker.listeners["tcp.a"].address == f"[::1]:{broker.port('a')}"


@pytest.mark.parametrize("nodelay", ["on", "off"])
async def test_listener_nodelay(nodelay: str) -> None:
    other = {"on": "off", "off": "on"}[nodelay]
    async with running(bind("tcp"), f"listener.tcp.a.nodelay = {nodelay}") as broker:
        for word in (nodelay, other):
            broker.reconfigure(parse(f"node.io = {IO}\n{bind('tcp')}\nlistener.tcp.a.nodelay = {word}"))
            with call(broker, "tcp.a") as client:
                await deferToThread(client.connect, word)
                last = list(broker.listeners["tcp.a"].factory.protocols)[-1]
                assert last.transport.getTcpNoDelay() == (word == "on")


async def test_listener_unix_mode(folder: Path) -> None:
    async with running(bind("unix"), "listener.unix.a.mode = 0600", bind("unix", "b")) as broker:
        assert [stat.S_IMODE((folder / name).stat().st_mode) for name in "ab"] == [0o600, 0o660]
        broker.reconfigure(parse(f"node.io = {IO}\n{bind('unix')}\nlistener.unix.a.mode = 0666\n{bind('unix', 'b')}"))
        assert [stat.S_IMODE((folder / name).stat().st_mode) for name in "ab"] == [0o666, 0o660]


@each_kind
async def test_listener_max_connections(kind: str) -> None:
    async with running(bind(kind), f"listener.{kind}.a.max_connections = 1", bind(kind, "other")) as broker:
        label = f"{kind}.a"
        with call(broker, label) as first:
            await deferToThread(first.connect, "first")
            with call(broker, label) as refused:
                assert await deferToThread(refused.is_closed)
            with call(broker, f"{kind}.other") as other:  # each listener counts its own
                await deferToThread(other.connect, "other")
            assert refusals(broker, label) == ({"too_many_connections": 1}, 1)
        await broker.listeners[label].factory.when_empty()
        with call(broker, label) as next_one:
            await deferToThread(next_one.connect, "next")


@pytest.mark.parametrize(("kind", "rules"), [
    ("tcp", "deny 127.0.0.0/8, allow all"), ("tcp", "allow 10.0.0.0/8, deny all"), ("unix", "allow ::/0, deny all")])
async def test_listener_access(kind: str, rules: str) -> None:
    async with running(bind(kind), f"listener.{kind}.a.access = {rules}") as broker:
        with call(broker, f"{kind}.a") as refused:
            assert await deferToThread(refused.is_closed)
        assert refusals(broker, f"{kind}.a") == ({"address_denied": 1}, 1)


@each_kind
async def test_limits_of_a_listener_are_changed_live_for_who_comes_later(kind: str) -> None:
    async with running(bind(kind)) as broker:
        with call(broker, f"{kind}.a") as first:
            await deferToThread(first.connect, "first")
            for line in ("max_connections = 1", "access = deny all"):
                broker.reconfigure(parse(f"node.io = {IO}\n{bind(kind)}\nlistener.{kind}.a.{line}"))
                with call(broker, f"{kind}.a") as refused:
                    assert await deferToThread(refused.is_closed)
            assert await deferToThread(first.subscribe, b"a") == [0]
        assert refusals(broker, f"{kind}.a") == ({"too_many_connections": 1, "address_denied": 1}, 2)


def refusals(broker: BrokerService, label: str) -> tuple[dict[str, int], int]:
    """Those of a listener by cause, and how many the broker counts."""
    counters = broker.broker.metrics.counters()
    return broker.listeners[label].admission.refused, sum(
        count for name, count in counters.items() if name.startswith("refused_"))


@each_kind
async def test_a_listener_that_was_stopped_or_restarted_keeps_its_connections_and_its_place(kind: str) -> None:
    async with running(bind(kind), bind("tcp", "other")) as broker:
        listener = broker.listeners[f"{kind}.a"]
        place, path = listener.port or listener.address, f"listeners/{kind}.a"
        with call(broker, f"{kind}.a") as first:
            await deferToThread(first.connect, "first")
            await broker.root.stop(path)
            with pytest.raises(OSError, match="refused|No such file"):
                await deferToThread(RawClient, place)
            assert await deferToThread(first.subscribe, b"a") == [0]
            for _ in range(2):  # a start is the restart of one that does not run
                await broker.root.restart(path)
                with RawClient(place) as other:
                    await deferToThread(other.connect, "other")
            with call(broker, "tcp.other") as other:
                await deferToThread(other.connect, "another")
            assert await deferToThread(first.subscribe, b"a") == [0]


@each_kind
async def test_a_listener_that_was_stopped_stays_so_when_all_of_them_start_again(kind: str) -> None:
    async with running(bind(kind), bind("tcp", "other")) as broker:
        listener, other = broker.listeners[f"{kind}.a"], broker.listeners["tcp.other"]
        await broker.root.stop(f"listeners/{kind}.a")
        for again in (broker.root.restart, broker.root.kill):
            before = broker.root.find("listeners").service
            again("listeners")
            await until(partial(renewed, broker, before))
            assert (listener.is_bound, other.is_bound) == (False, True)
        await broker.root.restart(f"listeners/{kind}.a")
        with call(broker, f"{kind}.a") as client:
            await deferToThread(client.connect, "c")


def renewed(broker: BrokerService, before: object) -> bool:
    """Whether the row of all listeners is another, and has started."""
    row = broker.root.find("listeners")
    return row.service is not before and row.state == "running"


# Unix sockets.

async def test_clients_at_a_unix_socket_are_of_this_machine_and_have_no_address() -> None:
    async with running(bind("unix"), bind("tcp")) as broker:
        with call(broker, "unix.a") as local, call(broker, "tcp.a") as other:
            await deferToThread(local.connect, "local")
            await deferToThread(other.connect, "other")
            [protocol] = broker.listeners["unix.a"].factory.protocols
            client = protocol.connection.client()
            assert (client.peer, client.address, client.loopback) == ("unix", "", True)
            assert await deferToThread(local.subscribe, b"a") == [0]
            other.send(Publish(b"a", b"x" * 100_000))
            assert len((await deferToThread(local.next, Publish)).payload) == 100_000


async def test_a_socket_file_that_a_dead_broker_left_is_replaced(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("a")
    async with running(bind("unix")) as broker:
        with call(broker, "unix.a") as client:
            await deferToThread(client.connect, "c")


@pytest.mark.parametrize("there", ["listener", "file", "far"])
async def test_what_else_is_there_is_left_alone(folder: Path, there: str) -> None:
    line = bind("unix") if there != "far" else f"listener.unix.a.bind = {'a' * 108}"
    with socket.socket(socket.AF_UNIX) as other:
        if there == "listener":
            other.bind("a")
            other.listen()
        elif there == "file":
            (folder / "a").touch()
        with pytest.raises(CannotListenError, match="another program|no socket|too long"):
            make_broker(line).startService()
        assert (folder / "a").exists() == (there != "far")


async def test_a_file_that_another_has_put_there_meanwhile_is_not_deleted(folder: Path) -> None:
    async with running(bind("unix")):
        (folder / "a").unlink()
        (folder / "a").touch()
    if IO == "engine":  # Twisted's own port deletes whatever is there
        assert (folder / "a").exists()
