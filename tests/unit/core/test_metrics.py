"""Each counter moves when, and only when, what it counts happens."""
from collections import Counter
from collections.abc import Callable

import pytest

from emqtwist.core.metrics import ALIASES, RECEIVED, SENT
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connect, Packet, Pingreq, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.methods import NAME, Method, no, opening, yes
from tests.peers import Peer, World, every_version, properties
from tests.scenes import LASTING
from tests.stores import StoredWorld

Scene = Callable[[World, Peer], object]
REFERENCE_NAMES = 38


def receive_qos(qos: int) -> Scene:
    """Alice gets a message of this QoS and acknowledges it."""
    def scene(world: World, alice: Peer) -> None:
        alice.subscribe("t", qos=qos)
        alice.publish("t", b"x", qos)
        alice.acknowledge(*[packet for packet in alice.received() if isinstance(packet, Publish)])
    return scene


def send_qos2(world: World, alice: Peer) -> None:
    packet_id = alice.publish("t", b"x", 2)
    alice.send(Pubrel(packet_id))


def too_many_qos2(world: World, alice: Peer) -> None:
    alice.publish("t", b"1", 2)
    alice.publish("t", b"2", 2)


MOVES: dict[str, Scene] = {
    "bytes/received": lambda world, alice: alice.send(Pingreq()),
    "bytes/sent": lambda world, alice: alice.send(Pingreq()),
    "packets/received": lambda world, alice: alice.send(Pingreq()),
    "packets/sent": lambda world, alice: alice.send(Pingreq()),
    "packets/connect": lambda world, alice: world.connect("bob"),
    "packets/connack": lambda world, alice: world.connect("bob"),
    "packets/publish/received": lambda world, alice: alice.publish("t"),
    "packets/publish/sent": receive_qos(0),
    "packets/puback/received": receive_qos(1),
    "packets/puback/sent": lambda world, alice: alice.publish("t", b"x", 1),
    "packets/puback/missed": lambda world, alice: alice.send(Puback(7)),
    "packets/pubrec/received": receive_qos(2),
    "packets/pubrec/sent": send_qos2,
    "packets/pubrec/missed": lambda world, alice: alice.send(Pubrec(7)),
    "packets/pubrel/received": send_qos2,
    "packets/pubrel/sent": receive_qos(2),
    "packets/pubrel/missed": lambda world, alice: alice.send(Pubrel(7)),
    "packets/pubcomp/received": receive_qos(2),
    "packets/pubcomp/sent": send_qos2,
    "packets/pubcomp/missed": lambda world, alice: alice.send(Pubcomp(7)),
    "packets/subscribe": lambda world, alice: alice.subscribe("t"),
    "packets/suback": lambda world, alice: alice.subscribe("t"),
    "packets/unsubscribe": lambda world, alice: alice.unsubscribe("t"),
    "packets/unsuback": lambda world, alice: alice.unsubscribe("t"),
    "packets/pingreq": lambda world, alice: alice.send(Pingreq()),
    "packets/pingresp": lambda world, alice: alice.send(Pingreq()),
    "packets/disconnect": lambda world, alice: alice.disconnect(),
    "messages/received": lambda world, alice: alice.publish("t", b"x", 1),
    "messages/sent": receive_qos(1),
    "messages/qos0/received": lambda world, alice: alice.publish("t"),
    "messages/qos0/sent": receive_qos(0),
    "messages/qos1/received": lambda world, alice: alice.publish("t", b"x", 1),
    "messages/qos1/sent": receive_qos(1),
    "messages/qos2/received": send_qos2,
    "messages/qos2/sent": receive_qos(2),
    "messages/qos2/dropped": too_many_qos2,
    "messages/retained": lambda world, alice: alice.publish("t", b"x", retain=True),
    "messages/dropped": lambda world, alice: alice.publish("nobody"),
}
MOVE_MORE = {"bytes/received": 2, "bytes/sent": 2}  # than one


def by_alias(world: World) -> dict[str, int]:
    return world.broker.metrics.by_alias(len(world.broker.retained))


