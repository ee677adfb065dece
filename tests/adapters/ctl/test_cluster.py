"""Nodes that join, leave and are removed by commands; what a doctor finds."""
from dataclasses import dataclass

import pytest

from emqtwist.cluster.refusals import QUIET, REFUSALS
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.roll import UP
from emqtwist.core.cluster.tables import ROUTES
from emqtwist.core.cluster.troubles import TITLES
from emqtwist.ctl.advice import ADVICE
from emqtwist.ctl.commands.cluster import address_of
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt.packets import Publish, Subscribe
from tests.desks import TEST, Desk
from tests.quarters import Quarters

A, B, C = "a@h", "b@h", "c@h"
BOTH = "Cluster status: [{running_nodes,['a@h','b@h']}]"


def answered(quarters: Quarters, node: str, *words: str, seconds: float = 0.5) -> list[str]:
    """The lines of a command that is answered when some time has passed."""
    asking = quarters[node].customer()
    asked, out = asking.begin(*words)
    for _ in range(10):
        asking.pump.flush()
        quarters.advance(seconds / 10)
    asking.pump.flush()
    failure = TEST.failureResultOf(asked).value if not out and asked.called and asked.result is not None else None
    if failure is not None:
        assert isinstance(failure, Refused)
        return [str(failure)]
    TEST.successResultOf(asked)
    return "".join(out).splitlines()


def test_a_node_joins_another_and_says_so() -> None:
    quarters = Quarters(A, B, apart=True)
    assert answered(quarters, A, "cluster", "join", "b:1") == ["Join the cluster successfully.", BOTH]
    assert answered(quarters, A, "cluster", "join", "b:1") == ["Failed to join the cluster: {already_in_cluster,'b:1'}"]
    assert answered(quarters, A, "cluster", "join", "a:1") == ["Ignore."]
    assert answered(quarters, A, "cluster", "join", "x:1", seconds=11) == [
        "Failed to join the cluster: {node_down,'x:1'}: connection refused"]


def test_two_who_ask_for_the_same_are_both_answered() -> None:
    quarters = Quarters(A, B, apart=True)
    asking = [quarters[A].customer() for _ in range(2)]
    asked = [one.begin("cluster", "join", "b:1") for one in asking]
    for one in asking:
        one.pump.flush()
    quarters.advance(0.5)
    for one in asking:
        one.pump.flush()
    assert [out for _, out in asked] == [["Join the cluster successfully.\n", BOTH + "\n"]] * 2


def test_a_node_leaves_and_says_so() -> None:
    quarters = Quarters(A, B)
    assert answered(quarters, B, "cluster", "leave") == [
        "Leave the cluster successfully.", "Cluster status: [{running_nodes,['b@h']}]"]
    assert answered(quarters, B, "cluster", "leave") == ["Failed to leave the cluster: node_not_in_cluster"]
    assert quarters[A].lines("cluster", "status")[0] == "Cluster status: [{running_nodes,['a@h']}]"


def test_a_node_that_leaves_says_what_is_lost() -> None:
    quarters = Quarters(A, B)
    quarters[A].client("alice").send(Subscribe(1, [(b"t", 1)]))
    quarters.settle()
    quarters.stall(A, B)
    quarters[B].client("bob").send(Publish(b"t", b"x", 1, packet_id=1))
    asking = quarters[B].customer()
    asked, out = asking.begin("cluster", "leave")
    asking.pump.flush()
    quarters.advance(0.5)
    assert quarters[B].lines("cluster", "status")[2].startswith("Node(b@h, state=leaving")
    assert answered(quarters, B, "cluster", "join", "c:1") == ["Failed to join the cluster: leaving"]
    quarters.advance(5)
    asking.pump.flush()
    assert out[1] == "1 messages for others are lost\n"


def test_a_node_is_removed() -> None:
    quarters = Quarters(A, B)
    assert quarters[A].lines("cluster", "force-leave", A) == ["Ignore."]
    assert quarters[A].lines("cluster", "force-leave", B) == [
        "Remove the node from cluster successfully.", "Cluster status: [{running_nodes,['a@h']}]"]
    assert str(quarters[A].error("cluster", "force-leave", B)) == (
        "Failed to remove the node from cluster: {node_not_in_cluster,'b@h'}")
    quarters.advance(1)
    assert quarters[B].lines("cluster", "status")[0] == "Cluster status: [{running_nodes,['b@h']}]"
    assert quarters[B].lines("cluster", "status")[2].startswith("Problem(b@h, cause=removed, text=a@h says ")


def test_a_node_that_is_about_to_go_is_shown() -> None:
    quarters = Quarters(A, B)
    quarters.stall(A, B)
    quarters[A].ask("cluster", "force-leave", B)
    assert quarters[A].lines("cluster", "status")[2].startswith("Node(b@h, state=leaving")


def test_a_broker_without_a_cluster_says_so() -> None:
    desk = Desk()
    assert desk.lines("cluster", "status") == ["Cluster status: [{running_nodes,['emqtwist@127.0.0.1']}]"]
    for words in (("join", "b:1"), ("leave",), ("force-leave", "b"), ("view",), ("doctor",)):
        assert str(desk.error("cluster", *words)).startswith("this node is none of a cluster")
    assert desk.lines("cluster", "stats")[0] == "clients/count       : 0"


@pytest.mark.parametrize(("node", "address"), [
    ("10.0.0.2:4371", "10.0.0.2:4371"), ("emqtwist@10.0.0.2", "10.0.0.2:1"), ("emqtwist@10.0.0.2:5", "10.0.0.2:5"),
    ("host", "host:1"), ("[::1]:5", "[::1]:5"), ("[::1]", "[::1]:1")])
