"""Shared subscriptions with members on several nodes: each message goes to one of them all."""
from collections import Counter

import pytest

from emqtwist.core import causes
from emqtwist.core.cluster import seats
from emqtwist.core.cluster.frames import LOAD, MARK
from emqtwist.core.cluster.routes import HELD, STORED
from emqtwist.core.cluster.seats import MOST, counts_of, value_of
from emqtwist.core.cluster.sharing import EACH
from emqtwist.core.strategies import STRATEGIES
from emqtwist.mqtt.constants import OPTION_RETAIN_AS_PUBLISHED, QUOTA_EXCEEDED, SUCCESS
from emqtwist.mqtt.packets import Puback, Publish, Suback, Subscribe
from tests.clusters import Net
from tests.peers import Peer
from tests.scenes import LASTING

GROUP = "$share/g/t/#"
NODES = ("a", "b", "c")


def strategy(name: str) -> tuple[str, ...]:
    return (f"mqtt.shared_subscription_strategy = {name}",)


def member(net: Net, node: str, name: str = "", group: str = GROUP, qos: int = 2) -> Peer:
    peer = net[node].connect(name or f"member-{node}")
    peer.subscribe(group, qos=qos)
    return peer


def lasting(net: Net, node: str, name: str = "", group: str = GROUP, qos: int = 2) -> Peer:
    peer = net[node].connect(name or f"lasting-{node}", **LASTING[5])
    peer.subscribe(group, qos=qos)
    return peer


def publish(net: Net, node: str, *payloads: bytes, topic: str = "t/1", qos: int = 1) -> None:
    publisher = net[node].connect(f"publisher-{node}")
    for payload in payloads:
        publisher.publish(topic, payload, qos=qos)
    publisher.disconnect()


def taken(*peers: Peer) -> list[list[bytes]]:
    """The payloads that each got, and acknowledges."""
    found = []
    for peer in peers:
        publishes = peer.all(Publish)
        peer.acknowledge(*publishes)
        found.append([each.payload for each in publishes])
    return found


def cut(net: Net, one: str, other: str) -> None:
    net.cut(one, other)
    net.settle()


# Each message has one member.

@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_member_of_another_node_gets_a_message_as_it_subscribed(qos: int) -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe(GROUP, qos=1, options=OPTION_RETAIN_AS_PUBLISHED, identifier=7)
    net["b"].connect("bob").publish("t/1", b"x", qos=qos, retain=True, content_type="text/plain")
    got = alice.one(Publish)
    assert (got.topic_name, got.payload, got.qos, got.retain) == (b"t/1", b"x", min(qos, 1), True)
    assert got.properties is not None
    assert (got.properties.content_type, got.properties.subscription_identifiers) == ("text/plain", [7])


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_has_one_member_wherever_it_is_published(name: str, qos: int) -> None:
    net = Net(*NODES, lines=strategy(name))
    members = [member(net, node, f"{node}{number}") for node in NODES for number in range(2)]
    sent = []
    for number in range(30):
        sent.append(b"%d" % number)
        publish(net, NODES[number % 3], sent[-1], qos=qos, topic=f"t/{number % 5}")
    assert sorted(sum(taken(*members), [])) == sorted(sent)
    assert [net[node].drops for node in NODES] == [{}] * 3


def test_who_subscribes_alone_gets_it_too() -> None:
    net = Net("a", "b")
    alone, shared = net["b"].connect("alone"), member(net, "b")
    alone.subscribe("t/#", qos=1)
    publish(net, "a", b"x")
    assert taken(alone, shared) == [[b"x"], [b"x"]]


@pytest.mark.parametrize("group", ["$queue/t/#", "$share/other/t/#"])
def test_other_groups_are_others(group: str) -> None:
    net = Net("a", "b")
    one, other = member(net, "a", "one"), member(net, "b", "other", group)
    publish(net, "a", b"x")
    publish(net, "b", b"y")
    assert taken(one, other) == [[b"x", b"y"], [b"x", b"y"]]


