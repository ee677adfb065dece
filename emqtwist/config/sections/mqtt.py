"""[mqtt] and the sections below it: what clients may do, and what they cost."""
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from emqtwist.config.rows import row
from emqtwist.config.values import (
    DURATION,
    FLAG,
    INTEGER,
    NUMBER_UNIT,
    PERCENT,
    PRIORITIES,
    SIZE,
    TEXT,
    WHOLE_SECONDS,
    Choice,
    Text,
)

NoMatch = Literal["allow", "deny"]
DenyAction = Literal["acknowledge", "drop", "disconnect"]
Anonymous = Literal["loopback", "on", "off"]
QueueType = Literal["simple", "priority"]
ServerMoved = Literal["off", "use_another", "moved"]
OnFull = Literal["refuse", "drop_oldest", "drop_newest"]
Strategy = Literal["least_loaded", "random", "round_robin", "round_robin_per_group", "sticky", "local", "hash_clientid",
                   "hash_topic"]

RULING: Final = "tests/unit/core/test_ruling.py"
ACL: Final = "tests/adapters/test_acl.py"
SYSTOPICS: Final = "tests/adapters/test_systopics.py"
EFFECTS: Final = "tests/unit/core/test_settings_effects.py"
QUOTAS: Final = "tests/unit/core/test_quotas.py"
RATES: Final = "tests/adapters/test_rates.py"
QUEUES: Final = "tests/unit/core/test_settings_mqueue.py"
STORED: Final = "tests/unit/core/test_pages.py"
STRATEGIES: Final = Choice[Strategy](
    "least_loaded", "random", "round_robin", "round_robin_per_group", "sticky", "local", "hash_clientid", "hash_topic")
ANONYMOUS: Final = Choice[Anonymous](
    "loopback", "on", "off", aliases={"true": "on", "yes": "on", "false": "off", "no": "off"})
NO_MATCH: Final = Choice[NoMatch]("allow", "deny")
RESPONSE_PREFIX: Final = Text("the beginning of a Topic Name, up to 1000 characters", r"[^\x00-\x1f\x7f-\x9f+#]{0,1000}")
REFERENCE: Final = Text("text of up to 1000 characters", r"[^\x00-\x1f\x7f-\x9f]{0,1000}")


@dataclass(frozen=True, kw_only=True)
class ClientSection:
    """One connection."""

    idle_timeout: float = row(
        "30s", DURATION, live=True, minimum="100ms", maximum="1h", test=EFFECTS,
        meaning="Time that a new connection has for its CONNECT.")
    max_connect_size: int = row(
        "256KB", SIZE, live=True, minimum="1KB", maximum="256MB", test=EFFECTS,
        meaning="Largest CONNECT, read before it is known who sends it; `mqtt.max_packet_size` bounds it too.")
    max_unsent: int = row(
        "8MB", SIZE, live=True, minimum="64KB", test=EFFECTS,
        meaning="Bytes that may wait to be sent to one connection before its further messages wait in its queue.")
    message_rate: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=RATES,
        meaning="Messages a second that a client may publish, a second's worth at once; one that is faster is not read "
                "for a while. 0 is unlimited.")
    byte_rate: int = row(
        "0", SIZE, live=True, words={"unlimited": 0}, test=RATES,
        meaning="Bytes a second that a client may send, a second's worth at once; one that is faster is not read for a "
                "while. 0 is unlimited.")


@dataclass(frozen=True, kw_only=True)
class SessionSection:
    """One session: what is subscribed, and what is under way."""

    max_subscriptions: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=EFFECTS,
        meaning="Subscriptions that a session may have; 0 is unlimited.")
    upgrade_qos: bool = row(
        "off", FLAG, live=True, test=EFFECTS,
        meaning="Deliver with the higher QoS of publication and subscription instead of the lower.")
    max_inflight: int = row(
        "1000", INTEGER, live=True, minimum="1", maximum="65535", test=EFFECTS,
        meaning="QoS 1 and 2 messages sent to a client and not yet acknowledged; the client may lower it by its "
                "Receive Maximum.")
    receive_maximum: int = row(
        "1000", INTEGER, live=True, minimum="1", maximum="65535", test=EFFECTS,
        meaning="QoS 1 and 2 messages that a 5.0 client may have sent without our acknowledgement (Receive Maximum).")
    retry_interval: float = row(
        "0", DURATION, live=True, words={"off": 0.0}, test=EFFECTS,
        meaning="Time after which an unacknowledged message is sent again on a live connection, to 3.1 and 3.1.1 "
                "clients only; 0 is never.")
    expiry_interval: float = row(
        "7d", DURATION, live=True, words={"never": inf}, test=EFFECTS,
        meaning="Longest time that a session is kept without its client; 3.1 and 3.1.1 clients without clean session "
                "get it.")
    max_sessions: int = row(
        "1000000", INTEGER, live=True, words={"unlimited": 0}, test=QUOTAS,
        meaning="Sessions that there are at most, those of clients that are away included: who would need another one is "
                "refused with 0x97. 0 is unlimited.")
    max_per_user: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=QUOTAS,
        meaning="Sessions that one user has at most, those of clients that are away included. Who did not have to prove who "
                "it is counts by its address. 0 is unlimited.")
    ignore_loop_deliver: bool = row(
        "off", FLAG, live=True, test=EFFECTS,
        meaning="Do not deliver to a client what it has published itself.")


