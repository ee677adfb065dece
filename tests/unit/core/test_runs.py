"""PUBREC, PUBREL and PUBCOMP in a row: each does what it would by itself, and counts."""
import pytest

from emqtwist.core import causes
from emqtwist.core.message import Message
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect, Packet, Pingreq, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.peers import Peer, World, every_version
from tests.scenes import LASTING
from tests.stores import StoredWorld

COUNTED = ("packets_received", "pubrec_received", "pubrel_received", "pubcomp_received", "pubrec_missed", "pubrel_missed",
           "pubcomp_missed", "pubrec_sent", "pubrel_sent", "pubcomp_sent", "packets_sent")


class Count:
    """How far the counters have risen since it was made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before = world.broker.metrics.counters()

    def rise(self) -> dict[str, int]:
        now = self._world.broker.metrics.counters()
        return {name: now[name] - self._before[name] for name in COUNTED if now[name] != self._before[name]}


def owed(world: World, *qos: int, version: int = 5) -> tuple[Peer, list[int]]:
    """A client with messages of these QoS in flight; their Packet Identifiers."""
    bob = world.connect("bob", version=version)
    bob.subscribe("t", qos=2)
    alice = world.connect("alice")
    for number in qos:
        alice.publish("t", b"x", number)
    return bob, [publish.packet_id for publish in bob.all(Publish)]


def say(peer: Peer, together: bool, *packets: Packet) -> None:
    """All in one chunk, or each in its own."""
    for some in [packets] if together else [[packet] for packet in packets]:
        peer.send(*some)


def told(peer: Peer) -> list[tuple[type[Packet], int]]:
    return [(type(packet), packet.packet_id) for packet in peer.received() if isinstance(packet, (Pubrec, Pubrel, Pubcomp))]


@every_version
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.mqtt5("2.2.1-5", "4.3.3-4", "4.3.3-6", "4.6.0-4")
def test_pubrecs_are_answered_in_their_order(version: int, together: bool) -> None:
    world = World()
    bob, packet_ids = owed(world, 2, 2, 2, version=version)
    count = Count(world)
    order = [packet_ids[1], packet_ids[0], packet_ids[2]]
    say(bob, together, *[Pubrec(packet_id) for packet_id in order])
    assert told(bob) == [(Pubrel, packet_id) for packet_id in order]
    assert world.session("bob").inflight.held == dict.fromkeys(order)
    assert list(world.session("bob").inflight.held) == order
    assert count.rise() == {"packets_received": 3, "pubrec_received": 3, "pubrel_sent": 3, "packets_sent": 3}


@every_version
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.mqtt5("4.3.3-5")
def test_pubcomps_end_their_flows_and_make_room(version: int, together: bool) -> None:
    world = World("mqtt.session.max_inflight = 3")
    bob, packet_ids = owed(world, 2, 2, 2, version=version)
    world.connect("carol").publish("t", b"later", 2)
    bob.send(*[Pubrec(packet_id) for packet_id in packet_ids])
    assert len(told(bob)) == 3
    count = Count(world)
    say(bob, together, *[Pubcomp(packet_id) for packet_id in packet_ids])
    assert bob.one(Publish).payload == b"later"
    assert len(world.session("bob").inflight.held) == 1
    assert count.rise() == {"packets_received": 3, "pubcomp_received": 3, "packets_sent": 1}


@every_version
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.mqtt5("2.2.1-5", "4.3.3-11", "4.3.3-12", "4.3.3-13")
def test_pubrels_are_answered_and_their_identifiers_are_free(version: int, together: bool) -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("t", qos=2)
    alice = world.connect("alice", version=version)
    for _ in range(2):
        alice.send(*[Publish(b"t", b"x", 2, packet_id=packet_id) for packet_id in (1, 2, 3)])
        assert told(alice) == [(Pubrec, 1), (Pubrec, 2), (Pubrec, 3)]
        count = Count(world)
        say(alice, together, *[Pubrel(packet_id) for packet_id in (3, 1, 2)])
        assert told(alice) == [(Pubcomp, 3), (Pubcomp, 1), (Pubcomp, 2)]
        assert count.rise() == {"packets_received": 3, "pubrel_received": 3, "pubcomp_sent": 3, "packets_sent": 3}
        assert not world.session("alice").received
    assert len(bob.all(Publish)) == 6


def test_an_unknown_identifier_costs_nothing_but_itself() -> None:
    world = World()
    bob, packet_ids = owed(world, 2, 2)
    count = Count(world)
    bob.send(Pubrec(packet_ids[0]), Pubrec(999), Pubrec(packet_ids[1]))
    answers = bob.all(Pubrel)
    assert [(answer.packet_id, answer.reason_code) for answer in answers] == [
        (packet_ids[0], 0), (999, c.PACKET_IDENTIFIER_NOT_FOUND), (packet_ids[1], 0)]
    bob.send(Pubcomp(packet_ids[0]), Pubcomp(999), Pubcomp(packet_ids[1]))
    assert not world.session("bob").inflight.held
    bob.send(Pubrel(998), Pubrel(999))
    assert [answer.reason_code for answer in bob.all(Pubcomp)] == [c.PACKET_IDENTIFIER_NOT_FOUND] * 2
    assert count.rise() == {
        "packets_received": 8, "pubrec_received": 3, "pubcomp_received": 3, "pubrel_received": 2, "pubrec_missed": 1,
        "pubcomp_missed": 1, "pubrel_missed": 2, "pubrel_sent": 3, "pubcomp_sent": 2, "packets_sent": 5}


@pytest.mark.mqtt5("4.13.1-1")
def test_the_first_pubrec_for_a_qos_1_message_ends_the_connection() -> None:
    world = World()
    bob, packet_ids = owed(world, 2, 1, 2)
    count = Count(world)
    bob.send(*[Pubrec(packet_id) for packet_id in packet_ids], Pingreq())
    first, last = bob.received()
    assert isinstance(first, Pubrel)
    assert isinstance(last, Disconnect)
    assert last.reason_code == c.PROTOCOL_ERROR
    assert bob.closed
    rise = count.rise()
    assert (rise["packets_received"], rise["pubrec_received"]) == (2, 2)


def test_a_pubcomp_before_its_pubrec_ends_nothing() -> None:
    world = World()
    bob, packet_ids = owed(world, 2, 2)
    bob.send(*[Pubcomp(packet_id) for packet_id in packet_ids])
    assert list(world.session("bob").inflight.held) == packet_ids
    bob.send(Pubrec(packet_ids[0]), Puback(999))
    assert told(bob) == [(Pubrel, packet_ids[0])]


def test_a_function_that_ends_the_connection_in_a_run_is_the_last_to_be_called() -> None:
    world = World()
    bob, packet_ids = owed(world, 2, 2, 2)
    calls: list[str] = []

    def acked(client_id: str, user_name: str | None, message: Message) -> None:
        calls.append(client_id)
        bob.connection.end(causes.NORMAL, "enough")

    world.broker.hooks.add("message.acked", acked)
    count = Count(world)
    bob.send(*[Pubrec(packet_id) for packet_id in packet_ids])
    assert calls == ["bob"]
    assert bob.closed
    assert count.rise()["pubrec_received"] == 1


def test_what_is_sent_again_after_a_return_is_acknowledged_one_by_one() -> None:
    world = World()
    bob = world.connect("bob", clean_start=False, session_expiry_interval=1000)
    bob.subscribe("t", qos=2)
    alice = world.connect("alice")
    for _ in range(3):
        alice.publish("t", b"x", 2)
    packet_ids = [publish.packet_id for publish in bob.all(Publish)]
    bob.drop()
    again = world.connect("bob", clean_start=False, session_expiry_interval=1000, receive_maximum=1)
    assert again.one(Publish).packet_id == packet_ids[0]
    again.send(Pubrec(packet_ids[0]), Pubrec(packet_ids[1]))
    assert told(again) == [(Pubrel, packet_ids[0]), (Pubrel, packet_ids[1])]
    again.send(Pubcomp(packet_ids[0]), Pubcomp(packet_ids[1]))
    assert again.one(Publish).packet_id == packet_ids[2]


def test_where_a_store_keeps_the_session_the_answers_wait_for_it() -> None:
    world = StoredWorld()
    bob = world.connect("bob", **LASTING[5])
    bob.subscribe("t", qos=2)
    alice = world.connect("alice", **LASTING[5])
    alice.send(*[Publish(b"t", b"x", 2, packet_id=packet_id) for packet_id in (1, 2)])
    packet_ids = [publish.packet_id for publish in bob.all(Publish)]
    assert told(alice) == [(Pubrec, 1), (Pubrec, 2)]
    world.stored = False
    bob.send(*[Pubrec(packet_id) for packet_id in packet_ids])
    alice.send(Pubrel(1), Pubrel(2))
    assert bob.received() == alice.received() == []
    world.commit()
    assert told(bob) == [(Pubrel, packet_id) for packet_id in packet_ids]
    assert told(alice) == [(Pubcomp, 1), (Pubcomp, 2)]


def test_nothing_overtakes_what_is_held_back_for_the_store() -> None:
    world = StoredWorld()
    bob = world.connect("bob", **LASTING[5])
    bob.subscribe("t", qos=1)
    alice = world.connect("alice")
    world.stored = False
    alice.send(*[Publish(b"elsewhere", b"x", 2, packet_id=packet_id) for packet_id in (1, 2)])
    assert told(alice) == [(Pubrec, 1), (Pubrec, 2)]
    alice.send(Publish(b"t", b"x", 1, packet_id=3), Pubrel(1), Pubrel(2))
    assert alice.received() == []
    world.commit()
    assert [type(packet) for packet in alice.received()] == [Puback, Pubcomp, Pubcomp]
