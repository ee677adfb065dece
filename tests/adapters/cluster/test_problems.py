"""What is kept of problems, what the log is told, and how long there is an alarm."""
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from emqtwist.cluster.problems import CALM, KEPT, MOST, REPEAT, Problems
from emqtwist.cluster.refusals import SECOND_LINK, SILENT, UNREACHABLE, WRONG_COOKIE, Refused
from emqtwist.core.alarms import Alarms
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event["log_namespace"].startswith("emqtwist.cluster"):
            events.append(event)

    globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
    yield events
    globalLogPublisher.removeObserver(observe)  # type: ignore[arg-type]


def problems() -> Problems:
    return Problems(Alarms(Turn(), Observer()))


def test_the_same_is_told_once_in_a_while_and_counted(logged: list[LogEvent]) -> None:
    found = problems()
    for second in range(int(REPEAT) + 1):
        found.note("10.0.0.9", Refused(UNREACHABLE, f"{second}"), float(second))
    [problem] = found.all()
    assert (problem.count, problem.at, problem.text) == (61, REPEAT, "nobody answers: 60")
    assert [event["reason"] for event in logged] == ["nobody answers: 0", "nobody answers: 60"]
    found.note("10.0.0.8", Refused(UNREACHABLE), REPEAT)
    assert len(logged) == 3


def test_not_too_many_are_kept_and_none_for_ever() -> None:
    found = problems()
    for number in range(MOST + 5):
        found.note(str(number), Refused(UNREACHABLE), 0.0)
    assert [problem.who for problem in found.all()] == [str(number) for number in range(5, MOST + 5)]
    assert found.counts == {UNREACHABLE: MOST + 5}
    found.tick(KEPT - 1)
    assert len(found.all()) == MOST
    found.tick(KEPT)
    assert found.all() == []


def test_many_that_are_no_alarm_do_not_drive_out_one_that_is() -> None:
    found = problems()
    found.note("b", Refused(WRONG_COOKIE), 0.0)
    for number in range(MOST + 5):
        found.note(str(number), Refused(SILENT), 0.0)
    assert [problem.who for problem in found.all()] == ["b", *[str(number) for number in range(6, MOST + 5)]]
    for number in range(MOST + 5):
        found.note(str(number), Refused(WRONG_COOKIE), 0.0)
    assert [problem.who for problem in found.all()] == [str(number) for number in range(5, MOST + 5)]


def test_an_alarm_is_over_when_nothing_came_for_long() -> None:
    alarms = Alarms(Turn(), Observer())
    found = Problems(alarms)
    found.note("x", Refused(WRONG_COOKIE), 0.0)
    found.note("x", Refused(WRONG_COOKIE), 10.0)
    assert list(alarms.active) == ["cluster_cookie"]
    found.tick(CALM + 9)
    assert list(alarms.active) == ["cluster_cookie"]
    found.tick(CALM + 10)
    assert list(alarms.active) == []
    assert [problem.cause for problem in found.all()] == [WRONG_COOKIE]


def test_a_link_solves_what_kept_it_from_opening_and_nothing_else() -> None:
    alarms = Alarms(Turn(), Observer())
    found = Problems(alarms)
    for cause, who in ((WRONG_COOKIE, "x"), (WRONG_COOKIE, "y"), (SILENT, "x"), (SECOND_LINK, "x")):
        found.note(who, Refused(cause), 0.0)
    found.solve("x")
    assert [(problem.cause, problem.who) for problem in found.all()] == [(WRONG_COOKIE, "y"), (SILENT, "x")]
    assert list(alarms.active) == ["cluster_cookie"]
    found.solve("y")
    assert list(alarms.active) == []
