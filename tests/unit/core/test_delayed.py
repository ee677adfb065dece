"""Messages for later: `$delayed/{seconds}/{topic}`."""
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.acl import PUBLISH, PUBSUB, Acl, Pattern, Rule
from emqtwist.core.delayed import BATCH, LONGEST, DelayInvalid, later
from emqtwist.core.door import Terms
from emqtwist.core.hooks import Answer
from emqtwist.core.message import NEVER, Message
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.core.pending import Pending
from emqtwist.core.who import Who
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connect, Puback, Publish, Pubrec, Pubrel, Will
from tests.judges import NO, YES, Judge
from tests.peers import Peer, World, before_5, every_version
from tests.stores import StoredWorld

LASTING = {"clean_start": False, "session_expiry_interval": 1000}
NO_DELAYS = ["$delayed/", "$delayed/5", "$delayed/5/", "$delayed//a", "$delayed/x/a", "$delayed/-1/a", "$delayed/1.5/a",
             "$delayed/\u0665/a", f"$delayed/{LONGEST + 1}/a", "$delayed/00000005/a", "$delayed/5/$delayed/5/a"]
each_qos = pytest.mark.parametrize("qos", [0, 1, 2])


def opened(*lines: str, stored: bool = False) -> World:
    """A world in which messages are delayed."""
    world = StoredWorld(*lines) if stored else World(*lines)
    world.broker.delayed.open = True
    return world


def reader(world: World, topic_filter: str = "#", qos: int = 2, client_id: str = "bob") -> Peer:
    """One that subscribes, and whose session stays."""
    peer = world.connect(client_id, **LASTING)
    if client_id not in world.broker.sessions.by_id or not world.broker.sessions.by_id[client_id].subscriptions:
        peer.subscribe(topic_filter, qos=qos)
    return peer


def heard(peer: Peer) -> list[tuple[bytes, bytes, int, bool]]:
    return [(packet.topic_name, packet.payload, packet.qos, packet.retain) for packet in peer.received()
            if isinstance(packet, Publish)]


# What is said below `$delayed/`.

@given(st.integers(0, LONGEST), st.text("ab/$", min_size=1).filter(lambda text: not text.startswith("$delayed/")))
def test_a_delay_and_the_topic_behind_it(seconds: int, topic: str) -> None:
    assert later(f"$delayed/{seconds}/{topic}".encode(), 0) == (seconds, topic.encode())


@pytest.mark.parametrize("name", NO_DELAYS)
def test_what_is_no_delay(name: str) -> None:
    with pytest.raises(DelayInvalid):
        later(name.encode(), 0)


def test_the_levels_of_the_topic_count() -> None:
    assert later(b"$delayed/5/a/b", 2) == (5, b"a/b")
    world = opened("mqtt.max_topic_levels = 2")
    alice = world.connect("alice")
    alice.publish("$delayed/5/a/b/c", qos=1)
    assert alice.closed


# When and how it is published.

@each_qos
@every_version
def test_it_is_published_when_it_is_due(qos: int, version: int) -> None:
    world = opened()
    bob = reader(world)
    world.connect("alice", version=version).publish("$delayed/5/a/b", b"x", qos=qos)
    world.advance(4.0)
    assert heard(bob) == []
    world.advance(1.0)
    assert heard(bob) == [(b"a/b", b"x", qos, False)]
    assert (len(world.broker.delayed.held), world.broker.delayed.bytes) == (0, 0)
    world.advance(60.0)
    assert heard(bob) == []


def test_each_is_published_in_its_time() -> None:
    world = opened()
    bob = reader(world)
    alice = world.connect("alice")
    for seconds in (3, 1, 2, 0):
        alice.publish(f"$delayed/{seconds}/a", b"%d" % seconds)
    for _ in range(4):
        world.advance(1.0)
    assert [payload for _, payload, _, _ in heard(bob)] == [b"0", b"1", b"2", b"3"]


