"""Listeners behind a proxy: the header of the PROXY protocol says whose address counts."""
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.threads import deferToThread

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.core.access import Client
from emqtwist.core.connection import Connection
from emqtwist.core.hooks import CLIENT_CONNECTED
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connack, Connect
from emqtwist.net.proxy import SIGNATURE
from tests.authorities import Authority
from tests.handshakes import client_context
from tests.integration.raw import RawClient, RawWebSocket
from tests.integration.supervision.traffic import until
from tests.integration.test_listeners import bind, call, refusals, running
from tests.transports import IO

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 1883\r\n"
V1_SIX = b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 1883\r\n"
UNKNOWN = b"PROXY UNKNOWN\r\n"
ADDRESSES = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (4000).to_bytes(2, "big") + (1883).to_bytes(2, "big")
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + ADDRESSES
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
OPEN = "mqtt.allow_anonymous = on"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


def lines(kind: str, *more: str) -> list[str]:
    return [OPEN, bind(kind), *(f"listener.{kind}.a.{line}" for line in more)]


def connection_of(broker: BrokerService, label: str) -> Connection:
    [protocol] = broker.listeners[label].factory.protocols
    return protocol.connection


def come(client: RawClient, header: bytes) -> Connack:
    """Send header and CONNECT at once."""
    client.socket.sendall(header + encode(Connect(client.version, "c"), client.version))
    return client.next(Connack)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize(("header", "told", "address"), [
    (V1, "192.0.2.7:4000", "192.0.2.7"), (V2, "192.0.2.7:4000", "192.0.2.7"), (V1_SIX, "[2001:db8::7]:4000", "2001:db8::7")])
async def test_the_client_is_known_by_its_own_address(kind: str, header: bytes, told: str, address: str) -> None:
    async with running(*lines(kind, "proxy_protocol = any")) as broker:
        with call(broker, f"{kind}.a") as client:
            assert (await deferToThread(come, client, header)).reason_code == 0
            peer = connection_of(broker, f"{kind}.a").peer
            assert (peer.text, peer.address, peer.loopback) == (told, address, False)
            assert await deferToThread(client.subscribe, b"a") == [0]


def over_tls(name: bytes = b"") -> bytes:
    """The header of a proxy that has ended TLS, and has verified a certificate with that name if there is one."""
    shown = b"\x22" + len(name).to_bytes(2, "big") + name if name else b""
    verified = bytes([0x07 if name else 0x01, 0, 0, 0, 0]) + shown
    block = ADDRESSES + b"\x20" + len(verified).to_bytes(2, "big") + verified
    return SIGNATURE + b"\x21\x11" + len(block).to_bytes(2, "big") + block


@pytest.mark.parametrize("kind", ["tcp", "unix", "ssl", "ws", "wss"])
async def test_the_name_in_a_certificate_that_the_proxy_has_verified_is_the_clients(kind: str, tmp_path: Path) -> None:
    """Where the proxy speaks TLS, what it shows of itself, here a certificate of its own, is not about the client."""
    authority = Authority(tmp_path)
    asked = [f"listener.{kind}.a.{line}" for line in (
        *authority.server().lines.splitlines(), "verify = optional", f"cacertfile = {authority.file}")]
    tls = client_context(authority.file, authority.issue("proxy")) if kind in ("ssl", "wss") else None
    client_class = RawWebSocket if kind in ("ws", "wss") else RawClient
    known: list[Client] = []
    async with running(*lines(kind, "proxy_protocol = v2", "peer_cert_as_username = cn"), *(asked if tls else [])) as broker:
        broker.hooks.add(CLIENT_CONNECTED, known.append)
        place: int | str = broker.listeners[f"{kind}.a"].port or "a"

        def come_in(header: bytes) -> None:
            with client_class(place, tls=tls, first=header) as client:  # type: ignore[arg-type]  # WebSockets are at ports
                client.connect("c")

        for header in (over_tls(b"alice"), over_tls(), V2):
            await deferToThread(come_in, header)
        assert [(client.user_name, client.certificate and client.certificate.cn) for client in known] == [
            ("alice", "alice"), (None, None), ("proxy", "proxy") if tls else (None, None)]


@pytest.mark.parametrize(("kind", "address"), [("tcp", "127.0.0.1"), ("unix", "")])
@pytest.mark.parametrize("header", [UNKNOWN, LOCAL])
async def test_a_proxy_that_speaks_for_nobody_is_the_client_itself(kind: str, address: str, header: bytes) -> None:
    async with running(*lines(kind, "proxy_protocol = any")) as broker:
        with call(broker, f"{kind}.a") as client:
            assert (await deferToThread(come, client, header)).reason_code == 0
            peer = connection_of(broker, f"{kind}.a").peer
            assert (peer.address, peer.loopback) == (address, True)


