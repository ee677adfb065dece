"""CONNECT of a client that is known: whether it gets a session."""
from emqtwist.core import banning, flapping, mounting, quotas
from emqtwist.core.connection import Connection
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.packets import Connect


def refusal(connection: Connection, packet: Connect) -> MQTTError | None:
    """Why not, or None. `packet.user_name` may be another than before, and somebody may have been banned meanwhile."""
    broker, settings = connection.broker, connection.broker.settings
    error: MQTTError | None = None
    if broker.bans.table:
        error = banning.refusal(connection, packet.user_name)
    if error is None and (settings.max_sessions_per_user or 0 < settings.max_sessions <= len(broker.sessions.by_id)):
        error = quotas.refusal(connection, packet.user_name)
    if error is None and connection.door.terms.mountpoint:
        error = mounting.refusal(connection, packet)
    if error is None and settings.flapping.most:
        error = flapping.refusal(connection, packet.client_id)  # last: it counts who gets in
    return error
