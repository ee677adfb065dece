"""What becomes of the messages of a group whose receiver is lost before it has taken them."""
import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.packets import Puback, Publish, Pubrec, Pubrel
from tests.peers import Peer, World, every_version
from tests.scenes import LASTING, arrive, brief, publish
from tests.stores import StoredWorld

GROUP = "$share/g/a"
LOSSES = pytest.mark.parametrize("loss", ["drop", "disconnect", "takeover", "clean start", "expiry"])


def persistent(world: World, client_id: str, qos: int = 2, version: int = 5) -> Peer:
    peer = arrive(world, version, client_id)
    peer.subscribe(GROUP, qos=qos)
    return peer


def transient(world: World, client_id: str, qos: int = 2, version: int = 5) -> Peer:
    peer = world.connect(client_id, version=version)
    peer.subscribe(GROUP, qos=qos)
    return peer


def lose(world: World, peer: Peer, how: str) -> None:
    """The connection of bob or his session ends."""
    if how in ("drop", "expiry"):
        peer.drop()
        if how == "expiry":
            world.advance(1001)
    elif how == "disconnect":
        peer.disconnect()
    else:
        world.connect("bob", clean_start=how == "clean start", session_expiry_interval=1000)


# QoS 1.

@LOSSES
def test_what_was_not_acknowledged_at_qos_1_goes_to_another_member(loss: str) -> None:
    world = World()
    bob = persistent(world, "bob")
    publish(world, b"1", b"2", b"3")
    bob.acknowledge(bob.all(Publish)[1])
    carol = persistent(world, "carol")
    lose(world, bob, loss)
    assert brief(carol.all(Publish)) == [(1, b"1", False), (2, b"3", False)]
    if loss not in ("clean start", "expiry"):
        assert world.session("bob").load() == 0
    assert world.drops == {}


@every_version
def test_what_a_transient_session_had_goes_to_another_member(version: int) -> None:
    world = World("mqtt.session.max_inflight = 1")
    bob = transient(world, "bob", version=version)
    publish(world, b"1", b"2", b"3")
    carol = transient(world, "carol", version=version)
    bob.drop()
    got = []
    for _ in range(3):
        one = carol.one(Publish)
        got.append(one.payload)
        carol.acknowledge(one)
    assert (got, world.drops) == ([b"1", b"2", b"3"], {})


def test_the_new_receiver_gets_it_as_it_subscribed_itself() -> None:
    world = World()
    bob = persistent(world, "bob", qos=1)
    publish(world, b"x", qos=2)
    carol = arrive(world, client_id="carol")
    carol.subscribe(GROUP, qos=2, identifier=9)
    bob.drop()
    got = carol.one(Publish)
    assert got.properties is not None
    assert (got.qos, got.dup, got.properties.subscription_identifiers) == (2, False, [9])


def test_it_wanders_on_until_somebody_acknowledges_it() -> None:
    world = World()
    peers = [persistent(world, "m0")]
    publish(world, b"x")
    for number in range(1, 5):
        peers.append(persistent(world, f"m{number}"))
        assert peers[-2].one(Publish).payload == b"x"
        peers[-2].drop()
    peers[-1].acknowledge(peers[-1].one(Publish))
    peers[-1].drop()
    for number in range(5):
        assert arrive(world, client_id=f"m{number}").received() == []


def test_with_nobody_else_here_it_waits_for_its_receiver() -> None:
    world = World()
    bob, carol = persistent(world, "bob"), persistent(world, "carol")
    carol.drop()
    publish(world, b"x")
    bob.drop()
    assert arrive(world, client_id="carol").received() == []
    assert brief(arrive(world, client_id="bob").all(Publish)) == [(1, b"x", True)]


def test_at_the_end_of_the_session_one_who_is_away_gets_it_if_nobody_is_here() -> None:
    world = World("mqtt.session.max_inflight = 1")
    bob = transient(world, "bob")
    persistent(world, "carol").drop()
    publish(world, b"1", b"2")
    bob.drop()
    carol = arrive(world, client_id="carol")
    first = carol.one(Publish)
    carol.acknowledge(first)
    assert (first.payload, carol.one(Publish).payload, world.drops) == (b"1", b"2", {})