def test_a_local_group_is_of_its_node_only() -> None:
    net = Net("a", "b")
    alice = member(net, "a", group="$local/" + GROUP)
    publish(net, "b", b"x")
    publish(net, "a", b"y")
    assert taken(alice) == [[b"y"]]
    assert net["a"].cluster.routes.table.entries == {}
    assert (net["b"].broker.metrics.forwarded_sent, net["b"].broker.router.filters()) == (0, [])


def test_a_suback_waits_until_other_nodes_know_of_the_member() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    net.stall("b", "a")
    alice.send(Subscribe(1, [(GROUP.encode(), 1)]))
    assert alice.received() == []
    net.stall("b", "a", False)
    assert alice.one(Suback).reason_codes == [1]


def test_members_elsewhere_are_not_counted_here_and_groups_end_with_the_last() -> None:
    net = Net("a", "b")
    alice, bob = member(net, "a", "alice"), member(net, "b", "bob")
    counts = [net[node].broker.router.subscriptions for node in "ab"]
    alice.unsubscribe(GROUP)
    counts += [net[node].broker.router.subscriptions for node in "ab"]
    bob.drop()
    counts += [net[node].broker.router.subscriptions for node in "ab"]
    assert counts == [1, 1, 0, 1, 0, 0]
    assert [net[node].broker.subscriptions.groups.by_name for node in "ab"] == [{}, {}]
    assert [net[node].broker.router.filters() for node in "ab"] == [[], []]


# Whose turn it is.

@pytest.mark.parametrize("name", ["least_loaded", "random", "round_robin", "round_robin_per_group"])
def test_members_of_all_nodes_get_the_same_share(name: str) -> None:
    net = Net("a", "b", lines=strategy(name))
    members = [member(net, "a", "a0"), *[member(net, "b", f"b{number}") for number in range(3)]]
    publisher = net["a"].connect("publisher")
    counts = Counter[int]()
    for _ in range(200):
        publisher.publish("t/1", b"x", qos=1)
        counts.update([place for place, got in enumerate(taken(*members)) if got])
        net.advance(EACH)
    assert all(25 <= counts[place] <= 75 for place in range(4)), counts


def test_local_prefers_members_of_the_node_of_the_publisher() -> None:
    net = Net("a", "b", lines=strategy("local"))
    near, far = member(net, "a"), member(net, "b")
    publish(net, "a", b"1", b"2", b"3")
    publish(net, "b", b"4")
    assert taken(near, far) == [[b"1", b"2", b"3"], [b"4"]]
    near.drop()
    publish(net, "a", b"5")
    assert taken(far) == [[b"5"]]


def test_a_topic_has_the_same_member_wherever_it_is_published() -> None:
    net = Net(*NODES, lines=strategy("hash_topic"))
    members = [member(net, node, f"{node}{number}") for number, node in enumerate("cabcc")]
    holders: dict[str, set[int]] = {}
    for number in range(20):
        for node in NODES:
            publish(net, node, b"x", topic=f"t/{number}")
            holders.setdefault(f"t/{number}", set()).update([place for place, got in enumerate(taken(*members)) if got])
    assert all(len(found) == 1 for found in holders.values()), holders
    assert len(set.union(*holders.values())) > 3


@pytest.mark.parametrize("name", ["sticky", "hash_clientid"])
def test_one_publisher_stays_with_one_member(name: str) -> None:
    net = Net("a", "b", lines=strategy(name))
    members = [member(net, node, f"{node}{number}") for node in "ab" for number in range(3)]
    publish(net, "a", *[b"%d" % number for number in range(20)])
    assert sorted(len(got) for got in taken(*members)) == [0, 0, 0, 0, 0, 20]


def test_who_has_much_to_do_on_another_node_gets_less() -> None:
    net = Net("a", "b", lines=("mqtt.session.max_inflight = 1",))
    member(net, "b", "slow")
    publish(net, "a", *[b"%d" % number for number in range(10)])
    quick = member(net, "a", "quick")
    publisher = net["a"].connect("publisher")
    net.advance(1.0)  # the other node tells
    for number in range(5):
        publisher.publish("t/1", b"more %d" % number, qos=1)
        assert taken(quick) == [[b"more %d" % number]]


