"""MQTT 5.0 properties in the form of paho-mqtt, which aiomqtt shares."""
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.integration.clients.vocabulary import Message, Opening

VERSIONS = {
    "3.1": MQTTProtocolVersion.MQTTv31, "3.1.1": MQTTProtocolVersion.MQTTv311, "5.0": MQTTProtocolVersion.MQTTv5,
}


def connect_properties(opening: Opening) -> Properties | None:
    if opening.version != "5.0":
        return None
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 0 if opening.clean else opening.expiry
    return properties


def publish_properties(message: Message, version: str, packet_type: int = PacketTypes.PUBLISH) -> Properties | None:
    if version != "5.0":
        return None
    properties = Properties(packet_type)
    if message.content_type is not None:
        properties.ContentType = message.content_type
    if message.response_topic is not None:
        properties.ResponseTopic = message.response_topic
    if message.correlation_data is not None:
        properties.CorrelationData = message.correlation_data
    if message.message_expiry_interval is not None:
        properties.MessageExpiryInterval = message.message_expiry_interval
    if message.user_properties:
        properties.UserProperty = list(message.user_properties)
    return properties


def received(topic: str, payload: bytes | bytearray, qos: int, retain: bool, properties: Properties | None) -> Message:
    return Message(
        topic=topic, payload=bytes(payload), qos=qos, retain=bool(retain),
        content_type=getattr(properties, "ContentType", None),
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation_data=getattr(properties, "CorrelationData", None),
        message_expiry_interval=getattr(properties, "MessageExpiryInterval", None),
        user_properties=tuple(getattr(properties, "UserProperty", ())),
    )
