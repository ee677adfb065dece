"""topics metrics: what happens at the topics that a filter selects."""
from collections.abc import Iterator
from typing import Final

from emqtwist.ctl.context import Context
from emqtwist.ctl.filters import topic_filter_of
from emqtwist.ctl.registry import Line, Refused, Registry, Words, pair, plain
from emqtwist.services.topicmetrics import MOST, Counts

NAMES: Final = ", ".join(f"`{name}`" for name in Counts().by_name())


def listed(context: Context, words: Words) -> Iterator[Line]:
    for topic_filter, counts in list(context.service.topic_metrics.counts.items()):
        values = counts.by_name()
        columns: dict[str, object] = {"filter": topic_filter.decode(), **values}
        yield f"{topic_filter.decode()}:", columns
        for name, value in values.items():
            yield pair(name, value, 24, "  ")[0], {}


def add_one(context: Context, words: Words) -> list[Line]:
    topic_filter, metrics = topic_filter_of(words[0]), context.service.topic_metrics
    if topic_filter in metrics.counts:
        raise Refused("Error: it is counted already")
    if not metrics.add(topic_filter):
        raise Refused(f"Error: there are {MOST} filters already, and no more are counted")
    return [plain("ok")]


def remove_one(context: Context, words: Words) -> list[Line]:
    if not context.service.topic_metrics.remove(words[0].encode()):
        raise Refused("Not Found.")
    return [plain("ok")]


def add(registry: Registry) -> None:
    registry.add("topics metrics list", "", "Show what was counted for each filter", listed,
                 f"`<filter>:`, and below it {NAMES}; what is left when a session ends is not among them")
    registry.add("topics metrics add", "<Filter>", "Count what is published, delivered and dropped at the topics of a filter",
                 add_one, "`ok`, or `Error: <why>`")
    registry.add("topics metrics del", "<Filter>", "Count no more", remove_one, "`ok`, or `Not Found.`")
