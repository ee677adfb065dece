"""A session goes to the node to which its client comes."""
import pytest

from emqtwist.core.acl import SUBSCRIBE, Acl, Pattern, Rule
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.taking import PATIENCE
from emqtwist.core.who import Who
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Will,
)
from tests.clusters import Net
from tests.peers import Peer, properties
from tests.unit.cluster.takeovers import ask


def arrive(net: Net, node: str, client_id: str = "alice", **options: object) -> Peer:
    """A client of a session that lasts, which wants what there was."""
    options.setdefault("session_expiry_interval", 3600)
    return net[node].connect(client_id, clean_start=False, **options)


def payloads(peer: Peer) -> list[bytes]:
    """Of the messages that came, which are acknowledged."""
    got = [packet for packet in peer.received() if isinstance(packet, Publish)]
    peer.acknowledge(*got)
    return [packet.payload for packet in got]


def take_all(peer: Peer) -> list[bytes]:
    """All that comes, in its order."""
    found: list[bytes] = []
    while True:
        more = payloads(peer)
        if not more:
            return found
        found += more


def test_an_absent_client_finds_its_session_at_another_node() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    for node in ("a", "b", "c"):
        for qos in (1, 2):
            net[node].connect(f"pub-{node}").publish(f"t/{node}", b"%s%d" % (node.encode(), qos), qos=qos)
    again = arrive(net, "b")
    assert again.connack is not None
    assert again.connack.session_present
    assert take_all(again) == [b"a1", b"a2", b"b1", b"b2", b"c1", b"c2"]
    assert "alice" not in net["a"].broker.sessions.by_id
    net["c"].connect("late").publish("t/x", b"after", qos=1)
    net["a"].connect("late2").publish("t/x", b"after2", qos=1)
    assert take_all(again) == [b"after", b"after2"]


def test_a_client_that_is_connected_is_told_that_its_session_was_taken_over() -> None:
    net = Net("a", "b")
    alice = arrive(net, "a")
    alice.subscribe("t", qos=1)
    arrive(net, "b")
    assert alice.one(Disconnect).reason_code == c.SESSION_TAKEN_OVER
    assert alice.closed
    assert "alice" not in net["a"].broker.sessions.by_id


def publish(net: Net, node: str, payload: bytes, qos: int = 2) -> None:
    net[node].connect(f"publisher-{node}").publish("t/x", payload, qos=qos)


def absent_session(net: Net, node: str) -> None:
    alice = arrive(net, node)
    alice.subscribe("t/#", qos=2)
    alice.drop()


def without(net: Net, node: str) -> None:
    """A node is away for longer than anybody waits for it."""
    net.isolate(node)
    for _ in range(6):
        net.advance(1)


def test_a_node_that_was_away_during_a_takeover_is_heard_where_the_session_was() -> None:
    net = Net("a", "b", "c")
    absent_session(net, "a")
    without(net, "c")
    publish(net, "c", b"1")
    again = arrive(net, "b")
    publish(net, "c", b"2")
    publish(net, "a", b"3")
    assert take_all(again) == [b"3"]
    net.join("a", "c")
    publish(net, "c", b"4")
    assert take_all(again) == [b"1", b"2", b"4"]
    net.join("b", "c")
    publish(net, "c", b"5")
    assert take_all(again) == [b"5"]
    for _ in range(40):
        net.advance(1)
    assert "alice" not in net["a"].broker.sessions.by_id
    publish(net, "c", b"6")
    publish(net, "a", b"7")
    assert take_all(again) == [b"6", b"7"]


def test_a_node_that_was_away_may_meet_the_new_node_first() -> None:
    net = Net("a", "b", "c")
    absent_session(net, "a")
    without(net, "c")
    publish(net, "c", b"1")
    again = arrive(net, "b")
    net.join("b", "c")
    publish(net, "c", b"2")
    net.join("a", "c")
    publish(net, "c", b"3")
    assert sorted(take_all(again)) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("phase", ["PUBLISH sent", "PUBREC sent"])
