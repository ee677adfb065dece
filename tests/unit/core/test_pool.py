"""Workers by themselves: what runs at once, what queues behind what, and what a failure costs."""
import pytest

from emqtwist.core.link import Link
from emqtwist.core.pending import Pending
from emqtwist.core.pool import SPARE, Job, Pool, Worker
from tests.jobs import Trial
from tests.peers import World


class Shop:
    """One worker, and a diary of what its jobs did."""

    def __init__(self) -> None:
        self.world = World()
        self.deaths: list[str] = []
        self.worker = Worker("w", self.world.turn, lambda worker, error: self.deaths.append(str(error)))
        self.diary: list[str] = []

    def submit(self, name: str, waits: int = 0, fails: bool = False) -> Trial:
        """A job whose key is the first letter of its name."""
        job = Trial(name[0], name, self.diary, waits, fails)
        self.worker.submit(job)
        return job

    def did(self) -> str:
        """What the jobs did since the last call, in flushes that had to come."""
        self.world.settle()
        diary = " ".join(self.diary)
        self.diary.clear()
        return diary


def test_an_idle_worker_runs_a_job_at_once() -> None:
    shop = Shop()
    job = shop.submit("a1")
    assert (shop.diary, job.over, job.error) == (["+a1", "-a1"], True, None)
    assert shop.worker.lines == {}


def test_jobs_queue_behind_one_of_their_key_that_waits_and_no_others_do() -> None:
    shop = Shop()
    first = shop.submit("a1", waits=2)
    second, other = shop.submit("a2"), shop.submit("b1")
    assert shop.did() == "+a1 +b1 -b1"
    assert (second.over, other.over, shop.worker.queued) == (False, True, 2)
    first.decide()
    assert shop.did() == ""
    first.decide()
    assert shop.did() == "-a1 +a2 -a2"
    assert (shop.worker.lines, shop.worker.queued) == ({}, 0)


def test_a_decision_is_not_taken_under_whoever_decides() -> None:
    shop = Shop()
    first = shop.submit("a1", waits=1)
    first.decide()
    assert shop.diary == ["+a1"]
    assert shop.did() == "+a1 -a1"


def test_a_job_may_wait_for_what_is_decided_already() -> None:
    class Ready(Trial):
        def run(self) -> None:
            self.wait(Pending(True), self._go_on)

    shop = Shop()
    shop.worker.submit(Ready("a", "1", shop.diary))
    assert shop.did() == "-1"


@pytest.mark.parametrize("waits", [0, 1])
def test_a_job_that_fails_costs_itself_and_its_worker_waits_to_be_started(waits: int) -> None:
    shop = Shop()
    blocker = shop.submit("b1", waits=1)
    first = shop.submit("a1", waits, True)
    second = shop.submit("a2")
    if waits:
        first.decide(fails=True)
    assert shop.did() == "+b1 +a1 !a1"
    assert (shop.deaths, shop.worker.up, first.over, str(first.error)) == (["a1 fails"], False, True, "a1 fails")
    shop.submit("c1")
    blocker.decide()
    assert shop.did() == ""
    assert not second.over
    shop.worker.start()
    assert shop.diary == []
    assert sorted(shop.did().split()) == ["+a2", "+c1", "-a2", "-b1", "-c1"]
    assert shop.worker.queued == 0


def test_jobs_that_queue_keep_their_order_over_several_deaths() -> None:
    shop = Shop()
    shop.worker.stop()
    for name, fails in (("a1", False), ("a2", True), ("a3", False), ("a4", True), ("a5", False)):
        shop.submit(name, fails=fails)
    assert shop.did() == ""
    for expected in ("+a1 -a1 +a2 !a2", "+a3 -a3 +a4 !a4", "+a5 -a5", ""):
        shop.worker.start()
        assert shop.did() == expected


