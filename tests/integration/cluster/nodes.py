"""Brokers that are nodes of one cluster, each in a process of its own."""
import re
from collections.abc import Sequence
from pathlib import Path

from emqtwist.mqtt.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.integration.brokers import RunningBroker
from tests.integration.program import python_script, run
from tests.integration.raw import RawClient

COOKIE = "a cookie for the tests"


class RunningNode:
    """`name@host`, whose files are in `folder/name`; `lines` are of its section [cluster], and what follows. It keeps its port.

    `others` are nodes that it is told of. `before` is a command that runs it.
    """

    def __init__(self, folder: Path, name: str, *others: "RunningNode", lines: str = f"cookie = {COOKIE}\n",
                 host: str = "127.0.0.1", before: Sequence[str] = ()) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.name = f"{name}@{host}"
        self.place = f"{host}:0"
        self._before = before
        self._lines = lines
        if others:
            self._lines = f"discovery = static\nseeds = {', '.join(other.place for other in others)}\n" + lines
        self.broker: RunningBroker
        self.start()

    def start(self) -> None:
        self._since = 0  # lines that do not count any more
        self.broker = RunningBroker(self.folder, f"[node]\nname = {self.name}\n[cluster]\nbind = {self.place}\n{self._lines}",
                                    self._before)
        self.place = next(found[1] for line in self.broker.program.output
                          if (found := re.search(r"nodes are taken at (\S+)", line)))

    def until_said(self, pattern: str) -> str:
        """The first line with it; what was said already counts, but for what is to be forgotten."""
        for line in self.broker.program.output[self._since:]:
            if re.search(pattern, line):
                return line
        return self.broker.program.next(pattern).string

    def forget(self) -> None:
        """What it has said up to now is waited for by nobody."""
        self.broker.program.catch_up()
        self._since = len(self.broker.program.output)

    def until_linked(self, *others: "RunningNode") -> None:
        for other in others:
            self.until_said(f"linked with {other.name}")

    def until_without(self, *others: "RunningNode") -> None:
        for other in others:
            self.until_said(f"no link with {other.name} any more")

    def client(self, client_id: str) -> RawClient:
        client = RawClient(self.broker.port)
        client.connect(client_id)
        return client

    def ask(self, *words: str) -> str:
        """What `emqtwist_ctl` prints."""
        asked = run(python_script("emqtwist_ctl"), "--config", self.broker.file, *words, cwd=self.folder)
        return (asked.stdout + asked.stderr).decode()

    def end(self) -> None:
        if not self.broker.program.ended():
            self.broker.program.terminate()


def publish(client: RawClient, payload: bytes, qos: int, topic: bytes = b"t") -> None:
    """With all that it takes to be sure."""
    client.send(Publish(topic, payload, qos, packet_id=1 if qos else 0))
    if qos == 1:
        assert client.next(Puback).reason_code == 0
    elif qos == 2:
        assert client.next(Pubrec).reason_code == 0
        client.send(Pubrel(1))
        client.next(Pubcomp)


def heard(client: RawClient) -> tuple[bytes, int]:
    """The next message, acknowledged: its payload and QoS."""
    message = client.next(Publish)
    if message.qos == 1:
        client.send(Puback(message.packet_id))
    elif message.qos == 2:
        client.send(Pubrec(message.packet_id))
        client.next(Pubrel)
        client.send(Pubcomp(message.packet_id))
    return message.payload, message.qos
