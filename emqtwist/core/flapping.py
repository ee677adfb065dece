"""Clients that connect too often: counted by Client Identifier, and banned for a while."""
from typing import Final

from emqtwist.core.banning import ban
from emqtwist.core.bans import CLIENT, Ban
from emqtwist.core.connection import Connection
from emqtwist.mqtt.errors import Banned

BY: Final = "flapping"


def refusal(connection: Connection, client_id: str) -> Banned | None:
    """Count an accepted CONNECT of `client_id`, the client's own; why it is refused, if it came too often.

    To be asked where there is a bound, and nothing else is against it: who does not get in must not bring a ban upon the one
    whose identifier it uses.
    """
    broker = connection.broker
    settings = broker.settings.flapping
    if not client_id:
        return None
    now = broker.turn.now
    if broker.arrivals.count(client_id, now, settings.window) <= settings.most:
        return None
    broker.arrivals.clear(client_id)
    reason = f"more than {settings.most} connections within {settings.window:g} s"
    ban(broker, Ban(CLIENT, client_id, reason, BY, now, now + settings.lasts))
    return Banned(f"this client identifier is banned: {reason}")
