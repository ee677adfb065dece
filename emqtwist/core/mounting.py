"""Mountpoints: what a listener puts before the topics of its clients, and takes off again.

A client says `a/b` and means `tenant/a/b`. Inside the broker topics have their mountpoint: in routes, retained messages, queues
and the store. Hooks and access rules that are asked about a client's request see what the client says.
"""
from typing import Final

from emqtwist.core.aliases import Outgoing
from emqtwist.core.connection import Connection
from emqtwist.core.message import QOS_BITS, Message
from emqtwist.core.prefixes import canonical, parse_prefix
from emqtwist.mqtt.constants import MQTT_5_0
from emqtwist.mqtt.encoder import publish_head
from emqtwist.mqtt.errors import MQTTError, NotAuthorized, TopicFilterInvalid
from emqtwist.mqtt.packets import Connect
from emqtwist.mqtt.topics import check_topic_name

NO_PLACE: Final = set("/+#\0")  # what would make more of a name than a part of a level


def refusal(connection: Connection, packet: Connect) -> MQTTError | None:
    """Give the client, which is known now, the mountpoint that its listener has; why that cannot be, or None."""
    try:
        _mount(connection, packet)
    except MQTTError as error:
        return error
    return None


def _mount(connection: Connection, packet: Connect) -> None:
    mount = filled(connection.door.terms.mountpoint, connection.client_id, packet.user_name)
    if packet.will is not None:
        packet.will.topic_name = connection.broker.delayed.mounted(mount, packet.will.topic_name)
        check_topic_name(packet.will.topic_name, connection.broker.settings.max_topic_levels)
    connection.mount = mount
    most = 0 if connection.aliases is None else connection.aliases.maximum
    connection.aliases = Unmounting(mount, most, connection.version)


def filled(pattern: str, client_id: str, user_name: str | None) -> bytes:
    """`pattern` with the client's identifier for `%c` and its user name for `%u`; NotAuthorized where that is none."""
    first, *parts = pattern.split("%")
    text = first
    for part in parts:
        if part[:1] not in ("c", "u"):
            text += "%" + part
            continue
        name = client_id if part[:1] == "c" else user_name
        if not name or NO_PLACE.intersection(name):
            what = "client identifier" if part[:1] == "c" else "user name"
            raise NotAuthorized(f"the {what} cannot be a part of the topics here")
        text += name + part[1:]
    if text.startswith("$"):
        raise NotAuthorized("topics here cannot begin with $")
    return text.encode()


def mounted(mount: bytes, name: bytes) -> bytes:
    """A Topic Filter as the broker knows it: the mountpoint comes behind `$share/{group}/` and the like.

    What is none stays as it is, for those who check it.
    """
    try:
        prefix = parse_prefix(canonical(name))
    except TopicFilterInvalid:
        return name
    if not name or (prefix is not None and not prefix.topic_filter):
        return name
    if prefix is None:
        return mount + name
    return prefix.name[:len(prefix.name) - len(prefix.topic_filter)] + mount + prefix.topic_filter


def seen(mount: bytes, topic: bytes) -> bytes:
    """A topic, or a Topic Filter without prefix, as the client knows it."""
    return topic[len(mount):] if topic.startswith(mount) and len(topic) > len(mount) else topic


class Unmounting(Outgoing):
    """Takes the mountpoint off on the way to the client, of any version; those of 5.0 may have Topic Aliases besides."""

    __slots__ = ("_mount", "_properties")

    def __init__(self, mount: bytes, maximum: int, version: int) -> None:
        super().__init__(maximum)
        self._mount = mount
        self._properties = version == MQTT_5_0

    def encode(self, message: Message, first_byte: int, identifiers: tuple[int, ...], now: float, max_packet: int) -> bool:
        shown = self.shown(message)
        if self.maximum:
            return Outgoing.encode(self, shown, first_byte, identifiers, now, max_packet)
        if self._properties:
            return self._make(shown, shown.topic, 0, first_byte, identifiers, now) <= max_packet
        self.head, self.tail = publish_head(first_byte, shown.topic, len(shown.payload)), b""
        return len(self.head) + len(shown.payload) + (2 if first_byte & QOS_BITS else 0) <= max_packet

    def shown(self, message: Message) -> Message:
        topic = seen(self._mount, message.topic)
        return Message(topic, message.payload, message.qos, message.retain, message.properties, message.expires_at,
                       message.publisher)
