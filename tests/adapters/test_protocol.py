"""MQTT over a transport: one write a turn, slow readers, the ways a connection ends."""
import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from emqtwist.app.settings import settings_of
from emqtwist.config import parse
from emqtwist.core import causes
from emqtwist.core.broker import Broker
from emqtwist.core.door import Door
from emqtwist.core.link import Turn
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Will,
)
from emqtwist.net.protocol import LINGER, MQTTFactory
from emqtwist.net.turns import SHORT, Turns
from tests.peers import Witness
from tests.wires import Caller, Wire


class Hall:
    """A factory with its broker, on one clock."""

    def __init__(self, *lines: str, no_delay: bool = True) -> None:
        config = parse("\n".join(lines))
        self.clock = Clock()
        self.witness = Witness()
        self.broker = Broker(settings_of(config), str, Turn(), self.witness)
        self.turns = Turns(self.broker, self.clock, self.clock.seconds)
        self.factory = MQTTFactory(self.turns, self.clock, Door("tcp.default"), no_delay, config.mqtt.client.max_unsent)

    def call(self, host: str = "127.0.0.1", version: int = 5) -> Caller:
        return Caller(self.factory, self.clock, host, version)

    def connect(self, client_id: str, version: int = 5) -> Caller:
        caller = self.call(version=version)
        assert caller.connect(client_id).reason_code == c.SUCCESS
        return caller

    def publish(self, *payloads: bytes, qos: int = 1) -> None:
        """From within, each in a turn of its own."""
        for payload in payloads:
            self.broker.publish(self.broker.local_message("a", payload, qos, False, b"", 1e9))
            self.clock.advance(0)


def payloads(packets: list[Packet]) -> list[bytes]:
    return [packet.payload for packet in packets if isinstance(packet, Publish)]


# Bytes.

@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.mqtt5("4.2-1")
def test_packets_go_in_and_out(version: int) -> None:
    hall = Hall()
    alice = hall.connect("alice", version)
    alice.send(Subscribe(1, [(b"a", 1)]), Publish(b"a", b"x", 1, packet_id=7), Pingreq())
    assert [type(packet) for packet in alice.received()] == [Suback, Publish, Puback, Pingresp]


def test_all_that_one_turn_produced_is_written_at_once() -> None:
    hall = Hall()
    bob, alice = hall.connect("bob"), hall.connect("alice")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.wire.writes = 0
    for _ in range(3):  # three reads, from two clients, before the reactor comes round again
        alice.protocol.dataReceived(encode(Publish(b"a", b"x"), 5) * 10)
        bob.protocol.dataReceived(encode(Pingreq(), 5))
    assert bob.wire.writes == 0
    hall.clock.advance(0)
    assert bob.wire.writes == 1
    assert len(payloads(bob.received())) == 30


def test_what_is_written_is_counted() -> None:
    hall = Hall()
    bob, alice = hall.connect("bob"), hall.connect("alice")
    bob.send(Subscribe(1, [(b"a", 1)]))
    bob.received()
    before = hall.broker.metrics.counters()
    alice.send(Publish(b"a", b"x"), Publish(b"a", b"x" * 100_000), Publish(b"a", b"y", 1, packet_id=1))
    size = len(bob.wire.value()) + len(alice.wire.value())
    after = hall.broker.metrics.counters()
    assert len(payloads(bob.received())) == 3
    assert {name: after[name] - before[name] for name in after if name.endswith("_sent") and after[name] != before[name]} == {
        "bytes_sent": size, "packets_sent": 4, "publish_sent": 3, "qos0_sent": 2, "qos1_sent": 1, "puback_sent": 1}


@pytest.mark.mqtt5("3.14.4-1")
def test_nothing_is_written_behind_the_last_packet() -> None:
    hall = Hall()
    alice = hall.connect("alice")
    hall.broker.subscribe("a", lambda message: hall.broker.shut_down(), 0)
    before = hall.broker.metrics.counters()
    alice.send(Publish(b"a", b"x", 1, packet_id=7))
    size = len(alice.wire.value())
    assert [type(packet) for packet in alice.received()] == [Disconnect]
    after = hall.broker.metrics.counters()
    assert (after["bytes_sent"] - before["bytes_sent"], after["qos0_sent"]) == (size, 0)


@pytest.mark.mqtt5("4.2-1")
def test_a_packet_may_come_in_pieces() -> None:
    hall = Hall()
    alice = hall.call()
    for byte in encode(Connect(5, "alice"), 5):
        alice.protocol.dataReceived(bytes((byte,)))
    hall.clock.advance(0)
    assert alice.one(Connack).reason_code == c.SUCCESS


