"""What nodes say of themselves: their version, and the time that they have."""
import pytest

from emqtwist.core.cluster import frames as f
from tests.rolls import Town


def test_versions_are_known_and_known_anew_after_a_restart() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    assert town.citizen("a").nodes.clocks.known["b"].version == "1.1"
    town.crash("b")
    town.advance()
    assert town.citizen("a").nodes.clocks.known["b"].version == "1.2"


@pytest.mark.parametrize(("ahead", "words"), [(7.0, "7.0 s ahead of that of a"), (-7.0, "7.0 s behind that of a")])
def test_a_clock_that_is_wrong_is_an_alarm_at_both(ahead: float, words: str) -> None:
    town = Town("a", "b")
    town.ahead["b"] = ahead
    town.join("a", "b")
    about = town.citizen("a").nodes.clocks.known["b"]
    assert about.skew == pytest.approx(ahead)
    assert town.alarms("a") == ["cluster_clock/b"]
    assert words in town["a"].broker.alarms.active["cluster_clock/b"].summary
    assert town.alarms("b") == ["cluster_clock/a"]
    town.ahead["b"] = 0.0
    town.advance(10)
    assert about.skew == pytest.approx(0)
    assert town.alarms("a") == town.alarms("b") == []


def test_a_clock_that_differs_little_is_none() -> None:
    town = Town("a", "b")
    town.ahead["b"] = 4.9
    town.join("a", "b")
    assert town.alarms("a") == []


def test_a_clock_is_looked_at_every_ten_seconds() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.ahead["b"] = 60.0
    town.advance(9)
    assert town.alarms("a") == []
    town.advance(1)
    assert town.alarms("a") == ["cluster_clock/b"]


def test_a_slow_link_is_no_wrong_clock() -> None:
    """The answer came some time after the question, and it is not known when it was given."""
    town = Town("a", "b")
    town.join("a", "b")
    town.stall("b", "a")
    town.advance(10)
    town.advance(8)
    town.stall("b", "a", False)
    about = town.citizen("a").nodes.clocks.known["b"]
    assert about.doubt == pytest.approx(4)
    assert town.alarms("a") == []
    town.ahead["b"] = 10.0
    town.stall("b", "a")
    town.advance(2)
    town.advance(9.5)
    skew, town.ahead["b"] = about.skew, 1000.0
    town["a"].turn.now += 1
    town.stall("b", "a", False)
    assert about.skew == skew  # it took more than ten seconds, and says nothing


def test_a_clock_is_not_wrong_that_may_be_right() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town.stall("b", "a")
    town.ahead["b"] = -4.0
    town.advance(10)
    town.advance(6)
    town.stall("b", "a", False)
    about = town.citizen("a").nodes.clocks.known["b"]
    assert about.skew == pytest.approx(-7)
    assert about.doubt == pytest.approx(3)
    assert town.alarms("a") == []


def test_a_version_is_not_believed_without_end() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    town["a"].cluster.take(town["a"].cluster.peer("b"), [(f.ABOUT, "x" * 1000, 9)])
    assert town.citizen("a").nodes.clocks.known["b"].version == "x" * 100


def test_an_answer_to_another_question_says_nothing() -> None:
    town = Town("a", "b")
    town.join("a", "b")
    peer, clocks = town["a"].cluster.peer("b"), town.citizen("a").nodes.clocks
    for number in (clocks.known["b"].asked - 1, clocks.known["b"].asked + 1):
        town["a"].cluster.take(peer, [(f.ECHO, number, 0.0)])
    town["a"].cluster.take(peer, [(f.ECHO, clocks.known["b"].asked, float("nan"))])
    assert clocks.known["b"].skew == 0
    assert town.alarms("a") == []


def test_the_clock_of_a_node_that_left_is_no_matter() -> None:
    town = Town("a", "b")
    town.ahead["b"] = 60.0
    town.join("a", "b")
    town.citizen("b").members.leave()
    town.advance()
    assert town.alarms("a") == town.alarms("b") == []
    assert town.citizen("a").nodes.clocks.known == {}
