"""rewrite: topics are taken for others, where clients publish, subscribe and unsubscribe.

Access rules ask for the Topic Name that a client publishes to, and for the Topic Filter that it is subscribed to.
A topic that is too long for the rule that selects it is refused: it must not pass by the rule, and trying could take too long.
"""
from typing import Final

from emqtwist.config.sections.module import ModuleSection
from emqtwist.config.topics import RewriteRule
from emqtwist.core.broker import Broker
from emqtwist.core.hooks import CLIENT_SUBSCRIBE, CLIENT_UNSUBSCRIBE, MESSAGE_PUBLISH, Stop
from emqtwist.core.message import Message
from emqtwist.core.observer import Observers
from emqtwist.core.prefixes import canonical, parse_prefix
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import matches
from emqtwist.services.modules import Module

MOST_REMEMBERED: Final = 10_000  # Topic Names
LONGEST_REMEMBERED: Final = 256  # bytes: who makes names up does not fill the memory with them


class Rewrite(Module):
    name = "rewrite"
    description = "Takes topics for others, as rules say"

    def __init__(self, broker: Broker, observers: Observers) -> None:
        super().__init__(broker.hooks, observers)
        self._broker = broker
        self._publishing: list[RewriteRule] = []
        self._subscribing: list[RewriteRule] = []
        self._known: dict[bytes, bytes] = {}  # what Topic Names have become

    def take(self, section: ModuleSection) -> bool:
        rules = [rule for _, rule in section.rewrite.rules]
        self._publishing = [rule for rule in rules if "publish" in rule.actions]
        self._subscribing = [rule for rule in rules if "subscribe" in rule.actions]
        self._known = {}
        return section.rewrite.enable

    def add(self) -> None:
        if self._publishing:  # or messages would go a longer way for nothing
            self.hook(MESSAGE_PUBLISH, self.publish)
        if self._subscribing:
            self.hook(CLIENT_SUBSCRIBE, self.subscribe)
            self.hook(CLIENT_UNSUBSCRIBE, self.unsubscribe)

    def publish(self, message: Message) -> Message | Stop | None:
        topic = message.topic
        becomes = self._known.get(topic)
        if becomes is None:
            becomes = rewritten(topic, self._publishing)
            if becomes is None:
                return Stop()
            if len(topic) <= LONGEST_REMEMBERED:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[topic] = becomes
        return None if becomes == topic else message.changed(becomes.decode())

    def subscribe(self, client_id: str, user_name: str | None,
                  filters: list[tuple[bytes, int]]) -> list[tuple[bytes, int]] | Stop:
        made: list[tuple[bytes, int]] = []
        for name, options in filters:
            becomes = self._filter(name)
            if becomes is None:
                return Stop()
            made.append((becomes, options))
        return made

    def unsubscribe(self, client_id: str, user_name: str | None, filters: list[bytes]) -> list[bytes]:
        """What was subscribed to under other rules, or none, is found as well."""
        session = self._broker.sessions.by_id.get(client_id)
        held = {} if session is None else session.subscriptions
        found: list[bytes] = []
        for name in filters:
            becomes = self._filter(name) or name
            found.append(name if canonical(becomes) not in held and canonical(name) in held else becomes)
        return found

    def _filter(self, name: bytes) -> bytes | None:
        """What a Topic Filter becomes, None if it is too long; its prefix stays. Others refuse what is no filter."""
        try:
            prefix = parse_prefix(name)
            topic_filter = name if prefix is None else prefix.topic_filter
            becomes = rewritten(topic_filter, self._subscribing)
            return None if becomes is None else name[:len(name) - len(topic_filter)] + becomes
        except (MQTTError, UnicodeDecodeError):
            return name


def rewritten(topic: bytes, rules: list[RewriteRule]) -> bytes | None:
    """What the rules make of a topic: the first one whose filter selects it decides. None when it is too long for that one."""
    for rule in rules:
        if matches(rule.topic_filter, topic):
            becomes = rule.rewrite(topic.decode())
            return None if becomes is None else becomes.encode()
    return topic
