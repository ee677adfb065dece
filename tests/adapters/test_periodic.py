"""A service that calls something again and again."""
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from emqtwist.services.periodic import Periodic


class Patient:
    """Counts its calls; some of them fail."""

    def __init__(self, *failing: int) -> None:
        self.calls = 0
        self.failing = failing

    def call(self) -> None:
        self.calls += 1
        if self.calls in self.failing:
            raise ZeroDivisionError(self.calls)


def test_it_calls_once_each_interval_and_not_at_once() -> None:
    clock, patient = Clock(), Patient()
    service = Periodic("pulse", 2.0, patient.call, clock)
    service.startService()
    assert patient.calls == 0
    for seconds, calls in ((1.9, 0), (0.1, 1), (2.0, 2), (2.0, 3)):
        clock.advance(seconds)
        assert patient.calls == calls


def test_it_stops_and_starts_again() -> None:
    clock, patient = Clock(), Patient()
    service = Periodic("pulse", 2.0, patient.call, clock)
    for expected in (1, 2):
        service.startService()
        clock.advance(2)
        service.stopService()
        clock.advance(10)
        assert patient.calls == expected
        assert clock.getDelayedCalls() == []


def test_what_the_function_raises_is_its_death() -> None:
    clock, patient = Clock(), Patient(2)
    service = Periodic("pulse", 1.0, patient.call, clock)
    service.startService()
    died: list[Failure] = []
    service.ended.addErrback(died.append)
    clock.advance(1)
    assert died == []
    clock.advance(1)
    assert [failure.type for failure in died] == [ZeroDivisionError]


def test_it_does_not_come_back_after_a_failure_that_stopped_it() -> None:
    clock = Clock()

    def stop_and_fail() -> None:
        service.stopService()
        raise ZeroDivisionError

    service = Periodic("pulse", 1.0, stop_and_fail, clock)
    service.startService()
    clock.advance(1)
    assert clock.getDelayedCalls() == []


def test_it_has_a_name_and_can_be_stopped_twice() -> None:
    service = Periodic("pulse", 1.0, Patient().call, Clock())
    service.stopService()
    assert service.name == "pulse"


def test_one_that_is_dead_calls_nothing_before_it_is_stopped() -> None:
    clock, patient = Clock(), Patient()
    service = Periodic("pulse", 1.0, patient.call, clock)
    service.startService()
    service.ended.addErrback(lambda _: None)
    service.kill()
    clock.advance(10)
    assert patient.calls == 0
