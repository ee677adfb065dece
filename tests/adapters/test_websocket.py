"""MQTT in WebSocket frames: handshakes, frames both ways, slow readers, ends, hostile clients; without sockets."""
import random
import re
from collections.abc import Callable
from typing import cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from emqtwist.config import WebSocketRows
from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Packet, Pingreq, Pingresp, Puback, Publish, Suback, Subscribe
from emqtwist.net.protocol import LINGER
from emqtwist.net.websocket.factory import WebSocketFactory
from emqtwist.net.websocket.protocol import STEPS, WebSocket
from tests.adapters.test_protocol import Hall
from tests.websockets import ACCEPT, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frames, frame, request
from tests.wires import Wire


class Door:
    """A WebSocket listener without a port."""

    def __init__(self, seconds: float = 15.0, **rows: object) -> None:
        self.hall = Hall()
        self.refusals: list[tuple[str, str, str]] = []
        section = WebSocketRows(**rows)  # type: ignore[arg-type]
        self.factory = WebSocketFactory(self.hall.factory, section, seconds, self.hall.clock)
        self.factory.refuse = self._refuse

    def _refuse(self, peer: str, cause: str, reason: str) -> None:
        self.refusals.append((peer, cause, reason))

    def call(self) -> "Browser":
        return Browser(self)

    def open(self) -> "Browser":
        browser = self.call()
        browser.write(request())
        assert browser.frames() == []
        assert browser.status == 101
        return browser

    def connect(self, client_id: str, version: int = 5) -> "Browser":
        browser = self.open()
        browser.version = version
        browser.send(Connect(version, client_id))
        [connack] = browser.received()
        assert isinstance(connack, Connack)
        return browser


class Browser:
    """A client that has connected."""

    def __init__(self, door: Door) -> None:
        self.clock = door.hall.clock
        self.version = c.MQTT_5_0
        address = IPv4Address("TCP", "127.0.0.1", 50000)
        self.socket = cast(WebSocket, door.factory.buildProtocol(address))
        self.wire = Wire(address)
        self.socket.makeConnection(self.wire)
        self._frames = Frames()
        self._decoder = Decoder(c.MAX_PACKET, self.version)

    def write(self, data: bytes) -> None:
        """Bytes in one read, and the turn ends."""
        self.socket.dataReceived(data)
        self.clock.advance(0)

    def send(self, *packets: Packet) -> None:
        """Each packet in a frame of its own."""
        self.write(b"".join(frame(encode(packet, self.version)) for packet in packets))

    def frames(self) -> list[tuple[int, bytes]]:
        """Those since the last call."""
        return list(self._frames.feed(self.wire.read()))

    def received(self) -> list[Packet]:
        frames = self.frames()
        assert {opcode for opcode, _ in frames} <= {BINARY}
        return self.packets(frames)

    def packets(self, frames: list[tuple[int, bytes]]) -> list[Packet]:
        """Those in binary frames."""
        self._decoder.version = self.version
        packets = self._decoder.feed(b"".join(payload for opcode, payload in frames if opcode == BINARY))
        assert self._decoder.error is None
        return packets

    @property
    def status(self) -> int:
        return self._frames.status

    @property
    def response(self) -> str:
        return self._frames.response or ""

    @property
    def disconnecting(self) -> bool:
        return bool(self.wire.disconnecting)

    @property
    def aborted(self) -> bool:
        return bool(self.wire.disconnected)

    def hang_up(self, reason: type[Exception] = ConnectionLost) -> None:
        self.socket.connectionLost(Failure(reason()))
        self.clock.advance(0)


# The opening handshake.

@pytest.mark.parametrize("protocols", ["mqtt", "mqttv3.1, mqtt", "chat, mqtt"])
@pytest.mark.mqtt5("6.0.0-4")
def test_hands_are_shaken(protocols: str) -> None:
    browser = Door().call()
    browser.write(request(protocols=protocols, origin="https://example.org"))
    assert browser.frames() == []
    assert browser.status == 101
    assert f"Sec-WebSocket-Accept: {ACCEPT}" in browser.response
    assert "Sec-WebSocket-Protocol: mqtt" in browser.response.splitlines()
    assert "Server" not in browser.response