def test_a_burst_is_shared_before_the_other_node_has_told_anything() -> None:
    net = Net("a", "b")
    members = [member(net, node) for node in "ab"]
    publish(net, "a", *[b"%d" % number for number in range(20)])
    assert [len(got) for got in taken(*members)] == [10, 10]


def test_a_burst_is_shared_by_members_not_by_nodes() -> None:
    net = Net("a", "b")
    members = [member(net, "a", "a0"), *[member(net, "b", f"b{number}") for number in range(3)]]
    publish(net, "a", *[b"%d" % number for number in range(40)])
    assert all(8 <= len(got) <= 12 for got in taken(*members))


def test_on_a_node_those_served_by_its_own_and_by_others_take_turns() -> None:
    net = Net("a", "b")
    members = [member(net, "b", f"b{number}") for number in range(3)]
    holders = []
    for node in "abaabb":
        publish(net, node, b"x", qos=0)
        holders.append(taken(*members).index([b"x"]))
    assert holders == [0, 1, 2, 0, 1, 2]


def test_load_is_told_while_there_is_any_and_when_it_is_over() -> None:
    net = Net("a", "b")
    slow = member(net, "b", "slow")
    publish(net, "a", *[b"%d" % number for number in range(4)])
    group = net["a"].broker.subscriptions.groups.by_name[GROUP.encode()]
    [seat] = group.here.order
    loads = [seat.load()]
    got = slow.all(Publish)
    for acknowledged in ([], got[:1], got[1:3], got[3:]):
        slow.acknowledge(*acknowledged)
        net.advance(EACH)
        loads.append(seat.load())
    assert loads == [4, 4, 3, 1, 0]
    before = len(net.ends["a", "b"].frames)
    net.advance(EACH)
    assert [frame for frame in net.ends["a", "b"].frames[before:] if frame[0] == LOAD] == []


def test_load_is_told_anew_when_a_link_is() -> None:
    net = Net("a", "b")
    member(net, "b", "slow")
    publish(net, "a", *[b"%d" % number for number in range(4)])
    net.advance(EACH)
    [seat] = net["a"].broker.subscriptions.groups.by_name[GROUP.encode()].here.order
    loads = [seat.load()]
    net.cut("a", "b")
    net.join("a", "b")
    [seat] = net["a"].broker.subscriptions.groups.by_name[GROUP.encode()].here.order
    loads.append(seat.load())
    net.advance(EACH)
    loads.append(seat.load())
    assert loads == [4, 0, 4]


def test_a_load_that_cannot_be_is_none() -> None:
    net = Net("a", "b")
    member(net, "b")
    cluster = net["a"].cluster
    cluster.take(cluster.peer("b"), [(LOAD, GROUP.encode(), -5)])
    [seat] = net["a"].broker.subscriptions.groups.by_name[GROUP.encode()].here.order
    assert seat.load() == 0


def test_a_node_that_got_nothing_of_what_it_was_given_is_not_forgotten() -> None:
    net = Net("a", "b")
    near, far = member(net, "a"), member(net, "b")
    net.congest("a", "b")
    publisher = net["a"].connect("publisher")
    for _ in range(4):
        publisher.publish("t/1", b"lost or not", qos=0)
    net.congest("a", "b", False)
    near.received()
    net.advance(2 * EACH)
    got = []
    for number in range(2):
        publisher.publish("t/1", b"%d" % number, qos=1)
        got.append(taken(near, far))
    assert sorted(len(mine) for mine, _ in got) == [0, 1]


# Who is away.

def test_who_is_away_gets_none_while_anybody_is_here() -> None:
    net = Net(*NODES)
    away = [lasting(net, node) for node in "ab"]
    for peer in away:
        peer.drop()
    here = member(net, "c")
    for node in NODES:
        publish(net, node, b"1", b"2", b"3")
    assert len(taken(here)[0]) == 9
    assert [net[node].session(f"lasting-{node}").queued() for node in "ab"] == [0, 0]


