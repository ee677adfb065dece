"""Files of traces lie in one folder, for the broker's user alone; a disk that takes no more ends a trace, and nothing else."""
import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from emqtwist.mqtt.packets import Publish, Subscribe
from emqtwist.services.trace import file
from emqtwist.services.trace.traces import ALARM
from tests.observatory import Observatory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_commands_are_those_of_emqttd(place: Observatory) -> None:
    assert place.begin("client", "alice", "a.log") == "trace client alice successfully.\n"
    assert place.begin("topic", "t/#", "t.log") == "trace topic t/# successfully.\n"
    assert place.begin("client", "alice", "b.log") == "trace client alice error: existed"
    assert place.lines("trace", "list") == ["trace client alice -> a.log", "trace topic t/# -> t.log"]
    assert place.ask("trace", "client", "alice", "off") == "stop tracing client alice successfully.\n"
    assert str(place.error("trace", "client", "alice", "off")) == "stop tracing client alice error: not_found."
    assert str(place.error("trace", "client", "bob", "off")) == "stop tracing client bob error: not_found."
    place.write()
    assert place.lines("trace", "list") == ["trace topic t/# -> t.log"]


def test_a_list_tells_how_far_a_trace_is(place: Observatory) -> None:
    place.begin("client", "alice", "a.log", "for=30s", "payload=5")
    place.client("alice")
    place.reactor.advance(10)
    [row] = json.loads(place.ask("trace", "list", form="json"))
    size = row.pop("bytes")
    assert row == {"kind": "client", "name": "alice", "file": "a.log", "lines": 2, "seconds_left": 20, "payload": 5}
    place.write()
    assert (place.folder / "a.log").stat().st_size == size


def test_a_file_is_for_its_owner_alone(place: Observatory) -> None:
    before = os.umask(0)
    try:
        place.begin("client", "alice", "a.log")
    finally:
        os.umask(before)
    assert (mode(place.folder), mode(place.folder / "a.log")) == (0o700, 0o600)


@pytest.mark.parametrize("name", ["../a.log", "/tmp/a.log", "a/b", "..", ".", ".hidden", "-a", "a b", "a\n", "", "a" * 200, "é"])
def test_no_name_leads_out_of_the_folder(place: Observatory, name: str) -> None:
    said = place.begin("client", "alice", name)
    assert said.strip() == "trace client alice error: the file is to have a name of letters, digits, _, - and ., and no path"
    assert not place.folder.exists()


def test_what_is_there_is_neither_written_nor_followed(place: Observatory, tmp_path: Path) -> None:
    place.begin("client", "alice", "first.log")
    target = tmp_path / "target"
    target.write_text("mine")
    (place.folder / "link.log").symlink_to(target)
    (place.folder / "dangling.log").symlink_to(tmp_path / "nowhere")
    for name in ("link.log", "dangling.log", "first.log"):
        assert place.begin("client", "bob", name) == f"trace client bob error: there is a file {name} already"
    assert target.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_trace_dir(
        make: Callable[..., Observatory], tmp_path: Path) -> None:
    place = make(f"trace.dir = {tmp_path / 'one'}")
    place.begin("client", "a", "a.log")
    place.ask("config", "set", "trace.dir", str(tmp_path / "two"))
    place.begin("client", "b", "b.log")
    assert (tmp_path / "one/a.log").exists()
    assert (tmp_path / "two/b.log").exists()


def test_a_folder_that_cannot_be_made_is_told(make: Callable[..., Observatory], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = make(f"trace.dir = {tmp_path / 'file/folder'}")
    assert place.begin("client", "a", "a.log") == "trace client a error: a.log cannot be made: Not a directory"
    assert place.traces == {}


def test_the_file_is_written_by_a_thread_and_nobody_waits_for_it(place: Observatory) -> None:
    place.begin("client", "alice", "a.log")
    alice = place.client("alice")
    place.reactor.advance(1.0)
    assert (place.folder / "a.log").read_bytes() == b""
    alice.send(Subscribe(1, [(b"t", 0)]))
    assert len(alice.received()) == 1
    place.run_threads()
    first = (place.folder / "a.log").read_bytes()
    assert first.count(b"\n") == 2
    place.write()
    assert (place.folder / "a.log").read_bytes().count(b"\n") == 4
    assert (place.folder / "a.log").read_bytes().startswith(first)


def test_a_disk_that_is_full_ends_the_trace_and_nothing_else(
        place: Observatory, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, block: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place.begin("client", "alice", "a.log")
    alice = place.client("alice")
    monkeypatch.setattr(file, "write", full)
    place.write()
    alarm = place.service.broker.alarms.active[ALARM]
    assert alarm.summary == "a.log, of client alice, is lost: No space left on device"
    assert place.traces == {}
    assert alice.protocol.connection.tap is None
    alice.send(Subscribe(1, [(b"t", 0)]), Publish(b"t", b""))
    assert len(alice.received()) == 2
    monkeypatch.undo()
    place.begin("client", "alice", "b.log")
    place.client("alice")
    place.write()
    assert ALARM not in place.service.broker.alarms.active


def test_what_no_thread_takes_is_offered_again(make: Callable[..., Observatory]) -> None:
    place = make("pooler.size = 1", "pooler.max_waiting = 1")
    place.begin("client", "alice", "a.log")
    place.client("alice")
    place.service.pool.async_submit(lambda: None)
    place.service.pool.async_submit(lambda: None)
    place.reactor.advance(0.2)
    place.run_threads()
    place.reactor.advance(0.9)
    place.run_threads()
    assert (place.folder / "a.log").read_bytes() == b""
    place.reactor.advance(0.1)
    place.run_threads()
    assert (place.folder / "a.log").read_bytes().count(b"\n") == 2


def test_a_broker_that_stops_writes_what_it_has(place: Observatory) -> None:
    place.begin("client", "alice", "a.log")
    alice = place.client("alice")
    stopped = place.service.stopService()
    place.reactor.advance(0)
    alice.hang_up()
    assert stopped.called
    lines = (place.folder / "a.log").read_text().splitlines()
    assert lines[-1] == "# the trace is over: the broker stops"
    assert any("ended cause=server_shutting_down" in line for line in lines)
    assert place.traces == {}


@pytest.mark.parametrize(("words", "why"), [
    (("topic", "a/#/b"), "'#' stands alone in the last level [MQTT-4.7.1-1]"),
    (("address", "nowhere"), "'nowhere' does not appear to be an IPv4 or IPv6 network"),
    (("address", "10.1.2.3/8"), "10.1.2.3/8 has host bits set")])
def test_what_can_select_nothing_is_refused(place: Observatory, words: tuple[str, str], why: str) -> None:
    assert place.begin(*words, "a.log").strip() == f"trace {words[0]} {words[1]} error: {why}"
    assert not place.folder.exists()
