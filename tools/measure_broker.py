"""What the broker takes of the processor and of the system, and how long the garbage collector stops it.

    python tools/measure_broker.py MQLOAD processor [SCENARIO ...]   # µs of user and system time, beside Mosquitto's
    python tools/measure_broker.py MQLOAD calls [SCENARIO ...]       # system calls, by strace, beside Mosquitto's
    python tools/measure_broker.py MQLOAD loops                      # the engine and Twisted's transports on each loop
    python tools/measure_broker.py MQLOAD pauses [CONNECTIONS ...]   # longest run of the collector, and with Python's settings

MQLOAD is the load that `make bench` has built, `.venv/mqload`. Brokers are pinned to core 0 and it to core 1, rounds are
interleaved, and what is printed are medians.
"""
import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STREAM = "pubsub --pubs 10 --batch 50 --window 500"
FAN_OUT = "pubsub --pattern fanout --subs 100 --batch 10 --window 100"
SCENARIOS = {
    "one-at-a-time-0": "pubsub --pubs 200 --window 1",
    "one-at-a-time-1": "pubsub --pubs 200 --window 1 --qos 1",
    "stream-0": STREAM,
    "stream-1": STREAM + " --qos 1",
    "stream-2": STREAM + " --qos 2",
    "fan-out-0": FAN_OUT,
    "fan-out-1": FAN_OUT + " --qos 1",
    "fan-in": "pubsub --pattern fanin --pubs 100 --window 50",
    "latency": "pubsub --pubs 50 --rate 5000 --qos 1",
    "connect": "connect --n 8000 --concurrency 50",
    "churn": "churn --duration 3",
}
SECONDS = "3"
PORT = "{port}"
MOSQUITTO = "listener {} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
CALLS = ("recv", "send", "epoll_wait", "epoll_ctl", "accept", "close")
NAMES = {"read": "recv", "recvfrom": "recv", "sendto": "send", "write": "send", "sendmsg": "send", "writev": "send",
         "accept4": "accept", "epoll_pwait": "epoll_wait", "poll": "epoll_wait", "ppoll": "epoll_wait", "select": "epoll_wait"}
EMBEDDED = """
import asyncio, sys
kind, io, port = sys.argv[1:]
if kind == "epoll":
    from twisted.internet import epollreactor as chosen
    chosen.install()
else:
    from twisted.internet import asyncioreactor as chosen
    if kind == "uvloop":
        import uvloop
        asyncio.set_event_loop(uvloop.new_event_loop())
    else:
        asyncio.set_event_loop(asyncio.new_event_loop())
    chosen.install(asyncio.get_event_loop())
from twisted.internet import reactor
from emqtwist import BrokerService
from emqtwist.config import parse
configuration = parse(f"listener.tcp.default.bind = 127.0.0.1:{port}\\nnode.io = {io}")
BrokerService(configuration, reactor).startService()
reactor.run()
"""
COLLECTING = """
import gc, sys, time
worst = [0.0, 0.0]
def note(phase, information):
    if phase == "start":
        worst[1] = time.perf_counter()
    else:
        worst[0] = max(worst[0], time.perf_counter() - worst[1])
gc.callbacks.append(note)
def tell(number, frame):
    print("LONGEST", worst[0], file=sys.__stderr__, flush=True)
    worst[0] = 0.0
import signal
if sys.argv.pop(1) == "python":
    from emqtwist.services.collector import Collector
    Collector.startService = lambda self: None
    Collector.stopService = lambda self: None
from twisted.internet import reactor
reactor.callWhenRunning(signal.signal, signal.SIGUSR2, tell)
from twisted.scripts.twistd import run
run()
"""


