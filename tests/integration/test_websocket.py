"""[listener.ws.<name>]: each key has its effect; hostile clients cost what they may; a browser."""
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from twisted.internet.threads import deferToThread

from emqtwist import BrokerService
from emqtwist.config import ConfigError, parse
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Disconnect, Pingreq, Pingresp, Puback, Publish
from tests.authorities import Authority
from tests.handshakes import client_context
from tests.integration.brokers import RunningBroker
from tests.integration.browser import Browser, Pages, missing
from tests.integration.raw import RawClient, RawWebSocket
from tests.integration.supervision.traffic import until
from tests.integration.test_listeners import refusals, running
from tests.transports import CLASSES, IO
from tests.websockets import CONTINUATION, PING, TEXT, frame, request

KIB = 1024
WS = "listener.ws.a.bind = 127.0.0.1:0"


def call(broker: BrokerService, asking: bytes = b"") -> RawWebSocket:
    return RawWebSocket(broker.listeners["ws.a"].port, asking=asking)


async def status(broker: BrokerService, asking: bytes) -> int:
    """What a handshake is answered."""
    with call(broker, asking) as client:
        return await deferToThread(lambda: client.status)


async def test_listener_path() -> None:
    async with running(WS, "listener.ws.a.path = /socket") as broker:
        assert await status(broker, request("/socket")) == 101
        assert await status(broker, request("/mqtt")) == 404
        assert refusals(broker, "ws.a") == ({"websocket_path": 1}, 1)


async def test_listener_require_protocol() -> None:
    async with running(WS) as broker:
        assert await status(broker, request(protocols=None)) == 406
        broker.reconfigure(parse(f"node.io = {IO}\n{WS}\nlistener.ws.a.require_protocol = off"))
        assert await status(broker, request(protocols=None)) == 101
        assert await status(broker, request(protocols="chat")) == 406
        assert refusals(broker, "ws.a") == ({"websocket_protocol": 2}, 2)


async def test_listener_origins() -> None:
    async with running(WS, "listener.ws.a.origins = https://example.org, http://localhost:*") as broker:
        assert await status(broker, request(origin="https://example.org")) == 101
        assert await status(broker, request(origin="http://localhost:8080")) == 101
        assert await status(broker, request()) == 101
        assert await status(broker, request(origin="https://evil.test")) == 403
        assert refusals(broker, "ws.a") == ({"websocket_origin": 1}, 1)


async def test_a_handshake_has_the_time_that_the_listener_gives() -> None:
    async with running(WS, "listener.ws.a.handshake_timeout = 1s") as broker:
        assert await status(broker, b"GET /mqtt HTTP/1.1\r\n") == 408
        assert refusals(broker, "ws.a") == ({"websocket_timeout": 1}, 1)


async def test_listener_max_upgrade_size() -> None:
    async with running(WS, "listener.ws.a.max_upgrade_size = 1KB") as broker:
        assert await status(broker, request(Cookie="x" * 700)) == 101
        assert await status(broker, request(Cookie="x" * 1000)) == 431
        assert refusals(broker, "ws.a") == ({"websocket_headers": 1}, 1)


async def test_listener_max_message_size() -> None:
    async with running(WS, "listener.ws.a.max_message_size = 1MB", "mqtt.max_packet_size = 1MB") as broker:
        with call(broker) as client:
            await deferToThread(client.connect, "c")
            client.socket.sendall(frame(encode(Pingreq(), 5), length=1 << 20))
            await deferToThread(client.next, Pingresp)
        with call(broker) as client:
            await deferToThread(client.connect, "c")
            client.socket.sendall(frame(b"", length=(1 << 20) + 1))
            assert (await deferToThread(client.next, Disconnect)).reason_code == 0x95
            assert await deferToThread(client.is_closed)
            assert client.close_code == 1009
    with pytest.raises(ConfigError, match="has to hold the largest packet"):
        parse(f"{WS}\nlistener.ws.a.max_message_size = 1KB")


async def test_listener_ping_interval() -> None:
    async with running(WS, "listener.ws.a.ping_interval = 1s") as broker:
        with call(broker) as client:
            await deferToThread(client.connect, "c")
            assert await deferToThread(client.next_frame) == (PING, b"")


async def test_connections_are_counted_from_their_handshake_on() -> None:
    async with running(WS, "listener.ws.a.max_connections = 1") as broker:
        with call(broker, b"GET ") as slow:
            with call(broker) as client:
                assert await deferToThread(client.next_frame) == (8, b"")
            assert refusals(broker, "ws.a") == ({"too_many_connections": 1}, 1)
            slow.socket.sendall(request()[4:])
            await deferToThread(slow.connect, "c")


async def test_a_broker_that_stops_ends_handshakes() -> None:
    with ExitStack() as kept:
        async with running(WS) as broker:
            opening = broker.listeners["ws.a"].outer.opening
            kept.enter_context(call(broker, b"GET "))
            await until(lambda: opening)
        await until(lambda: not opening)


async def test_clients_of_all_listeners_hear_each_other() -> None:
    async with running(WS, "listener.tcp.default.bind = 127.0.0.1:0") as broker:
        with call(broker) as browser, RawClient(broker.port()) as sensor:
            await deferToThread(browser.connect, "browser")
            await deferToThread(sensor.connect, "sensor")
            await deferToThread(browser.subscribe, b"a", 1)
            sensor.send(Publish(b"a", b"21.5", 1, packet_id=1))
            assert (await deferToThread(browser.next, Publish)).payload == b"21.5"
            assert {protocol.connection.door.name for protocol in broker.listeners["ws.a"].factory.protocols} == {"ws.a"}


