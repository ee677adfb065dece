"""Packets have no `==`; here they are told apart by their class and their fields."""
from emqtwist.mqtt import packets as p
from emqtwist.mqtt.properties import PROPERTIES, Properties

ACKNOWLEDGEMENT = ("packet_id", "reason_code", "properties")
FIELDS: dict[type, tuple[str, ...]] = {
    p.Connect: ("version", "client_id", "clean_start", "keep_alive", "user_name", "password", "will", "bridge",
                "properties"),
    p.Connack: ("session_present", "reason_code", "properties"),
    p.Publish: ("topic_name", "payload", "qos", "retain", "dup", "packet_id", "properties"),
    p.Puback: ACKNOWLEDGEMENT,
    p.Pubrec: ACKNOWLEDGEMENT,
    p.Pubrel: ACKNOWLEDGEMENT,
    p.Pubcomp: ACKNOWLEDGEMENT,
    p.Subscribe: ("packet_id", "filters", "properties"),
    p.Suback: ("packet_id", "reason_codes", "properties"),
    p.Unsubscribe: ("packet_id", "filters", "properties"),
    p.Unsuback: ("packet_id", "reason_codes", "properties"),
    p.Pingreq: (),
    p.Pingresp: (),
    p.Disconnect: ("reason_code", "properties"),
    p.Auth: ("reason_code", "properties"),
    p.Will: ("topic_name", "payload", "qos", "retain", "properties"),
    Properties: tuple(row.name for row in PROPERTIES),
}


def fields(value: object) -> object:
    """What a packet, Will or Properties holds: the class's name and its fields. Anything else as it is."""
    if isinstance(value, p.AliasedPublish):  # which packets with an alias have Properties is the decoder's business
        held = value.properties or properties(topic_alias=value.topic_alias)
        value = p.Publish(value.topic_name, value.payload, value.qos, value.retain, value.dup, value.packet_id, held)
    names = FIELDS.get(type(value))
    if names is None:
        return value
    return (type(value).__name__, *[(name, fields(getattr(value, name))) for name in names])


def properties(**values: object) -> Properties:
    """Properties with these values."""
    made = Properties()
    for name, value in values.items():
        setattr(made, name, value)
    return made
