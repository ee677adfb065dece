"""Hostile peers over TCP: each costs itself. A healthy pair beside it goes on, and the broker grows within a bound.

One broker serves all of these tests, so that it is warm; each measures from where the one before it left.
"""
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from ssl import MemoryBIO, SSLWantReadError

import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Pingreq, Puback, Publish, Suback, Subscribe
from emqtwist.mqtt.properties import Properties
from tests.authorities import Authority
from tests.handshakes import client_context
from tests.harness.fuzz.canary import Canary
from tests.integration.brokers import RunningBroker
from tests.integration.raw import RawClient

CONFIGURATION = """
[store]
type = memory
[mqtt.client]
max_unsent = 256KB
idle_timeout = 1h
[mqtt.session]
max_sessions = 300
[mqtt.mqueue]
max_bytes = 1MB
max_memory = 1MB
on_full = drop_oldest
[listener.tcp.impatient]
bind = 127.0.0.1:0
handshake_timeout = 300ms
[listener.tcp.narrow]
bind = 127.0.0.1:0
max_connections = 10
[listener.tcp.fair]
bind = 127.0.0.1:0
max_connections_per_address = 10
"""
MB = 1024


class Victim:
    """A broker with a healthy pair; `ports` are those of its other listeners."""

    def __init__(self, folder: Path) -> None:
        tls = f"[listener.ssl.tls]\nbind = 127.0.0.1:0\nhandshake_timeout = 1s\n{Authority(folder).server().lines}"
        self.broker = RunningBroker(folder, CONFIGURATION + tls)
        said = "\n".join(self.broker.program.output)
        self.ports = {name: int(re.search(rf"\.{name} at 127\.0\.0\.1:(\d+)", said)[1])  # type: ignore[index]
                      for name in ("impatient", "narrow", "fair", "tls")}
        self.canary = Canary(self.broker.port)

    def resident(self, key: str = "VmRSS") -> int:
        """KB now, or with VmHWM the most there were since `bears` began."""
        status = Path(f"/proc/{self.broker.program.pid}/status").read_text()
        found = re.search(rf"{key}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1])

    def bears(self, attack: Callable[[], None], growth: int) -> None:
        """The broker never grows by so many KB, and the pair exchanges messages meanwhile."""
        Path(f"/proc/{self.broker.program.pid}/clear_refs").write_text("5")
        before, exchanged = self.resident(), self.canary.exchanged
        attack()
        grown = self.resident("VmHWM") - before
        assert self.canary.error is None
        assert self.canary.exchanged > exchanged
        print(f"at most {grown} KB more")
        assert grown < growth

    def close(self) -> None:
        self.canary.stop()
        self.broker.program.terminate()
        assert self.canary.error is None
        assert not [line for line in self.broker.program.rest() if re.search("defect|Traceback|Unhandled", line)]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    victim = Victim(tmp_path_factory.mktemp("hostile"))
    yield victim
    victim.close()


def ended(client: RawClient) -> bool:
    """Read what comes until the connection is closed."""
    try:
        while client.socket.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


def send_all(client: RawClient, data: bytes, times: int) -> None:
    for _ in range(times):
        client.socket.sendall(data)


def reset(client: RawClient) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# Before CONNECT.

def test_who_dribbles_a_connect_has_no_more_time_for_it_than_others(victim: Victim) -> None:
    connect = encode(Connect(c.MQTT_5_0, "slow" * 1000), c.MQTT_5_0)

    def attack() -> None:
        with ExitStack() as stack:
            clients = [stack.enter_context(RawClient(victim.ports["impatient"])) for _ in range(50)]
            waiting = list(clients)
            for place in range(len(connect) - 1):
                for client in list(waiting):
                    try:
                        client.socket.send(connect[place:place + 1])
                    except OSError:
                        waiting.remove(client)
                if not waiting:
                    break
            assert all(ended(client) for client in clients)

    victim.bears(attack, 8 * MB)


@pytest.mark.parametrize("listener", ["narrow", "fair"])
def test_a_flood_of_connections_is_held_at_the_bound_and_costs_little(victim: Victim, listener: str) -> None:
    def attack() -> None:
        with ExitStack() as stack:
            flood = [stack.enter_context(RawClient(victim.ports[listener])) for _ in range(500)]
            assert all(ended(client) for client in flood[10:])
        for _ in range(500):  # and who comes and goes leaves nothing
            with RawClient(victim.ports["impatient"]) as client:
                reset(client)

    victim.bears(attack, 8 * MB)


def test_an_open_connection_without_connect_costs_a_few_kilobytes(victim: Victim) -> None:
    def attack() -> None:
        with ExitStack() as stack:
            clients = [stack.enter_context(RawClient(victim.broker.port)) for _ in range(400)]
            with RawClient(victim.broker.port) as last:
                last.connect("last")  # so all are accepted
            assert len(clients) == 400

    victim.bears(attack, 400 * 12)


def test_handshakes_that_are_not_finished_cost_some_kilobytes_and_have_an_end(victim: Victim) -> None:
    incoming, hello = MemoryBIO(), MemoryBIO()
    with suppress(SSLWantReadError):
        client_context().wrap_bio(incoming, hello, server_hostname="localhost").do_handshake()
    whole = hello.read()

    def attack() -> None:
        with ExitStack() as stack:
            clients = [stack.enter_context(RawClient(victim.ports["tls"])) for _ in range(300)]
            for number, client in enumerate(clients):
                client.socket.sendall((b"", whole[:-1], whole)[number % 3])  # nothing, not all, and no answer to the listener's
            assert all(ended(client) for client in clients)

    victim.bears(attack, 300 * 60)


def test_what_is_no_tls_costs_nothing_at_a_listener_with_tls(victim: Victim) -> None:
    def attack() -> None:
        for number in range(300):
            with RawClient(victim.ports["tls"]) as client:
                with suppress(ConnectionError):
                    client.socket.sendall((encode(Connect(c.MQTT_5_0, "plain"), c.MQTT_5_0), bytes(60_000))[number % 2])
                assert ended(client)

    victim.bears(attack, 4 * MB)


# Sessions.

def come_and_go(victim: Victim, client_id: str, expiry: int) -> int:
    """The reason code for a client that asks for a session of so many seconds, and leaves; it subscribes where it gets one."""
    properties = Properties()
    properties.session_expiry_interval = expiry
    with RawClient(victim.broker.port) as client:
        client.send(Connect(c.MQTT_5_0, client_id, clean_start=not expiry, properties=properties))
        reason_code = client.next(Connack).reason_code
        if reason_code == c.SUCCESS:
            assert client.subscribe(client_id[:4000].encode(), 1) == [c.GRANTED_QOS_1]
            client.send(Disconnect())
        assert ended(client)
    return reason_code


def test_ever_new_client_identifiers_leave_no_more_sessions_than_there_may_be(victim: Victim) -> None:
    names = [f"{number:05}".ljust(20_000, "x") for number in range(2000)]

    def attack() -> None:
        codes = {name: come_and_go(victim, name, 3600) for name in names}
        kept = [name for name in names if codes[name] == c.SUCCESS]
        assert 250 < len(kept) <= 298  # of 300 two are the pair's
        assert set(codes.values()) == {c.SUCCESS, c.QUOTA_EXCEEDED}
        for name in kept:  # who has a session comes back, and ends it
            assert come_and_go(victim, name, 0) == c.SUCCESS
        assert come_and_go(victim, names[-1], 0) == c.SUCCESS  # so there is room

    victim.bears(attack, 32 * MB)


# Slow readers.

@pytest.mark.parametrize("qos", [0, 1, 2])
def test_who_does_not_read_keeps_nobody_else_waiting_and_no_more_than_its_queue(victim: Victim, qos: int) -> None:
    def attack() -> None:
        with RawClient(victim.broker.port) as slow, RawClient(victim.broker.port) as speaker:
            slow.connect(f"slow{qos}")
            assert slow.subscribe(b"much/%d" % qos, qos) == [qos]
            speaker.connect(f"speaker{qos}")
            payload = bytes(100_000)
            for number in range(1, 401):  # 40 MB for a reader with 256 KB in the connection and 1 MB in the queue
                speaker.send(Publish(b"much/%d" % qos, payload, 1, packet_id=number))
                assert speaker.next(Puback).reason_code == c.SUCCESS

    victim.bears(attack, 24 * MB)


def test_who_never_acknowledges_keeps_no_more_than_window_and_queue(victim: Victim) -> None:
    def attack() -> None:
        with RawClient(victim.broker.port) as silent, RawClient(victim.broker.port) as speaker:
            silent.connect("silent")
            assert silent.subscribe(b"unanswered", 2) == [2]
            speaker.connect("speaker")
            for _ in range(40):  # 20 MB for a window of 1000 messages of 1 KB, and 1 MB in the queue
                speaker.socket.sendall(b"".join(
                    encode(Publish(b"unanswered", bytes(1000), 1, packet_id=number), c.MQTT_5_0) for number in range(1, 501)))
                for _ in range(500):
                    assert speaker.next(Puback).reason_code == c.SUCCESS

    victim.bears(attack, 16 * MB)


# Packets.

def test_a_million_tiny_packets_are_answered_and_nothing_stays(victim: Victim) -> None:
    block = encode(Pingreq(), c.MQTT_5_0) * 20_000

    def attack() -> None:
        with RawClient(victim.broker.port) as client:
            client.connect("tiny")
            for _ in range(50):
                client.socket.sendall(block)
                left = len(block)
                while left:
                    left -= len(client.socket.recv(left))

    victim.bears(attack, 8 * MB)


def test_who_asks_a_million_times_and_never_reads_is_cut_off(victim: Victim) -> None:
    block = encode(Pingreq(), c.MQTT_5_0) * 20_000

    def attack() -> None:
        with RawClient(victim.broker.port) as client:
            client.connect("deaf")
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with pytest.raises(OSError, match="reset|pipe"):
                send_all(client, block, 1000)

    victim.bears(attack, 16 * MB)


@pytest.mark.parametrize("version", [c.MQTT_3_1_1, c.MQTT_5_0])
def test_topics_of_a_thousand_levels_are_refused(victim: Victim, version: int) -> None:
    deep = b"/".join([b"a"] * 1000)

    def attack() -> None:
        for number in range(20):
            with RawClient(victim.broker.port, version) as client:
                client.connect(f"deep{number}")
                filters = [(deep + b"/%d" % each, 0) for each in range(100)]
                client.send(Subscribe(1, filters))
                refusal = c.TOPIC_FILTER_INVALID if version == c.MQTT_5_0 else c.SUBSCRIBE_FAILURE
                assert client.next(Suback).reason_codes == [refusal] * 100
                client.send(Publish(deep, b""))
                if version == c.MQTT_5_0:
                    assert client.next(Disconnect).reason_code == c.TOPIC_NAME_INVALID
                assert ended(client)

    victim.bears(attack, 16 * MB)


def user_properties(count: int) -> Properties:
    made = Properties()
    made.user_properties = [("k", "v")] * count
    return made


def test_huge_lists_of_properties_are_bounded_by_the_packet(victim: Victim) -> None:
    def attack() -> None:
        for number in range(2):
            with RawClient(victim.broker.port) as client:  # more than CONNECT may have: 256 KB
                client.send(Connect(c.MQTT_5_0, "many", properties=user_properties(50_000)))
                assert ended(client)
            with RawClient(victim.broker.port) as client:
                client.send(Connect(c.MQTT_5_0, f"many{number}", properties=user_properties(30_000)))
                client.socket.recv(1)  # it is in
                client.socket.sendall(encode(Publish(b"x", b"", 1, packet_id=1, properties=user_properties(140_000)), c.MQTT_5_0))
                client.socket.recv(1 << 16)
            with RawClient(victim.broker.port) as client:  # more than any packet may have: 1 MB
                client.connect("more")
                client.socket.sendall(encode(Publish(b"x", b"", 1, packet_id=1, properties=user_properties(200_000)), c.MQTT_5_0))
                assert client.next(Disconnect).reason_code == c.PACKET_TOO_LARGE

    victim.bears(attack, 48 * MB)
