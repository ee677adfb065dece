"""What it costs that brokers are nodes of a cluster.

    python tools/measure_cluster.py forward [QOS]     # a message that crosses: processor time at both nodes, against one node
    python tools/measure_cluster.py suback            # SUBSCRIBE to SUBACK, alone and among three nodes
    python tools/measure_cluster.py takeover [QUEUED] # CONNECT to CONNACK at another node than that of the session
    python tools/measure_cluster.py converge [ROUTES] # from a link to the same tables at both ends, and memory for each route
    python tools/measure_cluster.py sessions [COUNT]  # the same for sessions without subscriptions

Nodes are brokers of this Python on loopback, with a store each. Processor time says more than the rates where the nodes and this
load share the cores.
"""
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure_durable import connect
from pairs import MESSAGES, PAYLOAD, Pair, publish, subscribe
from pairs import stream as stream_all

COOKIE = "a cookie to measure with"
BIN = Path(sys.executable).parent
PAIRS = 5


class Node:
    """A broker; `seeds` are cluster ports of others."""

    def __init__(self, folder, number, port, seeds=()):
        self.folder, self.number, self.cluster_port = Path(folder, str(number)), number, port
        self.folder.mkdir()
        lines = f"discovery = static\nseeds = {', '.join(f'127.0.0.1:{seed}' for seed in seeds)}\n" if seeds else ""
        self.configuration = self.folder / "broker.ini"
        self.configuration.write_text(
            f"[node]\nname = n{number}@127.0.0.1\n[listener.tcp.default]\nbind = 127.0.0.1:0\n"
            f"[cluster]\nbind = 127.0.0.1:{port}\ncookie = {COOKIE}\n{lines}")
        self.said = []
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BIN / "twistd", "-n", "--pidfile=", "emqtt", "--config", self.configuration], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.until("try:")
        self.port = int(next(line for line in self.said if "listening on tcp.default" in line).rpartition(":")[2])

    def until(self, words):
        while not any(words in line for line in self.said):
            self.said.append(self.process.stdout.readline())
            assert self.said[-1], "".join(self.said)  # it has ended

    def ctl(self, *words):
        return subprocess.run([BIN / "emqtwist_ctl", "--config", self.configuration, *words], cwd=self.folder, text=True,
                              capture_output=True, check=True).stdout

    def processor_time(self):
        """Seconds, of the broker without its store process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self):
        self.process.terminate()
        self.process.communicate()


class Nodes:
    """So many of them, linked; a context."""

    def __init__(self, count):
        self.folder = tempfile.TemporaryDirectory()
        ports = free_ports(count)
        self.each = [Node(self.folder.name, number, port, ports[:number]) for number, port in enumerate(ports)]
        for number, node in enumerate(self.each):
            for other in range(number):
                node.until(f"linked with n{other}@")

    def __enter__(self):
        return self.each

    def __exit__(self, *error):
        for node in self.each:
            node.end()
        self.folder.cleanup()


def free_ports(count):
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def stream(source, target, qos):
    """Messages a second; microseconds of the processor for each, at either node."""
    pairs = [Pair(connect(source.port, b"p%03d" % number), connect(target.port, b"s%03d" % number), b"t/%03d" % number, qos)
             for number in range(PAIRS)]
    nodes = [source] if source is target else [source, target]
    before = [node.processor_time() for node in nodes]
    took = stream_all(pairs)
    used = [(node.processor_time() - first) / (PAIRS * MESSAGES) * 1e6 for node, first in zip(nodes, before, strict=True)]
    return PAIRS * MESSAGES / took, used


def forward(qos=1):
    for title, count in (("one node", 1), ("two nodes", 2)):
        with Nodes(count) as nodes:
            stream(nodes[0], nodes[-1], qos)
            rate, used = stream(nodes[0], nodes[-1], qos)
            print(f"{title}: {rate:,.0f}/s, µs at each: {', '.join(f'{each:.1f}' for each in used)}")


def timed_subacks(node, count):
    client = connect(node.port, b"asker")
    took = []
    for number in range(count):
        began = time.perf_counter()
        subscribe(client, b"suback/%06d" % number)
        took.append((time.perf_counter() - began) * 1e3)
    return took


def spread(took):
    cuts = statistics.quantiles(took, n=100)
    return f"p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms"


def suback():
    for count in (1, 3):
        with Nodes(count) as nodes:
            print(f"{count} nodes: {spread(timed_subacks(nodes[0], 2000))}")


def takeover(queued=0):
    """A session with so many messages in its queue goes to and fro between two nodes."""
    with Nodes(2) as nodes:
        client = connect(nodes[0].port, b"mover")
        subscribe(client, b"mover")
        client.close()
        publisher = connect(nodes[0].port, b"publisher")
        for begin in range(0, queued, 1000):
            count = min(1000, queued - begin)
            publisher.sendall(b"".join([publish(b"mover", number + 1, bytes(PAYLOAD)) for number in range(count)]))
            while count > 0:
                count -= len(publisher.recv(1 << 16)) // 4
        took, whole = [], []
        for number in range(100 if queued else 500):
            began = time.perf_counter()
            client = connect(nodes[1 - number % 2].port, b"mover")
            took.append((time.perf_counter() - began) * 1e3)
            if queued:  # all of it has come, none is acknowledged
                size = min(queued, 1000) * len(publish(b"mover", 1, bytes(PAYLOAD)))
                while size > 0:
                    size -= len(client.recv(1 << 18))
                whole.append((time.perf_counter() - began) * 1e3)
            client.close()
        print(f"CONNECT to CONNACK: {spread(took)}")
        if queued:
            print(f"to a full window of {min(queued, 1000)} messages: {spread(whole)}")


def converge(routes=100_000):
    """Routes of one persistent session, known at another node."""
    def fill(node):
        client = connect(node.port, b"holder")
        for begin in range(0, routes, 100):
            body = b"".join([b"\0\x0froute/%09d\1" % number for number in range(begin, begin + 100)])
            length = len(body) + 2
            client.sendall(b"\x82" + bytes([length % 128 | 0x80, length // 128]) + b"\0\1" + body)
            left = 104
            while left > 0:
                left -= len(client.recv(1 << 16))
    meet(fill, "routes", routes)


def sessions(count=20_000):
    """Persistent sessions of clients that have gone, known at another node."""
    def fill(node):
        for number in range(count):
            connect(node.port, b"session-%09d" % number).close()
    meet(fill, "sessions", count)


def meet(fill, table, count):
    """A node that `fill` has filled meets an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        ports = free_ports(2)
        first = Node(folder, 0, ports[0])
        fill(first)
        second = Node(folder, 1, ports[1])
        before, used, began = second.memory(), second.processor_time(), time.perf_counter()
        second.ctl("cluster", "join", f"127.0.0.1:{ports[0]}")
        while not any(line.startswith("n1@") and f"table {table} of n0@" in line and f"number={count}," in line
                      for line in second.ctl("cluster", "view").splitlines()):
            time.sleep(0.05)
        took = time.perf_counter() - began
        spent = (second.processor_time() - used) / count * 1e6
        print(f"{count} {table}: {took:.1f} s until both know the same, {spent:.1f} µs and "
              f"{(second.memory() - before) / count:.0f} bytes of memory for each")
        second.end()
        first.end()


if __name__ == "__main__":
    commands = {"forward": forward, "suback": suback, "takeover": takeover, "converge": converge, "sessions": sessions}
    commands[sys.argv[1]](*map(int, sys.argv[2:]))
