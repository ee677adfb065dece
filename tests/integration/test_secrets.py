"""Secrets that are marked never come out of a broker: not in its output, its log, traces, answers to commands, $SYS, the store.

Nor do they when those who are asked fail. `LEAKS` are planted to see that each of these places is looked at.
"""
import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from emqtwist.mqtt.constants import MQTT_3_1_1, MQTT_5_0
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Auth, Connack, Connect, Packet, Pingreq, Pingresp, Publish
from emqtwist.mqtt.properties import Properties
from tests.integration.program import Program, python_script, run
from tests.integration.raw import RawClient, RawWebSocket
from tests.integration.test_ctl import SCRIPT

MARK = "Marked0"  # in each secret, and in nothing else
PASSWORD = f"{MARK}password"
TOLD = {"output", "ctl", "trace", "live", "$SYS", "disk", "processes"}
TWISTD = "import os; exec(os.environ['LEAK']); from twisted.scripts.twistd import run; run()"
COMMANDS = """
import json, sys
from pathlib import Path
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from emqtwist.ctl.client import Place, run

async def ask(reactor):
    for form, words in json.load(sys.stdin):
        await run(reactor, Place(Path("emqtwist-data/commands.sock")), words, form)

react(lambda reactor: Deferred.fromCoroutine(ask(reactor)))
"""
CONFIGURATION = """
[listener.tcp.default]
bind = 127.0.0.1:0
[listener.ws.default]
bind = 127.0.0.1:0
[mqtt]
allow_anonymous = on
[log]
level = debug
[ctl]
bind = 127.0.0.1:0
secret = {mark}-of-commands
[auth]
order = users, file, sqlite, python, http
timeout = 300ms
on_error = next
cache_ttl = off
breaker_failures = 2
[auth.file]
path = passwords
[auth.sqlite]
path = accounts.db
auth_query = select password from nobody where name = '%u' and password = '%P'
[auth.python]
object = prophet:Prophet
[auth.http]
auth_req = http://127.0.0.1:{port}/auth?token={mark}token
super_req = http://127.0.0.1:{port}/super?token={mark}token
[auth.scram]
file = verifiers
"""
PROPHET = """
from zope.interface import implementer
from emqtwist.interfaces import IAuthenticator

@implementer(IAuthenticator)
class Prophet:
    async def authenticate(self, client, password):
        held = [password, client]
        raise ValueError(f"no such password: {password}")

    def close(self):
        pass
"""
SEEN = {  # what shows that it was played
    "output": ["python failed: ValueError", "sqlite failed: a query fails", "http failed"], "trace": ["password=given"],
    "ctl": ["erin", "authenticator_failing/http", "python: error: it has failed", "***"],
    "live": ["password=given", "authentication_method"], "$SYS": ["authenticator_failing"], "disk": ["argon2id"],
    "processes": ["emqtt", "sqlite"],
}
LEAKS = {
    "output": "from emqtwist.access import stage; stage.describe = repr",
    "ctl": "from emqtwist.config.rows import Row; Row.write = lambda row, value: row.unit.write(value)",
    "trace": "from emqtwist.services.trace import summary; summary.MAKERS[1] = lambda packet, version: "
             "{'client_id': packet.client_id, 'password': str(packet.password)}",
    "disk": "from emqtwist.access import hashes; hashes.make = lambda password, salt: '{plain}' + password.decode()",
    "$SYS": "from emqtwist.core import alarms; was = alarms.Alarms.raise_; "
            f"alarms.Alarms.raise_ = lambda of, name, *rest: was(of, name + '/{MARK}', *rest)",
    "processes": f"import sys, subprocess; subprocess.Popen([sys.executable, '-c', 'input()', '{MARK}'], stdin=subprocess.PIPE)",
}


