"""When clients are to go elsewhere: what a broker that is being drained, or stops, tells them."""
from typing import Final

from emqtwist.core.settings import Settings
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, ServerShuttingDown

CODES: Final = (c.USE_ANOTHER_SERVER, c.SERVER_MOVED)  # what a Server Reference goes with


def gone(settings: Settings) -> MQTTError | None:
    """Why no client is served here, None while they are."""
    if settings.server_moved == "moved":
        return MQTTError("the server has moved", c.SERVER_MOVED)
    if settings.server_moved == "use_another":
        return MQTTError("use another server for the time being", c.USE_ANOTHER_SERVER)
    return None


def farewell(settings: Settings) -> MQTTError:
    """Why the connections end when the broker stops."""
    if settings.server_reference:
        return MQTTError("the server is shutting down, use another", c.USE_ANOTHER_SERVER)
    return ServerShuttingDown("the server is shutting down")
