"""Access rules: who may publish where, and subscribe to what. The first rule that decides is the answer.

Asked is for a Topic Name, or for a Topic Filter, which stands for all topics that it selects. A rule that allows decides
when its filter contains the one asked for, a rule that denies when the two overlap: so nobody who was allowed a filter gets
by it a topic that he would be denied. As in matching, a wildcard in the first level selects no topic that begins with `$`.
"""
from typing import Final, Protocol

from emqtwist.core.access import Client
from emqtwist.core.filters import contains, fill, levels_of, overlaps, varies
from emqtwist.core.message import NEVER
from emqtwist.core.pending import Pending
from emqtwist.core.reserved import DELAYED
from emqtwist.core.settings import Settings
from emqtwist.core.who import Asker, Who, asker
from emqtwist.mqtt.constants import IMPLEMENTATION_SPECIFIC_ERROR, NOT_AUTHORIZED, QUOTA_EXCEEDED, UNSPECIFIED_ERROR
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import is_wildcard

PUBLISH: Final = 1
SUBSCRIBE: Final = 2
PUBSUB: Final = 3

# Why a rule does not decide.
DECIDES: Final = 0
OTHER_ACCESS: Final = 1
OTHER_CLIENT: Final = 2
OTHER_TOPIC: Final = 3
PASSES: Final = ("decides", "other access", "other client", "other topic")

# What is remembered of one connection: so many Topic Names, none longer than that. When as many are there, what comes new finds
# no place, until so many times as much has come: whoever has a few more topics than there are places is not asked for all.
MOST_REMEMBERED: Final = 4000
LONGEST_REMEMBERED: Final = 256
PATIENCE: Final = 4
# What clients may be told: what PUBACK, PUBREC, SUBACK, CONNACK and DISCONNECT can say.
REASONS: Final = {"not_authorized": NOT_AUTHORIZED, "quota_exceeded": QUOTA_EXCEEDED, "unspecified_error": UNSPECIFIED_ERROR,
                  "implementation_specific_error": IMPLEMENTATION_SPECIFIC_ERROR}

LONGEST_REASON: Final = 1000  # characters
CANNOT_TELL: Final = "what this client may do cannot be found out now"


class Pattern:
    """The Topic Filter of a rule. `literal`: with its wildcards it is meant as it stands there, `eq` of acl.conf."""

    __slots__ = ("_levels", "_literal", "_varies")

    def __init__(self, topic_filter: bytes, literal: bool = False) -> None:
        self._levels = levels_of(topic_filter)
        self._literal = literal and is_wildcard(topic_filter)
        self._varies = not literal and varies(topic_filter)

    def first(self) -> bytes | None:
        """The first level of all that it could decide about; None where that may be any."""
        first = self._levels[0]
        return None if is_wildcard(first) or (self._varies and varies(first)) else first

    def decides(self, asker: Asker, asked: list[bytes], allow: bool) -> bool:
        if self._literal:
            return asked == self._levels
        levels = self._levels
        if self._varies:
            filled = fill(levels, asker, allow)
            if filled is None:
                return False
            levels = filled
        return contains(levels, asked) if allow else overlaps(levels, asked)


class Rule:
    """`place` is the file and the line that it stands in, `text` what it says there. No patterns: it is about every topic.

    Whom it denies something is told `reason_code`. One that stands for somebody who could not be asked has `failed`.
    """

    __slots__ = ("allow", "place", "text", "reason_code", "patterns", "failed", "_who", "_access")

    def __init__(self, allow: bool, who: Who, access: int, patterns: list[Pattern], place: str = "", text: str = "",
                 reason_code: int = NOT_AUTHORIZED, failed: bool = False) -> None:
        self.allow = allow
        self.place = place
        self.text = text
        self.reason_code = reason_code
        self.patterns = patterns
        self.failed = failed
        self._who = who
        self._access = access

    def opens(self) -> bool:
        """Whether it allows by naming the topic, so that it holds for those of the broker's own."""
        return self.allow and bool(self.patterns)

    def passes(self, asker: Asker, access: int, asked: list[bytes]) -> int:
        """Why it does not decide, a number of `PASSES`; 0 when it does."""
        if not self._access & access:
            return OTHER_ACCESS
        if not self._who.includes(asker):
            return OTHER_CLIENT
        for pattern in self.patterns:
            if pattern.decides(asker, asked, self.allow):
                return DECIDES
        return OTHER_TOPIC if self.patterns else DECIDES


class Ruling:
    """The `rule` that has decided something. It `holds` for the same question later, unless somebody could not be asked."""

    __slots__ = ("rule", "holds")

    def __init__(self, rule: Rule, holds: bool = True) -> None:
        self.rule = rule
        self.holds = holds