def test_it_is_retained_when_it_is_due() -> None:
    world = opened()
    world.connect("alice").publish("$delayed/5/a", b"x", retain=True)
    assert len(world.broker.retained) == 0
    world.advance(5.0)
    assert heard(reader(world)) == [(b"a", b"x", 0, True)]


def test_its_properties_stay_and_its_expiry_counts_while_it_waits() -> None:
    world = opened()
    bob = reader(world)
    world.connect("alice").publish("$delayed/5/a", b"x", 1, message_expiry_interval=8, content_type="text", user_properties=[
        ("k", "v")])
    world.advance(5.0)
    told = bob.one(Publish).properties
    assert told is not None
    assert (told.message_expiry_interval, told.content_type, told.user_properties) == (3, "text", [("k", "v")])


def test_what_expires_before_it_is_due_makes_room_then() -> None:
    world = opened()
    bob = reader(world)
    world.connect("alice").publish("$delayed/50/a", b"x", 1, message_expiry_interval=8)
    world.advance(8.0)
    assert (world.broker.delayed.held, world.drops) == ({}, {"expired": 1})
    world.advance(50.0)
    assert heard(bob) == []


def test_an_alias_stands_for_the_whole_name() -> None:
    world = opened()
    bob = reader(world)
    alice = world.connect("alice")
    alice.publish("$delayed/5/a", b"1", topic_alias=1)
    alice.publish("", b"2", topic_alias=1)
    assert heard(bob) == []
    world.advance(5.0)
    assert [(topic, payload) for topic, payload, _, _ in heard(bob)] == [(b"a", b"1"), (b"a", b"2")]


def test_many_that_are_due_are_published_a_number_at_a_time() -> None:
    world = opened()
    got: list[bytes] = []
    world.broker.subscribe("a", lambda message: got.append(message.payload), 0)
    alice = world.connect("alice")
    for number in range(2 * BATCH + 1):
        alice.publish("$delayed/1/a", b"%d" % number)
    woken: list[bool] = []
    world.turn.wake = lambda: woken.append(True)
    world.turn.now += 1.0
    world.broker.tick()
    assert (len(got), woken) == (BATCH, [True])  # or nobody would go on in this second
    world.broker.feed()
    assert len(got) == 2 * BATCH
    world.broker.feed()
    assert got == [b"%d" % number for number in range(2 * BATCH + 1)]
    assert not world.broker.delayed.behind


def test_one_that_cannot_be_published_leaves_the_others_due() -> None:
    world = opened()
    alice = world.connect("alice")
    for payload in (b"bad", b"1", b"2"):
        alice.publish("$delayed/1/a", payload)
    world.turn.now += 1.0
    got: list[bytes] = []

    def publish(message: Message) -> None:
        if message.payload == b"bad":
            raise LookupError
        got.append(message.payload)
    with pytest.raises(LookupError):
        world.broker.delayed.give(publish)
    world.broker.delayed.give(publish)
    assert (got, world.broker.delayed.held) == ([b"1", b"2"], {})


def test_where_nothing_is_delayed_it_is_a_topic_like_others() -> None:
    world = World()
    bob = reader(world, "$delayed/#")
    alice = world.connect("alice")
    alice.publish("$delayed/5/a", b"x", 1)
    assert heard(bob) == [(b"$delayed/5/a", b"x", 1, False)]
    world.broker.delayed.open = True
    alice.publish("$delayed/5/a", b"y", 1)
    alice.publish("$delayed/5/a", b"z")
    assert heard(bob) == []  # no route to it was remembered
    world.broker.delayed.open = False
    alice.publish("$delayed/5/b", b"z")
    assert heard(bob) == [(b"$delayed/5/b", b"z", 0, False)]
    assert len(world.broker.delayed.held) == 2


def test_what_waits_is_published_though_no_more_is_taken() -> None:
    world = opened()
    bob = reader(world)
    world.connect("alice").publish("$delayed/5/a", b"x", 1)
    world.broker.delayed.open = False
    world.advance(5.0)
    assert heard(bob) == [(b"a", b"x", 1, False)]