class Process:
    """A broker on core 0; a context."""

    def __init__(self, command):
        self.folder = tempfile.TemporaryDirectory()
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            self.port = holder.getsockname()[1]
        folder = Path(self.folder.name)
        (folder / "mosquitto.conf").write_text(MOSQUITTO.format(self.port))
        (folder / "broker.ini").write_text(f"[node]\ndata_dir = {folder}/data\n")
        self.told = open(folder / "told", "w+b")
        command = [str(self.port) if each == PORT else each for each in command]
        self.process = subprocess.Popen(["taskset", "-c", "0", *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=self.told)
        self._wait()

    def _wait(self):
        for _ in range(200):
            time.sleep(0.1)
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise SystemExit(f"it does not start: {self.heard()}")

    def heard(self):
        self.told.seek(0)
        return self.told.read().decode()

    def times(self):
        """Seconds of user and system time."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return [int(each) / os.sysconf("SC_CLK_TCK") for each in fields[11:13]]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait()
        self.told.close()
        self.folder.cleanup()


def twistd(*arguments):
    return [sys.executable, *arguments, "-n", "--pidfile=", "emqtt", "--config", "broker.ini", "--port", PORT]


BROKERS = {"mosquitto": ["mosquitto", "-c", "mosquitto.conf"],
           "emqtwist": twistd(str(Path(sys.executable).with_name("twistd")))}


def load(mqload, port, arguments):
    """What the load says, and how many messages, deliveries, connections or cycles there were."""
    words = arguments.split()
    if words[0] == "pubsub":
        words += ["--warmup", "0", "--duration", SECONDS]
    said = json.loads(subprocess.run(["taskset", "-c", "1", mqload, *words, "--port", str(port)], check=True,
                                     capture_output=True).stdout)
    if words[0] == "connect":
        return said, int(words[words.index("--n") + 1])
    rate = said["cycles_per_s"] if words[0] == "churn" else said["delivered_per_s"]
    return said, rate * float(SECONDS)


def processor(mqload, chosen, rounds):
    for name in chosen:
        figures = {broker: [] for broker in BROKERS}
        for _ in range(rounds):
            for broker, command in BROKERS.items():
                with Process(command) as process:
                    before = process.times()
                    _, count = load(mqload, process.port, SCENARIOS[name])
                    took = [after - start for after, start in zip(process.times(), before, strict=True)]
                    figures[broker].append([each / count * 1e6 for each in took])
        medians = {broker: (statistics.median(map(sum, each)), statistics.median(system for _, system in each))
                   for broker, each in figures.items()}
        (theirs, _), (ours, system) = medians["mosquitto"], medians["emqtwist"]
        print(f"| {name} | {theirs:.1f} | {ours:.1f} | {system:.1f} | {theirs / ours:.1f} |", flush=True)


def calls(mqload, chosen, rounds):
    for name in chosen:
        for broker, command in BROKERS.items():
            counts = []
            for _ in range(rounds):
                with Process(command) as process, tempfile.NamedTemporaryFile() as summary:
                    tracer = subprocess.Popen(["strace", "-c", "-p", str(process.process.pid), "-o", summary.name],
                                              stderr=subprocess.DEVNULL)
                    time.sleep(0.5)
                    _, count = load(mqload, process.port, SCENARIOS[name])
                    tracer.terminate()
                    tracer.wait()
                    if count:
                        counts.append(per(summary.read().decode(), count))
            if not counts:
                print(f"| {name} | {broker} | so slow while it is traced that nothing came |", flush=True)
                continue
            medians = [statistics.median(each[call] for each in counts) for call in CALLS]
            print(f"| {name} | {broker} | " + " | ".join(f"{each:.3f}" for each in medians) + " |", flush=True)


def per(summary, count):
    """Of what strace has counted, how many for each of `count`."""
    found = dict.fromkeys(CALLS, 0.0)
    for number, name in re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", summary, re.MULTILINE):
        name = NAMES.get(name, name)
        if name in found:
            found[name] += int(number) / count
    return found


def loops(mqload, _, rounds):
    kinds = [(kind, io) for kind in ("epoll", "asyncio", "uvloop") for io in ("engine", "stock")]
    for name in ("one-at-a-time-0", "stream-1"):
        rates = {each: [] for each in kinds}
        for _ in range(rounds):
            for kind, io in kinds:
                with Process([sys.executable, "-c", EMBEDDED, kind, io, PORT]) as process:
                    rates[kind, io].append(load(mqload, process.port, SCENARIOS[name])[0]["delivered_per_s"])
        for kind in ("epoll", "asyncio", "uvloop"):
            engine, stock = (statistics.median(rates[kind, io]) for io in ("engine", "stock"))
            print(f"| {name} | {kind} | {engine:,.0f} | {stock:,.0f} | {engine / stock:.1f} |", flush=True)


def pauses(mqload, chosen, rounds):
    for number in map(int, chosen or ("1000", "5000", "15000")):
        longest = {}
        for kind in ("emqtwist", "python"):
            longest[kind] = []
            for _ in range(rounds):
                with Process(twistd("-c", COLLECTING, kind)) as process:
                    time.sleep(1)
                    process.process.send_signal(signal.SIGUSR2)  # what the start took does not count
                    subprocess.run(["taskset", "-c", "1", mqload, "idle", "--n", str(number), "--sub", "--hold", "3", "--port",
                                    str(process.port)], check=True, capture_output=True)
                    process.process.send_signal(signal.SIGUSR2)
                    time.sleep(1)
                    longest[kind].append(float(re.findall(r"LONGEST ([\d.e-]+)", process.heard())[-1]) * 1e3)
        print(f"| {number} | " + " | ".join(f"{statistics.median(longest[kind]):.1f}" for kind in ("emqtwist", "python")) + " |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mqload", type=Path, help="the load that `make bench` has built")
    parser.add_argument("what", choices=("processor", "calls", "loops", "pauses"))
    parser.add_argument("chosen", nargs="*", help=f"of {', '.join(SCENARIOS)}; for `pauses` numbers of connections")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    unknown = [each for each in given.chosen if given.what in ("processor", "calls") and each not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario is called {unknown[0]}; there are {', '.join(SCENARIOS)}")
    chosen = given.chosen if given.what == "pauses" else given.chosen or list(SCENARIOS)
    measure = {"processor": processor, "calls": calls, "loops": loops, "pauses": pauses}[given.what]
    measure(given.mqload.absolute(), chosen, given.rounds)


if __name__ == "__main__":
    main()
