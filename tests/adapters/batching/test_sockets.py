"""The set: one batch for all that is ready, nobody starves, nobody pays for another."""
import socket

import pytest
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from emqtwist.net.batching import can_batch, sockets
from emqtwist.net.batching.stream import READ_BYTES
from tests.batches import Recorder, Room


def test_all_that_is_ready_is_read_between_the_begin_and_the_end_of_a_batch(room: Room) -> None:
    for name in "abc":
        _, far = room.connect(name)
        far.send(b"x")
        far.detach()
    room.reactor.turn()
    assert (room.log.events[0], room.log.events[-1]) == ("open", "close")
    assert sorted(room.log.events[1:-1]) == ["a got 1", "b got 1", "c got 1"]


def test_what_was_read_of_a_connection_that_another_then_closed_reaches_nobody(room: Room) -> None:
    class Closing(Recorder):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            for other, _ in pairs:
                if other is not self:
                    other.stream.loseConnection()

    pairs = [room.connect(protocol=Closing(name, room.log)) for name in "ab"]
    for _, far in pairs:
        far.send(b"x")
    room.reactor.turn()
    assert sorted(protocol.data for protocol, _ in pairs) == [b"", b"x"]
    assert sorted(protocol.ended for protocol, _ in pairs) == ["", "ConnectionDone"]


def test_all_sockets_are_read_before_the_first_is_served(room: Room) -> None:
    class Answering(Recorder):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            for _, far in pairs:
                far.send(b"more")

    pairs = [room.connect(protocol=Answering(name, room.log)) for name in "ab"]
    for _, far in pairs:
        far.send(b"x")
    room.reactor.turn()
    assert [protocol.data for protocol, _ in pairs] == [b"x", b"x"]  # and not what the first one has brought about


def test_one_reader_serves_all_and_leaves_the_reactor_with_the_last(room: Room) -> None:
    assert room.reactor.readers == []
    one, other = room.connect()[0], room.connect()[0]
    assert room.reactor.readers == [room.sockets]
    descriptor = room.sockets.fileno()
    one.stream.abortConnection()
    room.reactor.turn()
    assert room.reactor.readers == [room.sockets]
    other.stream.abortConnection()
    room.reactor.turn()
    assert room.reactor.readers == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.socket(fileno=descriptor)
    protocol, far = room.connect()
    far.send(b"x")
    room.reactor.turn()
    assert protocol.data == b"x"


