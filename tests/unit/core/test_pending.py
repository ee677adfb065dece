"""Connections that wait for a decision: what they keep, in which order, and how waiting ends."""
from typing import cast

import pytest

from emqtwist.core.connection import Connection
from emqtwist.core.link import Link
from emqtwist.core.pending import Pending
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.errors import NotAuthorized
from emqtwist.mqtt.packets import Connect, Disconnect, Packet, Pingreq, Pingresp, Puback, Publish, Subscribe
from tests.methods import NAME, Method, auth, yes
from tests.peers import World


class Room:
    """A peer that gets what it publishes to `a`, and that a test lets wait."""

    def __init__(self, *lines: str, **options: int) -> None:
        self.world = World(*lines)
        self.peer = self.world.connect("a", **options)
        self.peer.subscribe("a")
        self.taken: list[int] = []

    def take(self, link: Link, decision: int) -> None:
        assert link is self.peer.connection
        self.taken.append(decision)

    def wait(self) -> Pending[int]:
        pending: Pending[int] = Pending()
        self.peer.connection.wait(pending, self.take)
        return pending

    def halt(self, _: object) -> None:
        """At a hook."""
        self.wait()

    def publish(self, *payloads: bytes) -> None:
        """All in one chunk."""
        self.peer.send(*[Publish(b"a", payload) for payload in payloads])


def test_a_decision_that_is_there_is_taken_at_once() -> None:
    room = Room()
    room.peer.connection.wait(Pending(7), room.take)
    assert room.taken == [7]
    room.publish(b"1")
    assert room.peer.payloads() == [b"1"]


def test_what_comes_meanwhile_is_served_afterwards_in_order() -> None:
    room = Room()
    pending = room.wait()
    for number in range(5):
        room.publish(b"%d" % number)
    assert room.peer.received() == []
    pending.resume(7)
    assert room.taken == []  # not under whoever decides
    room.world.settle()
    assert room.taken == [7]
    assert room.peer.payloads() == [b"0", b"1", b"2", b"3", b"4"]


def test_packets_may_come_in_pieces_meanwhile() -> None:
    room = Room()
    data = b"".join(encode(Publish(b"a", b"%d" % number), 5) for number in range(3))
    room.peer.write(data[:4])
    pending = room.wait()
    for position in range(4, len(data) - 3):
        room.peer.write(data[position:position + 1])
    pending.resume(0)
    room.world.settle()
    assert room.peer.payloads() == [b"0", b"1"]
    room.peer.write(data[-3:])
    room.world.settle()
    assert room.peer.payloads() == [b"2"]


def test_the_rest_of_the_chunk_waits_and_comes_first() -> None:
    room = Room()
    room.world.broker.methods[NAME] = method = Method(yes())
    peer = room.world.peer()
    peer.connect("b", authentication_method=NAME)
    peer.subscribe("b")
    again = auth(b"", c.RE_AUTHENTICATE)
    peer.send(Publish(b"b", b"0"), again, Publish(b"b", b"1"), again, Publish(b"b", b"2"), Pingreq())
    peer.send(Publish(b"b", b"3"))
    assert peer.payloads() == [b"0"]
    method.decide(yes())
    room.world.settle()
    assert [kind(packet) for packet in peer.received()] == ["AUTH", b"1"]
    peer.send(Publish(b"b", b"4"))
    method.decide(yes())
    room.world.settle()
    assert [kind(packet) for packet in peer.received()] == ["AUTH", b"2", "PINGRESP", b"3", b"4"]


def kind(packet: Packet) -> object:
    return packet.payload if isinstance(packet, Publish) else c.PACKET_NAMES[packet.type]


def test_waiting_may_follow_waiting() -> None:
    room = Room()
    second: Pending[int] = Pending()

    def wait_again(link: Link, decision: int) -> None:
        cast(Connection, link).wait(second, room.take)

    first: Pending[int] = Pending()
    room.peer.connection.wait(first, wait_again)
    room.publish(b"1", b"2")
    room.publish(b"3")
    first.resume(0)
    room.world.settle()
    assert room.peer.received() == []
    room.publish(b"4")
    second.resume(2)
    room.world.settle()
    assert room.taken == [2]
    assert room.peer.payloads() == [b"1", b"2", b"3", b"4"]


def test_the_first_decision_holds() -> None:
    room = Room()
    pending = room.wait()
    pending.resume(1)
    pending.resume(2)
    room.world.settle()
    pending.resume(3)
    room.world.settle()
    assert room.taken == [1]


