"""A plain class for each control packet: what the decoder gives and the encoder takes.

Topic Names and Topic Filters are `bytes` (UTF-8), as the route tables are keyed by them; client identifiers, user names
and other strings are `str`; payloads, passwords and authentication data are `bytes`. `properties` is `Properties`, or
None when the packet has none (always so before MQTT 5.0).
"""
from typing import ClassVar, Final

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.properties import Properties


class Packet:
    """What all control packets share: `type`, one of the fifteen numbers in `constants`."""

    __slots__ = ()
    type: ClassVar[int] = 0


class Explained(Packet):
    """A packet that may hold a Reason String."""

    __slots__ = ("properties",)
    properties: Properties | None


class Will:
    """The Will Message of a CONNECT; `properties` are the Will Properties."""

    __slots__ = ("topic_name", "payload", "qos", "retain", "properties")

    def __init__(self, topic_name: bytes, payload: bytes, qos: int = 0, retain: bool = False,
                 properties: Properties | None = None) -> None:
        self.topic_name = topic_name
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties


class Connect(Packet):
    """CONNECT; `version` is 3, 4 or 5, `bridge` the bit 0x80 of the level byte; `keep_alive` in seconds."""

    __slots__ = ("version", "client_id", "clean_start", "keep_alive", "user_name", "password", "will", "bridge",
                 "properties")
    type: ClassVar[int] = c.CONNECT

    def __init__(self, version: int, client_id: str, clean_start: bool = True, keep_alive: int = 0,
                 user_name: str | None = None, password: bytes | None = None, will: Will | None = None,
                 bridge: bool = False, properties: Properties | None = None) -> None:
        self.version = version
        self.client_id = client_id
        self.clean_start = clean_start
        self.keep_alive = keep_alive
        self.user_name = user_name
        self.password = password
        self.will = will
        self.bridge = bridge
        self.properties = properties


class Connack(Explained):
    __slots__ = ("session_present", "reason_code")
    type: ClassVar[int] = c.CONNACK

    def __init__(self, session_present: bool = False, reason_code: int = 0,
                 properties: Properties | None = None) -> None:
        self.session_present = session_present
        self.reason_code = reason_code
        self.properties = properties


class Publish(Packet):
    """PUBLISH; `packet_id` is 0 at QoS 0.

    The decoder sets `frame` where all else is as by default, so that it can be sent on as it is: the whole packet, at QoS 1 and 2
    what comes before the Packet Identifier.
    """

    __slots__ = ("topic_name", "payload", "qos", "retain", "dup", "packet_id", "properties", "frame")
    type: ClassVar[int] = c.PUBLISH

    def __init__(self, topic_name: bytes, payload: bytes, qos: int = 0, retain: bool = False, dup: bool = False,
                 packet_id: int = 0, properties: Properties | None = None, frame: bytes = b"") -> None:
        self.topic_name = topic_name
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.dup = dup
        self.packet_id = packet_id
        self.properties = properties
        self.frame = frame


class AliasedPublish(Publish):
    """A PUBLISH with a Topic Alias; `topic_name` may be empty. `properties` is None when there is nothing but the alias."""

    __slots__ = ("topic_alias",)

    def __init__(self, topic_name: bytes, payload: bytes, qos: int, retain: bool, dup: bool, packet_id: int,
                 properties: Properties | None, topic_alias: int) -> None:
        self.topic_name = topic_name  # all anew: on the hot path a second call is dear
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.dup = dup
        self.packet_id = packet_id
        self.properties = properties
        self.frame = b""
        self.topic_alias = topic_alias


class Acknowledgement(Explained):
    """What PUBACK, PUBREC, PUBREL and PUBCOMP hold alike."""

    __slots__ = ("packet_id", "reason_code")

    def __init__(self, packet_id: int, reason_code: int = 0, properties: Properties | None = None) -> None:
        self.packet_id = packet_id
        self.reason_code = reason_code
        self.properties = properties


