"""What modules are told about topics: rules that rewrite them, and what clients are subscribed to."""
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emqtwist.config.expressions import longest
from emqtwist.config.values import Unit
from emqtwist.core.prefixes import check_filter
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter

ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "publish": ("publish",), "subscribe": ("subscribe",), "all": ("publish", "subscribe")}
GROUP: Final = re.compile(r"\$([1-9][0-9]*)")
SUBSCRIPTION: Final = re.compile(r"(\S+)=([012])")


@dataclass(frozen=True)
class RewriteRule:
    """A topic that `topic_filter` selects and `expression` is found in becomes `destination`, for each of `actions`.

    `destination` has texts and, between them, the numbers of groups of the expression, which is not asked about topics of more
    than `longest` characters.
    """

    text: str
    actions: tuple[str, ...]
    topic_filter: bytes
    expression: re.Pattern[str]
    destination: tuple[str | int, ...]
    longest: int

    def rewrite(self, topic: str) -> str | None:
        """What the topic becomes, which its filter selects; None when it is too long to tell."""
        if len(topic) > self.longest:
            return None
        found = self.expression.search(topic)
        if found is None:
            return topic
        return "".join([part if isinstance(part, str) else found[part] or "" for part in self.destination])


class Rewriting(Unit[RewriteRule]):
    """emqttd's form, with an action before it where that is not `all`."""

    name = "rule"
    form = "[publish, subscribe or all] filter expression destination, as x/# ^x/y/(.+)$ z/y/$1"

    def read(self, text: str) -> RewriteRule:
        words = text.split()
        action = words.pop(0) if len(words) == 4 else "all"
        if len(words) != 3 or action not in ACTIONS:
            raise ValueError("not a filter, an expression and a destination")
        topic_filter, expression, destination = words
        try:
            check_topic_filter(topic_filter.encode(), 0)
            compiled = re.compile(expression)
        except MQTTError as error:
            raise ValueError(error.reason) from None
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return RewriteRule(text, ACTIONS[action], topic_filter.encode(), compiled, _parts(destination, compiled.groups),
                           longest(expression))

    def holds(self, value: object) -> bool:
        return isinstance(value, RewriteRule)

    def write(self, value: object) -> str:
        assert isinstance(value, RewriteRule)
        return value.text


def _parts(destination: str, groups: int) -> tuple[str | int, ...]:
    pieces: list[str | int] = list(GROUP.split(destination))
    numbers = [int(number) for number in pieces[1::2]]
    if any(number > groups for number in numbers):
        raise ValueError(f"the expression has {groups} groups, and ${max(numbers)} is none of them")
    pieces[1::2] = numbers
    return tuple(pieces)


class Subscribed(Unit[tuple[tuple[str, int], ...]]):
    """Pairs of Topic Filter and QoS, in the order written."""

    name = "subscriptions"
    form = "filter=QoS filter2=QoS with QoS from 0 to 2"

    def read(self, text: str) -> tuple[tuple[str, int], ...]:
        pairs = tuple(self._pair(word) for word in text.split())
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a filter stands twice")
        return pairs

    def _pair(self, text: str) -> tuple[str, int]:
        found = SUBSCRIPTION.fullmatch(text)
        if found is None:
            raise ValueError("not a list of filters, each with its QoS")
        try:
            check_filter(found[1].encode(), 0)
        except MQTTError as error:
            raise ValueError(error.reason) from None
        return found[1], int(found[2])

    def holds(self, value: object) -> bool:
        return isinstance(value, tuple) and all(self._holds_pair(pair) for pair in value)

    def _holds_pair(self, pair: object) -> bool:
        if not isinstance(pair, tuple) or len(pair) != 2:
            return False
        try:
            return self.read(f"{pair[0]}={pair[1]}") == (pair,)
        except ValueError:
            return False

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return " ".join(f"{topic_filter}={qos}" for topic_filter, qos in value)


REWRITING: Final = Rewriting()
SUBSCRIBED: Final = Subscribed()
