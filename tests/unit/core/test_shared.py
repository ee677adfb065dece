"""Shared subscriptions: each message of a group goes to one member, as that one subscribed."""
import pytest

from emqtwist.core import causes
from emqtwist.core.prefixes import subscription_to
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect, Puback, Publish, Pubrec, Suback, Subscribe
from tests.peers import Peer, World, every_version
from tests.scenes import arrive, publish

SHARED = pytest.mark.parametrize("topic_filter", ["$share/g/a", "$queue/a", "$local/$share/g/a", "$local/$queue/a",
                                                  "$queue/$local/a", "$share/g/+", "$share/g/#"])


def member(world: World, client_id: str, version: int = 5, qos: int = 2, topic_filter: str = "$share/g/a",
           **options: int) -> Peer:
    """A client with a session that outlives its connection, in the group."""
    peer = arrive(world, version, client_id)
    assert peer.subscribe(topic_filter, qos=qos, **options) == [qos]
    return peer


@every_version
@SHARED
def test_each_message_goes_to_one_member(version: int, topic_filter: str) -> None:
    world = World()
    bob, carol = member(world, "bob", version, 2, topic_filter), member(world, "carol", version, 2, topic_filter)
    for qos in (0, 1, 2):
        publish(world, b"1", b"2", qos=qos)
        got = [publish for peer in (bob, carol) for publish in peer.all(Publish)]
        assert sorted((each.payload, each.qos, each.topic_name) for each in got) == [(b"1", qos, b"a"), (b"2", qos, b"a")]


def test_groups_are_apart_from_each_other_and_from_the_rest() -> None:
    world = World()
    peers = [world.connect(f"c{n}") for n in range(5)]
    for peer, topic_filter in zip(peers, ("$share/g/a", "$share/h/a", "$share/g/+", "$queue/a", "a"), strict=True):
        peer.subscribe(topic_filter)
    publish(world, b"x", qos=0)
    assert [peer.payloads() for peer in peers] == [[b"x"]] * 5


def test_a_client_with_a_shared_and_an_ordinary_subscription_gets_both_copies() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("$share/g/a", qos=1, identifier=1)
    bob.subscribe("a", qos=2, identifier=2)
    publish(world, b"x", qos=2)
    assert sorted((each.qos, each.properties.subscription_identifiers) for each in bob.all(Publish) if each.properties) == [
        (1, [1]), (2, [2])]
    assert bob.unsubscribe("a") == [c.SUCCESS]
    publish(world, b"y", qos=2)
    assert bob.one(Publish).qos == 1


@pytest.mark.mqtt5("3.3.1-12", "3.3.1-13", "4.8.2-3")
def test_each_member_gets_what_it_subscribed_to() -> None:
    world = World()
    bob = member(world, "bob", qos=1, identifier=7)
    carol = member(world, "carol", qos=0, options=c.OPTION_RETAIN_AS_PUBLISHED)
    publish(world, b"1", b"2", qos=2, retain=True)
    to_bob, to_carol = bob.one(Publish), carol.one(Publish)
    assert to_bob.properties is not None
    assert (to_bob.qos, to_bob.retain, to_bob.properties.subscription_identifiers) == (1, False, [7])
    assert (to_carol.qos, to_carol.retain, to_carol.properties) == (0, True, None)


def test_a_member_may_change_its_options() -> None:
    world = World()
    bob = member(world, "bob", qos=1)
    for qos in (0, 2):
        bob.subscribe("$share/g/a", qos=qos)
        publish(world, b"x", qos=2)
        assert bob.one(Publish).qos == qos
    bob.unsubscribe("$share/g/a")
    assert world.broker.subscriptions.groups.by_name == {}


