"""Topic Filters among the words of a command."""
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter


def topic_filter_of(word: str) -> bytes:
    """Raises Refused for what is none."""
    topic_filter = word.encode()
    try:
        check_topic_filter(topic_filter, 0)
    except MQTTError as error:
        raise Refused(f"Error: {error.reason}") from None
    return topic_filter
