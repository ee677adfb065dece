"""[mqtt.client] message_rate and byte_rate: a client that is too fast is not read for a while, and loses nothing."""
import pytest

from emqtwist.app.settings import settings_of
from emqtwist.config import parse
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import QuotaExceeded
from emqtwist.mqtt.packets import Disconnect, Puback, Publish
from tests.adapters.test_protocol import Hall
from tests.wires import Caller


def publish(caller: Caller, count: int, size: int = 1) -> None:
    caller.send(*[Publish(b"a", bytes(size), 1, packet_id=number + 1) for number in range(count)])


def reads(caller: Caller) -> bool:
    return caller.wire.producerState == "producing"


def test_mqtt_client_message_rate() -> None:
    too_fast("message_rate = 10", 30, 1)


def test_mqtt_client_byte_rate() -> None:
    too_fast("byte_rate = 1KB", 3, 1000)


def too_fast(row: str, count: int, size: int) -> None:
    """What is over the rate is served, then nothing is read until it has paid."""
    hall = Hall("mqtt.client." + row)
    alice, bob = hall.connect("alice"), hall.connect("bob")
    publish(alice, count, size)
    assert [type(packet) for packet in alice.received()] == [Puback] * count
    assert (reads(alice), reads(bob)) == (False, True)
    hall.clock.advance(1.0)
    assert not reads(alice)
    hall.clock.advance(1.0)
    hall.clock.advance(1.0)
    assert reads(alice)
    assert hall.broker.metrics.counters()["held_back"] == 1


@pytest.mark.parametrize("row", ["message_rate = 0", "message_rate = 30", "byte_rate = unlimited"])
def test_one_within_its_rate_is_read_on(row: str) -> None:
    hall = Hall("mqtt.client." + row)
    alice = hall.connect("alice")
    publish(alice, 30)
    assert reads(alice)
    assert hall.broker.metrics.counters()["held_back"] == 0


def test_keep_alive_does_not_end_one_that_is_held_back() -> None:
    hall = Hall("mqtt.client.message_rate = 1", "mqtt.server_keep_alive = 5s")
    alice = hall.connect("alice")
    publish(alice, 100)
    for _ in range(60):
        hall.clock.advance(1.0)
        alice.protocol.connection.check(hall.clock.seconds())
    assert not alice.closing
    assert not reads(alice)


def test_a_live_change_frees_one_that_is_held_back() -> None:
    hall = Hall("mqtt.client.message_rate = 1")
    alice = hall.connect("alice")
    publish(alice, 1000)
    hall.broker.configure(settings_of(parse("mqtt.client.message_rate = 0")))
    hall.clock.advance(1.0)
    assert reads(alice)


def test_one_that_is_ended_is_read_to_its_end_and_leaves_no_timer() -> None:
    hall = Hall("mqtt.client.message_rate = 1")
    alice = hall.connect("alice")
    publish(alice, 100)
    alice.received()
    hall.turns.begin()
    alice.protocol.connection.fail(QuotaExceeded("enough"))
    hall.clock.advance(0)
    assert (alice.closing, reads(alice)) == (True, True)
    assert alice.one(Disconnect).reason_code == c.QUOTA_EXCEEDED
    alice.protocol.connectionLost()
    assert not hall.clock.getDelayedCalls()


def test_one_that_is_lost_leaves_no_timer() -> None:
    hall = Hall("mqtt.client.message_rate = 1")
    alice = hall.connect("alice")
    publish(alice, 100)
    alice.protocol.connectionLost()
    hall.clock.advance(0)
    assert not hall.clock.getDelayedCalls()