@every_version
def test_unsubscribe_names_the_whole_filter(version: int) -> None:
    world = World()
    bob, carol = member(world, "bob", version), member(world, "carol", version)
    answer = bob.unsubscribe("a", "$share/h/a", "$share/g/a", "$share/g/a")
    assert answer == ([] if version != 5 else [
        c.NO_SUBSCRIPTION_EXISTED, c.NO_SUBSCRIPTION_EXISTED, c.SUCCESS, c.NO_SUBSCRIPTION_EXISTED])
    publish(world, b"1", b"2", qos=0)
    assert (bob.received(), carol.payloads()) == ([], [b"1", b"2"])
    carol.unsubscribe("$share/g/a")
    assert world.broker.router.filters() == []
    assert world.broker.subscriptions.groups.by_name == {}


def test_a_group_is_one_subscriber_to_its_publisher() -> None:
    world = World()
    bob = member(world, "bob")
    alice = world.connect("alice")
    alice.publish("a", qos=1)
    assert alice.answer(Puback)[1] == c.SUCCESS
    bob.unsubscribe("$share/g/a")
    alice.publish("a", qos=1)
    assert alice.answer(Puback)[1] == c.NO_MATCHING_SUBSCRIBERS


def test_no_retained_messages_come_with_a_shared_subscription() -> None:
    world = World()
    publish(world, b"kept", retain=True)
    for topic_filter in ("$share/g/a", "$queue/a", "$share/g/#"):
        assert member(world, "bob", topic_filter=topic_filter).received() == []
    assert member(world, "bob", topic_filter="a").payloads() == [b"kept"]


@pytest.mark.parametrize("topic_filter", ["$share/g/a", "$queue/a"])
@pytest.mark.parametrize("word", ["on", "off"])
@pytest.mark.mqtt5("3.8.3-4")
def test_no_local_with_a_shared_subscription_is_a_protocol_error(topic_filter: str, word: str) -> None:
    world = World(f"mqtt.shared_subscription = {word}")
    bob = world.connect("bob")
    bob.send(Subscribe(1, [(topic_filter.encode(), c.OPTION_NO_LOCAL)]))
    assert bob.one(Disconnect).reason_code == c.PROTOCOL_ERROR
    assert world.broker.router.filters() == []


@pytest.mark.parametrize("topic_filter", ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/#/a",
                                          "$share/g+/a", "$queue/", "$share/g/$share/h/a", "$share/g/$queue/a"])
@every_version
@pytest.mark.mqtt5("4.8.2-1", "4.8.2-2")
def test_a_share_name_has_a_character_and_no_wildcard_and_a_filter_follows(version: int, topic_filter: str) -> None:
    bob = World().connect("bob", version=version)  # [MQTT-4.8.2-1] [MQTT-4.8.2-2]
    assert bob.subscribe(topic_filter) == [c.TOPIC_FILTER_INVALID if version == 5 else c.SUBSCRIBE_FAILURE]


def test_shared_subscriptions_count_among_those_of_a_session() -> None:
    bob = World("mqtt.session.max_subscriptions = 2").connect("bob")
    assert bob.subscribe("$share/g/a", "$queue/a", "$queue/$local/a", "$queue/a") == [0, 0, c.QUOTA_EXCEEDED, 0]


def test_clients_that_are_not_to_get_their_own_messages_do_not_get_them_as_members() -> None:
    world = World("mqtt.session.ignore_loop_deliver = on")
    bob, carol = member(world, "bob"), member(world, "carol")
    for _ in range(3):
        bob.publish("a", b"x")
    assert (bob.received(), carol.payloads()) == ([], [b"x"] * 3)
    carol.publish("a", b"y", qos=1)
    assert (carol.received() != [], bob.payloads()) == (True, [b"y"])
    bob.drop()
    carol.unsubscribe("$share/g/a")
    carol.received()
    bob = arrive(world, client_id="bob")
    bob.received()
    bob.publish("a", b"z")
    assert (bob.received(), world.drops) == ([], {causes.NO_SUBSCRIBERS: 1})


# Who is here, who is away.

@every_version
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_offline_members_get_nothing_while_one_is_online(version: int, qos: int) -> None:
    world = World()
    bob, carol, dave = (member(world, name, version) for name in ("bob", "carol", "dave"))
    bob.drop()
    dave.disconnect()
    publish(world, b"1", b"2", b"3", qos=qos)
    assert carol.payloads() == [b"1", b"2", b"3"]
    for name in ("bob", "dave"):
        assert arrive(world, version, name).received() == []


