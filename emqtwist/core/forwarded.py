"""Checks of the properties that PUBLISH and Will share."""
from emqtwist.mqtt.errors import PayloadFormatInvalid, ProtocolError, TopicNameInvalid
from emqtwist.mqtt.properties import Properties
from emqtwist.mqtt.topics import check_topic_name


def check_forwarded(properties: Properties, payload: bytes, max_levels: int) -> None:
    """Raise when the Response Topic is no Topic Name, or the payload not the UTF-8 that the properties say it is."""
    if properties.response_topic is not None:
        try:
            check_topic_name(properties.response_topic.encode(), max_levels)
        except TopicNameInvalid as no_name:
            raise ProtocolError(f"Response Topic: {no_name.reason}") from no_name  # [MQTT-3.3.2-14]
    if properties.payload_format_indicator:
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            raise PayloadFormatInvalid(f"the payload is not the UTF-8 that its indicator says: byte {error.start}") from error
