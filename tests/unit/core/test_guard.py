"""Messages that wait, or are under way, when the rules change or another comes for the session."""
import pytest

from emqtwist.core.acl import MOST_REMEMBERED, SUBSCRIBE, Acl, Pattern, Rule
from emqtwist.core.door import Terms
from emqtwist.core.guard import Guard
from emqtwist.core.ruling import use_rules
from emqtwist.core.who import UserIs, Who
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel, Will
from tests.judges import FAILED, NO, YES, Judge
from tests.peers import VERSIONS, Peer, World
from tests.stores import StoredWorld

LASTING = {"clean_start": False, "session_expiry_interval": 1000}


def deny(*filters: str, who: Who | None = None) -> Acl:
    return Acl([Rule(False, who or Who(), SUBSCRIBE, [Pattern(each.encode()) for each in filters])], True)


def narrow(world: World, *filters: str, qos: int = 1, client_id: str = "carol", version: int = 5) -> Peer:
    """Somebody who takes one message at a time."""
    values = {"receive_maximum": 1, "session_expiry_interval": 1000} if version == c.MQTT_5_0 else {}
    carol = world.connect(client_id, version=version, clean_start=False, **values)
    carol.subscribe(*filters, qos=qos)
    return carol


def publish(world: World, *topics: str, qos: int = 1, **values: object) -> None:
    """Each topic is the payload as well."""
    dan = world.connect("dan")
    for topic in topics:
        dan.publish(topic, topic.encode(), qos, **values)  # type: ignore[arg-type]


def taken(peer: Peer) -> list[str]:
    """The topics of what comes, acknowledged as it does."""
    topics: list[str] = []
    while publishes := [packet for packet in peer.received() if isinstance(packet, Publish)]:
        topics += [each.topic_name.decode() for each in publishes]
        peer.acknowledge(*publishes)
    return topics


