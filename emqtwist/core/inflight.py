"""What was sent to a client at QoS 1 and 2 and is not acknowledged, in the order it was sent."""
from typing import Final

from emqtwist.core.message import Delivery
from emqtwist.mqtt.constants import MAX_PACKET_ID


def identifier_of(row: int) -> int:
    """The Packet Identifier of a row: stored with it, so that it is the same after a restart."""
    return (row - 1) % MAX_PACKET_ID + 1


# What most sessions have of these all their life: one of each for all is never added to.
NOTHING: Final[dict[int, None]] = {}
NEVER_SENT: Final[dict[int, float]] = {}


class Inflight:
    """Packet Identifier -> Delivery until PUBACK or PUBREC, None from PUBREC until PUBCOMP.

    `window` is how many may be unacknowledged on this connection: the client's Receive Maximum or our own bound. After a
    resume, `resend` holds those that were not yet sent again, the next one last; they do not count against the window
    [MQTT-4.9.0-1]. `sent_at` (identifier -> monotonic seconds, oldest first) is kept only where `retries` is set. `watched` says
    that more is to be done than to send and to forget: messages are sent again, or somebody looks at them.
    """

    __slots__ = ("held", "window", "resend", "retries", "watched", "sent_at", "_last_id")

    def __init__(self) -> None:
        self.held: dict[int, Delivery | None] = {}
        self.window = 0
        self.resend: dict[int, None] = NOTHING
        self.retries = False
        self.watched = False
        self.sent_at: dict[int, float] = NEVER_SENT
        self._last_id = 0

    def room(self) -> int:
        """How many new ones may be sent now; none before all is sent again."""
        return 0 if self.resend else self.window - len(self.held)  # [MQTT-4.9.0-2]

    def room_to_resend(self) -> int:
        return self.window - len(self.held) + len(self.resend) if self.resend else 0

    def add(self, delivery: Delivery) -> int:
        """A fresh Packet Identifier under which `delivery` is held [MQTT-2.2.1-4]; a row of the store has its own."""
        if delivery[3]:
            packet_id = (delivery[3] - 1) % MAX_PACKET_ID + 1  # as `identifier_of`, for each message
            self.held[packet_id] = delivery
            return packet_id
        packet_id = self._last_id % MAX_PACKET_ID + 1  # [MQTT-2.2.1-4]
        while packet_id in self.held:  # [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]
            packet_id = packet_id % MAX_PACKET_ID + 1
        self._last_id = packet_id
        self.held[packet_id] = delivery  # [MQTT-4.3.2-3] [MQTT-4.3.3-3]
        return packet_id

    def taken(self, row: int) -> bool:
        """Whether the identifier of this row is still another's, 65,535 rows before it."""
        return row > 0 and (row - 1) % MAX_PACKET_ID + 1 in self.held

    def remove(self, packet_id: int) -> None:
        """The flow ended: its identifier and its place in the window are free."""
        del self.held[packet_id]
        if self.resend:
            self.resend.pop(packet_id, None)
        if self.retries:
            self.sent_at.pop(packet_id, None)

    def released(self, packet_id: int) -> None:
        """PUBREC came: the message is the client's, only the identifier is in use, and last in order [MQTT-4.6.0-4]."""
        del self.held[packet_id]
        self.held[packet_id] = None  # [MQTT-4.3.3-6] [MQTT-4.6.0-4]
        self.resend.pop(packet_id, None)

    def note_sent(self, packet_id: int, now: float) -> None:
        if self.sent_at is NEVER_SENT:
            self.sent_at = {}
        self.sent_at.pop(packet_id, None)
        self.sent_at[packet_id] = now

    def begin_resend(self) -> list[int]:
        """Every Delivery is to be sent again; the identifiers that wait for PUBCOMP instead."""
        self.sent_at.clear()
        if not self.held:
            self.resend.clear()
            return []
        # [MQTT-4.6.0-1]
        self.resend = dict.fromkeys([packet_id for packet_id in reversed(self.held) if self.held[packet_id] is not None])
        return [packet_id for packet_id, delivery in self.held.items() if delivery is None]

    def unfinished(self) -> int:
        """How many messages the client has not said to have."""
        return len([delivery for delivery in self.held.values() if delivery is not None])
