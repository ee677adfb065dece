"""Which nodes belong to a cluster: they join, leave, are made to leave, and come back, and all agree."""
import pytest

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.coming import ALREADY, BUSY, DONE, NOT_IN, SELF
from emqtwist.core.cluster.frames import BadFrame
from emqtwist.core.cluster.roll import HIGHEST, LEFT, UP, Member, Roll
from tests.rolls import Town


def test_a_node_is_a_cluster_of_its_own() -> None:
    town = Town("a")
    assert town.running("a") == town.up("a") == ["a"]
    assert town.citizen("a").members.addresses() == {}


def test_a_node_joins_and_all_know_of_it() -> None:
    town = Town("a", "b", "c")
    town.join("b", "a")
    town.join("c", "a")
    town.advance()
    assert [town.running(name) for name in "abc"] == [["a", "b", "c"]] * 3
    assert ("b", "c") in town.ends


def test_two_clusters_become_one() -> None:
    town = Town("a", "b", "c", "d")
    town.join("a", "b")
    town.join("c", "d")
    town.join("a", "c")
    town.advance()
    assert [town.running(name) for name in "abcd"] == [["a", "b", "c", "d"]] * 4


def test_no_client_is_dropped_when_nodes_join_and_leave() -> None:
    town = Town("a", "b")
    alice, bob = town["a"].connect("alice"), town["b"].connect("bob")
    alice.subscribe("t", qos=1)
    town.cluster()
    bob.publish("t", b"x", qos=1)
    assert alice.payloads() == [b"x"]
    left = town.citizen("b").members.leave()
    town.advance()
    assert left.decision == DONE
    bob.publish("t", b"y", qos=1)
    assert not alice.closed
    assert not bob.closed
    assert alice.payloads() == []


def test_a_node_that_joins_itself_or_its_own_cluster_is_told_so() -> None:
    town = Town("a", "b")
    assert town.ask_to_join("a", "a").decision == SELF
    town.join("a", "b")
    assert town.ask_to_join("a", "b").decision == ALREADY
    town.addresses["c"] = "other:1"
    pending = town.citizen("a").members.join("other:1")
    town.citizen("a").members.dialled("other:1", "b")  # the same node at another address
    assert pending.decision == ALREADY
    pending = town.citizen("a").members.join("another:1")
    town.citizen("a").members.dialled("another:1", "a")
    assert pending.decision == SELF


def test_who_cannot_be_reached_cannot_be_joined_and_why_is_said() -> None:
    town = Town("a", "b")
    town.wall("a", "b")
    pending = town.ask_to_join("a", "b")
    town.advance(9.9)
    assert pending.decision is None
    assert town.citizen("a").members.addresses() == {"b:1": ""}
    town.advance(0.1)
    assert pending.decision == "node_down: connection refused"
    assert town.citizen("a").members.addresses() == {}


def test_who_asks_twice_is_answered_twice() -> None:
    town = Town("a", "b")
    first, second = town.ask_to_join("a", "b"), town.ask_to_join("a", "b")
    town.advance()
    assert first.decision == second.decision == DONE


def test_members_are_known_after_a_restart() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.crash("a")
    assert town.up("a") == ["a", "b"]
    assert town.citizen("a").members.stopped() == ["b"]
    town.advance()
    assert town.running("a") == ["a", "b"]


def test_a_node_without_its_store_is_known_to_the_others() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town["a"].store.members.clear()
    town.crash("a")
    assert town.up("a") == ["a"]
    town.advance()
    assert town.running("a") == town.running("b") == ["a", "b"]


def test_a_node_at_another_address_tells_it_to_all() -> None:
    town = Town("a", "b", "c")
    town.cluster()
    town.addresses["a"] = "new:1"
    town.crash("a")
    town.advance()
    assert [town.citizen(name).members.roll.members["a"].address for name in "abc"] == ["new:1"] * 3
    town.citizen("a").members.advertise("newer:1")
    town.settle()
    assert [town.citizen(name).members.roll.members["a"].address for name in "abc"] == ["newer:1"] * 3


def test_a_node_at_another_address_that_has_lost_its_store_tells_it_to_all() -> None:
    town = Town("a", "b", "c")
    town.cluster()
    town.addresses["a"] = "A:1"
    town["a"].store.members.clear()
    town.crash("a")
    town.join("a", "b")
    town.advance()
    assert [town.citizen(name).members.roll.members["a"].address for name in "abc"] == ["A:1"] * 3