@dataclass(frozen=True, kw_only=True)
class MqueueSection:
    """The queue of one session: what waits for its client, or for room among the unacknowledged.

    A live change holds for new sessions.
    """

    type: QueueType = row(
        "simple", Choice[QueueType]("simple", "priority"), live=True, test=QUEUES,
        meaning="`simple`: first in, first out. `priority`: topics of a higher priority first.")
    priority: tuple[tuple[str, int], ...] = row(
        "", PRIORITIES, live=True, test=QUEUES,
        meaning="Priorities of topics in a queue of type `priority`; other topics have 0.")
    max_length: int = row(
        "1000000", INTEGER, live=True, words={"unlimited": 0}, test=QUEUES,
        meaning="Messages that a queue holds; 0 is unlimited, then `max_bytes` alone bounds it.")
    max_bytes: int = row(
        "64MB", SIZE, live=True, minimum="1KB", test=QUEUES,
        meaning="Bytes that a queue holds, where nothing is stored.")
    max_stored: int = row(
        "1GB", SIZE, live=True, minimum="1KB", test=STORED,
        meaning="Bytes that the queue of a persistent session holds in the store.")
    max_memory: int = row(
        "512KB", SIZE, live=True, minimum="1KB", test=STORED,
        meaning="Bytes of such a queue that are in memory too; of type `priority` all are.")
    low_watermark: float = row(
        "20%", PERCENT, live=True, minimum="0%", maximum="100%", test=QUEUES,
        meaning="Share of `max_length` below which the alarm of a filling queue is cleared.")
    high_watermark: float = row(
        "60%", PERCENT, live=True, minimum="0%", maximum="100%", test=QUEUES,
        meaning="Share of `max_length` above which the alarm of a filling queue is raised.")
    store_qos0: bool = row(
        "on", FLAG, live=True, test=QUEUES,
        meaning="Queue QoS 0 messages too.")
    on_full: OnFull = row(
        "refuse", Choice[OnFull]("refuse", "drop_oldest", "drop_newest"), live=True, test=QUEUES,
        meaning="What a full queue does. `refuse`: a QoS 1 or 2 PUBLISH that a persistent session has no room for is "
                "refused with 0x97 (3.1 and 3.1.1: the publisher's connection is closed); a transient session drops "
                "its oldest.")


@dataclass(frozen=True, kw_only=True)
class PubsubSection:
    """Routing from a topic to its subscribers."""

    route_cache: int = row(
        "65536", INTEGER, minimum="1", maximum="100000000", test=EFFECTS,
        meaning="Topics whose route is remembered.")


@dataclass(frozen=True, kw_only=True)
class BrokerSection:
    """What the broker tells of itself below `$SYS/brokers/<node>/`."""

    sys_interval: float = row(
        "1m", DURATION, live=True, words={"off": 0.0}, test=SYSTOPICS,
        meaning="Time between two publications of version, metrics and stats; 0 is never. `uptime` and `datetime` come "
                "once a second whatever it is.")


