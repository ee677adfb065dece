"""What may stand before a Topic Filter: `$share/{group}/` and `$queue/`, `$local/` before either, `$exclusive/`."""
from typing import Final

from emqtwist.core.subscriber import Subscriber, Subscription
from emqtwist.mqtt.errors import TopicFilterInvalid
from emqtwist.mqtt.topics import QUEUE_PREFIX, SHARE_PREFIX, check_topic_filter, is_wildcard, parse_share

LOCAL_PREFIX: Final = b"$local/"
EXCLUSIVE_PREFIX: Final = b"$exclusive/"
PREFIXES: Final = (LOCAL_PREFIX, EXCLUSIVE_PREFIX, SHARE_PREFIX, QUEUE_PREFIX)


class Prefix:
    """A Topic Filter with a prefix: `name` is all of it, `topic_filter` what is matched.

    `group` is the Share Name, empty when it is not shared; `local`: it is only for what is published on this node.
    """

    __slots__ = ("name", "topic_filter", "group", "local", "exclusive")

    def __init__(self, name: bytes, topic_filter: bytes, group: bytes, local: bool, exclusive: bool) -> None:
        self.name = name
        self.topic_filter = topic_filter
        self.group = group
        self.local = local
        self.exclusive = exclusive


class Prefixed(Subscription):
    """A subscription whose Topic Filter has a prefix; `topic_filter` is what follows it.

    `node` is the name of the node that the subscriber is on, empty for this one.
    """

    __slots__ = ("prefix", "node")

    def __init__(self, subscriber: Subscriber, prefix: Prefix, options: int, identifiers: tuple[int, ...]) -> None:
        super().__init__(subscriber, prefix.topic_filter, options, identifiers)
        self.prefix = prefix
        self.node = ""

    def name(self) -> bytes:
        return self.prefix.name

    def local(self) -> bool:
        return self.prefix.local


def subscription_to(subscriber: Subscriber, name: bytes, options: int, identifiers: tuple[int, ...]) -> Subscription:
    """What a checked Topic Filter subscribes to, with its prefix if it has one."""
    prefix = parse_prefix(name)
    if prefix is None:
        return Subscription(subscriber, name, options, identifiers)
    return Prefixed(subscriber, prefix, options, identifiers)


def canonical(name: bytes) -> bytes:
    """The form under which a session knows the subscription: emqttd also took `$queue/$local/`."""
    if name.startswith(QUEUE_PREFIX + LOCAL_PREFIX):
        return LOCAL_PREFIX + QUEUE_PREFIX + name[len(QUEUE_PREFIX + LOCAL_PREFIX):]
    return name


def check_filter(name: bytes, max_levels: int) -> Prefix | None:
    """The prefix, if there is one; raises as `check_topic_filter` does. The levels of what is matched count."""
    if name[:1] != b"$":
        check_topic_filter(name, max_levels)
        return None
    check_topic_filter(name, 0)
    prefix = parse_prefix(name)
    check_topic_filter(name if prefix is None else prefix.topic_filter, max_levels)
    return prefix


def parse_prefix(name: bytes) -> Prefix | None:
    """None when there is no prefix; TopicFilterInvalid for one that is not complete, or not allowed there."""
    if name[:1] != b"$":
        return None
    name = canonical(name)
    if name.startswith(EXCLUSIVE_PREFIX):
        return _exclusive(name, name[len(EXCLUSIVE_PREFIX):])
    local = name.startswith(LOCAL_PREFIX)
    group, topic_filter = parse_share(name[len(LOCAL_PREFIX):] if local else name)
    if not local and not group:
        return None
    if not group and topic_filter.startswith(PREFIXES):
        raise TopicFilterInvalid("$local/ may stand before $share/ and $queue/ only")
    return Prefix(name, topic_filter, group, local, False)


def _exclusive(name: bytes, topic: bytes) -> Prefix:
    if is_wildcard(topic) or topic.startswith(PREFIXES):
        raise TopicFilterInvalid("an exclusive subscription is to one topic, without wildcards or another prefix")
    return Prefix(name, topic, b"", False, True)