def test_two_nodes_of_one_name_do_not_change_their_row_for_ever() -> None:
    """The other one says so by way of a third node."""
    town = Town("a", "b")
    town.join("a", "b")
    members = town.citizen("a").members
    for number in range(10):
        stamp = members.roll.members["a"].stamp + 1
        town["b"].cluster.send(town["b"].cluster.peer("a"), (f.MEMBERS, (("a", f"other:{number}", stamp, UP),)))
        town.settle()
    assert "cluster_name/a" in town.alarms("a")
    assert members.roll.members["a"].address == "other:9"
    town.advance(61)
    assert town.alarms("a") == []
    assert town.citizen("a").members.addresses() == {"b:1": "b"}


def test_a_link_that_goes_with_something_to_do_leaves_the_next_one_to_do_it() -> None:
    """Two that dial each other at the same time have two links for a moment."""
    town = Town("a", "b")
    town.join("a", "b")
    town["a"].cluster.peer("b").stir()
    town.cut("a", "b")
    town.advance()
    town["a"].connect("alice").subscribe("t")
    assert town["b"].broker.router.holds(b"t")


# Leaving.

def test_a_node_leaves_and_nobody_dials_it_any_more() -> None:
    town = Town("a", "b", "c")
    town.cluster()
    left = town.citizen("b").members.leave()
    town.advance()
    assert left.decision == DONE
    assert town.running("b") == ["b"]
    assert town.running("a") == town.running("c") == ["a", "c"]
    town.advance(30)
    assert {pair for pair in town.ends if "b" in pair} == set()
    assert "b" not in town["a"].cluster.peers
    assert town["b"].cluster.peers == {}
    assert town.alarms("a") == town.alarms("b") == []


def test_a_node_that_left_stays_away_over_a_restart_even_if_it_has_seeds() -> None:
    town = Town("a", "b", seeds=("a:1", "b:1"))
    town.advance()
    assert town.running("b") == ["a", "b"]
    town.citizen("b").members.leave()
    town.advance()
    town.crash("b")
    town.crash("a")
    town.advance(20)
    assert town.running("b") == ["b"]
    assert town.running("a") == ["a"]
    town.join("b", "a")
    assert town.running("a") == town.running("b") == ["a", "b"]


def test_a_node_that_left_is_joined_by_another() -> None:
    """It has nothing to say about who joins whom."""
    town = Town("a", "b")
    town.join("a", "b")
    town.citizen("b").members.leave()
    town.advance()
    town.join("a", "b")
    assert town.running("a") == town.running("b") == ["a", "b"]
    town.advance(20)
    assert town.running("a") == town.running("b") == ["a", "b"]


def test_who_is_alone_cannot_leave() -> None:
    town = Town("a", "b")
    assert town.citizen("a").members.leave().decision == NOT_IN
    town.join("a", "b")
    town.stop("b")
    assert town.citizen("a").members.leave().decision == NOT_IN


def test_who_leaves_does_not_join() -> None:
    town = Town("a", "b", "c")
    town.join("a", "b")
    joining = town.ask_to_join("b", "c")
    leaving = town.citizen("b").members.leave()
    assert joining.decision == BUSY
    assert town.ask_to_join("b", "c").decision == BUSY
    again = town.citizen("b").members.leave()
    town.advance()
    assert leaving.decision == again.decision == DONE


