"""One crash run: a seed says what is killed, when, and what the clients do in between."""
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import Final

from emqtwist.mqtt.constants import MQTT_3_1_1
from tests.harness.crash.client import Client, Found, Loop
from tests.harness.crash.roles import LATE, SHORT, Guest, Heir, Mortal, Publisher, Reader, Retainer, Subscriber
from tests.harness.crash.wills import Testator
from tests.integration.program import Program, python_script

PATIENCE: Final = 30.0  # seconds after which what has not come is lost
QUIET: Final = 0.5  # seconds after which nothing more is expected
TWISTD: Final[Sequence[str | Path]] = (python_script("twistd"),)
DEFECT: Final = re.compile(r"Traceback|defect|failed, and goes on")
CONFIGURATION: Final = """\
[node]
data_dir = data
[store]
type = sqlite
durability = {durability}
[listener.tcp.default]
bind = 127.0.0.1:{port}
"""


def free_port() -> int:
    """Not one that the system gives to connections: a client that finds nobody there could connect to itself."""
    while True:
        with socket.socket() as holder:
            port = SystemRandom().randrange(10000, 30000)
            try:
                holder.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class CrashRun:
    """`command` is what runs the broker in place of twistd. `kills` counts what was killed, by name."""

    def __init__(self, seed: int, folder: Path, command: Sequence[str | Path] = TWISTD, durability: str = "always") -> None:
        self.seed = seed
        self.kills = {"broker": 0, "store": 0, "both": 0}
        self._random = Random(seed)
        self._folder = folder
        self._command = command
        self._port = free_port()
        (folder / "broker.ini").write_text(CONFIGURATION.format(port=self._port, durability=durability))
        self._programs: list[Program] = []
        self.loop = Loop()
        loop, port = self.loop, self._port
        self.subscribers = [Subscriber(loop, port, "s0"), Subscriber(loop, port, "s1", MQTT_3_1_1), Subscriber(loop, port, "s2")]
        self.mourner = Subscriber(loop, port, "mourner", topic_filter=b"w/#")
        self.testators = [Testator(loop, port, "w0"), Testator(loop, port, "w2", 2)]
        self.heir = Heir(loop, port)
        self.guest = Guest(loop, port)
        self.publishers = [Publisher(loop, port, f"p{number}", f"{seed} {number}") for number in range(3)]
        self.retainer = Retainer(loop, port, f"{seed}")
        self.mortal = Mortal(loop, port)

    def run(self, kills: int) -> None:
        """Found when a promise is broken; the seed and the last lines of the log stand with it."""
        try:
            self._start()
            self._settle_in()
            for number in range(kills):
                self._live(self._random.uniform(0.05, 0.4))
                if number % len(self.kills) == 0:  # each as often as the others, in an order of its own each time
                    order = self._random.sample(list(self.kills), len(self.kills))
                self._kill(order[number % len(self.kills)])
            self._finish()
        except Found as error:
            self._programs[-1].kill()
            log = "\n".join([line for program in self._programs[-2:] for line in program.output + program.rest()][-60:])
            raise Found(f"{error}\nseed {self.seed}, killed {self.kills}\n{log}") from None
        finally:
            for client in self.loop.clients:
                client.drop()
            self._programs[-1].kill()

    def _start(self) -> None:
        self._programs.append(Program(*self._command, "-n", "--pidfile=", "emqtt", "--config", "broker.ini", cwd=self._folder))

    def _settle_in(self) -> None:
        """All sessions are there and subscribed before the first message."""
        clients = self.loop.clients
        self._until(lambda: all(client.connected and not client.requests for client in clients), "clients connect")
        self.heir.wanted = self.guest.wanted = False
        self._set_active(True)
        self._until(lambda: all(publisher.acknowledged for publisher in self.publishers), "the first messages")
        self.guest.over = time.monotonic() + SHORT + 2 * LATE  # that it has gone is stored, before what was acknowledged

    def _set_active(self, active: bool) -> None:
        for publisher in self.publishers:
            publisher.active = active
        self.retainer.active = self.mortal.active = active

    def _live(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.loop.step()
            if self._random.random() < 0.05:
                client = self._random.choice([*self.subscribers, self.mourner, *self.testators])
                self._random.choice([self._toggle, self._take_over, self._change_mind])(client)

    def _toggle(self, client: Client) -> None:
        client.wanted = not client.wanted

    def _take_over(self, client: Client) -> None:
        if client.wanted:
            client.connect()

    def _change_mind(self, client: Client) -> None:
        if client in self.subscribers:
            assert isinstance(client, Subscriber)
            client.change_mind(self._random)

    def _kill(self, what: str) -> None:
        """SIGKILL to one process or both at once, as when the machine stops; a broker is started again."""
        program = self._programs[-1]
        if program.ended():
            raise Found("the broker has ended by itself")
        if what != "broker":  # before anybody is connected, the store is only looked at
            self._until(lambda: any(client.connected for client in self.loop.clients), "the broker")
            for pid in program.children():
                os.kill(pid, signal.SIGKILL)
        if what != "store":
            program.kill()
            self._start()
        self.kills[what] += 1

    def _finish(self) -> None:
        """Let all that is under way end, once more kill everything, and look what is there."""
        self._set_active(False)
        for client in (*self.subscribers, self.mourner, *self.testators):
            client.wanted = True
        self._until(lambda: not any(client.outgoing or client.requests for client in self.loop.clients), "acknowledgements")
        self._until(lambda: all(testator.connected for testator in self.testators), "those with Wills")
        self._until(lambda: time.monotonic() > self.guest.over, "time")
        self._kill("both")
        for testator in self.testators:
            testator.wanted = False
        self.heir.wanted = self.guest.wanted = True
        reader = Reader(self.loop, self._port)
        self._probe()
        acknowledged = {payload for publisher in self.publishers for payload in publisher.acknowledged}
        for subscriber in self.subscribers:
            self._receive(subscriber, acknowledged)
        self._until(lambda: self.mortal.acknowledged <= set(self.heir.left), "messages that expire")
        wills: set[bytes] = set().union(*(testator.due | {testator.current} for testator in self.testators))
        self._receive(self.mourner, wills)
        kept = {topic: payload for topic, payload in self.retainer.kept.items() if payload}
        self._until(lambda: len(reader.kept) >= len(kept), "retained messages")
        self.loop.run(QUIET)
        if reader.kept != kept:
            raise Found(f"retained is {reader.kept}, and should be {kept}")
        for subscriber in (*self.subscribers, self.mourner):
            subscriber.verify()
        for testator in self.testators:
            testator.verify(set(self.mourner.got))
        self.heir.verify(self.mortal)
        self._until(lambda: self.guest.connected, "the guest")
        self._programs[-1].terminate()
        self._read_logs()

    def _probe(self) -> None:
        """Subscribed is what was acknowledged: a message to each filter comes, or does not."""
        prober = Client(self.loop, self._port, "prober")
        for topic in sorted(topic for subscriber in self.subscribers for topic in subscriber.filters):
            prober.publish(topic, b"probe %s 1 1" % topic, 1)
        self._until(lambda: not prober.outgoing, "probes")
        for subscriber in self.subscribers:
            wanted = {b"probe %s 1 1" % topic for topic, there in subscriber.filters.items() if there}
            self._receive(subscriber, wanted)
            surplus = {payload for payload in subscriber.got if payload.startswith(b"probe")} - wanted
            if surplus:
                raise Found(f"{subscriber.client_id} got {surplus}, and has unsubscribed")

    def _receive(self, subscriber: Subscriber, expected: set[bytes]) -> None:
        try:
            self._until(lambda: expected <= set(subscriber.got), "messages")
        except Found as error:
            missing = expected - set(subscriber.got)
            name = subscriber.client_id
            raise Found(f"{name} lacks {len(missing)} of {len(expected)}: {sorted(missing)[:5]}; {error}") from None

    def _read_logs(self) -> None:
        for program in self._programs:
            lines = program.output + program.rest()
            for at, line in enumerate(lines):
                if DEFECT.search(line):
                    raise Found("\n".join(lines[at:at + 30]))

    def _until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            self.loop.step()
            if self._programs[-1].ended():
                raise Found("the broker has ended by itself")
            if time.monotonic() > deadline:
                raise Found(f"waited for {what} in vain")