@pytest.mark.parametrize(("size", "left"), [(SHORT // 2, [0, 0]), (2 * SHORT, [1, 0])])
def test_short_writes_wait_until_all_is_put_together_and_long_ones_do_not(size: int, left: list[int]) -> None:
    hall = Hall()
    callers = [hall.connect(name) for name in ("alice", "bob")]
    for caller in callers:
        caller.send(Subscribe(1, [(b"a", 0)]))
        caller.received()
    found: list[int] = []
    for caller in callers:
        caller.wire.write = lambda data: found.append(  # type: ignore[method-assign]
            len([each for each in callers if each.protocol.connection.out]))
    hall.publish(bytes(size), qos=0)
    assert found == left


@pytest.mark.parametrize("qos", [0, 1])
def test_receivers_of_a_large_message_share_its_bytes(qos: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall()
    written: list[bytes] = []
    monkeypatch.setattr(Wire, "write", lambda wire, data: written.append(data))
    monkeypatch.setattr(Wire, "writeSequence", lambda wire, pieces: written.extend(pieces))
    for name in "ab":
        hall.call().send(Connect(5, name), Subscribe(1, [(b"a", 1)]))
    hall.publish(bytes(64 * 1024), qos=qos)
    one, other = [each for each in written if len(each) > 64 * 1024]
    assert one is other


def test_messages_published_within_are_flushed_without_any_read() -> None:
    hall = Hall()
    bob = hall.connect("bob")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.received()
    hall.publish(b"x")
    assert payloads(bob.received()) == [b"x"]


# The transport.

@pytest.mark.parametrize("no_delay", [True, False])
def test_the_transport_is_set_up(no_delay: bool) -> None:
    wire = Hall("mqtt.client.max_unsent = 100KB", no_delay=no_delay).call().wire
    assert (wire.no_delay, wire.keep_alive, wire.bufferSize, wire.streaming) == (no_delay, True, 102_400, True)


@pytest.mark.parametrize(("host", "reason_code"), [
    ("127.0.0.1", c.SUCCESS), ("127.9.9.9", c.SUCCESS), ("::1", c.SUCCESS),
    ("10.0.0.1", c.NOT_AUTHORIZED), ("2001:db8::1", c.NOT_AUTHORIZED), ("fe80::1%eth0", c.NOT_AUTHORIZED)])
def test_who_is_of_this_host_is_told_by_the_address(host: str, reason_code: int) -> None:
    assert Hall().call(host).connect("alice").reason_code == reason_code


@pytest.mark.parametrize(("host", "peer"), [("10.0.0.1", "10.0.0.1:50000"), ("2001:db8::1", "[2001:db8::1]:50000")])
def test_the_peer_is_known_by_its_address(host: str, peer: str) -> None:
    assert Hall().call(host).protocol.connection.peer.text == peer


# Slow readers.

def test_a_client_that_does_not_read_gets_its_messages_in_order_later() -> None:
    hall = Hall("mqtt.client.max_unsent = 64KB")
    bob = hall.connect("bob")
    bob.send(Subscribe(1, [(b"a", 1)]))
    bob.received()
    large = [bytes((number,)) * 30_000 for number in range(6)]
    hall.publish(*large)
    assert hall.broker.sessions.by_id["bob"].queued() == 3
    assert len(bob.wire.value()) < 100_000
    seen: list[bytes] = []
    while got := payloads(bob.received()):
        seen += got
        hall.clock.advance(0)
    assert seen == large


def test_relief_is_flushed_in_a_turn_of_its_own() -> None:
    hall = Hall("mqtt.client.max_unsent = 64KB")
    bob = hall.connect("bob")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.received()
    hall.publish(bytes(70_000), b"x", qos=0)
    bob.wire.read()
    assert bob.wire.value() == b""
    hall.clock.advance(0)
    assert bob.wire.value()[-1:] == b"x"


def test_what_expired_while_a_client_did_not_read_is_not_sent() -> None:
    hall = Hall("mqtt.client.max_unsent = 64KB")
    bob = hall.connect("bob")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.received()
    hall.publish(bytes(70_000), qos=0)
    hall.broker.publish(hall.broker.local_message("a", b"mortal", 0, False, b"", 5.0))
    hall.clock.advance(5)
    assert payloads(bob.received()) == [bytes(70_000)]
    hall.clock.advance(0)
    assert bob.received() == []
    assert hall.broker.metrics.drops[causes.EXPIRED] == 1


# The end.

@pytest.mark.mqtt5("3.14.4-2", "4.13.2-1")
def test_the_broker_closes_after_its_last_words() -> None:
    hall = Hall()
    alice = hall.connect("alice")
    alice.send(Connect(5, "again"))
    assert alice.closing
    assert alice.wire.producer is None
    assert alice.one(Disconnect).reason_code == c.PROTOCOL_ERROR


def test_a_peer_that_does_not_take_the_last_words_is_cut_off() -> None:
    hall = Hall()
    alice = hall.connect("alice")
    alice.send(Disconnect())
    hall.clock.advance(LINGER - 0.1)
    assert not alice.wire.disconnected
    hall.clock.advance(0.1)
    assert alice.wire.disconnected


def test_a_peer_that_closes_itself_is_not_cut_off() -> None:
    hall = Hall()
    alice = hall.connect("alice")
    alice.send(Disconnect())
    alice.hang_up()
    hall.clock.advance(LINGER)
    assert not alice.wire.disconnected
    assert hall.clock.getDelayedCalls() == []
    assert hall.broker.metrics.ends == {causes.NORMAL: 1}


def test_each_that_closes_has_its_own_time() -> None:
    hall = Hall()
    alice, bob, carol = hall.connect("alice"), hall.connect("bob"), hall.connect("carol")
    alice.send(Disconnect())
    bob.send(Disconnect())
    hall.clock.advance(1.0)
    carol.send(Disconnect())
    bob.hang_up()
    hall.clock.advance(LINGER - 1.0)
    assert [each.wire.disconnected for each in (alice, bob, carol)] == [True, False, False]
    hall.clock.advance(1.0)
    assert carol.wire.disconnected
    assert hall.clock.getDelayedCalls() == []


def test_what_comes_after_the_end_is_ignored() -> None:
    hall = Hall()
    alice = hall.connect("alice")
    alice.send(Disconnect())
    alice.send(Connect(5, "again"), Pingreq())
    assert alice.received() == []
    assert hall.broker.sessions.by_id == {}


def test_a_connection_that_breaks_is_counted_and_its_will_published() -> None:
    hall = Hall()
    bob, alice = hall.connect("bob"), hall.call()
    bob.send(Subscribe(1, [(b"will", 0)]))
    bob.received()
    alice.send(Connect(5, "alice", will=Will(b"will", b"last words")))
    alice.hang_up()
    assert payloads(bob.received()) == [b"last words"]
    assert hall.broker.metrics.ends == {causes.CONNECTION_LOST: 1}
    assert "lost" in str(hall.witness.told("disconnected")[0][2])


def test_bytes_for_a_connection_that_is_gone_go_nowhere() -> None:
    hall = Hall()
    bob = hall.connect("bob")
    bob.send(Subscribe(1, [(b"a", 0)]))
    bob.received()
    hall.broker.publish(hall.broker.local_message("a", b"x", 0, False, b"", 1e9))
    bob.hang_up()  # before the turn ends
    assert bob.wire.value() == b""


@pytest.mark.mqtt3("4.8.0-2")
def test_a_defect_closes_its_connection_alone(logged_failures: list[Failure]) -> None:
    hall = Hall()
    bob, alice = hall.connect("bob"), hall.connect("alice")
    bob.send(Subscribe(1, [(b"b", 0)]))
    bob.received()
    del hall.broker.metrics.drops[causes.NO_SUBSCRIBERS]  # so that counting it fails
    alice.send(Publish(b"a", b"x"), Publish(b"b", b"not served any more"))
    assert alice.one(Disconnect).reason_code == c.IMPLEMENTATION_SPECIFIC_ERROR
    assert alice.closing
    assert bob.received() == []
    assert not bob.closing
    assert logged_failures.pop().type is KeyError


def test_a_transport_that_fails_costs_its_connection_alone(
        monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]) -> None:
    hall = Hall()
    bob, carol = hall.connect("bob"), hall.connect("carol")
    for peer in (bob, carol):
        peer.send(Subscribe(1, [(b"a", 0)]))
        peer.received()
    monkeypatch.setattr(bob.wire, "write", None)
    hall.publish(b"x", qos=0)
    assert payloads(carol.received()) == [b"x"]
    assert bob.wire.disconnected
    assert logged_failures.pop().type is TypeError


def test_stopping_the_producer_waits_for_the_connection_to_be_lost() -> None:
    hall = Hall()
    alice = hall.connect("alice")
    alice.protocol.stopProducing()
    assert "alice" in hall.broker.sessions.by_id


# The factory.

def test_a_factory_knows_when_it_is_empty() -> None:
    hall = Hall()
    assert hall.factory.when_empty().called
    first, second = hall.connect("first"), hall.call()
    waiting = [hall.factory.when_empty(), hall.factory.when_empty()]
    first.hang_up()
    assert not any(deferred.called for deferred in waiting)
    second.hang_up()
    assert all(deferred.called for deferred in waiting)
    hall.connect("third").hang_up()
    assert hall.factory.when_empty().called


def test_a_client_that_asks_without_reading_the_answers_ends() -> None:
    hall = Hall("[mqtt.client]", "max_unsent = 64KB")
    mallory = hall.connect("mallory")
    pings = encode(Pingreq(), 5) * 20_000
    for _ in range(4):  # 40 KB of PINGRESP each
        mallory.protocol.dataReceived(pings)
        hall.clock.advance(0)
    assert mallory.closing
    assert len(mallory.wire.value()) < 3 * 65536 + 40_000
    assert hall.broker.metrics.ends == {"quota_exceeded": 1}


def test_answers_that_are_read_in_the_end_cost_nothing() -> None:
    hall = Hall("[mqtt.client]", "max_unsent = 64KB")
    alice = hall.connect("alice")
    for _ in range(10):
        for count in (40_000, 10_000):  # 80 KB of PINGRESP, more than may wait, and 20 KB more
            alice.protocol.dataReceived(encode(Pingreq(), 5) * count)
            hall.clock.advance(0)
        assert len(alice.received()) == 50_000
    assert hall.broker.metrics.ends == {}
