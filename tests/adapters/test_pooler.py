"""The pool of threads: who asked gets the outcome, what waits is bounded, and a death of its threads loses no job."""
import threading
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from emqtwist.config import PoolerSection
from emqtwist.core.link import Turn
from emqtwist.core.metrics import Metrics
from emqtwist.services.part import Killed
from emqtwist.services.pooler import PATIENCE, Abandoned, Pool, Pooler, Refused
from emqtwist.services.supervisor import Child, Supervisor
from tests.threads import HeldThreads, ThreadedClock


class Place:
    """A pool and a supervised pooler whose threads a test moves; `made` are the threads of all poolers."""

    def __init__(self, **rows: int) -> None:
        self.clock = ThreadedClock()
        self.pool = Pool(PoolerSection(**rows), Metrics(Turn()))
        self.made: list[HeldThreads] = []
        self.supervisor = Supervisor("top", [Child("pooler", self._pooler)], self.clock)
        self.supervisor.startService()

    def _pooler(self) -> Pooler:
        return Pooler(self.pool, self.clock, self._threads)

    def _threads(self, size: int) -> HeldThreads:
        self.made.append(HeldThreads(size))
        return self.made[-1]

    @property
    def threads(self) -> HeldThreads:
        return self.made[-1]

    @property
    def pooler(self) -> Pooler:
        service = self.supervisor.rows["pooler"].service
        assert isinstance(service, Pooler)
        return service

    def submit(self, function: Callable[..., object], *arguments: object) -> list[Any]:
        """What has come of the job, so far."""
        outcome: list[Any] = []
        self.pool.submit(function, *arguments).addBoth(outcome.append)
        return outcome


def raises(error: BaseException) -> None:
    raise error


def kinds(failures: list[Failure]) -> list[object]:
    """The types of what was logged, which was expected."""
    found: list[object] = [failure.type for failure in failures]
    failures.clear()
    return found


def test_who_submits_a_job_gets_what_it_gives() -> None:
    place = Place()
    outcome = place.submit(divmod, 7, 2)
    assert outcome == []
    place.threads.run_all()
    assert outcome == [(3, 1)]
    assert not place.pool.running


def test_who_submits_a_job_gets_what_it_raises_and_the_others_go_on() -> None:
    place = Place(size=1)
    failed, other = place.submit(raises, ValueError("why")), place.submit(int, "3")
    place.threads.run_all()
    assert failed[0].check(ValueError)
    assert other == [3]
    assert place.supervisor.rows["pooler"].restarts == 0


def test_the_failure_of_a_job_that_nobody_waits_for_is_logged_and_counted(logged_failures: list[Failure]) -> None:
    place = Place()
    place.pool.async_submit(raises, ValueError("why"))
    place.pool.async_submit(int, "3")
    with capturedLogs() as events:
        place.threads.run_all()
    assert [event["function"] for event in events] == ["tests.adapters.test_pooler:raises"]
    assert kinds(logged_failures) == [ValueError]
    assert place.pool.metrics.counters()["job_failures"] == 1


def test_pooler_size() -> None:
    place = Place(size=2)
    outcomes = [place.submit(abs, -number) for number in range(5)]
    assert (len(place.threads.held), len(place.pool.waiting), place.threads.size) == (2, 3, 2)
    place.threads.run_one()
    assert (len(place.threads.held), len(place.pool.waiting)) == (2, 2)
    place.pool.configure(PoolerSection(size=4))
    assert (len(place.threads.held), len(place.pool.waiting), place.threads.size) == (4, 0, 4)
    place.threads.run_all()
    assert outcomes == [[0], [1], [2], [3], [4]]


def test_pooler_max_waiting() -> None:
    place = Place(size=1, max_waiting=2)
    outcomes = [place.submit(abs, number) for number in range(4)]
    refused = outcomes.pop()
    assert refused[0].check(Refused)
    assert refused[0].getErrorMessage() == "2 jobs wait for a thread, as many as may (pooler.max_waiting)"
    with pytest.raises(Refused):
        place.pool.async_submit(abs, 9)
    place.threads.run_all()
    assert outcomes == [[0], [1], [2]]
    assert place.submit(abs, 9) == []  # there is room again
    place.threads.run_all()


