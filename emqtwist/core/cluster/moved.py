"""The rows of a session on its way, as they stand in a frame.

A row has its number, by which the Packet Identifier follows, its state, whether it may have been sent to the client already, what
is delivered, and the name that the message has in the cluster where it may come to the other node by itself too.
"""
from typing import Any, Final

from emqtwist.core.cluster.frames import DATA, LIST, NUMBER, REST, TEXT, BadFrame
from emqtwist.core.cluster.origin import Origin
from emqtwist.core.group import SharedMessage
from emqtwist.core.message import NEVER, Delivery, Message
from emqtwist.core.records import STATE_RELEASED

Wire = tuple[Any, ...]
FLAG: Final = (bool,)
NO_ORIGIN: Final[Origin] = ("", 0)
TYPES: Final = (NUMBER, NUMBER, FLAG, NUMBER, LIST, DATA, DATA, NUMBER, FLAG, DATA, REST, TEXT, DATA, TEXT, NUMBER)


class Moved:
    """One row."""

    __slots__ = ("seq", "state", "sent", "delivery", "origin")

    def __init__(self, seq: int, state: int, sent: bool, delivery: Delivery, origin: Origin) -> None:
        self.seq = seq
        self.state = state
        self.sent = sent
        self.delivery = delivery
        self.origin = origin

    def wire(self, now: float) -> Wire:
        message, first_byte, identifiers, _ = self.delivery
        if self.state == STATE_RELEASED:
            return self.seq, self.state, True, first_byte, (), b"", b"", 2, False, b"", None, "", b"", "", 0
        rest = None if message.expires_at == NEVER else message.expires_at - now
        return (self.seq, self.state, self.sent, first_byte, identifiers, message.topic, message.payload, message.qos,
                bool(message.retain), message.properties, rest, message.publisher, message.group(), *self.origin)

    def size(self) -> int:
        return self.delivery[0].size


def row_of(wire: object, now: float) -> Moved:
    """What stands in a frame; BadFrame when it is no row."""
    if not isinstance(wire, tuple) or len(wire) != len(TYPES):
        raise BadFrame("ROWS: not a row")
    for value, types in zip(wire, TYPES, strict=True):
        if type(value) not in types:
            raise BadFrame(f"ROWS: a field of type {type(value).__name__}")
    (seq, state, sent, first_byte, identifiers, topic, payload, qos, retain, properties, rest, publisher, group, node,
     number) = wire
    message = Message(topic, payload, qos, retain, properties, NEVER if rest is None else now + rest, publisher)
    if group:
        message = SharedMessage(message, group)
    return Moved(seq, state, sent, (message, first_byte, identifiers, seq), (node, number))
