"""What outlives the process: who waits for its commit, and what is refused while there is none."""
from typing import Any

import pytest

from emqtwist.core import records as r
from emqtwist.core.message import NEVER, Message
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from tests.peers import Peer, every_version, properties
from tests.scenes import LASTING, arrive, bob_subscribed
from tests.stores import WALL, StoredWorld

LONG: dict[str, Any] = LASTING[5]


def waiting_world() -> StoredWorld:
    """Everything so far is stored; from here on the test commits."""
    world = StoredWorld()
    world.stored = False
    return world


def held(world: StoredWorld, peer: Peer) -> list[type[Packet]]:
    """What the peer gets only with the next commit."""
    assert peer.received() == []
    world.commit()
    return [type(packet) for packet in peer.received()]


# Who waits.


@every_version
def test_connack_of_a_persistent_session_waits_for_the_commit(version: int) -> None:
    world = waiting_world()
    peer = world.peer()
    peer.send(Connect(version, "bob", version == 5, properties=properties(session_expiry_interval=9) if version == 5 else None),
              Pingreq())
    assert held(world, peer) == [Connack, Pingresp]  # nothing passes a CONNACK


def test_what_touches_nothing_persistent_waits_for_nothing() -> None:
    world = waiting_world()
    bob = world.connect("bob")
    assert bob.subscribe("a", qos=2) == [2]
    alice = world.connect("alice")
    alice.publish("a", b"x", qos=1)
    alice.publish("a", b"y", qos=2)
    assert [type(packet) for packet in alice.received()] == [Puback, Pubrec]
    assert world.journal.take() == []


def test_suback_and_unsuback_wait() -> None:
    world = StoredWorld()
    bob = arrive(world)
    world.stored = False
    bob.send(Subscribe(1, [(b"a", 1)]))
    assert held(world, bob) == [Suback]
    bob.send(Unsubscribe(2, [b"a"]))
    assert held(world, bob) == [Unsuback]


def test_retained_messages_follow_a_suback_that_waits() -> None:
    world = StoredWorld()
    world.connect("alice").publish("a", b"kept", retain=True)
    bob = arrive(world)
    world.stored = False
    bob.send(Subscribe(1, [(b"a", 1)]), Pingreq())
    assert held(world, bob) == [Suback, Pingresp, Publish]


def test_who_deletes_a_retained_message_again_waits_until_it_is_gone_from_the_store() -> None:
    world = StoredWorld()
    alice, bob = world.connect("alice"), world.connect("bob")
    alice.publish("a", b"kept", retain=True)
    world.stored = False
    alice.publish("a", b"", retain=True)
    bob.publish("a", b"", qos=1, retain=True)
    assert held(world, bob) == [Puback]
    world.crash()
    assert world.store.retained == {}


def test_who_deletes_what_is_not_there_does_not_wait_for_a_store_that_has_all() -> None:
    world = StoredWorld()
    alice = world.connect("alice")
    world.stored = False
    alice.publish("a", b"", qos=1, retain=True)
    assert [type(packet) for packet in alice.received()] == [Puback]
    assert world.journal.take() == []


@pytest.mark.parametrize(("qos", "answer"), [(1, Puback), (2, Pubrec)])
def test_the_acknowledgement_of_a_message_for_a_persistent_session_waits(qos: int, answer: type[Packet]) -> None:
    world = StoredWorld()
    bob = bob_subscribed(world)
    bob.drop()
    alice = world.connect("alice")
    world.stored = False
    alice.publish("a", b"x", qos=qos)
    assert held(world, alice) == [answer]


def test_a_held_acknowledgement_holds_the_later_ones_but_not_pings() -> None:
    world = StoredWorld()
    bob_subscribed(world).drop()
    alice = world.connect("alice")
    world.stored = False
    alice.send(Publish(b"a", b"x", 1, packet_id=1), Publish(b"nobody", b"y", 1, packet_id=2), Pingreq())
    assert isinstance(alice.one(Pingresp), Pingresp)
    world.commit()
    assert [packet.packet_id for packet in alice.all(Puback)] == [1, 2]


def test_pubcomp_waits_and_pubrec_of_a_duplicate_too() -> None:
    world = StoredWorld()
    alice = arrive(world, client_id="alice")
    world.stored = False
    alice.publish("a", b"x", qos=2, packet_id=1)
    alice.drop()
    alice = world.peer()
    alice.send(Connect(5, "alice", False, properties=properties(session_expiry_interval=1000)))
    alice.send(Publish(b"a", b"x", 2, dup=True, packet_id=1))
    assert held(world, alice) == [Connack, Pubrec]
    alice.send(Pubrel(1))
    assert held(world, alice) == [Pubcomp]
    alice.send(Pubrel(1))  # the store has that it was completed: nothing to wait for
    assert alice.answer(Pubcomp) == (1, c.PACKET_IDENTIFIER_NOT_FOUND)


def test_a_qos_2_message_leaves_after_the_commit_and_so_does_pubrel() -> None:
    world = StoredWorld()
    bob = bob_subscribed(world)
    alice = world.connect("alice")
    world.stored = False
    alice.publish("a", b"x", qos=2)
    assert held(world, bob) == [Publish]
    bob.send(Pubrec(1))
    assert held(world, bob) == [Pubrel]


