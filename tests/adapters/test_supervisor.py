"""Supervisor: parts start in order, those that die are started again, and too many deaths are passed upwards."""
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from emqtwist.services.part import Killed, Part
from emqtwist.services.supervisor import Child, Exhausted, Restart, Strategy, Supervisor


class Worker(Part):
    """Writes down what happens to it; starts and stops as `stage` says."""

    name: str

    def __init__(self, stage: "Stage", name: str) -> None:
        self.stage = stage
        self.setName(name)

    def startService(self) -> Any:
        self.stage.events.append(f"+{self.name}")
        if self.stage.broken_starts.get(self.name, 0) > 0:
            self.stage.broken_starts[self.name] -= 1
            raise RuntimeError(f"{self.name} cannot start")
        super().startService()
        return self.stage.starting.get(self.name)

    def stopService(self) -> Any:
        self.stage.events.append(f"-{self.name}")
        super().stopService()
        if self.name in self.stage.broken_stops:
            raise RuntimeError(f"{self.name} cannot stop")
        return self.stage.stopping.get(self.name)


class Stage:
    """A clock, the supervisors on it, and what happened since the last `took`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events: list[str] = []
        self.broken_starts: dict[str, int] = {}
        self.broken_stops: set[str] = set()
        self.starting: dict[str, Deferred[None]] = {}
        self.stopping: dict[str, Deferred[None]] = {}

    def child(self, name: str, restart: Restart = "permanent") -> Child:
        return Child(name, lambda: Worker(self, name), restart)

    def supervisor(self, *names: str, strategy: Strategy = "one_for_one", intensity: int = 3, period: float = 10.0,
                   restart: Restart = "permanent") -> Supervisor:
        return Supervisor("top", [self.child(name, restart) for name in names], self.clock, strategy, intensity, period)

    def took(self) -> str:
        events, self.events = self.events, []
        return " ".join(events)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(autouse=True)
def deaths(logged_failures: list[Failure]) -> Iterator[list[Failure]]:
    """Why parts died, as it was logged; anything else that is logged as a failure fails the test."""
    yield logged_failures
    logged_failures[:] = [failure for failure in logged_failures
                          if failure.check(RuntimeError, Killed, Exhausted, TimeoutError) is None]


def states(supervisor: Supervisor) -> dict[str, str]:
    return {path: row.state for path, row in supervisor.walk()}


def worker(supervisor: Supervisor, name: str) -> Worker:
    service = supervisor.rows[name].service
    assert isinstance(service, Worker)
    return service


def die(supervisor: Supervisor, name: str) -> None:
    worker(supervisor, name).die(Failure(RuntimeError(f"{name} died")))


def ended(supervisor: Supervisor) -> list[Any]:
    results: list[Any] = []
    supervisor.ended.addBoth(results.append)
    return results


# Start and stop.


def test_parts_start_in_order_and_stop_in_reverse(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b", "c")
    assert supervisor.startService().called
    assert stage.took() == "+a +b +c"
    assert states(supervisor) == dict.fromkeys("abc", "running")
    assert supervisor.stopService().called
    assert stage.took() == "-c -b -a"
    assert states(supervisor) == dict.fromkeys("abc", "stopped")


def test_a_part_waits_for_the_one_before_it(stage: Stage) -> None:
    stage.starting["a"] = Deferred()
    supervisor = stage.supervisor("a", "b")
    started = supervisor.startService()
    assert stage.took() == "+a"
    assert states(supervisor) == {"a": "starting", "b": "stopped"}
    stage.starting["a"].callback(None)
    assert started.called
    assert stage.took() == "+b"


def test_a_part_that_cannot_start_takes_back_the_start_of_all(stage: Stage) -> None:
    stage.broken_starts["b"] = 1
    supervisor = stage.supervisor("a", "b", "c")
    failures: list[Failure] = []
    supervisor.startService().addErrback(failures.append)
    assert failures[0].getErrorMessage() == "b cannot start"
    assert stage.took() == "+a +b -b -a"
    assert not supervisor.running


def test_a_start_that_lasts_too_long_has_failed(stage: Stage) -> None:
    stage.starting["a"] = Deferred()
    supervisor = stage.supervisor("a")
    failures: list[Failure] = []
    supervisor.startService().addErrback(failures.append)
    stage.clock.advance(9.9)
    assert not failures
    stage.clock.advance(0.2)
    assert len(failures) == 1


def test_a_slow_stop_is_bounded(stage: Stage, deaths: list[Failure]) -> None:
    supervisor = stage.supervisor("a", "b")
    supervisor.startService()
    stage.stopping["b"] = Deferred()
    stopped = supervisor.stopService()
    stage.clock.advance(9.9)
    assert stage.took() == "+a +b -b"
    stage.clock.advance(0.2)
    assert stopped.called
    assert stage.took() == "-a"
    assert deaths[0].check(TimeoutError)


def test_a_failing_stop_does_not_keep_the_others(stage: Stage, deaths: list[Failure]) -> None:
    supervisor = stage.supervisor("a", "b")
    supervisor.startService()
    stage.broken_stops.add("b")
    assert supervisor.stopService().called
    assert stage.took() == "+a +b -b -a"
    assert deaths[0].getErrorMessage() == "b cannot stop"


def test_it_can_be_stopped_while_it_starts(stage: Stage) -> None:
    stage.starting["a"] = Deferred()
    supervisor = stage.supervisor("a", "b")
    supervisor.startService()
    stopped = supervisor.stopService()
    stage.starting["a"].callback(None)
    assert stopped.called
    assert stage.took() == "+a -a"


def test_a_stop_does_not_wait_for_a_start_that_may_last(stage: Stage) -> None:
    stage.starting["a"] = Deferred()
    supervisor = stage.supervisor("a", "b")
    started = supervisor.startService()
    assert supervisor.stopService().called
    assert started.called
    assert stage.took() == "+a -a"
    assert states(supervisor) == {"a": "stopped", "b": "stopped"}


def test_it_starts_again_after_a_stop(stage: Stage) -> None:
    supervisor = stage.supervisor("a")
    supervisor.startService()
    supervisor.stopService()
    supervisor.startService()
    die(supervisor, "a")
    assert stage.took() == "+a -a +a -a +a"


# Restarts.


@pytest.mark.parametrize(("strategy", "what"), [
    ("one_for_one", "-b +b"), ("one_for_all", "-c -b -a +a +b +c"), ("rest_for_one", "-c -b +b +c")])
def test_a_death_concerns_whom_the_strategy_says(stage: Stage, strategy: Strategy, what: str) -> None:
    supervisor = stage.supervisor("a", "b", "c", strategy=strategy)
    supervisor.startService()
    stage.took()
    old = worker(supervisor, "b")
    die(supervisor, "b")
    assert stage.took() == what
    assert worker(supervisor, "b") is not old
    assert states(supervisor) == dict.fromkeys("abc", "running")
    row = supervisor.rows["b"]
    assert row.restarts == 1
    assert row.failure is not None
    assert row.failure.getErrorMessage() == "b died"


@pytest.mark.parametrize(("restart", "after_death", "after_end"), [
    ("permanent", "running", "running"), ("transient", "running", "ended"), ("temporary", "ended", "ended")])
def test_whether_a_part_is_started_again(stage: Stage, restart: Restart, after_death: str, after_end: str) -> None:
    supervisor = stage.supervisor("a", "b", restart=restart)
    supervisor.startService()
    die(supervisor, "a")
    worker(supervisor, "b").finish()
    assert states(supervisor) == {"a": after_death, "b": after_end}


def test_deaths_in_a_row_wait_longer_and_longer(stage: Stage) -> None:
    supervisor = stage.supervisor("a", intensity=100)
    supervisor.startService()
    stage.broken_starts["a"] = 4
    die(supervisor, "a")
    assert stage.took() == "+a -a +a"
    for pause in (0.1, 0.2, 0.4):
        assert states(supervisor) == {"a": "waiting"}
        stage.clock.advance(pause - 0.01)
        assert stage.took() == ""
        stage.clock.advance(0.011)
        assert stage.took() == "-a +a"
    stage.clock.advance(0.8)
    assert states(supervisor) == {"a": "running"}


def test_the_longest_pause_is_five_seconds(stage: Stage) -> None:
    supervisor = stage.supervisor("a", intensity=100)
    supervisor.startService()
    stage.broken_starts["a"] = 12
    die(supervisor, "a")
    stage.clock.pump([5.0] * 11)
    assert stage.broken_starts["a"] == 0
    stage.clock.advance(5.0)
    assert states(supervisor) == {"a": "running"}


def test_others_do_not_wait_for_one_that_waits(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b", intensity=100)
    supervisor.startService()
    stage.broken_starts["a"] = 1
    die(supervisor, "a")
    stage.took()
    die(supervisor, "b")
    assert stage.took() == "-b +b"
    assert states(supervisor) == {"a": "waiting", "b": "running"}


def test_a_part_that_ran_for_long_begins_anew(stage: Stage) -> None:
    supervisor = stage.supervisor("a", intensity=1)
    supervisor.startService()
    for _ in range(5):
        stage.clock.advance(11.0)
        die(supervisor, "a")
        assert states(supervisor) == {"a": "running"}


def test_a_stop_ends_the_wait_for_a_restart(stage: Stage) -> None:
    supervisor = stage.supervisor("a", intensity=100)
    supervisor.startService()
    stage.broken_starts["a"] = 1
    die(supervisor, "a")
    assert supervisor.stopService().called
    stage.took()
    stage.clock.advance(10.0)
    assert stage.took() == ""
    assert not stage.clock.getDelayedCalls()


def test_a_death_while_another_is_served_waits_its_turn(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b")
    supervisor.startService()
    stage.took()
    stage.stopping["a"] = Deferred()
    die(supervisor, "a")
    die(supervisor, "b")
    assert stage.took() == "-a"
    stage.stopping.pop("a").callback(None)
    assert stage.took() == "+a -b +b"


@pytest.mark.parametrize("gone", ["stop", "remove"])
def test_a_restart_that_is_due_while_its_part_is_stopped_does_not_bring_it_back(stage: Stage, gone: str) -> None:
    supervisor = stage.supervisor("a", "b", intensity=100)
    supervisor.startService()
    stage.broken_starts["a"] = 1
    die(supervisor, "a")
    stage.stopping["b"] = Deferred()
    supervisor.restart("b")
    getattr(supervisor, gone)("a")
    stage.clock.advance(1.0)
    stage.took()
    stage.stopping.pop("b").callback(None)
    assert stage.took() == "+b -a"
    assert states(supervisor).get("a", "stopped") == "stopped"


def test_a_death_of_one_that_was_replaced_meanwhile_counts_no_more(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b", strategy="one_for_all")
    supervisor.startService()
    stage.took()
    stage.stopping["b"] = Deferred()
    die(supervisor, "a")
    late = worker(supervisor, "b")
    late.running = 1  # as if it had died just before it was stopped
    late.die(Failure(RuntimeError("late")))
    stage.stopping.pop("b").callback(None)
    assert stage.took() == "-b -a +a +b"
    assert supervisor.rows["b"].restarts == 0


def test_a_death_while_stopping_starts_nothing(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b")
    supervisor.startService()
    stage.stopping["b"] = Deferred()
    supervisor.stopService()
    die(supervisor, "a")
    stage.stopping["b"].callback(None)
    assert stage.took() == "+a +b -b -a"
    assert states(supervisor) == {"a": "stopped", "b": "stopped"}


# Giving up.


def test_too_many_deaths_end_the_supervisor(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b", intensity=2)
    supervisor.startService()
    results = ended(supervisor)
    stage.broken_starts["a"] = 100
    die(supervisor, "a")
    stage.clock.pump([0.1] * 20)
    assert isinstance(results[0].value, Exhausted)
    assert str(results[0].value) == "top: a cannot start"
    assert states(supervisor) == {"a": "stopped", "b": "stopped"}
    assert stage.took().endswith("-b -a")
    assert not supervisor.running


def test_as_many_deaths_as_it_bears_do_not(stage: Stage) -> None:
    supervisor = stage.supervisor("a", intensity=3)
    supervisor.startService()
    results = ended(supervisor)
    for _ in range(3):
        die(supervisor, "a")
        stage.clock.advance(0.5)
    assert not results
    assert states(supervisor) == {"a": "running"}
    die(supervisor, "a")
    assert len(results) == 1


def test_deaths_are_forgotten_after_the_period(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b", intensity=1)
    supervisor.startService()
    results = ended(supervisor)
    die(supervisor, "a")
    stage.clock.advance(10.0)
    die(supervisor, "b")
    assert not results


def nested(stage: Stage, intensity: int) -> tuple[Supervisor, Callable[[], Supervisor]]:
    """A supervisor `low` with the part `a` below `top`, and how to find it."""
    def make() -> Supervisor:
        return Supervisor("low", [stage.child("a")], stage.clock, intensity=0)
    top = Supervisor("top", [Child("low", make), stage.child("z")], stage.clock, intensity=intensity)

    def low() -> Supervisor:
        service = top.rows["low"].service
        assert isinstance(service, Supervisor)
        return service
    return top, low


def test_the_end_of_a_supervisor_is_a_death_to_the_one_above(stage: Stage) -> None:
    top, low = nested(stage, 1)
    top.startService()
    stage.took()
    first = low()
    die(first, "a")
    assert stage.took() == "-a +a"
    assert low() is not first
    assert states(top) == {"low": "running", "low/a": "running", "z": "running"}
    results = ended(top)
    die(low(), "a")
    assert isinstance(results[0].value, Exhausted)
    assert stage.took() == "-a -z"


def test_a_supervisor_can_be_killed_too(stage: Stage) -> None:
    top, low = nested(stage, 1)
    top.startService()
    first = low()
    first.kill()
    assert low() is not first
    assert states(top) == {"low": "running", "low/a": "running", "z": "running"}


# Changes while it runs.


def test_a_part_may_be_put_first(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b")
    supervisor.add(stage.child("c"), first=True)
    supervisor.startService()
    assert stage.took() == "+c +a +b"
    supervisor.stopService()
    assert stage.took() == "-b -a -c"


def test_parts_come_and_go(stage: Stage) -> None:
    supervisor = stage.supervisor("a")
    supervisor.startService()
    assert supervisor.add(stage.child("b")).called
    assert stage.took() == "+a +b"
    with pytest.raises(ValueError, match="has a part b already"):
        supervisor.add(stage.child("b"))
    supervisor.remove("a")
    assert stage.took() == "-a"
    assert states(supervisor) == {"b": "running"}
    assert [service.name for service in supervisor] == ["b"]
    with pytest.raises(KeyError):
        supervisor.remove("a")


def test_restart_on_request_puts_a_fresh_part_in_place(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b")
    supervisor.startService()
    stage.took()
    old = worker(supervisor, "a")
    assert supervisor.restart("a").called
    assert stage.took() == "-a +a"
    assert worker(supervisor, "a") is not old
    assert supervisor.rows["a"].failure is None


def test_a_part_that_was_stopped_on_request_stays_so_until_a_restart(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b")
    supervisor.startService()
    supervisor.stop("a")
    assert states(supervisor) == {"a": "stopped", "b": "running"}
    supervisor.restart("a")
    assert states(supervisor) == {"a": "running", "b": "running"}


def above(stage: Stage, strategy: Strategy = "one_for_one") -> Supervisor:
    """Of which `low` has two parts, and the other of those runs alone."""
    top = Supervisor("top", [Child("low", lambda: stage.supervisor("a", "b", strategy=strategy))], stage.clock)
    top.startService()
    top.stop("low/a")
    assert states(top) == {"low": "running", "low/a": "stopped", "low/b": "running"}
    stage.took()
    return top


@pytest.mark.parametrize("end", [lambda top: top.restart("low"), lambda top: top.kill("low")], ids=["restart", "death"])
def test_a_part_that_was_stopped_on_request_stays_so_when_what_is_above_starts_again(
        stage: Stage, end: Callable[[Supervisor], object]) -> None:
    top = above(stage)
    for _ in range(2):
        end(top)
        stage.clock.advance(1)
        assert stage.took() == "-b +b"
        assert states(top) == {"low": "running", "low/a": "stopped", "low/b": "running"}
    top.restart("low/a")
    end(top)
    stage.clock.advance(1)
    assert states(top) == {"low": "running", "low/a": "running", "low/b": "running"}


def test_a_part_that_was_stopped_on_request_is_not_brought_back_by_the_death_of_another(stage: Stage) -> None:
    top = above(stage, "one_for_all")
    low = top.find("low").service
    assert isinstance(low, Supervisor)
    die(low, "b")
    assert stage.took() == "-b +b"
    assert states(top)["low/a"] == "stopped"


def test_a_start_of_all_starts_what_was_stopped_on_request_too(stage: Stage) -> None:
    top = above(stage)
    top.stopService()
    top.startService()
    assert states(top) == {"low": "running", "low/a": "running", "low/b": "running"}


def test_parts_below_are_found_and_restarted_by_their_path(stage: Stage) -> None:
    top = Supervisor("top", [Child("low", lambda: stage.supervisor("a")), stage.child("b")], stage.clock)
    top.startService()
    stage.took()
    top.restart("low/a")
    assert stage.took() == "-a +a"
    assert top.find("low/a") is dict(top.walk())["low/a"]
    for path in ("c", "low/b", "b/a"):
        with pytest.raises(KeyError):
            top.find(path)


def test_a_killed_part_says_so(stage: Stage) -> None:
    supervisor = stage.supervisor("a")
    supervisor.startService()
    worker(supervisor, "a").kill()
    failure = supervisor.rows["a"].failure
    assert failure is not None
    assert failure.getErrorMessage() == "a was killed"
    assert states(supervisor) == {"a": "running"}


def test_a_part_is_killed_by_its_path(stage: Stage) -> None:
    top = Supervisor("top", [Child("low", lambda: stage.supervisor("a")), stage.child("z")], stage.clock)
    top.startService()
    top.kill("low/a")
    failure = top.find("low/a").failure
    assert failure is not None
    assert failure.type is Killed
    with pytest.raises(KeyError):
        top.kill("low/b")
    with pytest.raises(KeyError):
        top.kill("z/a")


def test_a_service_that_knows_no_death_can_be_killed(stage: Stage) -> None:
    supervisor = Supervisor("top", [Child("plain", Service)], stage.clock)
    supervisor.startService()
    before = supervisor.find("plain").service
    supervisor.kill("plain")
    assert supervisor.find("plain").service is not before
    assert states(supervisor) == {"plain": "running"}


def test_a_part_that_cannot_even_be_made_again_is_tried_again(stage: Stage) -> None:
    made = [Worker(stage, "a"), Worker(stage, "a")]

    def make() -> Worker:
        if not made:
            raise RuntimeError("cannot be made")
        return made.pop()

    supervisor = Supervisor("top", [Child("a", make), stage.child("b")], stage.clock)
    supervisor.startService()
    die(supervisor, "a")
    die(supervisor, "a")
    stage.clock.advance(1)
    assert states(supervisor) == {"a": "waiting", "b": "running"}
    made.append(Worker(stage, "a"))
    stage.clock.advance(5)
    assert states(supervisor) == {"a": "running", "b": "running"}


def test_a_restart_on_request_that_fails_is_told_and_tried_again(stage: Stage) -> None:
    supervisor = stage.supervisor("a", "b")
    supervisor.startService()
    stage.broken_starts["a"] = 2
    told: list[Failure] = []
    supervisor.restart("a").addErrback(told.append)
    assert [failure.getErrorMessage() for failure in told] == ["a cannot start"]
    stage.clock.advance(1)
    assert states(supervisor) == {"a": "running", "b": "running"}


def test_a_supervisor_without_a_limit_never_gives_up(stage: Stage) -> None:
    supervisor = Supervisor("top", [stage.child("a")], stage.clock, intensity=inf)
    supervisor.startService()
    for _ in range(100):
        die(supervisor, "a")
        stage.clock.advance(5)
    assert states(supervisor) == {"a": "running"}
