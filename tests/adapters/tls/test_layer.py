"""The layer between a transport and a protocol: bytes both ways, back-pressure, the handshake, and every way to end."""
import gc
from ssl import OP_NO_RENEGOTIATION, SSLError
from weakref import ref

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from emqtwist.core.causes import HANDSHAKE_FAILED, HANDSHAKE_TIMEOUT
from emqtwist.net.tls.layer import LINGER, RECORD
from tests.authorities import Authority, Pair
from tests.halls import Hall
from tests.handshakes import TlsCaller, client_context


@pytest.fixture
def hall(server: Pair) -> Hall:
    return Hall(server)


# Bytes.

@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("size", [1, RECORD, RECORD + 1, 10 * RECORD + 7])
def test_bytes_go_both_ways(hall: Hall, version: str, size: int) -> None:
    caller, protocol = hall.connect(version)
    data = bytes(number % 251 for number in range(size))
    caller.send(data)
    assert protocol.chunks == [data]
    protocol.wire.write(data)
    assert caller.received() == data
    protocol.wire.writeSequence([data, b"more", b"", data])
    assert caller.received() == data + b"more" + data


def test_what_comes_at_once_is_handed_on_at_once(hall: Hall) -> None:
    caller, protocol = hall.connect()
    caller.layer.dataReceived(b"".join(caller.encrypt(bytes((number,)) * 100) for number in range(100)))
    assert protocol.chunks == [b"".join(bytes((number,)) * 100 for number in range(100))]


def test_what_is_written_at_once_is_written_at_once(hall: Hall) -> None:
    caller, protocol = hall.connect()
    caller.wire.writes = 0
    protocol.wire.write(bytes(RECORD))
    protocol.wire.write(bytes(5 * RECORD))
    protocol.wire.writeSequence([bytes(3 * RECORD), bytes(RECORD)])
    assert caller.wire.writes == 3
    protocol.wire.write(b"")
    protocol.wire.writeSequence([])
    assert caller.received() == bytes(10 * RECORD)


def test_records_may_come_in_pieces(hall: Hall) -> None:
    caller, protocol = hall.connect()
    for byte in caller.encrypt(b"hello") + caller.encrypt(b"world"):
        caller.layer.dataReceived(bytes((byte,)))
    assert protocol.chunks == [b"hello", b"world"]


def test_what_comes_with_the_last_of_the_handshake_is_not_lost(hall: Hall) -> None:
    caller = TlsCaller(hall.factory, client_context(version="1.3"))
    with pytest.raises(SSLError):
        caller.tls.do_handshake()
    caller.deliver()
    caller.feed()
    caller.tls.do_handshake()
    caller.tls.write(b"early")
    caller.tls.write(b"bird")
    caller.deliver()
    assert hall.inner.made[0].chunks == [b"earlybird"]


# Back-pressure.

def test_a_producer_is_paused_by_bytes_that_the_peer_does_not_take(hall: Hall) -> None:
    caller, protocol = hall.connect()
    protocol.wire.bufferSize = 20_000
    assert (caller.wire.bufferSize, protocol.wire.bufferSize) == (20_000, 20_000)
    protocol.asked.clear()
    protocol.wire.write(bytes(30_000))
    assert protocol.asked == ["pause"]
    assert caller.received() == bytes(30_000)
    assert protocol.asked == ["pause", "resume"]
    protocol.wire.unregisterProducer()
    protocol.wire.write(bytes(30_000))
    assert protocol.asked == ["pause", "resume"]


def test_reading_is_paused_below(hall: Hall) -> None:
    caller, protocol = hall.connect()
    protocol.wire.pauseProducing()
    assert caller.wire.producerState == "paused"
    protocol.wire.resumeProducing()
    assert caller.wire.producerState == "producing"


def test_the_transport_is_tuned_through_it(hall: Hall) -> None:
    caller, protocol = hall.connect()
    protocol.wire.setTcpNoDelay(True)
    protocol.wire.setTcpKeepAlive(True)
    assert (caller.wire.no_delay, caller.wire.keep_alive) == (True, True)
    assert protocol.wire.getPeer() == caller.wire.getPeer()
    assert protocol.wire.getHost() == caller.wire.getHost()


# The end.

def test_a_peer_that_says_goodbye_is_answered_and_closed(hall: Hall) -> None:
    caller, protocol = hall.connect()
    caller.layer.dataReceived(caller.encrypt(b"last") + caller.goodbye() + b"what is behind it counts for nothing")
    assert protocol.chunks == [b"last"]
    assert [reason.type for reason in protocol.ends] == [ConnectionDone]
    assert caller.wire.disconnecting
    assert caller.ended()
    caller.layer.dataReceived(b"more")
    caller.layer.connectionLost(Failure(ConnectionDone()))
    assert (len(protocol.ends), protocol.chunks, len(hall.factory.protocols)) == (1, [b"last"], 0)
    assert hall.clock.getDelayedCalls() == []


def test_a_peer_that_says_goodbye_and_takes_nothing_more_is_closed_by_force(hall: Hall) -> None:
    caller, protocol = hall.connect()
    caller.layer.dataReceived(caller.goodbye())
    hall.clock.advance(LINGER)
    assert caller.wire.disconnected


@pytest.mark.parametrize("reason", [ConnectionDone(), ConnectionLost()])
def test_a_peer_that_goes_without_goodbye_is_gone_as_it_went(hall: Hall, reason: Exception) -> None:
    caller, protocol = hall.connect()
    caller.layer.dataReceived(caller.encrypt(b"whole") + caller.encrypt(b"cut off")[:-1])
    caller.layer.connectionLost(Failure(reason))
    assert protocol.chunks == [b"whole"]
    assert [end.value for end in protocol.ends] == [reason]
    assert len(hall.factory.protocols) == 0
    assert hall.refused == []


