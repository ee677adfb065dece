"""retainer: the messages that topics keep."""
from collections.abc import Iterator

from emqtwist.ctl.context import Context
from emqtwist.ctl.filters import topic_filter_of
from emqtwist.ctl.registry import Line, Registry, Step, Words, pair, plain
from emqtwist.mqtt.topics import matches


def info(context: Context, words: Words) -> Iterator[Line]:
    retained, section = context.broker.retained, context.service.config.retainer
    yield pair("retained/total", len(retained), 20)
    yield pair("retained/bytes", retained.bytes, 20)
    yield pair("retained/max", section.max_message_num or "unlimited", 20)
    yield pair("retained/max_payload", section.max_payload_size, 20)


def _names(context: Context, words: Words) -> Iterator[bytes | None]:
    """The topics in byte order that a filter selects, all without one; None for a step that has brought none."""
    topic_filter = topic_filter_of(words[0]) if words else None
    topic = context.broker.retained.after(b"")
    while topic is not None:
        yield topic if topic_filter is None or matches(topic_filter, topic) else None
        topic = context.broker.retained.after(topic)


def topics(context: Context, words: Words) -> Iterator[Step]:
    for topic in _names(context, words):
        message = None if topic is None else context.broker.retained.get(topic)
        if message is None:
            yield None
        else:
            columns: dict[str, object] = {"topic": message.topic_name, "qos": message.qos, "size": len(message.payload),
                                          "publisher": message.publisher}
            yield message.topic_name, columns


def clean(context: Context, words: Words) -> Iterator[Step]:
    count = 0
    for topic in _names(context, words):
        if topic is not None and context.broker.forget(topic):
            count += 1
        yield None
    yield plain(f"Cleaned {count} retained messages")


def add(registry: Registry) -> None:
    registry.add("retainer info", "", "Show how many messages are retained, and how many may be", info,
                 "as `retained/total      : 7`: `total`, `bytes`, `max`, `max_payload`")
    registry.add("retainer topics", "", "List the topics that have a retained message", topics, "a topic a line")
    registry.add("retainer topics", "<Filter>", "List those of them that a filter selects", topics, "the same")
    registry.add("retainer clean", "", "Delete all retained messages", clean, "`Cleaned <n> retained messages`")
    registry.add("retainer clean", "<Filter>", "Delete those that a filter selects", clean, "the same")
