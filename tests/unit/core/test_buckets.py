"""Token buckets."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.buckets import Bucket


@given(st.integers(1, 1000), st.lists(st.tuples(st.integers(0, 500), st.floats(0, 3)), max_size=40))
def test_who_waits_as_told_never_exceeds_the_rate_by_more_than_one_second_and_one_step(
        rate: int, steps: list[tuple[int, float]]) -> None:
    bucket, now, taken, last = Bucket(0.0), 0.0, 0, 0
    for amount, pause in steps:
        taken, last = taken + amount, amount
        assert taken - last <= rate * (now + 1.0) + 1e-6 * (taken + 1)
        now += bucket.take(amount, rate, now) + pause


def test_a_full_bucket_gives_a_second_at_once_and_then_as_much_as_comes_back() -> None:
    bucket = Bucket(5.0)
    assert bucket.take(10, 10, 5.0) == 0
    assert bucket.take(5, 10, 5.0) == 0.5
    assert bucket.take(0, 10, 5.5) == 0
    assert bucket.take(10, 10, 6.5) == 0
