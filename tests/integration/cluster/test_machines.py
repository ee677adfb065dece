"""Three nodes on machines of their own, whose cables are pulled, and who are killed, under load."""
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.cluster.load import Publisher, Subscriber, check
from tests.integration.cluster.three import Three, three
from tests.integration.program import Program, run

SOME = 40  # messages


class Load:
    """A persistent session on each node, and a publisher whose messages are for all of them."""

    def __init__(self, nodes: Three, stack: ExitStack) -> None:
        self.nodes = nodes
        sockets = nodes.sockets
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
        self.nodes.until_agreed()


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    with three(tmp_path) as nodes, ExitStack() as stack:
        yield Load(nodes, stack)


def test_a_node_whose_cable_is_pulled_serves_on_and_has_all_when_it_is_back(load: Load) -> None:
    load.go_on()
    with load.nodes.cut_off("c"):
        load.go_on()
    load.go_on()
    load.settle()


def test_a_node_that_is_heard_by_one_alone(load: Load) -> None:
    load.go_on()
    with load.nodes.muted("a", towards="b"):
        load.go_on()
    load.settle()


def test_nodes_that_are_killed_under_load(load: Load) -> None:
    for name in ("b", "a", "c"):
        load.go_on()
        with load.nodes.killed(name):
            load.go_on(name)
    load.go_on()
    load.settle()


def test_a_node_is_killed_while_another_is_cut_off(load: Load) -> None:
    load.go_on()
    with load.nodes.cut_off("c"):
        load.go_on()
        with load.nodes.killed("b"):
            load.go_on("b")
        load.go_on()
    load.settle()


def test_clients_of_mosquitto_meet_across_machines(load: Load) -> None:
    sockets = load.nodes.sockets
    reader = Program("stdbuf", "-oL", "mosquitto_sub", "--unix", sockets["c"], "-t", "greetings/#", "-q", "1", "-C", "2", "-v",
                     "-W", "30", "-d")
    reader.next("SUBACK")
    for name in ("a", "b"):
        sent = run("mosquitto_pub", "--unix", sockets[name], "-t", f"greetings/{name}", "-m", "hello", "-q", "2")
        assert sent.returncode == 0
        reader.next(f"greetings/{name} hello")
    reader.wait()
    load.settle()