def test_a_node_is_named_in_several_ways(node: str, address: str) -> None:
    assert address_of(Quarters(A)[A].nodes, node) == address


# The doctor.

def test_there_is_something_to_do_about_all_that_may_be_wrong() -> None:
    assert {*REFUSALS} - QUIET | {*TITLES} <= {*ADVICE}


@dataclass
class Refusal:
    who: str
    cause: str
    text: str


def test_nodes_that_are_not_reached_are_named() -> None:
    quarters = Quarters(A, B, C)
    quarters.stop(C)
    quarters[A].nodes.members.join("d:1")
    quarters[A].nodes.members.failed("d:1", "nobody is there")
    quarters.advance(3)
    lines = quarters[A].lines("cluster", "doctor")
    assert lines[0].startswith("nodes: c@h: it is down; start it again")
    assert lines[1] == ("nodes: d:1: it is to be joined: connection refused; see that the node runs, and that its address and "
                        "port can be reached from here")
    assert lines[2:] == [f"{check}: ok" for check in ("links", "versions", "clocks", "members", "tables")]


def test_nodes_that_do_not_answer_are_named() -> None:
    quarters = Quarters(A, B)
    quarters.stall(B, A)
    lines = answered(quarters, A, "cluster", "doctor", seconds=6)
    assert lines[0].startswith("nodes: b@h: it does not answer; ")


def test_why_there_is_no_link_is_said() -> None:
    quarters = Quarters(A, B, C)
    quarters[A].problems += [
        Refusal("10.0.0.9", "wrong_cookie", "the other does not know the cookie"), Refusal("x", "silent", "nothing was heard")]
    quarters.cut(B, C)
    told = ("links: 10.0.0.9: the other does not know the cookie; give both nodes the same cluster.cookie",
            "links: x: nothing was heard; see whether that node runs, and what is between")
    mesh = "see that the two reach each other, and what `cluster status` says on either"
    assert quarters[A].lines("cluster", "doctor")[1:5] == [
        *told, f"links: b@h: it has no link with c@h; {mesh}", f"links: c@h: it has no link with b@h; {mesh}"]
    assert quarters[A].lines("cluster", "status")[-2:] == [
        "Problem(10.0.0.9, cause=wrong_cookie, text=the other does not know the cookie, "
        "advice=give both nodes the same cluster.cookie)",
        "Problem(x, cause=silent, text=nothing was heard, advice=see whether that node runs, and what is between)"]


def test_versions_and_clocks_that_differ_are_named() -> None:
    quarters = Quarters(A, B, C, apart=True)
    quarters[B].ahead = -9.0
    quarters[C].nodes.clocks.version = "0.9"
    quarters.join(B, A)
    quarters.join(C, A)
    lines = quarters[A].lines("cluster", "doctor")
    assert lines[2:4] == ["versions: c@h: it runs 0.9, and this node 1.0; update the older one when you can",
                          "clocks: b@h: its clock is 9.0 s behind that of a@h; have the clocks of both machines set by NTP"]


def test_what_nodes_know_of_members_is_compared() -> None:
    quarters = Quarters(A, B)
    row = quarters[A].nodes.members.roll.members[B]
    row.stamp = 7
    del quarters[B].nodes.members.roll.members[A]
    lines = quarters[A].lines("cluster", "doctor")
    assert [line for line in lines if line.startswith("members")] == [
        "members: a@h: a@h knows up at a:1, change 1, of it, b@h nothing; it is mended when the two are linked",
        "members: b@h: a@h knows up at b:1, change 7, of it, b@h up at b:1, change 1,; it is mended when the two are linked"]


def test_another_node_of_this_name_is_named() -> None:
    quarters = Quarters(A, B)
    for stamp in (5, 9):
        peer = quarters[B].cluster.peer(A)
        quarters[B].cluster.send(peer, (f.MEMBERS, ((A, f"other:{stamp}", stamp, UP),)))
        quarters.settle()
    assert "members: a@h: another node of this name is at other:9; give one of them another node.name, and start it again" in (
        quarters[A].lines("cluster", "doctor"))


def tables(quarters: Quarters) -> list[str]:
    lines = answered(quarters, A, "cluster", "doctor", seconds=2)
    return [line.partition(";")[0] for line in lines if line.startswith("tables")]


def test_a_copy_that_differs_or_is_behind_is_named() -> None:
    quarters = Quarters(A, B, C)
    quarters[A].client("alice").send(Subscribe(1, [(b"t", 1), (b"u", 1)]))
    quarters.settle()
    quarters[B].cluster.mirrors[ROUTES](quarters[B].cluster.peer(A)).digest ^= 1
    quarters[C].cluster.mirrors[ROUTES](quarters[C].cluster.peer(A)).number -= 1
    assert tables(quarters) == [
        "tables: b@h: routes of a@h: its copy differs", "tables: c@h: routes of a@h: it is 1 changes behind"]


def test_a_copy_that_is_right_when_it_is_looked_at_again_is_right() -> None:
    quarters = Quarters(A, B)
    quarters[A].client("alice").send(Subscribe(1, [(b"t", 1)]))
    quarters.settle()
    mirror = quarters[B].cluster.mirrors[ROUTES](quarters[B].cluster.peer(A))
    mirror.number -= 1
    asking = quarters[A].customer()
    asked, out = asking.begin("cluster", "doctor")
    for _ in range(10):
        asking.pump.flush()
        quarters.settle()
    assert "tables: ok\n" not in out
    mirror.number += 1
    quarters.advance(1)
    for _ in range(10):
        asking.pump.flush()
        quarters.settle()
    TEST.successResultOf(asked)
    assert out[-1] == "tables: ok\n"
