"""Messages of a group that meet members and nodes who have gone meanwhile."""
import pytest

from emqtwist.core import causes
from emqtwist.core.cluster.groups import Trail, trail_of
from emqtwist.mqtt.packets import Publish, Subscribe
from tests.clusters import Net
from tests.peers import Peer
from tests.scenes import LASTING

GROUP = "$share/g/t/#"
QOS = pytest.mark.parametrize("qos", [0, 1, 2])


def member(net: Net, node: str, **options: object) -> Peer:
    peer = net[node].connect(f"member-{node}", **options)
    peer.subscribe(GROUP, qos=2)
    return peer


def on_its_way(net: Net, qos: int, source: str = "a") -> Peer:
    """A message from there to b, where the only member is who is here; the member."""
    there = member(net, "b")
    net.stall(source, "b")
    net[source].connect("publisher").publish("t/1", b"x", qos=qos)
    assert there.received() == []
    return there


def drops(net: Net, *nodes: str) -> list[dict[str, int]]:
    return [net[node].drops for node in nodes]


@QOS
def test_a_node_with_nobody_hands_on_to_one_that_has_somebody(qos: int) -> None:
    net = Net("a", "b", "c")
    there = on_its_way(net, qos)
    other = member(net, "c")
    there.drop()
    net.stall("a", "b", False)
    assert other.payloads() == [b"x"]
    assert drops(net, "a", "b", "c") == [{}, {}, {}]


@QOS
def test_a_node_whose_member_left_hands_on_too(qos: int) -> None:
    net = Net("a", "b", "c")
    member(net, "b", **LASTING[5]).drop()
    net["a"].connect("publisher").publish("t/1", b"0", qos=1)
    there = on_its_way(net, qos)
    other = member(net, "c")
    there.unsubscribe(GROUP)
    net.stall("a", "b", False)
    assert other.payloads() == [b"x"]


@pytest.mark.parametrize("qos", [1, 2])
def test_with_nobody_anywhere_one_of_the_node_who_is_away_keeps_it(qos: int) -> None:
    net = Net("a", "b")
    there = member(net, "b", **LASTING[5])
    net.stall("a", "b")
    net["a"].connect("publisher").publish("t/1", b"x", qos=qos)
    there.drop()
    net.stall("a", "b", False)
    assert net["b"].session("member-b").queued() == 1


@pytest.mark.parametrize("qos", [1, 2])
def test_with_nobody_on_the_node_one_who_is_away_on_another_keeps_it(qos: int) -> None:
    net = Net("a", "b", "c")
    member(net, "c", **LASTING[5]).drop()
    there = on_its_way(net, qos)
    there.unsubscribe(GROUP)
    net.stall("a", "b", False)
    assert net["c"].session("member-c").queued() == 1


def test_what_was_handed_on_to_a_node_that_is_lost_then_wanders_on() -> None:
    net = Net("a", "b", "c")
    there = on_its_way(net, 1)
    other = member(net, "c")
    back = net["b"].connect("back")
    there.drop()
    net.stall("b", "c")
    net.stall("a", "b", False)  # from b to c now
    assert other.received() == []
    back.send(Subscribe(1, [(GROUP.encode(), 1)]))
    net.cut("b", "c")
    net.settle()
    assert [each.payload for each in back.received() if isinstance(each, Publish)] == [b"x"]
    here = member(net, "a")
    back.drop()
    assert here.payloads() == [b"x"]


@QOS
def test_it_goes_back_to_a_member_of_the_node_it_came_from(qos: int) -> None:
    net = Net("a", "b", lines=("mqtt.shared_subscription_strategy = round_robin_per_group",))
    here, there = member(net, "a"), member(net, "b")
    net.stall("a", "b")
    publisher = net["a"].connect("publisher")
    publisher.publish("t/1", b"0", qos=qos)
    publisher.publish("t/1", b"1", qos=qos)
    there.unsubscribe(GROUP)
    assert here.payloads() == [b"0"]
    net.stall("a", "b", False)
    assert here.payloads() == [b"1"]


@QOS
def test_when_nobody_is_left_it_is_dropped_once(qos: int) -> None:
    net = Net("a", "b")
    there = on_its_way(net, qos)
    there.unsubscribe(GROUP)
    net.stall("a", "b", False)
    assert drops(net, "a", "b") == [{causes.NO_SUBSCRIBERS: 1}, {}]


def test_it_comes_to_no_node_twice_that_had_nobody() -> None:
    """Of two nodes each believes that the other has somebody."""
    net = Net("a", "b", "c")
    there, other = member(net, "b"), member(net, "c")
    lasting = net["b"].connect("lasting", **LASTING[5])
    lasting.subscribe(GROUP, qos=2)
    lasting.drop()
    for source, target in (("a", "b"), ("a", "c"), ("b", "c"), ("c", "b")):
        net.stall(source, target)
    publisher = net["a"].connect("publisher")
    publisher.publish("t/1", b"0", qos=1)
    publisher.publish("t/1", b"1", qos=1)
    there.drop()
    other.drop()
    for source, target in (("a", "b"), ("a", "c")):
        net.stall(source, target, False)
    assert net["b"].session("lasting").queued() == 0  # on their way, each to where nobody is
    for source, target in (("b", "c"), ("c", "b")):
        net.stall(source, target, False)
    assert net["b"].session("lasting").queued() == 2
    assert drops(net, "a", "b", "c") == [{}, {}, {}]
    assert net["b"].broker.metrics.forwarded_sent + net["c"].broker.metrics.forwarded_sent <= 4


