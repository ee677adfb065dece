"""The bytes that a message becomes."""
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emqtwist.core.message import MQTT_5_BIT, NO_IDENTIFIERS, PUBLISH_BYTE, Message
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.packets import Publish


def expiry_told(message: Message, now: float) -> int | None:
    """The Message Expiry Interval that a 5.0 subscriber gets to see."""
    message.encode(PUBLISH_BYTE | MQTT_5_BIT, NO_IDENTIFIERS, now)
    [publish] = Decoder(1000, 5).feed(message.head)
    assert isinstance(publish, Publish)
    assert publish.properties is not None
    return publish.properties.message_expiry_interval


@example(now=24.4, interval=1000, waited=0)  # 24.4 + 1000 - 24.4 is more than 1000
@given(now=st.floats(0, 1e8), interval=st.integers(1, 0xFFFFFFFF), waited=st.integers(0, 1000))
@pytest.mark.mqtt5("3.3.2-6")
def test_the_message_expiry_interval_is_what_was_said_minus_what_it_waited_mqtt_3_3_2_6(
        now: float, interval: int, waited: int) -> None:
    message = Message(b"a", b"", expires_at=now + interval)
    assert expiry_told(message, now + waited) == max(0, interval - waited)
