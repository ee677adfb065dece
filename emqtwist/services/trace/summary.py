"""What a trace says of a packet: its fields by name, without what could be a secret.

Passwords, Authentication Data, User Properties and Correlation Data are never among them. Of a payload there is the length;
the event that holds the fields has its first bytes besides, for the traces that were asked for them.
"""
from collections.abc import Callable
from typing import Any, Final, cast

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    Acknowledgement,
    AliasedPublish,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from emqtwist.mqtt.properties import Properties

Fields = dict[str, object]

MOST_SHOWN: Final = 8  # Topic Filters or reason codes of one packet
VERSIONS: Final = {c.MQTT_3_1: "3.1", c.MQTT_3_1_1: "3.1.1", c.MQTT_5_0: "5.0"}
SHOWN: Final = ("authentication_method", "session_expiry_interval", "receive_maximum", "maximum_packet_size",
                "topic_alias_maximum", "assigned_client_identifier", "server_keep_alive", "maximum_qos", "server_reference",
                "message_expiry_interval", "response_topic", "topic_alias", "reason_string")  # of the properties


def fields_of(packet: Packet, version: int, topic: bytes | None = None) -> Fields:
    """The fields; `topic` is that of a PUBLISH, which an alias may stand for, None when nobody knows it."""
    if packet.type == c.PUBLISH:
        return _publish(cast(Publish, packet), topic)
    make = MAKERS.get(packet.type)
    return {} if make is None else make(packet, version)


def text_of(name: bytes) -> str:
    """A topic, which need not be UTF-8 where it has not been checked yet."""
    return name.decode("utf-8", "backslashreplace")


def _publish(packet: Publish, topic: bytes | None) -> Fields:
    fields: Fields = {"dup": int(packet.dup), "qos": packet.qos, "retain": int(packet.retain)}
    if packet.qos:
        fields["packet_id"] = packet.packet_id
    fields["topic"] = None if topic is None else text_of(topic)
    fields["length"] = len(packet.payload)
    return fields | _properties(packet.properties) | _alias(packet)


def _alias(packet: Publish) -> Fields:
    return {"topic_alias": packet.topic_alias} if isinstance(packet, AliasedPublish) else {}


def _connect(packet: Connect, version: int) -> Fields:
    fields: Fields = {"version": VERSIONS.get(packet.version), "client_id": packet.client_id,
                      "clean_start": int(packet.clean_start), "keep_alive": packet.keep_alive}
    if packet.user_name is not None:
        fields["user_name"] = packet.user_name
    if packet.password is not None:
        fields["password"] = "given"
    if packet.will is not None:
        fields |= {"will_topic": text_of(packet.will.topic_name), "will_qos": packet.will.qos,
                   "will_retain": int(packet.will.retain), "will_length": len(packet.will.payload)}
    return fields | _properties(packet.properties)


def _connack(packet: Connack, version: int) -> Fields:
    fields: Fields = {"session_present": int(packet.session_present)}
    return fields | _reason(packet.reason_code, version) | _properties(packet.properties)


def _acknowledgement(packet: Acknowledgement, version: int) -> Fields:
    fields: Fields = {"packet_id": packet.packet_id}
    reason = _reason(packet.reason_code, version) if version == c.MQTT_5_0 else {}
    return fields | reason | _properties(packet.properties)


def _subscribe(packet: Subscribe, version: int) -> Fields:
    filters = [f"{text_of(topic_filter)} {_options(options)}" for topic_filter, options in packet.filters[:MOST_SHOWN]]
    return _some({"packet_id": packet.packet_id}, "filters", filters, len(packet.filters)) | _properties(packet.properties)


def _options(options: int) -> str:
    words = [f"qos={options & c.OPTION_QOS}"]
    if options & c.OPTION_NO_LOCAL:
        words.append("no_local")
    if options & c.OPTION_RETAIN_AS_PUBLISHED:
        words.append("retain_as_published")
    if options & c.OPTION_RETAIN_HANDLING:
        words.append(f"retain_handling={(options & c.OPTION_RETAIN_HANDLING) >> 4}")
    return ",".join(words)


def _unsubscribe(packet: Unsubscribe, version: int) -> Fields:
    filters = [text_of(topic_filter) for topic_filter in packet.filters[:MOST_SHOWN]]
    return _some({"packet_id": packet.packet_id}, "filters", filters, len(packet.filters))


def _codes(packet: Suback | Unsuback, version: int) -> Fields:
    codes = [_code(code) for code in packet.reason_codes[:MOST_SHOWN]]
    fields: Fields = {"packet_id": packet.packet_id}
    if codes:
        fields = _some(fields, "reason_codes", codes, len(packet.reason_codes))
    return fields | _properties(packet.properties)


def _some(fields: Fields, name: str, shown: list[str], count: int) -> Fields:
    fields[name] = shown
    if count > len(shown):
        fields["more"] = count - len(shown)
    return fields


def _explained(packet: Disconnect | Auth, version: int) -> Fields:
    reason = _reason(packet.reason_code, version) if version == c.MQTT_5_0 else {}
    return reason | _properties(packet.properties)


def _code(code: int) -> str:
    return f"0x{code:02X}"


def _reason(code: int, version: int) -> Fields:
    """A return code before 5.0 has no name of its own there."""
    if version != c.MQTT_5_0:
        return {"return_code": code}
    return {"reason_code": _code(code), **({"reason": c.REASON_NAMES[code]} if code else {})}


def _properties(properties: Properties | None) -> Fields:
    if properties is None:
        return {}
    return {name: value for name in SHOWN if (value := getattr(properties, name)) is not None}


MAKERS: Final[dict[int, Callable[[Any, int], Fields]]] = {
    c.CONNECT: _connect, c.CONNACK: _connack, c.PUBACK: _acknowledgement, c.PUBREC: _acknowledgement,
    c.PUBREL: _acknowledgement, c.PUBCOMP: _acknowledgement, c.SUBSCRIBE: _subscribe, c.SUBACK: _codes,
    c.UNSUBSCRIBE: _unsubscribe, c.UNSUBACK: _codes, c.DISCONNECT: _explained, c.AUTH: _explained,
}