def test_what_this_process_publishes_is_delayed_too() -> None:
    world = opened()
    bob = reader(world)
    assert world.broker.publish(world.broker.local_message("$delayed/5/a", b"x", 1, False, b"", NEVER)) == 0
    assert world.broker.publish(world.broker.local_message("$delayed/a", b"y", 1, False, b"", NEVER)) == 0
    assert world.drops == {"delay_invalid": 1}
    world.advance(5.0)
    assert heard(bob) == [(b"a", b"x", 1, False)]


def test_a_will_can_be_delayed() -> None:
    world = opened()
    bob = reader(world)
    world.connect("alice", will=Will(b"$delayed/5/a", b"gone", 1)).drop()
    assert heard(bob) == []
    world.advance(5.0)
    assert heard(bob) == [(b"a", b"gone", 1, False)]


def test_functions_see_it_when_it_is_due() -> None:
    world = opened()
    bob = reader(world)
    seen: list[str] = []

    def look(message: Message) -> Message:
        seen.append(message.topic_name)
        return message.changed("z")
    world.broker.hooks.add("message.publish", look)
    world.connect("alice").publish("$delayed/5/a", b"x", 1)
    assert seen == []
    world.advance(5.0)
    assert seen == ["a"]
    assert heard(bob) == [(b"z", b"x", 1, False)]


# What is refused.

@each_qos
@pytest.mark.parametrize("name", ["$delayed/x/a", "$delayed/5"])
def test_a_bad_delay_is_refused_and_counted(qos: int, name: str) -> None:
    world = opened()
    alice = world.connect("alice")
    alice.publish(name, b"x", qos)
    assert world.drops == {"delay_invalid": 1}
    assert [packet.reason_code for packet in alice.received() if isinstance(packet, (Puback, Pubrec))] == (
        [c.TOPIC_NAME_INVALID] if qos else [])
    assert not alice.closed
    assert world.broker.delayed.held == {}


@before_5
def test_before_5_0_a_bad_delay_is_only_done_with(version: int) -> None:
    world = opened()
    alice = world.connect("alice", version=version)
    alice.publish("$delayed/x/a", b"x", 1)
    assert alice.one(Puback).reason_code == 0
    assert world.drops == {"delay_invalid": 1}


BOUNDS = [(1, 0), (0, 2 * (OVERHEAD + 2) - 1)]


@pytest.mark.parametrize(("messages", "size"), BOUNDS)
def test_no_more_are_delayed_than_may_be(messages: int, size: int) -> None:
    world = opened()
    world.broker.delayed.max_messages, world.broker.delayed.max_bytes = messages, size
    alice = world.connect("alice")
    codes = []
    for qos in (1, 1, 2, 0):
        alice.publish("$delayed/5/a", b"x", qos)
        codes += [packet.reason_code for packet in alice.received() if isinstance(packet, (Puback, Pubrec))]
    assert codes == [0, c.QUOTA_EXCEEDED, c.QUOTA_EXCEEDED]
    assert world.drops == {"delayed_full": 3}
    world.advance(5.0)
    alice.publish("$delayed/5/a", b"x", 1)
    assert alice.one(Puback).reason_code == 0


@before_5
def test_before_5_0_what_finds_no_room_is_not_acknowledged(version: int) -> None:
    world = opened()
    world.broker.delayed.max_messages = 1
    alice = world.connect("alice", version=version)
    alice.publish("$delayed/5/a", b"x", 0)
    alice.publish("$delayed/5/a", b"x", 1)
    assert (alice.received(), alice.closed) == ([], True)


@each_qos
def test_a_topic_of_the_broker_s_own_stays_that(qos: int) -> None:
    world = opened()
    alice = world.connect("alice")
    alice.publish("$delayed/0/$SYS/a", b"x", qos)
    assert [packet.reason_code for packet in alice.received() if isinstance(packet, (Puback, Pubrec))] == (
        [c.NOT_AUTHORIZED] if qos else [])
    assert (world.drops, world.broker.delayed.held) == ({"reserved_topic": 1}, {})