def test_with_no_member_left_it_is_dropped_and_counted() -> None:
    world = World("mqtt.session.max_inflight = 1")
    bob = transient(world, "bob")
    publish(world, b"1", b"2")
    bob.drop()
    assert world.drops == {causes.SESSION_ENDED: 2}


@pytest.mark.mqtt5("3.10.4-3")
def test_who_left_the_group_passes_on_what_it_got_from_it() -> None:
    world = World()
    bob = persistent(world, "bob")
    publish(world, b"x")
    carol = persistent(world, "carol")
    bob.unsubscribe(GROUP)
    assert (len(bob.all(Publish)), carol.received()) == (1, [])
    bob.drop()
    assert carol.payloads() == [b"x"]


def test_a_late_acknowledgement_of_the_lost_one_does_no_harm() -> None:
    world = World()
    bob = persistent(world, "bob")
    publish(world, b"x")
    late = bob.one(Publish)
    carol = persistent(world, "carol")
    bob.drop()
    bob = arrive(world, client_id="bob")
    bob.send(Puback(late.packet_id))
    assert (bob.closed, bob.received(), carol.payloads()) == (False, [], [b"x"])


@pytest.mark.parametrize("seconds", [9, 10])
@pytest.mark.mqtt5("3.3.2-5")
def test_what_expired_meanwhile_goes_to_nobody_else(seconds: int) -> None:
    world = World()
    bob = persistent(world, "bob")
    publish(world, b"x", message_expiry_interval=10)
    carol = persistent(world, "carol")
    world.turn.now += seconds
    bob.drop()
    assert carol.payloads() == ([b"x"] if seconds == 9 else [])
    assert arrive(world, client_id="bob").payloads() == ([] if seconds == 9 else [b"x"])


# What waits.

def test_what_waits_goes_to_others_when_its_client_leaves() -> None:
    world = World("mqtt.session.max_inflight = 1")
    bob = persistent(world, "bob")
    bob.subscribe("own", qos=1)
    alice = world.connect("alice")
    for n in range(4):
        alice.publish("own", b"own %d" % n, qos=1)
        alice.publish("a", b"%d" % n, qos=1 + n % 2)
    carol = persistent(world, "carol")
    world.session("carol").inflight.window = 100
    assert world.session("bob").load() == 8
    bob.drop()
    assert carol.payloads() == [b"0", b"1", b"2", b"3"]
    assert world.session("bob").load() == 4
    bob = arrive(world, client_id="bob")
    got = []
    while world.session("bob").load():
        one = bob.one(Publish)
        got.append(one.payload)
        bob.acknowledge(one)
    assert got == [b"own %d" % n for n in range(4)]


def test_qos_0_that_waits_for_a_slow_reader_goes_to_others_too() -> None:
    world = World()
    bob = persistent(world, "bob")
    bob.stall()
    publish(world, b"1", b"2", qos=0)
    carol = persistent(world, "carol")
    bob.drop()
    assert carol.payloads() == [b"1", b"2"]
    backlog = world.session("bob").backlog
    assert backlog is not None
    assert (backlog.qos0, len(backlog.queue)) == (0, 0)


def test_what_others_have_no_room_for_stays() -> None:
    world = World("mqtt.mqueue.max_length = 2")
    bob = persistent(world, "bob")
    publish(world, b"1")
    bob.stall()
    publish(world, b"2", b"3")
    carol = persistent(world, "carol")
    carol.stall()
    bob.drop()
    assert [world.session(name).load() for name in ("bob", "carol")] == [1, 2]
    assert arrive(world, client_id="bob").payloads() == [b"3"]
    assert world.drops == {}


def test_one_who_is_not_to_get_its_own_message_does_not_get_it_so_either() -> None:
    world = World("mqtt.session.ignore_loop_deliver = on")
    bob, carol = persistent(world, "bob"), persistent(world, "carol")
    carol.publish("a", b"x", qos=1)
    bob.drop()
    assert [packet for packet in carol.received() if isinstance(packet, Publish)] == []
    assert (arrive(world, client_id="bob").payloads(), world.drops) == ([b"x"], {})


