"""A Session: what the broker knows of a client beyond its connection, and the QoS 1 and 2 flows towards it.

What finds no room in the window or the connection waits in the backlog. From the client, `received` holds the identifiers
of QoS 2 messages that wait for PUBREL: they were passed on at once, which keeps the order, and a duplicate is known by it.
"""
from typing import Final

from emqtwist.core import causes
from emqtwist.core.aliases import Outgoing
from emqtwist.core.backlog import Backlog
from emqtwist.core.circle import Circle
from emqtwist.core.gate import Gate
from emqtwist.core.hooks import MESSAGE_ACKED, MESSAGE_DELIVERED
from emqtwist.core.inflight import Inflight
from emqtwist.core.link import Link
from emqtwist.core.message import DUP_BIT, MQTT_5_BIT, NEVER, QOS_1_BITS, QOS_2_BITS, QOS_BITS, Delivery, Message
from emqtwist.core.move import Move
from emqtwist.core.subscriber import Subscriber, Subscription
from emqtwist.core.window import send_run
from emqtwist.mqtt.constants import IMPLEMENTATION_SPECIFIC_ERROR, MQTT_5_0, PUBACK, PUBCOMP, PUBREC
from emqtwist.mqtt.constants import PUBREL as PUBREL_TYPE
from emqtwist.mqtt.errors import MQTTError, ProtocolError

PUBREL: Final = b"\x62\x02"


