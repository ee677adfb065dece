"""The transport of one connection: what is written arrives, who is too fast waits, and every way to end."""
import socket

import pytest
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from zope.interface.verify import verifyObject

from emqtwist.net.batching.stream import READ_BYTES, Stream
from tests.batches import HalfRecorder, Recorder, Room

LARGE = [bytes((number,)) * 100_000 for number in range(20)]


class Producer:
    """Remembers what it is asked for; a pulled one writes a piece each time until it has none left."""

    def __init__(self, stream: Stream | None = None, pieces: int = 0) -> None:
        self.stream = stream
        self.pieces = pieces
        self.asked: list[str] = []

    def pauseProducing(self) -> None:
        self.asked.append("pause")

    def resumeProducing(self) -> None:
        self.asked.append("resume")
        if self.stream is not None:
            if self.pieces:
                self.pieces -= 1
                self.stream.write(b"piece")
            else:
                self.stream.unregisterProducer()

    def stopProducing(self) -> None:
        self.asked.append("stop")


def read_all(far: socket.socket) -> bytes:
    return b"".join(iter(lambda: far.recv(1_000_000), b""))


def test_it_is_a_transport_a_consumer_and_a_producer(room: Room) -> None:
    protocol, _ = room.connect()
    for interface in (ITCPTransport, IConsumer, IPushProducer):
        assert verifyObject(interface, protocol.stream)


# Bytes.

def test_bytes_go_both_ways_at_once(room: Room) -> None:
    protocol, far = room.connect()
    protocol.stream.write(b"hello")
    assert far.recv(10) == b"hello"
    far.send(b"world")
    room.reactor.turn()
    assert protocol.data == b"world"


def test_one_batch_reads_a_bounded_part_and_the_next_goes_on(room: Room) -> None:
    protocol, far = room.connect(tcp=True)
    sent = bytes(3 * READ_BYTES)
    far.sendall(sent)
    room.reactor.turn_until(lambda: bool(protocol.data))
    assert len(protocol.data) <= READ_BYTES
    room.reactor.turn_until(lambda: len(protocol.data) == len(sent))


@pytest.mark.parametrize("sequence", [False, True])
def test_what_the_peer_does_not_take_waits_and_arrives_in_order(room: Room, sequence: bool) -> None:
    protocol, far = room.connect()
    if sequence:
        protocol.stream.writeSequence(LARGE)
    else:
        for piece in LARGE:
            protocol.stream.write(piece)
    protocol.stream.writeSequence([b"the ", b"end"])
    protocol.stream.write(b"!")
    assert protocol.stream.unsent > 1_000_000
    assert room.drain(far, lambda: not protocol.stream.unsent) == b"".join(LARGE) + b"the end!"
    assert protocol.stream.unsent == 0
    assert room.reactor.ready() == []  # it does not wait to write any more


def test_small_pieces_leave_in_one_write(room: Room) -> None:
    protocol, far = room.connect()
    protocol.stream.writeSequence(iter([b"a", b"b", b"c"]))
    protocol.stream.writeSequence([])
    assert far.recv(10) == b"abc"


@pytest.mark.parametrize("sequence", [False, True])
def test_large_pieces_that_wait_are_not_copied(room: Room, sequence: bool) -> None:
    protocol, _ = room.connect()
    pieces = [bytes(1_000_000), bytes(1_000_000)]
    if sequence:
        protocol.stream.writeSequence(pieces)
    else:
        for piece in pieces:
            protocol.stream.write(piece)
    waiting = protocol.stream._waiting
    assert waiting is not None
    assert [getattr(each, "obj", each) is piece for each, piece in zip(waiting, pieces, strict=True)] == [True, True]


@pytest.mark.parametrize("data", ["text", bytearray(b"x"), None])
def test_only_bytes_can_be_written(room: Room, data: object) -> None:
    protocol, _ = room.connect()
    with pytest.raises(TypeError):
        protocol.stream.write(data)  # type: ignore[arg-type]


# Flow control.

def test_a_socket_that_is_paused_is_left_alone_whatever_the_peer_does(room: Room) -> None:
    protocol, far = room.connect()
    protocol.stream.pauseProducing()
    protocol.stream.pauseProducing()
    far.send(b"later")
    far.close()
    assert room.reactor.ready() == []
    protocol.stream.resumeProducing()
    room.reactor.turn_until(lambda: bool(protocol.ended))
    assert (protocol.data, protocol.ended) == (b"later", "ConnectionDone")


def test_a_protocol_may_pause_while_it_receives(room: Room) -> None:
    class Shy(Recorder):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.stream.pauseProducing()

    protocol, far = room.connect(protocol=Shy())
    far.send(b"a")
    room.reactor.turn()
    far.send(b"b")
    room.reactor.turn()
    assert protocol.data == b"a"
    protocol.stream.resumeProducing()
    room.reactor.turn()
    assert protocol.data == b"ab"


