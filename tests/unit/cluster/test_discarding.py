"""A client who has begun anew at one node, and comes to another that has an older session of it and has not heard of that."""
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.epochs import HERE, state_of
from emqtwist.mqtt.packets import Connack
from tests.clusters import Net
from tests.peers import Peer
from tests.unit.cluster.takeovers import ask
from tests.unit.cluster.test_aftermath import rest
from tests.unit.cluster.test_takeover import arrive, publish, take_all, without


def waiting() -> tuple[Net, Peer]:
    """Some of alice's session is at b, the rest at c, who are both away; at a she has begun anew. Now she waits at b."""
    net = Net("a", "b", "c")
    arrive(net, "c").drop()
    net.halt_before(f.END)
    arrive(net, "b").drop()
    without(net, "b")
    without(net, "c")
    net.go_on()
    alice = net["a"].connect("alice", session_expiry_interval=3600)
    alice.subscribe("t/#", qos=1)
    alice.drop()
    alice = ask(net, "b")
    assert alice.received() == []
    return net, alice


def test_a_session_that_is_to_end_does_so_though_its_client_waits_for_it() -> None:
    net, alice = waiting()
    net.join("a", "b")
    assert alice.received() == []
    net.join("b", "c")
    assert alice.one(Connack).reason_code == 0x89  # it is not answered as if the session went on
    assert alice.closed
    assert "alice" not in net["b"].broker.sessions.by_id
    net.join("a", "c")
    again = arrive(net, "b")
    assert again.connack is not None
    assert again.connack.session_present
    publish(net, "a", b"1")
    assert take_all(again) == [b"1"]
    assert rest(net) == ["b"]


def test_a_client_that_waits_in_vain_finds_the_newer_session_when_it_comes_again() -> None:
    net, alice = waiting()
    net.join("a", "b")
    net.advance(2.5)
    assert alice.one(Connack).reason_code == 0x88
    again = arrive(net, "b")
    publish(net, "a", b"1")
    assert take_all(again) == [b"1"]
    assert rest(net) == ["b"]


def test_a_session_that_was_given_in_vain_is_taken_back_though_the_other_node_has_an_older_one() -> None:
    net = Net("a", "b", "c")
    net.isolate("c")
    net["b"].connect("alice", clean_start=False, session_expiry_interval=3600).drop()
    net.advance(60)
    net["c"].connect("alice", clean_start=True, session_expiry_interval=3600).drop()
    net.isolate("a")
    net.join("a", "c")
    net.halt_before(f.SESSION, "c")
    ask(net, "a")
    assert net.halted == "c"
    net["a"].crash()
    net.go_on()
    net.join("a", "b")
    ask(net, "a").drop()  # it gets the older one
    net.join_all()
    net.advance(30)
    net.advance(30)
    assert [name for name in "abc" if "alice" in net[name].broker.sessions.by_id] == ["c"]
    assert state_of(net["c"].broker.sessions.by_id["alice"]) == HERE
