"""Topic Filters by shape."""
import pytest

from emqtwist.core.shapes import FEW, Held, Shapes, matching
from emqtwist.core.subscriber import Subscriber, Subscription

ALICE = Subscriber("alice")


def found(filters: list[bytes], topic_name: bytes) -> list[bytes]:
    shapes, table = Shapes(), dict[bytes, Held]()
    for topic_filter in filters:
        shapes.add(topic_filter)
        table[topic_filter] = Subscription(ALICE, topic_filter, 0, ())
    assert shapes.few
    return [held.topic_filter for held in matching(shapes.few, topic_name, table) if isinstance(held, Subscription)]


@pytest.mark.parametrize(("topic_filter", "selected", "others"), [
    (b"#", [b"a", b"a/b", b"/", b"/a"], [b"$a", b"$a/b"]),
    (b"+", [b"a", b"ab"], [b"a/b", b"/a", b"$a"]),
    (b"a/+", [b"a/b", b"a/"], [b"a", b"a/b/c", b"b/a", b"A/b"]),
    (b"a/#", [b"a", b"a/", b"a/b", b"a/b/c"], [b"b", b"ab", b"b/a"]),
    (b"a/b/#", [b"a/b", b"a/b/c", b"a/b/c/d/e"], [b"a", b"a/c", b"a/bc"]),
    (b"+/b", [b"a/b", b"/b"], [b"a", b"a/b/c", b"$a/b", b"b"]),
    (b"+/b/#", [b"a/b", b"a/b/c"], [b"a", b"$a/b", b"a/c/b"]),
    (b"a/+/+", [b"a/b/c", b"a//"], [b"a/b", b"a/b/c/d"]),
    (b"a/+/c", [b"a/b/c", b"a//c"], [b"a/b/d", b"a/c", b"a/b/c/d"]),
    (b"a/+/#", [b"a/b", b"a/b/c", b"a/"], [b"a", b"b/b"]),
    (b"$a/#", [b"$a", b"$a/b"], [b"a"]),
    (b"/+", [b"/a", b"/"], [b"a", b"a/b"]),
])
@pytest.mark.mqtt5("4.7.2-1")
def test_a_filter_is_found_by_the_names_that_it_selects(topic_filter: bytes, selected: list[bytes], others: list[bytes]) -> None:
    for topic_name in selected:
        assert found([topic_filter], topic_name) == [topic_filter], topic_name
    for topic_name in others:
        assert found([topic_filter], topic_name) == [], topic_name


def test_all_filters_that_select_a_name_are_found() -> None:
    assert sorted(found([b"a/#", b"b/#", b"a/+", b"+/b"], b"a/b")) == [b"+/b", b"a/#", b"a/+"]


def test_shapes_are_few_while_their_filters_are_of_few() -> None:
    shapes = Shapes()
    filters = [b"a/" * depth + b"+" for depth in range(FEW)]
    for topic_filter in [*filters, *[b"%d/+" % number for number in range(100)]]:
        shapes.add(topic_filter)
    assert len(shapes.few) == FEW
    for topic_filter in (b"#", b"a/#"):
        shapes.add(topic_filter)
        assert shapes.few == []
    shapes.remove(b"#")
    assert shapes.few == []
    shapes.remove(b"a/#")
    assert len(shapes.few) == FEW
    shapes.remove(b"0/+")
    assert len(shapes.few) == FEW