def test_a_message_of_qos_2_that_is_half_delivered_is_delivered_once(phase: str) -> None:
    net = Net("a", "b")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    publish(net, "b", b"1")
    publish(net, "b", b"2")
    first, second = alice.all(Publish)
    if phase == "PUBREC sent":
        alice.send(Pubrec(first.packet_id))
        alice.received()
    alice.drop()
    again = arrive(net, "b")
    packets = again.received()
    if phase == "PUBREC sent":
        pubrel = packets.pop(0)
        assert isinstance(pubrel, Pubrel)
        assert pubrel.packet_id == first.packet_id
        again.send(Pubcomp(first.packet_id))
    got = [packet for packet in packets if isinstance(packet, Publish)]
    expected = [first, second] if phase == "PUBLISH sent" else [second]
    assert [(one.packet_id, one.payload, one.dup) for one in got] == [(one.packet_id, one.payload, True) for one in expected]
    again.acknowledge(*got)
    publish(net, "a", b"3")
    assert take_all(again) == [b"3"]
    assert not net["b"].session("alice").inflight.held


def test_a_message_of_qos_2_that_the_client_half_sent_is_not_passed_on_again() -> None:
    net = Net("a", "b")
    watcher = net["a"].connect("watcher")
    watcher.subscribe("t", qos=2)
    alice = arrive(net, "a")
    alice.publish("t", b"x", qos=2, packet_id=7)
    assert payloads(watcher) == [b"x"]
    alice.drop()
    again = arrive(net, "b")
    again.publish("t", b"x", qos=2, dup=True, packet_id=7)
    assert payloads(watcher) == []
    again.received()
    again.send(Pubrel(7))
    assert again.one(Pubcomp).reason_code == c.SUCCESS
    net["b"].crash()
    assert not net["b"].session("alice").received


def test_what_the_client_half_sent_is_known_over_a_crash_of_the_new_node() -> None:
    net = Net("a", "b")
    alice = arrive(net, "a")
    alice.publish("t", b"x", qos=2, packet_id=7)
    alice.drop()
    arrive(net, "b")
    net["b"].crash()
    assert list(net["b"].session("alice").received) == [7]


def test_a_queue_that_is_longer_than_memory_comes_in_its_order() -> None:
    net = Net("a", "b", lines=("mqtt.mqueue.max_memory = 2KB", "mqtt.mqueue.max_length = 0"))
    absent_session(net, "a")
    publisher = net["b"].connect("publisher")
    sent = [b"%d" % number for number in range(400)]
    for payload in sent:
        publisher.send(Publish(b"t/x", payload + b"." * 20, 1, False, False, publisher.next_id(), None))
    again = arrive(net, "b")
    assert [payload.rstrip(b".") for payload in take_all(again)] == sent


def test_priorities_hold_after_a_takeover() -> None:
    net = Net("a", "b", lines=("mqtt.mqueue.type = priority", "mqtt.mqueue.priority = t/high=10"))
    alice = arrive(net, "a", receive_maximum=1)
    alice.subscribe("t/#", qos=2)
    publisher = net["b"].connect("publisher")
    for topic, payload in (("t/low", b"0"), ("t/low", b"1"), ("t/high", b"2"), ("t/low", b"3"), ("t/high", b"4")):
        publisher.publish(topic, payload, qos=2)
    alice.drop()
    again = arrive(net, "b", receive_maximum=1)
    got = take_all(again)
    assert [payload for payload in got if payload != b"0"] == [b"2", b"4", b"1", b"3"]
    assert got.count(b"0") == 1  # it was in flight


@pytest.mark.parametrize("version", [4, 5])
def test_a_client_whose_session_is_at_a_node_that_is_away_is_refused(version: int) -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    net.isolate("a")
    peer = Peer(net["b"])
    made = properties(session_expiry_interval=3600) if version == 5 else None
    peer.send(Connect(version, "alice", False, 0, None, None, None, False, made))
    net.advance(1.5)
    assert peer.received() == []
    net.advance(1)
    connack = peer.one(Connack)
    if version == 5:
        assert connack.reason_code == c.SERVER_UNAVAILABLE
        assert connack.properties is not None
        assert "node a" in (connack.properties.reason_string or "")
    else:
        assert connack.reason_code == 3
    assert peer.closed


