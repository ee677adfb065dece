"""What clients may do where an authority says it, at once or later."""
from typing import Any

import pytest

from emqtwist.core import acl as module
from emqtwist.core.acl import PUBLISH, SUBSCRIBE, Acl
from emqtwist.core.door import Certificate, Terms
from emqtwist.core.ruling import use_rules
from emqtwist.core.subscribing import subscribe_unasked
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Pubrec,
    Suback,
    Subscribe,
    Will,
)
from tests.judges import FAILED, NO, YES, Judge
from tests.peers import Peer, World, every_version, properties

ANSWERS = {1: Puback, 2: Pubrec}


def scene(*lines: str, **known: Any) -> tuple[World, Peer, Peer, Judge]:
    """bob listens to all, before there is an authority; alice comes then."""
    world = World(*lines)
    bob = world.connect("bob")
    bob.subscribe("#", qos=2)
    judge = Judge(world)
    judge.say(YES)
    judge.asked.clear()
    judge.known |= {topic.encode(): ruling for topic, ruling in known.items()}
    return world, bob, world.connect("alice"), judge


def denials(world: World) -> dict[str, int]:
    return {what: count for what, count in world.broker.metrics.denials.items() if count}


# PUBLISH.

@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("ruling", [YES, NO, FAILED])
def test_a_publish_waits_for_the_ruling_and_keeps_what_follows_in_order(ruling: Any, qos: int) -> None:
    world, bob, alice, judge = scene()
    packet_id = alice.publish("a", b"1", qos)
    alice.send(Pingreq())
    alice.publish("a", b"2", qos)
    assert (alice.received(), bob.received()) == ([], [])
    assert judge.asked == [("alice", PUBLISH, b"a")]
    judge.say(ruling)
    if ruling is FAILED:
        judge.say(FAILED)  # it was not remembered
    assert bob.payloads() == ([b"1", b"2"] if ruling is YES else [])
    first, *rest = alice.received()
    if qos:
        code = c.SUCCESS if ruling is YES else ruling.rule.reason_code
        assert isinstance(first, ANSWERS[qos])
        assert (first.packet_id, first.reason_code) == (packet_id, code)
        assert [type(packet) for packet in rest] == [Pingresp, ANSWERS[qos]]
    else:
        assert (type(first), rest) == (Pingresp, [])


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_that_waits_counts_as_what_it_is(qos: int) -> None:
    world, _, alice, judge = scene()
    alice.publish("a", b"", qos)
    counted = [world.broker.metrics.counters()[f"qos{each}_received"] for each in range(3)]
    assert counted == [int(each == qos) for each in range(3)]
    judge.say(YES)
    assert [world.broker.metrics.counters()[f"qos{each}_received"] for each in range(3)] == counted


def test_what_is_ruled_is_remembered_for_the_connection() -> None:
    world, bob, alice, judge = scene(a=YES, b=NO)
    for _ in range(3):
        alice.publish("a", b"1")
        alice.publish("b", b"2")
    assert judge.asked == [("alice", PUBLISH, b"a"), ("alice", PUBLISH, b"b")]
    assert bob.payloads() == [b"1"] * 3
    world.connect("carol").publish("a")
    assert judge.asked[2:] == [("carol", PUBLISH, b"a")]


def test_what_is_ruled_is_remembered_for_as_long_as_it_lasts() -> None:
    world = World()
    judge = Judge(world, 10.0, a=YES)
    alice = world.connect("alice")
    for seconds, times in ((0.0, 1), (9.0, 1), (1.0, 2), (9.0, 2)):
        world.advance(seconds)
        alice.publish("a")
        assert len(judge.asked) == times


def test_a_reload_forgets_it() -> None:
    _, _, alice, judge = scene(a=YES)
    alice.publish("a")
    judge.reload()
    judge.say(YES)  # about the subscription of bob
    alice.publish("a")
    assert [asked for asked in judge.asked if asked[0] == "alice"] == [("alice", PUBLISH, b"a")] * 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, alice, judge = scene()
    judge.known |= {b"%d" % number: YES for number in range(module.MOST_REMEMBERED + 2)}
    for number in range(module.MOST_REMEMBERED + 2):
        alice.publish(str(number))
    grants = alice.connection.grants
    assert grants is not None
    assert len(grants.allowed) == module.MOST_REMEMBERED


@pytest.mark.parametrize("ruling", [YES, NO])
def test_a_ruling_of_before_a_reload_is_not_obeyed(ruling: Any) -> None:
    _, bob, alice, judge = scene()
    alice.publish("a", b"1", 1)
    judge.reload()
    judge.say(ruling, YES)  # to alice, as it was; about the subscription of bob
    assert (alice.received(), bob.received()) == ([], [])
    judge.say(YES)
    assert bob.payloads() == [b"1"]
    assert alice.one(Puback).reason_code == c.SUCCESS


