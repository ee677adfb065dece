"""Which of two marks of a topic holds, and how those of two nodes are compared."""
from emqtwist.core.cluster.marks import Marks, bucket_of

MARKS = [(1, "a", False), (1, "a", True), (1, "b", False), (2, "a", False), (2, "a", True)]


def test_the_later_one_holds_then_that_of_the_later_name_then_the_end() -> None:
    for place, held in enumerate(MARKS):
        marks = Marks()
        marks.set(b"t", held)
        assert [marks.holds(b"t", mark) for mark in MARKS] == [at <= place for at in range(len(MARKS))]


def test_digests_are_those_of_what_there_is_however_it_came_about() -> None:
    one, other = Marks(), Marks()
    for mark in MARKS:
        one.set(b"t", mark)
    one.set(b"u", MARKS[0])
    one.remove(b"u")
    one.remove(b"v")
    other.set(b"t", MARKS[-1])
    assert one.digests == other.digests
    assert len(one) == len(other) == 1


def test_each_difference_is_seen_in_the_digests() -> None:
    seen = set()
    for topic in (b"t", b"u"):
        for mark in [*MARKS, (1, "", False)]:
            marks = Marks()
            marks.set(topic, mark)
            assert marks.differing([0] * 256) == [bucket_of(topic)]
            seen.add(marks.digests[bucket_of(topic)])
    assert len(seen) == 12


def test_stamps_that_changed_places_are_seen() -> None:
    """As they would not be if digests of topics and of stamps were put together one by one."""
    first, second = [topic for topic in [b"t/%d" % number for number in range(2000)] if bucket_of(topic) == 0][:2]
    one, other = Marks(), Marks()
    for marks, stamps in ((one, (1, 3)), (other, (3, 1))):
        marks.set(first, (stamps[0], "a", False))
        marks.set(second, (stamps[1], "a", False))
    assert one.differing(other.digests) == [0]


def test_what_only_one_side_knows_the_newest_of() -> None:
    topics = [topic for topic in [b"t/%d" % number for number in range(3000)] if bucket_of(topic) == 7][:5]
    one = Marks()
    for topic in topics[:4]:
        one.set(topic, (5, "b", False))
    theirs = {topics[0]: (5, "b", False), topics[1]: (5, "a", True), topics[2]: (5, "b", True), topics[4]: (1, "a", False)}
    newer, older = one.compare(7, theirs)
    assert (sorted(newer), sorted(older)) == (sorted([topics[1], topics[3]]), sorted([topics[2], topics[4]]))
