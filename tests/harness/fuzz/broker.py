"""A broker in a process of its own under lying clients."""
import re
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from emqtwist.mqtt.constants import MAX_PACKET
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.packets import Packet
from tests.harness.fuzz.canary import Canary
from tests.harness.fuzz.logins import USERS_FILE
from tests.harness.fuzz.sessions import Found, LyingSession
from tests.integration.program import Program, python_script

CONFIGURATION = """
[mqtt.client]
idle_timeout = 100ms
max_unsent = 64KB
[mqtt.session]
expiry_interval = 1s
[mqtt.mqueue]
max_bytes = 256KB
on_full = drop_oldest
[mqtt.pubsub]
route_cache = 1000
[retainer]
max_message_num = 100
[auth.scram]
file = users
[listener.tcp.default]
bind = 127.0.0.1:0
"""
TWISTD: Sequence[str | Path] = (python_script("twistd"),)
MANY = 20  # connections that stay open
PATIENCE = 10.0  # seconds that an answer or a close may take
GROWTH = 16_000  # KB that the broker may grow by once it is warm: its tables are full, its heap is as torn as it gets
DEFECT = re.compile(r"defect|Traceback|Unhandled")


class Liar:
    """The connection of one session; everything is sent by `speak`, and then `closed` is asked once."""

    def __init__(self, session: LyingSession, port: int) -> None:
        self.session = session
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.socket.getsockname()[1]

    def speak(self) -> None:
        try:
            if self.session.login is not None:
                self.socket.sendall(self.session.login.opening)
                self.socket.sendall(self.session.login.final(self._answer()))
            for chunk in self.session.chunks:
                self.socket.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed in the middle, as it deserves

    def _answer(self) -> Packet | None:
        """The first packet from the broker, None when there is none."""
        decoder = Decoder(MAX_PACKET, self.session.version)
        packets: list[Packet] = []
        received = b"?"
        while received and not packets:
            received = self.socket.recv(65536)
            packets = decoder.feed(received)
        return packets[0] if packets else None

    def closed(self) -> bool:
        """Wait for the end, which bytes that are no packets deserve, or else for any answer; whether it was the end."""
        try:
            received = self.socket.recv(65536)
            while received and (self.session.is_broken or self.session.is_silent):
                received = self.socket.recv(65536)
        except ConnectionResetError:
            return True
        return not received

    def part(self) -> None:
        if self.session.farewell == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class BrokerFuzz:
    """Sessions against one broker; `command` is what runs it in place of twistd."""

    def __init__(self, seed: int, version: int, folder: Path, command: Sequence[str | Path] = TWISTD) -> None:
        self.seed = seed
        self.version = version
        self.closed = self.exchanged = 0
        self.resident: list[int] = []  # KB: at the start, when it is warm, at the end
        self.slowest: list[float] = []  # milliseconds of the canary's 99th percentile: in the first tenth, in the last
        self._folder = folder
        self._numbers: dict[int, int] = {}  # of sessions, by the port they came from
        self._open: list[Liar] = []
        self._waiting: list[Liar] = []  # for the end of the time for CONNECT: not even one packet was sent
        self._command = command

    def run(self, first: int, sessions: int) -> None:
        """Play sessions; Found when the broker dies, hangs, grows, logs a defect, or disturbs the canary."""
        self._first = self._number = first
        (self._folder / "broker.ini").write_text(CONFIGURATION)
        (self._folder / "users").write_text(USERS_FILE)
        self._program = Program(*self._command, "-n", "--pidfile=broker.pid", "emqtt", "--config", "broker.ini",
                                cwd=self._folder)
        try:
            self._port = int(self._program.next(r"listening on tcp\.default at 127\.0\.0\.1:(\d+)")[1])
            self._play_all(range(first, first + sessions))
        except Found as error:
            error.add_note("\n".join(self._end()[-40:]))
            raise
        except BaseException:
            self._program.kill()
            raise
        self._read(self._end())

    def _play_all(self, numbers: range) -> None:
        canary = Canary(self._port)
        try:
            self._measure()
            for self._number in numbers:
                self._play(LyingSession(self.seed, self.version, self._number))
                self._listen(canary)
                if self._number == numbers[len(numbers) // 3]:
                    self._measure()
            for liar in self._waiting:
                self._judge(liar)
        finally:
            canary.stop()
        self._listen(canary)
        self.exchanged = canary.exchanged
        tenth = max(1, self.exchanged // 10)
        self.slowest = [canary.slowest(slice(tenth)), canary.slowest(slice(-tenth, None))]
        self._measure()
        if self.resident[-1] > self.resident[1] + GROWTH:
            raise self._found(f"the broker grew from {self.resident[1]} KB to {self.resident[-1]} KB", self._number)

    def _play(self, session: LyingSession) -> None:
        try:
            liar = Liar(session, self._port)
        except (ConnectionError, TimeoutError) as error:
            raise self._found(f"the broker takes no connections any more: {error}", session.number) from error
        self._numbers[liar.port] = session.number
        self._bear(liar.speak, session)
        if session.is_silent:
            self._waiting.append(liar)
            if len(self._waiting) > MANY:
                self._judge(self._waiting[0])
                self._waiting.pop(0).part()
            return
        self._open.append(liar)
        self._judge(liar)
        if session.farewell != "leave" or len(self._open) > MANY:
            self._open.pop(Random(session.number).randrange(len(self._open))).part()

    def _judge(self, liar: Liar) -> None:
        self.closed += bool(self._bear(liar.closed, liar.session))

    def _bear(self, act: Callable[[], bool | None], session: LyingSession) -> bool | None:
        try:
            return act()
        except TimeoutError:
            raise self._found(f"neither answered nor closed within {PATIENCE:g} s", session.number) from None

    def _listen(self, canary: Canary) -> None:
        if canary.error is not None:
            raise self._found(f"the canary was disturbed: {canary.error!r}", self._number) from canary.error

    def _measure(self) -> None:
        status = Path(f"/proc/{(self._folder / 'broker.pid').read_text()}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident is not None
        self.resident.append(int(resident[1]))

    def _end(self) -> list[str]:
        """What the broker has logged, once everybody has left and it has ended."""
        for liar in [*self._open, *self._waiting]:
            liar.part()
        self._program.terminate()
        return self._program.rest()

    def _read(self, lines: list[str]) -> None:
        for at, line in enumerate(lines):
            if DEFECT.search(line):
                port = re.search(r"from 127\.0\.0\.1:(\d+)", line)
                raise self._found("\n".join(lines[at:at + 40]), self._numbers[int(port[1])] if port else self._number)

    def _found(self, what: str, number: int) -> Found:
        return Found(what, LyingSession(self.seed, self.version, number), self._first)
