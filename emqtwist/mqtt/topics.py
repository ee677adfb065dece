"""Topic Names and Topic Filters, section 4.7: check, split, match; shared subscriptions, section 4.8.

Topics are `bytes` throughout. The decoder hands Topic Names and Topic Filters over unchecked, so that a topic is
checked once, when it is first met, and not with each packet. `max_levels` bounds the levels of a topic, 0 for no bound.
Raised are TopicNameInvalid or TopicFilterInvalid, and MalformedPacket for what is no UTF-8 string.
"""
from typing import Final

from emqtwist.mqtt.constants import MAX_STRING
from emqtwist.mqtt.errors import MalformedPacket, TopicFilterInvalid, TopicNameInvalid

HASH: Final = 0x23  # to look for a byte by its number is several times as fast as for one of `bytes`
PLUS: Final = 0x2B
SHARE_PREFIX: Final = b"$share/"
QUEUE_PREFIX: Final = b"$queue/"  # emqttd's: one group that all share
QUEUE_GROUP: Final = b"$queue"


def check_topic_name(topic: bytes, max_levels: int) -> None:
    """Raise unless messages may be published to `topic`."""
    if not topic:
        raise TopicNameInvalid("a Topic Name has at least one character [MQTT-4.7.3-1]")
    if len(topic) > MAX_STRING:
        raise TopicNameInvalid(f"a Topic Name of {len(topic)} bytes, {MAX_STRING} allowed [MQTT-4.7.3-3]")
    _check_string(topic, "Topic Name")
    if HASH in topic or PLUS in topic:
        raise TopicNameInvalid("a wildcard in a Topic Name [MQTT-3.3.2-2]")  # [MQTT-4.7.0-1]
    if 0 < max_levels <= len(topic) and topic.count(b"/") >= max_levels:
        raise TopicNameInvalid(f"a Topic Name of {topic.count(b'/') + 1} levels, {max_levels} allowed")


def check_topic_filter(topic_filter: bytes, max_levels: int) -> None:
    """Raise unless one may subscribe to `topic_filter`."""
    if not topic_filter:
        raise TopicFilterInvalid("a Topic Filter has at least one character [MQTT-4.7.3-1]")
    if len(topic_filter) > MAX_STRING:
        raise TopicFilterInvalid(f"a Topic Filter of {len(topic_filter)} bytes, {MAX_STRING} allowed [MQTT-4.7.3-3]")
    _check_string(topic_filter, "Topic Filter")
    if max_levels and topic_filter.count(b"/") >= max_levels:
        raise TopicFilterInvalid(f"a Topic Filter of {topic_filter.count(b'/') + 1} levels, {max_levels} allowed")
    if is_wildcard(topic_filter):
        _check_wildcards(topic_filter.split(b"/"))


def _check_wildcards(levels: list[bytes]) -> None:
    last = len(levels) - 1
    for depth, level in enumerate(levels):
        if b"#" in level and (depth != last or len(level) != 1):
            raise TopicFilterInvalid("'#' stands alone in the last level [MQTT-4.7.1-1]")
        if b"+" in level and len(level) != 1:
            raise TopicFilterInvalid("'+' stands alone in its level [MQTT-4.7.1-2]")


def _check_string(topic: bytes, name: str) -> None:
    if 0 in topic:
        raise MalformedPacket(f"{name}: U+0000 [MQTT-4.7.3-2]")
    if topic.isascii():
        return
    try:
        topic.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedPacket(f"{name}: ill-formed UTF-8 at its byte {error.start} [MQTT-1.5.4-1]") from None


def is_wildcard(topic_filter: bytes) -> bool:
    return HASH in topic_filter or PLUS in topic_filter


def split(topic: bytes) -> list[bytes]:
    """The levels of a Topic Name or Topic Filter; an empty level is one too [MQTT-4.7.3-4]."""
    return topic.split(b"/")  # [MQTT-4.7.3-4]


def matches(topic_filter: bytes, topic_name: bytes) -> bool:
    """Whether a valid Topic Filter selects a valid Topic Name."""
    if topic_name[:1] == b"$" and is_wildcard(topic_filter[:1]):
        return False  # [MQTT-4.7.2-1]
    names = topic_name.split(b"/")
    depth = 0
    for level in topic_filter.split(b"/"):
        if level == b"#":
            return True  # the parent level too: `sport/#` selects `sport`
        if depth == len(names) or (level != b"+" and level != names[depth]):  # [MQTT-4.7.3-4]
            return False
        depth += 1
    return depth == len(names)


def parse_share(topic_filter: bytes) -> tuple[bytes, bytes]:
    """The group and the Topic Filter proper: `(b"", topic_filter)` when it is not shared.

    `$share/g/f` gives `(b"g", b"f")` and `$queue/f` gives `(b"$queue", b"f")`. Raises TopicFilterInvalid for a group or
    a filter that is missing, and for a group with a wildcard. The filter proper is left to `check_topic_filter`.
    """
    if topic_filter.startswith(QUEUE_PREFIX):
        return QUEUE_GROUP, _unshared(topic_filter[len(QUEUE_PREFIX):])
    if not topic_filter.startswith(SHARE_PREFIX):  # [MQTT-4.8.2-1]
        return b"", topic_filter
    group, slash, shared = topic_filter[len(SHARE_PREFIX):].partition(b"/")
    if not group:
        raise TopicFilterInvalid("a Share Name has at least one character [MQTT-4.8.2-1]")
    if is_wildcard(group) or not slash:
        raise TopicFilterInvalid("a Share Name has no wildcard and is followed by '/' [MQTT-4.8.2-2]")
    return group, _unshared(shared)  # [MQTT-4.8.2-2]


def _unshared(topic_filter: bytes) -> bytes:
    if not topic_filter:
        raise TopicFilterInvalid("no Topic Filter after the Share Name [MQTT-4.8.2-2]")
    if topic_filter.startswith(SHARE_PREFIX) or topic_filter.startswith(QUEUE_PREFIX):
        raise TopicFilterInvalid("a shared Topic Filter inside another")
    return topic_filter