class Session(Subscriber):
    """State of one client; `link` is its connection, None while it is away.

    `expiry_interval` is in seconds, 0 when the session ends with its connection. `opener` is the connection that has it, or
    has asked for it. `created_at` is when it began, or came from the store. `gate` is there while what waits may not be for the
    client any more; it had all that is there by what was `judged`. Of the sessions that its client has in a cluster, that of the
    highest `epoch` is the one; `move` is there while it goes from one node to another.
    """

    __slots__ = ("circle", "user_name", "link", "opener", "expiry_interval", "subscriptions", "inflight", "backlog", "received",
                 "created_at", "gate", "judged", "epoch", "move")

    def __init__(self, client_id: str, circle: Circle) -> None:
        Subscriber.__init__(self, client_id)
        self.circle = circle
        self.user_name: str | None = None  # of the client that had it last
        self.link: Link | None = None
        self.opener: Link | None = None
        self.expiry_interval = 0.0
        self.created_at = circle.turn.now
        self.subscriptions: dict[bytes, Subscription] = {}
        self.inflight = Inflight()
        self.gate: Gate | None = None
        self.judged: object = None
        self.epoch = 0
        self.move: Move | None = None
        self.backlog: Backlog | None = None  # made when first needed: most sessions never let anything wait
        self.received: dict[int, None] = {}

    def attach(self, link: Link, window: int) -> None:
        """The client is here and lets `window` messages be in flight."""
        self.link = link
        self.shape = MQTT_5_BIT if link.version == MQTT_5_0 else 0
        self.inflight.window = window
        self.inflight.retries = self.circle.settings.retry_interval > 0 and link.version < MQTT_5_0
        self.inflight.watched = self.inflight.retries or self.circle.taps

    def detach(self) -> None:
        self.link = self.opener = self.direct = None

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
        link, backlog, inflight = self.link, self.backlog, self.inflight
        if self.move is not None:
            self.move.collect(message, first_byte, identifiers)
        elif link is None or link.congested:
            self.wait((message, first_byte, identifiers, 0))  # [MQTT-4.5.0-1] [MQTT3-3.1.2-5]
        elif not first_byte & QOS_BITS:
            if self.direct is not None:
                self._send_qos0(link, message, first_byte, identifiers)
            elif (link.aliases is not None or self.circle.taps) and (backlog is None or not backlog.holds_qos0()):
                self._send_qos0(link, message, first_byte, identifiers)
            else:
                self.wait((message, first_byte, identifiers, 0))
        # [MQTT-3.3.4-9] [MQTT-4.9.0-2]
        elif inflight.resend or inflight.window <= len(inflight.held) or (backlog is not None and len(backlog)):
            self.wait((message, first_byte, identifiers, 0))
        elif self.ledger is None:
            self._send(link, (message, first_byte, identifiers, 0))
        elif inflight.taken(self.ledger.next_seq):
            self.wait((message, first_byte, identifiers, 0))
        else:
            self._send(link, self.ledger.enter(self.ledger.front, message, first_byte, identifiers))

    def room(self) -> int:
        """How many messages could be sent now; 0 while others wait."""
        if self.link is None or self.link.congested or self.move is not None or self.queued():
            return 0
        return self.inflight.room()

    def refuses(self, message: Message) -> bool:
        if not self.expiry_interval or self.room() > 0:
            return False
        if self.backlog is None:
            self.backlog = Backlog(self.client_id, self.circle, self.ledger)
        return self.backlog.refuses(message.topic, message.size)

    def full(self, message: Message) -> bool:
        if self.room() > 0:
            return False
        if self.backlog is None:
            return self.circle.outgrows(message)
        return self.backlog.full(message.topic, message.size)

    def load(self) -> int:
        return len(self.inflight.held) + self.queued()

    def absent(self) -> bool:  # a client is here from CONNECT on, although its link comes with CONNACK
        return self.opener is None

    def broken(self, error: Exception) -> None:
        self.circle.observer.delivery_failed(self.client_id, error)
        if self.link is not None:
            self.link.fail(MQTTError("the broker could not serve this client", IMPLEMENTATION_SPECIFIC_ERROR))

    def queued(self) -> int:
        """How many messages wait."""
        return len(self.backlog) if self.backlog is not None else 0

    def pump(self) -> None:
        """Send what waits, as far as the window and the connection allow."""
        link, inflight = self.link, self.inflight
        if link is None:
            return
        while inflight.resend and inflight.room_to_resend() > 0 and not link.congested:
            packet_id, _ = inflight.resend.popitem()
            if self.gate is None or self.gate.repeats(packet_id):
                self._repeat(link, packet_id)
            elif self.gate.waits():
                inflight.resend[packet_id] = None
                break
        if self.backlog is not None and not inflight.resend:
            self._send_waiting(link, self.backlog)
            self.backlog.refill()
        if self.gate is not None and self.gate.is_over():
            self.gate = None
        if self.link is not link:
            return  # a function at a hook has ended the connection
        waiting = link.congested or (self.backlog is not None and self.backlog.holds_qos0())  # QoS 0 must not overtake QoS 0
        waiting = waiting or self.move is not None
        self.direct = None if waiting or link.aliases is not None or self.circle.taps else link
        asked = inflight.watched or inflight.resend or self.move is not None or self.queued()
        self.flight = None if asked else inflight
        if self.replays and self.room() > 0:
            self.circle.feed(self)

    def retry(self, before: float) -> None:
        """Send again what was sent by `before` and is not acknowledged: an option for clients older than 5.0."""
        for packet_id in [packet_id for packet_id, sent in self.inflight.sent_at.items() if sent <= before]:
            if self.link is None or self.link.congested:
                return
            if self.gate is None or self.gate.repeats(packet_id):
                self._repeat(self.link, packet_id)

    def puback(self, packet_id: int, reason_code: int) -> None:
        """The client has it, or refused it: with an error it is not sent again either [MQTT-4.4.0-2]. `proceed` follows."""
        inflight = self.inflight
        held = inflight.held.get(packet_id)
        if held is None and packet_id not in inflight.held:
            self.circle.metrics.missed[PUBACK] += 1
            return
        if held is None or held[1] & QOS_BITS != QOS_1_BITS:
            raise ProtocolError(f"PUBACK for packet identifier {packet_id}, which was sent with QoS 2")
        if reason_code or inflight.resend or inflight.watched:
            self._finish(packet_id, reason_code)  # [MQTT-4.4.0-2]
        else:
            del inflight.held[packet_id]  # [MQTT-4.3.2-3]
            if self.ledger is not None:
                self.ledger.done(held[3])

    def proceed(self) -> None:
        """After a run of PUBACKs: what waited for them."""
        if self.backlog is not None or self.replays or self.inflight.resend:
            self.pump()

    def pubrec(self, packet_id: int, reason_code: int) -> bool:
        """Whether the identifier is in use and PUBREL is owed [MQTT-4.3.3-4]."""
        if packet_id not in self.inflight.held:
            self.circle.metrics.missed[PUBREC] += 1
            return False
        held = self.inflight.held[packet_id]
        if held is not None and held[1] & QOS_BITS != QOS_2_BITS:
            raise ProtocolError(f"PUBREC for packet identifier {packet_id}, which was sent with QoS 1")
        if reason_code >= 0x80:
            self._finish(packet_id, reason_code)  # [MQTT-4.4.0-2]
            return False
        if held is not None and self.circle.taps:
            self._tell(MESSAGE_ACKED, held[0])
        self.release(packet_id, held)  # [MQTT-4.3.3-4]
        return True

    def release(self, packet_id: int, held: Delivery | None) -> None:
        """Nothing is to be sent under this identifier but PUBREL."""
        if self.ledger is not None and held is not None:
            self.ledger.release(packet_id, held[3])
        self.inflight.released(packet_id)

    def pubcomp(self, packet_id: int) -> None:
        if packet_id in self.inflight.held and self.inflight.held[packet_id] is None:
            self._finish(packet_id, 0)  # [MQTT-4.3.3-5]
        else:
            self.circle.metrics.missed[PUBCOMP] += 1

    def send_pubrel(self, packet_id: int) -> None:
        if self.link is not None:
            self.circle.metrics.sent[PUBREL_TYPE] += 1
            pubrel = PUBREL + packet_id.to_bytes(2, "big")  # [MQTT-3.3.4-10] [MQTT-4.9.0-3]
            self.link.send(pubrel) if self.ledger is None else self.ledger.send(self.link, pubrel)
            if self.inflight.retries:
                self.inflight.note_sent(packet_id, self.circle.turn.now)

    def end(self) -> None:
        """Take nothing more; the messages that never reached the client are counted."""
        lost = self.inflight.unfinished() if self.inflight.held else 0
        if self.backlog is not None:
            lost += self.backlog.clear()
        if lost:
            self.circle.metrics.drop(causes.SESSION_ENDED, lost)
        self.replays.clear()

    def wait(self, delivery: Delivery) -> None:
        if not delivery[1] & QOS_BITS and not (self.circle.settings.queue.store_qos0
                                               and (self.ledger is None or self.ledger.keeps_up())):
            self.circle.drop(self.client_id, delivery[0], causes.QOS_0_NOT_STORED)
            return
        if self.backlog is None:
            self.backlog = Backlog(self.client_id, self.circle, self.ledger)
        self.flight = None  # nothing overtakes it
        self.backlog.put(delivery, self.expiry_interval > 0)

    def _send_waiting(self, link: Link, backlog: Backlog) -> None:
        if self.gate is None:
            send_run(link, backlog, self.inflight, self.shape, self.circle)
        while backlog.queue and not link.congested and self.link is link:
            delivery = backlog.queue.peek()
            message, first_byte, identifiers, row = delivery
            if first_byte & QOS_BITS and (self.inflight.room() <= 0 or self.inflight.taken(row)):
                return
            if self.gate is not None and not self.gate.passes(delivery):
                if self.gate.waits():
                    return
                continue
            backlog.take()
            if message.expires_at <= self.circle.turn.now and (self.ledger is None or row not in self.ledger.begun):
                backlog.expire(message, row)  # [MQTT-3.3.2-5]
            elif self.ledger is not None and row in self.ledger.repeated:
                self._repeat(link, self.inflight.add(delivery))
            elif first_byte & QOS_BITS:
                self._send(link, delivery)
            else:
                self._send_qos0(link, message, first_byte, identifiers)
                if self.ledger is not None:
                    self.ledger.done(row)

    def _send_qos0(self, link: Link, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        if link.aliases is not None:
            self._send_aliased(link, link.aliases, (message, first_byte, identifiers, 0))
            return
        message.encode(first_byte | self.shape, identifiers, self.circle.turn.now)
        if len(message.head) > link.max_packet:  # [MQTT-3.1.2-24]
            self.circle.drop(self.client_id, message, causes.TOO_LARGE_FOR_CLIENT)  # as if it had been sent [MQTT-3.1.2-25]
        else:
            link.send(message.head)
            if self.circle.taps:
                self._tell(MESSAGE_DELIVERED, message)

    def _tell(self, hook: str, message: Message) -> None:
        self.circle.hooks.run(hook, (self.client_id, self.user_name, message))

    def _send(self, link: Link, delivery: Delivery) -> None:
        if link.aliases is not None and not self._waits_for_commit(delivery):
            self._send_aliased(link, link.aliases, delivery)
            return
        message, shape = delivery[0] if link.aliases is None else link.aliases.shown(delivery[0]), delivery[1] | self.shape
        if shape != message.shape or message.expires_at != NEVER or delivery[2]:
            message.encode(shape, delivery[2], self.circle.turn.now)
        if len(message.head) + 2 + len(message.tail) > link.max_packet:  # [MQTT-3.1.2-24]
            self._drop(delivery[0], delivery[3], causes.TOO_LARGE_FOR_CLIENT)  # as if it had been sent [MQTT-3.1.2-25]
            return
        metrics = self.circle.metrics
        if shape & QOS_2_BITS:
            metrics.qos2_sent += 1
        packet_id = self.inflight.add(delivery)
        if self.inflight.watched or (self.ledger is not None and shape & QOS_2_BITS):
            self._write(link, message, delivery, packet_id)
            if self.circle.taps:
                self._tell(MESSAGE_DELIVERED, delivery[0])
        else:
            metrics.flights += 1
            if not link.out:
                link.turn.add(link)
            link.out += (message.head, packet_id.to_bytes(2, "big"), message.tail)

    def _repeat(self, link: Link, packet_id: int) -> None:
        """Send again what this identifier stands for; DUP is set [MQTT-3.3.1-1]."""
        held = self.inflight.held[packet_id]
        if held is None:
            self.send_pubrel(packet_id)
            return
        if link.aliases is not None and not self._waits_for_commit(held):
            self._send_aliased(link, link.aliases, held, packet_id)
            return
        message = held[0] if link.aliases is None else link.aliases.shown(held[0])
        message.encode(held[1] | DUP_BIT | self.shape, held[2], self.circle.turn.now)  # [MQTT-3.3.1-1] [MQTT-4.3.3-7]
        if len(message.head) + 2 + len(message.tail) > link.max_packet:  # [MQTT-3.1.2-24]
            self._drop(message, 0, causes.TOO_LARGE_FOR_CLIENT)  # [MQTT-3.1.2-25]
            self.forget(packet_id)  # as if it had been sent [MQTT-3.1.2-25]
        else:
            if held[1] & QOS_2_BITS:
                self.circle.metrics.qos2_sent += 1
            self._write(link, message, held, packet_id)

    def _send_aliased(self, link: Link, aliases: Outgoing, delivery: Delivery, packet_id: int = 0) -> None:
        """Send with the Topic Aliases of this connection; `packet_id` is that of a message sent before, DUP is set then."""
        message, first_byte, identifiers, row = delivery
        if packet_id:
            first_byte |= DUP_BIT  # [MQTT-3.3.1-1]
        if not aliases.encode(message, first_byte, identifiers, self.circle.turn.now, link.max_packet):  # [MQTT-3.1.2-24]
            self._drop(message, 0 if packet_id else row, causes.TOO_LARGE_FOR_CLIENT)  # as if it had been sent [MQTT-3.1.2-25]
            if packet_id:
                self.forget(packet_id)
            return
        if not link.out:
            link.turn.add(link)
        self.circle.metrics.parts_more += 1  # the payload is one by itself
        if first_byte & QOS_BITS:
            self.circle.metrics.flights += 1
            if first_byte & QOS_2_BITS:
                self.circle.metrics.qos2_sent += 1
            packet_id = packet_id or self.inflight.add(delivery)
            link.out += (aliases.head, packet_id.to_bytes(2, "big"), aliases.tail, message.payload)
            if self.inflight.retries:
                self.inflight.note_sent(packet_id, self.circle.turn.now)
        else:
            link.out += (aliases.head, message.payload)
        if self.circle.taps and not first_byte & DUP_BIT:
            self._tell(MESSAGE_DELIVERED, message)

    def _write(self, link: Link, message: Message, delivery: Delivery, packet_id: int) -> None:
        self.circle.metrics.flights += 1
        if self.ledger is not None and self._waits_for_commit(delivery):
            self.ledger.begin(delivery)
            self.circle.metrics.parts_more -= 2  # it is one
            self.ledger.send(link, message.head + packet_id.to_bytes(2, "big") + message.tail)
        else:
            if not link.out:
                link.turn.add(link)
            link.out += (message.head, packet_id.to_bytes(2, "big"), message.tail)
        if self.inflight.retries:
            self.inflight.note_sent(packet_id, self.circle.turn.now)

    def _finish(self, packet_id: int, reason_code: int) -> None:
        held = self.inflight.held[packet_id] if self.circle.taps or reason_code >= 0x80 else None
        message = None if held is None else held[0]
        self.forget(packet_id)
        if reason_code >= 0x80:
            self.circle.drop(self.client_id, message, causes.REFUSED_BY_CLIENT)  # nobody else of a group gets it [MQTT-4.8.2-6]
        elif message is not None:
            self._tell(MESSAGE_ACKED, message)
        if self.backlog is not None or self.inflight.resend or self.replays:
            self.pump()

    def keeps(self) -> bool:
        return self.ledger is not None

    def forget(self, packet_id: int) -> None:
        """The flow is over: its identifier is free, and its row."""
        delivery = self.inflight.held[packet_id]
        self.inflight.remove(packet_id)
        if self.ledger is not None:
            if delivery is None:
                self.ledger.complete(packet_id)
            else:
                self.ledger.done(delivery[3])

    def _drop(self, message: Message, row: int, cause: str) -> None:
        self.circle.drop(self.client_id, message, cause)
        if self.ledger is not None and row:
            self.ledger.done(row)

    def _waits_for_commit(self, delivery: Delivery) -> bool:
        """A QoS 2 message of the store: under another identifier after a crash, it would come twice."""
        return self.ledger is not None and delivery[1] & QOS_BITS == QOS_2_BITS
