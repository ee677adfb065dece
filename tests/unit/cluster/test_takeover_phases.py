"""A takeover that is disturbed in each of its phases: nothing acknowledged is lost, what is QoS 2 comes once, all in order."""
import pytest

from emqtwist.core.cluster import frames as f
from tests.clusters import Forgetful, Net
from tests.unit.cluster.takeovers import History

PHASES = ("TAKE", "SESSION", "ROWS", "HAVE", "LEVEL", "READY", "FLUSH", "FLUSHED", "END", "DONE")
SMALL = ("mqtt.mqueue.max_memory = 2KB",)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("lines", [(), SMALL], ids=["in memory", "in the store"])
def test_what_is_published_meanwhile_comes_once_and_in_order(phase: str, lines: tuple[str, ...]) -> None:
    history = History(Net("a", "b", "c", lines=lines))
    history.begin("a")
    history.net.halt_before(getattr(f, phase))
    history.arrive("b")
    assert history.net.halted, f"there was no {phase}"
    history.publish("a", "b", "c")
    history.net.go_on()
    history.publish("a", "b", "c")
    history.check()
    for _ in range(3):  # the node that had it listens for those that were away until they know where it is
        history.net.advance(0.1)
    assert history.holders() == ["b"]


@pytest.mark.parametrize("phase", PHASES)
def test_without_a_store_a_session_comes_wholly_too(phase: str) -> None:
    history = History(Net("a", "b", "c", kind=Forgetful))
    history.begin("a")
    history.net.halt_before(getattr(f, phase))
    history.arrive("b")
    assert history.net.halted, f"there was no {phase}"
    history.publish("a", "b", "c")
    history.take()
    history.net.cut("a", "b")
    history.net.go_on()
    history.net.join_all()
    history.net.advance(0.1)
    history.arrive_again("b")
    history.publish("a", "b", "c")
    history.check()
    history.arrive("c")
    history.publish("a", "b", "c")
    history.check()
    assert history.holders() == ["c"]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("victim", ["a", "b", "c"])
@pytest.mark.parametrize("lines", [(), SMALL], ids=["in memory", "in the store"])
def test_a_crash_in_each_phase_loses_nothing(phase: str, victim: str, lines: tuple[str, ...]) -> None:
    history = History(Net("a", "b", "c", lines=lines))
    history.begin("a")
    history.net.halt_before(getattr(f, phase))
    history.arrive("b")
    history.publish("a", "b", "c")
    history.take()
    history.crash(victim)
    history.publish(*[node for node in "abc" if node != victim])
    history.net.go_on()
    history.net.join_all()
    history.net.advance(0.1)
    history.arrive("b")
    history.publish("a", "b", "c")
    history.check()
    for _ in range(40):
        history.net.advance(1)  # what the crashed node has for the one that had the session is awaited there
    assert history.holders() == ["b"]


def test_who_crashes_before_it_has_stored_what_it_takes_does_not_give_what_it_had_before() -> None:
    history = History(Net("a", "b", "c"))
    history.begin("a")
    history.net.halt_before(f.DONE)
    history.arrive("b")
    history.take()
    history.net["a"].stored = False
    history.net.go_on()
    history.net.halt_before(f.LEVEL)
    history.arrive("a")
    assert history.net.halted
    history.crash("a")
    history.net["a"].stored = True
    history.arrive("b")
    history.net.join_all()
    history.wait(3)
    history.arrive_again("b")
    history.publish("a", "b", "c")
    history.check()
    assert history.holders() == ["b"]


@pytest.mark.parametrize("phase", PHASES)
def test_a_link_that_is_cut_in_each_phase_loses_nothing(phase: str) -> None:
    history = History(Net("a", "b", "c"))
    history.begin("a")
    history.net.halt_before(getattr(f, phase))
    history.arrive("b")
    history.publish("a", "b", "c")
    history.take()
    history.net.cut("a", "b")
    history.publish("a", "b", "c")
    history.net.go_on()
    history.net.join_all()
    history.publish("a", "b", "c")
    history.net.advance(0.1)
    history.arrive("b")
    history.check()
    for _ in range(3):  # the node that had it listens for those that were away until they know where it is
        history.net.advance(0.1)
    assert history.holders() == ["b"]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("back", ["a", "b", "c"])
def test_a_client_that_goes_on_to_another_node_takes_all_with_it(phase: str, back: str) -> None:
    history = History(Net("a", "b", "c"))
    history.begin("a")
    history.net.halt_before(getattr(f, phase))
    history.arrive("b")
    history.publish("a", "b", "c")
    history.take()
    history.arrive(back)
    history.publish("a", "b", "c")
    history.net.go_on()
    history.net.advance(0.1)
    history.arrive_again(back)  # what was asked for before may have come later
    history.publish("a", "b", "c")
    history.check()
    assert history.holders() == [back]
