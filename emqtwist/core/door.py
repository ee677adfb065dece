"""Where a client comes in, and who stands there: what a listener knows of a network connection before its first byte."""
from typing import Final

from emqtwist.mqtt.constants import MQTT_3_1, MQTT_3_1_1, MQTT_5_0

VERSIONS: Final = (MQTT_3_1, MQTT_3_1_1, MQTT_5_0)


class Terms:
    """What a listener asks of its clients.

    `versions` are the protocol levels that it takes. `max_keep_alive` is in seconds, 0 without a bound. `user_name_as_client_id`:
    the User Name stands for the Client Identifier. `connect_timeout` are the seconds until CONNECT, 0 for those of the broker.
    """

    __slots__ = ("versions", "max_keep_alive", "user_name_as_client_id", "connect_timeout")

    def __init__(self, versions: tuple[int, ...] = VERSIONS, max_keep_alive: int = 0, user_name_as_client_id: bool = False,
                 connect_timeout: float = 0.0) -> None:
        self.versions = versions
        self.max_keep_alive = max_keep_alive
        self.user_name_as_client_id = user_name_as_client_id
        self.connect_timeout = connect_timeout


class Door:
    """A listener as its connections see it. `name` is the listener's, as `tcp.default`; `terms` may be replaced."""

    __slots__ = ("name", "terms")

    def __init__(self, name: str, terms: Terms | None = None) -> None:
        self.name = name
        self.terms = Terms() if terms is None else terms


class Peer:
    """The other end of a network connection.

    `text` is for the log and may have a port; `address` is the host alone, for decisions. `loopback` says that it is on this
    host.
    """

    __slots__ = ("text", "address", "loopback")

    def __init__(self, text: str, address: str, loopback: bool) -> None:
        self.text = text
        self.address = address
        self.loopback = loopback