@pytest.mark.parametrize("qos", [1, 2])
def test_with_nobody_here_one_who_is_away_keeps_it(qos: int) -> None:
    net = Net("a", "b")
    lasting(net, "b").drop()
    publish(net, "a", b"x", qos=qos)
    assert net["b"].session("lasting-b").queued() == 1
    net["b"].crash()
    assert taken(net["b"].connect("lasting-b", **LASTING[5])) == [[b"x"]]


def test_who_comes_back_is_here_for_all_nodes() -> None:
    net = Net("a", "b")
    lasting(net, "a").drop()
    lasting(net, "b").drop()
    back = net["b"].connect("lasting-b", **LASTING[5])
    publish(net, "a", b"1", b"2")
    assert taken(back) == [[b"1", b"2"]]


def test_of_those_who_are_away_one_with_room_keeps_it() -> None:
    net = Net("a", "b", lines=("mqtt.mqueue.max_length = 2", "mqtt.shared_subscription_strategy = sticky"))
    for name in ("bob", "carol"):
        lasting(net, "b", name)
    for name in ("bob", "carol"):
        net["b"].session(name).link.owner.drop()  # type: ignore[union-attr]
    publish(net, "a", *[b"%d" % number for number in range(4)])
    assert [net["b"].session(name).queued() for name in ("bob", "carol")] == [2, 2]
    assert net["b"].drops == {}


def test_who_has_left_keeps_nothing_for_the_group() -> None:
    net = Net("a", "b")
    bob, carol = lasting(net, "b", "bob"), member(net, "b", "carol")
    table = net["b"].cluster.routes.table
    told = [counts_of(table.entries[GROUP.encode()])]
    bob.drop()
    told.append(counts_of(table.entries[GROUP.encode()]))
    bob = net["b"].connect("bob", **LASTING[5])
    bob.unsubscribe(GROUP)
    told.append(counts_of(table.entries[GROUP.encode()]))
    carol.unsubscribe(GROUP)
    assert told == [(2, 0, True), (1, 1, True), (1, 0, False)]
    assert GROUP.encode() not in table.entries


# A member is lost.

def test_what_a_lost_member_had_goes_to_one_on_another_node() -> None:
    net = Net("a", "b")
    bob = member(net, "b")
    publish(net, "b", b"1", b"2", b"3")
    alice = member(net, "a")
    bob.drop()
    assert taken(alice) == [[b"1", b"2", b"3"]]
    assert [net[node].drops for node in "ab"] == [{}, {}]


def test_what_was_sent_at_qos_2_is_given_to_nobody_else() -> None:
    net = Net("a", "b")
    bob = lasting(net, "b")
    publish(net, "a", b"x", qos=2)
    alice = member(net, "a")
    bob.drop()
    assert alice.received() == []
    assert taken(net["b"].connect("lasting-b", **LASTING[5])) == [[b"x"]]


def test_at_the_end_of_a_session_one_who_is_away_on_another_node_gets_it() -> None:
    net = Net("a", "b")
    bob = member(net, "b")
    publish(net, "b", b"x")
    lasting(net, "a").drop()
    bob.drop()
    assert taken(net["a"].connect("lasting-a", **LASTING[5])) == [[b"x"]]


# A node is lost.

def test_what_a_lost_node_has_not_acknowledged_at_qos_1_goes_to_another() -> None:
    net = Net(*NODES)
    lasting(net, "b")
    net.stall("a", "b")
    publish(net, "a", b"1", b"2")
    carol = member(net, "c")
    cut(net, "a", "b")
    assert taken(carol) == [[b"1", b"2"]]
    net["a"].crash()
    net.join_all()
    assert len(net["a"].cluster.peer("b").outbox) == 0
    assert net["b"].session("lasting-b").load() == 0


def test_what_a_lost_node_was_sent_at_qos_2_waits_for_it() -> None:
    net = Net(*NODES)
    bob = lasting(net, "b")
    net.stall("a", "b")
    publish(net, "a", b"x", qos=2)
    carol = member(net, "c")
    cut(net, "a", "b")
    assert taken(carol) == [[]]
    net.join("a", "b")
    assert taken(bob, carol) == [[b"x"], []]


