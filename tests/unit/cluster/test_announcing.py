"""Routes are known at all nodes that are connected before a SUBACK, whatever was lost on the way."""
import pytest

from emqtwist.core.cluster.tables import PATIENCE, digest_of
from emqtwist.core.subscribing import subscribe_unasked
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Suback, Subscribe
from tests.clusters import Net


def test_a_suback_waits_until_the_other_nodes_know() -> None:
    net = Net("a", "b", "c")
    alice = net["a"].connect("alice")
    net.stall("c", "a")  # it knows, but that is not heard of
    alice.send(Subscribe(1, [(b"t", 1)]))
    assert alice.received() == []
    net.stall("c", "a", False)
    assert alice.one(Suback).reason_codes == [1]


def test_a_suback_does_not_wait_for_a_filter_that_they_know() -> None:
    net = Net("a", "b")
    net["a"].connect("alice").subscribe("t")
    net.stall("b", "a")
    assert net["a"].connect("carol").subscribe("t") == [0]


def test_a_node_that_does_not_answer_is_cut_off_and_named() -> None:
    net = Net("a", "b", "c")
    alice = net["a"].connect("alice")
    net.stall("c", "a")
    alice.send(Subscribe(1, [(b"t", 1)]))
    net.advance(PATIENCE)
    suback = alice.one(Suback)
    assert suback.reason_codes == [1]
    assert suback.properties is not None
    assert suback.properties.reason_string == "not told to c"
    assert net["a"].cluster.peer("c").link is None
    assert net["a"].cluster.peer("b").link is not None
    assert net["a"].witness.told("unannounced") == []


@pytest.mark.parametrize(("version", "problem_information"), [(c.MQTT_3_1, None), (c.MQTT_3_1_1, None), (c.MQTT_5_0, 0)])
def test_where_there_is_no_reason_string_the_log_names_it(version: int, problem_information: int | None) -> None:
    net = Net("a", "b", "c")
    alice = net["a"].connect("alice", version=version, request_problem_information=problem_information)
    net.stall("b", "a")
    net.stall("c", "a")
    alice.send(Subscribe(1, [(b"t", 1), (b"u", 1), (b"#/no", 1)]))
    net.advance(PATIENCE)
    assert alice.one(Suback).reason_codes[:2] == [1, 1]
    assert net["a"].witness.told("unannounced") == [("alice", 2, "b, c")]


def test_the_log_names_it_where_nothing_was_asked_for() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    net.stall("b", "a")
    subscribe_unasked(alice.connection, [(b"t", 1)])
    net.advance(PATIENCE)
    assert net["a"].witness.told("unannounced") == [("alice", 1, "b")]


def test_a_suback_does_not_wait_for_a_node_whose_link_is_lost() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    net.stall("b", "a")
    alice.send(Subscribe(1, [(b"t", 1)]))
    net.cut("a", "b")
    net.settle()
    assert alice.one(Suback).reason_codes == [1]


def test_what_changed_while_a_link_was_down_is_told_when_it_is_up() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    alice.subscribe("t", "u")
    net.cut("a", "b")
    alice.unsubscribe("t")
    alice.subscribe("v/+")
    net.join("a", "b")
    assert sorted(net["b"].broker.router.filters()) == [b"u", b"v/+"]
    assert net["b"].cluster.routes.mirrors["a"].digest == net["a"].cluster.routes.table.digest


def test_a_node_that_restarted_is_believed_what_it_says_now() -> None:
    net = Net("a", "b")
    net["a"].connect("alice").subscribe("t", "u")
    net["a"].crash()
    net["a"].connect("alice").subscribe("v")
    net.join("a", "b")
    assert net["b"].broker.router.filters() == [b"v"]


def test_a_table_larger_than_one_frame_is_told_in_pieces_with_what_changes_meanwhile() -> None:
    net = Net("a", "b")
    alice = net["a"].connect("alice")
    net.cut("a", "b")
    for number in range(0, 1200, 100):
        alice.subscribe(*[f"t/{each}" for each in range(number, number + 100)])
    net.join("a", "b")
    assert len(net["b"].broker.router.filters()) == 1200
    net.congest("a", "b")
    alice.unsubscribe("t/7")
    assert len(net["b"].broker.router.filters()) == 1200
    net.congest("a", "b", False)
    assert len(net["b"].broker.router.filters()) == 1199


def test_a_copy_that_differs_is_mended() -> None:
    net = Net("a", "b")
    net["a"].connect("alice").subscribe("t", "u")
    mirror = net["b"].cluster.routes.mirrors["a"]
    mirror.delta(mirror.number + 1, ((b"u", 0),))  # a change that there never was
    assert net["b"].broker.router.filters() == [b"t"]
    net.advance(10.0)
    assert sorted(net["b"].broker.router.filters()) == [b"t", b"u"]
    assert mirror.digest == net["a"].cluster.routes.table.digest


def test_a_copy_in_which_two_values_changed_places_is_seen() -> None:
    assert digest_of("c1", 3) ^ digest_of("c2", 5) != digest_of("c1", 5) ^ digest_of("c2", 3)
