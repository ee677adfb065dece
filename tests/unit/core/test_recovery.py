"""After a crash everything is as it was promised: sessions, messages, identifiers, Wills, retained messages."""
import pytest

from emqtwist.core import records as r
from emqtwist.core.message import NEVER
from emqtwist.mqtt.packets import Pubcomp, Publish, Pubrec, Pubrel, Will
from tests.peers import properties
from tests.scenes import arrive, bob_subscribed, brief, publish
from tests.stores import StoredWorld


def test_a_session_with_all_it_has_comes_back() -> None:
    world = StoredWorld()
    bob = bob_subscribed(world)
    bob.subscribe("b/+", qos=1, identifier=7)
    bob.unsubscribe("b/+")
    bob.subscribe("c/#", qos=1, identifier=9)
    bob.publish("x", b"half", qos=2, packet_id=5)
    bob.drop()
    publish(world, b"1", b"2", qos=1)
    world.crash()
    bob = arrive(world)
    assert bob.connack is not None
    assert bob.connack.session_present
    assert brief(bob.all(Publish)) == [(1, b"1", True), (2, b"2", True)]
    bob.send(Publish(b"x", b"half", 2, dup=True, packet_id=5))
    assert bob.answer(Pubrec) == (5, 0)
    world.connect("alice").publish("c/d", b"z")
    message = bob.one(Publish)
    assert message.properties is not None
    assert message.properties.subscription_identifiers == [9]
    assert sorted(world.session("bob").subscriptions) == [b"a", b"c/#"]


def test_a_shared_subscription_comes_back_with_its_messages() -> None:
    world = StoredWorld()
    bob = arrive(world)
    bob.subscribe("$share/g/a", qos=1)
    bob.drop()
    publish(world, b"1", qos=1)
    world.crash()
    carol = world.connect("carol")
    carol.subscribe("$share/g/a", qos=1)
    bob = arrive(world)
    assert bob.one(Publish).payload == b"1"
    bob.drop()  # so what it has not acknowledged goes to a member who is here
    assert carol.one(Publish).payload == b"1"


def test_qos_2_is_not_doubled_by_a_crash_at_any_step() -> None:
    world = StoredWorld()
    bob = bob_subscribed(world)
    alice = arrive(world, client_id="alice")
    alice.publish("a", b"x", qos=2, packet_id=3)
    assert alice.answer(Pubrec) == (3, 0)
    assert brief([bob.one(Publish)]) == [(1, b"x", False)]
    world.crash()
    alice, bob = arrive(world, client_id="alice"), arrive(world)
    alice.send(Publish(b"a", b"x", 2, dup=True, packet_id=3))
    assert alice.answer(Pubrec) == (3, 0)
    assert brief([bob.one(Publish)]) == [(1, b"x", True)]  # the same identifier: bob knows that it has it
    bob.send(Pubrec(1))
    assert bob.answer(Pubrel) == (1, 0)
    world.crash()
    bob = arrive(world)
    assert bob.answer(Pubrel) == (1, 0)
    bob.send(Pubcomp(1))
    world.crash()
    assert arrive(world).received() == []


def test_what_was_not_committed_was_not_acknowledged() -> None:
    world = StoredWorld()
    bob_subscribed(world).drop()
    alice = world.connect("alice")
    world.stored = False
    alice.publish("a", b"x", qos=1)
    world.crash()
    assert alice.received() == []
    world.stored = True
    assert arrive(world).received() == []


def test_sessions_expire_when_they_said_they_would() -> None:
    world = StoredWorld()
    arrive(world).drop()
    arrive(world, client_id="carol")
    world.crash(900)
    world.advance(101)
    assert list(world.broker.sessions.by_id) == ["carol"]  # it was connected until the crash
    world.advance(900)
    assert not world.broker.sessions.by_id
    world.crash()
    assert not world.broker.sessions.by_id


def test_a_session_that_ends_with_its_connection_ends_with_the_process() -> None:
    world = StoredWorld()
    arrive(world)
    arrive(world, session_expiry_interval=0)
    world.crash()
    assert not world.broker.sessions.by_id
    assert not world.store.sessions


def test_a_message_expires_when_it_said_it_would() -> None:
    world = StoredWorld()
    bob_subscribed(world, qos=1).drop()
    publish(world, b"short", message_expiry_interval=10)
    publish(world, b"long", message_expiry_interval=100)
    world.crash(30)
    message = arrive(world).one(Publish)
    assert message.payload == b"long"
    assert message.properties is not None
    assert message.properties.message_expiry_interval == 70


def test_a_qos_2_message_that_was_sent_expires_no_more() -> None:
    world = StoredWorld()
    bob_subscribed(world)
    publish(world, b"sent", qos=2, message_expiry_interval=10)
    world.crash(30)
    assert arrive(world).one(Publish).payload == b"sent"


def test_a_qos_2_message_that_may_have_been_sent_and_is_sent_again_expires_no_more() -> None:
    world = StoredWorld()
    bob_subscribed(world).drop()
    publish(world, b"sent", qos=2, message_expiry_interval=30)
    world.crash()
    assert brief(arrive(world).all(Publish)) == [(1, b"sent", True)]  # the first time, but nobody knows that
    world.crash(60)
    assert brief(arrive(world).all(Publish)) == [(1, b"sent", True)]


