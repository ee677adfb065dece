"""From the configuration to what the core is told."""
from emqtwist.config import Config
from emqtwist.core.logins import LoginSettings
from emqtwist.core.message import NEVER
from emqtwist.core.settings import FlappingSettings, QueueSettings, Settings


def settings_of(config: Config) -> Settings:
    mqtt, session, queue, retainer = config.mqtt, config.mqtt.session, config.mqtt.mqueue, config.retainer
    flapping, backoff = config.flapping, config.auth.backoff
    return Settings(
        max_packet_size=mqtt.max_packet_size,
        max_connect_size=mqtt.client.max_connect_size,
        max_client_id=mqtt.max_clientid_len,
        max_topic_levels=mqtt.max_topic_levels,
        max_qos=mqtt.max_qos_allowed,
        retain_available=mqtt.retain_available,
        allow_anonymous=mqtt.allow_anonymous,
        keep_alive_backoff=mqtt.keepalive_backoff,
        server_keep_alive=mqtt.server_keep_alive,
        connect_timeout=mqtt.client.idle_timeout,
        message_rate=mqtt.client.message_rate,
        byte_rate=mqtt.client.byte_rate,
        max_subscriptions=session.max_subscriptions,
        upgrade_qos=session.upgrade_qos,
        max_inflight=session.max_inflight,
        receive_maximum=session.receive_maximum,
        retry_interval=session.retry_interval,
        max_session_expiry=session.expiry_interval,
        no_own_messages=session.ignore_loop_deliver,
        shared_subscription=mqtt.shared_subscription,
        shared_strategy=mqtt.shared_subscription_strategy,
        queue=QueueSettings(
            kind=queue.type,
            priorities={topic.encode(): priority for topic, priority in queue.priority},
            max_length=queue.max_length,
            max_bytes=queue.max_bytes,
            max_stored=queue.max_stored,
            max_memory=queue.max_memory,
            low_watermark=queue.low_watermark,
            high_watermark=queue.high_watermark,
            store_qos0=queue.store_qos0,
            on_full=queue.on_full,
        ),
        max_retained=retainer.max_message_num,
        max_retained_payload=retainer.max_payload_size,
        retained_expiry=retainer.expiry_interval or NEVER,
        replay_batch=retainer.replay_batch,
        route_cache=mqtt.pubsub.route_cache,
        max_topic_alias=mqtt.max_topic_alias,
        wildcard_subscription=mqtt.wildcard_subscription,
        subscription_identifiers=mqtt.subscription_identifiers,
        response_information=mqtt.response_information,
        server_moved=mqtt.server_moved,
        server_reference=mqtt.server_reference,
        max_sessions=session.max_sessions,
        max_sessions_per_user=session.max_per_user,
        max_retained_per_client=retainer.max_per_client,
        flapping=FlappingSettings(flapping.max_count if flapping.enable else 0, flapping.window_time, flapping.ban_time),
        logins=LoginSettings(backoff.max_failures, backoff.window_time, backoff.first_pause, backoff.longest_pause),
        acl_deny_action=mqtt.acl_deny_action,
        acl_explain=mqtt.acl_explain,
    )
