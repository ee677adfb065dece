"""What a journal consists of: tuples that begin with a kind, and what a store hands back at the next start.

Fields are str, bytes, int, float, None or tuples of int. Times called `at` or `due` are absolute wall time, None for never.
"""
from typing import Any, Final

Record = tuple[Any, ...]

OPENED: Final = 1
LEFT: Final = 2
ENDED: Final = 3
SUBSCRIBED: Final = 4
UNSUBSCRIBED: Final = 5
MESSAGE: Final = 6
QUEUED: Final = 7
SENT: Final = 8
RELEASED: Final = 9
DONE: Final = 10
RECEIVED: Final = 11
COMPLETED: Final = 12
WILL: Final = 13
WILL_DUE: Final = 14
WILL_GONE: Final = 15
RETAINED: Final = 16
RETAINED_GONE: Final = 17
BAN: Final = 18
BAN_GONE: Final = 19
USER: Final = 20
USER_GONE: Final = 21
DELAYED: Final = 22
DELAYED_GONE: Final = 23
TAKEN: Final = 24
MEMBER: Final = 25
MEMBER_GONE: Final = 26
MOVED: Final = 27

STATE_SENT: Final = 1  # of a row: at QoS 2, it may have been sent, and expires no more
STATE_RELEASED: Final = 2  # PUBREC came

OUTBOX: Final = 0  # as the version of a session: it is no client's, but what waits for another node
BRIDGE: Final = 1  # the same, for a bridge

KINDS: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    OPENED: ("OPENED", ("session", "client_id", "expiry_interval", "version", "epoch")),
    LEFT: ("LEFT", ("session", "expires_at")),
    ENDED: ("ENDED", ("session",)),
    SUBSCRIBED: ("SUBSCRIBED", ("session", "topic_filter", "options", "identifiers")),
    UNSUBSCRIBED: ("UNSUBSCRIBED", ("session", "topic_filter")),
    MESSAGE: ("MESSAGE", ("message", "topic", "payload", "qos", "retain", "properties", "expires_at", "publisher",
                          "group")),
    QUEUED: ("QUEUED", ("session", "rank", "seq", "message", "first_byte", "identifiers", "state")),
    SENT: ("SENT", ("session", "rank", "seq")),
    RELEASED: ("RELEASED", ("session", "rank", "seq")),
    DONE: ("DONE", ("session", "rank", "first", "last")),
    RECEIVED: ("RECEIVED", ("session", "packet_id")),
    COMPLETED: ("COMPLETED", ("session", "packet_id")),
    WILL: ("WILL", ("session", "topic", "payload", "qos", "retain", "properties", "publisher", "delay", "lifetime")),
    WILL_DUE: ("WILL_DUE", ("session", "due")),
    WILL_GONE: ("WILL_GONE", ("session",)),
    RETAINED: ("RETAINED", ("topic", "payload", "qos", "properties", "expires_at", "publisher", "until", "stamp",
                            "node")),
    RETAINED_GONE: ("RETAINED_GONE", ("topic", "stamp", "node", "until")),
    BAN: ("BAN", ("kind", "value", "reason", "by", "at", "until")),
    BAN_GONE: ("BAN_GONE", ("kind", "value")),
    USER: ("USER", ("name", "password_hash", "superuser")),
    USER_GONE: ("USER_GONE", ("name",)),
    DELAYED: ("DELAYED", ("number", "due", "topic", "payload", "qos", "retain", "properties", "expires_at", "publisher")),
    DELAYED_GONE: ("DELAYED_GONE", ("number",)),
    TAKEN: ("TAKEN", ("node", "identity", "number")),
    MEMBER: ("MEMBER", ("name", "address", "stamp", "state")),
    MEMBER_GONE: ("MEMBER_GONE", ("name",)),
    MOVED: ("MOVED", ("session", "move")),
}


class Fetch:
    """Wanted: rows of a session's queue behind (rank, seq), some `limit_bytes` of them, once `group` is committed."""

    __slots__ = ("session", "after_rank", "after_seq", "limit_bytes", "group")

    def __init__(self, session: int, after_rank: int, after_seq: int, limit_bytes: int, group: int = 0) -> None:
        self.session = session
        self.after_rank = after_rank
        self.after_seq = after_seq
        self.limit_bytes = limit_bytes
        self.group = group


LISTS: Final = 11  # of a Snapshot


class Snapshot:
    """All that a store has but the rows of the queues; lists of tuples.

    sessions: session, client_id, expiry_interval, version, expires_at, queued, queued_bytes, next_seq, epoch, move
    subscriptions: session, topic_filter, options, identifiers
    received: session, packet_id
    wills: session, topic, payload, qos, retain, properties, publisher, delay, lifetime, due
    retained: topic, payload, qos, properties, expires_at, publisher, until, stamp, node
    bans: kind, value, reason, by, at, until
    users: name, password_hash, superuser
    delayed: number, due, topic, payload, qos, retain, properties, expires_at, publisher
    taken: node, identity, number
    members: name, address, stamp, state
    tombstones: topic, stamp, node, until
    """

    __slots__ = ("highest_session", "highest_message", "sessions", "subscriptions", "received", "wills", "retained", "bans",
                 "users", "delayed", "taken", "members", "tombstones")

    def __init__(self, highest_session: int, highest_message: int, sessions: list[Record], subscriptions: list[Record],
                 received: list[Record], wills: list[Record], retained: list[Record], bans: list[Record],
                 users: list[Record], delayed: list[Record], taken: list[Record], members: list[Record],
                 tombstones: list[Record]) -> None:
        self.highest_session = highest_session
        self.highest_message = highest_message
        self.sessions = sessions
        self.subscriptions = subscriptions
        self.received = received
        self.wills = wills
        self.retained = retained
        self.bans = bans
        self.users = users
        self.delayed = delayed
        self.taken = taken
        self.members = members
        self.tombstones = tombstones
