"""The copy of a session that has moved is a member of its groups; its client may have left these where it is now."""
import pytest

from emqtwist.core import causes
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.addressed import send_left
from emqtwist.core.cluster.epochs import epoch_of
from tests.clusters import Net
from tests.peers import Peer
from tests.scenes import LASTING
from tests.unit.cluster.takeovers import ask
from tests.unit.cluster.test_takeover import arrive, publish, take_all, without

GROUP = "$share/g/t/#"
QOS = pytest.mark.parametrize("qos", [1, 2])


def moved(*others: str) -> tuple[Net, Peer]:
    """Alice has gone from a to b while c was away, which knows a copy at a only; a and b are not linked now."""
    net = Net("a", "b", "c", *others)
    alice = arrive(net, "a")
    alice.subscribe(GROUP, qos=2)
    alice.drop()
    without(net, "c")
    alice = arrive(net, "b")
    net.cut("a", "b")
    net.join("a", "c")
    return net, alice


def member(net: Net, node: str) -> Peer:
    peer = net[node].connect(f"member-{node}", **LASTING[5])
    peer.subscribe(GROUP, qos=2)
    return peer


def meet(net: Net, one: str, other: str) -> None:
    net.join(one, other)
    net.advance(0.5)


def is_member(net: Net, node: str) -> bool:
    """Whether a copy of alice's session is in the group there."""
    session = net[node].broker.sessions.by_id.get("alice")
    group = net[node].broker.subscriptions.groups.by_name.get(GROUP.encode())
    return session is not None and group is not None and session in group.away.queue


def outboxes(net: Net) -> int:
    nodes = sorted({name for name, _ in net.ends})
    return sum(len(net[node].cluster.peer(far).outbox) for node in nodes for far in nodes if node != far)


@QOS
def test_another_member_gets_what_was_sent_on_to_who_has_left(qos: int) -> None:
    net, alice = moved()
    publish(net, "c", b"1", qos)
    alice.unsubscribe(GROUP)
    bob = member(net, "b")
    meet(net, "a", "b")
    assert take_all(bob) == [b"1"]
    assert take_all(alice) == []
    assert outboxes(net) == 0


@QOS
def test_another_member_gets_what_was_sent_on_to_whose_session_has_ended(qos: int) -> None:
    net, alice = moved()
    publish(net, "c", b"1", qos)
    alice.disconnect(session_expiry_interval=0)
    bob = member(net, "b")
    meet(net, "a", "b")
    assert take_all(bob) == [b"1"]


def test_another_member_gets_what_was_sent_on_when_the_session_ends() -> None:
    """It waits there as a message of the group."""
    net, alice = moved()
    alice.drop()
    publish(net, "c", b"1")
    meet(net, "a", "b")
    assert net["b"].session("alice").queued() == 1
    bob = member(net, "b")
    net["b"].connect("alice")
    assert take_all(bob) == [b"1"]


def test_who_subscribes_to_the_same_by_itself_gets_nothing_that_is_for_the_group() -> None:
    net, alice = moved()
    alice.unsubscribe(GROUP)
    alice.subscribe("t/#", qos=2)
    bob = member(net, "b")
    publish(net, "c", b"1")
    meet(net, "a", "b")
    assert take_all(bob) == [b"1"]
    assert take_all(alice) == []


@pytest.mark.parametrize("crashes", [False, True])
def test_the_copy_leaves_the_group_of_who_has_left(crashes: bool) -> None:
    net, alice = moved()
    publish(net, "c", b"1")
    alice.unsubscribe(GROUP)
    assert is_member(net, "a")
    meet(net, "a", "b")
    assert not is_member(net, "a")
    if crashes:
        net["a"].crash()
        assert "alice" in net["a"].broker.sessions.by_id
        assert not is_member(net, "a")
        net.join("a", "c")
    net.join("a", "b")
    assert net["c"].broker.subscriptions.groups.by_name == {}


