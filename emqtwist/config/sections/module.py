"""[module.<name>]: what the broker does beside its work, and can leave."""
from dataclasses import dataclass
from typing import Final, Literal

from emqtwist.config.rows import free, row
from emqtwist.config.topics import REWRITING, SUBSCRIBED, RewriteRule
from emqtwist.config.values import DURATION, FLAG, INTEGER, SIZE, Choice

EFFECTS: Final = "tests/adapters/test_modules.py"
SLOWNESS: Final = "tests/adapters/ctl/test_slow.py"
Span = Literal["whole", "internal"]


@dataclass(frozen=True, kw_only=True)
class PresenceModule:
    """It is published below `$SYS` who comes and who goes."""

    enable: bool = row(
        "on", FLAG, live=True, test=EFFECTS,
        meaning="Whether it is published that a client has connected, or is disconnected.")
    qos: int = row(
        "1", INTEGER, live=True, minimum="0", maximum="2", test=EFFECTS,
        meaning="QoS of these messages.")


@dataclass(frozen=True, kw_only=True)
class RetainerModule:
    """Messages are retained. Its limits are in `[retainer]`."""

    enable: bool = row(
        "on", FLAG, live=True, test=EFFECTS,
        meaning="Whether messages are retained. While they are not, a retained PUBLISH ends the connection, 5.0 clients learn "
                "it in CONNACK, and what is retained already stays but is given to nobody.")


@dataclass(frozen=True, kw_only=True)
class SubscriptionModule:
    """Clients are subscribed when they connect, without asking for it."""

    enable: bool = row(
        "off", FLAG, live=True, test=EFFECTS,
        meaning="Whether clients are subscribed to `topics` when they connect.")
    topics: tuple[tuple[str, int], ...] = row(
        "", SUBSCRIBED, live=True, test=EFFECTS,
        meaning="What to, as `clients/%c/inbox=1 users/%u=2`. `%c` is the Client Identifier, `%u` the user name, `%a` the "
                "address, `%C` the Common Name of a certificate: a client whose own would mean more than a part of a level, or "
                "that has none, is not subscribed.")


@dataclass(frozen=True, kw_only=True)
class RewriteModule:
    """Topics are taken for others."""

    enable: bool = row(
        "off", FLAG, live=True, test=EFFECTS,
        meaning="Whether the rules of `[module.rewrite.rule]` are followed.")
    rules: tuple[tuple[str, RewriteRule], ...] = free(
        "rule", REWRITING, title="number", live=True, test=EFFECTS,
        meaning="`x/# ^x/y/(.+)$ z/y/$1`: a topic that the filter selects and in which the regular expression is found becomes "
                "the destination, `$1` being what its first group has found. Of several rules the first one in the file whose "
                "filter selects the topic decides, whether its expression is found or not. `publish` or `subscribe` before the "
                "filter limits a rule to that. A filter that would begin with `#` is written `+/#`. An expression that "
                "could take too long is refused, see [modules](guide.md#modules).")


@dataclass(frozen=True, kw_only=True)
class DelayedModule:
    """What is published to `$delayed/<seconds>/<topic>` is published to the topic so many seconds later."""

    enable: bool = row(
        "off", FLAG, live=True, test=EFFECTS,
        meaning="Whether it is. While it is not, such a topic is one like others; what waits already is published when it is "
                "due.")
    max_message_num: int = row(
        "100000", INTEGER, live=True, words={"unlimited": 0}, test=EFFECTS,
        meaning="Messages that may wait; above it they are refused. 0 is unlimited.")
    max_bytes: int = row(
        "64MB", SIZE, live=True, words={"unlimited": 0}, test=EFFECTS,
        meaning="Bytes that they may have in memory; 0 is unlimited.")


@dataclass(frozen=True, kw_only=True)
class SlowSubsModule:
    """Subscribers whose messages take long are ranked: `emqtwist_ctl sessions slow`. What is noted ends with the session."""

    enable: bool = row(
        "off", FLAG, live=True, test=SLOWNESS,
        meaning="Whether they are. While they are, every message takes a longer way through the broker.")
    threshold: float = row(
        "500ms", DURATION, live=True, minimum="1ms", test=SLOWNESS,
        meaning="Messages that take so long are slow.")
    top_k_num: int = row(
        "10", INTEGER, live=True, minimum="1", maximum="100", test=SLOWNESS,
        meaning="How many subscribers are in the ranking, the slowest ones.")
    expire_interval: float = row(
        "5m", DURATION, live=True, minimum="1s", maximum="7d", test=SLOWNESS,
        meaning="A subscriber that was not slow for so long is in it no more.")
    stats_type: Span = row(
        "whole", Choice[Span]("whole", "internal"), live=True, test=SLOWNESS,
        meaning="What is measured: from when a message is published until it is sent and, at QoS 1 and 2, acknowledged, or only "
                "until it is sent. What was published while the client was away counts from when it came back.")


@dataclass(frozen=True, kw_only=True)
class ModuleSection:
    """All modules."""

    presence: PresenceModule = PresenceModule()
    retainer: RetainerModule = RetainerModule()
    subscription: SubscriptionModule = SubscriptionModule()
    rewrite: RewriteModule = RewriteModule()
    delayed: DelayedModule = DelayedModule()
    slow_subs: SlowSubsModule = SlowSubsModule()
