"""A Broker without sockets, on a time that the test moves, and peers that speak packets to it.

    world = World("mqtt.session.max_inflight = 2")
    alice = world.connect("alice", version=5)
    alice.subscribe("a/#", qos=1)
    world.connect("bob").publish("a/b", b"x", qos=1)
    assert alice.one(Publish).payload == b"x"

What a peer sends is answered when the call returns. `received` and its narrower forms give what came since the last of
these calls. An exception that the broker does not turn into an answer comes out of the call that provoked it.
"""
from typing import Any, TypeVar, cast

import pytest

from emqtwist.app.settings import settings_of
from emqtwist.config import parse
from emqtwist.core import door
from emqtwist.core.broker import Broker
from emqtwist.core.connection import Connection
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.core.pool import Worker
from emqtwist.core.receive import proceed, receive
from emqtwist.core.session import Session
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import (
    Acknowledgement,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from emqtwist.mqtt.properties import Properties

P = TypeVar("P", bound=Packet)

VERSIONS = (c.MQTT_3_1, c.MQTT_3_1_1, c.MQTT_5_0)
every_version = pytest.mark.parametrize("version", VERSIONS)
before_5 = pytest.mark.parametrize("version", VERSIONS[:2])


def properties(**values: object) -> Properties:
    """Properties with these values; an unknown name is an AttributeError."""
    made = Properties()
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Witness(Observer):
    """Remembers what the broker told, as tuples that begin with the name of the method."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def connected(self, client_id: str, user_name: str | None, peer: str, version: int, clean_start: bool,
                  session_present: bool) -> None:
        self.events.append(("connected", client_id, version, session_present))

    def disconnected(self, client_id: str, peer: str, cause: str, reason: str) -> None:
        self.events.append(("disconnected", client_id, cause, reason))

    def refused(self, client_id: str, peer: str, listener: str, cause: str, reason: str) -> None:
        self.events.append(("refused", client_id, listener, cause, reason))
        super().refused(client_id, peer, listener, cause, reason)

    def queue_filling(self, client_id: str, length: int) -> None:
        self.events.append(("queue_filling", client_id, length))

    def queue_relieved(self, client_id: str, length: int) -> None:
        self.events.append(("queue_relieved", client_id, length))

    def job_failed(self, worker: str, error: Exception) -> None:
        self.events.append(("job_failed", worker, error))

    def subscription_ended(self, client_id: str, topic_filter: bytes) -> None:
        self.events.append(("subscription_ended", client_id, topic_filter))

    def unannounced(self, client_id: str, count: int, nodes: str) -> None:
        self.events.append(("unannounced", client_id, count, nodes))

    def session_forbidden(self, client_id: str, topic_filter: bytes) -> None:
        self.events.append(("session_forbidden", client_id, topic_filter))

    def banned(self, kind: str, value: str, by: str, reason: str) -> None:
        self.events.append(("banned", kind, value, by, reason))

    def callback_failed(self, topic_filter: bytes, error: Exception) -> None:
        self.events.append(("callback_failed", topic_filter, error))

    def hook_failed(self, hook: str, function: str, error: Exception) -> None:
        self.events.append(("hook_failed", hook, function, error))

    def delivery_failed(self, client_id: str, error: Exception) -> None:
        self.events.append(("delivery_failed", client_id, error))

    def told(self, name: str) -> list[tuple[object, ...]]:
        """The arguments of each call of the method `name`."""
        return [event[1:] for event in self.events if event[0] == name]


def strict(broker: Broker) -> None:
    """Let an exception in a job come out of the call that provoked it, as any other does."""
    for pool in broker.pools.all():
        for worker in pool.workers:
            worker.on_failure = throw


def throw(worker: Worker, error: Exception) -> None:
    worker.start()
    raise error


class World:
    """A Broker and its time; each line of configuration is `section.key = value`."""

    def __init__(self, *lines: str) -> None:
        self.turn = Turn(1000.0)
        self.witness = Witness()
        self._tokens = 0
        self.broker = Broker(settings_of(parse("\n".join(lines))), self._token, self.turn, self.witness)
        self.door = door.Door("tcp.default")  # that all come through
        self.certificate: door.Certificate | None = None  # that all show who come
        strict(self.broker)

    @property
    def drops(self) -> dict[str, int]:
        """The causes that something was dropped for, with their counts."""
        return {cause: count for cause, count in self.broker.metrics.drops.items() if count}

    @property
    def ends(self) -> dict[str, int]:
        """The causes that connections ended for, with their counts."""
        return self.broker.metrics.ends

    def configure(self, *lines: str) -> None:
        """A reload with these lines."""
        self.broker.configure(settings_of(parse("\n".join(lines))))

    def bear(self) -> list[tuple[str, Exception]]:
        """Let a worker whose job fails stay down; which ones did, and why."""
        deaths: list[tuple[str, Exception]] = []
        for pool in self.broker.pools.all():
            for worker in pool.workers:
                worker.on_failure = lambda worker, error: deaths.append((worker.name, error))
        return deaths

    def peer(self, loopback: bool = True) -> "Peer":
        """A network connection on which nothing was sent yet."""
        return Peer(self, loopback)

    def connect(self, client_id: str = "", **options: Any) -> "Peer":
        """A peer that was accepted; the options are those of `Peer.connect`, the CONNACK is its `connack`."""
        peer = self.peer()
        connack = peer.connect(client_id, **options)
        assert connack.reason_code == c.SUCCESS
        return peer

    def session(self, client_id: str) -> Session:
        return self.broker.sessions.by_id[client_id]

    def advance(self, seconds: float) -> None:
        """Let time pass, and all that falls due happen, at its end."""
        self.turn.now += seconds
        self.broker.tick()
        self.settle()

    def flush(self) -> bool:
        """One turn, as the adapter does it; whether there was anything to do."""
        busy = bool(self.turn.links or self.turn.decided or self.broker.circle.hungry)
        for link in self.turn.take_decided():
            if link.owner is not None:  # as the turns of a reactor
                cast(Peer, link.owner).proceed()
        self.broker.feed()
        for link in self.turn.take():
            if link.owner is not None:
                cast(Peer, link.owner).flush()
        return busy

    def settle(self) -> None:
        """Turns until there is nothing to do."""
        while self.flush():
            pass

    def _token(self) -> str:
        self._tokens += 1
        return f"{self._tokens:08x}"


class Peer:
    """The client's side of one network connection; `closed` once the broker closed it."""

    def __init__(self, world: World, loopback: bool = True) -> None:
        self.world = world
        end = door.Peer("10.0.0.1:50000", "10.0.0.1", loopback)
        end.certificate = world.certificate
        self.connection = Connection(world.broker, world.door, end)
        self.connection.owner = self
        self.closed = False
        self.raw = b""  # all bytes that came
        self.version = 0
        self.connack: Connack | None = None
        self._decoder = Decoder(c.MAX_PACKET)
        self._inbox: list[Packet] = []
        self._last_id = 0

    # What goes out.

    def connect(self, client_id: str = "", *, version: int = 5, clean_start: bool = True, keep_alive: int = 0,
                will: Will | None = None, user_name: str | None = None, password: bytes | None = None,
                bridge: bool = False, **values: Any) -> Connack:
        """Send CONNECT, `values` being its properties; the CONNACK. What follows the CONNACK stays to be received."""
        packet = Connect(version, client_id, clean_start, keep_alive, user_name, password, will, bridge,
                         properties(**values) if values else None)
        self.send(packet)
        self.connack = cast(Connack, self._inbox.pop(0))
        assert isinstance(self.connack, Connack)
        return self.connack

    @property
    def told(self) -> Properties:
        """What the CONNACK said beside its reason code."""
        assert self.connack is not None
        return self.connack.properties or Properties()

    def send(self, *packets: Packet) -> None:
        """Send the packets in one chunk, and let the broker do all that follows."""
        for packet in packets:
            if isinstance(packet, Connect) and not self.version:
                self.version = packet.version
        self.write(b"".join([encode(packet, self.version) for packet in packets]))
        self.world.settle()

    def write(self, data: bytes) -> None:
        """Send bytes, and leave what follows to `World.settle`."""
        if not self.closed:
            receive(self.connection, data)

    def publish(self, topic: str, payload: bytes = b"", qos: int = 0, retain: bool = False, *, dup: bool = False,
                packet_id: int = 0, **values: Any) -> int:
        """Send PUBLISH; its Packet Identifier, a fresh one unless given, 0 at QoS 0."""
        if qos and not packet_id:
            packet_id = self.next_id()
        made = properties(**values) if values else None
        self.send(Publish(topic.encode(), payload, qos, retain, dup, packet_id, made))
        return packet_id

    def subscribe(self, *filters: str, qos: int = 0, options: int = 0, identifier: int = 0) -> list[int]:
        """Send SUBSCRIBE with the same options for all filters; the reason codes of the SUBACK, which is taken out.

        What follows the SUBACK stays to be received.
        """
        made = properties(subscription_identifiers=[identifier]) if identifier else None
        packet_id = self.next_id()
        self.send(Subscribe(packet_id, [(each.encode(), options | qos) for each in filters], made))
        suback = self._take_answer(Suback)
        assert suback.packet_id == packet_id
        return suback.reason_codes

    def unsubscribe(self, *filters: str) -> list[int]:
        """Send UNSUBSCRIBE; the reason codes of the UNSUBACK, which is taken out."""
        packet_id = self.next_id()
        self.send(Unsubscribe(packet_id, [each.encode() for each in filters]))
        unsuback = self._take_answer(Unsuback)
        assert unsuback.packet_id == packet_id
        return unsuback.reason_codes

    def acknowledge(self, *publishes: Publish) -> None:
        """Take the messages: PUBACK, or the whole of QoS 2."""
        for publish in publishes:
            if publish.qos == 1:
                self.send(Puback(publish.packet_id))
            elif publish.qos == 2:
                self.send(Pubrec(publish.packet_id))
                assert self._take_answer(Pubrel).packet_id == publish.packet_id
                self.send(Pubcomp(publish.packet_id))

    def disconnect(self, reason_code: int = 0, **values: Any) -> None:
        """Send DISCONNECT, `values` being its properties."""
        self.send(Disconnect(reason_code, properties(**values) if values else None))

    def drop(self) -> None:
        """The network connection breaks, without DISCONNECT."""
        self.connection.lost("the test dropped it")
        self.closed = True
        self.world.settle()

    def stall(self) -> None:
        """Stop reading: too much waits in the transport."""
        self.connection.choked()

    def relieve(self) -> None:
        """Read again: the transport is empty."""
        self.connection.relieved()
        self.world.settle()

    def next_id(self) -> int:
        self._last_id = self._last_id % c.MAX_PACKET_ID + 1
        return self._last_id

    # What comes in.

    def received(self) -> list[Packet]:
        """The packets since the last call."""
        inbox, self._inbox = self._inbox, []
        return inbox

    def all(self, kind: type[P]) -> list[P]:
        """The packets since the last call, which are all of this kind."""
        packets = self.received()
        assert all(isinstance(packet, kind) for packet in packets), packets
        return cast(list[P], packets)

    def one(self, kind: type[P]) -> P:
        """The only packet since the last call."""
        packets = self.all(kind)
        assert len(packets) == 1, packets
        return packets[0]

    def payloads(self) -> list[bytes]:
        """The payloads of the PUBLISH packets since the last call; there was nothing else."""
        return [publish.payload for publish in self.all(Publish)]

    def answer(self, kind: type[P]) -> tuple[int, int]:
        """Packet Identifier and reason code of the only packet since the last call, an acknowledgement."""
        packet = self.one(kind)
        assert isinstance(packet, Acknowledgement)
        return packet.packet_id, packet.reason_code

    def proceed(self) -> None:
        """Called by `World.flush` when what the connection waited for is decided."""
        proceed(self.connection)

    def flush(self) -> None:
        """Called by `World.flush`, as the adapter is by the turn."""
        data = self.connection.take()
        self.raw += data
        self._decoder.version = self._decoder.version or self.version or self.connection.version
        self._inbox += self._decoder.feed(data)
        if self._decoder.error is not None:
            raise self._decoder.error
        if self.connection.closing:
            self.closed = True

    def _take_answer(self, kind: type[P]) -> P:
        found = [packet for packet in self._inbox if isinstance(packet, kind)]
        assert len(found) == 1, self._inbox
        self._inbox.remove(found[0])
        return found[0]