def test_a_qos_1_message_leaves_at_once() -> None:
    world = StoredWorld()
    bob = bob_subscribed(world, qos=1)
    alice = world.connect("alice")
    world.stored = False
    alice.publish("a", b"x", qos=1)
    assert bob.one(Publish).payload == b"x"
    assert held(world, alice) == [Puback]


def test_a_row_that_is_done_within_its_group_is_not_stored() -> None:
    world = StoredWorld()
    bob = bob_subscribed(world, qos=1)
    alice = world.connect("alice")
    world.stored = False
    alice.publish("a", b"x", qos=1)
    bob.acknowledge(bob.one(Publish))
    assert held(world, alice) == [Puback]
    assert world.store.highest_message == 0


def test_one_group_at_a_time_and_what_comes_meanwhile_is_the_next() -> None:
    world = StoredWorld()
    bob_subscribed(world).drop()
    alice = world.connect("alice")
    world.stored = False
    alice.publish("a", b"1", qos=1)
    assert world.take()
    alice.publish("a", b"2", qos=1)
    assert world.take()  # still the first
    world.answer()
    world.flush()
    assert alice.answer(Puback) == (1, 0)
    world.commit()
    assert alice.answer(Puback) == (2, 0)


# While the store fails.


def test_what_cannot_be_kept_is_refused_and_the_rest_goes_on() -> None:
    world = StoredWorld()
    bob = bob_subscribed(world)
    alice, old = world.connect("alice"), world.connect("old", version=4)
    world.journal.failing = "the disk is full"
    alice.publish("a", b"x", qos=1)
    assert alice.answer(Puback) == (1, c.QUOTA_EXCEEDED)
    alice.publish("b", b"x", qos=1, retain=True)
    assert alice.answer(Puback) == (2, c.QUOTA_EXCEEDED)
    old.publish("a", b"x", qos=1)
    assert old.closed
    alice.publish("a", b"passes")
    assert bob.one(Publish).payload == b"passes"
    bob.send(Subscribe(9, [(b"z", 0)]))
    assert bob.one(Suback).reason_codes == [c.QUOTA_EXCEEDED]
    peer = world.peer()
    assert peer.connect("new", **LONG).reason_code == c.SERVER_UNAVAILABLE
    bob.drop()
    bob = arrive(world)  # its session is kept already
    assert bob.connack is not None
    assert bob.connack.session_present
    assert world.connect("transient").subscribe("t", qos=1) == [1]
    bob.drop()
    alice.publish("a", b"not for later")
    assert world.drops["qos0_not_stored"] == 1
    world.journal.failing = ""
    alice.publish("a", b"y", qos=1)
    assert alice.answer(Puback) == (3, 0)


def test_a_connection_that_waits_for_the_store_can_be_taken_over() -> None:
    world = waiting_world()
    first, second = world.peer(), world.peer()
    first.send(Connect(5, "bob", False, properties=properties(session_expiry_interval=9)))
    second.send(Connect(5, "bob", False, properties=properties(session_expiry_interval=9)))
    assert first.one(Connack).reason_code == c.SERVER_BUSY
    assert first.closed
    assert held(world, second) == [Connack]
    assert not second.closed


def test_a_connection_that_ends_while_it_waits_leaves_its_session() -> None:
    world = waiting_world()
    peer = world.peer()
    peer.send(Connect(5, "bob", False, properties=properties(session_expiry_interval=9)))
    peer.drop()
    world.commit()
    assert peer.received() == []
    world.advance(10)
    world.commit()
    assert not world.store.sessions


def test_a_graceful_end_leaves_sessions_to_expire() -> None:
    world = StoredWorld()
    bob = arrive(world)
    world.broker.shut_down()
    world.settle()
    assert bob.one(Disconnect).reason_code == c.SERVER_SHUTTING_DOWN
    assert [session[3] for session in world.store.sessions.values()] == [pytest.approx(1_700_000_000 + 1000)]


# What a cluster has kept.


def test_of_marks_that_moved_on_only_the_last_is_stored() -> None:
    world = waiting_world()
    world.journal.taken("n1", "x", 1)
    world.journal.taken("n1", "y", 5)
    world.journal.taken("n1", "x", 2)
    assert world.journal.take() == [(r.TAKEN, "n1", "y", 5), (r.TAKEN, "n1", "x", 2)]
    world.journal.taken("n1", "x", 3)
    assert world.journal.take() == [(r.TAKEN, "n1", "x", 3)]


def test_what_tells_retained_messages_apart_is_stored_with_them() -> None:
    world = waiting_world()
    world.journal.retain(Message(b"a", b"x", 1, True, b""), 1010.0, 7, "n1")
    world.journal.retain_no_more(b"b", 8, "n2", 1020.0)
    world.journal.retain_no_more(b"c")
    world.commit()
    assert world.store.retained == {b"a": (b"x", 1, b"", None, "", WALL + 10, 7, "n1")}
    assert world.store.tombstones == {b"b": (8, "n2", WALL + 20)}
    world.journal.retain(Message(b"b", b"x", 1, True, b""), NEVER, 9, "n1")
    world.journal.retain_no_more(b"a", 9, "n2", 1030.0)
    world.commit()
    assert (list(world.store.retained), list(world.store.tombstones)) == ([b"b"], [b"a"])
