"""[listener.ssl.<name>]: MQTT over TLS with the clients that people use, and each key has its effect."""
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from queue import SimpleQueue
from ssl import SSLContext, SSLError, SSLSocket
from typing import Any, cast

import pytest
from cryptography import x509
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from emqtwist import BrokerService
from emqtwist.config import ConfigError, parse
from emqtwist.core.access import Client as Known
from emqtwist.core.hooks import CLIENT_CONNECTED
from emqtwist.mqtt.constants import NOT_AUTHORIZED
from emqtwist.mqtt.packets import Connack, Connect, Pingresp, Publish, Suback, Subscribe
from emqtwist.net.tls.layer import TlsLayer
from emqtwist.net.unsent import unsent
from tests.authorities import Authority, Pair
from tests.handshakes import client_context
from tests.integration.brokers import RunningBroker
from tests.integration.program import Program, python_script, run
from tests.integration.raw import RawClient
from tests.transports import CLASSES, IO


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server(authority: Authority) -> Pair:
    return authority.server()


def text(pair: Pair, *lines: str) -> str:
    """A configuration with one listener, which has a line for each of `lines`."""
    return f"node.io = {IO}\n[listener.ssl.a]\nbind = 127.0.0.1:0\n{pair.lines}" + "\n".join(lines)


@asynccontextmanager
async def running(pair: Pair, *lines: str) -> AsyncIterator[BrokerService]:
    broker = BrokerService(parse(text(pair, *lines)), reactor)
    broker.startService()
    try:
        yield broker
    finally:
        await broker.stopService()


async def in_thread(broker: BrokerService, tls: SSLContext, function: Callable[[RawClient], Any]) -> Any:
    """What `function` gives of a client that has connected, all of it in a thread."""
    def call() -> Any:
        with RawClient(broker.port("ssl.a"), tls=tls) as client:
            return function(client)
    return await deferToThread(call)


def connack(client: RawClient) -> int:
    client.send(Connect(5, "c"))
    return client.next(Connack).reason_code


def refusals(broker: BrokerService) -> dict[str, int]:
    return broker.listeners["ssl.a"].admission.refused


def protocol(client: RawClient) -> tuple[str | None, int]:
    """The version of TLS, and the reason code of CONNACK."""
    assert isinstance(client.socket, SSLSocket)
    return client.socket.version(), connack(client)


# The keys.

async def test_listener_certfile(authority: Authority, server: Pair) -> None:
    async with running(server) as broker:
        assert await in_thread(broker, client_context(authority.file), connack) == 0
    with pytest.raises(ConfigError, match=r"\[listener\.ssl\.a\] certfile: cannot read /none\.pem: No such file or directory"):
        BrokerService(parse(text(Pair("/none.pem", server.keyfile))), reactor)


async def test_listener_keyfile(server: Pair) -> None:
    with pytest.raises(ConfigError, match=r"\[listener\.ssl\.a\] keyfile: .*holds no private key"):
        BrokerService(parse(text(Pair(server.certfile, server.certfile))), reactor)


@pytest.mark.parametrize("knows", [True, False])
async def test_listener_cacertfile(authority: Authority, server: Pair, tmp_path: Path, knows: bool) -> None:
    cacertfile = authority.file if knows else Authority(tmp_path, "stranger").file
    async with running(server, "verify = require", f"cacertfile = {cacertfile}") as broker:
        context = client_context(authority.file, authority.issue("lamp"), "1.2")
        if knows:
            assert await in_thread(broker, context, connack) == 0
        else:
            with pytest.raises(SSLError):
                await in_thread(broker, context, connack)
        assert refusals(broker) == ({} if knows else {"handshake_failed": 1})