def test_a_client_whose_session_is_at_a_node_that_comes_back_in_time_gets_it() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    publish(net, "a", b"1")
    net.isolate("a")
    peer = ask(net, "b")
    net.advance(1.5)
    net.join_all()
    assert take_all(peer) == [b"1"]


def test_a_session_stays_with_its_client_when_one_that_has_given_up_is_told_where_it_is() -> None:
    net = Net("a", "b", "c")
    absent_session(net, "a")
    net.stall("b", "a")
    ask(net, "b").drop()
    alice = ask(net, "c")
    assert alice.one(Connack).session_present
    net.stall("b", "a", False)
    net.advance(1)
    assert not alice.closed
    assert net["c"].broker.sessions.by_id["alice"].opener is not None
    assert "alice" not in net["b"].broker.sessions.by_id


def test_a_client_that_has_given_up_does_not_get_its_session_when_the_node_is_back() -> None:
    net = Net("a", "b", "c")
    absent_session(net, "a")
    net.isolate("a")
    ask(net, "b").drop()
    net.join("a", "c")
    alice = ask(net, "c")
    assert alice.one(Connack).session_present
    net.advance(0.1)
    net.join("a", "b")
    assert not alice.closed


def test_a_client_may_have_a_new_session_while_its_node_is_away() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    publish(net, "a", b"old")
    net["b"].cluster.takeover.claims.fresh = True
    net.isolate("a")
    peer = ask(net, "b")
    net.advance(2.5)
    connack = peer.one(Connack)
    assert (connack.reason_code, connack.session_present) == (0, False)
    net.join_all()
    assert "alice" not in net["a"].broker.sessions.by_id
    assert "alice" in net["b"].broker.sessions.by_id
    assert not peer.closed
    assert peer.received() == []


@pytest.mark.parametrize("expiry", [0, 3600])
def test_clean_start_ends_the_session_of_another_node(expiry: int) -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=1)
    again = net["b"].connect("alice", clean_start=True, session_expiry_interval=expiry)
    assert again.connack is not None
    assert not again.connack.session_present
    assert alice.one(Disconnect).reason_code == c.SESSION_TAKEN_OVER
    assert "alice" not in net["a"].broker.sessions.by_id
    publish(net, "c", b"x")
    assert again.received() == []


def test_clean_start_ends_the_session_of_a_node_that_is_away_when_it_is_back() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    net.isolate("a")
    again = net["b"].connect("alice", clean_start=True)
    again.disconnect()
    assert "alice" not in net["b"].broker.sessions.by_id
    net.join_all()
    assert "alice" not in net["a"].broker.sessions.by_id
    for node in ("a", "b"):
        assert not net[node].cluster.takeover.registry.table.entries


def test_a_session_that_ends_with_its_connection_is_ended_from_another_node() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    again = net["b"].connect("alice", clean_start=False)
    assert again.connack is not None
    assert not again.connack.session_present
    assert alice.closed
    assert net["a"].broker.sessions.by_id == {}


@pytest.mark.parametrize("newest", ["a", "b"])
def test_of_two_sides_of_a_partition_the_newer_session_is_the_one_after_it_has_healed(newest: str) -> None:
    other = "b" if newest == "a" else "a"
    net = Net("a", "b")
    net.isolate("a")
    old = arrive(net, other)
    old.subscribe("t/old", qos=1)
    new = arrive(net, newest)
    for _ in range(2):
        new = net[newest].connect("alice", clean_start=True, session_expiry_interval=3600)
    net.join_all()
    assert not new.closed
    assert old.one(Disconnect).reason_code == c.SESSION_TAKEN_OVER
    assert "alice" not in net[other].broker.sessions.by_id
    assert "alice" in net[newest].broker.sessions.by_id


