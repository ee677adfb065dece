"""CONNECT of a client that is known: whether it gets a session."""
from emqtwist.core import banning, flapping, mounting, quotas
from emqtwist.core.connection import Connection
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.packets import Connect


def refusal(connection: Connection, packet: Connect) -> MQTTError | None:
    """Why not, or None. `packet.user_name` may be another than before, and somebody may have been banned meanwhile."""
    error: MQTTError | None = banning.refusal(connection, packet.user_name)
    if error is None:
        error = quotas.refusal(connection, packet.user_name)
    if error is None:
        error = mounting.refusal(connection, packet)
    return flapping.refusal(connection, packet.client_id) if error is None else error  # last: it counts who gets in