@every_version
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_with_nobody_online_one_keeps_the_message(version: int, qos: int) -> None:
    world = World()
    for name in ("bob", "carol"):
        member(world, name, version).drop()
    publish(world, b"1", b"2", qos=qos)
    assert [world.session(name).queued() for name in ("bob", "carol")] == [1, 1]
    assert arrive(world, version, "bob").payloads() == [b"1"]
    publish(world, b"3", qos=qos)
    assert arrive(world, version, "carol").payloads() == [b"2"]


def test_who_comes_back_takes_part_again() -> None:
    world = World()
    bob, carol = member(world, "bob"), member(world, "carol")
    bob.drop()
    bob = arrive(world, client_id="bob")
    publish(world, *[b"%d" % n for n in range(4)], qos=0)
    assert (len(bob.payloads()), len(carol.payloads())) == (2, 2)


def test_whose_session_ends_is_no_member_any_more() -> None:
    world = World()
    member(world, "bob").drop()
    world.connect("carol").subscribe("$share/g/a")
    world.advance(2000)  # bob's session expires
    assert list(world.broker.sessions.by_id) == ["carol"]
    assert len(world.broker.subscriptions.groups.by_name[b"$share/g/a"].away.order) == 0
    world.connect("carol", clean_start=True).disconnect()
    assert world.broker.subscriptions.groups.by_name == {}


def test_a_session_without_its_client_joins_as_one_who_is_away() -> None:
    world = World()
    bob = world.broker.sessions.create("bob")
    bob.expiry_interval = 1000
    world.broker.sessions.subscribe(bob, subscription_to(bob, b"$share/g/a", 1, ()))
    carol = member(world, "carol")
    publish(world, b"1", b"2")
    assert (bob.load(), carol.payloads()) == (0, [b"1", b"2"])


# Full queues.

def full(world: World, client_id: str) -> None:
    """A member that is here, reads nothing and has no room for a message more."""
    member(world, client_id)
    world.session(client_id).link.congested = True  # type: ignore[union-attr]


@pytest.mark.parametrize("qos", [1, 2])
def test_a_group_refuses_only_when_no_member_has_room(qos: int) -> None:
    world = World("mqtt.mqueue.max_length = 1")
    for name in ("bob", "carol"):
        full(world, name)
    alice = world.connect("alice")
    codes = []
    for _ in range(4):
        alice.publish("a", qos=qos)
        codes.append(alice.answer(Puback if qos == 1 else Pubrec)[1])
    assert codes == [c.SUCCESS, c.SUCCESS, c.QUOTA_EXCEEDED, c.QUOTA_EXCEEDED]
    assert world.drops == {causes.QUEUE_FULL_REFUSED: 2}


@pytest.mark.parametrize("strategy", ["least_loaded", "random", "round_robin", "sticky", "hash_topic"])
def test_a_message_goes_to_a_member_that_has_room_whatever_the_strategy(strategy: str) -> None:
    world = World("mqtt.mqueue.max_length = 2", f"mqtt.shared_subscription_strategy = {strategy}")
    for name in ("bob", "carol"):
        full(world, name)
    dave = world.connect("dave")  # his session ends with his connection, and would drop its oldest
    dave.subscribe("$share/g/a", qos=1)
    dave.stall()
    publish(world, *[b"x"] * 6)
    assert [world.session(name).queued() for name in ("bob", "carol", "dave")] == [2, 2, 2]
    assert world.drops == {}


def test_a_member_that_gets_qos_0_refuses_nothing() -> None:
    world = World("mqtt.mqueue.max_length = 1")
    full(world, "bob")
    carol = member(world, "carol", qos=0)
    alice = world.connect("alice")
    for _ in range(4):
        alice.publish("a", b"x", qos=1)
    assert {code.reason_code for code in alice.all(Puback)} == {c.SUCCESS}
    assert world.session("bob").queued() + len(carol.all(Publish)) == 4