class Authority(Protocol):
    """Somebody else who says what clients may do. He has the rules asked too, in their place among others."""

    def judge(self, acl: "Acl", client: Client, access: int, topic_filter: bytes) -> Pending[Ruling]:
        """Whether the client may publish to the Topic Name, or subscribe to the Topic Filter without what stands before it."""


class Acl:
    """Rules in their order; `otherwise` is what holds where none decides, `superusers` what holds for these.

    Where there is an `authority` it is asked instead, but about superusers. What it says of topics that a client publishes to is
    good for `lasting` seconds.

    Few of them have to be asked about a topic: those that have its first level, and those that could have any. `_by_level`
    maps first levels to the numbers of rules, `_others` has the rest.
    """

    __slots__ = ("rules", "otherwise", "superusers", "authority", "lasting", "_by_level", "_others")

    def __init__(self, rules: list[Rule], otherwise: bool, authority: Authority | None = None, lasting: float = NEVER) -> None:
        self.rules = rules
        self.authority = authority
        self.lasting = lasting
        self.otherwise = Rule(otherwise, Who(), PUBSUB, [], "mqtt.acl_nomatch", "allow" if otherwise else "deny")
        self.superusers = Rule(True, Who(), PUBSUB, [], "superuser", "allow")
        self._by_level: dict[bytes, list[int]] = {}
        self._others: list[int] = []
        for number in range(len(rules)):
            self._note(number, rules[number])

    def _note(self, number: int, rule: Rule) -> None:
        levels = {pattern.first(): None for pattern in rule.patterns}  # in their order
        if not levels or None in levels:
            self._others.append(number)
            return
        for level in levels:
            if level is not None:
                self._by_level.setdefault(level, []).append(number)

    def decide(self, asker: Asker, access: int, topic_filter: bytes, trail: dict[Rule, int] | None = None) -> Rule:
        """The rule that says whether `asker` may publish to the Topic Name, or subscribe to the Topic Filter.

        Without what stands before it. `trail` gets what was asked, with what each rule gave (`Rule.passes`).
        """
        if asker.superuser:
            return self.superusers
        asked = levels_of(topic_filter)
        for rule in self._concerned(asked[0]):
            passes = rule.passes(asker, access, asked)
            if trail is not None:
                trail[rule] = passes
            if passes == DECIDES:
                return rule
        return self.otherwise

    def allows(self, asker: Asker, access: int, topic_filter: bytes) -> bool:
        return self.decide(asker, access, topic_filter).allow

    def judge(self, client: Client, access: int, topic_filter: bytes) -> Pending[Ruling]:
        """What the authority says where there is one, else the rules, which say it at once."""
        if self.authority is None or client.superuser:
            return Pending(Ruling(self.decide(asker(client), access, topic_filter)))
        return self.authority.judge(self, client, access, topic_filter)

    def _concerned(self, first: bytes) -> list[Rule]:
        """The rules that could decide about what has this first level, in their order."""
        if is_wildcard(first):
            return self.rules
        rules = self.rules
        own = self._by_level.get(first)
        return [rules[number] for number in (self._others if own is None else sorted(own + self._others))]


class Grants:
    """What one connection was told about the topics that it has published to. Another set of rules needs others, and so does
    the time after `until`."""

    __slots__ = ("acl", "asker", "allowed", "denied", "until", "_left_out")

    def __init__(self, acl: Acl, client: Client, now: float) -> None:
        self.acl = acl
        self.until = now + acl.lasting
        self.asker = asker(client)
        self.allowed: set[bytes] = set()
        self.denied: dict[bytes, Rule] = {}
        self._left_out = 0

    def ask(self, topic_name: bytes) -> Rule:
        """Ask the rules, and remember the answer."""
        rule = self.acl.decide(self.asker, PUBLISH, topic_name)
        self.note(topic_name, rule)
        return rule

    def asks_rules_only(self) -> bool:
        return self.acl.authority is None or self.asker.superuser

    def note(self, topic_name: bytes, rule: Rule) -> None:
        if self._has_place(topic_name):
            if rule.allow:
                self.allowed.add(topic_name)
            else:
                self.denied[topic_name] = rule

    def forget(self) -> None:
        self.allowed.clear()
        self.denied.clear()
        self._left_out = 0

    def _has_place(self, topic_name: bytes) -> bool:
        if len(topic_name) > LONGEST_REMEMBERED or topic_name.startswith(DELAYED):
            return False
        if len(self.allowed) + len(self.denied) >= MOST_REMEMBERED:
            self._left_out += 1
            if self._left_out < PATIENCE * MOST_REMEMBERED:
                return False
            self.forget()
        return True


def denial(settings: Settings, what: str, rule: Rule) -> MQTTError:
    """What is told to whom `rule` has denied something; which one it was only if the operator wants that."""
    what = CANNOT_TELL if rule.failed else what
    reason = f"{what}: {rule.place}: {rule.text}" if settings.acl_explain else what
    return MQTTError(reason[:LONGEST_REASON], rule.reason_code)
