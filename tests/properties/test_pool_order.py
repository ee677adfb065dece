"""Workers under any interleaving of jobs, decisions, failures, deaths and restarts: each job once, in the order of its key."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.pool import Pool, Worker
from tests.jobs import Trial
from tests.peers import World

KEYS = ("a", "b", "c", "d")
STEPS = st.lists(st.one_of(
    st.tuples(st.just("submit"), st.sampled_from(KEYS), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("decide"), st.integers(0, 20), st.just(0), st.booleans()),
    st.tuples(st.sampled_from(("kill", "start", "flush", "cancel")), st.integers(0, 20), st.just(0), st.just(False)),
), max_size=60)


class History:
    """What was submitted by key, and what came of it."""

    def __init__(self, revives: bool) -> None:
        self.world = World()
        self.revives = revives
        self.pool = Pool("p", self.world.turn, self.died, 2)
        self.jobs: list[Trial] = []
        self.cancelled: set[str] = set()
        self.diary: list[str] = []
        self.deaths = 0

    def died(self, worker: Worker, error: Exception) -> None:
        self.deaths += 1
        assert not worker.up
        if self.revives:
            worker.start()

    def step(self, kind: str, which: str | int, waits: int, fails: bool) -> None:
        if isinstance(which, str):
            job = Trial(which, f"{which}{len(self.jobs)}", self.diary, waits, fails)
            self.jobs.append(job)
            self.pool.submit(job)
        elif kind == "decide" and self.jobs:
            self.jobs[which % len(self.jobs)].decide(fails)
        elif kind == "cancel" and self.jobs:
            self.cancel(self.jobs[which % len(self.jobs)])
        elif kind == "kill":
            self.pool.workers[which % 2].stop()
        elif kind == "start":
            self.pool.workers[which % 2].start()
        elif kind == "flush":
            self.world.settle()

    def cancel(self, job: Trial) -> None:
        if not job.over:
            job.when_over().cancel()
            self.cancelled.add(job.name)

    def settle(self) -> None:
        """Decide all that waits, and start what is down, until nothing is left."""
        for _ in range(1000):
            if not any(worker.queued for worker in self.pool.workers):
                return
            for worker in self.pool.workers:
                worker.start()
            for job in self.jobs:
                job.gate.resume(True)
            self.world.settle()
        raise AssertionError("jobs are left")


@given(STEPS, st.booleans())
def test_every_job_runs_once_in_the_order_of_its_key(steps: list[tuple[str, str | int, int, bool]], revives: bool) -> None:
    history = History(revives)
    for step in steps:
        history.step(*step)
    history.settle()
    began = [entry[1:] for entry in history.diary if entry[0] == "+"]
    ended = [entry[1:] for entry in history.diary if entry[0] != "+"]
    never = {job.name for job in history.jobs} - set(began)
    assert never <= history.cancelled  # and nothing else is left out
    assert sorted(began) == sorted(ended)
    assert all(job.over for job in history.jobs if job.name not in never)
    for key in KEYS:
        submitted = [job.name for job in history.jobs if job.key == key and job.name not in never]
        mine = [entry for entry in history.diary if entry[1] == key]
        assert [entry[1:] for entry in mine] == [name for name in submitted for _ in range(2)]  # one has ended before the next
    assert history.deaths == len([entry for entry in history.diary if entry[0] == "!"])
    assert all(not worker.lines and not worker.queued for worker in history.pool.workers)
