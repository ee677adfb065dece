"""Functions that wait: the connection keeps what comes, others go on, answers come in any order."""
import pytest

from emqtwist.core.hooks import FAILURES, Stop
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    AliasedPublish,
    Connack,
    Connect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from tests.hookgates import Gate
from tests.peers import World


def test_nobody_waits_where_nobody_may() -> None:
    world = World()
    with pytest.raises(ValueError, match=r"nobody may wait at message\.publish"):
        Gate(world, "message.publish")


def test_packets_behind_one_that_waits_are_served_later_in_their_order() -> None:
    world = World()
    gate = Gate(world, "client.authorize")
    bob, alice = world.connect("bob"), world.connect("alice")
    alice.send(Publish(b"a", b"1", 1, packet_id=1), Pingreq(), Publish(b"a", b"2", 1, packet_id=2))
    alice.send(Pingreq())
    bob.send(Pingreq())
    bob.one(Pingresp)
    assert alice.received() == []
    assert len(gate.asked) == 1
    gate.answer(False)
    assert [type(packet) for packet in alice.received()] == [Puback, Pingresp]
    gate.answer(True)
    assert [type(packet) for packet in alice.received()] == [Puback, Pingresp]


def test_a_client_that_leaves_meanwhile_is_forgotten() -> None:
    world = World()
    gate = Gate(world, "client.authorize")
    bob, alice = world.connect("bob"), world.connect("alice")
    gate.asked.clear()
    alice.send(Publish(b"a", b"1", 1, packet_id=1))
    alice.drop()
    gate.answer(True)
    assert world.drops == {}
    assert bob.received() == []


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_numbers_stay_right_while_a_publish_waits(qos: int) -> None:
    world = World()
    gate = Gate(world, "client.authorize")
    alice = world.connect("alice")

    def numbers() -> list[int]:
        counters = world.broker.metrics.counters()
        return [counters[f"qos{each}_received"] for each in range(3)]

    for count, value in enumerate((True, False), 1):
        alice.send(Publish(b"a", b"1", qos, packet_id=count if qos else 0))
        expected = [count if each == qos else 0 for each in range(3)]
        assert numbers() == expected
        gate.answer(value)
        assert numbers() == expected
    alice.send(Publish(b"a", b"1", qos, packet_id=3 if qos else 0))
    alice.drop()
    assert numbers() == [3 if each == qos else 0 for each in range(3)]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_unknown_alias_counts_as_what_it_was(qos: int) -> None:
    world = World()
    Gate(world, "client.authorize")
    alice = world.connect("alice")
    alice.send(AliasedPublish(b"", b"x", qos, False, False, 1 if qos else 0, None, 1))
    counters = world.broker.metrics.counters()
    assert [counters[f"qos{each}_received"] for each in range(3)] == [int(each == qos) for each in range(3)]


def test_subscriptions_are_decided_one_after_the_other() -> None:
    world = World()
    gate = Gate(world, "client.authorize")
    alice = world.connect("alice")
    alice.send(Subscribe(1, [(b"a", 0), (b"b", 0)]))
    gate.answer(False)
    assert alice.received() == []
    gate.answer(True)
    assert alice.one(Suback).reason_codes == [c.NOT_AUTHORIZED, 0]
    assert [topic for _, _, topic, _ in gate.asked] == [b"a", b"b"]


def test_a_subscribe_of_many_filters_needs_no_depth() -> None:
    world = World()
    world.broker.hooks.add("client.authorize", lambda *arguments: True)
    alice = world.connect("alice")
    assert alice.subscribe(*[f"t/{number}" for number in range(3000)]) == [0] * 3000


def test_filters_can_be_changed_late() -> None:
    world = World()
    gate = Gate(world, "client.subscribe")
    late = Gate(world, "client.unsubscribe")
    alice = world.connect("alice")
    alice.send(Subscribe(1, [(b"a", 0)]))
    gate.answer([(b"b", 1)])
    assert alice.one(Suback).reason_codes == [1]
    alice.send(Unsubscribe(2, [b"a"]))
    late.answer([b"b"])
    assert alice.one(Unsuback).reason_codes == [c.SUCCESS]


def test_a_waiting_function_stands_in_its_order_among_others() -> None:
    world = World()
    calls: list[object] = []
    world.broker.hooks.add("client.authorize", lambda *arguments: calls.append("last"), 1)
    gate = Gate(world, "client.authorize")
    world.broker.hooks.add("client.authorize", lambda *arguments: calls.append("first"), -1)
    alice = world.connect("alice")
    alice.send(Publish(b"a", b""))
    assert calls == ["first"]
    gate.answer(None)
    assert calls == ["first", "last"]


# Connecting.

@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("accepted", [True, False])
def test_who_a_client_is_may_take_time(version: int, accepted: bool) -> None:
    world = World("mqtt.allow_anonymous = off")
    gate = Gate(world, "client.authenticate")
    peer = world.peer()
    peer.send(Connect(version, "alice", user_name="rob", password=b"x"))
    assert peer.received() == []
    assert gate.asked[0][1:] == (b"x", False)
    gate.answer(accepted)
    connack = peer.one(Connack)
    refused = c.BAD_USER_NAME_OR_PASSWORD if version == 5 else 4
    assert connack.reason_code == (0 if accepted else refused)
    assert world.broker.metrics.authentications == {"anonymous": 0, "accepted": int(accepted), "refused": int(not accepted)}
    assert peer.closed == (not accepted)


def test_who_says_nothing_and_is_refused_is_told_to_say_it() -> None:
    world = World()
    world.broker.hooks.add("client.authenticate", lambda *arguments: False)
    connack = world.peer().connect("alice")
    assert connack.reason_code == c.NOT_AUTHORIZED


def test_anonymous_clients_get_in_where_they_may_and_nobody_objects() -> None:
    world = World("mqtt.allow_anonymous = on")
    world.broker.hooks.add("client.authenticate", lambda *arguments: None)
    assert world.connect("alice").told is not None
    assert world.broker.metrics.authentications["accepted"] == 1


def test_a_failure_lets_nobody_in_and_many_are_an_alarm() -> None:
    world = World("mqtt.allow_anonymous = on")
    gate = Gate(world, "client.authenticate")
    for _ in range(FAILURES):
        peer = world.peer()
        peer.send(Connect(5, "alice"))
        gate.answer(error=TimeoutError())
        assert peer.one(Connack).reason_code == c.NOT_AUTHORIZED
    assert [alarm.identifier for alarm in world.broker.alarms.active.values()] == [
        f"hook_failing/client.authenticate/{Gate.__module__}.Gate.function"]


def test_a_connect_can_be_refused_before_anybody_asks_who_it_is() -> None:
    world = World()
    gate = Gate(world, "client.connect")
    late = Gate(world, "client.authenticate")
    peer = world.peer()
    peer.send(Connect(5, "alice"))
    gate.answer(Stop())
    assert peer.one(Connack).reason_code == c.NOT_AUTHORIZED
    assert late.asked == []
