"""A Will at CONNECT: whether the client may publish to its topic. Rules are asked first, then functions at client.authorize."""
from collections.abc import Callable
from typing import Final, cast

from emqtwist.core import causes
from emqtwist.core.acl import CANNOT_TELL, Ruling, denial
from emqtwist.core.acl import PUBLISH as TO_PUBLISH
from emqtwist.core.chain import ask
from emqtwist.core.connection import Connection
from emqtwist.core.hooks import CLIENT_AUTHORIZE, PUBLISH, Folded
from emqtwist.core.link import Link
from emqtwist.core.reserved import is_reserved
from emqtwist.core.ruling import claimed
from emqtwist.mqtt.constants import MQTT_5_0, SERVER_UNAVAILABLE
from emqtwist.mqtt.errors import MQTTError, NotAuthorized
from emqtwist.mqtt.packets import Connect
from emqtwist.mqtt.properties import Properties

NO_WILL: Final = "this client may not publish to the topic of its Will"
RESERVED: Final = "the topic of the Will is reserved for the broker"

Open = Callable[[Connection, Connect, Properties], None]


def check_will(connection: Connection, packet: Connect, answer: Properties, go_on: Open) -> None:
    """Go on, or refuse the client whose Will is not allowed."""
    acl = connection.broker.acl
    if packet.will is None:
        go_on(connection, packet, answer)
        return
    topic_name = connection.broker.delayed.meant(packet.will.topic_name)
    asking = _Asking(packet, topic_name, answer, go_on)
    if acl is not None:
        client = claimed(connection, packet.user_name)
        connection.wait(acl.judge(client, TO_PUBLISH, topic_name), asking.judged)
    elif is_reserved(topic_name):
        connection.refuse(NotAuthorized(RESERVED))
    else:
        asking.ask_hooks(connection)


class _Asking:
    """A CONNECT whose Will, for `topic_name`, is decided upon."""

    __slots__ = ("_packet", "_topic_name", "_answer", "_go_on")

    def __init__(self, packet: Connect, topic_name: bytes, answer: Properties, go_on: Open) -> None:
        self._packet = packet
        self._topic_name = topic_name
        self._answer = answer
        self._go_on = go_on

    def judged(self, link: Link, ruling: Ruling) -> None:
        connection, rule = cast(Connection, link), ruling.rule
        if not rule.allow:
            connection.broker.metrics.deny(causes.WILL_DENIED)
            if rule.failed:
                error = MQTTError(CANNOT_TELL, SERVER_UNAVAILABLE)
            else:
                error = denial(connection.broker.settings, NO_WILL, rule)
                if connection.version != MQTT_5_0:
                    error = NotAuthorized(error.reason)  # others know of no more reasons
            connection.refuse(error)
        elif is_reserved(self._topic_name) and not rule.opens():
            connection.refuse(NotAuthorized(RESERVED))
        else:
            self.ask_hooks(connection)

    def ask_hooks(self, connection: Connection) -> None:
        if not connection.broker.hooks.at[CLIENT_AUTHORIZE]:
            self._go_on(connection, self._packet, self._answer)
            return
        arguments = claimed(connection, self._packet.user_name), PUBLISH, self._topic_name
        ask(connection, CLIENT_AUTHORIZE, arguments, True, self.decided)

    def decided(self, connection: Connection, allowed: Folded[bool]) -> None:
        if allowed.value:
            self._go_on(connection, self._packet, self._answer)
        else:
            connection.broker.metrics.deny(causes.WILL_DENIED)
            connection.refuse(NotAuthorized(NO_WILL))
