"""Commands that all nodes of a cluster answer: in pages, and without those that cannot."""
import json
from collections.abc import Iterator

import pytest
from twisted.python.failure import Failure

from emqtwist.core.cluster import frames as f
from emqtwist.ctl import across
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Refused, Step, Words
from emqtwist.mqtt.packets import Disconnect, Subscribe
from tests.desks import TEST
from tests.quarters import Quarters

A, B, C = "a@h", "b@h", "c@h"


def names(lines: list[str]) -> list[str]:
    return [line.partition("(")[2].partition(",")[0] for line in lines]


def test_lists_are_those_of_all_nodes_however_long_they_are() -> None:
    quarters = Quarters(A, B, C)
    here = [f"a{number:03}" for number in range(3)]
    there = [f"b{number:03}" for number in range(450)]
    for name in here:
        quarters[A].client(name)
    for name in there:
        quarters[B].client(name)
    quarters[C].client("c")
    assert names(quarters[A].lines("clients", "list")) == [*here, *there, "c"]
    assert names(quarters[C].lines("sessions", "list")) == ["c", *here, *there]
    assert names(quarters[C].lines("sessions", "list", "persistent")) == []


def test_a_node_that_is_down_is_named() -> None:
    quarters = Quarters(A, B, C)
    quarters[C].client("c")
    quarters.stop(B)
    assert quarters[A].lines("clients", "list")[1:] == ["Node b@h does not answer: it is down"]
    assert json.loads(quarters[A].ask("clients", "list", form="json"))[1] == {"node": B, "error": "it is down"}
    assert str(quarters[A].error("clients", "show", "x")) == "Not Found.\nNode b@h does not answer: it is down"


def test_a_node_that_does_not_answer_in_time_is_named() -> None:
    quarters = Quarters(A, B, C)
    quarters[C].client("c")
    quarters.stall(B, A)
    asking = quarters[A].customer()
    asked, out = asking.begin("clients", "list")
    for seconds in (0, 4.9):
        quarters.advance(seconds)
        asking.pump.flush()
    assert not asked.called
    for _ in range(5):
        quarters.advance(0.1)
        asking.pump.flush()
    TEST.successResultOf(asked)
    assert names(out[:1]) == ["c"]
    assert out[1:] == ["Node b@h does not answer: it does not answer\n"]


def test_who_is_shown_is_looked_for_here_first() -> None:
    quarters = Quarters(A, B)
    quarters[A].client("x")
    quarters.stall(B, A)
    assert names(quarters[A].lines("clients", "show", "x")) == ["x"]


def test_a_client_of_another_node_is_kicked() -> None:
    quarters = Quarters(A, B, C)
    client = quarters[B].client("x")
    assert quarters[A].lines("clients", "kick", "x") == []
    quarters.settle()
    assert client.one(Disconnect).reason_code == 0x98
    assert str(quarters[A].error("clients", "kick", "x")) == "Not Found."


def test_nothing_is_asked_of_others_that_is_not_for_them() -> None:
    """Only what lists is: a node is none to give orders."""
    quarters = Quarters(A, B)
    remote = quarters[A].nodes.remote
    for words in (("banned", "add", "client", "x"), ("supervisor", "kill", "x"), ("no", "command"), ()):
        asked = remote.ask(B, words)
        quarters.settle()
        assert (asked.over, asked.failure) == (True, across.UNKNOWN)
    assert quarters[B].lines("banned", "list") == []


def test_a_command_that_fails_there_is_told_and_logged_there(logged_failures: list[Failure]) -> None:
    quarters = Quarters(A, B)

    def fails(context: Context, words: Words) -> Iterator[Step]:
        yield f"at {context.node}", {"at": context.node}
        if context.node == B:
            raise RuntimeError("it burns")

    for name in (A, B):
        across.add(quarters[name].service.commands, "fail", "", "Fail", fails)
    assert quarters[A].lines("fail") == ["at a@h", "at b@h", f"Node b@h does not answer: {across.DEFECT}"]
    assert logged_failures.pop().type is RuntimeError


def test_a_line_without_end_is_given_up() -> None:
    quarters = Quarters(A, B)
    size = 20 * across.LONGEST

    def long(context: Context, words: Words) -> Iterator[Step]:
        yield "x" * size if context.node == B else "short", {}

    for name in (A, B):
        across.add(quarters[name].service.commands, "long", "", "Be long", long)
    assert quarters[A].lines("long") == ["short", f"Node b@h does not answer: {across.TOO_LONG}"]
    assert quarters[B].nodes.remote._running == {A: {}}


def test_a_page_takes_no_more_steps_than_it_needs_and_ends_what_nobody_wants() -> None:
    steps: list[str] = []

    def long(context: Context, words: Words) -> Iterator[Step]:
        try:
            for _ in range(10):
                steps.append("step")
                yield "x" * 100, {}
        finally:
            steps.append("end")

    listed = across.Listed(long, Quarters(A)[A].control.factory.context, ())
    assert [len(listed.page(50)), len(listed.page(50))] == [50, 50]
    assert steps == ["step"]
    assert len(listed.page(50)) == 50
    assert steps == ["step", "step"]
    listed.close()
    assert steps[2:] == ["end"]


def test_lines_of_any_length_are_put_together() -> None:
    quarters = Quarters(A, B)
    quarters[B].client("ü" * 20_000)  # six bytes each on the way
    assert names(quarters[A].lines("clients", "list")) == ["ü" * 20_000]


@pytest.mark.parametrize("words", ["clients list", "clients show nobody"])
def test_others_are_told_when_nobody_wants_the_rest(words: str) -> None:
    quarters = Quarters(A, B)
    for number in range(300):
        quarters[B].client(f"b{number}")

    def refuses(context: Context, words: Words) -> Iterator[Step]:
        if context.node == A:
            raise Refused("no")
        for number in range(1000):
            yield f"{number}", {}

    for name in (A, B):
        across.add_one(quarters[name].service.commands, "clients show", "<ClientId>", "", refuses)
    asking = quarters[A].customer()
    asking.begin(*words.split())
    asking.pump.flush()
    quarters.reactor.advance(0)
    quarters.reactor.advance(0)
    assert len(quarters[B].nodes.remote._running[A]) == 1
    asking.leave()
    quarters.settle()
    assert quarters[B].nodes.remote._running[A] == {}


def test_groups_lead_to_the_nodes_of_their_members() -> None:
    quarters = Quarters(A, B)
    quarters[A].client("x").send(Subscribe(1, [(b"$share/g/t", 1)]))
    quarters[A].client("y").send(Subscribe(1, [(b"t/#", 1)]))
    quarters.settle()
    assert quarters[A].lines("routes", "list") == ["t -> a@h", "t/# -> a@h"]
    assert quarters[B].lines("topics", "show", "t/#") == ["t/# -> a@h"]
    assert quarters[B].lines("topics", "show", "nobody") == []


def test_a_question_that_is_none_ends_the_link_of_who_asks() -> None:
    quarters = Quarters(A, B)
    with pytest.raises(f.BadFrame):
        quarters[A].cluster.take(quarters[A].cluster.peer(B), [(f.RUN, 1, (b"clients",))])


def test_the_names_of_the_nodes_are_published() -> None:
    quarters = Quarters(A, B, lines=("mqtt.broker.sys_interval = 1s",))
    told: list[bytes] = []
    quarters[A].service.subscribe("$SYS/brokers", lambda message: told.append(message.payload))
    quarters.advance(1)
    quarters.stop(B)
    quarters.advance(1)
    assert told[-2:] == [b"a@h,b@h", b"a@h"]
