"""A trace ends by itself: in time, size and lines; and what nobody takes is left out and counted."""
from collections.abc import Callable

import pytest

from emqtwist.mqtt.packets import Publish
from emqtwist.services.trace import CLIENT, Bounds, Trace
from emqtwist.services.trace.event import Event
from emqtwist.services.trace.trace import MOST_WAITING
from tests.observatory import Observatory


def parts(place: Observatory) -> list[str]:
    """Those that see to traces."""
    return [path for path, _ in place.root.walk() if path.startswith("trace/")]


def test_trace_max_time(make: Callable[..., Observatory]) -> None:
    place = make("trace.max_time = 10s")
    for seconds, options in ((3, ["for=3s"]), (10, ["for=1h"]), (10, [])):
        name = f"{seconds}-{len(options)}.log"
        place.begin("client", "alice", name, *options)
        place.reactor.advance(seconds - 0.5)
        assert len(place.traces) == 1
        place.reactor.advance(0.5)
        assert place.text(name) == ["the trace is over: its time is over"]
        assert place.traces == {}
        assert parts(place) == []


@pytest.mark.parametrize("options", [["size=6000"], []])
def test_trace_max_size(make: Callable[..., Observatory], options: list[str]) -> None:
    most = 6000 if options else 4096
    place = make(f"trace.max_size = {'1MB' if options else '4KB'}")
    place.begin("topic", "#", "t.log", *options)
    alice = place.client("alice")
    for _ in range(100):
        alice.send(Publish(b"t", b""))
        place.write()
    content = (place.folder / "t.log").read_bytes()
    assert most - 700 < len(content) <= most
    assert content.endswith(f"\n# the trace is over: it has {most} bytes\n".encode())
    assert place.traces == {}
    assert alice.protocol.connection.tap is None


def test_a_trace_ends_after_so_many_lines(place: Observatory) -> None:
    place.begin("client", "alice", "a.log", "lines=2")
    place.client("alice").send(Publish(b"t", b""))
    assert [line.split()[2] for line in place.text("a.log")[:2]] == ["received", "sent"]
    assert place.text("a.log")[2:] == ["the trace is over: it has 2 lines"]


def test_trace_max_traces(make: Callable[..., Observatory]) -> None:
    place = make("trace.max_traces = 2")
    place.begin("client", "a", "a.log")
    watch = place.watch("client", "a", "live")
    refused = "trace client b error: there are 2 traces already, and no more are allowed (trace.max_traces)"
    assert place.begin("client", "b", "b.log").strip() == refused
    assert place.watch("client", "b", "live").out == [refused]
    watch.customer.leave()
    place.write()
    assert place.begin("client", "b", "b.log") == "trace client b successfully.\n"


def test_two_that_are_begun_at_once_count_as_two(make: Callable[..., Observatory]) -> None:
    place = make("trace.max_traces = 1")
    first, second = place.customer(), place.customer()
    asked, _ = first.begin("trace", "client", "a", "a.log")
    first.pump.flush()
    assert "no more are allowed" in str(second.error("trace", "client", "b", "b.log"))
    place.run_threads()
    first.pump.flush()
    assert asked.called
    assert len(place.traces) == 1


@pytest.mark.parametrize(("most", "shown"), [("4KB", 64), ("10", 10), ("0", 0)])
def test_trace_max_payload(
        make: Callable[..., Observatory], most: str, shown: int) -> None:
    place = make(f"trace.max_payload = {most}")
    place.begin("topic", "t", "t.log", "payload=64")
    place.client("alice").send(Publish(b"t", b"x" * 100))
    received = place.text("t.log")[0]
    assert received.endswith(f" payload={'x' * shown}" if shown else " length=100")


def test_what_nobody_takes_is_left_out_and_counted() -> None:
    trace = Trace(1, CLIENT, "a", Bounds(1.0), 1.0)
    event = Event(0.0, "a", "", "sent", "PUBLISH", {"topic": "t" * 200})
    length = len(event.line(0)[0])
    kept = MOST_WAITING // length
    for _ in range(kept + 7):
        trace.note(event)
    lines = trace.take()
    assert len(lines) == kept + 1
    assert lines[-1][0] == "# 7 lines were left out: they came faster than they were taken"
    trace.note(event)
    assert len(trace.take()) == 1


def test_the_bounds_can_be_changed_while_the_broker_runs(place: Observatory) -> None:
    place.ask("config", "set", "trace.max_traces", "1")
    place.begin("client", "a", "a.log")
    assert "no more are allowed" in place.begin("client", "b", "b.log")


@pytest.mark.parametrize(("option", "why"), [
    ("until=5", "until=5: the options are for=, size=, lines=, payload="),
    ("for=soon", "for=soon: not a duration as 500ms, 30s, 1h30m, 7d"),
    ("size=-1", "size=-1: not a size as 512, 64KB, 1MB, 1GB"), ("lines", "lines: not a whole number")])
def test_an_option_that_is_none_is_refused(place: Observatory, option: str, why: str) -> None:
    assert place.begin("client", "a", "a.log", option).startswith(why)
    assert place.traces == {}