@pytest.mark.parametrize(("phase", "node", "leaves"), [(f.LEVEL, "b", False), (f.END, "c", False), (f.END, "b", True)])
def test_the_copy_leaves_when_the_node_says_so_that_the_session_went_to(phase: int, node: str, leaves: bool) -> None:
    """Else it is about what was given before, and comes late."""
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe(GROUP, qos=2)
    alice.drop()
    net.halt_before(phase)
    ask(net, "b")
    send_left(net[node].cluster.peer("a"), "alice", epoch_of(net["a"].session("alice")), GROUP.encode())
    net[node].flush()
    net.settle()
    assert is_member(net, "a") != leaves


def test_the_copy_stays_in_the_group_of_who_has_not_left() -> None:
    net, alice = moved()
    publish(net, "c", b"1")
    meet(net, "a", "b")
    assert take_all(alice) == [b"1"]
    assert is_member(net, "a")


@QOS
def test_when_no_member_is_left_it_is_dropped_once(qos: int) -> None:
    net, alice = moved()
    publish(net, "c", b"1", qos)
    alice.unsubscribe(GROUP)
    before = [net[node].broker.metrics.forwarded_sent for node in "ab"]
    meet(net, "a", "b")
    assert [net[node].drops for node in "abc"] == [{causes.NO_SUBSCRIBERS: 1}, {}, {}]
    sent = [net[node].broker.metrics.forwarded_sent for node in "ab"]
    assert [now - then for then, now in zip(before, sent, strict=True)] == [1, 2]  # that she has left, and the message
    assert outboxes(net) == 0


def test_it_comes_back_to_a_member_where_it_was_chosen() -> None:
    net, alice = moved()
    publish(net, "c", b"1")
    alice.unsubscribe(GROUP)
    bob = member(net, "a")
    meet(net, "a", "b")
    assert take_all(bob) == [b"1"]


def test_who_is_here_is_preferred_at_another_node_too() -> None:
    net, alice = moved("d")
    publish(net, "c", b"1")
    alice.unsubscribe(GROUP)
    bob, dora = member(net, "b"), member(net, "d")
    bob.drop()
    meet(net, "a", "b")
    assert take_all(dora) == [b"1"]


@pytest.mark.parametrize("victim", ["a", "b"])
@pytest.mark.parametrize("stored", [False, True])
@QOS
def test_a_crash_meanwhile_loses_nothing_and_nothing_comes_twice(victim: str, stored: bool, qos: int) -> None:
    net, alice = moved()
    publish(net, "c", b"1", qos)
    alice.unsubscribe(GROUP)
    bob = member(net, "b")
    bob.drop()
    net[victim].stored = stored
    net.join("a", "b")
    net[victim].stored = True
    net[victim].crash()
    net.join_all()
    net.advance(0.5)
    assert net["b"].session("member-b").queued() == 1
    assert outboxes(net) == 0


def test_what_is_passed_on_by_a_node_between_may_be_for_who_has_left() -> None:
    net, alice = moved("d")
    net.cut("a", "d")
    net.join("a", "b")
    alice = arrive(net, "d")
    for _ in range(12):
        net.advance(1.0)
    net.cut("b", "d")
    publish(net, "c", b"1")
    alice.unsubscribe(GROUP)
    bob = member(net, "d")
    meet(net, "b", "d")
    assert take_all(bob) == [b"1"]
    assert not is_member(net, "b")


def test_it_does_not_circle_while_it_is_not_heard_that_she_has_left() -> None:
    """d has nobody any more, which b has not heard, and knows the copy at a."""
    net, alice = moved("d")
    dora = member(net, "d")
    dora.drop()
    publish(net, "c", b"1")
    alice.unsubscribe(GROUP)
    net.stall("d", "b")
    arrive(net, "d", "member-d").unsubscribe(GROUP)
    before = sum(net[node].broker.metrics.forwarded_sent for node in "abcd")
    net.halt_before(f.FORWARD, "b")
    net.join("a", "b")
    assert net.halted == "b"
    net.go_on()
    assert sum(net[node].broker.metrics.forwarded_sent for node in "abcd") - before <= 6
    assert sum(net[node].drops.get(causes.NO_SUBSCRIBERS, 0) for node in "abcd") == 1
    assert outboxes(net) == 0