def test_a_producer_is_paused_while_too_much_waits(room: Room) -> None:
    protocol, far = room.connect()
    producer = Producer()
    protocol.stream.bufferSize = 1_000_000
    protocol.stream.registerProducer(producer, True)
    protocol.stream.write(bytes(900_000))
    assert producer.asked == []
    protocol.stream.write(bytes(900_000))
    assert producer.asked == ["pause"]
    room.drain(far, lambda: "resume" in producer.asked)
    assert producer.asked == ["pause", "resume"]
    assert protocol.stream.unsent == 0


def test_a_producer_that_is_pulled_is_asked_when_all_is_sent(room: Room) -> None:
    protocol, far = room.connect()
    producer = Producer(protocol.stream, 3)
    protocol.stream.registerProducer(producer, False)
    protocol.stream.loseConnection()  # which waits for it
    assert room.drain(far, lambda: False) == b"piece" * 3
    assert producer.asked == ["resume"] * 4
    assert protocol.ended == "ConnectionDone"


def test_a_pulled_producer_that_writes_nothing_is_not_asked_again(room: Room) -> None:
    protocol, _ = room.connect()
    producer = Producer()
    protocol.stream.registerProducer(producer, False)
    assert room.reactor.ready() == []
    assert producer.asked == ["resume"]


def test_there_is_one_producer_at_a_time(room: Room) -> None:
    protocol, _ = room.connect()
    protocol.stream.registerProducer(Producer(), True)
    with pytest.raises(RuntimeError):
        protocol.stream.registerProducer(Producer(), True)
    protocol.stream.unregisterProducer()
    protocol.stream.registerProducer(Producer(), True)


def test_a_producer_is_stopped_with_its_connection(room: Room) -> None:
    protocol, far = room.connect()
    producer, late = Producer(), Producer()
    protocol.stream.registerProducer(producer, True)
    far.close()
    room.reactor.turn()
    protocol.stream.registerProducer(late, True)
    assert producer.asked == late.asked == ["stop"]


# The end.

def test_a_connection_closes_after_its_last_bytes(room: Room) -> None:
    protocol, far = room.connect()
    protocol.stream.write(LARGE[0])
    protocol.stream.loseConnection()
    far.send(b"not read any more")
    room.reactor.turn()
    assert not protocol.ended
    assert room.drain(far, lambda: False) == LARGE[0]
    assert (protocol.data, protocol.ended) == (b"", "ConnectionDone")


def test_last_words_reach_a_peer_that_has_sent_more_than_was_read(room: Room) -> None:
    protocol, far = room.connect(tcp=True)
    protocol.stream.write(b"last words")
    protocol.stream.loseConnection()
    far.send(bytes(3 * READ_BYTES))
    room.reactor.turn()
    assert protocol.ended == "ConnectionDone"
    assert read_all(far) == b"last words"


@pytest.mark.parametrize("heard_out", [False, True])
def test_who_has_said_that_it_is_done_is_not_read_any_more(room: Room, heard_out: bool) -> None:
    protocol, far = room.connect(tcp=True)
    protocol.stream.registerProducer(Producer(), True)
    far.send(b"more")
    room.reactor.turn_until(lambda: protocol.data == b"more")
    assert protocol.stream.finish(heard_out)
    far.send(b"and more")
    room.reactor.turn()
    assert protocol.ended == "ConnectionDone"
    if heard_out:  # it has none to lose
        with pytest.raises(ConnectionResetError):
            far.recv(10)
    else:
        assert far.recv(10) == b""


def test_it_finishes_when_its_last_bytes_are_sent(room: Room) -> None:
    protocol, far = room.connect()
    protocol.stream.write(LARGE[0])
    assert not protocol.stream.finish(True)
    room.reactor.turn()
    assert not protocol.ended
    assert room.drain(far, lambda: False) == LARGE[0]
    assert (protocol.data, protocol.ended) == (b"", "ConnectionDone")


@pytest.mark.parametrize("end", ["loseConnection", "abortConnection", "stopProducing"])
def test_no_end_is_told_within_the_call_that_asks_for_it(room: Room, end: str) -> None:
    protocol, far = room.connect()
    for _ in range(2):
        getattr(protocol.stream, end)()
    assert not protocol.ended
    room.reactor.turn()
    assert protocol.ended == ("ConnectionAborted" if end == "abortConnection" else "ConnectionDone")
    assert far.recv(1) == b""
    getattr(protocol.stream, end)()
    protocol.stream.write(b"x")
    protocol.stream.writeSequence([b"x"])
    protocol.stream.resumeProducing()
    room.reactor.turn()


def test_a_connection_that_is_closed_within_a_batch_ends_with_it(room: Room) -> None:
    class Brief(Recorder):
        def dataReceived(self, data: bytes) -> None:
            self.stream.write(b"bye")
            self.stream.loseConnection()

    protocol, far = room.connect(protocol=Brief(log=room.log))
    far.send(b"x")
    [reader] = room.reactor.ready()
    reader.doRead()
    assert room.log.events == ["open", "close", " lost"]
    assert far.recv(10) + far.recv(10) == b"bye"