def counters(world: World) -> dict[str, int]:
    return world.broker.metrics.counters()


def test_all_names_of_the_original_are_there() -> None:
    assert len(ALIASES) == REFERENCE_NAMES
    assert set(MOVES) == set(ALIASES)


@pytest.mark.parametrize("name", MOVES)
def test_each_counter_moves_by_what_it_counts(name: str) -> None:
    world = World("mqtt.session.receive_maximum = 1")
    alice = world.connect("alice")
    before = by_alias(world)[name]
    MOVES[name](world, alice)
    assert by_alias(world)[name] - before == MOVE_MORE.get(name, 1)


def test_names_are_plain_words() -> None:
    assert [name for name in counters(World()) if not name.replace("_", "").isalnum() or name != name.lower()] == []


class Ledger:
    """What really went over the wire of some peers, by packet type and QoS."""

    def __init__(self, *peers: Peer) -> None:
        self.peers = peers
        self.seen: list[Packet] = []

    def note(self) -> None:
        for peer in self.peers:
            self.seen += peer.received()

    def sent(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for packet in self.seen:
            found[f"qos{packet.qos}_sent" if isinstance(packet, Publish) else SENT[packet.type]] += 1
        return found


@every_version
@pytest.mark.parametrize("kind", [World, StoredWorld])
def test_what_is_sent_is_counted_as_it_is_on_the_wire(kind: type[World], version: int) -> None:
    world = kind()
    aliased = {"topic_alias_maximum": 4} if version == c.MQTT_5_0 else {}
    alice = world.connect("alice", version=version, **LASTING[version], **aliased)
    bob = world.connect("bob", version=version)
    for peer in (alice, bob):
        peer.subscribe("topic/#", qos=2)
    start = counters(world)
    ledger = Ledger(alice, bob)
    for qos in (0, 1, 2, 0, 1, 2):
        bob.publish("topic/of/some/length", b"x" * 9, qos)
        bob.publish("topic/of/some/length", b"x" * 200, qos)
        ledger.note()
    end = counters(world)
    moved = {name: end[name] - start[name] for name in end if name.endswith("_sent") and end[name] != start[name]}
    expected = ledger.sent()
    for whole in ("packets_sent", "publish_sent", "bytes_sent"):
        moved.pop(whole)
    assert moved == dict(expected)
    assert end["packets_sent"] - start["packets_sent"] == len(ledger.seen)
    assert end["publish_sent"] - start["publish_sent"] == len([each for each in ledger.seen if isinstance(each, Publish)])
    assert end["bytes_sent"] == len(alice.raw) + len(bob.raw)


def test_what_waits_for_the_flush_is_counted_once() -> None:
    world = World()
    alice = world.connect("alice")
    alice.subscribe("t")
    before = counters(world)["qos0_sent"]
    alice.write(encode(Publish(b"t", b"x"), alice.version))
    assert counters(world)["qos0_sent"] == before + 1
    world.settle()
    assert counters(world)["qos0_sent"] == before + 1


def test_what_a_lost_connection_was_still_to_get_does_not_disturb_the_others() -> None:
    world = World()
    alice = world.connect("alice")
    alice.write(encode(Pingreq(), alice.version))
    alice.connection.owner = None
    alice.connection.lost("gone")
    world.turn.take()
    assert counters(world)["qos0_sent"] == 0
    assert counters(world)["pingresp_sent"] == 1


def test_packets_after_the_one_that_ended_a_connection_do_not_count() -> None:
    world = World()
    alice = world.connect("alice")
    before = counters(world)
    chunk = [Pingreq(), Publish(b"$SYS/x", b""), Puback(1)]
    alice.write(b"".join([encode(each, alice.version) for each in chunk]) + b"\x10\x00" + encode(Publish(b"t", b""), 5))
    after = counters(world)
    assert after["packets_received"] - before["packets_received"] == len(chunk)
    bob = world.connect("bob")
    before = counters(world)
    bob.write(b"\xe0\x00" + encode(Publish(b"t", b""), 5) * 3)
    after = counters(world)
    assert (after["packets_received"], after["qos0_received"]) == (before["packets_received"] + 1, before["qos0_received"])


def test_packets_after_one_that_is_refused_do_not_count() -> None:
    world = World()
    alice = world.connect("alice", version=5)
    before = counters(world)
    alice.write(b"".join([encode(Publish(b"a/+", b""), 5), encode(Publish(b"t", b""), 5)]))
    after = counters(world)
    assert after["packets_received"] - before["packets_received"] == 1


def test_a_message_at_qos_1_without_an_answer_counts_too() -> None:
    world = World("mqtt.max_qos_allowed = 0")
    alice = world.connect("alice", version=5)
    before = counters(world)
    alice.publish("t", b"", 1)
    after = counters(world)
    assert (after["qos1_received"], after["qos0_received"]) == (before["qos1_received"] + 1, before["qos0_received"])
    tiny = World().peer()
    tiny.connect("tiny", version=5, maximum_packet_size=60)
    before = counters(tiny.world)
    tiny.publish("$SYS/t", b"", 1)
    after = counters(tiny.world)
    assert (after["qos1_received"], after["qos0_received"]) == (before["qos1_received"] + 1, before["qos0_received"])


def test_a_defect_leaves_the_numbers_right(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    alice = world.connect("alice", version=5)
    before = counters(world)["packets_received"]
    monkeypatch.delitem(world.broker.metrics.drops, "no_subscribers")  # so that counting it fails
    with pytest.raises(KeyError):
        alice.write(encode(Publish(b"t", b""), 5) * 3)
    world.broker.metrics.drops["no_subscribers"] = 0
    assert counters(world)["packets_received"] == before + 1


@pytest.mark.parametrize(("lines", "result"), [
    ([], "anonymous"),
    (["mqtt.allow_anonymous = off"], "refused"),
])
def test_who_gets_in_without_a_method_is_counted(lines: list[str], result: str) -> None:
    world = World(*lines)
    world.peer().connect("alice")
    assert {name: count for name, count in world.broker.metrics.authentications.items() if count} == {result: 1}


@pytest.mark.parametrize(("good", "result"), [(True, "accepted"), (False, "refused")])
def test_what_a_method_decides_is_counted(good: bool, result: str) -> None:
    world = World()
    world.broker.methods[NAME] = Method(yes() if good else no())
    world.peer().send(opening())
    assert {name: count for name, count in world.broker.metrics.authentications.items() if count} == {result: 1}
    assert counters(world)[f"authentication_{result}"] == 1


def test_drops_and_ends_are_among_the_counters() -> None:
    world = World()
    alice = world.connect("alice")
    alice.publish("t")
    alice.disconnect()
    found = counters(world)
    assert (found["dropped_no_subscribers"], found["ended_normal"], found["connects"]) == (1, 1, 1)


def test_every_type_of_packet_has_a_name() -> None:
    assert set(RECEIVED) | set(SENT) | {c.PUBLISH} == set(range(1, len(c.PACKET_NAMES)))


def test_what_waits_for_a_commit_counts_once() -> None:
    world = StoredWorld()
    alice = world.connect("alice", **LASTING[5])
    alice.subscribe("t", qos=2)
    before = counters(world)
    world.stored = False
    for qos in (1, 2):
        alice.publish("t", b"x", qos)
    waiting = counters(world)
    world.commit()
    world.settle()
    after = counters(world)
    for name in ("puback_sent", "pubrec_sent", "qos1_sent", "qos2_sent", "qos1_received", "qos2_received"):
        assert waiting[name] == after[name] == before[name] + 1, name
    assert waiting["qos0_sent"] == after["qos0_sent"] == before["qos0_sent"]


def test_who_waits_for_a_commit_has_not_arrived() -> None:
    world = StoredWorld()
    world.stored = False
    peer = world.peer()
    peer.write(encode(Connect(5, "alice", properties=properties(session_expiry_interval=100)), 5))
    world.settle()
    peer.drop()
    assert world.broker.count().gauges()["clients/count"] == 0
    assert world.broker.count().gauges()["clients/max"] == 0
