"""The closed list of causes: why a message was dropped, why a connection was refused or ended.

Every drop, every refusal and every end of a connection is counted under one of these words; logs and metrics use them.
"""
from typing import Final

from emqtwist.mqtt import constants as c

# Why a message, or one delivery of it, was dropped.
NO_SUBSCRIBERS: Final = "no_subscribers"
QUEUE_FULL: Final = "queue_full"
QUEUE_FULL_REFUSED: Final = "queue_full_refused"
QOS_0_NOT_STORED: Final = "qos0_not_stored"
EXPIRED: Final = "expired"
TOO_LARGE_FOR_CLIENT: Final = "too_large_for_client"
SESSION_ENDED: Final = "session_ended"
RETAINED_TOO_MANY: Final = "retained_too_many"
RETAINED_TOO_LARGE: Final = "retained_too_large"
RETAINED_QUOTA: Final = "retained_quota"
RETAINER_UNLOADED: Final = "retainer_unloaded"
RESERVED_TOPIC: Final = "reserved_topic"
ACL_DENIED: Final = "acl_denied"
DELAY_INVALID: Final = "delay_invalid"
DELAYED_FULL: Final = "delayed_full"
REFUSED_BY_CLIENT: Final = "refused_by_client"
STOPPED_BY_HOOK: Final = "stopped_by_hook"
OVERLOAD: Final = "overload"
NO_LONGER_ALLOWED: Final = "no_longer_allowed"
NODE_AWAY: Final = "node_away"
NODE_RESTARTED: Final = "node_restarted"
NODE_LEFT: Final = "node_left"
BRIDGE_STOPPED: Final = "bridge_stopped"
BRIDGE_TOPIC: Final = "bridge_topic"
BRIDGE_LOOP: Final = "bridge_loop"

DROPS: Final[dict[str, str]] = {
    NO_SUBSCRIBERS: "nobody subscribes to the topic",
    QUEUE_FULL: "the session's queue had no room",
    QUEUE_FULL_REFUSED: "a persistent session's queue had no room, so the publish was refused",
    QOS_0_NOT_STORED: "QoS 0, the client was offline or slow, and QoS 0 is not queued",
    EXPIRED: "the Message Expiry Interval passed while it waited",
    TOO_LARGE_FOR_CLIENT: "larger than the client's Maximum Packet Size",
    SESSION_ENDED: "the session it waited for ended",
    RETAINED_TOO_MANY: "not retained: as many messages as allowed are retained",
    RETAINED_QUOTA: "not retained: as many messages of the client as allowed are retained",
    RETAINED_TOO_LARGE: "not retained: the payload is larger than allowed for retained messages",
    RETAINER_UNLOADED: "not retained: the module retainer is not loaded",
    RESERVED_TOPIC: "a client published to a topic that is the broker's own",
    ACL_DENIED: "the access rules do not let the client publish to the topic",
    DELAY_INVALID: "what stands behind `$delayed/` is no number of seconds with a topic behind it",
    DELAYED_FULL: "as many messages as allowed are delayed",
    REFUSED_BY_CLIENT: "the receiver answered PUBACK or PUBREC with an error",
    STOPPED_BY_HOOK: "a function at the hook message.publish stopped it",
    OVERLOAD: "QoS 0, and the broker could not keep up",
    NO_LONGER_ALLOWED: "the access rules, changed while it waited, do not let the receiver have it",
    NODE_AWAY: "QoS 0, and the node of its subscribers was away or slow",
    NODE_RESTARTED: "for subscribers of a node that was restarted, whose sessions ended with it",
    NODE_LEFT: "for subscribers of a node that has left the cluster",
    BRIDGE_STOPPED: "it waited for a bridge that was stopped",
    BRIDGE_TOPIC: "over a bridge, with its prefix and suffix, the topic would be none that may be published to",
    BRIDGE_LOOP: "it came by a bridge, and had been here before, or at too many nodes",
}

# Why a connection ended, beside the reason codes of the standard.
NORMAL: Final = "normal"
DISCONNECT_WITH_WILL: Final = "disconnect_with_will"
CONNECTION_LOST: Final = "connection_lost"
CONNECT_TIMEOUT: Final = "connect_timeout"

