"""Nodes that were not there while a session moved: what they publish comes by where it was, until they cut."""
import pytest

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.aftermath import Aftermath, filters_of
from emqtwist.core.cluster.aftermaths import LATER
from emqtwist.core.cluster.origin import ForwardedMessage, Origins
from emqtwist.core.message import NEVER, PUBLISH_BYTE, QOS_1_BITS
from emqtwist.mqtt.packets import Connack, Publish
from tests.clusters import Net
from tests.peers import World
from tests.unit.cluster.takeovers import History, ask
from tests.unit.cluster.test_takeover import arrive, publish, take_all, without


def absent(*names: str) -> Net:
    """Alice has a session at a; the last node is away, and has published 1 when it was cut off."""
    net = Net(*names)
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    without(net, names[-1])
    publish(net, names[-1], b"1")
    return net


def crash(net: Net, node: str, *others: str) -> None:
    net[node].crash()
    for other in others:
        net[node].cluster.peer(other)


def rest(net: Net) -> list[str]:
    """All nodes are there; after a while, who still has something of alice."""
    net.join_all()
    for _ in range(5):
        net.advance(0.5)
    names = sorted({name for name, _ in net.ends})
    return [name for name in names if "alice" in net[name].broker.sessions.by_id]


def test_what_comes_directly_is_left_out_where_it_was_subscribed_before_and_until_its_node_cuts() -> None:
    world = World()
    alice = world.connect("alice", session_expiry_interval=100)
    alice.subscribe("t/#", qos=1)
    alice.subscribe("$share/g/s", qos=1)
    filters = dict.fromkeys("cd", filters_of(world.session("alice")))
    aftermath = Aftermath(world.session("alice"), 3, {"a": 3}, {"c"}, {"d"}, None, filters, 0, Origins("b", "b-1"))
    alice.subscribe("u", qos=1)

    def wants(topic: bytes, node: str, qos: int = QOS_1_BITS) -> bool:
        message = ForwardedMessage(topic, b"x", 1, False, b"", NEVER, "p", (node, 1))
        return aftermath.wants(message, PUBLISH_BYTE | qos)

    assert (wants(b"t/1", "a"), wants(b"t/1", "c"), wants(b"t/1", "c", 0), wants(b"u", "c"), wants(b"s", "c")) == (
        True, False, True, True, True)
    aftermath.cut("c", 3, direct=False)
    aftermath.cut("c", 2, direct=True)
    assert not wants(b"t/1", "c")
    aftermath.cut("c", 3, direct=True)
    assert wants(b"t/1", "c")
    assert wants(b"t/1", "d")
    aftermath.cut("d", 2, direct=True)  # where the session was in between
    assert not wants(b"t/1", "d")
    aftermath.cut("d", 3, direct=True)
    assert wants(b"t/1", "d")
    assert aftermath.awaited() == set()


@pytest.mark.parametrize("sources", [{"c": 3}, {}, {"a": 3}, {"a": 3, "c": 3}])
@pytest.mark.parametrize("fading", [set(), {"c"}])
def test_a_mark_for_where_the_session_went_later_holds_for_all_that_is_sent_on(sources: dict[str, int], fading: set[str]) -> None:
    world = World()
    world.connect("alice", session_expiry_interval=100)
    aftermath = Aftermath(world.session("alice"), 3, sources, {"c"}, fading, None, {"c": []}, 0, Origins("b", "b-1"))
    aftermath.cut("c", 4, direct=True)
    assert aftermath.awaited() == set()


def test_the_node_that_had_a_session_sends_on_what_comes_though_it_crashes() -> None:
    net = absent("a", "b", "c")
    alice = arrive(net, "b")
    crash(net, "a", "b", "c")
    net.join("a", "c")
    publish(net, "c", b"2")
    net.join("a", "b")
    assert take_all(alice) == [b"1", b"2"]
    assert rest(net) == ["b"]
    publish(net, "c", b"3")
    assert take_all(alice) == [b"3"]


def test_what_is_sent_on_does_not_come_to_who_has_unsubscribed_since() -> None:
    net = absent("a", "b", "c")
    alice = arrive(net, "b")
    alice.unsubscribe("t/#")
    alice.subscribe("u", qos=1)
    net.join("a", "c")
    publish(net, "c", b"2")
    net.join("b", "c")
    assert rest(net) == ["b"]
    assert take_all(alice) == []