@pytest.mark.parametrize("strategy", ["least_loaded", "random", "round_robin", "sticky", "hash_topic"])
def test_with_no_room_anywhere_one_who_refuses_nothing_gets_it(strategy: str) -> None:
    world = World("mqtt.mqueue.max_length = 1", f"mqtt.shared_subscription_strategy = {strategy}")
    full(world, "bob")
    dave = world.connect("dave")
    dave.subscribe("$share/g/a", qos=1)
    dave.stall()
    publish(world, b"1", b"2", b"3")
    dave.relieve()
    assert dave.payloads() == [b"3"]
    assert (world.session("bob").load(), world.drops) == (1, {causes.QUEUE_FULL: 1})


@pytest.mark.parametrize("on_full", ["drop_oldest", "drop_newest"])
def test_a_full_queue_that_drops_is_passed_over_too(on_full: str) -> None:
    world = World("mqtt.mqueue.max_length = 1", f"mqtt.mqueue.on_full = {on_full}",
                  "mqtt.shared_subscription_strategy = hash_topic")
    for name in ("bob", "carol", "dave"):
        full(world, name)
    publish(world, b"1", b"2", b"3")
    assert world.drops == {}
    publish(world, b"4")
    assert world.drops == {causes.QUEUE_FULL: 1}


def test_what_has_expired_takes_no_room() -> None:
    world = World("mqtt.mqueue.max_length = 1")
    full(world, "bob")
    publish(world, b"1", message_expiry_interval=1)
    world.turn.now += 2
    alice = world.connect("alice")
    alice.publish("a", b"2", qos=1)
    assert alice.answer(Puback)[1] == c.SUCCESS
    assert (world.session("bob").queued(), world.drops) == (1, {causes.EXPIRED: 1})


def test_a_message_larger_than_a_queue_goes_to_who_needs_no_queue() -> None:
    world = World("mqtt.mqueue.max_bytes = 1KB")
    full(world, "bob")
    carol = member(world, "carol")
    publish(world, bytes(2000))
    assert (carol.payloads(), world.drops) == ([bytes(2000)], {})


def test_a_full_queue_refuses_nothing_that_it_gets_at_qos_0() -> None:
    world = World("mqtt.mqueue.max_length = 1")
    member(world, "bob", qos=0)
    world.session("bob").link.congested = True  # type: ignore[union-attr]
    alice = world.connect("alice")
    for _ in range(3):
        alice.publish("a", b"x", qos=1)
    assert {answer.reason_code for answer in alice.all(Puback)} == {c.SUCCESS}
    assert world.drops == {causes.QUEUE_FULL: 2}


# A member that fails.

def test_a_member_that_cannot_be_served_costs_itself() -> None:
    world = World()
    bob = arrive(world, client_id="bob", maximum_packet_size=95)
    bob.subscribe("$share/g/a", qos=1)
    carol = member(world, "carol")
    del world.broker.metrics.drops[causes.TOO_LARGE_FOR_CLIENT]  # so that counting what bob cannot take fails
    alice = world.connect("alice")
    for payload in (bytes(100), b"next", b"last"):
        alice.publish("a", payload, qos=1)
    assert [answer.reason_code for answer in alice.all(Puback)] == [c.SUCCESS] * 3
    assert bob.closed
    assert [client_id for client_id, _ in world.witness.told("delivery_failed")] == ["bob"]
    assert carol.payloads() == [b"next", b"last"]


def test_a_defect_of_the_choice_is_told() -> None:
    world = World()
    member(world, "bob")
    world.broker.subscriptions.groups.by_name[b"$share/g/a"].here.queue.clear()
    publish(world, b"x")
    assert [client_id for client_id, _ in world.witness.told("delivery_failed")] == ["$share/g/a"]


def test_a_reason_comes_with_the_refusal() -> None:
    bob = World("mqtt.shared_subscription = off").connect("bob")
    bob.send(Subscribe(1, [(b"$share/g/a", 0), (b"a", 0)]))
    suback = bob.one(Suback)
    assert suback.reason_codes == [c.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, 0]
    assert suback.properties is not None
    assert suback.properties.reason_string == "shared subscriptions are not available"