def test_rules_alone_end_a_question() -> None:
    world, bob, alice, judge = scene()
    alice.publish("a", b"1")
    use_rules(world.broker, None)
    judge.say(NO)
    assert bob.payloads() == [b"1"]


def test_nobody_is_asked_about_a_superuser() -> None:
    world, bob, alice, judge = scene()
    alice.connection.superuser = True
    alice.publish("a", b"1")
    assert alice.subscribe("b") == [0]
    assert bob.payloads() == [b"1"]
    assert judge.asked == []


def test_a_flow_that_has_begun_comes_to_its_end() -> None:
    _, _, alice, judge = scene(a=YES)
    packet_id = alice.publish("a", b"", 2)
    alice.received()
    judge.known.clear()
    judge.reload()
    judge.say(YES)
    alice.publish("a", b"", 2, dup=True, packet_id=packet_id)
    assert alice.answer(Pubrec) == (packet_id, c.SUCCESS)


def test_a_topic_alias_is_asked_about_by_its_topic() -> None:
    _, bob, alice, judge = scene()
    alice.publish("a", b"1", topic_alias=1)
    alice.publish("", b"2", topic_alias=1)
    judge.say(YES)
    assert judge.asked == [("alice", PUBLISH, b"a")]
    assert bob.payloads() == [b"1", b"2"]


def test_functions_at_hooks_are_asked_about_what_the_authority_allows() -> None:
    world, bob, alice, judge = scene()
    asked: list[object] = []
    world.broker.hooks.add("client.authorize", lambda client, action, topic, allowed: asked.append(topic))
    for topic in ("a", "b"):
        alice.publish(topic, b"", 2)
    judge.say(NO, YES)
    assert asked == [b"b"]
    assert [publish.topic_name for publish in bob.all(Publish)] == [b"b"]
    assert world.broker.metrics.counters()["qos2_received"] == 2


def test_too_much_that_comes_meanwhile_ends_the_connection() -> None:
    world, _, alice, judge = scene("mqtt.max_packet_size = 1KB")
    alice.publish("a")
    for _ in range(3):
        alice.publish("a", b"x" * 500)
    assert alice.closed
    assert judge.waits() == 0
    judge.say(YES)


def test_a_denial_that_ends_the_connection_ends_it_later_too() -> None:
    _, _, alice, judge = scene("mqtt.acl_deny_action = disconnect")
    alice.publish("a")
    judge.say(NO)
    assert alice.one(Disconnect).reason_code == c.NOT_AUTHORIZED


def test_a_failure_is_told_as_such() -> None:
    _, _, alice, judge = scene()
    alice.publish("a", qos=1)
    judge.say(FAILED)
    puback = alice.one(Puback)
    assert puback.properties is not None
    assert puback.properties.reason_string == "what this client may do cannot be found out now"


def test_the_authority_hears_topics_as_the_client_says_them() -> None:
    world = World()
    world.door.terms = Terms(mountpoint="tenant/")
    judge = Judge(world)
    alice = world.peer()
    will = Will(b"w", b"gone", properties=properties(will_delay_interval=1))
    alice.send(Connect(c.MQTT_5_0, "alice", True, 0, will=will, properties=properties(session_expiry_interval=9)))
    judge.say(YES)
    alice.send(Subscribe(1, [(b"$share/g/a/+", 0)]))
    judge.say(YES)
    alice.publish("a/b", b"1")
    judge.say(YES)
    alice.drop()
    world.advance(1)
    assert [asked[1:] for asked in judge.asked] == [
        (PUBLISH, b"w"), (SUBSCRIBE, b"a/+"), (PUBLISH, b"a/b"), (PUBLISH, b"w")]


# SUBSCRIBE.

@every_version
def test_a_subscribe_waits_for_a_ruling_about_each_filter(version: int) -> None:
    world, _, _, judge = scene()
    carol = world.connect("carol", version=version)
    carol.send(Subscribe(1, [(b"a", 0), (b"b", 1), (b"c", 2)]), Pingreq())
    judge.say(YES, NO)
    assert carol.received() == []
    judge.say(YES)
    suback, pong = carol.received()
    assert isinstance(suback, Suback)
    assert suback.reason_codes == [0, 0x87 if version == c.MQTT_5_0 else 0x80, 2]
    assert isinstance(pong, Pingresp)
    assert list(world.session("carol").subscriptions) == [b"a", b"c"]
    assert denials(world) == {"subscription": 1}
    assert judge.asked == [("carol", SUBSCRIBE, topic) for topic in (b"a", b"b", b"c")]