async def test_listener_crlfile(authority: Authority, server: Pair) -> None:
    good, bad = authority.issue("good"), authority.issue("bad")
    lines = "verify = require", f"cacertfile = {authority.file}", f"crlfile = {authority.revoke(bad)}"
    async with running(server, *lines) as broker:
        assert await in_thread(broker, client_context(authority.file, good, "1.2"), connack) == 0
        with pytest.raises(SSLError, match="(?i)revoked"):
            await in_thread(broker, client_context(authority.file, bad, "1.2"), connack)


async def test_listener_verify(authority: Authority, server: Pair) -> None:
    """Changed while it runs."""
    async with running(server) as broker:
        context = client_context(authority.file, version="1.2")
        for verify, comes_in in (("none", True), ("require", False), ("optional", True)):
            lines = [f"verify = {verify}", *([] if verify == "none" else [f"cacertfile = {authority.file}"])]
            broker.reconfigure(parse(text(server, *lines)))
            if comes_in:
                assert await in_thread(broker, context, connack) == 0
            else:
                with pytest.raises(SSLError):
                    await in_thread(broker, context, connack)


@pytest.mark.parametrize(("part", "name"), [
    ("off", "said"), ("cn", "lamp"), ("dn", "CN=lamp,O=Acme"), ("san", "lamp.example")])
async def test_listener_peer_cert_as_username(authority: Authority, server: Pair, part: str, name: str) -> None:
    lines = "verify = optional", f"cacertfile = {authority.file}", f"peer_cert_as_username = {part}"
    pair = authority.issue("lamp", organization="Acme", names=(x509.DNSName("lamp.example"),))

    def connect(client: RawClient) -> int:
        client.send(Connect(5, "c", user_name="said"))
        return client.next(Connack).reason_code

    async with running(server, *lines) as broker:
        seen: list[Known] = []
        broker.hooks.add(CLIENT_CONNECTED, seen.append)
        assert await in_thread(broker, client_context(authority.file, pair), connect) == 0
        assert await in_thread(broker, client_context(authority.file), connect) == 0
        assert [client.user_name for client in seen] == [name, "said"]
        assert [client.certificate and client.certificate.cn for client in seen] == ["lamp", None]
        counters = broker.broker.metrics.counters()
        known = 0 if part == "off" else 1
        assert (counters["authentication_accepted"], counters["authentication_anonymous"]) == (known, 2 - known)


async def test_listener_superusers(authority: Authority, server: Pair) -> None:
    """Changed while it runs."""
    def subscribe(client: RawClient) -> int:
        client.connect("c")
        client.send(Subscribe(1, [(b"a", 0)]))
        return client.next(Suback).reason_codes[0]

    lines = "verify = require", f"cacertfile = {authority.file}", "peer_cert_as_username = cn"
    rule = "[acl.rule.no]", "action = deny"
    async with running(server, *lines, "superusers = root, lamp", *rule) as broker:
        assert await in_thread(broker, client_context(authority.file, authority.issue("lamp")), subscribe) == 0
        assert await in_thread(broker, client_context(authority.file, authority.issue("bulb")), subscribe) == NOT_AUTHORIZED
        broker.reconfigure(parse(text(server, *lines, *rule)))
        assert await in_thread(broker, client_context(authority.file, authority.issue("lamp")), subscribe) == NOT_AUTHORIZED


async def test_who_has_a_certificate_needs_nothing_else_and_who_has_no_name_in_it_does_not_come_in(
        authority: Authority, server: Pair) -> None:
    lines = "verify = optional", f"cacertfile = {authority.file}", "peer_cert_as_username = cn", "[mqtt]", "allow_anonymous = off"
    async with running(server, *lines) as broker:
        for pair, code in ((authority.issue("lamp"), 0), (None, NOT_AUTHORIZED),
                           (authority.issue("nameless", common_name="", organization="Acme"), NOT_AUTHORIZED)):
            assert await in_thread(broker, client_context(authority.file, pair), connack) == code