@pytest.mark.parametrize("closing", [False, True])
def test_an_abort_forgets_what_waits_and_resets(room: Room, closing: bool) -> None:
    protocol, far = room.connect(tcp=True)
    protocol.stream.write(bytes(10_000_000))
    assert protocol.stream.unsent
    if closing:
        protocol.stream.loseConnection()
        room.reactor.turn()
    protocol.stream.abortConnection()
    room.reactor.turn()
    assert protocol.ended == "ConnectionAborted"
    with pytest.raises(ConnectionResetError):
        read_all(far)


def test_an_abort_goes_before_a_close_of_the_same_turn(room: Room) -> None:
    protocol, _ = room.connect()
    protocol.stream.loseConnection()
    protocol.stream.abortConnection()
    room.reactor.turn()
    assert protocol.ended == "ConnectionAborted"


@pytest.mark.parametrize("waiting", [0, 10_000_000])
def test_a_reset_by_the_peer_is_noticed(room: Room, waiting: int) -> None:
    protocol, far = room.connect(tcp=True)
    protocol.stream.write(bytes(waiting))
    if waiting:
        protocol.stream.loseConnection()  # so that it only waits to write
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far.close()
    room.reactor.turn_until(lambda: bool(protocol.ended))
    assert protocol.ended == "ConnectionLost"


def test_a_write_that_fails_ends_the_connection_after_the_call(room: Room) -> None:
    protocol, far = room.connect()
    far.close()
    protocol.stream.write(b"x")
    protocol.stream.write(b"y")
    before = protocol.ended
    room.reactor.turn()
    assert (before, protocol.ended) == ("", "ConnectionLost")


# Half an end.

def test_a_half_closed_connection_goes_on_reading(room: Room) -> None:
    protocol, far = room.connect(protocol=HalfRecorder())
    assert isinstance(protocol, HalfRecorder)
    protocol.stream.write(LARGE[0])
    protocol.stream.loseWriteConnection()
    protocol.stream.loseWriteConnection()
    assert room.drain(far, lambda: False) == LARGE[0]
    assert protocol.halves == ["write"]
    protocol.stream.write(b"not sent")
    far.send(b"still here")
    room.reactor.turn()
    assert (protocol.data, protocol.ended) == (b"still here", "")
    protocol.stream.loseConnection()
    room.reactor.turn()
    assert protocol.ended == "ConnectionDone"


def test_half_a_close_is_not_told_within_its_call(room: Room) -> None:
    protocol, far = room.connect(protocol=HalfRecorder())
    assert isinstance(protocol, HalfRecorder)
    protocol.stream.loseWriteConnection()
    assert protocol.halves == []
    room.reactor.turn()
    assert protocol.halves == ["write"]
    assert far.recv(1) == b""


def test_a_protocol_that_can_goes_on_writing_after_the_peers_end(room: Room) -> None:
    protocol, far = room.connect(protocol=HalfRecorder())
    assert isinstance(protocol, HalfRecorder)
    far.shutdown(socket.SHUT_WR)
    room.reactor.turn()
    assert (protocol.halves, protocol.ended) == (["read"], "")
    assert room.reactor.ready() == []
    protocol.stream.write(b"answer")
    assert far.recv(10) == b"answer"


def test_a_plain_protocol_ends_with_the_peer(room: Room) -> None:
    protocol, far = room.connect()
    far.shutdown(socket.SHUT_WR)
    room.reactor.turn()
    assert protocol.ended == "ConnectionDone"


# The socket.

def test_the_options_of_the_socket(room: Room) -> None:
    protocol, far = room.connect(tcp=True)
    stream = protocol.stream
    for enabled in (True, False):
        stream.setTcpNoDelay(enabled)
        stream.setTcpKeepAlive(enabled)
        assert (stream.getTcpNoDelay(), stream.getTcpKeepAlive()) == (enabled, enabled)
    assert (stream.getHost().host, stream.getHost().port) == far.getpeername()
    assert stream.getPeer().port == 50000
    assert stream.fileno() == stream.getHandle().fileno()
    assert stream.logPrefix() == "Recorder"
    stream.abortConnection()
    room.reactor.turn()
    assert (stream.fileno(), stream.logPrefix()) == (-1, "Protocol")


@pytest.mark.parametrize("failing", [False, True])
def test_who_is_closing_hears_of_nothing_more(room: Room, failing: bool) -> None:
    protocol, far = room.connect()
    stream = protocol.stream
    if failing:
        far.close()
        stream.write(b"x")  # fails
    else:
        stream.loseConnection()
        far.send(b"late")
    stream.resumeProducing()
    stream.pauseProducing()
    stream.resumeProducing()
    room.sockets.doRead()
    assert protocol.data == b""
    room.reactor.turn()
    assert protocol.ended == ("ConnectionLost" if failing else "ConnectionDone")
    assert stream.fd not in room.sockets.members