def test_a_queue_that_empties_so_is_relieved() -> None:
    world = World("mqtt.mqueue.max_length = 10", "mqtt.session.max_inflight = 1")
    bob = persistent(world, "bob")
    publish(world, *[b"x"] * 9)
    assert world.witness.told("queue_filling") == [("bob", 7)]
    carol = persistent(world, "carol")
    bob.drop()
    assert len(carol.received()) == 1
    assert world.witness.told("queue_relieved") == [("bob", 0)]
    assert world.drops == {}


# QoS 2.

@LOSSES
@pytest.mark.parametrize("received", [False, True])
@pytest.mark.mqtt5("4.8.2-4", "4.8.2-5")
def test_qos_2_is_completed_to_the_same_session_or_dropped_with_it(loss: str, received: bool) -> None:
    world = World()  # [MQTT-4.8.2-4] [MQTT-4.8.2-5]
    bob = persistent(world, "bob")
    publish(world, b"x", qos=2)
    sent = bob.one(Publish)
    if received:
        bob.send(Pubrec(sent.packet_id))
    carol = persistent(world, "carol")
    lose(world, bob, loss)
    ended = loss in ("clean start", "expiry")
    if not ended:
        again = arrive(world, client_id="bob").received()
        assert len(again) == 1
        assert isinstance(again[0], Pubrel if received else Publish)
    assert carol.received() == []
    assert world.drops == ({causes.SESSION_ENDED: 1} if ended and not received else {})


def test_qos_2_that_was_not_sent_yet_goes_to_another() -> None:
    world = World("mqtt.session.max_inflight = 1")
    bob = persistent(world, "bob")
    publish(world, b"1", b"2", qos=2)
    carol = persistent(world, "carol")
    bob.drop()
    assert carol.payloads() == [b"2"]
    assert brief(arrive(world, client_id="bob").all(Publish)) == [(1, b"1", True)]


@pytest.mark.mqtt5("4.8.2-5")
def test_qos_2_that_was_sent_before_a_crash_goes_to_nobody_else() -> None:
    world = StoredWorld("mqtt.session.max_inflight = 2")
    persistent(world, "bob")
    publish(world, b"1", b"2", b"3", qos=2)
    world.crash()
    carol = persistent(world, "carol")
    bob = world.connect("bob", receive_maximum=1, **LASTING[5])
    assert brief(bob.all(Publish)) == [(1, b"1", True)]
    bob.drop()
    world.connect("bob", clean_start=True)
    assert carol.payloads() == [b"3"]
    assert world.drops == {causes.SESSION_ENDED: 2}


# A refusal.

@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.mqtt5("4.8.2-6")
def test_what_a_member_refuses_goes_to_nobody_else(qos: int) -> None:
    world = World()
    bob = persistent(world, "bob")
    publish(world, b"x", qos=qos)
    carol = persistent(world, "carol")
    packet_id = bob.one(Publish).packet_id
    bob.send((Puback if qos == 1 else Pubrec)(packet_id, c.IMPLEMENTATION_SPECIFIC_ERROR))
    bob.drop()
    assert (carol.received(), world.drops) == ([], {causes.REFUSED_BY_CLIENT: 1})
    assert arrive(world, client_id="bob").received() == []


# The end.

def test_a_stop_of_the_broker_leaves_the_messages_with_who_waits_for_them() -> None:
    world = World()
    persistent(world, "bob")
    for number in range(3):
        transient(world, f"t{number}")
    publish(world, *[b"%d" % n for n in range(20)])
    world.broker.shut_down()
    world.settle()
    assert world.session("bob").load() == 20
    assert world.drops == {}


def test_nothing_is_remembered_of_sessions_that_ended() -> None:
    world = World()
    for number in range(3):
        transient(world, f"t{number}")
    publish(world, b"x")
    for session in list(world.broker.sessions.by_id.values()):
        if session.link is not None:
            session.link.fail(MQTTError("the test ends it"))
    groups = world.broker.subscriptions.groups
    assert (groups.by_name, groups._joined) == ({}, {})
