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
    assert again.connack is not None and again.connack.session_present
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