@dataclass(frozen=True, kw_only=True)
class MqttSection:
    """The protocol."""

    max_packet_size: int = row(
        "1MB", SIZE, live=True, minimum="1KB", maximum="256MB", test=EFFECTS,
        meaning="Largest packet that a client may send.")
    max_clientid_len: int = row(
        "65535", INTEGER, live=True, minimum="23", maximum="65535", test=EFFECTS,
        meaning="Longest Client Identifier, in bytes.")  # 1 to 23 bytes must be allowed
    max_topic_levels: int = row(
        "128", INTEGER, live=True, minimum="1", maximum="65535", test=EFFECTS,
        meaning="Most levels of a Topic Name or Topic Filter.")
    max_qos_allowed: int = row(
        "2", INTEGER, live=True, minimum="0", maximum="2", test=EFFECTS,
        meaning="Highest QoS of publications and subscriptions (Maximum QoS); a PUBLISH above it ends the connection.")
    retain_available: bool = row(
        "on", FLAG, live=True, test=EFFECTS,
        meaning="Whether messages may be retained (Retain Available); a retained PUBLISH ends the connection "
                "otherwise.")
    shared_subscription: bool = row(
        "on", FLAG, live=True, test=EFFECTS,
        meaning="Whether clients may share subscriptions (Shared Subscription Available); who shares one already still "
                "does.")
    shared_subscription_strategy: Strategy = row(
        "least_loaded", STRATEGIES, live=True, test="tests/unit/core/test_strategies.py",
        meaning="Which member of a group gets a message. `least_loaded`: the one with the fewest messages under way and "
                "waiting, of several the one served longest ago. `random`. `round_robin`: one after the other for each "
                "publisher, `round_robin_per_group`: whoever publishes. `sticky`: the same as before while it is there. "
                "`local`: one of this node at random before those of others. `hash_clientid`, `hash_topic`: by the "
                "publisher or the topic, the same while the members are the same.")
    allow_anonymous: Anonymous = row(
        "loopback", ANONYMOUS, test=EFFECTS,
        meaning="Who gets in without authentication: clients on this machine (`loopback`), everybody (`on`), nobody "
                "(`off`). Those who authenticate get in from anywhere: see `[auth.scram]`.")
    acl_file: str = row(
        "", TEXT, live=True, test=ACL,
        meaning="File of [access rules](guide.md#who-may-do-what), in the form of emqttd's acl.conf. SIGHUP reads it again. A "
                "relative path starts at the folder of broker.ini. Empty: everybody may do everything.")
    acl_nomatch: NoMatch = row(
        "allow", NO_MATCH, live=True, test=ACL,
        meaning="What holds where none of the rules decides.")
    acl_deny_action: DenyAction = row(
        "acknowledge", Choice[DenyAction]("acknowledge", "drop", "disconnect"), live=True, test=RULING,
        meaning="What follows a PUBLISH that is denied. `acknowledge`: PUBACK or PUBREC with the reason; 3.1 and 3.1.1 clients, "
                "who cannot be told, get the usual ones. `drop`: nothing, as in emqttd. `disconnect`: the end of the connection.")
    acl_explain: bool = row(
        "off", FLAG, live=True, test=RULING,
        meaning="Whether 5.0 clients are told the rule that denies them something, with its file and line (Reason String). It "
                "shows them what rules there are.")
    keepalive_backoff: float = row(
        "0.75", NUMBER_UNIT, live=True, minimum="0.5", maximum="10", test=EFFECTS,
        meaning="A client is gone after Keep Alive × keepalive_backoff × 2 without a packet; 0.75 is what the standard "
                "says.")
    server_keep_alive: int = row(
        "0", WHOLE_SECONDS, live=True, maximum="65535s", words={"off": 0}, test=EFFECTS,
        meaning="Keep Alive that 5.0 clients are told to use instead of their own (Server Keep Alive); 0 leaves them "
                "their own.")
    max_topic_alias: int = row(
        "32", INTEGER, live=True, maximum="65535", words={"off": 0}, test=EFFECTS,
        meaning="Topic Aliases on one connection in each direction: what a 5.0 client may set (Topic Alias Maximum), and "
                "the most that the broker sets for a client that takes them; 0 is none.")
    wildcard_subscription: bool = row(
        "on", FLAG, live=True, test=EFFECTS,
        meaning="Whether Topic Filters may have wildcards (Wildcard Subscription Available).")
    subscription_identifiers: bool = row(
        "on", FLAG, live=True, test=EFFECTS,
        meaning="Whether subscriptions may have identifiers (Subscription Identifiers Available).")
    response_information: str = row(
        "", RESPONSE_PREFIX, live=True, test=EFFECTS,
        meaning="Beginning of response topics, told to 5.0 clients that ask for it (Response Information); `%c` is the "
                "Client Identifier. Empty: nothing is told.")
    server_moved: ServerMoved = row(
        "off", Choice[ServerMoved]("off", "use_another", "moved"), live=True, test=EFFECTS,
        meaning="Send clients away, the connected and the new ones: for the time being (`use_another`, 0x9C) or for good "
                "(`moved`, 0x9D).")
    server_reference: str = row(
        "", REFERENCE, live=True, test=EFFECTS,
        meaning="Other servers, as `host:port host:port` (Server Reference): told to 5.0 clients that are sent away, and "
                "when the broker stops.")
    client: ClientSection = ClientSection()
    session: SessionSection = SessionSection()
    mqueue: MqueueSection = MqueueSection()
    pubsub: PubsubSection = PubsubSection()
    broker: BrokerSection = BrokerSection()