def test_a_worker_that_is_started_in_the_midst_of_its_death_goes_on() -> None:
    shop = Shop()
    shop.worker.on_failure = lambda worker, error: worker.start()
    first = shop.submit("a1", waits=1)
    shop.submit("a2", fails=True)
    shop.submit("a3")
    first.decide(fails=True)
    assert shop.did() == "+a1 !a1 +a2 !a2 +a3 -a3"


class Nesting(Job):
    """Submits others under its own key while it runs, and waits for the last."""

    def __init__(self, shop: Shop, *inner: Trial) -> None:
        super().__init__("a")
        self.shop = shop
        self.inner = inner

    def run(self) -> None:
        self.shop.diary.append("+outer")
        for job in self.inner:
            self.shop.worker.submit(job)
        self.wait(self.inner[-1].when_over(), self._go_on)

    def _go_on(self, link: Link, decision: bool) -> None:
        self.shop.diary.append(f"-outer {decision}")


@pytest.mark.parametrize("queued", [False, True])
def test_what_a_job_submits_under_its_own_key_is_part_of_it(queued: bool) -> None:
    shop = Shop()
    if queued:
        shop.worker.stop()
    one, two = Trial("a", "1", shop.diary, 1), Trial("a", "2", shop.diary, 1)
    shop.worker.submit(Nesting(shop, one, two))
    shop.submit("a3")
    shop.worker.start()
    assert shop.did() == "+outer +1"
    one.decide()
    assert shop.did() == "-1 +2"
    two.decide()
    assert shop.did() == "-2 -outer True +a3 -a3"
    assert shop.worker.queued == 0


def test_who_waits_for_a_job_learns_whether_it_took_effect() -> None:
    shop = Shop()
    first = shop.submit("a1", waits=1)
    then = first.when_over()
    assert not then.is_decided()
    first.decide(fails=True)
    shop.did()
    assert (then.decision, first.when_over().decision) == (False, False)
    shop.worker.start()
    assert shop.submit("a2").when_over().decision is True


def test_a_job_is_not_run_when_who_wanted_it_is_gone() -> None:
    shop = Shop()
    first = shop.submit("a1", waits=1)
    second = shop.submit("a2")
    second.when_over().cancel()
    shop.submit("a3")
    first.when_over().cancel()
    first.decide()
    assert shop.did() == "+a1 -a1 +a3 -a3"


def test_a_queue_does_not_grow_with_clients_that_come_and_go() -> None:
    shop = Shop()
    shop.worker.stop()
    kept = [shop.submit(f"{letter}0") for letter in "abc"]
    for number in range(20 * SPARE):
        shop.submit(f"a{number}").when_over().cancel()
    assert shop.worker.queued <= 2 * SPARE + 10
    assert shop.worker.queued == sum(len(line.jobs) for line in shop.worker.lines.values())
    shop.worker.start()
    assert shop.did().split() == ["+a0", "-a0", "+b0", "-b0", "+c0", "-c0"]
    assert all(job.over for job in kept)


def test_a_failure_while_cleaning_up_is_a_failure() -> None:
    class Worse(Trial):
        def failed(self) -> None:
            raise ValueError("worse")

    shop = Shop()
    job = Worse("a", "1", shop.diary, 0, True)
    shop.worker.submit(job)
    assert (job.over, shop.deaths, shop.worker.up) == (True, ["worse"], False)


def test_a_key_always_has_the_same_worker_and_keys_are_divided() -> None:
    world = World()
    pool = Pool("p", world.turn, lambda worker, error: None)
    keys = [f"client{number}" for number in range(500)]
    assert len({pool.worker(key).name for key in keys}) == len(pool.workers)
    diary: list[str] = []
    blocked = Trial(keys[0], "first", diary, 1)
    pool.submit(blocked)
    pool.submit(Trial(keys[0], "second", diary))
    assert list(pool.worker(keys[0]).lines) == [keys[0]]
    blocked.decide()
    world.settle()
    assert diary == ["+first", "-first", "+second", "-second"]