def test_a_node_between_sends_on_what_comes_though_it_crashes() -> None:
    net = absent("a", "b", "c", "d")
    arrive(net, "b").drop()
    alice = arrive(net, "c")
    crash(net, "b", "a", "c", "d")
    net.join("a", "c")
    net.join("a", "d")
    net.join("b", "d")
    net.join("b", "c")
    publish(net, "d", b"2")
    assert take_all(alice) == []
    net.join("a", "b")
    net.advance(0.1)
    assert take_all(alice) == [b"1", b"2"]
    assert rest(net) == ["c"]
    publish(net, "d", b"3")
    assert take_all(alice) == [b"3"]


def test_the_new_node_knows_over_a_crash_of_whom_messages_are_sent_on() -> None:
    net = absent("a", "b", "c")
    arrive(net, "b").drop()
    net.join("b", "c")
    net.halt_before(f.CUT)
    crash(net, "b", "a", "c")
    net.join("b", "c")  # which has not been asked for the mark, or not again
    publish(net, "c", b"2")
    net.go_on()
    net.join("a", "b")
    alice = arrive(net, "b")
    net.join("a", "c")
    publish(net, "c", b"3")
    assert sorted(take_all(alice)) == [b"1", b"2", b"3"]
    assert rest(net) == ["b"]


@pytest.mark.parametrize("crashes", [False, True])
def test_what_the_session_subscribed_to_since_comes_directly_though_its_node_crashes(crashes: bool) -> None:
    net = absent("a", "b", "c")
    alice = arrive(net, "b")
    alice.subscribe("u", qos=1)
    if crashes:
        crash(net, "b", "a", "c")
        net.join("a", "b")
        net.advance(0.1)
        alice = arrive(net, "b")
    net.halt_before(f.CUT, "b")
    net.join("b", "c")
    net["c"].connect("bob").publish("u", b"2", qos=1)
    publish(net, "c", b"3")
    assert take_all(alice) == [b"2"]
    net.go_on()
    assert rest(net) == ["b"]
    assert take_all(alice) == [b"1", b"3"]


def test_a_node_that_crashes_while_a_session_comes_asks_the_one_that_it_came_from() -> None:
    net = absent("a", "b", "c", "d")
    arrive(net, "b").drop()  # a still has something, to send on what comes of d
    net.halt_before(f.LEVEL, "b")
    alice = arrive(net, "c")
    assert net.halted == "b"
    publish(net, "a", b"2")
    crash(net, "c", "a", "b", "d")
    net.join("a", "c")
    net.advance(0.1)
    net.go_on()
    net.join("b", "c")
    net.advance(0.1)
    alice = arrive(net, "c")
    assert take_all(alice) == [b"2"]
    net.join("a", "d")
    net.advance(0.1)
    assert take_all(alice) == [b"1"]
    assert rest(net) == ["c"]


@pytest.mark.parametrize("here", [False, True])
def test_what_is_sent_on_before_the_rows_come_once_more_has_other_numbers(here: bool) -> None:
    net = absent("a", "b", "c")
    for payload in (b"2", b"3", b"4"):
        publish(net, "a", payload)
    net.halt_before(f.END)
    alice = arrive(net, "b")
    if not here:
        alice.drop()
    assert net.halted == "a"
    net.join("a", "c")
    for payload in (b"5", b"6"):
        publish(net, "a", payload)
        publish(net, "c", payload + b"c")
    net.cut("a", "b")
    net["a"].stored = False  # so that the rows begin later than what was sent on
    publish(net, "a", b"7")
    net.go_on()
    net.join("a", "b")
    net["a"].stored = True
    net.settle()
    net.advance(0.1)
    alice = alice if here else arrive(net, "b")
    assert sorted(take_all(alice)) == sorted([b"1", b"2", b"3", b"4", b"5", b"5c", b"6", b"6c", b"7"])
    assert rest(net) == ["b"]


@pytest.mark.parametrize("crashed", ["", "a", "b"])
@pytest.mark.parametrize("gone", ["a", "c"])
def test_a_node_that_leaves_is_not_awaited(gone: str, crashed: str) -> None:
    net = absent("a", "b", "c")
    alice = arrive(net, "b")
    net.isolate(gone)
    others = [name for name in "abc" if name != gone]
    for name in others:
        net[name].cluster.forget(gone)
    net.settle()
    if crashed and crashed != gone:
        crash(net, crashed)
        alice = arrive(net, "b")
    net.join(*others)
    for _ in range(5):
        net.advance(0.5)
    assert [name for name in others if "alice" in net[name].broker.sessions.by_id] == ["b"]
    assert gone not in net["b"].cluster.peers
    publish(net, others[0], b"2")
    publish(net, others[1], b"3")
    assert sorted(take_all(alice)) == [b"2", b"3"]


