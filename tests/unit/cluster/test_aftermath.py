"""Nodes that were not there while a session moved, and come soon after."""
from emqtwist.core.cluster.aftermath import LASTS, Aftermath
from emqtwist.core.cluster.origin import Origins
from tests.peers import World


def test_names_of_messages_are_remembered_for_a_while_also_when_all_nodes_are_back_at_once() -> None:
    world = World()
    world.connect("alice")
    aftermath = Aftermath(world.session("alice"), {"c"}, {}, Origins("b", "b-1"), {}, 10.0)
    assert not aftermath.tick(10.1, {"b", "c"})
    assert not aftermath.tick(20.0, {"b"})
    assert not aftermath.tick(20.0 + LASTS - 0.1, {"b", "c"})
    assert aftermath.tick(20.0 + LASTS, {"b", "c"})