def restart(net: Net) -> Peer:
    """a restarts with a member of its own; its rows come from the store while b takes nothing, and b is lost again."""
    net["a"].crash()
    carol = member(net, "a", "carol")
    net.halt_before(MARK, "b")
    net.join("a", "b")
    net.congest("a", "b")
    net.go_on()
    cut(net, "a", "b")
    return carol


@pytest.mark.parametrize("waited", [False, True])
def test_what_a_lost_node_was_sent_at_qos_2_waits_for_it_behind_a_crash_too(waited: bool) -> None:
    net = Net("a", "b")
    bob = lasting(net, "b")
    if waited:
        net.congest("a", "b")
        publish(net, "a", b"x", qos=2)
    net.stall("a", "b")
    if waited:
        net.congest("a", "b", False)
    else:
        publish(net, "a", b"x", qos=2)
    carol = restart(net)
    assert taken(carol) == [[]]
    net.join("a", "b")
    assert taken(bob, carol) == [[b"x"], []]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_sent_to_nobody_before_a_crash_goes_to_another(qos: int) -> None:
    net = Net("a", "b")
    bob = lasting(net, "b")
    net.congest("a", "b")
    publish(net, "a", b"x", qos=qos)
    carol = restart(net)
    assert taken(carol) == [[b"x"]]
    net.join("a", "b")
    assert taken(bob, carol) == [[], []]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_a_lost_node_says_it_has_goes_to_nobody_else(qos: int) -> None:
    net = Net("a", "b")
    bob = lasting(net, "b")
    net.stall("b", "a")  # its acknowledgement is lost
    publish(net, "a", b"x", qos=qos)
    carol = restart(net)
    assert taken(carol) == [[]]
    net.join("a", "b")
    assert taken(bob, carol) == [[b"x"], []]
    assert len(net["a"].cluster.peer("b").outbox) == 0


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_not_sent_yet_goes_to_another(qos: int) -> None:
    net = Net(*NODES)
    bob = lasting(net, "b")
    net.congest("a", "b")
    publish(net, "a", b"x", qos=qos)
    carol = member(net, "c")
    cut(net, "a", "b")
    assert taken(carol) == [[b"x"]]
    net.join("a", "b")
    assert taken(bob) == [[]]


def test_a_lost_node_gets_nothing_while_there_is_another() -> None:
    net = Net("a", "b")
    here = [member(net, node) for node in "ab"]
    net.cut("a", "b")
    for number in range(6):
        publish(net, "a", b"%d" % number)
    assert [len(got) for got in taken(*here)] == [6, 0]
    net.join("a", "b")
    net.advance(EACH)
    publish(net, "a", *[b"%d" % number for number in range(6)])
    assert [len(got) for got in taken(*here)] == [3, 3]


@pytest.mark.parametrize("qos", [1, 2])
def test_with_nobody_else_messages_wait_for_a_lost_node(qos: int) -> None:
    net = Net("a", "b")
    bob = member(net, "b")
    net.cut("a", "b")
    publish(net, "a", b"x", qos=qos)
    net.join("a", "b")
    assert taken(bob) == [[b"x"]]


def test_who_is_away_here_is_preferred_to_a_lost_node_that_keeps_nothing() -> None:
    net = Net("a", "b")
    member(net, "b")
    lasting(net, "a").drop()
    net.cut("a", "b")
    publish(net, "a", b"1", b"2", b"3")
    assert net["a"].session("lasting-a").queued() == 3


def test_the_last_member_here_leaves_and_messages_wait_for_a_lost_node() -> None:
    net = Net("a", "b")
    alice, bob = member(net, "a"), member(net, "b")
    net.cut("a", "b")
    alice.unsubscribe(GROUP)
    publish(net, "a", b"x")
    net.join("a", "b")
    assert taken(alice, bob) == [[], [b"x"]]


def test_what_a_lost_node_could_not_be_kept_for_is_refused() -> None:
    net = Net("a", "b", lines=("mqtt.mqueue.max_length = 2",))
    lasting(net, "b")
    net.cut("a", "b")
    publisher = net["a"].connect("publisher")
    codes = []
    for number in range(4):
        packet_id = publisher.publish("t/1", b"%d" % number, qos=1)
        codes.append(publisher.answer(Puback)[1])
        assert packet_id
    assert codes == [SUCCESS, SUCCESS, QUOTA_EXCEEDED, QUOTA_EXCEEDED]
    net.join("a", "b")
    assert taken(net["b"].connect("lasting-b", **LASTING[5])) == [[b"0", b"1"]]


