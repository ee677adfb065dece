"""What it costs to know who clients are, and what they may do.

    python tools/measure_logins.py storm [CLIENTS] [SECONDS]    # all connect at a time, a web server takes so long to know each
    python tools/measure_logins.py streams [ROUNDS]             # users of a file and 50 access rules against neither, in turns

`storm` says how late the broker ever came to anything else meanwhile, by its own monitor, which other work on the machine adds
to; and how much processor time one turn of its loop ever took, to which it does not.
"""
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pairs import MESSAGES, Pair, connected, text
from pairs import stream as stream_all

PAIRS = 10
RULES = 50
PASSWORD = b"pencil"
LATE = re.compile(rb"long_schedule warning: pid = (.*), info: (\d+) ms late")
SERVER = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            at = head.lower().index(b"content-length:") + 15
            await reader.readexactly(int(head[at:head.index(b"\\r", at)]))
            await asyncio.sleep(float(sys.argv[1]))
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, OSError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


LAUNCHER = """
import time
from twisted.internet import reactor
from twisted.scripts.twistd import run
turns, began = [], 0.0
def begin(function=reactor.runUntilCurrent):
    global began
    began = time.thread_time()
    function()
def end(delay, function=reactor.doIteration):
    function(delay)
    turns.append(time.thread_time() - began)
reactor.runUntilCurrent, reactor.doIteration = begin, end
reactor.addSystemEventTrigger("before", "shutdown", lambda: print(*sorted(turns)[-100:], file=open("turns", "w"), flush=True))
run()
"""


class Broker:
    """twistd with this configuration; a context."""

    def __init__(self, configuration, files=None):
        self.folder = tempfile.TemporaryDirectory()
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            self.port = holder.getsockname()[1]
        for name, content in (files or {}).items():
            Path(self.folder.name, name).write_text(content)
        path = Path(self.folder.name, "broker.ini")
        path.write_text(f"[node]\ndata_dir = data\n[store]\ntype = memory\n[log]\nfile = broker.log\n{configuration}")
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, "-n", "--pidfile=", "emqtt", "--config", path, "--port", str(self.port)],
            cwd=self.folder.name, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        while b"try:" not in self.log():
            time.sleep(0.05)

    def log(self):
        path = Path(self.folder.name, "broker.log")
        return path.read_bytes() if path.exists() else b""

    def __enter__(self):
        return self

    def processor_time(self):
        found = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, found)) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Seconds of processor time that its 100 longest turns took, in ascending order."""
        self.process.terminate()
        self.process.wait()
        return [float(each) for each in Path(self.folder.name, "turns").read_text().split()]

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def connect_packet(client_id):
    """CONNECT of 3.1.1, Clean Session 1, with user name and password."""
    body = b"\0\4MQTT\4\xc2\0\0" + text(client_id) + text(client_id) + text(PASSWORD)
    return b"\x10%c" % len(body) + body


# Logins.

def storm(clients, seconds):
    """How each of them ended; the seconds that took, and those of the broker's processor; how late it was; its longest turns."""
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(seconds)], stdout=subprocess.PIPE)
    address = f"http://127.0.0.1:{int(server.stdout.readline())}/auth"
    configuration = f"[auth]\norder = http\n[auth.http]\nauth_req = {address}\n[sysmon]\nlong_schedule = 20ms\n"
    try:
        with Broker(configuration) as broker:
            before, began = broker.processor_time(), time.perf_counter()
            ended = enter(broker.port, clients)
            took, used = time.perf_counter() - began, broker.processor_time() - before
            log, turns = broker.log(), broker.stop()  # how long the broker takes to end them all is another matter
            return ended, took, used, [(int(late), who.decode()) for who, late in LATE.findall(log)], turns
    finally:
        server.terminate()
        server.wait()


def enter(port, clients):
    """Connect them all, 1,000 on their way to the broker at a time; how they were answered."""
    ended = Counter()
    waiting = selectors.DefaultSelector()
    left, opening = iter(range(clients)), 0
    kept = []
    while sum(ended.values()) < clients:
        while opening < 1000 and (number := next(left, None)) is not None:
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            waiting.register(client, selectors.EVENT_WRITE, b"c%06d" % number)
            opening += 1
        for key, _ in waiting.select():
            client = key.fileobj
            if key.data:
                client.sendall(connect_packet(key.data))
                waiting.modify(client, selectors.EVENT_READ)
                opening -= 1
                continue
            answer = read(client)
            ended["closed" if not answer else f"return code {answer[3]}"] += 1
            waiting.unregister(client)
            kept.append(client)
    for client in kept:
        client.close()
    return ended


def read(client):
    try:
        return client.recv(4)
    except OSError:
        return b""


# Streams.

def guarded():
    """Configuration and files: a hundred users, and 50 rules of which the last two let each of them do what it does here."""
    users = "".join(f"{side}{number:03d}:{{plain}}{PASSWORD.decode()}\n" for number in range(PAIRS) for side in "ps")
    rules = [f"action = deny\nwho = user other{number}\ntopics = other/{number}/#, t/{number}00\n" for number in range(RULES - 2)]
    rules += [f"action = allow {access}\nwho = all\ntopics = t/#\n" for access in ("publish", "subscribe")]
    lines = "".join(f"[acl.rule.r{number:02d}]\n{rule}" for number, rule in enumerate(rules))
    return f"[auth]\norder = file\n[auth.file]\npath = users\n[mqtt]\nacl_nomatch = deny\n{lines}", {"users": users}


def stream(configuration, files, qos):
    """Microseconds of the broker's processor for each message."""
    with Broker(configuration, files) as broker:
        pairs = [Pair(*[connected(broker.port, connect_packet(b"%b%03d" % (side, number))) for side in (b"p", b"s")],
                      b"t/%03d" % number, qos) for number in range(PAIRS)]
        before = broker.processor_time()
        stream_all(pairs)
        return (broker.processor_time() - before) / (PAIRS * MESSAGES) * 1e6


def main(what, first=None, second=None):
    if what == "storm":
        ended, took, used, late, turns = storm(int(first or 10_000), float(second or 0.1))
        each = used / sum(ended.values()) * 1e6
        print(f"{dict(ended)} in {took:.1f} s, {used:.1f} s of processor time, {each:.0f} µs for each")
        print(f"late by {max([0, *[each for each, _ in late]])} ms at most; more than 20 ms {len(late)} times, 50 ms "
              f"{sum(each > 50 for each, _ in late)} times")
        long, longer = (sum(each > least for each in turns) for least in (0.02, 0.05))
        print(f"a turn took {turns[-1] * 1000:.0f} ms of processor time at most; more than 20 ms {long} times, 50 ms {longer}")
        for each, who in sorted(late, reverse=True)[:5]:
            print(f"  {each} ms: {who}")
        return
    for qos in (0, 1):
        found = [(stream("", {}, qos), stream(*guarded(), qos)) for _ in range(int(first or 3))]
        open_, closed = map(statistics.median, zip(*found, strict=True))
        print(f"QoS {qos}: {open_:.2f} µs a message, {closed:.2f} µs with users and {RULES} rules, {closed / open_:.2f} times; "
              f"rounds {', '.join(f'{b / a:.2f}' for a, b in found)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
