"""Links that come and go while there is something to do for a node."""
from emqtwist.mqtt.packets import Publish
from tests.clusters import Net


def test_a_node_is_stirred_also_over_the_link_that_follows_one_that_was_lost() -> None:
    """What was noted for a link that is gone before the turn ends is not waited for."""
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe("t", qos=1)
    peer = net["a"].cluster.peer("b")
    peer.stir()
    net.cut("a", "b")
    net.join("a", "b")
    net["b"].connect("bob").publish("t", b"x", qos=1)
    assert alice.one(Publish).payload == b"x"
    assert len(net["b"].cluster.peer("a").outbox) == 0
