"""Connections whose clients do not take at once what they are sent."""
from collections.abc import Iterator

from twisted.internet.tcp import Connection as StockTransport

from emqtwist.core.connection import Connection
from emqtwist.net.batching import SocketSet, Stream
from emqtwist.net.protocol import MQTTProtocol
from emqtwist.net.turns import Turns


def unsent(reactor: object, sockets: SocketSet | None, turns: Turns) -> Iterator[tuple[Connection, int]]:
    """Each connection of this broker for which bytes wait, with how many. Those that nothing waits for are not looked at."""
    if sockets is not None:
        for fd in sockets.writing:
            member = sockets.members.get(fd)
            if isinstance(member, Stream) and isinstance(member.protocol, MQTTProtocol):
                yield member.protocol.connection, member.unsent
    for transport in getattr(reactor, "getWriters", list)():
        if isinstance(transport, StockTransport):
            protocol = transport.protocol
            if isinstance(protocol, MQTTProtocol) and protocol.factory.turns is turns:
                yield protocol.connection, len(transport.dataBuffer) - transport.offset + transport._tempDataLen
