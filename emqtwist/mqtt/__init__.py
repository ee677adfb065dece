"""The wire of MQTT 3.1, 3.1.1 and 5.0: control packets, bytes to packets, packets to bytes, topics."""
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode, encode_within, publish_head
from emqtwist.mqtt.errors import MalformedPacket, MQTTError, PacketTooLarge, ProtocolError
from emqtwist.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from emqtwist.mqtt.properties import Properties
from emqtwist.mqtt.topics import check_topic_filter, check_topic_name, matches, parse_share

__all__ = [
    "Auth", "Connack", "Connect", "Decoder", "Disconnect", "MQTTError", "MalformedPacket", "Packet", "PacketTooLarge",
    "Pingreq", "Pingresp", "Properties", "ProtocolError", "Puback", "Pubcomp", "Publish", "Pubrec", "Pubrel", "Suback",
    "Subscribe", "Unsuback", "Unsubscribe", "Will", "check_topic_filter", "check_topic_name", "encode", "encode_within",
    "matches", "parse_share", "publish_head",
]
