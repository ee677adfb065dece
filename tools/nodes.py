"""Brokers as nodes of a cluster, to measure them: processes of this Python on loopback, each with a store of its own."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from twisted.protocols.amp import AmpBox

from emqtwist.ctl.wire import More, Run

COOKIE = "a cookie to measure with"
NOBODY = "127.0.0.1:1"  # where no node is
BIN = Path(sys.executable).parent


class Node:
    """A broker; `cluster_port` 0 is one without a cluster. `seeds` are addresses of others, `address` what others are told."""

    def __init__(self, folder, number, cluster_port, seeds=(), address=""):
        self.folder, self.number, self.cluster_port = Path(folder, str(number)), number, cluster_port
        self.folder.mkdir()
        lines = [f"[node]\nname = n{number}@127.0.0.1\n[listener.tcp.default]\nbind = 127.0.0.1:0\n"
                 "[mqtt.broker]\nsys_interval = 0"]
        if cluster_port:
            lines.append(f"[cluster]\nbind = 127.0.0.1:{cluster_port}\ncookie = {COOKIE}")
        if address:
            lines.append(f"address = {address}")
        if seeds:
            lines.append(f"discovery = static\nseeds = {', '.join(seeds)}")
        self.configuration = self.folder / "broker.ini"
        self.configuration.write_text("\n".join([*lines, ""]))
        self.said = []
        self.process = subprocess.Popen(
            [BIN / "twistd", "-n", "--pidfile=", "emqtt", "--config", self.configuration], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.until("try:")
        self.port = int(next(line for line in self.said if "listening on tcp.default" in line).rpartition(":")[2])
        self.commands = socket.socket(socket.AF_UNIX)
        self.commands.connect(str(self.folder / "emqtwist-data" / "commands.sock"))

    def until(self, words):
        while not any(words in line for line in self.said):
            self.said.append(self.process.stdout.readline())
            assert self.said[-1], "".join(self.said)  # it has ended

    def ask(self, *words):
        """The rows that a command of `emqtwist_ctl` answers with, without a process for each."""
        self._call(Run, words=list(words))
        text, last = b"", False
        while not last:
            answer = self._call(More)
            text, last = text + answer["piece"], answer["last"]
        return [columns for _, columns in map(json.loads, text.splitlines())]

    def _call(self, command, **arguments):
        box = command.makeArguments(arguments, None)
        box.update({b"_command": command.commandName, b"_ask": b"1"})
        self.commands.sendall(box.serialize())
        answer = AmpBox()
        while (name := self._string()):
            answer[name] = self._string()
        assert b"_error" not in answer, answer
        return command.parseResponse(answer, None)

    def _string(self):
        return self._exactly(int.from_bytes(self._exactly(2), "big"))

    def _exactly(self, size):
        data = self.commands.recv(size, socket.MSG_WAITALL) if size else b""
        assert len(data) == size, "the broker has gone"
        return data

    def processor_time(self):
        """Seconds, of the broker without its store process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self):
        self.commands.close()
        self.process.terminate()
        self.process.communicate()


class Nodes:
    """So many of them, linked; a context. None is a broker without a cluster."""

    def __init__(self, count):
        self.folder = tempfile.TemporaryDirectory()
        ports = free_ports(count) or [0]
        self.each = [Node(self.folder.name, number, port, [f"127.0.0.1:{seed}" for seed in ports[:number]])
                     for number, port in enumerate(ports)]
        for number, node in enumerate(self.each):
            for other in range(number):
                node.until(f"linked with n{other}@")

    def __enter__(self):
        return self.each

    def __exit__(self, *error):
        for node in self.each:
            node.end()
        self.folder.cleanup()


class Cable:
    """The only way to `port`: by the port `near`, while it is plugged in. What is under way when it is pulled is lost."""

    def __init__(self, port):
        self.port = port
        self.near = free_ports(1)[0]
        self.ends = []
        self.plug_in()

    def plug_in(self):
        self.listening = socket.create_server(("127.0.0.1", self.near))
        threading.Thread(target=self._accept, args=(self.listening,), daemon=True).start()

    def pull(self):
        for each in (self.listening, *self.ends):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other side was faster
            each.close()
        self.ends.clear()

    def _accept(self, listening):
        try:
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                self.ends += near, far
                for source, target in ((near, far), (far, near)):
                    target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()
        except OSError:
            pass  # pulled

    def _carry(self, source, target):
        try:
            while data := source.recv(1 << 18):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def free_ports(count):
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports
