"""Retained messages are the same at all nodes that have heard of each other."""
from typing import Any

import pytest

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.clock import AHEAD, stamp_at
from emqtwist.core.cluster.comparing import MOST_PENDING
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.marks import bucket_of
from emqtwist.core.cluster.retained import DAY
from emqtwist.mqtt.packets import Publish, Suback, Subscribe
from tests.clusters import Net, Node
from tests.stores import WALL


def retained(node: Node, topic: bytes = b"t") -> bytes | None:
    message = node.broker.retained.get(topic)
    return None if message is None else message.payload


def told(net: Net, source: str, target: str, kind: int) -> list[Frame]:
    """The frames of one kind that have come from one node to the other over the link that there is."""
    return [frame for frame in net.ends[target, source].frames if frame[0] == kind]


def retain(node: Node, topic: str = "t", payload: bytes = b"x", **properties: Any) -> None:
    node.connect("publisher").publish(topic, payload, qos=1, retain=True, **properties)


# What is connected.


def test_a_retained_message_is_at_all_nodes_and_for_their_subscribers() -> None:
    net = Net("a", "b", "c")
    retain(net["a"], content_type="text/plain")
    assert [retained(net[name]) for name in "abc"] == [b"x"] * 3
    bob = net["c"].connect("bob")
    bob.subscribe("t", qos=1)
    publish = bob.one(Publish)
    assert (publish.payload, publish.qos, publish.retain) == (b"x", 1, True)
    assert publish.properties is not None
    assert publish.properties.content_type == "text/plain"


def test_who_subscribes_just_then_at_another_node_gets_it() -> None:
    """It is told before the route is known, so it has arrived when SUBACK is sent."""
    net = Net("a", "b")
    net.stall("b", "a")
    bob = net["b"].connect("bob")
    bob.send(Subscribe(1, [(b"t", 0)]))
    retain(net["a"])  # before it knows of the subscription
    assert net["b"].broker.metrics.forwarded_received == 0
    net.stall("b", "a", False)
    suback, publish = bob.received()
    assert isinstance(suback, Suback)
    assert isinstance(publish, Publish)
    assert (publish.payload, publish.retain) == (b"x", True)


def test_a_deletion_is_told_too_also_of_what_is_not_known_where_it_is_asked_for() -> None:
    net = Net("a", "b", "c")
    retain(net["a"])
    retain(net["b"], payload=b"")
    assert [retained(net[name]) for name in "abc"] == [None] * 3
    net.stall("a", "b")
    retain(net["a"], payload=b"y")
    net["b"].turn.now += 0.1
    retain(net["b"], payload=b"")  # it has not heard of it
    net.stall("a", "b", False)
    assert [retained(net[name]) for name in "abc"] == [None] * 3


def test_what_the_operator_deletes_is_gone_everywhere() -> None:
    net = Net("a", "b")
    retain(net["a"])
    assert net["b"].broker.forget(b"t")
    net.settle()
    assert retained(net["a"]) is None
    assert not net["b"].broker.forget(b"t")


def test_what_the_broker_says_of_itself_stays_where_it_is() -> None:
    net = Net("a", "b")
    broker = net["a"].broker
    broker.retain(broker.local_message("$SYS/brokers/a/uptime", b"1", 0, True, b"", 60.0))
    broker.retain(broker.local_message("$SYS/brokers/a/version", b"1", 0, True, b"", 60.0))
    net.settle()
    assert retained(net["a"], b"$SYS/brokers/a/uptime") == b"1"
    assert retained(net["b"], b"$SYS/brokers/a/uptime") is None
    broker.retain(broker.local_message("$SYS/brokers/a/uptime", b"", 0, True, b"", 60.0))
    net.advance(61.0)
    assert (len(net["a"].broker.retained), len(net["a"].cluster.replicas.marks)) == (0, 0)
    assert net["a"].store.retained == net["a"].store.tombstones == {}
    assert told(net, "a", "b", f.RETAIN) == told(net, "a", "b", f.ERASE) == []
    frame = (f.RETAIN, b"$SYS/brokers/b/uptime", 1 << 57, "a", 0, b"x", b"", None, None, "")
    net["b"].cluster.take(net["b"].cluster.peer("a"), [frame])
    assert len(net["b"].broker.retained) == 0


# What was apart.


def test_the_newest_holds_when_nodes_that_were_apart_meet() -> None:
    net = Net("a", "b", "c")
    retain(net["a"], "old", b"0")
    net.isolate("c")
    for name, topic, payload in (("a", "t", b"1"), ("c", "t", b"2"), ("c", "u", b"3"), ("a", "u", b"4"), ("a", "old", b""),
                                 ("c", "v", b"5"), ("b", "w", b"6")):
        net.advance(1.0)
        retain(net[name], topic, payload)
    net.join_all()
    for name in "abc":
        assert [retained(net[name], topic) for topic in (b"t", b"u", b"v", b"w", b"old")] == [b"2", b"4", b"5", b"6", None]
    assert net["a"].cluster.replicas.marks.digests == net["c"].cluster.replicas.marks.digests


@pytest.mark.parametrize(("heard", "other"), ["bc", "cb"])
def test_what_a_node_could_tell_only_some_before_it_was_lost_is_told_by_these(heard: str, other: str) -> None:
    net = Net("a", "b", "c")
    net.cut("a", other)
    retain(net["a"])
    assert (retained(net[heard]), retained(net[other])) == (b"x", None)
    net.isolate("a")
    net.settle()
    assert retained(net[other]) == b"x"


def test_of_two_at_one_moment_that_of_the_later_name_holds() -> None:
    net = Net("a", "b", "c")
    frames = [(*GOOD[:3], name, 0, name.encode(), *GOOD[6:]) for name in ("b", "c")]
    net.isolate("a")
    net["a"].cluster.take(net["a"].cluster.peer("c"), frames)
    frames.reverse()
    net["b"].cluster.take(net["b"].cluster.peer("c"), frames)
    assert [retained(net[name]) for name in "ab"] == [b"c", b"c"]
    net["c"].cluster.take(net["c"].cluster.peer("b"), frames[1:])
    net.join_all()
    assert [retained(net[name]) for name in "abc"] == [b"c"] * 3


def test_nodes_that_have_the_same_tell_each_other_nothing() -> None:
    net = Net("a", "b")
    retain(net["a"])
    retain(net["a"], "gone")
    retain(net["b"], "gone", b"")
    net.cut("a", "b")
    net.join("a", "b")
    kinds = {frame[0] for end in net.ends.values() for frame in end.frames}
    assert f.DIGESTS in kinds
    assert not kinds & {f.MARKS, f.NEED, f.RETAIN, f.ERASE}


def test_a_new_node_gets_all_there_is_a_bucket_at_a_time() -> None:
    net = Net("a", "b")
    net.cut("a", "b")
    broker = net["a"].broker
    for number in range(2000):
        broker.retain(broker.local_message(f"t/{number}", b"%d" % number, 0, True, b"", 1e6))
    net.join("a", "b")
    assert len(net["b"].broker.retained) == 2000
    assert len(net["b"].store.retained) == 2000
    assert retained(net["b"], b"t/1999") == b"1999"


def test_a_bucket_follows_when_what_came_before_is_stored() -> None:
    net = Net("a", "b")
    net.cut("a", "b")
    broker = net["b"].broker
    for number in range(1000):
        broker.retain(broker.local_message(f"t/{number}", b"x", 0, True, b"", 1e6))
    net["a"].commit()
    net["a"].stored = False
    net.join("a", "b")
    came = len(net["a"].broker.retained)
    assert 0 < came < 100
    net["a"].commit()
    net.settle()
    assert came < len(net["a"].broker.retained) < 100
    net["a"].stored = True
    net.settle()
    assert len(net["a"].broker.retained) == 1000


def test_expiry_is_not_lengthened_by_a_journey() -> None:
    net = Net("a", "b", lines=("retainer.expiry_interval = 100s",))
    retain(net["a"], "short", message_expiry_interval=60)
    retain(net["a"], "long")
    net.cut("a", "b")
    net["b"].crash()
    for topic in ("short", "long"):
        retain(net["b"], topic, b"")
        net["b"].turn.now += 1.0
        net["a"].turn.now += 1.0
        retain(net["a"], topic, b"y", **({"message_expiry_interval": 60} if topic == "short" else {}))
    net.advance(30.0)
    net.join("a", "b")
    bob = net["b"].connect("bob")
    bob.subscribe("short")
    publish = bob.one(Publish)
    assert publish.properties is not None
    assert publish.properties.message_expiry_interval == 29
    net.advance(28.0)
    assert (retained(net["b"], b"short"), retained(net["b"], b"long")) == (b"y", b"y")
    net.advance(2.0)
    assert (retained(net["b"], b"short"), retained(net["b"], b"long")) == (None, b"y")
    net.advance(41.0)
    assert retained(net["b"], b"long") is None


def test_a_shorter_time_that_this_node_keeps_messages_counts_here() -> None:
    net = Net("a", "b")
    net["b"].broker.settings.retained_expiry = 50.0
    retain(net["a"])
    net.advance(51.0)
    assert (retained(net["a"]), retained(net["b"])) == (b"x", None)


def test_what_a_message_that_has_expired_took_the_place_of_does_not_come_back() -> None:
    net = Net("a", "b")
    retain(net["a"], payload=b"old")
    net.cut("a", "b")
    net.advance(1.0)
    retain(net["a"], payload=b"new", message_expiry_interval=10)
    net.advance(11.0)
    assert retained(net["a"]) is None
    net.join("a", "b")
    assert [retained(net[name]) for name in "ab"] == [None, None]


# What is gone.


@pytest.mark.parametrize("crash", [False, True])
def test_a_deleted_message_does_not_come_back_within_a_day(crash: bool) -> None:
    net = Net("a", "b")
    retain(net["a"])
    net.cut("a", "b")
    net.advance(1.0)
    retain(net["a"], payload=b"")
    net.advance(DAY - 2.0)
    if crash:
        net["a"].crash()
    net.join("a", "b")
    assert [retained(net[name]) for name in "ab"] == [None, None]


@pytest.mark.parametrize("crash", [False, True])
def test_that_a_message_is_gone_is_forgotten_after_a_day(crash: bool) -> None:
    net = Net("a", "b")
    retain(net["a"])
    retain(net["a"], payload=b"")
    net.advance(DAY / 2)
    net.cut("a", "b")
    net.join("a", "b")
    if crash:
        net["a"].crash()
    net.advance(DAY / 2 + 1.0)
    for name in "ab":
        assert (len(net[name].cluster.replicas.marks), len(net[name].cluster.replicas.graves)) == (0, 0)
        assert net[name].store.tombstones == {}


def test_that_a_message_is_gone_is_not_remembered_for_longer_because_it_is_told() -> None:
    net = Net("a", "b")
    retain(net["a"])
    net.cut("a", "b")
    net.advance(1.0)
    retain(net["a"], payload=b"")
    net.advance(DAY - 10.0)
    net.join("a", "b")
    assert len(net["b"].cluster.replicas.graves) == 1
    net.advance(11.0)
    assert len(net["b"].cluster.replicas.graves) == 0


def test_of_too_many_that_are_gone_the_earliest_are_forgotten() -> None:
    net = Net("a")
    replicas = net["a"].cluster.replicas
    assert replicas.most_gone == 100_000
    replicas.most_gone = 3
    for number in range(5):
        net.advance(1.0)
        retain(net["a"], f"t/{number}", b"")
    assert sorted(net["a"].store.tombstones) == [b"t/2", b"t/3", b"t/4"]
    assert len(replicas.marks) == 3


def test_a_message_after_a_deletion_stays() -> None:
    net = Net("a", "b")
    retain(net["a"], payload=b"")
    retain(net["b"], payload=b"x")
    net.advance(DAY + 1)
    net["a"].crash()
    assert [retained(net[name]) for name in "ab"] == [b"x", b"x"]
    assert net["a"].store.tombstones == {}


# What is stored.


def test_stamps_and_the_end_of_messages_outlive_the_process() -> None:
    net = Net("a", "b")
    retain(net["b"])
    retain(net["a"], "gone", b"")
    before = [list(net["a"].cluster.replicas.marks.digests), net["a"].cluster.clock.last]
    net["a"].crash()
    assert [net["a"].cluster.replicas.marks.digests, net["a"].cluster.clock.last] == before
    assert net["a"].cluster.replicas.marks.get(b"t") == net["b"].cluster.replicas.marks.get(b"t")


def test_what_was_retained_before_there_was_a_cluster_is_older_than_all_else() -> None:
    net = Net("a", "b")
    net.cut("a", "b")
    for name, topics in (("a", "tu"), ("b", "uv")):
        for topic in topics:
            net[name].store.retained[topic.encode()] = name.encode(), 0, b"", None, "", None, 0, ""
        net[name].crash()
    retain(net["a"], "v", b"new")
    net.join("a", "b")
    for name in "ab":
        assert [retained(net[name], topic) for topic in (b"t", b"u", b"v")] == [b"a", b"b", b"new"]


def test_while_the_store_fails_nothing_is_taken_and_all_of_it_is_when_it_works_again() -> None:
    net = Net("a", "b")
    net["b"].journal.failing = "the disk is full"
    retain(net["a"])
    net.advance(1.0)
    assert retained(net["b"]) is None
    net["b"].journal.failing = ""
    net.advance(1.0)
    assert retained(net["b"]) == b"x"


# Links that are slow.


def test_a_slow_node_is_told_of_the_last_state_of_what_changed() -> None:
    net = Net("a", "b", "c")
    net.congest("a", "b")
    for number in range(5):
        retain(net["a"], payload=b"%d" % number)
    retain(net["a"], "u", b"1")
    retain(net["a"], "u", b"")
    assert (retained(net["b"]), retained(net["c"])) == (None, b"4")
    net.congest("a", "b", False)
    assert (retained(net["b"]), retained(net["b"], b"u")) == (b"4", None)
    assert len(told(net, "a", "b", f.RETAIN)) == 1


@pytest.mark.parametrize("name", "ab")
def test_with_a_node_that_was_slow_for_long_all_is_compared(name: str) -> None:
    net = Net("a", "b")
    other = "b" if name == "a" else "a"
    net.congest(name, other)
    broker = net[name].broker
    for number in range(MOST_PENDING + 2):
        broker.retain(broker.local_message(f"t/{number}", b"x", 0, True, b"", 60.0))
    net.congest(name, other, False)
    assert len(net[other].broker.retained) == MOST_PENDING + 2


@pytest.mark.parametrize("name", "ab")
def test_what_differs_although_nodes_are_connected_is_found(name: str) -> None:
    net = Net("a", "b")
    retain(net["a"])
    node = net[name]
    node.broker.retained.delete(b"t")
    node.cluster.replicas.marks.remove(b"t")
    net.advance(61.0)
    assert retained(node) == b"x"


# Modules and limits.


def test_where_the_retainer_is_not_loaded_others_messages_are_kept_and_given_to_nobody() -> None:
    net = Net("a", "b")
    net["b"].broker.retained.closed = True
    retain(net["a"], payload=b"1")
    broker = net["b"].broker
    broker.publish(broker.local_message("t", b"2", 0, True, b"", 60.0))
    assert [retained(net[name]) for name in "ab"] == [b"1", b"1"]
    assert net["b"].drops == {"retainer_unloaded": 1, "no_subscribers": 1}
    bob = net["b"].connect("bob")
    bob.subscribe("t")
    assert bob.received() == []
    net["b"].broker.retained.closed = False
    bob.subscribe("t")
    assert bob.payloads() == [b"1"]


def test_limits_count_where_a_message_is_published() -> None:
    net = Net("a", "b")
    net["b"].broker.retained.max_messages = 1
    for topic in ("t", "u"):
        retain(net["a"], topic)
    assert len(net["b"].broker.retained) == 2
    retain(net["b"], "v")
    assert [retained(net[name], b"v") for name in "ab"] == [None, None]


# Clocks that are wrong.