@pytest.mark.parametrize("clean_start", [False, True])
@pytest.mark.parametrize("newest", ["a", "b"])
def test_of_two_sessions_that_began_while_nodes_were_away_the_last_one_stays(newest: str, clean_start: bool) -> None:
    other = "b" if newest == "a" else "a"
    net = Net("a", "b")
    net.isolate("a")
    old = net[other].connect("alice", clean_start=clean_start, session_expiry_interval=3600)
    net.advance(1.0)
    new = net[newest].connect("alice", clean_start=clean_start, session_expiry_interval=3600)
    net.join_all()
    assert (old.closed, new.closed) == (True, False)
    assert "alice" not in net[other].broker.sessions.by_id


def test_a_session_stays_when_a_node_returns_that_had_stored_an_attempt_before_and_told_nobody() -> None:
    net = Net("a", "b")
    net.stall("b", "a")
    wanted = Connect(5, "alice", False, 0, None, None, None, False, properties(session_expiry_interval=3600))
    net["b"].peer().send(wanted)
    net.advance(0.1)
    new = net["a"].peer()
    new.send(wanted)
    net.isolate("a")
    net.advance(1.0)
    assert not new.one(Connack).session_present
    net.join_all()
    assert not new.closed
    assert net["b"].broker.sessions.by_id == {}


def test_a_session_on_its_way_is_not_ended_by_one_that_is_older_than_what_it_becomes() -> None:
    net = Net("a", "b", "c")
    net.isolate("b")
    for node in ("b", "a"):  # at the same moment: the name of the node decides
        old = net[node].connect("alice", clean_start=True, session_expiry_interval=3600)
    old.subscribe("t/#", qos=1)
    old.drop()
    alice = arrive(net, "c")
    assert net["c"].cluster.takeover.claims.takings  # b may have messages for it
    net.join_all()
    net.advance(0.1)
    assert not alice.closed
    assert not net["c"].cluster.takeover.claims.takings
    assert "alice" not in net["a"].broker.sessions.by_id
    assert "alice" not in net["b"].broker.sessions.by_id
    publish(net, "a", b"x")
    assert payloads(alice) == [b"x"]


def test_a_node_that_was_asked_twice_gives_the_session_once_and_wholly() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=1)
    alice.drop()
    publish(net, "c", b"1")
    net.halt_before(f.SESSION, "a")
    again = ask(net, "b")
    assert net.halted == "a"
    claims, registry = net["b"].cluster.takeover.claims, net["b"].cluster.takeover.registry
    claiming = claims.under_way["alice"]
    claiming.asked = None  # it has heard that another node has a later one, and from that that this one has it after all
    before = claiming.epoch
    registry._dropped = "alice", before
    claims.pursue(claiming)
    assert claiming.epoch == before + 1
    net.go_on()
    publish(net, "c", b"2")
    assert payloads(again) == [b"1", b"2"]
    assert not claims.takings
    assert "alice" not in net["a"].broker.sessions.by_id


def gave_in_vain() -> Net:
    """b gives the session to a when their link breaks, and the client is gone when it is there again; c has an older session."""
    net = Net("a", "b", "c")
    net.isolate("c")
    net["c"].connect("alice", clean_start=True, session_expiry_interval=3600)
    net.advance(1.0)
    alice = net["b"].connect("alice", clean_start=True, session_expiry_interval=3600)
    alice.subscribe("t/#", qos=1)
    alice.drop()
    publish(net, "a", b"1")
    net.halt_before(f.SESSION, "b")
    waiting = ask(net, "a")
    assert net.halted == "b"
    waiting.drop()
    net.cut("a", "b")
    net.advance(PATIENCE)
    assert "alice" not in net["a"].cluster.takeover.claims.under_way
    return net