def test_what_is_ruled_about_subscriptions_at_once_needs_no_waiting() -> None:
    world, _, alice, _ = scene(a=YES, b=NO)
    assert alice.subscribe("a", "b", "c/#/d") == [0, c.NOT_AUTHORIZED, c.TOPIC_FILTER_INVALID]


def test_who_cannot_be_asked_about_has_no_subscription() -> None:
    _, _, alice, _ = scene(a=FAILED)
    assert alice.subscribe("a") == [c.IMPLEMENTATION_SPECIFIC_ERROR]


def test_a_subscription_is_not_made_by_what_was_ruled_before_a_reload() -> None:
    world, _, alice, judge = scene()
    alice.send(Subscribe(1, [(b"a", 0)]))
    judge.reload()
    judge.say(YES, YES)  # to alice, as it was; about the subscription of bob
    assert alice.received() == []
    judge.say(NO)
    assert alice.one(Suback).reason_codes == [c.NOT_AUTHORIZED]


def test_a_client_that_has_gone_gets_no_subscription_and_holds_up_nobody() -> None:
    world, _, _, judge = scene()
    dan = world.connect("dan", session_expiry_interval=60)
    dan.send(Subscribe(1, [(b"a", 0), (b"b", 0)]))
    dan.drop()
    judge.say(YES)
    assert judge.waits() == 0
    assert world.session("dan").subscriptions == {}
    assert judge.asked == [("dan", SUBSCRIBE, b"a")]


def test_what_a_client_has_not_asked_for_is_ruled_upon_too() -> None:
    world, bob, alice, judge = scene()
    subscribe_unasked(alice.connection, [(b"a", 0), (b"b", 0)])
    alice.publish("c", b"later")
    judge.say(NO, YES)
    assert list(world.session("alice").subscriptions) == [b"b"]
    judge.say(YES)
    assert bob.payloads() == [b"later"]
    assert alice.received() == []


# Wills.

def mourned(world: World, topic: str = "w", **options: Any) -> Peer:
    peer = world.peer()
    peer.send(Connect(c.MQTT_5_0, "dan", False, 0, "d", None, Will(topic.encode(), b"gone"), properties=properties(**options)))
    return peer


@every_version
def test_a_connect_waits_for_a_ruling_about_its_will(version: int) -> None:
    codes = {c.MQTT_3_1: [0, 5, 3], c.MQTT_3_1_1: [0, 5, 3], c.MQTT_5_0: [0, c.NOT_AUTHORIZED, c.SERVER_UNAVAILABLE]}
    world, bob, _, judge = scene()
    for ruling, code in zip((YES, NO, FAILED), codes[version], strict=True):
        dan = world.peer()
        dan.send(Connect(version, "dan", True, 0, "d", None, Will(b"w", b"gone")))
        assert dan.received() == []
        assert judge.clients[-1].user_name == "d"
        judge.say(ruling)
        assert dan.one(Connack).reason_code == code
        if ruling is YES:
            dan.drop()
            judge.say(YES)
    assert bob.payloads() == [b"gone"]
    assert denials(world) == {"will": 2}


def test_a_will_on_a_topic_of_the_brokers_own_is_not_for_the_authority_to_allow() -> None:
    world, _, _, judge = scene()
    dan = mourned(world, "$SYS/a")
    judge.say(YES)
    assert dan.one(Connack).reason_code == c.NOT_AUTHORIZED


@pytest.mark.parametrize("ruling", [YES, NO, FAILED])
def test_a_will_is_asked_about_again_when_it_is_due(ruling: Any) -> None:
    world, bob, _, judge = scene()
    dan = mourned(world)
    judge.say(YES)
    dan.drop()
    assert bob.received() == []
    assert judge.asked == [("dan", PUBLISH, b"w")] * 2
    judge.say(ruling)
    assert bob.payloads() == ([b"gone"] if ruling is YES else [])
    assert (denials(world), world.drops) == (({}, {}) if ruling is YES else ({"will_dropped": 1}, {"acl_denied": 1}))


def test_nobody_is_asked_about_the_will_of_a_superuser() -> None:
    world, bob, _, judge = scene(w=YES)
    dan = mourned(world)
    assert dan.connection.will is not None
    assert dan.connection.will.client is not None
    dan.connection.will.client.superuser = True
    judge.known.clear()
    dan.drop()
    assert bob.payloads() == [b"gone"]


def test_who_comes_back_waits_for_what_is_ruled_about_the_last_will() -> None:
    world, bob, _, judge = scene(w=YES)
    dan = mourned(world, session_expiry_interval=60)
    del judge.known[b"w"]
    dan.drop()
    again = world.peer()
    again.send(Connect(c.MQTT_5_0, "dan", False))
    assert again.received() == []
    judge.say(YES)
    assert bob.payloads() == [b"gone"]
    assert again.one(Connack).session_present