def test_a_clock_that_is_days_ahead_is_not_followed_and_told() -> None:
    net = Net("a", "b")
    net["b"].journal.offset += 3 * DAY
    retain(net["b"])
    assert "the clock of b is wrong" in net["a"].broker.alarms.active["cluster_stamps/b"].summary
    assert retained(net["a"]) == b"x"
    assert net["a"].cluster.clock.last <= stamp_at(net["a"].wall + AHEAD)
    retain(net["a"], payload=b"y")  # later than what it takes the place of, whatever the clocks say
    retain(net["a"], "u", b"z")
    assert [retained(net[name]) for name in "ab"] == [b"y", b"y"]
    mark = net["b"].cluster.replicas.marks.get(b"u")
    assert mark is not None
    assert mark[0] <= stamp_at(net["a"].wall + AHEAD + 1)
    net["b"].journal.offset -= 3 * DAY
    retain(net["b"], "u", b"good again")
    assert retained(net["a"], b"u") == b"good again"
    assert net["a"].broker.alarms.active == {}


def test_the_alarm_ends_when_time_has_caught_up_or_the_node_has_left() -> None:
    net = Net("a", "b", "c")
    for name in "bc":
        net[name].journal.offset += DAY
        retain(net[name], name)
        net[name].journal.offset -= DAY
    assert {"cluster_stamps/b", "cluster_stamps/c"} <= set(net["a"].broker.alarms.active)
    net["a"].cluster.forget("b")
    assert "cluster_stamps/b" not in net["a"].broker.alarms.active
    net.advance(DAY)
    assert net["a"].broker.alarms.active == {}


def test_a_clock_that_is_set_back_does_not_undo_what_was_written() -> None:
    net = Net("a", "b")
    retain(net["a"], payload=b"1")
    net["a"].journal.offset -= 3 * DAY
    retain(net["a"], payload=b"2")
    assert [retained(net[name]) for name in "ab"] == [b"2", b"2"]
    net["a"].crash()
    net.join("a", "b")
    retain(net["a"], payload=b"3")
    assert [retained(net[name]) for name in "ab"] == [b"3", b"3"]


# What is no frame.


BUCKET = bucket_of(b"t")
GOOD = (f.RETAIN, b"t", stamp_at(WALL), "a", 0, b"x", b"", None, None, "p")


def changed(at: int, value: object) -> Frame:
    return (*GOOD[:at], value, *GOOD[at + 1:])


@pytest.mark.parametrize("frame", [
    changed(1, b""), changed(1, b"a/#"), changed(2, -1), changed(2, 1 << 62), changed(2, True), changed(4, 3), changed(5, b""),
    changed(7, -1.0), changed(8, float("nan")),
    (f.ERASE, b"+", 1, "a", 1.0), (f.ERASE, b"t", -1, "a", 1.0), (f.ERASE, b"t", 1, "a", float("nan")),
    (f.DIGESTS, (0,) * 255), (f.DIGESTS, ("0",) * 256), (f.DIGESTS, (*(0,) * 256, None)),
    (f.MARKS, 256, ()), (f.MARKS, -1, ()), (f.MARKS, 0, (1,)), (f.MARKS, BUCKET, ((b"t", 1, "a"),)),
    (f.MARKS, BUCKET + 1, ((b"t", 1, "a", False),)), (f.MARKS, BUCKET, (("t", 1, "a", False),)),
    (f.MARKS, BUCKET, ((b"t", 1, "a", 1),)), (f.MARKS, BUCKET, ((b"t", "1", "a", False),)),
    (f.MARKS, BUCKET, ((b"t", 1, b"a", False),)), (f.NEED, 256, ()), (f.NEED, 0, ("t",))])
def test_what_is_no_frame_is_refused_and_changes_nothing(frame: Frame) -> None:
    net = Net("a", "b")
    with pytest.raises(BadFrame):
        net["b"].cluster.take(net["b"].cluster.peer("a"), [frame])
    assert len(net["b"].broker.retained) == len(net["b"].cluster.replicas.marks) == 0


def test_a_good_frame_is_taken() -> None:
    net = Net("a", "b")
    net["b"].cluster.take(net["b"].cluster.peer("a"), [GOOD, (f.MARKS, BUCKET, ((b"t", 1, "a", False),))])
    assert retained(net["b"]) == b"x"
