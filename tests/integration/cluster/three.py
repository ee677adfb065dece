"""Three nodes on machines of their own."""
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.asking import Row, ask
from tests.integration.cluster.namespaces import Machines, machines
from tests.integration.cluster.nodes import COOKIE, RunningNode
from tests.integration.program import LIMIT
from tests.integration.raw import RawClient

LINES = f"""cookie = {COOKIE}
heartbeat = 200ms
timeout = 1s
"""
SOCKETS = """[listener.unix.local]
bind = mqtt.sock
[ctl]
socket = ctl.sock
"""
PAUSE = 0.1  # seconds between two looks
HEALED = "nothing was heard for too long"  # the doctor says that until the next link has held for a minute


class Three:
    """Nodes a, b and c; `sockets` are where clients find them. `more` are lines of one's section [cluster]."""

    def __init__(self, folder: Path, hall: Machines, stack: ExitStack, more: dict[str, str]) -> None:
        self.hall = hall
        self.nodes: dict[str, RunningNode] = {}
        self._apart: set[str] = set()  # who is not linked with anybody
        for name, host in hall.hosts.items():
            node = self.nodes[name] = RunningNode(folder, name, *self.nodes.values(), lines=LINES + more.get(name, "") + SOCKETS,
                                                  host=host, before=hall.within(name))
            stack.callback(node.end)
        for name, node in self.nodes.items():
            node.until_linked(*self._others(name))
        self.sockets = {name: node.folder / "mqtt.sock" for name, node in self.nodes.items()}

    def _others(self, name: str) -> list[RunningNode]:
        """Those that are linked."""
        return [node for each, node in self.nodes.items() if each not in {name, *self._apart}]

    def _forget(self) -> None:
        for node in self.nodes.values():
            node.forget()

    @contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """What is done while a cable is pulled, which all know. At the end they are linked again."""
        node = self.nodes[name]
        self._forget()
        self.hall.unplug(name)
        try:
            for other in self._others(name):
                other.until_without(node)
                node.until_without(other)
            self._apart.add(name)
            yield
        finally:
            self._apart.discard(name)
            self._forget()
            self.hall.plug_in(name)
        for other in self._others(name):
            other.until_linked(node)
            node.until_linked(other)

    @contextmanager
    def muted(self, name: str, towards: str) -> Iterator[None]:
        """What is done while nothing from one node comes to another."""
        node, other = self.nodes[name], self.nodes[towards]
        self._forget()
        self.hall.mute(name, towards)
        try:
            other.until_without(node)
            node.until_without(other)
            yield
        finally:
            self._forget()
            self.hall.unmute(name, towards)
        other.until_linked(node)
        node.until_linked(other)

    @contextmanager
    def killed(self, name: str) -> Iterator[None]:
        """What is done while a node is down. At the end it is linked again."""
        node = self.nodes[name]
        self._forget()
        node.broker.program.kill()
        try:
            for other in self._others(name):
                other.until_without(node)
            yield
        finally:
            self._forget()
            node.start()
        for other in self._others(name):
            other.until_linked(node)
            node.until_linked(other)

    def client(self, name: str, client_id: str = "") -> RawClient:
        """Connected at a node."""
        client = RawClient(str(self.sockets[name]))
        client.connect(client_id)
        return client

    def ask(self, name: str, *words: str) -> list[Row]:
        """What a node answers."""
        return ask(self.nodes[name].folder / "ctl.sock", *words)

    def sessions(self, client_id: str) -> list[object]:
        """The nodes at which there is one of this client, and those that do not answer, where there may be one."""
        return [row["node"] for row in self.ask("a", "sessions", "list") if row.get("client_id", client_id) == client_id]

    def until_agreed(self) -> None:
        """Wait until each node is linked with the others, nothing waits for any, and all know the same."""
        names = [node.name for node in self.nodes.values()]
        for name, node in self.nodes.items():
            until({other: ("up", 0) for other in names if other != node.name}, self._links, name)
        until({}, self._differing)
        for name in self.nodes:
            until([], self._wrong, name)

    def _links(self, name: str) -> dict[object, object]:
        """The state of each other node as one sees it, and how many messages wait for it."""
        return {row["node"]: (row["state"], row["outbox"]) for row in self.ask(name, "cluster", "status") if "outbox" in row}

    def _differing(self) -> dict[tuple[object, object], list[tuple[object, object]]]:
        """Tables of routes and sessions that are not the same at all nodes: by author and name, as they are at each."""
        tables: dict[tuple[object, object], list[tuple[object, object]]] = {}
        for row in self.ask("a", "cluster", "view"):
            if row.get("kind") == "table":  # else it is about something else, or a node does not answer
                tables.setdefault((row["author"], row["name"]), []).append((row["number"], row["digest"]))
        assert len(tables) == 2 * len(self.nodes)
        return {table: states for table, states in tables.items() if len(states) < len(self.nodes) or len(set(states)) > 1}

    def _wrong(self, name: str) -> list[Row]:
        """What the doctor finds, but for what is over."""
        found = self.ask(name, "cluster", "doctor")
        assert found
        return [row for row in found if not row["ok"] and not str(row["text"]).startswith(HEALED)]


def until(expected: object, found: Callable[..., object], *arguments: object) -> None:
    """Wait until this is found."""
    deadline = time.monotonic() + LIMIT
    while (now := found(*arguments)) != expected:
        assert time.monotonic() < deadline, now
        time.sleep(PAUSE)


@contextmanager
def three(folder: Path, **more: str) -> Iterator[Three]:
    """They run meanwhile; who asks is skipped where no machines can be made. `more` are lines of a node's section [cluster]."""
    with ExitStack() as stack:
        try:
            hall = stack.enter_context(machines("a", "b", "c"))
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces cannot be made here: {error}")
        yield Three(folder, hall, stack, more)
