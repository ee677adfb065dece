"""Nodes with a network between them that takes its time."""
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from emqtwist.mqtt.packets import Publish, Suback, Subscribe
from tests.integration.cluster.nodes import COOKIE, RunningNode, heard, publish
from tests.integration.cluster.relays import Relay
from tests.integration.raw import RawClient

Two = tuple[RunningNode, RunningNode, Relay]
NEAR = 0.05  # seconds each way, so that an answer comes long before SUBACK would wait for it no more
FAR = 0.6


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Two nodes, and the relay that they reach each other by."""
    with ExitStack() as stack:
        a = RunningNode(tmp_path, "a")
        stack.callback(a.end)
        relay = stack.enter_context(Relay(a.place, NEAR))
        found = f"discovery = static\nseeds = {relay.place}\naddress = 127.0.0.1:1\n"  # where nobody is
        b = RunningNode(tmp_path, "b", lines=f"cookie = {COOKIE}\n{found}")
        stack.callback(b.end)
        for one, other in ((a, b), (b, a)):
            one.until_linked(other)
        yield a, b, relay


def subscribe(client: RawClient, topic_filter: bytes) -> str | None:
    """The Reason String of SUBACK, which names who could not be told."""
    client.send(Subscribe(1, [(topic_filter, 2)]))
    suback = client.next(Suback)
    assert suback.reason_codes == [2]
    return None if suback.properties is None else suback.properties.reason_string


def test_a_node_at_some_distance_is_told_before_suback_and_hears_all_in_order(two: Two) -> None:
    a, b, _ = two
    with b.client("reader") as reader, a.client("writer") as writer:
        assert subscribe(reader, b"t") is None
        for number in range(40):
            publish(writer, b"%d" % number, number > 0)
        assert [heard(reader)[0] for _ in range(40)] == [b"%d" % number for number in range(40)]


def test_a_node_that_is_too_far_for_suback_is_named_and_hears_of_it_later(two: Two) -> None:
    a, b, relay = two
    relay.delay = FAR
    with b.client("reader") as reader, a.client("writer") as writer:
        told = subscribe(reader, b"t")
        assert told is not None
        assert a.name in told
        b.broker.program.next(f"linked with {a.name}")
        relay.delay = NEAR
        assert subscribe(reader, b"u") is None
        publish(writer, b"x", 1, b"t")
        assert reader.next(Publish).payload == b"x"
