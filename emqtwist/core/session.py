"""A Session: what the broker knows of a client beyond its connection, and the QoS 1 and 2 flows towards it.

What finds no room in the window or the connection waits in the backlog. From the client, `received` holds the identifiers
of QoS 2 messages that were passed on already and wait for PUBREL: passing on at once keeps the order between messages, and
a duplicate is known by its identifier.
"""
from typing import Final

from emqtwist.core import causes
from emqtwist.core.aliases import Outgoing
from emqtwist.core.backlog import Backlog
from emqtwist.core.circle import Circle
from emqtwist.core.inflight import Inflight
from emqtwist.core.link import Link
from emqtwist.core.message import DUP_BIT, MQTT_5_BIT, NEVER, QOS_BITS, Delivery, Message
from emqtwist.core.subscriber import Subscriber, Subscription
from emqtwist.mqtt.constants import IMPLEMENTATION_SPECIFIC_ERROR, MQTT_5_0
from emqtwist.mqtt.errors import MQTTError, ProtocolError

QOS_1_BITS: Final = 2
QOS_2_BITS: Final = 4
PUBREL: Final = b"\x62\x02"


class Session(Subscriber):
    """State of one client; `link` is its connection, None while it is away.

    `expiry_interval` is in seconds, 0 when the session ends with its connection.
    """

    __slots__ = ("circle", "link", "expiry_interval", "subscriptions", "inflight", "backlog", "received")

    def __init__(self, client_id: str, circle: Circle) -> None:
        super().__init__(client_id)
        self.circle = circle
        self.link: Link | None = None
        self.expiry_interval = 0.0
        self.subscriptions: dict[bytes, Subscription] = {}
        self.inflight = Inflight()
        self.backlog: Backlog | None = None  # made when first needed: most sessions never let anything wait
        self.received: dict[int, None] = {}

    def attach(self, link: Link, window: int) -> None:
        """The client is here and lets `window` messages be in flight."""
        self.link = link
        self.shape = MQTT_5_BIT if link.version == MQTT_5_0 else 0
        self.inflight.window = window
        self.inflight.retries = self.circle.settings.retry_interval > 0 and link.version < MQTT_5_0

    def detach(self) -> None:
        self.link = self.direct = None

    def choke(self) -> None:
        """The connection takes no more for now: everything waits."""
        self.direct = None

    def redeliver(self) -> None:
        """Send again what is in flight, in its order, under its identifiers [MQTT-4.4.0-1], [MQTT-4.6.0-1]."""
        for packet_id in self.inflight.begin_resend():  # [MQTT-4.4.0-1] [MQTT-4.3.3-5]
            self.send_pubrel(packet_id)
        self.pump()  # [MQTT-4.4.0-1] [MQTT-4.3.2-3] [MQTT-4.3.3-3]

    def deliver(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        """Send `message` now, or let it wait; `first_byte` is that of its PUBLISH, without DUP."""
        link = self.link
        backlog = self.backlog
        if link is None or link.congested:
            self._wait((message, first_byte, identifiers))  # [MQTT-4.5.0-1] [MQTT3-3.1.2-5]
        elif not first_byte & QOS_BITS:
            if self.direct is not None:
                self._send_qos0(link, message, first_byte, identifiers)
            elif link.aliases is not None and (backlog is None or not backlog.qos0):
                self._send_aliased(link, link.aliases, (message, first_byte, identifiers))
            else:
                self._wait((message, first_byte, identifiers))
        elif self.inflight.room() <= 0 or (backlog is not None and backlog.queue):  # [MQTT-3.3.4-9] [MQTT-4.9.0-2]
            self._wait((message, first_byte, identifiers))
        else:
            self._send(link, (message, first_byte, identifiers))

    def room(self) -> int:
        """How many messages could be sent now; 0 while others wait."""
        if self.link is None or self.link.congested or self.queued():
            return 0
        return self.inflight.room()

    def refuses(self, message: Message) -> bool:
        if not self.expiry_interval or self.room() > 0:
            return False
        if self.backlog is None:
            self.backlog = Backlog(self.client_id, self.circle)
        return self.backlog.refuses(message.topic, message.size)

    def full(self, message: Message) -> bool:
        if self.room() > 0:
            return False
        if self.backlog is None:
            return self.circle.outgrows(message)
        return self.backlog.full(message.topic, message.size)

    def load(self) -> int:
        return len(self.inflight.held) + self.queued()

    def absent(self) -> bool:
        return self.link is None

    def broken(self, error: Exception) -> None:
        self.circle.observer.delivery_failed(self.client_id, error)
        if self.link is not None:
            self.link.fail(MQTTError("the broker could not serve this client", IMPLEMENTATION_SPECIFIC_ERROR))

    def queued(self) -> int:
        """How many messages wait."""
        return len(self.backlog.queue) if self.backlog is not None else 0

    def pump(self) -> None:
        """Send what waits, as far as the window and the connection allow."""
        link, inflight = self.link, self.inflight
        if link is None:
            return
        while inflight.room_to_resend() > 0 and not link.congested:
            packet_id, _ = inflight.resend.popitem()
            self._repeat(link, packet_id)
        if self.backlog is not None and not inflight.resend:
            self._send_waiting(link, self.backlog)
        waiting = link.congested or (self.backlog is not None and self.backlog.qos0 > 0)
        self.direct = None if waiting or link.aliases is not None else link  # QoS 0 must not overtake QoS 0
        if self.replays and self.room() > 0:
            self.circle.feed(self)

    def retry(self, before: float) -> None:
        """Send again what was sent by `before` and is not acknowledged: an option for clients older than 5.0."""
        for packet_id in [packet_id for packet_id, sent in self.inflight.sent_at.items() if sent <= before]:
            if self.link is not None and not self.link.congested:
                self._repeat(self.link, packet_id)

    def puback(self, packet_id: int, reason_code: int) -> None:
        """The client has it, or refused it: with an error it is not sent again either [MQTT-4.4.0-2]."""
        held = self.inflight.held.get(packet_id)
        if packet_id not in self.inflight.held:
            return
        if held is None or held[1] & QOS_BITS != QOS_1_BITS:
            raise ProtocolError(f"PUBACK for packet identifier {packet_id}, which was sent with QoS 2")
        self._finish(packet_id, reason_code)  # [MQTT-4.3.2-3] [MQTT-4.4.0-2]

    def pubrec(self, packet_id: int, reason_code: int) -> bool:
        """Whether the identifier is in use and PUBREL is owed [MQTT-4.3.3-4]."""
        if packet_id not in self.inflight.held:
            return False
        held = self.inflight.held[packet_id]
        if held is not None and held[1] & QOS_BITS != QOS_2_BITS:
            raise ProtocolError(f"PUBREC for packet identifier {packet_id}, which was sent with QoS 1")
        if reason_code >= 0x80:
            self._finish(packet_id, reason_code)  # [MQTT-4.4.0-2]
            return False
        self.inflight.released(packet_id)  # [MQTT-4.3.3-4]
        return True

    def pubcomp(self, packet_id: int) -> None:
        if packet_id in self.inflight.held and self.inflight.held[packet_id] is None:
            self._finish(packet_id, 0)  # [MQTT-4.3.3-5]

    def send_pubrel(self, packet_id: int) -> None:
        if self.link is not None:
            self.link.send(PUBREL + packet_id.to_bytes(2, "big"))  # [MQTT-3.3.4-10] [MQTT-4.9.0-3]
            if self.inflight.retries:
                self.inflight.note_sent(packet_id, self.circle.turn.now)

    def end(self) -> None:
        """Take nothing more; the messages that never reached the client are counted."""
        lost = self.inflight.unfinished()
        if self.backlog is not None:
            lost += self.backlog.clear()
        self.circle.metrics.drop(causes.SESSION_ENDED, lost)
        self.replays.clear()

    def _wait(self, delivery: Delivery) -> None:
        if not delivery[1] & QOS_BITS and not self.circle.settings.queue.store_qos0:
            self.circle.metrics.drop(causes.QOS_0_NOT_STORED)
            return
        if self.backlog is None:
            self.backlog = Backlog(self.client_id, self.circle)
        self.backlog.put(delivery, self.expiry_interval > 0)

    def _send_waiting(self, link: Link, backlog: Backlog) -> None:
        while backlog.queue and not link.congested:
            message, first_byte, identifiers = backlog.queue.peek()
            if first_byte & QOS_BITS and self.inflight.room() <= 0:
                return
            backlog.take()
            if message.expires_at <= self.circle.turn.now:  # [MQTT-3.3.2-5]
                self.circle.metrics.drop(causes.EXPIRED)
            elif first_byte & QOS_BITS:
                self._send(link, (message, first_byte, identifiers))
            else:
                self._send_qos0(link, message, first_byte, identifiers)

    def _send_qos0(self, link: Link, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        if link.aliases is not None:
            self._send_aliased(link, link.aliases, (message, first_byte, identifiers))
            return
        message.encode(first_byte | self.shape, identifiers, self.circle.turn.now)
        if len(message.head) > link.max_packet:  # [MQTT-3.1.2-24]
            self.circle.metrics.drop(causes.TOO_LARGE_FOR_CLIENT)  # as if it had been sent [MQTT-3.1.2-25]
        else:
            link.send(message.head)

    def _send(self, link: Link, delivery: Delivery) -> None:
        if link.aliases is not None:
            self._send_aliased(link, link.aliases, delivery)
            return
        message = delivery[0]
        shape = delivery[1] | self.shape
        if shape != message.shape or message.expires_at != NEVER or delivery[2]:
            message.encode(shape, delivery[2], self.circle.turn.now)
        if len(message.head) + 2 + len(message.tail) > link.max_packet:  # [MQTT-3.1.2-24]
            self.circle.metrics.drop(causes.TOO_LARGE_FOR_CLIENT)  # as if it had been sent [MQTT-3.1.2-25]
        else:
            self._write(link, message, self.inflight.add(delivery))

    def _repeat(self, link: Link, packet_id: int) -> None:
        """Send again what this identifier stands for; DUP is set [MQTT-3.3.1-1]."""
        held = self.inflight.held[packet_id]
        if held is None:
            self.send_pubrel(packet_id)
            return
        if link.aliases is not None:
            self._send_aliased(link, link.aliases, held, packet_id)
            return
        message = held[0]
        message.encode(held[1] | DUP_BIT | self.shape, held[2], self.circle.turn.now)  # [MQTT-3.3.1-1] [MQTT-4.3.3-7]
        if len(message.head) + 2 + len(message.tail) > link.max_packet:
            self.circle.metrics.drop(causes.TOO_LARGE_FOR_CLIENT)
            self.inflight.remove(packet_id)
        else:
            self._write(link, message, packet_id)

    def _send_aliased(self, link: Link, aliases: Outgoing, delivery: Delivery, packet_id: int = 0) -> None:
        """Send with the Topic Aliases of this connection; `packet_id` is that of a message sent before, DUP is set then."""
        message, first_byte, identifiers = delivery
        if packet_id:
            first_byte |= DUP_BIT  # [MQTT-3.3.1-1]
        if not aliases.encode(message, first_byte, identifiers, self.circle.turn.now, link.max_packet):  # [MQTT-3.1.2-24]
            self.circle.metrics.drop(causes.TOO_LARGE_FOR_CLIENT)  # as if it had been sent [MQTT-3.1.2-25]
            if packet_id:
                self.inflight.remove(packet_id)
            return
        if not link.out:
            link.turn.add(link)
        if first_byte & QOS_BITS:
            packet_id = packet_id or self.inflight.add(delivery)
            link.out += (aliases.head, packet_id.to_bytes(2, "big"), aliases.tail, message.payload)
        else:
            link.out += (aliases.head, message.payload)

    def _write(self, link: Link, message: Message, packet_id: int) -> None:
        out = link.out
        if not out:
            link.turn.add(link)
        out += (message.head, packet_id.to_bytes(2, "big"), message.tail)
        if self.inflight.retries:
            self.inflight.note_sent(packet_id, self.circle.turn.now)

    def _finish(self, packet_id: int, reason_code: int) -> None:
        self.inflight.remove(packet_id)
        if reason_code >= 0x80:
            self.circle.metrics.drop(causes.REFUSED_BY_CLIENT)  # nobody else of a group gets it [MQTT-4.8.2-6]
        if self.backlog is not None or self.inflight.resend or self.replays:
            self.pump()