@pytest.mark.parametrize("seconds", [0, 200])
def test_a_will_is_published_once(seconds: int) -> None:
    world = StoredWorld()
    mourner = arrive(world, client_id="mourner")
    mourner.subscribe("will", qos=1)
    arrive(world, will=Will(b"will", b"last words", 1, properties=properties(will_delay_interval=100)))
    world.crash(seconds)
    mourner = arrive(world, client_id="mourner")
    world.advance(99)
    assert mourner.received() == []
    world.advance(1)
    mourner.acknowledge(mourner.one(Publish))
    world.crash()
    mourner = arrive(world, client_id="mourner")
    world.advance(1000)
    assert mourner.received() == []


def test_a_will_that_was_held_back_is_due_when_it_was() -> None:
    world = StoredWorld()
    mourner = arrive(world, client_id="mourner")
    mourner.subscribe("will", qos=1)
    arrive(world, will=Will(b"will", b"last words", 1, properties=properties(will_delay_interval=100))).drop()
    world.crash(60)
    mourner = arrive(world, client_id="mourner")
    world.advance(39)
    assert mourner.received() == []
    world.advance(1)
    assert mourner.one(Publish).payload == b"last words"


def test_a_will_without_a_delay_is_published_although_its_client_is_back_before_the_first_tick() -> None:
    world = StoredWorld()
    arrive(world, client_id="mourner").subscribe("will", qos=1)
    arrive(world, will=Will(b"will", b"last words", 1))
    world.crash()
    arrive(world)
    assert arrive(world, client_id="mourner").payloads() == [b"last words"]


def test_a_session_that_expired_meanwhile_is_gone_although_its_client_is_back_before_the_first_tick() -> None:
    world = StoredWorld()
    bob_subscribed(world).drop()
    world.crash(100_001)
    bob = arrive(world)
    assert bob.connack is not None
    assert not bob.connack.session_present
    assert not world.store.rows


@pytest.mark.parametrize("how", ["taken back", "resumed", "replaced"])
def test_a_will_that_is_no_more_does_not_come_back(how: str) -> None:
    world = StoredWorld()
    mourner = arrive(world, client_id="mourner")
    mourner.subscribe("will", qos=1)
    bob = arrive(world, will=Will(b"will", b"old", 1, properties=properties(will_delay_interval=100)))
    if how == "taken back":
        bob.disconnect()
    else:
        bob.drop()
        arrive(world, will=Will(b"will", b"new", 1) if how == "replaced" else None)
    world.crash()
    mourner = arrive(world, client_id="mourner")
    world.advance(500)
    assert mourner.payloads() == ([b"new"] if how == "replaced" else [])


def test_retained_messages_come_back() -> None:
    world = StoredWorld("retainer.expiry_interval = 1000s")
    alice = world.connect("alice")
    alice.publish("a", b"1", qos=1, retain=True)
    alice.publish("b", b"2", retain=True, message_expiry_interval=50)
    alice.publish("c", b"3", retain=True)
    alice.publish("c", b"", retain=True)
    alice.publish("a", b"4", qos=1, retain=True, content_type="text")
    world.crash(10)
    bob = world.connect("bob")
    bob.subscribe("#", qos=1)
    messages = {message.topic_name: message for message in bob.all(Publish)}
    assert {topic: message.payload for topic, message in messages.items()} == {b"a": b"4", b"b": b"2"}
    assert messages[b"a"].properties is not None
    assert messages[b"a"].properties.content_type == "text"
    assert messages[b"b"].properties is not None
    assert messages[b"b"].properties.message_expiry_interval == 40
    world.crash(985)
    world.advance(0)
    assert list(world.store.retained) == [b"a"]
    world.advance(6)
    assert not world.store.retained


def test_clean_start_leaves_nothing_of_the_old_session() -> None:
    world = StoredWorld()
    bob_subscribed(world).drop()
    publish(world, b"x")
    bob = arrive(world, clean_start=True)
    world.crash()
    bob = arrive(world)
    assert bob.received() == []
    assert not world.store.rows
    assert not world.store.messages
    assert not world.session("bob").subscriptions


def test_a_retained_message_is_stored_for_each_session_that_gets_it() -> None:
    world = StoredWorld()
    world.connect("alice").publish("a", b"kept", qos=1, retain=True)
    bob = bob_subscribed(world)
    bob.acknowledge(bob.one(Publish))  # so the store has freed it
    carol = arrive(world, client_id="carol")
    carol.subscribe("a", qos=1)
    world.crash()
    assert arrive(world, client_id="carol").one(Publish).payload == b"kept"


def test_which_of_the_sessions_of_a_client_it_is_comes_back() -> None:
    world = StoredWorld()
    bob = arrive(world)
    world.session("bob").epoch = 7
    bob.drop()
    bob = arrive(world)  # it is written again with each CONNECT
    world.crash()
    assert world.session("bob").epoch == 7


def test_that_a_message_is_gone_is_remembered_for_a_cluster_that_there_may_be_again() -> None:
    world = StoredWorld()
    world.store.tombstones = {b"a": (1, "n1", world.wall - 1.0), b"b": (1, "n1", world.wall + 60.0)}
    world.crash()
    assert list(world.store.tombstones) == [b"b"]
    world.crash(61.0)
    assert world.store.tombstones == {}


def test_what_waits_for_another_node_is_no_session_and_ends_without_a_cluster() -> None:
    world = StoredWorld()
    world.journal.add((r.OPENED, world.journal.session_number(), "x n1", NEVER, r.OUTBOX, 0))
    world.commit()
    assert [row[2] for row in world.store.sessions.values()] == [0]
    world.crash()
    assert world.broker.sessions.by_id == {}
    assert world.store.sessions == {}