def test_a_session_that_was_given_in_vain_is_taken_back_when_all_nodes_are_known() -> None:
    net = gave_in_vain()
    givings = net["b"].cluster.takeover.claims.givings
    net.join("a", "b")
    net.advance(1.0)
    assert givings  # c may have it, from a
    net.join_all()
    net.advance(1.0)
    assert not givings
    assert "alice" not in net["c"].broker.sessions.by_id
    publish(net, "c", b"2")
    alice = arrive(net, "c")
    assert payloads(alice) == [b"1", b"2"]


def test_a_session_that_was_given_in_vain_is_taken_back_when_the_node_leaves() -> None:
    net = gave_in_vain()
    net.join("b", "c")
    for node in "bc":
        net[node].cluster.forget("a")
    net.advance(1.0)
    assert not net["b"].cluster.takeover.claims.givings
    assert "alice" not in net["c"].broker.sessions.by_id


def test_of_two_new_sessions_at_once_one_stays() -> None:
    net = Net("a", "b")
    net.isolate("a")
    one, two = arrive(net, "a"), arrive(net, "b")
    net.join_all()
    assert [one.closed, two.closed] == [True, False]
    assert net["a"].broker.sessions.by_id == {}


@pytest.mark.parametrize(("delay", "published"), [(0, [b"will"]), (60, [])])
@pytest.mark.mqtt5("3.1.3-9")
def test_a_will_is_published_as_for_any_takeover(delay: int, published: list[bytes]) -> None:
    net = Net("a", "b")
    watcher = net["b"].connect("watcher")
    watcher.subscribe("will", qos=1)
    will = Will(b"will", b"will", 1, False, properties(will_delay_interval=delay))
    alice = arrive(net, "a", will=will)
    again = arrive(net, "b")
    assert alice.closed
    assert payloads(watcher) == published
    net.advance(100)
    net["a"].crash(100)
    net.join_all()
    net.advance(100)
    assert payloads(watcher) == []
    assert not again.closed


def test_the_will_of_a_session_that_is_discarded_after_a_partition_is_published() -> None:
    net = Net("a", "b")
    net.isolate("a")
    watcher = net["a"].connect("watcher")
    watcher.subscribe("will", qos=1)
    arrive(net, "a", will=Will(b"will", b"will", 1, False, properties(will_delay_interval=60)))
    arrive(net, "b")
    net.join_all()
    assert payloads(watcher) == [b"will"]


def test_a_subscription_that_is_made_while_the_session_comes_counts() -> None:
    net = Net("a", "b", "c")
    absent_session(net, "a")
    net.halt_before(f.READY)
    again = arrive(net, "b")
    again.send(Subscribe(9, [(b"new", 1)], None))
    assert net.halted
    assert again.received() == []
    net.go_on()
    assert again.one(Suback).packet_id == 9
    net["c"].connect("publisher").publish("new", b"x", qos=1)
    assert take_all(again) == [b"x"]
    assert set(net["b"].session("alice").subscriptions) == {b"t/#", b"new"}


def test_a_session_that_expires_at_the_new_node_ends_everywhere() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    net.halt_before(f.LEVEL)
    again = arrive(net, "b", session_expiry_interval=5)
    again.drop()
    net.advance(6)
    net.go_on()
    net.advance(1)
    assert [net[node].broker.sessions.by_id for node in "ab"] == [{}, {}]
    for node in ("a", "b"):
        assert not net[node].cluster.takeover.registry.table.entries


def test_a_client_whose_rest_is_at_a_node_that_is_away_has_to_come_again() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    publish(net, "a", b"1")
    net.halt_before(f.ROWS)
    again = arrive(net, "b")
    net.cut("a", "b")
    net.advance(1)
    assert not again.closed
    net.advance(2)
    assert again.one(Disconnect).reason_code == c.SERVER_BUSY
    net.join_all()
    assert take_all(arrive(net, "b")) == [b"1"]


def test_a_shared_subscription_goes_with_its_session() -> None:
    net = Net("a", "b")
    alice = arrive(net, "a")
    alice.subscribe("$share/g/t/#", qos=1)
    alice.drop()
    publish(net, "a", b"1", qos=1)
    again = arrive(net, "b")
    publish(net, "a", b"2", qos=1)
    publish(net, "b", b"3", qos=1)
    assert take_all(again) == [b"1", b"2", b"3"]