def test_a_session_that_comes_back_by_a_third_node_ends_at_the_others() -> None:
    net = absent("a", "b", "c", "d")
    arrive(net, "b").drop()
    arrive(net, "c").drop()
    alice = arrive(net, "a")
    net.join("a", "d")
    publish(net, "d", b"2")
    assert take_all(alice) == [b"1", b"2"]
    assert rest(net) == ["a"]
    publish(net, "d", b"3")
    assert take_all(alice) == [b"3"]


def test_a_mark_that_is_on_its_way_when_the_session_comes_back_holds() -> None:
    history = History(Net("a", "b", "c"))
    history.begin("a")
    without(history.net, "c")
    history.publish("c")
    history.arrive("b")
    history.net.join("b", "c")  # c cuts, and a does not hear of it
    history.publish("c")
    history.arrive("a")
    history.publish("c")
    history.net.join("a", "c")
    history.publish("c")
    history.wait(3)
    history.arrive("b")
    history.publish("a", "b", "c")
    history.wait(3)
    history.take()
    assert sorted(history.got) == sorted([each for node in "abc" for each in history.sent[node]])
    assert history.holders() == ["b"]


@pytest.mark.parametrize("seconds", [0, 3])  # in which c ends what it had: that ends nothing elsewhere
def test_a_node_that_sent_on_to_one_to_which_the_session_comes_back_goes_on_with_that(seconds: int) -> None:
    net = absent("a", "b", "c", "d")
    arrive(net, "b").drop()
    arrive(net, "c").drop()
    alice = arrive(net, "b")
    for _ in range(seconds):
        net.advance(1)
    assert ("alice" in net["c"].broker.sessions.by_id) == (not seconds)
    net.join("a", "d")
    publish(net, "d", b"2")
    assert take_all(alice) == [b"1", b"2"]
    assert rest(net) == ["b"]


def test_the_new_node_itself_may_be_late() -> None:
    net = Net("a", "b")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    net.halt_before(f.FLUSHED, "b")
    alice = arrive(net, "b")
    assert net.halted == "b"
    for _ in range(6):
        net.advance(1)
    net.go_on()
    publish(net, "b", b"1")
    assert rest(net) == ["b"]
    publish(net, "b", b"2")
    assert take_all(alice) == [b"1", b"2"]


def test_who_has_ended_a_session_has_none_though_it_remembers_that() -> None:
    net = Net("a", "b")
    registry, b = net["a"].cluster.takeover.registry, net["a"].cluster.peer("b")
    net["b"].cluster.takeover.registry.table.set("alice", 4 << 1 | 1)
    net["b"].cluster.takeover.registry.table.set("bob", 4 << 1)
    net["b"].cluster.proceed(net["b"].cluster.peer("a"))
    net.settle()
    assert (registry.epoch_at(b, "alice"), registry.epoch_at(b, "bob")) == (4, 0)
    assert (registry.may_have(b, "alice"), registry.may_have(b, "bob")) == (True, False)


def test_a_mark_is_passed_on_to_where_the_session_had_gone() -> None:
    net = absent("a", "b", "c", "d")
    arrive(net, "b").drop()
    arrive(net, "c").drop()
    net.join("c", "d")  # d cuts, and a does not hear of it
    publish(net, "d", b"2")
    alice = arrive(net, "a")
    publish(net, "d", b"3")
    net.join("a", "d")
    net.advance(0.1)
    assert sorted(take_all(alice)) == [b"1", b"2", b"3"]
    assert rest(net) == ["a"]


def test_what_comes_on_both_ways_is_awaited_on_both_before_the_session_is_here() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    net.halt_before(f.READY)
    alice = arrive(net, "b")
    net.stall("c", "b")
    publish(net, "c", b"1")
    net.stall("b", "a", False)
    for _ in range(6):
        net.advance(1)
    net.stall("c", "b", False)
    net.advance(0.1)
    publish(net, "c", b"2")
    assert take_all(alice) == [b"1", b"2"]
    assert rest(net) == ["b"]


def test_what_a_process_said_that_has_crashed_before_it_was_stored_is_not_believed() -> None:
    net = absent("a", "b", "c")
    alice = arrive(net, "b")
    net.join("b", "c")  # which is told where alice is, and cuts
    net.advance(0.5)
    net["a"].stored = False
    net.join("a", "c")  # so a has nothing more to send on
    net.advance(0.5)
    assert net["b"].cluster.takeover.aftermaths.known["alice"].passing  # b knows that, and waits for what is on its way
    net["a"].crash()
    net["a"].stored = True
    net["a"].cluster.peer("c")
    net.join("a", "b")
    net.advance(0.5)
    assert rest(net) == ["b"]
    assert take_all(alice) == [b"1"]


