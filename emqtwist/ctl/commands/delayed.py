"""delayed: the messages that are published later."""
from collections.abc import Iterator
from typing import Final

from emqtwist.core.delayed import Waiting
from emqtwist.ctl.context import Context
from emqtwist.ctl.filters import topic_filter_of
from emqtwist.ctl.registry import Line, Refused, Registry, Step, Words, pair, plain
from emqtwist.mqtt.topics import matches

DIGITS: Final = 18  # of a number; Python reads no text of any length as one
LINE = ("`Delayed(<number>, topic=<topic>, qos=<n>, retain=<0 or 1>, size=<bytes>, publisher=<id>, left=<seconds>, "
        "due_at=<unix seconds>)`")


def info(context: Context, words: Words) -> Iterator[Line]:
    delayed = context.broker.delayed
    yield pair("delayed/total", len(delayed.held), 20)
    yield pair("delayed/bytes", delayed.bytes, 20)
    yield pair("delayed/max", delayed.max_messages or "unlimited", 20)
    yield pair("delayed/max_bytes", delayed.max_bytes or "unlimited", 20)


def _line(context: Context, waiting: Waiting) -> Line:
    message = waiting.message
    columns: dict[str, object] = {
        "number": waiting.number, "topic": message.topic_name, "qos": message.qos, "retain": int(message.retain),
        "size": len(message.payload), "publisher": message.publisher,
        "left": max(0, int(waiting.due - context.broker.turn.now)), "due_at": context.unix(waiting.due)}
    shown = ", ".join(f"{key}={value}" for key, value in columns.items() if key != "number")
    return f"Delayed({waiting.number}, {shown})", columns


def _selected(context: Context, words: Words) -> Iterator[Waiting | None]:
    """Those to a topic that a filter selects, all without one, in the order in which they came; None for each step between."""
    topic_filter = topic_filter_of(words[0]) if words else None
    held = context.broker.delayed.held
    for number in list(held):
        waiting = held.get(number)
        if waiting is None or topic_filter is None or matches(topic_filter, waiting.message.topic):
            yield waiting
        else:
            yield None


def listed(context: Context, words: Words) -> Iterator[Step]:
    for waiting in _selected(context, words):
        yield None if waiting is None else _line(context, waiting)


def delete(context: Context, words: Words) -> Iterator[Line]:
    number = int(words[0]) if words[0].isdecimal() and len(words[0]) <= DIGITS else -1
    if context.broker.delayed.remove(number) is None:
        raise Refused("Not Found.")
    yield plain("ok")


def clean(context: Context, words: Words) -> Iterator[Step]:
    count = 0
    for waiting in _selected(context, words):
        if waiting is not None and context.broker.delayed.remove(waiting.number) is not None:
            count += 1
        yield None
    yield plain(f"Cleaned {count} delayed messages")


def add(registry: Registry) -> None:
    registry.add("delayed info", "", "Show how many messages wait to be published later, and how many may", info,
                 "as `delayed/total       : 7`: `total`, `bytes`, `max`, `max_bytes`")
    registry.add("delayed list", "", "List the messages that wait", listed, LINE)
    registry.add("delayed list", "<Filter>", "List those of them that go to a topic which a filter selects", listed, "the same")
    registry.add("delayed del", "<Number>", "Delete one of them: it is not published", delete, "`ok`, or `Not Found.`")
    registry.add("delayed clean", "", "Delete all of them", clean, "`Cleaned <n> delayed messages`")
    registry.add("delayed clean", "<Filter>", "Delete those that go to a topic which a filter selects", clean, "the same")