def test_a_client_that_comes_while_its_session_joins_its_group_is_here() -> None:
    net = Net("a", "b")
    alice, other = arrive(net, "a"), arrive(net, "a", "other")
    for each in (alice, other):
        each.subscribe("$share/g/t/#", qos=1)
        each.drop()
    net.halt_before(f.END)
    arrive(net, "b").drop()
    net["b"].stored = False
    again = ask(net, "b")
    net.go_on()
    assert again.received() == []
    net["b"].stored = True
    net.settle()
    assert again.one(Connack).session_present
    for payload in (b"1", b"2"):
        publish(net, "a", payload)
    assert take_all(again) == [b"1", b"2"]


def test_rules_of_the_new_node_hold_for_what_comes() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    publish(net, "a", b"1")
    net["b"].broker.acl = Acl([Rule(False, Who(), SUBSCRIBE, [Pattern(b"t/#")])], True)
    again = arrive(net, "b")
    assert again.connack is not None
    assert not again.connack.session_present
    assert take_all(again) == []


def test_what_a_session_has_is_stored_before_the_client_is_answered() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    net["b"].stored = False
    peer = ask(net, "b")
    assert peer.received() == []
    net["b"].stored = True
    net.settle()
    assert peer.one(Connack).session_present


def test_what_waits_is_asked_about_at_the_new_node() -> None:
    net = Net("a", "b")
    alice = arrive(net, "a", receive_maximum=1)
    alice.subscribe("t/keep", "t/x", qos=1)
    publisher = net["a"].connect("publisher")
    for topic in ("t/keep", "t/x", "t/keep"):
        publisher.publish(topic, topic.encode(), qos=1)
    alice.unsubscribe("t/x")
    alice.drop()
    net["b"].broker.acl = Acl([Rule(False, Who(), SUBSCRIBE, [Pattern(b"t/x")])], True)
    net.halt_before(f.ROWS)
    again = arrive(net, "b", receive_maximum=1)
    net.go_on()
    assert take_all(again) == [b"t/keep", b"t/keep"]


def test_the_copy_of_the_old_node_stays_until_the_new_one_has_stored_all() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    publish(net, "a", b"1")
    net.halt_before(f.END)
    arrive(net, "b")
    net["b"].stored = False
    net.go_on()
    assert "alice" in net["a"].broker.sessions.by_id
    net["b"].stored = True
    net.settle()
    assert "alice" not in net["a"].broker.sessions.by_id


def test_a_session_that_was_given_is_not_sent_before_that_is_stored() -> None:
    net = Net("a", "b")
    absent_session(net, "a")
    net["a"].stored = False
    peer = ask(net, "b")
    assert peer.received() == []
    assert "alice" not in net["b"].broker.sessions.by_id
    net["a"].stored = True
    net.settle()
    assert peer.one(Connack).session_present


def test_a_session_that_is_on_its_way_does_not_expire() -> None:
    net = Net("a", "b")
    alice = arrive(net, "a", session_expiry_interval=5)
    alice.subscribe("t/#", qos=1)
    alice.drop()
    publish(net, "a", b"1")
    net.halt_before(f.ROWS)
    again = arrive(net, "b", session_expiry_interval=3600)
    net.advance(6)
    net.go_on()
    assert take_all(again) == [b"1"]


def test_the_will_of_a_session_that_is_on_its_way_is_no_more_though_the_old_node_crashes() -> None:
    net = Net("a", "b")
    watcher = arrive(net, "b", "watcher")
    watcher.subscribe("will", qos=1)
    arrive(net, "a", will=Will(b"will", b"will", 1, False, properties(will_delay_interval=60)))
    net.halt_before(f.END)
    arrive(net, "b")
    net["a"].crash(100)
    net.go_on()
    net.advance(100)
    net.join_all()
    assert payloads(watcher) == []