async def test_listener_min_version(authority: Authority, server: Pair) -> None:
    async with running(server, "min_version = 1.3") as broker:
        assert await in_thread(broker, client_context(authority.file), protocol) == ("TLSv1.3", 0)
        with pytest.raises(SSLError, match="(?i)protocol version"):
            await in_thread(broker, client_context(authority.file, version="1.2"), protocol)
        broker.reconfigure(parse(text(server)))
        assert await in_thread(broker, client_context(authority.file, version="1.2"), protocol) == ("TLSv1.2", 0)


async def test_listener_ciphers(authority: Authority, server: Pair) -> None:
    def cipher(client: RawClient) -> str:
        assert isinstance(client.socket, SSLSocket)
        chosen = client.socket.cipher()
        assert chosen is not None
        return chosen[0]

    async with running(server, "ciphers = ECDHE+CHACHA20") as broker:
        assert "CHACHA20" in await in_thread(broker, client_context(authority.file, version="1.2"), cipher)


async def test_a_handshake_has_as_long_as_connect(server: Pair) -> None:
    async with running(server, "handshake_timeout = 100ms") as broker:
        def silent() -> bytes:
            with socket.create_connection(("127.0.0.1", broker.port("ssl.a")), 30) as client:
                try:
                    return client.recv(1)
                except ConnectionResetError:
                    return b""
        assert await deferToThread(silent) == b""
        assert refusals(broker) == {"handshake_timeout": 1}


# What holds for every listener.

async def test_it_runs_on_the_transport_that_is_configured(authority: Authority, server: Pair) -> None:
    async with running(server) as broker:
        with await deferToThread(RawClient, broker.port("ssl.a"), tls=client_context(authority.file)) as client:
            await deferToThread(client.connect, "c")
            [protocol] = broker.listeners["ssl.a"].factory.protocols
            layer = cast(Any, protocol.transport)
            assert (type(layer), type(layer.transport)) == (TlsLayer, CLASSES[IO])
            assert layer.getTcpNoDelay()


async def test_connections_in_their_handshake_count(authority: Authority, server: Pair) -> None:
    async with running(server, "max_connections = 1") as broker:
        with socket.create_connection(("127.0.0.1", broker.port("ssl.a")), 30), pytest.raises((SSLError, ConnectionError)):
            await in_thread(broker, client_context(authority.file), connack)
        assert refusals(broker)["too_many_connections"] == 1


async def test_connections_in_their_handshake_count_for_their_address(authority: Authority, server: Pair) -> None:
    async with running(server, "max_connections_per_address = 2") as broker:
        context = client_context(authority.file)
        with socket.create_connection(("127.0.0.1", broker.port("ssl.a")), 30):
            with await deferToThread(RawClient, broker.port("ssl.a"), tls=context) as second:
                assert await deferToThread(connack, second) == 0
                with pytest.raises((SSLError, ConnectionError)):
                    await in_thread(broker, context, connack)
        assert refusals(broker)["too_many_from_address"] == 1
    assert broker.listeners["ssl.a"].outer.shaking == {}


async def test_a_slow_reader_is_paused_and_gets_all_of_it(authority: Authority, server: Pair) -> None:
    size, more = 100_000, 50

    def read(client: RawClient, count: int) -> list[int]:
        return [len(client.next(Publish).payload) for _ in range(count)]

    async with running(server, "[mqtt.client]", "max_unsent = 64KB") as broker:
        context = client_context(authority.file)
        with await deferToThread(RawClient, broker.port("ssl.a"), tls=context) as slow:
            await deferToThread(slow.connect, "slow")
            assert await deferToThread(slow.subscribe, b"a", 1) == [1]
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # some systems would hold all for it
            session = broker.broker.sessions.by_id["slow"]
            count, before = 0, [0]
            while (waiting := [each for _, each in unsent(reactor, broker.sockets, broker.turns)]) != before or not waiting:
                count, before = count + 1, waiting
                broker.publish("a", bytes(size), 1)
                await deferLater(reactor, 0.02)  # until the system takes no more
            queued = session.queued()
            for _ in range(more):
                broker.publish("a", bytes(size), 1)
                await deferLater(reactor, 0)
            assert session.queued() == queued + more
            [(connection, still)] = unsent(reactor, broker.sockets, broker.turns)
            assert (connection.client_id, still) == ("slow", *waiting)
            assert still > 64 * 1024
            assert await deferToThread(read, slow, count + more) == [size] * (count + more)