def test_a_node_that_made_its_mark_before_it_knew_where_the_session_was_makes_another() -> None:
    net = Net("a", "b", "c")
    net.stall("a", "b")
    alice = ask(net, "a")
    net.advance(1.0)  # b does not hear of it, and is cut off
    alice.drop()
    ask(net, "c")
    for _ in range(10):
        net.advance(0.5)
    assert net["a"].cluster.takeover.claims.givings["alice"].nodes == {"b"}
    assert not net["c"].cluster.takeover.aftermaths.known["alice"].awaited()  # b has told c only
    net.join("a", "b")
    net.advance(LATER)
    assert rest(net) == ["c"]


def test_what_a_group_gives_to_where_the_session_was_is_sent_on() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe("$share/g/t/#", qos=1)
    alice.drop()
    without(net, "c")
    publish(net, "c", b"1", qos=1)
    alice = arrive(net, "b")
    net.join("a", "c")
    net.advance(0.1)
    publish(net, "c", b"2", qos=1)
    assert take_all(alice) == [b"1", b"2"]
    alice.drop()
    sent = [b"%d" % number for number in range(8)]
    for payload in sent:
        publish(net, "a", payload, qos=1)  # where it was it is a member as it is where it is
    alice = arrive(net, "b")
    assert sorted(take_all(alice)) == sent
    assert rest(net) == ["b"]


def test_a_client_that_comes_back_waits_until_the_node_that_takes_its_session_is_heard() -> None:
    net = Net("a", "b")
    alice = arrive(net, "a")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    net.halt_before(f.DELTA, "b")  # of what sessions b has
    ask(net, "b")
    assert net.halted == "b"
    net.cut("a", "b")
    net.halt_before(f.STATE, "b")
    alice = ask(net, "a")
    net.join("a", "b")
    assert net.halted == "b"
    net.advance(0.1)
    assert alice.received() == []
    publish(net, "b", b"1")
    net.go_on()
    net.advance(0.1)
    connack, first = alice.received()
    assert isinstance(connack, Connack)
    assert connack.session_present
    assert isinstance(first, Publish)
    alice.acknowledge(first)
    publish(net, "a", b"2")
    assert [first.payload, *take_all(alice)] == [b"1", b"2"]
    assert rest(net) == ["a"]


def test_a_client_that_comes_to_a_node_that_is_just_told_of_sessions_waits_for_that() -> None:
    net = Net("a", "b")
    net.cut("a", "b")
    arrive(net, "a").drop()
    net.halt_before(f.STATE, "a")
    net.join("a", "b")
    assert net.halted == "a"
    alice = ask(net, "b")
    assert alice.received() == []
    net.go_on()
    net.advance(0.1)
    assert alice.one(Connack).session_present


def test_a_mark_comes_before_all_else_to_where_the_session_was_unheard_of() -> None:
    net = Net("a", "b", "c")
    net.stall("a", "b")
    alice = ask(net, "a")
    net.advance(1.0)
    alice.subscribe("t/#", qos=2)
    net.advance(1.0)  # b does not hear of it, and is cut off
    alice.drop()
    alice = arrive(net, "c")
    for _ in range(10):
        net.advance(0.5)
    assert not net["c"].cluster.takeover.aftermaths.known["alice"].awaited()  # b has made its mark
    net.join("a", "b")
    publish(net, "b", b"1")
    assert take_all(alice) == [b"1"]
    assert rest(net) == ["c"]


def test_a_node_that_had_no_room_for_its_own_mark_makes_another() -> None:
    net = Net("a", "b", "c", lines=("mqtt.mqueue.max_length = 1",))
    bob = net["c"].connect("bob", session_expiry_interval=3600)
    bob.subscribe("u", qos=1)
    bob.drop()
    without(net, "a")
    net["a"].connect("publisher").publish("u", b"x", qos=1)
    alice = arrive(net, "c")
    alice.subscribe("t/#", qos=2)
    alice.drop()
    arrive(net, "b").drop()
    net.cut("b", "c")
    net.join("a", "b")
    net.advance(0.5)
    assert not net["b"].cluster.takeover.aftermaths.known["alice"].awaited()  # a has made its mark, but not for c
    alice = arrive(net, "a")
    net.join_all()
    net.advance(1.0)
    assert net["c"].cluster.takeover.claims.givings["alice"].nodes == {"a"}
    net.advance(LATER)
    assert rest(net) == ["a"]
    publish(net, "c", b"1")
    assert take_all(alice) == [b"1"]