@each_qos
def test_access_rules_are_asked_for_the_topic(qos: int) -> None:
    world = World()
    world.broker.acl = Acl([Rule(True, Who(), PUBSUB, [Pattern(b"a"), Pattern(b"$delayed/#")])], False)
    alice = world.connect("alice")
    alice.publish("$delayed/5/b", b"x", qos)  # a topic like others, which is allowed
    world.broker.delayed.open = True
    alice.received()
    for name in ("$delayed/5/b", "$delayed/5/a"):
        alice.publish(name, b"x", qos)
    assert [packet.reason_code for packet in alice.received() if isinstance(packet, (Puback, Pubrec))] == (
        [c.NOT_AUTHORIZED, 0] if qos else [])
    assert [each.message.topic for each in world.broker.delayed.held.values()] == [b"a"]


def test_for_a_will_too() -> None:
    world = opened()
    world.broker.acl = Acl([Rule(True, Who(), PUBSUB, [Pattern(b"a"), Pattern(b"b"), Pattern(b"$delayed/#")])], False)
    assert world.peer().connect("x", will=Will(b"$delayed/5/c", b"")).reason_code == c.NOT_AUTHORIZED
    peers = [world.connect(topic, will=Will(f"$delayed/5/{topic}".encode(), b"")) for topic in "ab"]
    world.broker.acl = Acl([Rule(True, Who(), PUBSUB, [Pattern(b"a"), Pattern(b"$delayed/#")])], False)
    for peer in peers:
        peer.drop()
    assert [each.message.topic for each in world.broker.delayed.held.values()] == [b"a"]


def test_no_will_of_a_client_is_delayed_for_a_topic_of_the_broker_s_own() -> None:
    assert opened().peer().connect("x", will=Will(b"$delayed/5/$SYS/a", b"")).reason_code == c.NOT_AUTHORIZED


@pytest.mark.parametrize("mountpoint", ["", "tenant/"])
def test_an_authority_is_asked_for_the_topic(mountpoint: str) -> None:
    world = opened()
    world.door.terms = Terms(mountpoint=mountpoint)
    judge = Judge(world)
    alice = world.peer()
    alice.send(Connect(c.MQTT_5_0, "alice", will=Will(b"$delayed/5/w", b"gone")))
    judge.say(YES)
    alice.publish("$delayed/5/a", b"x", 1)
    judge.say(YES)
    alice.publish("$delayed/6/a", b"x", 1)  # what was answered is remembered for the topic
    alice.drop()
    judge.say(YES)
    assert [asked[1:] for asked in judge.asked] == [(PUBLISH, b"w"), (PUBLISH, b"a"), (PUBLISH, b"w")]
    topics = [mountpoint.encode() + name for name in (b"a", b"a", b"w")]
    assert [each.message.topic for each in world.broker.delayed.held.values()] == topics


def test_a_will_that_is_delayed_by_a_module_loaded_since_is_asked_for_its_topic() -> None:
    world = World()
    world.broker.acl = Acl([Rule(True, Who(), PUBSUB, [Pattern(b"$delayed/#")])], False)
    alice = world.connect("alice", will=Will(b"$delayed/5/a", b""))
    world.broker.delayed.open = True
    alice.drop()
    assert (world.broker.delayed.held, world.drops) == ({}, {"acl_denied": 1})


def test_functions_are_asked_for_the_topic() -> None:
    world = opened()
    asked: list[str] = []

    def allow(client: object, access: int, topic_name: bytes) -> bool:
        asked.append(topic_name.decode())
        return topic_name == b"a"
    world.broker.hooks.add("client.authorize", lambda client, access, name, allowed=True: allow(client, access, name))
    alice = world.connect("alice", will=Will(b"$delayed/5/a", b"gone", 1))
    alice.publish("$delayed/5/b", b"x", 1)
    assert alice.one(Puback).reason_code == c.NOT_AUTHORIZED
    alice.publish("$delayed/5/a", b"x", 1)
    assert alice.one(Puback).reason_code == 0
    assert asked == ["a", "b", "a"]


