"""Where a client comes in, and who stands there: what a listener knows of a network connection before its first byte."""
from typing import Any, Final

from emqtwist.mqtt.constants import MQTT_3_1, MQTT_3_1_1, MQTT_5_0

VERSIONS: Final = (MQTT_3_1, MQTT_3_1_1, MQTT_5_0)


class Terms:
    """What a listener asks of its clients.

    `versions` are the protocol levels that it takes. `max_keep_alive` is in seconds, 0 without a bound. `user_name_as_client_id`:
    the User Name stands for the Client Identifier. `connect_timeout` are the seconds until CONNECT, 0 for those of the broker.
    `name_from` is the part of a client's certificate that is its user name: `cn`, `dn`, `san`, or `off`.
    Clients with such a name that is among `superusers` are superusers. `mountpoint` comes before all topics, with `%c` and `%u`
    in it.
    """

    __slots__ = ("versions", "max_keep_alive", "user_name_as_client_id", "connect_timeout", "name_from", "mountpoint",
                 "superusers")

    def __init__(self, versions: tuple[int, ...] = VERSIONS, max_keep_alive: int = 0, user_name_as_client_id: bool = False,
                 connect_timeout: float = 0.0, name_from: str = "off", mountpoint: str = "",
                 superusers: tuple[str, ...] = ()) -> None:
        self.mountpoint = mountpoint
        self.superusers = superusers
        self.versions = versions
        self.max_keep_alive = max_keep_alive
        self.user_name_as_client_id = user_name_as_client_id
        self.connect_timeout = connect_timeout
        self.name_from = name_from


class Door:
    """A listener as its connections see it. `name` is the listener's, as `tcp.default`; `terms` may be replaced.

    The `plan` is what CONNECTs are looked at for, as `core.connecting` has it.
    """

    __slots__ = ("name", "terms", "plan")

    def __init__(self, name: str, terms: Terms | None = None) -> None:
        self.name = name
        self.terms = Terms() if terms is None else terms
        self.plan: Any = None


class Certificate:
    """What a certificate says of its owner, who has shown it and whom an authority has believed.

    `cn` is the Common Name, `dn` the whole subject as in RFC 4514, `san` the alternative names; what is not there is empty.
    """

    __slots__ = ("cn", "dn", "san")

    def __init__(self, cn: str, dn: str, san: tuple[str, ...]) -> None:
        self.cn = cn
        self.dn = dn
        self.san = san

    def name(self, part: str) -> str:
        """The name of its owner, by one part; empty when it has none there."""
        if part == "san":
            return self.san[0] if self.san else ""
        return self.cn if part == "cn" else self.dn


class Peer:
    """The other end of a network connection.

    `text` is for the log and may have a port; `address` is the host alone, for decisions. `loopback` says that it is on this
    host. `certificate` is what it has shown of itself, None when it has not.
    """

    __slots__ = ("text", "address", "loopback", "certificate")

    def __init__(self, text: str, address: str, loopback: bool) -> None:
        self.text = text
        self.address = address
        self.loopback = loopback
        self.certificate: Certificate | None = None