def test_after_a_restart_a_group_of_a_node_that_is_away_is_known() -> None:
    net = Net("a", "b")
    lasting(net, "b")
    net["a"].crash()
    publish(net, "a", b"x")
    assert net["a"].drops == {}
    net["a"].crash()
    net.join("a", "b")
    got = taken(net["b"].connect("lasting-b", **LASTING[5]))
    assert got == [[b"x"]]


def test_a_node_that_restarted_and_is_what_it_was_is_chosen_again() -> None:
    net = Net("a", "b", lines=strategy("hash_topic"))
    member(net, "b")
    net["b"].crash()
    bob = member(net, "b")
    net.join("a", "b")
    publish(net, "a", b"x")
    assert taken(bob) == [[b"x"]]


def test_what_a_node_that_left_has_not_acknowledged_goes_to_anyone() -> None:
    net = Net("a", "b")
    lasting(net, "a").drop()
    lasting(net, "b")
    net.stall("a", "b")
    publish(net, "a", b"x")
    cut(net, "a", "b")
    assert net["a"].session("lasting-a").queued() == 0
    net["a"].cluster.forget("b")
    assert net["a"].session("lasting-a").queued() == 1
    assert net["a"].drops == {}


def test_a_group_that_was_of_a_node_that_left_only_is_none() -> None:
    net = Net("a", "b")
    member(net, "b")
    net["a"].cluster.forget("b")
    publish(net, "a", b"x")
    assert net["a"].drops == {causes.NO_SUBSCRIBERS: 1}
    assert net["a"].broker.router.filters() == []


# What nodes tell.

@pytest.mark.parametrize(("here", "away", "kept"), [(1, 0, False), (0, 1, True), (5, 7, True), (MOST, MOST, True)])
def test_counts_come_back_as_they_were_told(here: int, away: int, kept: bool) -> None:
    value = value_of(here, away, kept)
    assert counts_of(value) == (here, away, kept)
    assert value < 1 << 64


def test_counts_that_are_none() -> None:
    assert value_of(0, 0, True) == 0
    assert counts_of(value_of(MOST + 5, 1, False)) == (MOST, 1, False)
    assert counts_of(-5)[:2] == (0, 0)
    assert counts_of(HELD | STORED) == (0, 0, True)


def test_a_node_has_no_more_seats_than_there_is_use_for() -> None:
    net = Net("a", "b")
    mirror = net["a"].cluster.routes.mirror(net["a"].cluster.peer("b"))
    mirror.delta(mirror.number + 1, ((GROUP.encode(), value_of(MOST, MOST, True)),))
    group = net["a"].broker.subscriptions.groups.by_name[GROUP.encode()]
    assert [len(members.order) for members in (group.here, group.away)] == [seats.MOST_SEATS] * 2
    mirror.delta(mirror.number + 1, ((GROUP.encode(), value_of(2, 1, True)),))
    assert [len(members.order) for members in (group.here, group.away)] == [2, 1]


@pytest.mark.parametrize("name", [b"$exclusive/t", b"$local/t", b"$local/$share/g/t", b"$share/g", b"$share/+/t", b"\xff"])
def test_names_that_are_no_groups_of_the_cluster_are_ignored(name: bytes) -> None:
    net = Net("a", "b")
    peer = net["a"].cluster.peer("b")
    mirror = net["a"].cluster.routes.mirror(peer)
    mirror.delta(mirror.number + 1, ((name, value_of(1, 0, True)),))
    assert net["a"].broker.router.filters() == []
    mirror.delta(mirror.number + 1, ((name, 0),))
    assert net["a"].broker.router.filters() == []


def test_the_load_of_a_group_that_nobody_knows_is_ignored() -> None:
    net = Net("a", "b")
    cluster = net["a"].cluster
    cluster.take(cluster.peer("b"), [(LOAD, b"$share/no/such", 5)])