@each_qos
@pytest.mark.parametrize("loaded", [True, False])
def test_what_was_decided_of_another_topic_is_asked_again(loaded: bool, qos: int) -> None:
    """The module is loaded, or unloaded, while somebody decides."""
    world = World()
    world.broker.delayed.open = not loaded
    judge = Judge(world)
    alice = world.connect("alice")
    alice.publish("$delayed/5/secret", b"x", qos)
    world.broker.delayed.open = loaded
    judge.say(YES)
    assert [topic for _, _, topic in judge.asked] == ([b"$delayed/5/secret", b"secret"] if loaded else [
        b"secret", b"$delayed/5/secret"])
    judge.say(NO)
    assert (world.drops, world.broker.delayed.held) == ({"acl_denied": 1}, {})
    assert world.broker.metrics.counters()[f"qos{qos}_received"] == 1


@each_qos
def test_by_functions_too(qos: int) -> None:
    world = World()
    asked: list[bytes] = []
    waiting: list[Pending[Answer]] = []

    def ask(*arguments: object) -> Pending[Answer]:
        asked.append(cast(bytes, arguments[2]))
        waiting.append(Pending())
        return waiting[-1]
    world.broker.hooks.add("client.authorize", print, ask=ask)
    alice = world.connect("alice")
    alice.publish("$delayed/5/secret", b"x", qos)
    world.broker.delayed.open = True
    for answer in (True, False):
        waiting.pop().resume(Answer(answer))
        world.settle()
    assert asked == [b"$delayed/5/secret", b"secret"]
    assert (world.drops, world.broker.delayed.held) == ({"acl_denied": 1}, {})
    assert world.broker.metrics.counters()[f"qos{qos}_received"] == 1


# What outlives the process.

@each_qos
def test_it_outlives_the_process(qos: int) -> None:
    world = opened(stored=True)
    assert isinstance(world, StoredWorld)
    reader(world)
    world.connect("alice").publish("$delayed/50/a", b"x", qos, message_expiry_interval=100)
    [record] = world.store.delayed.values()
    assert record[0] == world.wall + 50.0
    world.crash(seconds=20.0)
    bob = reader(world)
    world.advance(29.0)
    assert heard(bob) == []
    world.advance(1.0)
    packet = bob.one(Publish)
    assert (packet.topic_name, packet.payload, packet.qos) == (b"a", b"x", qos)
    assert packet.properties is not None
    assert packet.properties.message_expiry_interval == 50
    assert world.store.delayed == {}


def test_what_fell_due_meanwhile_is_published_with_the_first_tick() -> None:
    world = opened(stored=True)
    assert isinstance(world, StoredWorld)
    reader(world)
    world.connect("alice").publish("$delayed/50/a", b"x", 2)
    world.crash(seconds=100.0)
    bob = reader(world)
    assert heard(bob) == []  # modules are not there yet
    world.advance(0.0)
    assert heard(bob) == [(b"a", b"x", 2, False)]


def test_what_has_expired_meanwhile_is_not() -> None:
    world = opened(stored=True)
    assert isinstance(world, StoredWorld)
    reader(world)
    world.connect("alice").publish("$delayed/50/a", b"x", 2, message_expiry_interval=60)
    world.crash(seconds=100.0)
    world.advance(0.0)
    assert (heard(reader(world)), world.drops, world.store.delayed) == ([], {"expired": 1}, {})


@pytest.mark.parametrize(("qos", "answer"), [(1, Puback), (2, Pubrec)])
def test_the_acknowledgement_waits_for_the_commit(qos: int, answer: type[Puback]) -> None:
    world = opened(stored=True)
    assert isinstance(world, StoredWorld)
    alice = world.connect("alice")
    world.stored = False
    alice.publish("$delayed/50/a", b"x", qos)
    assert alice.received() == []
    world.commit()
    assert alice.one(answer).reason_code == 0