def test_a_batch_of_floods_is_bounded_and_none_starves(room: Room) -> None:
    """Counted in batches: twenty sockets that always have more to read, and one with a single byte."""
    floods = [room.connect("flood", tcp=True) for _ in range(20)]
    quiet, far = room.connect("quiet", tcp=True)
    far.send(b"x")

    def fill() -> None:
        for _, each in floods:
            each.setblocking(False)
            try:
                while True:
                    each.send(bytes(READ_BYTES))
            except BlockingIOError:
                pass

    fill()
    room.reactor.turn()
    assert room.log.events.count("flood got 65536") <= sockets.BATCH_BYTES // READ_BYTES + 1
    for _ in range(2 * 20 * READ_BYTES // sockets.BATCH_BYTES + 1):
        fill()
        room.reactor.turn()
    assert quiet.data == b"x"
    read = [len(protocol.data) for protocol, _ in floods]
    assert min(read) > 0
    assert max(read) <= 2 * min(read) + 2 * READ_BYTES  # each gets its share


def test_more_sockets_than_a_batch_serves_take_turns(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "EVENTS", 2)
    pairs = [room.connect() for _ in range(5)]
    for _, far in pairs:
        far.send(b"x")
    counts = []
    for _ in range(3):
        room.reactor.turn()
        counts.append(sum(len(protocol.data) for protocol, _ in pairs))
    assert counts == [2, 4, 5]


def test_an_event_that_is_out_of_date_reaches_nobody(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "BATCH_BYTES", 1)  # so that a batch serves one socket and keeps the other's event
    pairs = [room.connect(), room.connect()]
    for _, far in pairs:
        far.send(b"x")
    room.reactor.turn()
    [left] = [protocol for protocol, _ in pairs if not protocol.data]
    number = left.stream.fileno()
    left.stream.abortConnection()
    room.reactor.advance(0)
    newcomer, far = room.connect()
    other, other_far = room.connect()
    assert number in (newcomer.stream.fileno(), other.stream.fileno(), far.fileno(), other_far.fileno())
    far.send(b"y")
    other_far.send(b"z")
    for _ in range(4):
        room.reactor.turn()
    assert (left.data, newcomer.data, other.data) == (b"", b"y", b"z")
    assert not newcomer.ended + other.ended


def test_an_exception_costs_its_own_connection(room: Room, logged_failures: list[Failure]) -> None:
    class Faulty(Recorder):
        def dataReceived(self, data: bytes) -> None:
            raise ZeroDivisionError

    faulty, first = room.connect(protocol=Faulty())
    sound, second = room.connect()
    for far in (first, second):
        far.send(b"x")
    room.reactor.turn()
    assert (faulty.ended, sound.data, sound.ended) == ("ZeroDivisionError", b"x", "")
    assert logged_failures.pop().type is ZeroDivisionError


def test_an_exception_at_the_end_of_one_connection_holds_up_no_other(room: Room, logged_failures: list[Failure]) -> None:
    class Faulty(Recorder):
        def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
            raise ZeroDivisionError

    faulty, sound = room.connect(protocol=Faulty())[0], room.connect()[0]
    for protocol in (faulty, sound):
        protocol.stream.loseConnection()
    room.reactor.turn()
    assert sound.ended == "ConnectionDone"
    assert logged_failures.pop().type is ZeroDivisionError
    assert room.sockets.members == {}


def test_the_end_of_the_reactor_ends_all_connections(room: Room) -> None:
    protocols = [room.connect()[0] for _ in range(3)]
    protocols[0].stream.write(bytes(1_000_000))
    room.sockets.connectionLost(Failure(ConnectionLost()))
    assert [protocol.ended for protocol in protocols] == ["ConnectionLost"] * 3
    assert room.reactor.readers == []


def test_who_leaves_twice_in_one_turn_leaves_once(room: Room) -> None:
    protocol, far = room.connect()
    protocol.stream.loseConnection()
    far.close()
    room.sockets.connectionLost(Failure(ConnectionLost()))
    room.reactor.turn()
    assert protocol.ended == "ConnectionLost"


@pytest.mark.parametrize(("count", "size", "rests"), [
    (sockets.RUNS + 1, sockets.RUN + 1, 1),
    (sockets.RUNS + 1, sockets.RUN, 0),  # one packet of each: whoever waits for the answers would wait longer
    (sockets.RUNS, sockets.RUN + 1, 0),  # the pieces are no smaller than their senders make them
])
def test_behind_runs_of_many_is_a_rest(room: Room, count: int, size: int, rests: int) -> None:
    for _ in range(count):
        _, far = room.connect()
        far.send(bytes(size))
    room.reactor.turn()
    assert room.rests == [sockets.REST] * rests


def test_no_rest_is_taken_while_there_is_work(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    count, size = sockets.RUNS + 2, 2 * sockets.RUN
    monkeypatch.setattr(sockets, "BATCH_BYTES", (count - 1) * size)  # one is left to the next batch
    for _ in range(count):
        _, far = room.connect()
        far.send(bytes(size))
    room.reactor.turn()
    assert room.rests == []


@pytest.mark.parametrize("reactor", [Clock(), MemoryReactorClock(), object()])
def test_reactors_that_wait_for_no_descriptors_have_no_batches(reactor: object) -> None:
    assert not can_batch(reactor)


def test_real_reactors_have_batches_where_the_system_has_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.internet import reactor
    assert can_batch(reactor)
    with monkeypatch.context() as patched:
        patched.setattr(sockets, "SocketType", object)  # of an interpreter whose sockets have no `_accept`
        assert not can_batch(reactor)
    monkeypatch.delattr("select.epoll")
    assert not can_batch(reactor)
