"""SUBSCRIBE and UNSUBSCRIBE where somebody is asked whether the client may. What follows is `core.subscribing`."""
from collections.abc import Callable

from emqtwist.core.chain import ask
from emqtwist.core.connection import Connection
from emqtwist.core.hooks import CLIENT_AUTHORIZE, CLIENT_SUBSCRIBE, CLIENT_UNSUBSCRIBE, SUBSCRIBE, Folded
from emqtwist.mqtt.packets import Subscribe, Unsubscribe

Filters = list[tuple[bytes, int]]


class Subscribing:
    """`make` is called with the packet, the filters as they are now, and whether each is allowed."""

    __slots__ = ("_packet", "_filters", "_allowed", "_asking", "_waits", "_make")

    def __init__(self, packet: Subscribe, make: Callable[[Connection, Subscribe, Filters, list[bool]], None]) -> None:
        self._packet = packet
        self._filters = packet.filters
        self._allowed: list[bool] = []
        self._asking = False
        self._waits = False
        self._make = make

    def begin(self, connection: Connection) -> None:
        ask(connection, CLIENT_SUBSCRIBE, (connection.client_id, connection.user_name), self._filters, self._changed)

    def _changed(self, connection: Connection, folded: Folded[Filters]) -> None:
        self._filters = folded.value
        if folded.stopped:
            self._allowed = [False] * len(self._filters)
        self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        """Ask for one filter after the other; a loop, as there may be thousands."""
        while len(self._allowed) < len(self._filters):
            self._asking = True
            topic_filter = self._filters[len(self._allowed)][0]
            ask(connection, CLIENT_AUTHORIZE, (connection.client(), SUBSCRIBE, topic_filter), True, self._decided)
            if self._asking:
                self._waits = True
                return
        self._make(connection, self._packet, self._filters, self._allowed)

    def _decided(self, connection: Connection, allowed: Folded[bool]) -> None:
        self._allowed.append(allowed.value)
        self._asking = False
        if self._waits:
            self._waits = False
            self._go_on(connection)


class Unsubscribing:
    """`make` is called with the packet, the filters as they are now, and whether the whole was stopped."""

    __slots__ = ("_packet", "_filters", "_make")

    def __init__(self, packet: Unsubscribe, make: Callable[[Connection, Unsubscribe, list[bytes], bool], None]) -> None:
        self._packet = packet
        self._filters = packet.filters
        self._make = make

    def begin(self, connection: Connection) -> None:
        ask(connection, CLIENT_UNSUBSCRIBE, (connection.client_id, connection.user_name), self._filters, self._changed)

    def _changed(self, connection: Connection, folded: Folded[list[bytes]]) -> None:
        self._make(connection, self._packet, folded.value, folded.stopped)
