"""What a Broker is told: the numbers of its behaviour, without a default among them; `config` holds those."""
from emqtwist.core.logins import LoginSettings


class QueueSettings:
    """How a session's queue behaves; rows `[mqtt.mqueue]`. No message larger than `largest` fits in any."""

    __slots__ = ("kind", "priorities", "max_length", "max_bytes", "max_stored", "max_memory", "low_watermark", "high_watermark",
                 "store_qos0", "on_full", "largest")

    def __init__(self, kind: str, priorities: dict[bytes, int], max_length: int, max_bytes: int, max_stored: int,
                 max_memory: int, low_watermark: float, high_watermark: float, store_qos0: bool, on_full: str) -> None:
        self.kind = kind
        self.priorities = priorities
        self.max_length = max_length
        self.max_bytes = max_bytes
        self.max_stored = max_stored
        self.max_memory = max_memory
        self.low_watermark = low_watermark
        self.high_watermark = high_watermark
        self.store_qos0 = store_qos0
        self.on_full = on_full
        self.largest = min(max_bytes, max_stored)


class FlappingSettings:
    """More than `most` connections within `window` are a ban for `lasts` seconds; rows `[flapping]`.

    Without `most` nobody is counted.
    """

    __slots__ = ("most", "window", "lasts")

    def __init__(self, most: int, window: float, lasts: float) -> None:
        self.most = most
        self.window = window
        self.lasts = lasts


class Settings:
    """Limits and choices; seconds and bytes. A live change is a new Settings in `Broker.settings`."""

    __slots__ = ("max_packet_size", "max_connect_size", "max_client_id", "max_topic_levels", "max_qos", "retain_available",
                 "allow_anonymous", "keep_alive_backoff", "server_keep_alive", "connect_timeout", "max_subscriptions",
                 "upgrade_qos", "max_inflight", "receive_maximum", "retry_interval", "max_session_expiry", "no_own_messages",
                 "shared_subscription", "shared_strategy",
                 "queue", "max_retained", "max_retained_payload", "retained_expiry", "replay_batch", "route_cache",
                 "max_topic_alias", "wildcard_subscription", "subscription_identifiers", "response_information",
                 "server_moved", "server_reference", "message_rate", "byte_rate", "rated", "flapping", "logins",
                 "max_sessions", "max_sessions_per_user", "max_retained_per_client", "acl_deny_action", "acl_explain")

    def __init__(self, *, max_packet_size: int, max_connect_size: int, max_client_id: int, max_topic_levels: int, max_qos: int,
                 retain_available: bool, allow_anonymous: str, keep_alive_backoff: float, server_keep_alive: int,
                 connect_timeout: float, max_subscriptions: int, upgrade_qos: bool, max_inflight: int, receive_maximum: int,
                 retry_interval: float, max_session_expiry: float, no_own_messages: bool,
                 shared_subscription: bool, shared_strategy: str, queue: QueueSettings,
                 max_retained: int, max_retained_payload: int, retained_expiry: float, replay_batch: int,
                 route_cache: int,
                 max_topic_alias: int, wildcard_subscription: bool, subscription_identifiers: bool, response_information: str,
                 server_moved: str, server_reference: str, message_rate: int, byte_rate: int,
                 flapping: FlappingSettings, logins: LoginSettings, max_sessions: int, max_sessions_per_user: int,
                 max_retained_per_client: int, acl_deny_action: str, acl_explain: bool) -> None:
        self.max_packet_size = max_packet_size
        self.max_connect_size = min(max_connect_size, max_packet_size)
        self.max_client_id = max_client_id
        self.max_topic_levels = max_topic_levels
        self.max_qos = max_qos
        self.retain_available = retain_available
        self.allow_anonymous = allow_anonymous
        self.keep_alive_backoff = keep_alive_backoff
        self.server_keep_alive = server_keep_alive
        self.connect_timeout = connect_timeout
        self.max_subscriptions = max_subscriptions
        self.upgrade_qos = upgrade_qos
        self.max_inflight = max_inflight
        self.receive_maximum = receive_maximum
        self.retry_interval = retry_interval
        self.max_session_expiry = max_session_expiry
        self.no_own_messages = no_own_messages
        self.shared_subscription = shared_subscription
        self.shared_strategy = shared_strategy
        self.queue = queue
        self.max_retained = max_retained
        self.max_retained_payload = max_retained_payload
        self.retained_expiry = retained_expiry
        self.replay_batch = replay_batch
        self.route_cache = route_cache
        self.max_topic_alias = max_topic_alias
        self.wildcard_subscription = wildcard_subscription
        self.subscription_identifiers = subscription_identifiers
        self.response_information = response_information
        self.server_moved = server_moved
        self.server_reference = server_reference
        self.message_rate = message_rate
        self.byte_rate = byte_rate
        self.rated = message_rate > 0 or byte_rate > 0
        self.flapping = flapping
        self.logins = logins
        self.max_sessions = max_sessions
        self.max_sessions_per_user = max_sessions_per_user
        self.max_retained_per_client = max_retained_per_client
        self.acl_deny_action = acl_deny_action
        self.acl_explain = acl_explain