@pytest.mark.parametrize("header", [V1, V2])
async def test_header_and_packets_may_come_in_any_pieces(header: bytes) -> None:
    async with running(*lines("tcp", "proxy_protocol = any")) as broker:
        with call(broker, "tcp.a") as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            entrance = broker.listeners["tcp.a"].entrance
            for place in range(len(header)):
                client.socket.sendall(header[place:place + 1])
                if not place:
                    await until(lambda: entrance.waiting)
            assert (await deferToThread(come, client, b"")).reason_code == 0
            assert not entrance.waiting


async def test_listener_proxy_protocol() -> None:
    taken = {"off": (), "v1": (V1,), "v2": (V2,), "any": (V1, V2)}
    async with running(*lines("tcp")) as broker:
        for word, headers in taken.items():
            broker.reconfigure(parse("\n".join([f"node.io = {IO}", *lines("tcp", f"proxy_protocol = {word}")])))
            for header in (V1, V2):
                with call(broker, "tcp.a") as client:
                    if header in headers:
                        assert (await deferToThread(come, client, header)).reason_code == 0
                    elif word != "off":
                        client.socket.sendall(header)
                        assert await deferToThread(closes, client)
        assert refusals(broker, "tcp.a") == ({"bad_proxy_header": 2}, 2)
        broker.reconfigure(parse("\n".join([f"node.io = {IO}", *lines("tcp")])))
        with call(broker, "tcp.a") as client:
            await deferToThread(client.connect, "plain")


def closes(client: RawClient) -> bool:
    """Whether nothing comes before the end."""
    try:
        return client.is_closed()
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"PROXY TCP4 192.0.2.7\r\n", b"\x10\x0c", SIGNATURE + b"\x41\x11\0\0"])
async def test_who_sends_no_good_header_does_not_get_in(first: bytes) -> None:
    async with running(*lines("tcp", "proxy_protocol = any")) as broker:
        with call(broker, "tcp.a") as client:
            client.socket.sendall(first)
            assert await deferToThread(closes, client)
        assert refusals(broker, "tcp.a") == ({"bad_proxy_header": 1}, 1)
        assert not broker.broker.links


async def test_listener_proxy_protocol_timeout() -> None:
    async with running(*lines("tcp", "proxy_protocol = any", "proxy_protocol_timeout = 10ms")) as broker:
        for sent in (b"", b"PROX", SIGNATURE):
            with call(broker, "tcp.a") as client:
                client.socket.sendall(sent)
                assert await deferToThread(closes, client)
        assert refusals(broker, "tcp.a") == ({"no_proxy_header": 3}, 3)


async def test_listener_proxy_protocol_from() -> None:
    async with running(*lines("tcp", "proxy_protocol = any", "proxy_protocol_from = deny 127.0.0.0/8, allow all")) as broker:
        with call(broker, "tcp.a") as client:
            assert await deferToThread(closes, client)
        assert refusals(broker, "tcp.a") == ({"proxy_denied": 1}, 1)


async def test_access_and_anonymous_clients_go_by_the_clients_address() -> None:
    rules = "access = deny 192.0.2.0/24, allow all"
    async with running(bind("tcp"), "listener.tcp.a.proxy_protocol = any", f"listener.tcp.a.{rules}") as broker:
        with call(broker, "tcp.a") as client:
            client.socket.sendall(V1)
            assert await deferToThread(closes, client)
        assert refusals(broker, "tcp.a") == ({"address_denied": 1}, 1)
        with call(broker, "tcp.a") as client:
            assert (await deferToThread(come, client, V1_SIX)).reason_code == 0x87  # not of this machine
        with call(broker, "tcp.a") as client:
            assert (await deferToThread(come, client, UNKNOWN)).reason_code == 0


async def test_connections_count_before_their_header_has_come() -> None:
    async with running(*lines("tcp", "proxy_protocol = any", "max_connections = 1")) as broker:
        with call(broker, "tcp.a") as first:
            await until(lambda: broker.listeners["tcp.a"].entrance.waiting)
            with call(broker, "tcp.a") as second:
                assert await deferToThread(closes, second)
            assert refusals(broker, "tcp.a") == ({"too_many_connections": 1}, 1)
            assert (await deferToThread(come, first, V1)).reason_code == 0


async def test_who_leaves_before_the_header_leaves_nothing() -> None:
    async with running(*lines("tcp", "proxy_protocol = any")) as broker:
        entrance = broker.listeners["tcp.a"].entrance
        with call(broker, "tcp.a") as client:
            client.socket.sendall(b"PROXY")
            await until(lambda: entrance.waiting)
        await until(lambda: not entrance.waiting)
        assert refusals(broker, "tcp.a") == ({}, 0)


async def test_a_broker_that_stops_waits_for_no_header() -> None:
    async with running(*lines("tcp", "proxy_protocol = any", "proxy_protocol_timeout = 1h")) as broker:
        client = call(broker, "tcp.a")
        await until(lambda: broker.listeners["tcp.a"].entrance.waiting)
    assert await deferToThread(closes, client)
    client.socket.close()