class Puback(Acknowledgement):
    __slots__ = ()
    type: ClassVar[int] = c.PUBACK


class Pubrec(Acknowledgement):
    __slots__ = ()
    type: ClassVar[int] = c.PUBREC


class Pubrel(Acknowledgement):
    __slots__ = ()
    type: ClassVar[int] = c.PUBREL


class Pubcomp(Acknowledgement):
    __slots__ = ()
    type: ClassVar[int] = c.PUBCOMP


class Run(Packet):
    """Acknowledgements of one kind in a row that say no more than their Packet Identifiers, and all is well."""

    __slots__ = ("packet_ids",)

    def __init__(self, packet_ids: list[int]) -> None:
        self.packet_ids = packet_ids


class Pubacks(Run):
    __slots__ = ()
    type: ClassVar[int] = c.PUBACK


class Pubrecs(Run):
    __slots__ = ()
    type: ClassVar[int] = c.PUBREC


class Pubrels(Run):
    __slots__ = ()
    type: ClassVar[int] = c.PUBREL


class Pubcomps(Run):
    __slots__ = ()
    type: ClassVar[int] = c.PUBCOMP


ACKNOWLEDGEMENTS: Final[dict[int, type[Acknowledgement]]] = {
    c.PUBACK: Puback, c.PUBREC: Pubrec, c.PUBREL: Pubrel, c.PUBCOMP: Pubcomp,
}


def each(packets: list[Packet]) -> list[Packet]:
    """The packets, those of runs one by one."""
    found: list[Packet] = []
    for packet in packets:
        if isinstance(packet, Run):
            found += [ACKNOWLEDGEMENTS[packet.type](packet_id) for packet_id in packet.packet_ids]
        else:
            found.append(packet)
    return found


class Subscribe(Packet):
    """SUBSCRIBE; `filters` are pairs (Topic Filter, Subscription Options byte) in the order of the packet."""

    __slots__ = ("packet_id", "filters", "properties")
    type: ClassVar[int] = c.SUBSCRIBE

    def __init__(self, packet_id: int, filters: list[tuple[bytes, int]], properties: Properties | None = None) -> None:
        self.packet_id = packet_id
        self.filters = filters
        self.properties = properties


class Suback(Explained):
    """SUBACK; one reason code a filter, in the order of SUBSCRIBE."""

    __slots__ = ("packet_id", "reason_codes")
    type: ClassVar[int] = c.SUBACK

    def __init__(self, packet_id: int, reason_codes: list[int], properties: Properties | None = None) -> None:
        self.packet_id = packet_id
        self.reason_codes = reason_codes
        self.properties = properties


class Unsubscribe(Packet):
    __slots__ = ("packet_id", "filters", "properties")
    type: ClassVar[int] = c.UNSUBSCRIBE

    def __init__(self, packet_id: int, filters: list[bytes], properties: Properties | None = None) -> None:
        self.packet_id = packet_id
        self.filters = filters
        self.properties = properties


class Unsuback(Explained):
    """UNSUBACK; `reason_codes` is empty on the wire before MQTT 5.0."""

    __slots__ = ("packet_id", "reason_codes")
    type: ClassVar[int] = c.UNSUBACK

    def __init__(self, packet_id: int, reason_codes: list[int], properties: Properties | None = None) -> None:
        self.packet_id = packet_id
        self.reason_codes = reason_codes
        self.properties = properties


class Pingreq(Packet):
    __slots__ = ()
    type: ClassVar[int] = c.PINGREQ


class Pingresp(Packet):
    __slots__ = ()
    type: ClassVar[int] = c.PINGRESP


class Disconnect(Explained):
    __slots__ = ("reason_code",)
    type: ClassVar[int] = c.DISCONNECT

    def __init__(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        self.reason_code = reason_code
        self.properties = properties


class Auth(Explained):
    __slots__ = ("reason_code",)
    type: ClassVar[int] = c.AUTH

    def __init__(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        self.reason_code = reason_code
        self.properties = properties