def lost(world: World) -> int:
    return world.broker.metrics.drops["no_longer_allowed"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_what_waits_under_a_subscription_that_a_change_ends_is_dropped(version: int, qos: int) -> None:
    world = World("mqtt.session.max_inflight = 1")
    carol = narrow(world, "no/#", "yes", qos=qos, version=version)
    publish(world, "yes", "no/a", "yes", "no/b", qos=qos)
    use_rules(world.broker, deny("no/#"))
    assert taken(carol) == ["yes", "yes"]
    assert lost(world) == 2
    assert world.session("carol").gate is None


@pytest.mark.parametrize("topic_filters", [("#", "no/a"), ("#", "$share/g/no/a"), ("#", "no/+")])
def test_what_a_subscription_that_stays_selects_is_delivered(topic_filters: tuple[str, str]) -> None:
    world = World()
    carol = narrow(world, *topic_filters)
    publish(world, "yes", "no/a")
    literal = Rule(True, Who(), SUBSCRIBE, [Pattern(b"#", True)])
    only = Acl([literal, *deny("no/#").rules], True)
    use_rules(world.broker, only)  # a filter may be allowed although topics that it selects are denied
    assert set(taken(carol)) == {"yes", "no/a"}
    assert lost(world) == 0


def test_what_the_client_might_still_subscribe_to_is_delivered() -> None:
    world = World()
    carol = narrow(world, "#")
    publish(world, "yes", "yes", "no/a", "yes")
    use_rules(world.broker, deny("no/#"))
    assert world.session("carol").subscriptions == {}
    assert taken(carol) == ["yes", "yes", "yes"]


def test_what_came_before_an_unsubscribe_is_asked_about_too() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes")
    publish(world, "yes", "no/a", "yes")
    carol.unsubscribe("no/#", "yes")
    use_rules(world.broker, deny("no/#"))
    assert taken(carol) == ["yes", "yes"]


def test_what_comes_after_the_change_waits_behind_and_is_delivered() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes")
    publish(world, "yes", "no/a")
    use_rules(world.broker, deny("no/#"))
    carol.subscribe("new/+", qos=1)
    publish(world, "new/a", "yes")
    assert taken(carol) == ["yes", "new/a", "yes"]


def test_no_rules_deny_nothing() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes")
    publish(world, "yes", "no/a")
    use_rules(world.broker, deny("no/#"))
    use_rules(world.broker, None)
    assert taken(carol) == ["yes", "no/a"]


def test_qos_0_that_waits_is_asked_about() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes", qos=0)
    carol.stall()
    publish(world, "yes", "no/a", "yes", qos=0)
    use_rules(world.broker, deny("no/#"))
    carol.relieve()
    assert taken(carol) == ["yes", "yes"]
    assert lost(world) == 1


def test_who_dropped_it_can_be_found_out() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes")
    publish(world, "yes", "no/a")
    use_rules(world.broker, deny("no/#"))
    told: list[tuple[object, ...]] = []
    world.broker.hooks.add("delivery.dropped", lambda client_id, message, cause: told.append((client_id, message.topic, cause)))
    taken(carol)
    assert told == [("carol", b"no/a", "no_longer_allowed")]


# Under way.

def test_what_was_sent_at_qos_1_is_not_sent_again() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes")
    publish(world, "no/a", "yes")
    use_rules(world.broker, deny("no/#"))
    carol.drop()
    carol = world.connect("carol", **LASTING)
    assert taken(carol) == ["yes"]
    assert lost(world) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_sent_at_qos_2_is_released_in_place_of_being_sent_again(version: int) -> None:
    world = World("mqtt.session.max_inflight = 1")
    carol = narrow(world, "no/#", "yes", qos=2, version=version)
    publish(world, "no/a", "yes", qos=2)
    packet_id = carol.one(Publish).packet_id
    use_rules(world.broker, deny("no/#"))
    carol.drop()
    carol = world.connect("carol", version=version, clean_start=False)
    assert carol.one(Pubrel).packet_id == packet_id
    carol.send(Pubcomp(packet_id))
    assert taken(carol) == ["yes"]
    assert lost(world) == 1


def test_what_was_sent_before_is_acknowledged_as_ever() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes", qos=2)
    publish(world, "no/a", "yes", qos=2)
    packet_id = carol.one(Publish).packet_id
    use_rules(world.broker, deny("no/#"))
    carol.send(Pubrec(packet_id))
    assert carol.one(Pubrel).packet_id == packet_id
    carol.send(Pubcomp(packet_id))
    assert taken(carol) == ["yes"]
    assert lost(world) == 0


def test_past_pubrec_only_pubrel_is_sent_again() -> None:
    world = World()
    carol = narrow(world, "no/#", qos=2)
    publish(world, "no/a", qos=2)
    packet_id = carol.one(Publish).packet_id
    carol.send(Pubrec(packet_id))
    use_rules(world.broker, deny("no/#"))
    carol.drop()
    carol = world.connect("carol", **LASTING)
    assert carol.one(Pubrel).packet_id == packet_id
    assert lost(world) == 0


@pytest.mark.parametrize("qos", [1, 2])
def test_nothing_is_retried_that_is_not_allowed_any_more(qos: int) -> None:
    world = World("mqtt.session.retry_interval = 10s")
    carol = narrow(world, "no/#", "yes", qos=qos, version=c.MQTT_3_1_1)
    publish(world, "no/a", "yes", qos=qos)
    carol.received()
    use_rules(world.broker, deny("no/#"))
    world.advance(11)
    assert [packet.topic_name for packet in carol.received() if isinstance(packet, Publish)] == [b"yes"]
    assert lost(world) == 1


# Another client.

def waiting_without_subscription(world: World) -> None:
    """carol has unsubscribed and gone when messages for her wait, one of them under way."""
    carol = narrow(world, "no/#", "yes")
    publish(world, "no/a", "yes", "no/b")
    carol.unsubscribe("no/#", "yes")
    carol.drop()


@pytest.mark.parametrize(("user_name", "topics"), [("carol", ["no/a", "yes", "no/b"]), ("eve", ["yes"])])
def test_another_user_gets_what_he_might_subscribe_to(user_name: str, topics: list[str]) -> None:
    world = World()
    use_rules(world.broker, deny("no/#", who=UserIs("eve")))
    waiting_without_subscription(world)
    carol = world.connect("carol", user_name=user_name, **LASTING)
    assert carol.connack is not None
    assert carol.connack.session_present
    assert taken(carol) == topics


# A group.

def test_what_a_group_gave_to_one_who_may_not_have_it_goes_to_another() -> None:
    world = World()
    carol = narrow(world, "yes", "$share/g/no/#")
    publish(world, "yes", "no/a")
    eve = world.connect("eve", user_name="eve")
    eve.subscribe("$share/g/no/#", qos=1)
    use_rules(world.broker, Acl([Rule(True, UserIs("eve"), SUBSCRIBE, []), *deny("no/#").rules], True))
    assert taken(carol) == ["yes"]
    assert taken(eve) == ["no/a"]
    assert world.drops == {}


def test_what_a_group_gave_to_its_last_member_is_dropped() -> None:
    world = World()
    carol = narrow(world, "yes", "$share/g/no/#")
    publish(world, "yes", "no/a")
    use_rules(world.broker, deny("no/#"))
    assert taken(carol) == ["yes"]
    assert world.drops == {"no_longer_allowed": 1}


# Retained messages and Wills.

def test_retained_messages_that_wait_are_asked_about_and_no_more_follow() -> None:
    world = World()
    publish(world, "no/a", "no/b", "no/c", retain=True)
    carol = narrow(world, "yes")
    carol.subscribe("no/#", qos=1)
    first = carol.one(Publish)
    use_rules(world.broker, deny("no/#"))
    carol.acknowledge(first)
    assert carol.received() == []
    assert world.session("carol").replays == {}


def test_a_will_that_waits_is_a_message_like_others() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes")
    publish(world, "yes")
    world.connect("eve", will=Will(b"no/a", b"gone", 1, False, None)).drop()
    use_rules(world.broker, deny("no/#"))
    assert taken(carol) == ["yes"]
    assert lost(world) == 1


# An authority.

def test_an_authority_is_asked_about_what_no_subscription_selects() -> None:
    world = World()
    carol = narrow(world, "no/#", "yes")
    publish(world, "yes", "no/a", "yes", "no/b")
    judge = Judge(world)
    judge.say(YES, NO)  # the last subscription is asked about first
    assert world.session("carol").subscriptions.keys() == {b"yes"}
    first = carol.one(Publish)
    carol.acknowledge(first)
    assert carol.received() == []
    assert judge.asked[-1] == ("carol", SUBSCRIBE, b"no/a")
    judge.say(NO)
    [second] = carol.all(Publish)
    carol.acknowledge(second)
    judge.say(YES)
    assert taken(carol) == ["no/b"]
    assert lost(world) == 1


def test_what_is_under_way_waits_for_an_authority_too() -> None:
    world = World()
    waiting_without_subscription(world)
    judge = Judge(world)
    carol = world.connect("carol", **LASTING)
    assert carol.received() == []
    judge.say(NO, YES, YES)
    assert taken(carol) == ["yes", "no/b"]


def test_where_it_cannot_be_found_out_the_client_has_to_come_again() -> None:
    world = World()
    waiting_without_subscription(world)
    judge = Judge(world)
    carol = world.connect("carol", **LASTING)
    judge.say(FAILED)
    assert carol.one(Disconnect).reason_code == c.SERVER_BUSY
    use_rules(world.broker, None)
    assert taken(world.connect("carol", **LASTING)) == ["no/a", "yes", "no/b"]


def test_an_answer_that_comes_when_the_client_has_gone_changes_nothing() -> None:
    world = World()
    waiting_without_subscription(world)
    judge = Judge(world)
    world.connect("carol", **LASTING).drop()
    judge.say(NO)
    use_rules(world.broker, None)
    assert taken(world.connect("carol", **LASTING)) == ["no/a", "yes", "no/b"]


def test_the_authority_hears_topics_as_the_client_says_them() -> None:
    world = World()
    world.door.terms = Terms(mountpoint="tenant/")
    judge, _ = asked_about_one(world)
    assert judge.asked == [("carol", SUBSCRIBE, b"no/a")]


def asked_about_one(world: World) -> tuple[Judge, Peer]:
    """An authority is asked about the next message for carol."""
    waiting_without_subscription(world)
    judge = Judge(world)
    carol = world.connect("carol", **LASTING)
    assert judge.waits() == 1
    return judge, carol


def test_other_rules_make_the_question_void() -> None:
    world = World()
    judge, carol = asked_about_one(world)
    use_rules(world.broker, deny("no/#"))
    world.settle()
    judge.say(FAILED)
    assert taken(carol) == ["yes"]
    assert not carol.closed


def test_after_a_failure_nobody_is_asked_about_the_rest() -> None:
    world = World()
    carol = world.connect("carol", **LASTING)
    carol.subscribe("no", qos=1)
    publish(world, "no", "no")
    carol.received()
    carol.unsubscribe("no")
    carol.drop()
    judge = Judge(world, no=FAILED)
    world.connect("carol", **LASTING)
    assert judge.asked == [("carol", SUBSCRIBE, b"no")]


def test_what_is_remembered_is_bounded() -> None:
    world = World()
    carol = narrow(world, "#")
    topics = [str(number) for number in range(MOST_REMEMBERED + 3)]
    publish(world, "yes", *topics, "no/a")
    use_rules(world.broker, deny("no/#"))
    gate = world.session("carol").gate
    assert isinstance(gate, Guard)
    assert taken(carol) == ["yes", *topics]
    assert 0 < len(gate._known) < MOST_REMEMBERED


# While subscriptions that are to end cannot be taken out.

@pytest.mark.parametrize("topic_filters", [("no/a", "no/#"), ("no/#", "no/a"), ("$share/g/no/#",)])
def test_a_subscription_on_its_way_out_selects_nothing(topic_filters: tuple[str, ...]) -> None:
    world = World()
    carol = narrow(world, "yes", *topic_filters)
    publish(world, "yes", "no/a")
    for worker in world.broker.pools.pubsub.workers:
        worker.up = False
    use_rules(world.broker, deny("no/#"))
    assert taken(carol) == ["yes"]
    assert lost(world) == 1


# A store.

@pytest.mark.parametrize("restart", [False, True])
def test_what_waits_in_the_store_is_asked_about_and_goes_there_too(restart: bool) -> None:
    world = StoredWorld("mqtt.mqueue.max_memory = 1KB")
    carol = narrow(world, "no/#", "yes")
    publish(world, *["yes", "no/a"] * 20)
    carol.unsubscribe("no/#")
    assert world.session("carol").backlog.queue.stored > 0  # type: ignore[union-attr]
    if restart:
        world.crash()
        world.broker.acl = deny("no/#")
        carol = world.connect("carol", receive_maximum=1, **LASTING)
    else:
        use_rules(world.broker, deny("no/#"))
    assert taken(carol) == ["yes"] * 20
    assert lost(world) == 20
    world.settle()
    assert world.store.rows == {}


def test_a_row_that_may_have_been_sent_at_qos_2_is_released() -> None:
    world = StoredWorld()
    carol = narrow(world, "no/#", "yes", qos=2)
    publish(world, "no/a", "yes", qos=2)
    packet_id = carol.one(Publish).packet_id
    carol.unsubscribe("no/#")
    world.crash()
    world.broker.acl = deny("no/#")
    carol = world.connect("carol", **LASTING)
    pubrel, publish_ = carol.received()
    assert isinstance(pubrel, Pubrel)
    assert pubrel.packet_id == packet_id
    assert isinstance(publish_, Publish)
    carol.send(Pubcomp(packet_id))
    carol.acknowledge(publish_)
    world.settle()
    assert lost(world) == 1
    assert world.store.rows == {}


def test_what_was_dropped_for_the_rules_does_not_come_back_with_a_crash() -> None:
    world = StoredWorld()
    carol = narrow(world, "no/#", "yes")
    publish(world, "yes", "no/a")
    use_rules(world.broker, deny("no/#"))
    carol.send(Puback(carol.one(Publish).packet_id))
    world.crash()
    world.broker.acl = None
    assert taken(world.connect("carol", **LASTING)) == []
