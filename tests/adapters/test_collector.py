"""The garbage collector of the broker's process, and what the end of a connection leaves to it."""
import gc
import socket
import weakref
from collections.abc import Iterator
from typing import cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock

from emqtwist.app.command import BrokerProcess, Options
from emqtwist.app.settings import settings_of
from emqtwist.config import Config
from emqtwist.core.broker import Broker
from emqtwist.core.door import Door
from emqtwist.core.link import Turn
from emqtwist.core.message import NEVER
from emqtwist.core.observer import Observer
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connect, Disconnect, Packet, Puback, Publish, Subscribe, Will
from emqtwist.net.batching import Stream
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.turns import Turns
from emqtwist.services.collector import PERIOD, YOUNG, Collector
from tests.batches import Room


class Thing:
    """Can be pointed at weakly."""

    itself: object = None


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    collector = Collector(made)
    before = gc.get_threshold()
    collector.startService()
    yield made
    collector.stopService()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
    assert made.getDelayedCalls() == []


def is_looked_at(thing: object) -> bool:
    return any(each is thing for each in gc.get_objects())


def test_what_is_there_at_the_start_is_not_looked_at_again(clock: Clock) -> None:
    assert gc.get_freeze_count() > 10_000
    assert not is_looked_at(Clock)


def test_what_outlives_a_second_is_not_looked_at_again(clock: Clock) -> None:
    thing = Thing()
    assert is_looked_at(thing)
    clock.advance(PERIOD)
    assert not is_looked_at(thing)


def test_a_circle_that_is_dropped_within_a_second_is_freed(clock: Clock) -> None:
    thing = Thing()
    thing.itself = thing
    watched = weakref.ref(thing)
    del thing
    clock.advance(PERIOD)
    assert watched() is None


def test_no_collection_of_all_comes_by_itself(clock: Clock) -> None:
    young, middle, old = gc.get_threshold()
    assert young == YOUNG
    assert young * middle < 100_000
    assert old > 1_000_000


def ours(garbage: list[object]) -> list[str]:
    return [type(each).__name__ for each in garbage if type(each).__module__.startswith("emqtwist")]


class Visitor:
    """A client of a broker whose sockets are in a set, by hand."""

    def __init__(self, room: Room, factory: MQTTFactory, version: int) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.room, self.version = room, version
        peer = IPv4Address("TCP", "127.0.0.1", 50000)
        protocol = cast(Protocol, factory.buildProtocol(peer))
        protocol.makeConnection(UnixStream(near, peer, protocol, room.sockets))

    def send(self, *packets: Packet) -> None:
        self.far.send(b"".join([encode(packet, self.version) for packet in packets]))
        self.room.reactor.turn()

    def hang_up(self) -> None:
        self.far.close()
        self.room.reactor.turn()


class UnixStream(Stream):
    """Over a socket that has no options of TCP."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


@pytest.mark.parametrize("version", [3, 4, 5])
def test_the_end_of_a_connection_and_its_session_leaves_no_circle(version: int) -> None:
    room = Room()
    broker = Broker(settings_of(Config()), str, Turn(), Observer())
    factory = MQTTFactory(Turns(broker, room.reactor, room.reactor.seconds), room.reactor, Door("tcp.default"), True, 65536)

    def come_and_go(client_id: str, *last: Disconnect) -> None:
        visitor = Visitor(room, factory, version)
        visitor.send(Connect(version, client_id, will=Will(b"will", b"x")),
                     Subscribe(1, [(b"a/+", 1), (b"a/b", 2), (b"will", 0)]), Publish(b"a/b", b"x", 1, packet_id=7),
                     Publish(b"a/b", b"x", 2, packet_id=8), Puback(1))
        broker.publish(broker.local_message("a/c", b"x", 1, True, b"", NEVER))
        assert client_id in broker.sessions.by_id
        visitor.send(*last)
        visitor.hang_up()

    come_and_go("first", Disconnect())  # fills the caches
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        come_and_go("polite", Disconnect())
        come_and_go("rude")
        gc.collect()
        left = ours(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert left == []
    assert broker.sessions.by_id == {}
    assert room.reactor.readers == []


def test_the_process_of_twistd_has_one() -> None:
    options = Options()
    options.parseOptions([])
    assert isinstance(BrokerProcess(options).broker.root.find("collector").service, Collector)
