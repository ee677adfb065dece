"""Whatever nodes do, and whatever is cut meanwhile: once all can be reached, they agree on who belongs to which cluster."""
from hypothesis import given
from hypothesis import strategies as st

from tests.rolls import Town

NAMES = "abcd"
node = st.sampled_from(NAMES)
STEPS = st.lists(st.tuples(st.sampled_from(("join", "leave", "force", "stop", "back", "crash", "forget", "wall", "open", "wait")),
                           node, node, st.sampled_from((0.1, 1.0, 6.0))), max_size=25)


def do(town: Town, what: str, one: str, other: str, seconds: float) -> None:
    members = town.citizen(one).members
    here = one not in town.away
    if what == "join" and here:
        members.join(town.address(other))
    elif what == "leave" and here:
        members.leave()
    elif what == "force" and here:
        members.force_leave(other)
    elif what == "stop":
        town.stop(one)
    elif what == "back":
        town.away.discard(one)
    elif what == "crash":
        town.crash(one, seconds)
    elif what == "forget":
        town[one].store.members.clear()
        town.crash(one)
    elif what == "wall" and one != other:
        town.wall(one, other)
    elif what == "open":
        town.walls.discard(frozenset((one, other)))
    elif what == "wait":
        town.advance(seconds)


@given(STEPS)
def test_nodes_agree_when_faults_stop(steps: list[tuple[str, str, str, float]]) -> None:
    town = Town(*NAMES)
    for what, one, other, seconds in steps:
        do(town, what, one, other, seconds)
        town.advance()
    town.away.clear()
    town.walls.clear()
    for _ in range(8):
        town.advance(5)
    for name in NAMES:
        members = town.citizen(name).members
        assert not members.leaving
        assert not members.joinings.known
        assert town.running(name) == (town.up(name) or [name])
        assert [peer for peer in town[name].cluster.peers if peer not in town.up(name)] == []
        for other in town.running(name):
            assert town.running(other) == town.running(name)
        assert set(town.alarms(name)) <= {f"cluster_removed/{name}"}
        assert ("cluster_removed/" + name in town.alarms(name)) <= (not members.is_in())
        assert {record[0] for record in town[name].store.members.items()} == set(members.roll.members)