def test_who_closes_says_goodbye(hall: Hall) -> None:
    caller, protocol = hall.connect()
    protocol.wire.write(b"last")
    protocol.wire.loseConnection()
    protocol.wire.write(b"more")
    protocol.wire.writeSequence([b"more"])
    protocol.wire.loseConnection()
    assert caller.wire.disconnecting
    assert caller.received() == b"last"
    assert caller.ended()
    caller.layer.dataReceived(caller.goodbye())  # an answer, which need not come
    caller.layer.connectionLost(Failure(ConnectionDone()))
    assert [reason.type for reason in protocol.ends] == [ConnectionDone]


def test_who_breaks_off_does_not(hall: Hall) -> None:
    caller, protocol = hall.connect()
    protocol.wire.abortConnection()
    protocol.wire.write(b"more")
    assert caller.wire.disconnected
    assert caller.wire.value() == b""


def test_a_record_that_was_tampered_with_ends_the_connection(hall: Hall) -> None:
    caller, protocol = hall.connect()
    good, bad = caller.encrypt(b"good"), caller.encrypt(b"bad")
    caller.layer.dataReceived(good + bad[:-1] + bytes((bad[-1] ^ 1,)) + caller.encrypt(b"after"))
    assert protocol.chunks == [b"good"]
    assert [reason.type for reason in protocol.ends] == [ConnectionLost]
    assert "bad record mac" in protocol.ends[0].getErrorMessage()
    assert caller.wire.disconnecting
    with pytest.raises(SSLError, match="(?i)alert bad record mac"):
        caller.received()
    assert hall.refused == []


@pytest.mark.parametrize("ends", ["by the peer", "by the protocol", "before its handshake", "with garbage"])
def test_a_connection_that_has_ended_leaves_no_circle_of_references(hall: Hall, ends: str) -> None:
    gc.collect()
    gc.disable()
    try:
        if ends == "before its handshake":
            caller = TlsCaller(hall.factory)
        else:
            caller, protocol = hall.connect()
        if ends == "by the peer":
            caller.layer.dataReceived(caller.goodbye())
        elif ends == "by the protocol":
            protocol.wire.loseConnection()
            del protocol
        elif ends == "with garbage":
            caller.layer.dataReceived(bytes(100))
        caller.layer.connectionLost(Failure(ConnectionDone()))
        layer = ref(caller.layer)
        caller.wire.producer = None  # as a transport does
        hall.inner.made.clear()
        protocol = None  # type: ignore[assignment]
        del caller
        assert layer() is None
    finally:
        gc.enable()


# The handshake.

def test_a_peer_that_speaks_no_tls_is_refused(hall: Hall) -> None:
    caller = TlsCaller(hall.factory)
    caller.layer.dataReceived(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
    assert caller.wire.disconnecting
    assert hall.refused == [(HANDSHAKE_FAILED, "wrong version number")]
    caller.layer.connectionLost(Failure(ConnectionDone()))
    assert (len(hall.refused), len(hall.factory.protocols), hall.inner.made) == (1, 0, [])
    assert hall.clock.getDelayedCalls() == []


def test_a_peer_that_goes_in_its_handshake_is_refused(hall: Hall) -> None:
    caller = TlsCaller(hall.factory)
    assert len(hall.factory.protocols) == 1
    caller.layer.connectionLost(Failure(ConnectionDone()))
    assert hall.refused == [(HANDSHAKE_FAILED, "the connection was closed in the midst of it")]
    assert len(hall.factory.protocols) == 0
    assert hall.clock.getDelayedCalls() == []


@pytest.mark.parametrize("begun", [False, True])
def test_a_handshake_has_its_time(server: Pair, begun: bool) -> None:
    hall = Hall(server, seconds=3.0)
    caller = TlsCaller(hall.factory)
    if begun:
        with pytest.raises(SSLError):
            caller.tls.do_handshake()
        caller.deliver()
    hall.clock.advance(2.9)
    assert not caller.wire.disconnected
    hall.clock.advance(0.1)
    assert caller.wire.disconnected
    assert hall.refused == [(HANDSHAKE_TIMEOUT, "3 s have passed")]
    caller.deliver()
    caller.layer.connectionLost(Failure(ConnectionDone()))
    assert (len(hall.refused), hall.inner.made) == (1, [])


def test_who_has_shaken_hands_has_all_time(server: Pair) -> None:
    hall = Hall(server, seconds=3.0)
    caller, protocol = hall.connect()
    hall.clock.advance(3600.0)
    caller.send(b"late")
    assert protocol.chunks == [b"late"]


def test_a_peer_that_refuses_the_certificate_says_why(hall: Hall, stranger: Authority) -> None:
    caller = TlsCaller(hall.factory, client_context(stranger.file))
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        caller.shake_hands()
    assert hall.refused == [(HANDSHAKE_FAILED, "tlsv1 alert unknown ca")]


def test_handshakes_are_not_repeated(hall: Hall) -> None:
    """TLS 1.2 could; it would cost the broker more than the client."""
    assert hall.factory.credentials.loaded.context.options & OP_NO_RENEGOTIATION


def test_mqtt_is_what_is_spoken(hall: Hall) -> None:
    context = client_context()
    context.set_alpn_protocols(["x-other", "mqtt"])
    caller = TlsCaller(hall.factory, context)
    caller.shake_hands()
    assert caller.tls.selected_alpn_protocol() == "mqtt"
