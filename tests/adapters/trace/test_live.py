"""A trace that is read as it goes: it comes at once, ends with its reader, and never grows while that does not read."""
import json

from emqtwist.ctl.registry import Refused
from emqtwist.mqtt.packets import Pingreq, Publish
from emqtwist.services.trace.trace import MOST_WAITING
from tests.desks import TEST
from tests.observatory import Observatory


def test_lines_come_as_they_are_made(place: Observatory) -> None:
    watch = place.watch("client", "alice", "live")
    assert watch.lines() == []
    assert place.lines("trace", "list") == ["trace client alice -> live"]
    alice = place.client("alice")
    assert [line.split()[2] for line in watch.lines()] == ["received", "sent"]
    alice.send(Pingreq())
    assert watch.lines() == [f"alice 127.0.0.1:50000 {line}" for line in ("received PINGREQ", "sent PINGRESP")]
    assert not watch.asked.called


def test_a_trace_ends_with_its_reader(place: Observatory) -> None:
    watch = place.watch("client", "alice", "live")
    alice = place.client("alice")
    watch.lines()
    watch.customer.leave()
    place.write()
    assert place.traces == {}
    assert alice.protocol.connection.tap is None
    assert [path for path, _ in place.root.walk() if path.startswith("trace/")] == []


def test_a_trace_ends_when_its_reader_asks_for_something_else(place: Observatory) -> None:
    watch = place.watch("client", "alice", "live")
    watch.lines()
    assert "trace client alice -> live" in watch.customer.ask("trace", "list")  # it was there a moment before
    place.write()
    assert place.traces == {}
    assert watch.asked.called
    assert watch.lines() == []


def test_one_who_stops_it_ends_it_for_its_reader(place: Observatory) -> None:
    watch = place.watch("topic", "#", "live")
    place.ask("trace", "topic", "#", "off")
    assert watch.lines() == ["the trace is over: it was stopped"]
    assert watch.asked.called


def test_a_trace_ends_after_so_many_lines_or_in_time(place: Observatory) -> None:
    first, second = place.watch("client", "alice", "live", "lines=1"), place.watch("client", "bob", "live", "for=5s")
    place.client("alice")
    assert first.lines()[-1] == "the trace is over: it has 1 lines"
    place.reactor.advance(5)
    assert second.lines() == ["the trace is over: its time is over"]
    assert first.asked.called
    assert second.asked.called


def test_as_json_each_field_has_its_name(place: Observatory) -> None:
    watch = place.watch("client", "alice", "live", "lines=1", form="json")
    place.client("alice")
    watch.customer.pump.flush()
    received, over = json.loads("".join(watch.out))
    assert received.pop("time").endswith("Z")
    assert received == {"client": "alice", "peer": "127.0.0.1:50000", "event": "received", "packet": "CONNECT", "version": "5.0",
                        "client_id": "alice", "clean_start": 1, "keep_alive": 0}
    assert over == {"event": "remark", "text": "the trace is over: it has 1 lines"}


def test_who_does_not_read_is_told_how_much_was_left_out(place: Observatory) -> None:
    watch = place.watch("topic", "t", "live")
    alice = place.client("alice")
    sent = 0
    while sent < 2 * MOST_WAITING // 100:
        alice.send(*[Publish(b"t", b"x")] * 500)
        sent += 500
    [trace] = place.traces.values()
    assert sum(len(text) for text, _ in trace._waiting) <= MOST_WAITING
    place.ask("trace", "topic", "t", "off")
    lines = watch.lines()
    received, left_out = len([line for line in lines if " received PUBLISH " in line]), int(lines[-2].split()[0])
    assert lines[-2:] == [f"{left_out} lines were left out: they came faster than they were taken",
                          "the trace is over: it was stopped"]
    assert left_out > sent // 4
    assert received + len([line for line in lines if " dropped " in line]) + left_out == 2 * sent
    assert watch.asked.called


def test_one_page_is_waited_for_at_a_time(place: Observatory) -> None:
    customer = place.customer()
    TEST.successResultOf(customer.server.run(["trace", "client", "alice", "live"]))
    first = customer.server.more()
    TEST.assertNoResult(first)
    assert isinstance(TEST.failureResultOf(customer.server.more()).value, Refused)
    place.client("alice")
    answer = TEST.successResultOf(first)
    assert isinstance(answer["piece"], bytes)
    assert answer["piece"].count(b"\n") == 1
    assert not answer["last"]
    TEST.successResultOf(customer.server.more())


def test_a_client_that_is_there_already_is_told(place: Observatory) -> None:
    place.client("alice")
    watch = place.watch("client", "alice", "live")
    assert watch.lines() == ["alice 127.0.0.1:50000 connected version=5.0 seconds=0"]


def test_a_trace_that_cannot_be_is_refused(place: Observatory) -> None:
    assert place.watch("topic", "a/#/x", "live").out == [
        "trace topic a/#/x error: '#' stands alone in the last level [MQTT-4.7.1-1]"]
