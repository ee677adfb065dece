"""What durability costs between clients that are connected, and how long it takes.

    python tools/measure_durable.py online [ROUNDS]     # QoS 1 between persistent sessions: the store against memory, in turns
    python tools/measure_durable.py latency [SECONDS]   # 1,000 messages a second: from sending to delivery, and to PUBACK

Brokers are those of this Python. Packets are made beforehand and are of one size, so that this load is not the limit.
"""
import os
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 10
WINDOW = 500
MESSAGES = 20_000  # of each pair
PAYLOAD = 64
RATE = 1000  # messages a second, for `latency`
PERSISTENT = b"\x10%c\0\4MQTT\4\0\0\0\0%c"  # CONNECT of 3.1.1, Clean Session 0
ACK = struct.Struct(">BBH")


class Broker:
    """twistd with this store; a context."""

    def __init__(self, store):
        self.folder = tempfile.TemporaryDirectory()
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            self.port = holder.getsockname()[1]
        configuration = Path(self.folder.name, "broker.ini")
        configuration.write_text(f"[node]\ndata_dir = {self.folder.name}/data\n[store]\n{store}\n")
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("twistd"), "-n", "--pidfile=", "emqtt", "--config", configuration,
             "--port", str(self.port)], cwd=self.folder.name, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while b"try:" not in self.process.stdout.readline():
            pass

    def __enter__(self):
        return self

    def processor_time(self):
        """Seconds, of the broker and of its store process."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
                for each in (pid, *children)]

    def __exit__(self, *error):
        self.process.terminate()
        self.process.communicate()
        self.folder.cleanup()


def connect(port, client_id):
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(PERSISTENT % (12 + len(client_id), len(client_id)) + client_id)
    assert client.recv(4)[3] == 0
    return client


def subscribe(client, topic):
    client.sendall(b"\x82%c\0\1\0%c" % (5 + len(topic), len(topic)) + topic + b"\1")
    assert client.recv(5)[:1] == b"\x90"


def publish(topic, packet_id, payload):
    return b"\x32%c\0%c" % (4 + len(topic) + len(payload), len(topic)) + topic + packet_id.to_bytes(2, "big") + payload


class Pair:
    """A publisher that has up to WINDOW messages under way, and the subscriber that acknowledges them."""

    def __init__(self, port, number):
        self.topic = b"t/%03d" % number
        self.publisher, self.subscriber = connect(port, b"p%03d" % number), connect(port, b"s%03d" % number)
        subscribe(self.subscriber, self.topic)
        self.size = len(publish(self.topic, 1, bytes(PAYLOAD)))
        self.packets = [publish(self.topic, packet_id, bytes(PAYLOAD)) for packet_id in range(1, WINDOW + 1)]
        self.sent = self.acknowledged = self.got = 0
        self.rest = b""

    def send(self):
        count = min(WINDOW - (self.sent - self.acknowledged), MESSAGES - self.sent)
        if count > 0:
            first = self.sent % WINDOW
            self.publisher.sendall(b"".join((self.packets * 2)[first:first + count]))
            self.sent += count

    def take_acknowledgements(self):
        self.acknowledged += len(self.publisher.recv(1 << 16)) // 4
        self.send()

    def take_messages(self):
        data = self.rest + self.subscriber.recv(1 << 18)
        whole = len(data) // self.size
        at = 4 + len(self.topic)
        acks = [ACK.pack(0x40, 2, int.from_bytes(data[start + at:start + at + 2], "big"))
                for start in range(0, whole * self.size, self.size)]
        self.rest = data[whole * self.size:]
        self.got += whole
        self.subscriber.sendall(b"".join(acks))


def online(store):
    """Messages a second; microseconds of processor time for each, of the broker and of its store process."""
    with Broker(store) as broker, selectors.DefaultSelector() as selector:
        pairs = [Pair(broker.port, number) for number in range(PAIRS)]
        for pair in pairs:
            selector.register(pair.publisher, selectors.EVENT_READ, pair.take_acknowledgements)
            selector.register(pair.subscriber, selectors.EVENT_READ, pair.take_messages)
        before, began = broker.processor_time(), time.perf_counter()
        for pair in pairs:
            pair.send()
        while any(pair.got < MESSAGES or pair.acknowledged < MESSAGES for pair in pairs):
            for key, _ in selector.select():
                key.data()
        rate = PAIRS * MESSAGES / (time.perf_counter() - began)
        used = [(after - first) / (PAIRS * MESSAGES) * 1e6 for first, after in zip(before, broker.processor_time(), strict=True)]
        return rate, used


def latency(seconds):
    """Microseconds from sending to delivery, and to PUBACK."""
    delivered, acknowledged, sent = [], [], {}
    with Broker("type = sqlite") as broker, selectors.DefaultSelector() as selector:
        pair = Pair(broker.port, 0)
        selector.register(pair.publisher, selectors.EVENT_READ)
        selector.register(pair.subscriber, selectors.EVENT_READ)
        began = time.perf_counter()
        number = 0
        while len(acknowledged) < seconds * RATE or len(delivered) < seconds * RATE:
            due = began + number / RATE
            if number < seconds * RATE and time.perf_counter() >= due:
                packet_id = number % 60_000 + 1
                sent[packet_id] = due
                pair.publisher.sendall(publish(pair.topic, packet_id, struct.pack(">d", due) + bytes(PAYLOAD - 8)))
                number += 1
            for key, _ in selector.select(max(0.0, min(due - time.perf_counter(), 0.001))):
                data = key.fileobj.recv(1 << 16)
                now = time.perf_counter()
                if key.fileobj is pair.publisher:
                    acknowledged += [now - sent[int.from_bytes(data[at + 2:at + 4], "big")] for at in range(0, len(data), 4)]
                    continue
                data = pair.rest + data
                pair.rest = data[len(data) // pair.size * pair.size:]
                for at in range(0, len(data) - len(pair.rest), pair.size):
                    body = data[at:at + pair.size]
                    delivered.append(now - struct.unpack(">d", body[-PAYLOAD:8 - PAYLOAD])[0])
                    head = 4 + len(pair.topic)
                    pair.subscriber.sendall(b"\x40\x02" + body[head:head + 2])
    return delivered, acknowledged


def percentiles(times):
    ordered = sorted(times)
    return ", ".join(f"{name} {ordered[int(len(ordered) * share)] * 1e3:.2f} ms"
                     for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)))


def main(what, count=None):
    if what == "online":
        found = {"type = memory": [], "type = sqlite": []}
        for _ in range(int(count or 3)):
            for store, rates in found.items():
                rates.append(online(store))
        medians = [statistics.median(rate for rate, _ in runs) for runs in found.values()]
        print(f"memory {medians[0]:,.0f}/s, sqlite {medians[1]:,.0f}/s, ratio {medians[1] / medians[0]:.2f}")
        for store, runs in found.items():
            for rate, used in runs:
                print(f"{store}: {rate:,.0f}/s, processor time for each, µs: {', '.join(f'{each:.1f}' for each in used)}")
    else:
        delivered, acknowledged = latency(int(count or 10))
        print(f"to delivery: {percentiles(delivered)}; to PUBACK: {percentiles(acknowledged)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
