"""A Will at CONNECT: whether the client may publish to its topic. Rules are asked first, then functions at client.authorize."""
from collections.abc import Callable

from emqtwist.core import causes
from emqtwist.core.chain import ask
from emqtwist.core.connection import Connection
from emqtwist.core.hooks import CLIENT_AUTHORIZE, PUBLISH, Folded
from emqtwist.core.ruling import NO_WILL, claimed, refusal
from emqtwist.mqtt.errors import NotAuthorized
from emqtwist.mqtt.packets import Connect
from emqtwist.mqtt.properties import Properties

Open = Callable[[Connection, Connect, Properties], None]


def check_will(connection: Connection, packet: Connect, answer: Properties, go_on: Open) -> None:
    """Go on, or refuse the client whose Will is not allowed."""
    will = packet.will
    error = None if will is None else refusal(connection, packet.user_name, will)
    if error is not None:
        connection.refuse(error)
    elif will is None or not connection.broker.hooks.at[CLIENT_AUTHORIZE]:
        go_on(connection, packet, answer)
    else:
        arguments = claimed(connection, packet.user_name), PUBLISH, will.topic_name
        ask(connection, CLIENT_AUTHORIZE, arguments, True, _Asking(packet, answer, go_on).decided)


class _Asking:
    """A CONNECT whose Will is decided upon."""

    __slots__ = ("_packet", "_answer", "_go_on")

    def __init__(self, packet: Connect, answer: Properties, go_on: Open) -> None:
        self._packet = packet
        self._answer = answer
        self._go_on = go_on

    def decided(self, connection: Connection, allowed: Folded[bool]) -> None:
        if allowed.value:
            self._go_on(connection, self._packet, self._answer)
        else:
            connection.broker.metrics.deny(causes.WILL_DENIED)
            connection.refuse(NotAuthorized(NO_WILL))