def test_where_nobody_knows_anybody_it_goes_back_and_to_another_who_is_away() -> None:
    """c has nobody any more and does not know a; b, which sent it there, does."""
    net = Net("a", "b", "c", "p", lines=("mqtt.shared_subscription_strategy = round_robin_per_group",))
    net.cut("a", "c")
    for node in ("a", "c"):
        member(net, node, **LASTING[5]).drop()
    there = on_its_way(net, 1, "p")
    net["p"].connect("another").publish("t/1", b"y", qos=1)
    there.unsubscribe(GROUP)
    net.stall("c", "b")
    net["c"].connect("member-c", **LASTING[5]).unsubscribe(GROUP)
    net.stall("p", "b", False)
    net.stall("c", "b", False)
    assert net["a"].session("member-a").queued() == 2
    assert drops(net, "a", "b", "c", "p") == [{}, {}, {}, {}]


@pytest.mark.parametrize("stored", [False, True])
def test_a_node_that_crashes_while_it_hands_on_keeps_the_message_or_has_not_taken_it(stored: bool) -> None:
    net = Net("a", "b", "c")
    there = member(net, "b", **LASTING[5])
    net.stall("a", "b")
    net["a"].connect("publisher").publish("t/1", b"x", qos=2)
    other = member(net, "c")
    there.unsubscribe(GROUP)
    net["b"].stored = stored
    net.stall("b", "c")
    net.stall("a", "b", False)
    net["b"].stored = True
    net["b"].crash()
    net.join_all()
    assert other.payloads() == [b"x"]
    assert [len(net[node].cluster.peer(far).outbox) for node in "abc" for far in "abc" if node != far] == [0] * 6


def test_a_node_that_crashes_takes_each_message_once() -> None:
    net = Net("a", "b")
    there = member(net, "b", **LASTING[5])
    publisher = net["a"].connect("publisher")
    publisher.publish("t/1", b"x", qos=2)
    there.acknowledge(there.one(Publish))
    net.stall("b", "a")  # that it has it is not heard of
    publisher.publish("t/1", b"y", qos=2)
    there.acknowledge(there.one(Publish))
    net["b"].crash()
    back = net["b"].connect("member-b", **LASTING[5])
    net.join("a", "b")
    assert back.received() == []
    assert len(net["a"].cluster.peer("b").outbox) == 0


def test_what_a_crashed_node_had_for_a_lost_one_is_for_the_group_still() -> None:
    net = Net("a", "b")
    there = member(net, "b", **LASTING[5])
    net.cut("a", "b")
    net["a"].connect("publisher").publish("t/1", b"x", qos=1)
    net["a"].crash()
    there.drop()
    net.join("a", "b")
    assert net["b"].session("member-b").queued() == 1


def test_clients_that_get_nothing_of_their_own_get_nothing_that_comes_back() -> None:
    net = Net("a", "b", lines=("mqtt.session.ignore_loop_deliver = on",))
    alice, bob = member(net, "a"), member(net, "b")
    alice.publish("t/1", b"x", qos=1)
    alice.received()
    net.stall("a", "b")
    alice.publish("t/1", b"y", qos=1)
    alice.received()
    bob.unsubscribe(GROUP)
    net.stall("a", "b", False)
    assert alice.received() == []
    assert drops(net, "a", "b") == [{}, {causes.NO_SUBSCRIBERS: 1}]  # who heard of the other last


def test_a_member_with_a_full_queue_is_passed_over_for_one_on_another_node() -> None:
    net = Net("a", "b", lines=("mqtt.session.max_inflight = 1", "mqtt.mqueue.max_length = 1",
                               "mqtt.shared_subscription_strategy = round_robin_per_group"))
    slow, quick = member(net, "b", **LASTING[5]), member(net, "a")
    publisher = net["a"].connect("publisher")
    got = []
    for number in range(8):
        publisher.publish("t/1", b"%d" % number, qos=1)
        publishes = quick.all(Publish)
        quick.acknowledge(*publishes)
        got += [each.payload for each in publishes]
    assert len(got) == 6
    assert slow.one(Publish).payload == b"1"
    assert drops(net, "a", "b") == [{}, {}]


@pytest.mark.parametrize("passed", [[], ["b"], ["b@host", "c"]])
@pytest.mark.parametrize("anybody", [False, True])
def test_a_trail_is_read_as_it_was_written(passed: list[str], anybody: bool) -> None:
    name = b"$share/g/t"
    for node in passed:
        name = trail_of(name).behind(node, anybody)
    trail = trail_of(name)
    assert (trail.name, trail.anybody, trail.passed) == (b"$share/g/t", anybody and passed != [], passed)
    assert trail_of(trail.behind("d", True)).passed == ([*passed, "d"] if trail.anybody else ["d"])


@pytest.mark.parametrize(("passed", "node", "sender", "back"), [
    (["b"], "c", "b", "b"),  # b may know another
    (["", "b"], "a", "b", ""),  # b knew nobody
    (["", "b", "a"], "c", "a", "a"),
    (["p", "b", "c"], "b", "c", "p"),  # who has sent it to b
    (["p", "b", "c"], "p", "b", ""),
])
def test_a_trail_leads_back(passed: list[str], node: str, sender: str, back: str) -> None:
    assert Trail(b"$share/g/t", True, passed).back(node, sender) == back
