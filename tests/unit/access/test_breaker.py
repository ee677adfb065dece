"""The circuit breaker, on a time that the test moves."""
from emqtwist.access.breaker import Breaker


class Bench:
    def __init__(self, failures: int = 2) -> None:
        self.now = 100.0
        self.breaker = Breaker(failures, 10.0, lambda: self.now)

    def fail(self) -> bool:
        assert self.breaker.lets_through()
        return self.breaker.failed()


def test_it_opens_after_failures_in_a_row() -> None:
    bench = Bench()
    assert not bench.fail()
    assert not bench.breaker.worked()
    assert not bench.fail()
    assert bench.fail()
    assert bench.breaker.in_a_row == 2
    assert not bench.breaker.lets_through()


def test_after_a_pause_one_is_tried_and_decides() -> None:
    bench = Bench(1)
    assert bench.fail()
    bench.now += 9.9
    assert not bench.breaker.lets_through()
    bench.now += 0.1
    assert bench.breaker.lets_through()
    assert not bench.breaker.lets_through()
    assert not bench.breaker.failed()  # it was open already
    assert not bench.breaker.lets_through()
    bench.now += 10
    assert bench.breaker.lets_through()
    assert bench.breaker.worked()
    assert bench.breaker.lets_through()
    assert bench.breaker.lets_through()


def test_one_that_nobody_waits_for_is_tried_by_another() -> None:
    bench = Bench(1)
    bench.fail()
    bench.now += 10
    assert bench.breaker.lets_through()
    bench.breaker.dropped()
    assert bench.breaker.lets_through()
