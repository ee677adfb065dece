"""What durability costs between clients that are connected, and how long it takes.

    python tools/measure_durable.py online [ROUNDS]     # QoS 1 between persistent sessions: the store against memory, in turns
    python tools/measure_durable.py latency [SECONDS]   # 1,000 messages a second: from sending to delivery, and to PUBACK

Brokers are those of this Python.
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

from pairs import MESSAGES, PAYLOAD, Pair, connected, publish, stream

PAIRS = 10
RATE = 1000  # messages a second, for `latency`
PERSISTENT = b"\x10%c\0\4MQTT\4\0\0\0\0%c"  # CONNECT of 3.1.1, Clean Session 0


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
    return connected(port, PERSISTENT % (12 + len(client_id), len(client_id)) + client_id)


def pair_of(port, number):
    return Pair(connect(port, b"p%03d" % number), connect(port, b"s%03d" % number), b"t/%03d" % number)


def online(store):
    """Messages a second; microseconds of processor time for each, of the broker and of its store process."""
    with Broker(store) as broker:
        pairs = [pair_of(broker.port, number) for number in range(PAIRS)]
        before = broker.processor_time()
        rate = PAIRS * MESSAGES / stream(pairs)
        used = [(after - first) / (PAIRS * MESSAGES) * 1e6 for first, after in zip(before, broker.processor_time(), strict=True)]
        return rate, used


def latency(seconds):
    """Microseconds from sending to delivery, and to PUBACK."""
    delivered, acknowledged, sent = [], [], {}
    with Broker("type = sqlite") as broker, selectors.DefaultSelector() as selector:
        pair = pair_of(broker.port, 0)
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
