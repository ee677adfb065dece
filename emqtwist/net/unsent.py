"""Connections whose clients do not take at once what they are sent."""
from collections.abc import Iterator
from typing import Final

from twisted.internet.tcp import Connection as StockTransport

from emqtwist.core.connection import Connection
from emqtwist.net.batching import SocketSet, Stream
from emqtwist.net.protocol import MQTTProtocol
from emqtwist.net.turns import Turns

LAYERS: Final = 2  # that stand before MQTT at most: TLS, WebSocket


def unsent(reactor: object, sockets: SocketSet | None, turns: Turns) -> Iterator[tuple[Connection, int]]:
    """Each connection of this broker for which bytes wait, with how many. Those that nothing waits for are not looked at."""
    if sockets is not None:
        for fd in sockets.writing:
            member = sockets.members.get(fd)
            if isinstance(member, Stream) and (protocol := innermost(member.protocol)) is not None:
                yield protocol.connection, member.unsent
    for transport in getattr(reactor, "getWriters", list)():
        if isinstance(transport, StockTransport):
            protocol = innermost(transport.protocol)
            if protocol is not None and protocol.factory.turns is turns:
                yield protocol.connection, len(transport.dataBuffer) - transport.offset + transport._tempDataLen


def innermost(protocol: object) -> MQTTProtocol | None:
    """The protocol of MQTT behind the layers that stand before it; None while there is none. Layers call it `protocol`.

    The reactor's other protocols have other ideas of what that is: for Twisted's own of TLS it is the same one again.
    """
    for _ in range(LAYERS):
        if isinstance(protocol, MQTTProtocol):
            break
        protocol = getattr(protocol, "protocol", None)
    return protocol if isinstance(protocol, MQTTProtocol) else None
