"""A broker that cannot keep up: it takes nobody new, slows publishers down, and passes no QoS 0 on, until it can."""
from typing import Final

from emqtwist.core.alarm import CRITICAL
from emqtwist.core.broker import Broker
from emqtwist.core.causes import OVERLOAD
from emqtwist.core.connection import Connection
from emqtwist.core.message import NEVER, Message
from emqtwist.mqtt.constants import USE_ANOTHER_SERVER
from emqtwist.mqtt.errors import MQTTError, QuotaExceeded
from emqtwist.mqtt.packets import Connect, Publish
from emqtwist.mqtt.properties import Properties

ALARM: Final = "overload"
TITLE: Final = "the broker cannot keep up"


def begin(broker: Broker, words: str) -> None:
    """From now on it is overloaded; `words` say why."""
    broker.circle.set_overloaded(True)
    broker.metrics.overloads += 1
    broker.alarms.raise_(ALARM, CRITICAL, TITLE, words)


def end(broker: Broker) -> None:
    """All is as before."""
    broker.circle.set_overloaded(False)
    broker.alarms.clear(ALARM)


def check(connection: Connection, packet: Connect, answer: Properties) -> None:
    """A step of CONNECT: nobody comes in, whether it was here before or not."""
    broker = connection.broker
    if not broker.circle.overloaded:
        return
    if broker.settings.server_reference:
        raise MQTTError("the broker is overloaded", USE_ANOTHER_SERVER)
    raise QuotaExceeded("the broker is overloaded")


def shed(connection: Connection, packet: Publish) -> bool:
    """Whether a PUBLISH goes no further: at QoS 0, and not to be retained. Its Topic Alias counts."""
    broker = connection.broker
    if not broker.circle.overloaded or packet.qos or packet.retain:
        return False
    message = Message(packet.topic_name, packet.payload, 0, False, b"", NEVER, connection.client_id)
    broker.circle.lose(message, OVERLOAD)
    return True