def test_a_handshake_comes_in_any_pieces_with_a_query_and_frames_behind_it() -> None:
    browser = Door().call()
    data = request("/mqtt?token=1") + frame(encode(Connect(5, "alice"), 5)) + frame(encode(Pingreq(), 5))
    for position in range(len(data)):
        browser.write(data[position:position + 1])
    assert [type(packet) for packet in browser.received()] == [Connack, Pingresp]


def test_all_in_one_read() -> None:
    browser = Door().call()
    browser.write(request() + frame(encode(Connect(5, "alice"), 5)) + frame(encode(Pingreq(), 5)))
    assert [type(packet) for packet in browser.received()] == [Connack, Pingresp]


@pytest.mark.parametrize(("asked", "status", "cause"), [
    (request("/other"), 404, causes.WEBSOCKET_PATH),
    (request(origin="https://evil.test"), 403, causes.WEBSOCKET_ORIGIN),
    (request(protocols="chat"), 406, causes.WEBSOCKET_PROTOCOL),
    (request(protocols=None), 406, causes.WEBSOCKET_PROTOCOL),
    (request(Upgrade=""), 426, causes.WEBSOCKET_HANDSHAKE),
    (request(Sec_WebSocket_Key="short"), 400, causes.WEBSOCKET_HANDSHAKE),
    (request(Sec_WebSocket_Version="8"), 400, causes.WEBSOCKET_HANDSHAKE),
    (request(Host=""), 400, causes.WEBSOCKET_HANDSHAKE),
    (b"POST /mqtt HTTP/1.1\r\n\r\n", 405, causes.WEBSOCKET_HANDSHAKE),
    (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\r\n\r\n", 400, causes.WEBSOCKET_HANDSHAKE),
    (request(Cookie="x" * 4096), 431, causes.WEBSOCKET_HEADERS),
    (b"x" * 4097, 431, causes.WEBSOCKET_HEADERS),
], ids=["path", "origin", "protocol", "no protocol", "no upgrade", "key", "version", "no host", "method", "no HTTP", "cookie",
        "no end"])
def test_a_refused_handshake_is_answered_and_told(asked: bytes, status: int, cause: str) -> None:
    door = Door(max_upgrade_size=4096, origins=("https://example.org",))
    browser = door.call()
    browser.write(asked)
    assert browser.frames() == []
    assert browser.status == status
    assert browser.disconnecting
    [(peer, told, reason)] = door.refusals
    assert (peer, told) == ("127.0.0.1:50000", cause)
    assert reason in browser.response
    browser.write(b"more" * 10000)  # is not kept, nor answered
    assert browser.socket.data != b"more" * 10000
    assert len(door.refusals) == 1
    browser.hang_up(ConnectionDone)
    assert door.factory.protocols == door.factory.opening == {}
    assert door.hall.broker.links == {}


def test_a_handshake_that_never_ends_is_ended() -> None:
    door = Door(5.0)
    slow, done = door.call(), door.open()
    slow.write(b"GET /mqtt HTTP/1.1\r\n")
    for _ in range(4):
        door.hall.clock.advance(1)
        slow.write(b"X: y\r\n")
        door.factory.tick()
    assert not slow.disconnecting
    door.hall.clock.advance(1)
    door.factory.tick()
    assert slow.frames() == []
    assert slow.status == 408
    assert slow.disconnecting
    assert [refusal[1] for refusal in door.refusals] == [causes.WEBSOCKET_TIMEOUT]
    door.factory.tick()
    assert len(door.refusals) == 1
    assert not done.disconnecting


def test_who_leaves_in_the_handshake_leaves_nothing() -> None:
    door = Door()
    browser = door.call()
    assert len(door.factory.protocols) == 1
    browser.write(b"GET")
    browser.hang_up()
    assert door.factory.protocols == door.factory.opening == {}
    assert door.refusals == []


def test_the_hosts_random_numbers_are_not_touched() -> None:
    random.seed(1)
    before = random.getstate()
    Door()
    assert random.getstate() == before


# Frames from clients.

@pytest.mark.mqtt5("6.0.0-2")
def test_packets_span_and_share_frames() -> None:
    browser = Door().connect("alice")
    data = encode(Subscribe(1, [(b"a", 0)]), 5) + encode(Publish(b"a", b"x" * 200, 1, packet_id=7), 5) + encode(Pingreq(), 5)
    browser.write(frame(data))
    assert [type(packet) for packet in browser.received()] == [Suback, Publish, Puback, Pingresp]
    browser.write(b"".join(frame(bytes((byte,))) for byte in data))
    assert [type(packet) for packet in browser.received()] == [Suback, Publish, Puback, Pingresp]


def shapes() -> dict[str, Callable[[bytes], bytes]]:
    half = {
        "fragments": lambda data: frame(data[:9], fin=False) + frame(b"", CONTINUATION, fin=False) + frame(
            data[9:100], CONTINUATION, fin=False) + frame(data[100:], CONTINUATION),
        "empty frames": lambda data: frame(b"") + frame(data) + frame(b""),
        "a ping between": lambda data: frame(data[:9], fin=False) + frame(b"p", PING) + frame(data[9:], CONTINUATION),
        "zero key": lambda data: frame(data, key=bytes(4)),
    }
    return cast(dict[str, Callable[[bytes], bytes]], half)


@pytest.mark.parametrize("shape", shapes())
@pytest.mark.parametrize("size", [1, 3, 1000, 100_000])
@pytest.mark.mqtt5("6.0.0-2")
def test_frames_come_in_any_shape_and_pieces(shape: str, size: int) -> None:
    browser = Door().connect("alice")
    browser.send(Subscribe(1, [(b"a", 0)]))
    browser.received()
    sent = [Publish(b"a", bytes((number,)) * length) for number, length in enumerate((1, 150, 70_000 if size > 3 else 300))]
    data = shapes()[shape](b"".join(encode(packet, 5) for packet in sent))
    for start in range(0, len(data), size):
        browser.write(data[start:start + size])
    frames = browser.frames()
    got = [packet for packet in browser.packets(frames) if isinstance(packet, Publish)]
    assert [packet.payload for packet in got] == [packet.payload for packet in sent]
    assert [payload for opcode, payload in frames if opcode == PONG] == ([b"p"] if "ping" in shape else [])


def test_a_large_read_is_no_flood() -> None:
    browser = Door().connect("alice")
    packet = encode(Publish(b"a", b"x" * 15_000), 5)
    browser.write(frame(b"", fin=False) + frame(packet, CONTINUATION, fin=False) * (STEPS + 1))
    assert browser.frames() == []
    assert not browser.disconnecting


def test_nothing_of_a_message_is_kept_until_it_is_complete() -> None:
    browser = Door().connect("alice")
    browser.send(Subscribe(1, [(b"a", 0)]))
    browser.received()
    packet = encode(Publish(b"a", b"x"), 5)
    browser.write(frame(packet * 3, length=10_000_000))
    assert len(browser.received()) == 3
    assert browser.socket.data == b""


@pytest.mark.parametrize(("sent", "code", "reason_code"), [
    (frame(b"text", TEXT), 1003, c.PROTOCOL_ERROR),
    (frame(b"\xff", TEXT), 1003, c.PROTOCOL_ERROR),
    (frame(b"", length=10_001), 1009, c.PACKET_TOO_LARGE),
    (frame(b"", length=1 << 62), 1009, c.PACKET_TOO_LARGE),
    (frame(b"\xc0\x00" * 3000, fin=False) + frame(b"\xc0\x00" * 3000, CONTINUATION, fin=False), 1009, c.PACKET_TOO_LARGE),
    (frame(encode(Pingreq(), 5), key=None), 1002, c.PROTOCOL_ERROR),
    (frame(b"", CONTINUATION), 1002, c.PROTOCOL_ERROR),
    (frame(b"", fin=False) + frame(b""), 1002, c.PROTOCOL_ERROR),
    (frame(b"", 3), 1002, c.PROTOCOL_ERROR),
    (frame(b"", PING, fin=False), 1002, c.PROTOCOL_ERROR),
    (frame(b"x" * 126, PING), 1002, c.PROTOCOL_ERROR),
    (frame(b"\x03", CLOSE), 1002, c.PROTOCOL_ERROR),
    (frame(b"\x00\x01", CLOSE), 1002, c.PROTOCOL_ERROR),
    (frame(b"\x03\xe8\xff", CLOSE), 1007, c.PROTOCOL_ERROR),
    (frame(b"", fin=False) + frame(b"", CONTINUATION, fin=False) * (STEPS + 1), 1008, c.QUOTA_EXCEEDED),
    (frame(b"", PING) * (STEPS + 1), 1008, c.QUOTA_EXCEEDED),
], ids=["text", "bad text", "long", "longest", "fragments", "not masked", "continuation", "message in message", "opcode",
        "fragmented ping", "long ping", "short close", "bad close code", "bad close reason", "empty fragments", "pings"])
@pytest.mark.mqtt5("6.0.0-1")
def test_broken_rules_end_the_connection_and_what_came_before_them_counts(sent: bytes, code: int, reason_code: int) -> None:
    door = Door(max_message_size=10_000)
    bob, alice = door.connect("bob"), door.connect("alice")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.received()
    alice.write(frame(encode(Publish(b"a", b"before"), 5)) + sent + frame(encode(Publish(b"a", b"after"), 5)))
    frames = alice.frames()
    assert frames[-1] == (CLOSE, code.to_bytes(2, "big"))
    *_, disconnect = alice.packets(frames)
    assert isinstance(disconnect, Disconnect)
    assert disconnect.reason_code == reason_code
    assert disconnect.properties is not None
    assert str(disconnect.properties.reason_string).startswith("WebSocket: ")
    assert alice.disconnecting
    assert [packet.payload for packet in bob.received() if isinstance(packet, Publish)] == [b"before"]
    assert door.hall.broker.metrics.ends == {causes.end_cause(reason_code): 1}
    alice.write(frame(encode(Publish(b"a", b"later"), 5)))
    assert bob.received() == []
    assert alice.frames() == []


def test_broken_rules_before_connect_end_the_connection_without_a_packet() -> None:
    browser = Door().call()
    browser.write(request() + frame(b"text", TEXT))
    assert browser.frames() == [(CLOSE, b"\x03\xeb")]
    assert browser.status == 101
    assert browser.disconnecting


# Frames to clients.

def test_what_one_turn_brings_is_one_frame() -> None:
    door = Door()
    bob, alice = door.connect("bob"), door.connect("alice")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.received()
    alice.send(*[Publish(b"a", b"x" * size) for size in (1, 10, 20)])
    [(opcode, payload)] = bob.frames()
    assert opcode == BINARY
    assert [packet.payload for packet in bob.packets([(opcode, payload)]) if isinstance(packet, Publish)] == [
        b"x", b"x" * 10, b"x" * 20]


@pytest.mark.parametrize("length", [1, 120, 125, 126, 40_000, 70_000, 200_000])
def test_frames_of_every_length_go_out(length: int) -> None:
    door = Door()
    bob, alice = door.connect("bob"), door.connect("alice")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.received()
    alice.send(Publish(b"a", b"x" * length), Publish(b"a", b"y" * length))
    assert [packet.payload for packet in bob.received() if isinstance(packet, Publish)] == [b"x" * length, b"y" * length]


def test_a_slow_reader_is_not_written_to_and_its_last_ping_is_answered_later() -> None:
    door = Door()
    bob = door.connect("bob")
    bob.send(Subscribe(1, [(b"a", 1)]))
    bob.received()
    bob.wire.bufferSize = 1000
    door.hall.publish(b"1" * 2000, b"2" * 2000, b"3" * 2000)
    assert bob.wire.writes
    before = bob.wire.writes
    bob.write(frame(b"first", PING))
    bob.write(frame(b"last", PING))
    bob.socket.ping()
    assert bob.wire.writes == before
    frames = bob.frames()
    bob.clock.advance(0)
    frames += bob.frames()
    assert [packet.payload[:1] for packet in bob.packets(frames) if isinstance(packet, Publish)] == [b"1", b"2", b"3"]
    assert [each for each in frames if each[0] != BINARY] == [(PONG, b"last")]


def test_reading_pauses_and_goes_on_with_the_protocol() -> None:
    bob = Door().connect("bob")
    assert bob.socket.protocol is not None
    transport = bob.socket.protocol.transport
    transport.pauseProducing()
    assert bob.wire.producerState == "paused"
    transport.resumeProducing()
    assert bob.wire.producerState == "producing"


def test_the_transport_is_set_up_through_the_frames() -> None:
    bob = Door().connect("bob")
    assert (bob.wire.no_delay, bob.wire.keep_alive, bob.wire.streaming) == (True, True, True)
    assert bob.socket.protocol is not None
    assert bob.socket.protocol.transport.bufferSize == bob.wire.bufferSize == bob.socket.protocol.factory.max_unsent
    assert bob.socket.protocol.connection.peer.text == "127.0.0.1:50000"
    assert bob.socket.protocol.transport.getHost() == bob.wire.getHost()


def test_pings_are_sent_where_they_are_wanted() -> None:
    door = Door(ping_interval=30.0)
    bob, opening = door.open(), door.call()
    for _ in range(2):
        door.hall.clock.advance(29)
        door.factory.tick()
        assert bob.frames() == []
        door.hall.clock.advance(1)
        door.factory.tick()
        assert bob.frames() == [(PING, b"")]
        bob.write(frame(b"", PONG))
    assert opening.status in (0, 408)
    bob.hang_up()
    door.hall.clock.advance(60)
    door.factory.tick()


@pytest.mark.parametrize("key", [b"abcd", None])
def test_answers_to_pings_and_close_need_no_mask(key: bytes | None) -> None:
    door = Door()
    alice = door.connect("alice")
    alice.write(frame(b"", PONG, key=key) + frame(encode(Pingreq(), 5)))
    assert [type(packet) for packet in alice.received()] == [Pingresp]
    alice.write(frame(b"\x03\xe8", CLOSE, key=key))
    assert alice.frames() == [(CLOSE, b"\x03\xe8")]


# Ends.

def test_disconnect_and_close_in_one_read() -> None:
    door = Door()
    alice = door.connect("alice")
    alice.write(frame(encode(Disconnect(), 5)) + frame(b"\x03\xe8", CLOSE))
    assert alice.frames() == [(CLOSE, b"\x03\xe8")]
    assert alice.disconnecting
    assert not alice.aborted
    alice.hang_up(ConnectionDone)
    assert door.hall.broker.metrics.ends == {causes.NORMAL: 1}
    assert door.factory.protocols == {}


@pytest.mark.parametrize("reason", [b"", b"\x03\xe9", b"\x0f\xa0bye"])
def test_close_without_disconnect_is_a_lost_connection(reason: bytes) -> None:
    door = Door()
    alice = door.connect("alice")
    alice.write(frame(reason, CLOSE))
    assert alice.frames() == [(CLOSE, b"\x03\xe8")]
    assert alice.disconnecting
    alice.hang_up(ConnectionDone)
    assert door.hall.broker.metrics.ends == {causes.CONNECTION_LOST: 1}


def test_who_closes_and_does_not_take_what_it_is_sent_is_aborted() -> None:
    door = Door()
    alice = door.connect("alice")
    alice.write(frame(b"", CLOSE))
    door.hall.clock.advance(LINGER)
    assert alice.aborted
    alice.hang_up()
    assert door.hall.factory.protocols == {}


def test_the_broker_closes_and_the_client_answers() -> None:
    door = Door()
    alice = door.connect("alice")
    door.hall.broker.shut_down()
    door.hall.clock.advance(0)
    frames = alice.frames()
    assert [type(packet) for packet in alice.packets(frames)] == [Disconnect]
    assert frames[-1] == (CLOSE, b"\x03\xe8")
    assert not alice.disconnecting
    alice.write(frame(b"\x03\xe8", CLOSE))
    assert alice.frames() == []
    assert alice.disconnecting
    assert not alice.aborted
    alice.hang_up(ConnectionDone)
    assert door.hall.factory.protocols == {}
    door.hall.clock.advance(LINGER)


def test_the_broker_closes_and_the_client_does_not_answer() -> None:
    door = Door()
    alice = door.connect("alice")
    door.hall.broker.shut_down()
    door.hall.clock.pump([0, LINGER])
    assert alice.aborted


def test_nothing_is_left_of_a_connection_that_has_ended() -> None:
    import gc
    import weakref
    door = Door()
    alice = door.connect("alice")
    alice.write(frame(b"", CLOSE))
    gc.collect()
    gc.disable()
    try:
        socket = weakref.ref(alice.socket)
        alice.hang_up(ConnectionDone)
        alice.wire.producer = None
        del alice
        assert socket() is None
    finally:
        gc.enable()


def test_what_is_live_holds_for_open_connections() -> None:
    door = Door()
    alice = door.connect("alice")
    door.factory.configure(WebSocketRows(max_message_size=2000, path="/other"))
    alice.write(frame(b"", length=2001))
    assert alice.frames()[-1] == (CLOSE, b"\x03\xf1")
    bob = door.call()
    bob.write(request("/other"))
    assert bob.frames() == []
    assert bob.status == 101


def test_reasons_for_people_are_words() -> None:
    assert all(re.fullmatch("[a-zA-Z].*[a-z]", text) for text in causes.REFUSALS.values())