ENDS: Final[dict[str, str]] = {
    NORMAL: "the client sent DISCONNECT",
    DISCONNECT_WITH_WILL: "the client sent DISCONNECT and asked for its Will",
    CONNECTION_LOST: "the network connection was closed without DISCONNECT",
    CONNECT_TIMEOUT: "no CONNECT came in time",
}


# Why a network connection was refused, before a byte of MQTT was read from it.
ADDRESS_DENIED: Final = "address_denied"
TOO_MANY_CONNECTIONS: Final = "too_many_connections"
TOO_MANY_FROM_ADDRESS: Final = "too_many_from_address"
CONNECTION_RATE: Final = "connection_rate"
PROXY_DENIED: Final = "proxy_denied"
NO_PROXY_HEADER: Final = "no_proxy_header"
BAD_PROXY_HEADER: Final = "bad_proxy_header"
BANNED: Final = "banned"
LOGIN_BACKOFF: Final = "login_backoff"
HANDSHAKE_FAILED: Final = "handshake_failed"
HANDSHAKE_TIMEOUT: Final = "handshake_timeout"
WEBSOCKET_HANDSHAKE: Final = "websocket_handshake"
WEBSOCKET_HEADERS: Final = "websocket_headers"
WEBSOCKET_TIMEOUT: Final = "websocket_timeout"
WEBSOCKET_PATH: Final = "websocket_path"
WEBSOCKET_ORIGIN: Final = "websocket_origin"
WEBSOCKET_PROTOCOL: Final = "websocket_protocol"

REFUSALS: Final[dict[str, str]] = {
    ADDRESS_DENIED: "the listener's rules do not allow the address",
    TOO_MANY_CONNECTIONS: "the listener has as many connections as it may",
    TOO_MANY_FROM_ADDRESS: "the address has as many connections to the listener as it may",
    CONNECTION_RATE: "the address makes connections faster than it may",
    PROXY_DENIED: "the listener is for proxies, and the address is not one of theirs",
    NO_PROXY_HEADER: "the header of the PROXY protocol did not come in time",
    BAD_PROXY_HEADER: "what came first is no header of the PROXY protocol that the listener takes",
    BANNED: "the address is banned",
    LOGIN_BACKOFF: "too many logins from the address have failed",
    HANDSHAKE_FAILED: "the TLS handshake failed",
    HANDSHAKE_TIMEOUT: "the TLS handshake took too long",
    WEBSOCKET_HANDSHAKE: "not the opening handshake of a WebSocket",
    WEBSOCKET_HEADERS: "the headers of a WebSocket's opening handshake are larger than allowed",
    WEBSOCKET_TIMEOUT: "the opening handshake of a WebSocket took too long",
    WEBSOCKET_PATH: "a WebSocket was asked for at another path than the listener's",
    WEBSOCKET_ORIGIN: "the page that asks for a WebSocket is of an origin that is not allowed",
    WEBSOCKET_PROTOCOL: "a WebSocket was asked for without the sub-protocol mqtt",
}


# What clients were denied, and what they were told.
PUBLISH_ACKNOWLEDGED: Final = "publish_acknowledged"
PUBLISH_DROPPED: Final = "publish_dropped"
PUBLISH_DISCONNECTED: Final = "publish_disconnected"
SUBSCRIPTION_DENIED: Final = "subscription"
WILL_DENIED: Final = "will"
WILL_OVER: Final = "will_dropped"
SUBSCRIPTION_OVER: Final = "subscription_ended"
SESSION_DENIED: Final = "session"

DENIALS: Final[dict[str, str]] = {
    PUBLISH_ACKNOWLEDGED: "a message, and the client was told in its acknowledgement, as far as there is one",
    PUBLISH_DROPPED: "a message, and the client was not told",
    PUBLISH_DISCONNECTED: "a message, and the connection was ended",
    SUBSCRIPTION_DENIED: "a subscription",
    WILL_DENIED: "a connection, for the sake of its Will",
    WILL_OVER: "a Will that other rules had allowed, when it was due",
    SUBSCRIPTION_OVER: "a subscription that other rules had allowed",
    SESSION_DENIED: "a session, for the sake of a subscription in it",
}


def end_cause(reason_code: int) -> str:
    """The cause under which a connection ended by `reason_code` is counted: its name in table 2.4, in snake case."""
    return c.REASON_NAMES.get(reason_code, "Unspecified error").lower().replace(" ", "_")