def test_what_others_have_for_a_node_that_leaves_it_gets_first() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    alice = town["b"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    alice.drop()
    town.congest("a", "b")
    town["a"].connect("bob").publish("t", b"x", qos=1)
    left = town.citizen("b").members.leave()
    town.advance()
    assert left.decision is None
    town.congest("a", "b", False)
    town.advance()
    assert left.decision == DONE
    alice = town["b"].connect("alice", clean_start=False, session_expiry_interval=1000)
    assert alice.payloads() == [b"x"]
    assert town["a"].drops == {}


def test_what_a_node_that_leaves_has_for_others_they_get_first() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    alice = town["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    town.congest("b", "a")
    town["b"].connect("bob").publish("t", b"x", qos=1)
    left = town.citizen("b").members.leave()
    town.advance()
    assert left.decision is None
    town.congest("b", "a", False)
    town.advance()
    assert left.decision == DONE
    assert alice.payloads() == [b"x"]


def test_a_node_that_leaves_waits_for_five_seconds_and_says_what_is_lost() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    alice = town["a"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    town.stall("a", "b")
    town["b"].connect("bob").publish("t", b"x", qos=1)
    left = town.citizen("b").members.leave()
    town.advance(4.9)
    assert left.decision is None
    town.advance()
    assert left.decision == "1 messages for others are lost"
    assert town["b"].drops == {"node_left": 1}


def test_a_node_that_does_not_close_its_link_when_it_has_left_is_cut() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.citizen("b").members.leave()
    town.stall("a", "b")
    town.ends["b", "a"].stalled = True
    assert ("a", "b") in town.ends
    members = town.citizen("a").members
    gone = Member("b", "b:1", 9, LEFT)
    members.roll.put(gone)
    members._changed(gone)
    town["a"].turn.now += 9.9
    town["a"].tick()
    assert "b" in town["a"].cluster.peers
    town["a"].turn.now += 0.2
    town["a"].tick()
    assert "b" not in town["a"].cluster.peers


def test_a_node_that_ends_in_the_midst_of_leaving_has_left() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.citizen("b").members.leave()
    town.settle()
    town.crash("b")
    assert town.up("b") == []
    assert town["b"].store.members.keys() == {"b"}
    town.advance()
    assert town.running("a") == ["a"]
    assert town["a"].cluster.peers == {}


def test_a_node_that_was_away_when_another_left_hears_it_from_that() -> None:
    """It still dials it, as it does not know."""
    town = Town("a", "b", "c")
    town.cluster()
    town.stop("c")
    town.citizen("b").members.leave()
    town.advance()
    town.wall("a", "c")
    town.away.clear()
    town.advance()
    town.advance()
    assert town.up("c") == ["a", "c"]
    assert town.running("b") == ["b"]
    assert ("b", "c") not in town.ends
    assert town["b"].cluster.peers == {}


def test_goodbye_is_said_once_and_not_before_the_other_has_said_what_it_wants() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.wall("a", "b")
    town.citizen("a").members.force_leave("b")
    town.walls.clear()
    town.link("a", "b")
    end = town.ends["b", "a"]
    assert [frame[0] for frame in end.frames].count(f.GOODBYE) == 1
    town.wall("a", "b")
    town.walls.clear()
    town["b"].cluster.parts.clear()  # it says nothing
    town.link("a", "b")
    town["a"].tick()
    town.settle()
    end = town.ends["b", "a"]
    assert [frame[0] for frame in end.frames].count(f.GOODBYE) == 0


def test_who_leaves_has_no_alarm_about_others_any_more() -> None:
    town = Town("a", "b", "c")
    town.cluster()
    town.stop("b")
    town.advance(5)
    assert town.alarms("a") == ["cluster_down/b"]
    town.citizen("a").members.leave()
    town.advance()
    assert town.alarms("a") == []


# Being made to leave.

def test_who_wanted_to_join_once_is_not_kept_by_that() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town["b"].cluster.take(town["b"].cluster.peer("a"), [(f.JOIN,)])
    town.stop("b")
    town.citizen("a").members.force_leave("b")
    town.away.clear()
    town.advance(1)
    assert town.running("a") == ["a"]
    assert town.up("b") == []


def test_who_comes_back_keeps_its_link() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.citizen("b").members.leave()
    town.advance()
    town.join("b", "a")
    end = town.ends["a", "b"]
    for _ in range(30):
        town.advance(1)
    assert town.ends["a", "b"] is end


def test_who_has_left_and_hears_so_again_has_left_already() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.citizen("b").members.leave()
    town.advance()
    members = town.citizen("b").members
    town["b"].cluster.take(town["b"].cluster.peer("a"), [(f.MEMBERS, (("b", "b:1", 9, LEFT),))])
    assert (members.leaving, members.roll.members["b"].stamp) == (None, 9)
    assert town.alarms("b") == []

def test_a_node_is_made_to_leave_and_hears_of_it() -> None:
    town = Town("a", "b", "c")
    town.cluster()
    assert town.citizen("a").members.force_leave("b") == DONE
    town.settle()
    town.advance()
    assert town.running("a") == town.running("c") == ["a", "c"]
    assert town.running("b") == ["b"]
    assert town.alarms("b") == ["cluster_removed/b"]
    town.advance(100)
    assert town.running("b") == ["b"]
    town.join("b", "c")
    town.advance()
    assert [town.running(name) for name in "abc"] == [["a", "b", "c"]] * 3
    assert town.alarms("b") == []


def test_a_node_that_was_away_when_it_was_made_to_leave_hears_of_it_later() -> None:
    town = Town("a", "b", "c")
    town.cluster()
    alice = town["b"].connect("alice", clean_start=False, session_expiry_interval=1000)
    alice.subscribe("t", qos=1)
    town.stop("b")
    town["a"].connect("bob").publish("t", b"x", qos=1)
    assert town.citizen("a").members.force_leave("b") == DONE
    town.settle()
    assert town["a"].drops == {"node_left": 1}
    assert "b" not in town["c"].cluster.peers
    town.away.clear()
    town.advance()
    town.advance()
    assert town.up("b") == []
    assert town.running("a") == ["a", "c"]
    assert not alice.closed


def test_who_is_not_there_cannot_be_made_to_leave() -> None:
    town = Town("a", "b")
    members = town.citizen("a").members
    assert members.force_leave("a") == SELF
    assert members.force_leave("b") == NOT_IN
    town.join("a", "b")
    assert members.force_leave("b") == DONE
    assert members.force_leave("b") == NOT_IN


def test_a_node_whose_store_was_lost_is_removed_all_the_same() -> None:
    """It does not know that it was a member, and has a row of its own with the first stamp."""
    town = Town("a", "b")
    town.join("a", "b")
    town.stop("b")
    town.citizen("a").members.force_leave("b")
    town["b"].store.members.clear()
    town.crash("b")
    town.away.clear()
    town.advance(20)
    assert town.running("a") == ["a"]
    town.join("b", "a")
    assert town.running("a") == town.running("b") == ["a", "b"]


def test_two_that_make_each_other_leave_have_both_left() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.wall("a", "b")
    town.citizen("a").members.force_leave("b")
    town.citizen("b").members.force_leave("a")
    town.walls.clear()
    town.advance(20)
    assert town.running("a") == ["a"]
    assert town.running("b") == ["b"]
    town.join("a", "b")
    assert town.running("a") == town.running("b") == ["a", "b"]


def test_the_routes_of_a_node_go_with_it() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town["b"].connect("alice").subscribe("t")
    assert town["a"].broker.router.holds(b"t")
    town.citizen("a").members.force_leave("b")
    town.advance()
    assert not town["a"].broker.router.holds(b"t")


# Alarms, discovery, rows.

def test_what_a_node_hears_it_tells_on() -> None:
    town = Town("a", "b", "c", "d")
    town.wall("a", "c")
    town.wall("d", "c")
    town.join("a", "b")
    town.join("c", "b")
    town.join("d", "a")
    town.advance()
    assert town.up("c") == ["a", "b", "c", "d"]
    town.citizen("d").members.leave()
    town.advance()
    assert town.up("c") == ["a", "b", "c"]


def test_a_node_without_its_store_goes_on_with_the_stamp_that_others_know() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    for address in ("b:2", "b:3", "b:1"):
        town.citizen("b").members.advertise(address)
    town.settle()
    town["b"].store.members.clear()
    town.crash("b")
    town.advance()
    assert town.citizen("b").members.roll.members["b"].stamp == 4


def test_a_link_that_was_lost_has_told_nothing_of_the_next() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.stop("b")
    pending = town.citizen("a").members.join("other:1")
    town.citizen("a").members.dialled("other:1", "b")
    assert pending.decision is None


def test_what_waits_for_a_node_that_is_not_known_is_kept() -> None:
    """The store may have its outbox, and not its row."""
    town = Town("a", "b")
    town.join("a", "b")
    town["b"].connect("alice", clean_start=False, session_expiry_interval=1000).subscribe("t", qos=1)
    town.stop("b")
    town["a"].connect("bob").publish("t", b"x", qos=1)
    del town.citizen("a").members.roll.members["b"]
    town.advance()
    assert len(town["a"].cluster.peers["b"].outbox) == 1
    assert town["a"].drops == {}


def test_nobody_is_dialled_at_no_address_or_our_own() -> None:
    town = Town("a")
    members = town.citizen("a").members
    for name, address in (("b", ""), ("c", "a:1"), ("d", "d:1")):
        members.roll.put(Member(name, address, 1, UP))
    assert members.addresses() == {"d:1": "d"}


def test_who_is_found_later_is_joined_later() -> None:
    town = Town("a", "b")
    town.advance(9)
    town.citizen("a").members.discovery.found["b:1"] = None
    town.advance(1)
    assert town.running("a") == ["a", "b"]

def test_a_node_that_is_down_is_an_alarm_until_it_is_back() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.stop("b")
    town.advance(2.9)
    assert town.alarms("a") == []
    town.advance(0.1)
    assert town.alarms("a") == ["cluster_down/b"]
    town.advance(100)
    assert town.alarms("a") == ["cluster_down/b"]
    town.away.clear()
    town.advance()
    assert town.alarms("a") == []


def test_a_node_that_is_down_and_made_to_leave_is_no_alarm() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.stop("b")
    town.advance(10)
    town.citizen("a").members.force_leave("b")
    assert town.alarms("a") == []


def test_a_node_that_is_down_for_too_long_is_made_to_leave_by_who_sees_more_than_half() -> None:
    town = Town("a", "b", "c")
    town.join("b", "a")
    town.join("c", "a")
    for name in "ab":
        town.citizen(name).members.autoclean = 300.0
    town.stop("c")
    town.advance(299)
    assert town.up("a") == town.up("b") == ["a", "b", "c"]
    town.advance(2)
    assert town.up("a") == town.up("b") == ["a", "b"]
    assert town.alarms("a") == ["cluster_cleaned/c"]
    town.advance(60)
    assert town.alarms("a") == []
    town.away.clear()
    town.advance()
    assert town.alarms("c") == ["cluster_removed/c"]


def test_of_two_halves_none_makes_the_other_leave() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.citizen("a").members.autoclean = 300.0
    town.stop("b")
    town.advance(1000)
    assert town.up("a") == ["a", "b"]
    assert town.alarms("a") == ["cluster_down/b"]


def test_seeds_are_joined_as_soon_as_they_answer() -> None:
    town = Town("a", "b", "c", seeds=("a:1", "b:1", "c:1", "nobody:1"))
    town.wall("a", "b", "c")
    town.advance(1000)
    assert town.running("a") == ["a"]
    town.walls.clear()
    town.advance()
    town.advance()
    assert [town.running(name) for name in "abc"] == [["a", "b", "c"]] * 3
    assert [list(town.citizen(name).members.joinings.known) for name in "abc"] == [["nobody:1"]] * 3


def test_a_seed_that_was_made_to_leave_is_not_joined_again() -> None:
    town = Town("a", "b", seeds=("a:1", "b:1", "nobody:1"))
    town.advance()
    town.citizen("a").members.force_leave("b")
    town.advance(20)
    assert town.running("a") == ["a"]
    town.crash("a")
    town.advance(20)
    assert town.running("a") == ["a"]


def test_of_two_changes_at_a_time_the_removal_holds() -> None:
    roll = Roll(None)
    assert roll.take(Member("a", "a:1", 1, UP))
    assert roll.take(Member("a", "a:1", 2, LEFT))
    assert not roll.take(Member("a", "z:1", 2, UP))
    assert not roll.take(Member("a", "a:1", 2, LEFT))
    assert roll.take(Member("a", "a:1", 3, UP))


def test_nodes_that_left_are_forgotten_when_there_are_too_many() -> None:
    roll = Roll(None, most=2)
    assert roll.take(Member("a", "a:1", 1, LEFT))
    assert roll.take(Member("b", "b:1", 1, UP))
    assert roll.take(Member("c", "c:1", 1, UP))
    assert list(roll.members) == ["b", "c"]
    assert not roll.take(Member("d", "d:1", 1, UP))


@pytest.mark.parametrize("row", [
    b"a", ("a", "a:1", 1), ("a", "a:1", 1, "up", 1), ("", "a:1", 1, "up"), ("a" * 256, "a:1", 1, "up"), (b"a", "a:1", 1, "up"),
    ("a", b"a:1", 1, "up"), ("a", "a" * 256, 1, "up"), ("a", "a:1", "1", "up"), ("a", "a:1", True, "up"), ("a", "a:1", -1, "up"),
    ("a", "a:1", HIGHEST + 1, "up"), ("a", "a:1", 1, "down"), ("a", "a:1", 1, None)])
def test_what_is_no_row_is_the_fault_of_who_sends_it(row: object) -> None:
    town = Town("a", "b")
    town.join("a", "b")
    peer = town["a"].cluster.peer("b")
    with pytest.raises(BadFrame):
        town["a"].cluster.take(peer, [(f.MEMBERS, (row,))])
    assert town.up("a") == ["a", "b"]
