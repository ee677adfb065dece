"""Deadlines: what is due, when, and how little is kept of what is not."""
from emqtwist.core.deadlines import Deadlines


def test_keys_fall_due_earliest_first_and_once() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key, due in (("c", 3.0), ("a", 1.0), ("late", 3.5), ("b", 2.0)):
        deadlines.set(key, due)
    assert deadlines.take(0.9) == []
    assert deadlines.take(3.0) == ["a", "b", "c"]
    assert deadlines.take(3.0) == []
    assert deadlines.take(4.0) == ["late"]


def test_a_deadline_moves_later_and_earlier() -> None:
    deadlines: Deadlines[bytes] = Deadlines()
    deadlines.set(b"later", 1.0)
    deadlines.set(b"later", 5.0)
    deadlines.set(b"earlier", 9.0)
    deadlines.set(b"earlier", 2.0)
    assert deadlines.take(4.0) == [b"earlier"]
    assert deadlines.take(10.0) == [b"later"]


def test_a_deadline_that_moved_away_and_back_counts_once() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for due in (1.0, 2.0, 1.0, 1.0):
        deadlines.set("key", due)
    assert deadlines.take(3.0) == ["key"]


def test_a_cleared_key_never_falls_due() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("gone", 1.0)
    deadlines.set("stays", 1.0)
    deadlines.clear("gone")
    deadlines.clear("never there")
    assert deadlines.take(2.0) == ["stays"]


def test_a_key_cleared_and_set_again_falls_due_at_the_new_time_only() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("key", 1.0)
    deadlines.clear("key")
    deadlines.set("key", 4.0)
    assert deadlines.take(3.0) == []
    assert deadlines.take(4.0) == ["key"]


def test_length_counts_the_keys_that_are_to_come() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key in "abca":
        deadlines.set(key, float(ord(key)))
    assert len(deadlines) == 3
    deadlines.clear("b")
    assert len(deadlines) == 2
    deadlines.take(1000.0)
    assert len(deadlines) == 0


def test_moving_one_key_for_ever_takes_no_memory() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for step in range(10_000):
        deadlines.set("key", float(step))
    assert len(deadlines._heap) <= 2 + 64
    assert deadlines.take(9_998.0) == []
    assert deadlines.take(9_999.0) == ["key"]


def test_cleared_keys_leave_no_memory_behind() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for key in range(10_000):
        deadlines.set(key, -float(key))
    for key in range(10, 10_000):
        deadlines.clear(key)
    assert len(deadlines._heap) <= 20 + 64
    assert deadlines.take(-5.0) == [9, 8, 7, 6, 5]
    assert deadlines.take(0.0) == [4, 3, 2, 1, 0]
