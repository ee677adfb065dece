"""A session goes to the node to which its client comes."""
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect, Publish
from tests.clusters import Net
from tests.peers import Peer


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