def test_what_is_kept_is_bounded() -> None:
    room = Room("mqtt.max_packet_size = 1KB")
    room.wait()
    room.peer.write(bytes(1024))
    assert not room.peer.closed
    room.peer.write(b"\0")
    room.world.settle()
    assert room.peer.one(Disconnect).reason_code == c.QUOTA_EXCEEDED
    assert room.peer.connection.pending is None


def test_an_error_in_what_follows_ends_the_connection_and_drops_what_is_kept() -> None:
    room = Room()
    other = room.world.connect("b")
    other.subscribe("#")

    def refuse(link: Link, decision: int) -> None:
        raise NotAuthorized("no")

    pending: Pending[int] = Pending()
    room.peer.connection.wait(pending, refuse)
    room.publish(b"1")
    pending.resume(0)
    room.world.settle()
    assert room.peer.one(Disconnect).reason_code == c.NOT_AUTHORIZED
    assert other.received() == []


@pytest.mark.parametrize("between", [(), (Publish(b"b", b"1"),)], ids=["at once", "later"])
def test_a_broken_packet_behind_is_an_error_only_when_its_turn_comes(between: tuple[Publish, ...]) -> None:
    world = World()
    world.broker.methods[NAME] = method = Method(yes())
    peer = world.peer()
    peer.connect("b", authentication_method=NAME)
    peer.subscribe("b")
    packets = [auth(b"", c.RE_AUTHENTICATE), *between]
    peer.write(b"".join(encode(packet, 5) for packet in packets) + b"\x00\x00")
    world.settle()
    assert peer.received() == []
    method.decide(yes())
    world.settle()
    assert [kind(packet) for packet in peer.received()] == ["AUTH", *(publish.payload for publish in between), "DISCONNECT"]


def test_a_connection_that_ends_meanwhile_ignores_the_decision() -> None:
    room = Room()
    pending = room.wait()
    room.publish(b"1")
    room.peer.drop()
    assert pending.cancelled
    assert (pending.link, pending.packets, pending.chunks) == (None, [], [])
    pending.resume(1)
    room.world.settle()
    assert room.taken == []


def test_a_takeover_does_not_wait() -> None:
    room = Room()
    pending = room.wait()
    other = room.world.connect("a")
    assert room.peer.one(Disconnect).reason_code == c.SESSION_TAKEN_OVER
    pending.resume(1)
    room.world.settle()
    assert room.taken == []
    other.send(Pingreq())
    other.one(Pingresp)


def test_an_end_between_decision_and_flush_is_an_end() -> None:
    room = Room()
    pending = room.wait()
    pending.resume(1)
    room.world.broker.end_links(NotAuthorized("over"))
    room.world.settle()
    assert room.taken == []
    room.peer.one(Disconnect)


def test_keep_alive_rests_while_nothing_is_read() -> None:
    room = Room(keep_alive=10)
    pending = room.wait()
    room.world.advance(100)
    assert not room.peer.closed
    pending.resume(1)
    room.world.settle()
    room.world.advance(14)
    assert not room.peer.closed
    room.world.advance(2)
    assert room.peer.one(Disconnect).reason_code == c.KEEP_ALIVE_TIMEOUT


def test_bytes_after_the_end_are_not_kept() -> None:
    world = World()
    peer = world.peer()
    peer.send(Connect(5, "a"), Disconnect(), Subscribe(1, [(b"a", 0)]))
    peer.closed = False
    peer.write(bytes(10_000_000))
    world.settle()
    assert len(peer.received()) == 1


def test_what_was_acknowledged_before_lets_others_follow_meanwhile() -> None:
    room = Room("mqtt.session.max_inflight = 1")
    room.peer.subscribe("b", qos=1)
    talker = room.world.connect("b")
    for payload in (b"1", b"2"):
        talker.publish("b", payload, qos=1)
    room.world.broker.hooks.add("message.publish", room.halt)
    room.peer.send(Puback(room.peer.one(Publish).packet_id), Publish(b"a", b"3"), Pingreq())
    assert room.peer.connection.halted
    assert [packet.payload for packet in room.peer.all(Publish)] == [b"3", b"2"]


def test_a_decision_that_nobody_waits_for_yet_is_kept() -> None:
    room = Room()
    pending: Pending[int] = Pending()
    pending.resume(5)
    room.peer.connection.wait(pending, room.take)
    assert room.taken == [5]
