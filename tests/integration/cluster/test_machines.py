"""Three nodes on machines of their own, whose cables are pulled, and who are killed, under load."""
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.cluster.load import Publisher, Subscriber, check
from tests.integration.cluster.namespaces import Machines, machines
from tests.integration.cluster.nodes import COOKIE, RunningNode
from tests.integration.program import Program, run

LINES = f"""cookie = {COOKIE}
heartbeat = 200ms
timeout = 1s
[listener.unix.local]
bind = mqtt.sock
"""
SOME = 40  # messages


class Cluster:
    """Nodes a, b, c; a persistent session on each, and a publisher whose messages are for all of them."""

    def __init__(self, folder: Path, hall: Machines, stack: ExitStack) -> None:
        self.hall = hall
        self.nodes: dict[str, RunningNode] = {}
        for name, host in hall.hosts.items():
            node = self.nodes[name] = RunningNode(folder, name, *self.nodes.values(), lines=LINES, host=host,
                                                  before=hall.within(name))
            stack.callback(node.end)
        for name, node in self.nodes.items():
            node.until_linked(*[other for each, other in self.nodes.items() if each != name])
        sockets = {name: node.folder / "mqtt.sock" for name, node in self.nodes.items()}
        self.subscribers = {name: Subscriber(where, f"subscriber-{name}") for name, where in sockets.items()}
        for subscriber in self.subscribers.values():
            stack.callback(subscriber.end)
            subscriber.until(subscriber.is_there)
        self.publishers = {name: Publisher(where, f"publisher-{name}", b"t/" + name.encode()) for name, where in sockets.items()}
        for publisher in self.publishers.values():
            stack.callback(publisher.end)

    def go_on(self, *without: str) -> None:
        """Some messages more are acknowledged everywhere, but there."""
        for name, publisher in self.publishers.items():
            if name not in without:
                publisher.advance(SOME)

    def settle(self) -> None:
        """No more is published; what was acknowledged arrives everywhere, and the nodes agree about all that they share."""
        for publisher in self.publishers.values():
            publisher.end()
        for subscriber in self.subscribers.values():
            for publisher in self.publishers.values():
                subscriber.until_it_has(publisher.topic, publisher.acknowledged)
                check(subscriber, publisher)
        for node in self.nodes.values():
            assert "outbox=0" in node.ask("cluster", "status")


@pytest.fixture
def hall() -> Iterator[Machines]:
    try:
        with machines("a", "b", "c") as made:
            yield made
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces cannot be made here: {error}")


@pytest.fixture
def cluster(tmp_path: Path, hall: Machines) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, hall, stack)


def test_a_node_whose_cable_is_pulled_serves_on_and_has_all_when_it_is_back(cluster: Cluster) -> None:
    cluster.go_on()
    cluster.hall.unplug("c")
    cluster.nodes["a"].until_said("no link with c@")
    cluster.go_on()
    cluster.hall.plug_in("c")
    cluster.nodes["c"].until_said("linked with")
    cluster.go_on()
    cluster.settle()


def test_a_node_that_is_heard_by_one_alone(cluster: Cluster) -> None:
    cluster.go_on()
    cluster.hall.mute("a", towards="b")
    cluster.nodes["b"].until_said("no link with a@")
    cluster.go_on()
    cluster.hall.unmute("a", towards="b")
    cluster.settle()


def test_nodes_that_are_killed_under_load(cluster: Cluster) -> None:
    for name in ("b", "a", "c"):
        cluster.go_on()
        cluster.nodes[name].broker.program.kill()
        cluster.go_on(name)
        cluster.nodes[name].start()
    cluster.go_on()
    cluster.settle()


def test_a_node_is_killed_while_another_is_cut_off(cluster: Cluster) -> None:
    cluster.go_on()
    cluster.hall.unplug("c")
    cluster.nodes["a"].until_said("no link with c@")
    cluster.go_on()
    cluster.nodes["b"].broker.program.kill()
    cluster.go_on("b")
    cluster.nodes["b"].start()
    cluster.go_on()
    cluster.hall.plug_in("c")
    cluster.settle()


def test_clients_of_mosquitto_meet_across_machines(cluster: Cluster) -> None:
    reader = Program("stdbuf", "-oL", "mosquitto_sub", "--unix", cluster.nodes["c"].folder / "mqtt.sock", "-t", "greetings/#",
                     "-q", "1", "-C", "2", "-v", "-W", "30", "-d")
    reader.next("SUBACK")
    for name in ("a", "b"):
        sent = run("mosquitto_pub", "--unix", cluster.nodes[name].folder / "mqtt.sock", "-t", f"greetings/{name}", "-m", "hello",
                   "-q", "2")
        assert sent.returncode == 0
        reader.next(f"greetings/{name} hello")
    reader.wait()
    cluster.settle()
