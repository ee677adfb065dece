"""Frames of others are checked before they are served."""
import pytest

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import BadFrame, check
from tests.clusters import Net

FORWARD = (f.FORWARD, 0, 1, 1, 2, b"t", b"x", b"", None, "", b"")


def test_a_frame_is_what_its_kind_says() -> None:
    assert check(FORWARD) == FORWARD
    assert check((f.ECHO, 7, 1.5)) == (f.ECHO, 7, 1.5)


@pytest.mark.parametrize(("frame", "reason"), [
    (None, "not a frame"), ((), "not a frame"), (("x",), "not a frame"), ((True,), "not a frame"), ([f.FLUSH, 1], "not a frame"),
    ((4711,), "a frame of unknown kind 4711"),
    ((f.FLUSH,), "FLUSH with 0 fields instead of 1"),
    ((f.FLUSH, 1, 2), "FLUSH with 2 fields instead of 1"),
    ((f.FLUSH, b"1"), "FLUSH: number is of type bytes"),
    ((f.FLUSH, True), "FLUSH: number is of type bool"),
    ((*FORWARD[:5], "t", *FORWARD[6:]), "FORWARD: topic is of type str"),
])
def test_what_is_no_frame_is_refused_with_the_reason(frame: object, reason: str) -> None:
    with pytest.raises(BadFrame) as error:
        check(frame)
    assert str(error.value) == reason


@pytest.mark.parametrize(("frame", "reason"), [
    ((f.DELTA, 0, 1, (1,)), "an entry of a table is no pair"),
    ((f.DELTA, 0, 1, ((1, 1),)), "an entry of a table is no key with a number"),
    ((f.DELTA, 0, 1, ((b"t", b"1"),)), "an entry of a table is no key with a number"),
    ((*FORWARD[:5], b"", *FORWARD[6:]), "FORWARD without a topic, or at no QoS"),
    ((*FORWARD[:4], 6, *FORWARD[5:]), "FORWARD without a topic, or at no QoS"),
])
def test_what_a_frame_cannot_mean_is_the_fault_of_who_sent_it(frame: f.Frame, reason: str) -> None:
    net = Net("a", "b")
    net["b"].connect("client").subscribe("t")
    with pytest.raises(BadFrame) as error:
        net["a"].cluster.take(net["a"].cluster.peer("b"), [frame])
    assert str(error.value) == reason


def test_a_filter_that_is_none_leads_nowhere() -> None:
    net = Net("a", "b")
    table = net["a"].cluster.routes.table
    for name in (b"", b"a/#/b", b"$share/g", b"\xff"):
        table.set(name, 1)
    net.settle()
    assert net["b"].broker.router.filters() == []