async def test_over_tls_the_name_may_be_out_of_the_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    lines = [f"listener.wss.a.{line}" for line in authority.server().lines.splitlines()]
    async with running("listener.wss.a.bind = 127.0.0.1:0", *lines, "listener.wss.a.verify = require",
                       f"listener.wss.a.cacertfile = {authority.file}", "listener.wss.a.peer_cert_as_username = cn") as broker:
        port = broker.listeners["wss.a"].port
        tls = client_context(authority.file, authority.issue("lamp"))

        def talk() -> str | None:
            with RawWebSocket(port, tls=tls) as client:
                client.connect("c")
                assert client.subscribe(b"a") == [0]
                client.send(Publish(b"a", b"x" * 100_000))
                assert len(client.next(Publish).payload) == 100_000
                [protocol] = broker.listeners["wss.a"].factory.protocols
                return protocol.connection.user_name

        def stray() -> int:
            with RawWebSocket(port, tls=tls, asking=request("/other")) as client:
                return client.status

        assert await deferToThread(talk) == "lamp"
        assert await deferToThread(stray) == 404


@pytest.fixture(params=CLASSES)
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningBroker]:
    """A broker in a process of its own, on each kind of transport."""
    broker = RunningBroker(tmp_path, "[listener.ws.browsers]\nbind = 127.0.0.1:0\n", io=request.param)
    yield broker
    broker.program.kill()


def memory(pid: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def given_up(client: RawWebSocket, data: bytes) -> int | None:
    """Send until the broker has closed the connection; its close code."""
    try:
        for _ in range(10_000):
            client.socket.sendall(data)
    except OSError:
        pass
    client.is_closed()
    return client.close_code


DATA = encode(Publish(b"nobody/listens", b"x" * 15_980), 5)
HOSTILE = {  # what each sends on and on, and the reason of its end
    "endless fragments": (frame(b"", fin=False), frame(DATA, CONTINUATION, fin=False), "packet_too_large"),
    "a huge frame": (frame(b"", length=1 << 50), DATA, "packet_too_large"),
    "empty fragments": (frame(b"", fin=False), frame(b"", CONTINUATION, fin=False) * 5000, "quota_exceeded"),
    "pings": (b"", frame(b"x" * 100, PING) * 5000, "quota_exceeded"),
    "a text frame": (b"", frame(b"x" * 30_000, TEXT), "protocol_error"),
}


def test_hostile_clients_cost_what_they_may_and_nobody_else(process: RunningBroker) -> None:
    """Each sends without end what is let in by no limit, or never ends its handshake."""
    port, pid = process.ports["ws.browsers"], process.program.pid
    with RawWebSocket(port) as healthy, ExitStack() as leaving:
        healthy.connect("healthy")
        before = memory(pid)
        for _ in range(100):
            leaving.enter_context(RawWebSocket(port, asking=b"GET /mqtt HTTP/1.1\r\nCookie: " + b"x" * 16_000))
        for name, (first, more, cause) in HOSTILE.items():
            with RawWebSocket(port) as client:
                client.connect(name)
                client.socket.sendall(first)
                given_up(client, more)
            process.program.next(f"{name} from 127.0.0.1:[0-9]+ ended: {cause}: WebSocket: ")
            healthy.send(Pingreq())
            healthy.next(Pingresp)
        assert memory(pid) - before < 6 * KIB * KIB  # 1.6 MB are headers
    with RawWebSocket(port, asking=b"x" * 17_000) as client:
        assert client.status == 431
    process.program.next("ws.browsers refuses 127.0.0.1:[0-9]+: websocket_headers: .* more than 16384 bytes")


def test_a_slow_reader_gets_all_and_its_publisher_is_not_held_up(process: RunningBroker) -> None:
    port, payload, count = process.ports["ws.browsers"], bytes(range(256)) * 2000, 40
    with RawWebSocket(port) as slow, RawWebSocket(port) as publisher:
        slow.connect("slow")
        slow.subscribe(b"a", 1)
        publisher.connect("publisher")
        for number in range(count):
            publisher.send(Publish(b"a", payload, 1, packet_id=number + 1))
            assert publisher.next(Puback).packet_id == number + 1
        for _ in range(count):
            got = slow.next(Publish)
            assert got.payload == payload
            slow.send(Puback(got.packet_id))


# A browser.

@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.close()


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_page_in_a_browser_talks_to_a_client_elsewhere(tmp_path: Path, pages: Pages) -> None:
    broker = RunningBroker(tmp_path, "[listener.ws.browsers]\nbind = 127.0.0.1:0\norigins = http://127.0.0.1:*\n")
    payload = bytes(range(256)) * 1000
    browsers: list[Browser] = []
    try:
        with RawClient(broker.port) as sensor:
            sensor.connect("sensor")
            assert sensor.subscribe(b"+", 1) == [1]
            browsers.append(Browser(tmp_path / "good", f"http://127.0.0.1:{pages.port}/#{broker.ports['ws.browsers']}"))
            hello = sensor.next(Publish)
            assert (hello.topic_name, hello.payload) == (b"hello", b"from a page")
            sensor.send(Puback(hello.packet_id))
            sensor.send(Publish(b"question", payload, 1, packet_id=1))
            assert pages.told() == {"topic": "question", "qos": 1, "length": len(payload), "sum": sum(payload)}
            browsers.append(Browser(tmp_path / "evil", f"http://localhost:{pages.port}/#{broker.ports['ws.browsers']}"))
            assert pages.told() == {"refused": f"http://localhost:{pages.port}"}
            broker.program.next("ws.browsers refuses 127.0.0.1:[0-9]+: websocket_origin: ")
    finally:
        for browser in browsers:
            browser.kill()
        broker.program.kill()
