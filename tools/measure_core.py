"""What a message costs in the core, without sockets and without a store behind the journal.

    python tools/measure_core.py [PARTS]    # microseconds of the processor for each message, the best of so many parts

To compare two versions, run it with the Python of each one's environment, in turns.
"""
import gc
import itertools
import sys
import time

from emqtwist.app.settings import settings_of
from emqtwist.config import Config
from emqtwist.core.broker import Broker
from emqtwist.core.connection import Connection
from emqtwist.core.door import Door, Peer
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.core.receive import proceed, receive
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connect, Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel, Subscribe
from emqtwist.storage.sqlite.frames import frame

TOPIC = b"bench/1"
PAYLOAD = bytes(64)
CHUNK = 50  # packets in one read
READS = 10  # in a turn: with a journal, as many messages as one group has
RECEIVERS = 100


class Client:
    """The client's end; what the broker has sent it is thrown away."""

    def __init__(self, world, client_id, clean):
        self.world = world
        self.connection = Connection(world.broker, Door("tcp.default"), Peer("127.0.0.1:1", "127.0.0.1", True))
        self.connection.owner = self
        self.say(Connect(c.MQTT_3_1_1, client_id, clean))
        world.turn_over()

    def say(self, *packets):
        receive(self.connection, packed(*packets))

    def subscribe(self, qos):
        self.say(Subscribe(1, [(TOPIC, qos)]))
        self.world.turn_over()

    def proceed(self):
        proceed(self.connection)

    def under_way(self):
        return list(self.connection.session.inflight.held)


class World:
    def __init__(self, stored):
        self.turn = Turn(1.0)
        self.journal = Journal() if stored else None
        numbers = itertools.count()
        self.broker = Broker(settings_of(Config()), lambda: str(next(numbers)), self.turn, Observer(), self.journal)
        self.publisher = Client(self, "publisher", True)

    def turn_over(self):
        """Commit, as the adapter would, up to the bytes for the store process; then send."""
        if self.journal is not None:
            number, records = self.journal.group, self.journal.take()
            if records:
                frame((1, "commit", (number, records)))
                self.journal.committed(number)
        for link in self.turn.take_decided():
            link.owner.proceed()
        for link in self.turn.take():
            b"".join(link.out)
            link.out = []


def packed(*packets):
    return b"".join([encode(packet, c.MQTT_3_1_1) for packet in packets])


def publishes(qos):
    return packed(*[Publish(TOPIC, PAYLOAD, qos, packet_id=number if qos else 0) for number in range(1, CHUNK + 1)])


def timed(function):
    began = time.process_time()
    function()
    return time.process_time() - began


def stream(qos, stored=False):
    """To one receiver that is here, and acknowledges; with a store both sides last."""
    world = World(stored)
    receiver = Client(world, "receiver", not stored)
    receiver.subscribe(qos)
    return exchange(world, [receiver], qos, CHUNK)


def fan_out(qos):
    world = World(False)
    receivers = [Client(world, f"receiver {number}", True) for number in range(RECEIVERS)]
    for receiver in receivers:
        receiver.subscribe(qos)
    return exchange(world, receivers, qos, CHUNK)


def exchange(world, receivers, qos, count):
    """A part: messages in, out, and acknowledged; microseconds for each delivery."""
    chunk = publishes(qos)
    released = packed(*[Pubrel(number) for number in range(1, count + 1)])

    def part():
        def publish():
            receive(world.publisher.connection, chunk)
            world.turn_over()
        took = timed(publish)
        for kind in {0: (), 1: (Puback,), 2: (Pubrec, Pubcomp)}[qos]:
            answers = [(each.connection, packed(*[kind(number) for number in each.under_way()])) for each in receivers]

            def answer(answers=answers):
                for connection, data in answers:
                    receive(connection, data)
                world.turn_over()
            took += timed(answer)
        if qos == 2:
            took += timed(lambda: receive(world.publisher.connection, released))
            world.turn_over()
        return took / count / len(receivers) * 1e6
    return part


def offline():
    """For a session whose client is away, with a store; what has come is dropped after each part."""
    world, chunk = World(True), publishes(1)
    numbers = itertools.count()

    def part():
        client_id = f"away {next(numbers)}"
        away = Client(world, client_id, False)
        away.subscribe(1)
        away.say(Disconnect())
        world.turn_over()

        def publish():
            for _ in range(READS):
                receive(world.publisher.connection, chunk)
            world.turn_over()
        took = timed(publish)
        session = world.broker.sessions.by_id[client_id]
        assert session.queued() == READS * CHUNK
        world.broker.discard_session(session)
        world.turn_over()
        return took / READS / CHUNK * 1e6
    return part


SCENARIOS = {
    "stream, QoS 0": stream(0), "stream, QoS 1": stream(1), "stream, QoS 2": stream(2),
    "fan-out 1:100, QoS 0": fan_out(0), "fan-out 1:100, QoS 1": fan_out(1),
    "stream, QoS 1, persistent sessions, a store": stream(1, True), "offline, QoS 1, a store": offline(),
}


def main(parts):
    gc.freeze()
    for name, part in SCENARIOS.items():
        print(f"{min(part() for _ in range(parts)):8.2f} µs  {name}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 200)