# Sessions.

def left(world: World, judge: Judge) -> None:
    """carol has two subscriptions, and is gone when a message comes for her."""
    judge.known |= {b"x": YES, b"y": YES}
    carol = world.connect("carol", session_expiry_interval=100)
    carol.subscribe("x", "y", qos=1)
    carol.disconnect()
    world.connect("dan").publish("x", b"secret", qos=1)
    judge.known.clear()


def comes_back(world: World) -> Peer:
    carol = world.peer()
    carol.send(Connect(c.MQTT_5_0, "carol", False, properties=properties(session_expiry_interval=100)))
    return carol


@pytest.mark.parametrize(("rulings", "present"), [((YES, YES), True), ((YES, NO), False), ((NO, YES), False)])
def test_a_session_is_resumed_when_all_in_it_is_ruled_to_be_allowed(rulings: tuple[Any, ...], present: bool) -> None:
    world, _, _, judge = scene()
    left(world, judge)
    carol = comes_back(world)
    judge.say(rulings[0])
    assert carol.received() == []
    judge.say(rulings[1])
    connack, *rest = carol.received()
    assert isinstance(connack, Connack)
    assert connack.session_present is present
    assert [publish.payload for publish in rest if isinstance(publish, Publish)] == ([b"secret"] if present else [])
    assert denials(world) == ({} if present else {"session": 1})


def test_a_session_of_which_it_cannot_be_found_out_is_kept_for_later() -> None:
    world, _, _, judge = scene()
    left(world, judge)
    carol = comes_back(world)
    judge.say(FAILED)
    assert carol.one(Connack).reason_code == c.SERVER_UNAVAILABLE
    carol = comes_back(world)
    judge.say(YES, YES)
    connack, message = carol.received()
    assert isinstance(message, Publish)
    assert message.payload == b"secret"


def test_a_session_is_not_resumed_by_what_was_ruled_before_a_reload() -> None:
    world, _, _, judge = scene()
    left(world, judge)
    carol = comes_back(world)
    judge.reload()
    judge.say(YES, YES, YES)  # to carol, as it was; about the subscription of bob; to carol, as it was
    assert carol.received() == []
    judge.say(YES, NO)
    assert not carol.one(Connack).session_present


def test_a_session_can_end_while_somebody_is_asked_about_it() -> None:
    world, _, _, judge = scene()
    left(world, judge)
    comes_back(world).drop()
    world.advance(200)
    judge.say(YES, YES)
    assert "carol" not in world.broker.sessions.by_id


# A reload.

def test_a_reload_ends_the_subscriptions_that_are_not_allowed_any_more() -> None:
    world, bob, alice, judge = scene(a=YES, b=YES, c=YES)
    alice.subscribe("a", "b", "c")
    judge.known.clear()
    judge.reload()
    alice.send(Subscribe(9, [(b"d", 0)]))
    judge.say(YES, NO, YES, NO)  # bob's, and three of alice
    assert alice.received() == []  # her own request is after these
    judge.say(YES)
    assert alice.one(Suback).reason_codes == [0]
    assert list(world.session("alice").subscriptions) == [b"b", b"d"]
    assert denials(world) == {"subscription_ended": 2}


def test_a_client_of_whom_it_cannot_be_found_out_has_to_come_again() -> None:
    world, _, alice, judge = scene(a=YES, b=YES)
    alice.subscribe("a", "b")
    judge.known = {b"#": YES}
    judge.reload()
    judge.say(FAILED)
    assert alice.one(Disconnect).reason_code == c.SERVER_BUSY
    assert denials(world) == {}


def test_a_client_that_goes_while_its_subscriptions_are_asked_about_keeps_them() -> None:
    world, _, _, judge = scene(a=YES)
    dan = world.connect("dan", session_expiry_interval=60)
    dan.subscribe("a")
    judge.known = {b"#": YES}
    judge.reload()
    dan.drop()
    judge.say(NO)
    assert list(world.session("dan").subscriptions) == [b"a"]  # it is looked at when the client comes back


def test_the_authority_is_told_all_that_is_known_of_a_client() -> None:
    world = World()
    judge = Judge(world, a=YES)
    world.certificate = Certificate("cn", "CN=cn", ())
    world.connect("alice", user_name="a").publish("a")
    [client] = judge.clients
    assert (client.client_id, client.user_name, client.listener, client.address) == ("alice", "a", "tcp.default", "10.0.0.1")
    assert client.certificate is world.certificate


def test_without_an_authority_nobody_is_asked() -> None:
    world, bob, alice, judge = scene()
    use_rules(world.broker, Acl([], True))
    alice.publish("a", b"1")
    assert bob.payloads() == [b"1"]
    assert judge.asked == []