def test_a_cancelled_job_that_waits_is_not_called() -> None:
    place = Place(size=1)
    called: list[int] = []
    place.submit(called.append, 1)
    second: Deferred[None] = place.pool.submit(called.append, 2)
    place.submit(called.append, 3)
    heard: list[Failure] = []
    second.addErrback(heard.append)
    second.cancel()
    assert heard[0].check(CancelledError)
    place.threads.run_all()
    assert called == [1, 3]


def test_nobody_hears_of_a_job_that_was_cancelled_in_its_thread() -> None:
    place = Place()
    running: Deferred[int] = place.pool.submit(abs, -1)
    heard: list[object] = []
    running.addBoth(heard.append)
    running.cancel()
    place.threads.run_all()
    assert len(heard) == 1
    assert not place.pool.running


@pytest.mark.parametrize("error", [Killed("on purpose"), SystemExit(), KeyboardInterrupt()])
def test_a_kill_inside_a_job_fails_its_requester_and_the_jobs_behind_it_run_in_new_threads(
        error: BaseException, logged_failures: list[Failure]) -> None:
    place = Place(size=1)
    killed = place.submit(raises, error)
    behind = [place.submit(abs, -number) for number in range(3)]
    place.threads.run_one()
    assert kinds(logged_failures) == [type(error)]
    assert killed[0].check(type(error))
    assert [threads.started for threads in place.made[1:]] == [True]
    assert place.supervisor.rows["pooler"].restarts == 1
    assert behind == [[], [], []]
    place.threads.run_all()
    assert behind == [[0], [1], [2]]


def test_a_killed_pooler_waits_for_jobs_in_threads_and_each_requester_gets_his_own_outcome() -> None:
    place = Place(size=2)
    outcomes = [place.submit(abs, -number) for number in range(4)]
    old = place.threads
    place.pooler.kill()
    assert len(place.made) == 1  # it is not replaced yet: its two jobs still run
    old.run_one()
    assert len(old.held) == 1  # and it takes no others
    old.run_one()
    assert len(place.made) == 2
    place.threads.run_all()
    assert outcomes == [[0], [1], [2], [3]]


def test_a_job_that_lasts_too_long_does_not_hold_up_the_others_and_its_outcome_still_arrives() -> None:
    place = Place(size=1)
    slow, behind = place.submit(abs, -1), place.submit(abs, -2)
    old = place.threads
    place.pooler.kill()
    with capturedLogs() as events:
        place.clock.advance(PATIENCE)
    assert [event["count"] for event in events if "waited for no longer" in event["log_format"]] == [1]
    place.threads.run_all()
    assert (slow, behind) == ([], [2])
    old.run_all()
    assert slow == [1]


def test_jobs_wait_while_no_pooler_runs() -> None:
    clock = ThreadedClock()
    pool = Pool(PoolerSection(), Metrics(Turn()))
    heard: list[object] = []
    pool.submit(abs, -1).addBoth(heard.append)
    assert len(pool.waiting) == 1
    threads = HeldThreads(0)
    Pooler(pool, clock, lambda size: threads).startService()
    threads.run_all()
    assert heard == [1]


def test_who_waits_when_the_pool_is_closed_hears_that() -> None:
    place = Place(size=1)
    running, waiting = place.submit(abs, -1), place.submit(abs, -2)
    place.pool.close()
    assert [outcome[0].type for outcome in (running, waiting)] == [Abandoned, Abandoned]
    place.threads.run_all()  # the outcome of the first comes too late
    assert len(running) == 1
    assert place.submit(abs, 1)[0].check(Refused)


async def test_jobs_run_in_real_threads_that_end_with_the_pooler() -> None:
    pool = Pool(PoolerSection(size=2), Metrics(Turn()))
    pooler = Pooler(pool, reactor)
    pooler.startService()
    gate = threading.Event()
    blocked = pool.submit(gate.wait, 30.0)
    thread = await pool.submit(threading.current_thread)
    assert thread is not threading.current_thread()
    assert thread.daemon
    stopped = pooler.stopService()
    assert not stopped.called  # a job still runs
    gate.set()
    assert (await blocked) is True
    await stopped
    thread.join(30.0)
    assert not thread.is_alive()