def test_what_cannot_be_kept_is_refused() -> None:
    world = opened(stored=True)
    assert isinstance(world, StoredWorld)
    alice = world.connect("alice")
    world.journal.failing = "the disk is full"
    alice.publish("$delayed/50/a", b"x", 1)
    assert alice.one(Puback).reason_code == c.QUOTA_EXCEEDED
    alice.publish("$delayed/50/a", b"x", 0)
    assert len(world.broker.delayed.held) == 1


@pytest.mark.parametrize("committed", [False, True])
def test_it_is_gone_with_the_commit_that_has_what_it_left(committed: bool) -> None:
    """A crash before the commit: it is due once more, and QoS 2 was not sent before; after it: it is in the queue."""
    world = opened(stored=True)
    assert isinstance(world, StoredWorld)
    bob = reader(world)
    world.connect("alice").publish("$delayed/5/a", b"x", 2)
    world.stored = False
    world.advance(5.0)
    assert heard(bob) == []  # QoS 2 waits for the commit
    if committed:
        assert world.take()
        assert (len(world.store.delayed), len(world.store.rows)) == (0, 1)
    else:
        assert (len(world.store.delayed), len(world.store.rows)) == (1, 0)
    world.stored = True
    world.crash()
    world.advance(0.0)
    bob = reader(world)
    assert [payload for _, payload, _, _ in heard(bob)] == [b"x"]
    world.advance(10.0)
    assert heard(bob) == []


def test_a_repeated_qos_2_publish_is_delayed_once() -> None:
    world = opened(stored=True)
    assert isinstance(world, StoredWorld)
    alice = world.connect("alice", **LASTING)
    alice.send(Publish(b"$delayed/5/a", b"x", 2, packet_id=7))
    world.crash()
    world.broker.delayed.open = True
    bob = reader(world)
    alice = world.connect("alice", **LASTING)
    alice.send(Publish(b"$delayed/5/a", b"x", 2, dup=True, packet_id=7))
    assert alice.one(Pubrec).packet_id == 7
    alice.send(Pubrel(7))
    world.advance(5.0)
    assert len(heard(bob)) == 1


def test_what_was_deleted_is_not_there_after_a_crash_and_its_number_not_given_twice() -> None:
    world = opened(stored=True)
    assert isinstance(world, StoredWorld)
    alice = world.connect("alice")
    alice.publish("$delayed/50/a", b"1", 1)
    alice.publish("$delayed/50/a", b"2", 1)
    assert world.broker.delayed.remove(1) is not None
    assert world.broker.delayed.remove(1) is None
    world.settle()
    world.crash()
    world.broker.delayed.open = True
    world.connect("alice").publish("$delayed/50/a", b"3", 1)
    assert {number: each.message.payload for number, each in world.broker.delayed.held.items()} == {2: b"2", 3: b"3"}


# The table against a list of what it should hold.

@given(st.lists(st.one_of(
    st.tuples(st.just("add"), st.integers(0, 9), st.integers(1, 12)),
    st.tuples(st.just("remove"), st.integers(1, 12), st.just(0)),
    st.tuples(st.just("wait"), st.integers(0, 4), st.just(0)))))
def test_it_gives_what_is_due_in_order(steps: list[tuple[str, int, int]]) -> None:
    world = World()
    delayed, turn, known, last = world.broker.delayed, world.turn, dict[int, tuple[float, float]](), 0
    for step, first, second in steps:
        if step == "add":
            last += 1
            delayed.add(Message(b"a", b"%d" % last, expires_at=turn.now + second), turn.now + first)
            known[last] = turn.now + first, turn.now + second
        elif step == "remove":
            assert (delayed.remove(first) is None) is (known.pop(first, None) is None)
        else:
            turn.now += first
            given: list[bytes] = []
            delayed.give(lambda message, given=given: given.append(message.payload))  # type: ignore[misc]
            over = sorted((number for number, both in known.items() if min(both) <= turn.now),
                          key=lambda number: min(known[number]))
            assert given == [b"%d" % number for number in over if known[number][1] > turn.now]
            for number in over:
                del known[number]
        assert list(delayed.held) == list(known)
        assert delayed.bytes == sum(each.message.size + OVERHEAD for each in delayed.held.values())
