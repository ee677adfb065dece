"""Alarms: raised once, cleared once, told, remembered within bounds."""
import pytest

from emqtwist.core import alarms as module
from emqtwist.core.alarm import Alarm
from emqtwist.core.alarms import Alarms
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer, Observers


class Ear(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def alarm_raised(self, alarm: Alarm) -> None:
        self.heard.append(("raised", alarm.identifier))

    def alarm_cleared(self, alarm: Alarm) -> None:
        self.heard.append(("cleared", alarm.identifier))


def made() -> tuple[Alarms, Ear, Turn]:
    ear, turn = Ear(), Turn(5.0)
    return Alarms(turn, Observers(ear)), ear, turn


def test_an_alarm_is_raised_once_until_it_is_cleared() -> None:
    alarms, ear, _ = made()
    assert [alarms.raise_("a", "warning", "t", "s"), alarms.raise_("a", "error", "t", "s")] == [True, False]
    assert [alarms.clear("a"), alarms.clear("a")] == [True, False]
    assert alarms.raise_("a", "warning", "t", "s")
    assert ear.heard == [("raised", "a"), ("cleared", "a"), ("raised", "a")]


def test_an_alarm_knows_what_and_when() -> None:
    alarms, _, turn = made()
    alarms.raise_("a", "critical", "title", "summary")
    alarm = alarms.active["a"]
    assert (alarm.severity, alarm.title, alarm.summary, alarm.raised_at, alarm.cleared_at) == (
        "critical", "title", "summary", 5.0, None)
    turn.now = 7.0
    alarms.clear("a")
    assert (alarms.active, list(alarms.history), alarm.cleared_at) == ({}, [alarm], 7.0)


def test_the_history_is_bounded() -> None:
    alarms, _, _ = made()
    for number in range(module.HISTORY + 2):
        alarms.raise_(str(number), "warning", "t", "s")
        alarms.clear(str(number))
    assert (len(alarms.history), alarms.history[0].identifier) == (module.HISTORY, "2")


def test_the_active_ones_are_bounded() -> None:
    alarms, ear, _ = made()
    for number in range(module.ACTIVE + 2):
        alarms.raise_(str(number), "warning", "t", "s")
    assert (len(alarms.active), len(ear.heard), alarms.suppressed) == (module.ACTIVE, module.ACTIVE, 2)


def test_a_severity_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="'fatal' is none of warning, error, critical"):
        made()[0].raise_("a", "fatal", "t", "s")
