"""Stamps: later than all that a node has heard of, as far as that may be."""
from emqtwist.core.cluster.clock import AHEAD, COUNTER, Clock, stamp_at
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn

NOW = 1_700_000_000.0


def moment_of(stamp: int) -> float:
    """Wall time of a stamp."""
    return (stamp >> COUNTER) / 1000


def clock(incarnation: str = "one") -> Clock:
    made = Clock(Turn(1000.0), None, incarnation)
    made.offset = NOW - 1000.0
    return made


def test_a_stamp_is_the_time_and_each_is_later_than_the_one_before() -> None:
    one = clock()
    stamps = [one.stamp() for _ in range(100_000)]
    assert moment_of(stamps[0]) == NOW
    assert sorted(set(stamps)) == stamps
    assert moment_of(stamps[-1]) - NOW < 0.01


def test_it_goes_on_from_what_it_has_heard_of() -> None:
    one = clock()
    later = stamp_at(NOW + AHEAD / 2)
    assert one.hear(later)
    stamp = one.stamp()
    assert later < stamp < stamp_at(moment_of(later) + 0.001)
    assert one.hear(stamp_at(NOW - 5.0))
    assert one.stamp() == stamp + 1


def test_what_is_too_far_ahead_is_not_followed() -> None:
    one = clock()
    assert one.hear(stamp_at(NOW + AHEAD))
    far = stamp_at(NOW + AHEAD + 1.0)
    assert one.is_ahead(far)
    assert not one.hear(far)
    stamps = [one.stamp() for _ in range(3)]
    assert [moment_of(stamp) for stamp in stamps] == [NOW] * 3
    assert sorted(set(stamps)) == stamps


def test_what_takes_the_place_of_something_is_later_whatever_the_clock_says() -> None:
    far = stamp_at(NOW + 1e9)
    assert far < clock().stamp(far) < stamp_at(NOW + 1e9 + 0.001)
    assert clock("one").stamp(far) != clock("other").stamp(far)


def test_it_follows_when_the_clock_on_the_wall_was_set_back() -> None:
    one = clock()
    one.offset += 1e6
    one.stamp()
    one.offset -= 1e6
    assert moment_of(one.stamp()) == NOW


def test_another_process_of_the_node_gives_other_stamps_at_the_same_moment() -> None:
    one, other = clock("one"), clock("other")
    assert {one.stamp() for _ in range(100)} & {other.stamp() for _ in range(100)} == set()
    for each in (one, other):
        each.hear(stamp_at(NOW + 5.0))
    assert {one.stamp() for _ in range(100)} & {other.stamp() for _ in range(100)} == set()


def test_with_a_journal_time_is_as_the_journal_has_it() -> None:
    journal = Journal()
    journal.offset = 50.0
    assert Clock(Turn(1000.0), journal, "one").wall() == 1050.0