class Oracle(BaseHTTPRequestHandler):
    """Refuses, cuts off, or takes its time, one after the other."""

    turns = 0
    over = Event()

    def do_POST(self) -> None:
        turn = Oracle.turns = Oracle.turns + 1
        if turn % 3 == 1:
            self.send_response(500, f"no {PASSWORD}")
            self.end_headers()
        elif turn % 3 == 2:
            self.over.wait()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def served() -> Iterator[int]:
    """The port of a web server."""
    Oracle.over.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Oracle)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        Oracle.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Scene:
    """A broker to which all kinds of secrets are shown; `shown` is where each mark could be seen: what was seen there."""

    def __init__(self, folder: Path, leak: str, port: int) -> None:
        self.folder = folder
        self.shown = dict.fromkeys(sorted(TOLD), "")
        (folder / "broker.ini").write_text(CONFIGURATION.format(mark=MARK, port=port))
        (folder / "prophet.py").write_text(PROPHET)
        (folder / "passwords").write_text(f"alice:{{plain}}{PASSWORD}\n")
        key = b64encode(MARK.encode().ljust(32, b"_")).decode()
        (folder / "verifiers").write_text(f"carol:SCRAM-SHA-256$4096:{b64encode(bytes(16)).decode()}${key}:{key}\n")
        (folder / "accounts.db").touch()
        self.keys = [MARK, key]
        self.broker = Program(sys.executable, "-c", TWISTD, "-n", "--pidfile=", "emqtt", "--config", "broker.ini",
                              cwd=folder, LEAK=leak)
        self.ports = {kind: int(self.broker.next(rf"listening on {kind}\.default at 127\.0\.0\.1:(\d+)")[1])
                      for kind in ("tcp", "ws")}
        self.broker.next("keeps messages in")

    def ctl(self, *commands: str) -> None:
        """Commands, one after the other, each in two forms."""
        asked = [(form, each.split()) for each in commands for form in ("lines", "json")]
        self._run(sys.executable, "-c", COMMANDS, stdin=json.dumps(asked))

    def _run(self, *command: str | Path, stdin: str = "") -> None:
        done = run(*command, cwd=self.folder, stdin=stdin.encode())
        self.shown["ctl"] += (done.stdout + done.stderr).decode(errors="replace")

    def knock(self, packet: Connect, ws: bool = False) -> Packet:
        """What a client is answered."""
        kind = RawWebSocket if ws else RawClient
        with kind(self.ports["ws" if ws else "tcp"], packet.version) as client:
            client.send(packet)
            answer: Packet = client.next(Auth if packet.properties is not None else Connack)
            if isinstance(answer, Auth):
                client.send(Auth(0x18, method(f"c=biws,r={MARK},p={MARK}")))
                client.next(Connack)
            return answer

    def logins(self) -> None:
        """Right and wrong ones, of all kinds, and packets that are none."""
        for version in (MQTT_3_1_1, MQTT_5_0):
            for ws in (False, True):
                for name, password in (("alice", PASSWORD), ("alice", PASSWORD + "x"), ("dan", PASSWORD), ("", PASSWORD)):
                    self.knock(Connect(version, "lamp", True, user_name=name, password=password.encode()), ws)
        self.knock(Connect(MQTT_5_0, "lamp", True, properties=method(f"n,,n=carol,r={MARK}")))
        good = encode(Connect(MQTT_5_0, "lamp", True, user_name="alice", password=PASSWORD.encode()), MQTT_5_0)
        for bad in (good + good, good[:-3] + b"\xff" + good[-2:] + b"\xf0\x00", bytes([good[0] | 1]) + good[1:],
                    good.replace(b"alice", b"al\0ce"), good[:2] + PASSWORD.encode()):
            with RawClient(self.ports["tcp"], first=bad) as client:
                client.socket.shutdown(1)
                while client.socket.recv(65536):
                    pass

    def commands(self) -> None:
        self._run(*SCRIPT, "users", "add", "erin", stdin=f"{PASSWORD}\n")
        self.ctl(f"users add erin {PASSWORD}", f"users passwd erin {PASSWORD}2", "users list", "config show", "set",
                 "config show ctl.secret", f"config set auth.http.auth_req ftp://{MARK}", "clients show watch",
                 f"explain auth lamp dan 127.0.0.1 tcp.default {PASSWORD}", "explain client lamp", "alarms list",
                 "alarms history", "supervisor tree", "trace list")
        (self.folder / "bad.ini").write_text(f"[ctl]\nsecret = {MARK}\n[auth.http]\nauth_req = ftp://{MARK}\n")
        self._run(python_script("twistd"), "-n", "emqtt", "--config", "bad.ini", "--check")

    def play(self) -> None:
        watch = RawClient(self.ports["tcp"])
        watch.connect("watch")
        watch.subscribe(b"$SYS/#")
        self.ctl("trace client lamp lamp.trace payload=100")
        live = Program(*SCRIPT, "trace", "address", "127.0.0.1", "live", cwd=self.folder)
        with ExitStack() as ends:
            ends.callback(live.kill)
            live.next("SUBSCRIBE|CONNECT|connected")
            self.logins()
            live.next("received AUTH")
            self.commands()
            self._processes()
        self.shown["live"] = "\n".join([*live.output, *live.rest()])
        watch.send(Pingreq())
        self.shown["$SYS"] = "".join(self._published(watch))
        watch.socket.close()

    def _processes(self) -> None:
        for pid in (self.broker.pid, *self.broker.children()):
            self.shown["processes"] += Path(f"/proc/{pid}/cmdline").read_text()

    def _published(self, watch: RawClient) -> Iterator[str]:
        while True:
            packet = watch.next(Packet)
            if isinstance(packet, Pingresp):
                return
            if isinstance(packet, Publish):
                yield f"{packet.topic_name!r} {packet.payload!r}\n"

    def end(self) -> None:
        self.broker.terminate()
        self.shown["output"] = "\n".join([*self.broker.output, *self.broker.rest()])
        traces = self.folder / "emqtwist-data" / "traces"
        for file in (self.folder / "emqtwist-data").rglob("*"):
            if file.is_file():
                self.shown["trace" if traces in file.parents else "disk"] += file.read_bytes().decode(errors="replace")

    def leaks(self) -> list[str]:
        return [place for place, text in self.shown.items() if any(key in text for key in self.keys)]


def method(data: str) -> Properties:
    properties = Properties()
    properties.authentication_method = "SCRAM-SHA-256"
    properties.authentication_data = data.encode()
    return properties


@contextmanager
def played(folder: Path, leak: str = "") -> Iterator[Scene]:
    with served() as port:
        scene = Scene(folder, leak, port)
        try:
            scene.play()
        finally:
            scene.end()
        yield scene


def test_marked_secrets_come_out_nowhere(tmp_path: Path) -> None:
    with played(tmp_path) as scene:
        assert [(place, each) for place, seen in SEEN.items() for each in seen if each not in scene.shown[place]] == []
        assert scene.leaks() == [], [line for text in scene.shown.values() for line in text.splitlines()
                                     if any(key in line for key in scene.keys)]


def test_leaks_that_are_planted_are_found(tmp_path: Path) -> None:
    """Each place is looked at."""
    with played(tmp_path, "\n".join(LEAKS.values())) as scene:
        assert set(scene.leaks()) == TOLD