async def test_a_keep_alive_of_thousand_packets_in_one_record_is_answered(authority: Authority, server: Pair) -> None:
    async with running(server) as broker:
        def ping(client: RawClient) -> int:
            client.connect("c")
            client.socket.sendall(b"\xc0\x00" * 1000)
            return sum(isinstance(client.next(Pingresp), Pingresp) for _ in range(1000))

        assert await in_thread(broker, client_context(authority.file), ping) == 1000


# The clients that people use.

CONFIGURATION = "[listener.ssl.a]\nbind = 127.0.0.1:0\n"


def port_of(broker: RunningBroker) -> int:
    line = next(line for line in broker.program.output if "listening on ssl.a" in line)
    return int(line.rpartition(":")[2])


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_mosquitto_clients_publish_and_subscribe(authority: Authority, server: Pair, tmp_path: Path, version: str) -> None:
    client = authority.issue("lamp")
    broker = RunningBroker(tmp_path, CONFIGURATION + server.lines + f"verify = require\ncacertfile = {authority.file}\n")
    try:
        words = ["-h", "localhost", "-p", str(port_of(broker)), "--cafile", authority.file, "--cert", client.certfile,
                 "--key", client.keyfile, "--tls-version", version, "-t", "a", "-q", "1"]
        subscriber = Program("stdbuf", "-oL", "mosquitto_sub", *words, "-d", "-C", "1", "-F", "got %p")
        subscriber.next("Subscribed")
        published = run("mosquitto_pub", *words, "-m", "hello")
        assert published.returncode == 0, published
        subscriber.next("got hello")
        assert subscriber.wait() == 0
        without = [word for word in words if word not in ("--cert", "--key", client.certfile, client.keyfile)]
        assert run("mosquitto_pub", *without, "-m", "hello").returncode != 0
        broker.program.next("ssl.a refuses .*: handshake_failed: the TLS handshake failed: peer did not return a certificate")
    finally:
        broker.program.terminate()


def test_paho_publishes_and_subscribes(authority: Authority, server: Pair, tmp_path: Path) -> None:
    broker = RunningBroker(tmp_path, CONFIGURATION + server.lines)
    try:
        messages: SimpleQueue[bytes] = SimpleQueue()
        client = Client(CallbackAPIVersion.VERSION2, "paho")
        client.tls_set_context(client_context(authority.file))
        client.on_message = lambda client, userdata, message: messages.put(bytes(message.payload))
        client.on_connect = lambda client, *rest: client.subscribe("a", 1)
        client.on_subscribe = lambda client, *rest: client.publish("a", bytes(300_000), 1)
        client.connect("localhost", port_of(broker))
        client.loop_start()
        assert messages.get(timeout=30) == bytes(300_000)
        client.disconnect()
        client.loop_stop()
    finally:
        broker.program.terminate()


def test_a_bad_key_is_told_before_anything_starts(server: Pair, authority: Authority, tmp_path: Path) -> None:
    other = authority.server("other", number=1)
    file = tmp_path / "broker.ini"
    file.write_text(CONFIGURATION + f"certfile = {server.certfile}\nkeyfile = {other.keyfile}\n")
    for options in ([], ["--check"]):
        ended = run(python_script("twistd"), "-n", "--pidfile=", "emqtt", "--config", file, *options, cwd=tmp_path)
        assert ended.returncode == 1
        said = (ended.stdout + ended.stderr).decode()
        assert f"[listener.ssl.a] keyfile: the key in {other.keyfile} does not belong to the certificate in {server.certfile}" \
            in said
