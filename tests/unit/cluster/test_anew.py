"""A client begins anew where its session had gone: what other nodes still have for the old session is not for the new one."""
from emqtwist.core.cluster.addressed import cut
from emqtwist.core.cluster.aftermath import Aftermath
from emqtwist.core.cluster.epochs import FIRST, MOVES, began, epoch_of, new_epoch
from emqtwist.core.cluster.origin import ForwardedMessage
from emqtwist.core.message import NEVER
from tests.clusters import Net
from tests.peers import Peer
from tests.unit.cluster.test_aftermath import absent, rest
from tests.unit.cluster.test_takeover import arrive, publish, take_all, without

GROUP = "$share/g/t/#"


def anew(net: Net, node: str, *filters: str) -> Peer:
    """Alice wants nothing of what there was."""
    alice = net[node].connect("alice", clean_start=True, session_expiry_interval=3600)
    alice.subscribe(*filters, qos=2)
    return alice


def waiting(*filters: str) -> tuple[Net, Peer]:
    """What c published waits at a, which had the session, for b, where the client has begun anew."""
    net = absent("a", "b", "c")
    arrive(net, "b").drop()
    net.cut("a", "b")
    alice = anew(net, "b", *filters)
    net.join("b", "c")
    net.join("a", "c")
    publish(net, "c", b"2")
    return net, alice


def test_what_is_sent_on_for_the_old_session_does_not_come_to_the_new_one() -> None:
    net, alice = waiting("t/#")
    assert take_all(alice) == [b"2"]
    net.join("a", "b")
    assert rest(net) == ["b"]
    assert take_all(alice) == []
    publish(net, "c", b"3")
    assert take_all(alice) == [b"3"]


def test_nor_where_the_new_one_has_gone_on_to() -> None:
    net, alice = waiting("t/#")
    assert take_all(alice) == [b"2"]
    alice.drop()
    alice = arrive(net, "c")
    net.join("a", "b")
    assert rest(net) == ["c"]
    assert take_all(alice) == []


def test_what_the_group_was_given_goes_to_a_member_of_it() -> None:
    net = Net("a", "b", "c")
    alice = arrive(net, "a")
    alice.subscribe(GROUP, qos=2)
    alice.drop()
    without(net, "c")
    arrive(net, "b").drop()
    net.cut("a", "b")
    net.join("a", "c")
    publish(net, "c", b"1")  # to alice at a, as c knows no other member
    alice = anew(net, "b", GROUP)
    bob = net["b"].connect("bob")
    bob.subscribe(GROUP, qos=2)
    net.join("a", "b")
    assert rest(net) == ["b"]
    assert take_all(alice) + take_all(bob) == [b"1"]


def test_marks_are_for_the_session_that_asked_for_them() -> None:
    net = absent("a", "b", "c")
    arrive(net, "b")
    session = net["b"].session("alice")
    aftermath = session.move
    assert isinstance(aftermath, Aftermath)
    to_client, epoch = net["b"].cluster.inbox.to_client, epoch_of(session)
    assert to_client is not None

    def mark(epoch: int) -> None:
        message = cut("alice", "c", epoch)
        to_client.take(net["b"].cluster.peer("c"), ForwardedMessage(b"$cut", b"", 1, False, b"", NEVER, "", ("c", 1)),
                       message.group())

    mark(new_epoch(FIRST, 0, epoch))  # of one that begins later
    assert aftermath.awaited() == {"c"}
    mark(epoch + 1)
    assert aftermath.awaited() == set()


def test_a_later_session_has_a_higher_epoch_and_all_those_of_one_session_tell_when_it_began() -> None:
    first = new_epoch(FIRST, 1000, 0)
    taken = first + 3
    assert began(taken) == began(first)
    assert new_epoch(FIRST, 1001, taken) == first + (1 << MOVES)
    for now in (1000, 999):  # in the same millisecond, or by a clock that is behind
        second = new_epoch(FIRST, now, taken)
        assert second > taken
        assert began(second) != began(first)
    assert new_epoch(0, 5000, 0) < first  # one that gives way
