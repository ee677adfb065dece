"""Connection: the state of one client's network connection, and how it answers and ends."""
from collections.abc import Callable
from typing import Final, TypeVar

from emqtwist.core import causes, moving
from emqtwist.core.access import Client
from emqtwist.core.acl import Grants
from emqtwist.core.aliases import Incoming
from emqtwist.core.broker import Broker
from emqtwist.core.door import Door, Peer
from emqtwist.core.exchange import Exchange
from emqtwist.core.hooks import CLIENT_CONNACK, CLIENT_DISCONNECTED
from emqtwist.core.link import Link
from emqtwist.core.pending import Pending, Waiting
from emqtwist.core.session import Session
from emqtwist.core.tap import Tap
from emqtwist.core.wills import WillMessage
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import RETURN_CODES, encode_within
from emqtwist.mqtt.errors import KeepAliveTimeout, MQTTError, NotAuthorized
from emqtwist.mqtt.packets import ACKNOWLEDGEMENTS, Connack, Disconnect, Packet
from emqtwist.mqtt.properties import Properties

OPENING: Final = 0  # CONNECT has not been accepted yet
OPEN: Final = 1
CLOSED: Final = 2

SHORT: Final = {c.PUBACK: b"\x40\x02", c.PUBREC: b"\x50\x02", c.PUBREL: b"\x62\x02", c.PUBCOMP: b"\x70\x02"}
D = TypeVar("D")


def _in_connack(code: int) -> int:
    """`code` as CONNACK can tell it [MQTT-3.2.2-8]."""
    if code in c.REASON_CODES[c.CONNACK]:
        return code
    return c.SERVER_UNAVAILABLE if code == c.SERVER_SHUTTING_DOWN else c.PROTOCOL_ERROR


class Connection(Link):
    """One network connection. Bytes come in through `receive.receive`, leave in `out`.

    It came through `door` from `peer`. `will` is that
    of CONNECT until DISCONNECT takes it back. `last_seen` is when the last packet came (monotonic seconds). `halted` says
    that no packet is served: one is `pending`, or the connection is closed. `exchange` is that of enhanced authentication.
    `mount` comes before all its topics inside the broker.
    `since` is how many records the journal had before the packet that is served. `connected_at` is when CONNECT was accepted,
    `cause` why the connection ended. A `superuser` is asked by no access rule. A `tap` is there where somebody looks at what goes
    over the connection.
    """

    __slots__ = ("broker", "decoder", "door", "peer", "state", "session", "client_id", "user_name", "keep_alive",
                 "last_seen", "will", "problem_information", "receive_maximum", "topic_alias_maximum", "incoming", "halted",
                 "pending", "exchange", "since", "connected_at", "cause", "grants", "superuser", "mount", "tap")

    def __init__(self, broker: Broker, door: Door, peer: Peer) -> None:
        Link.__init__(self, broker.turn)  # super() costs as much again
        settings = broker.settings
        self.broker = broker
        self.decoder = Decoder(settings.max_packet_size, 0, settings.max_connect_size)
        self.decoder.runs = True
        self.door = door
        self.peer = peer
        self.state = OPENING
        self.session: Session | None = None
        self.client_id = ""
        self.user_name: str | None = None
        self.keep_alive = 0
        self.last_seen = broker.turn.now
        self.will: WillMessage | None = None
        self.problem_information = True
        self.receive_maximum = settings.receive_maximum
        self.topic_alias_maximum = settings.max_topic_alias
        self.incoming: Incoming | None = None
        self.halted = False
        self.pending: Waiting | None = None
        self.exchange: Exchange | None = None
        self.since = 0
        self.connected_at = broker.turn.now
        self.cause = ""
        self.grants: Grants | None = None
        self.superuser = False
        self.mount = b""
        broker.links[self] = None
        self.tap: Tap | None = None if broker.tapper is None else broker.tapper(self)

    def take_aliases(self) -> Incoming:
        """A table for the client's Topic Aliases, made when the first one comes."""
        self.incoming = Incoming(self.topic_alias_maximum)  # [MQTT-3.3.2-7]
        return self.incoming

    # Answers.

    def send_packet(self, packet: Packet, promise: bool = False) -> bool:
        """Send within the client's Maximum Packet Size; whether it could [MQTT-3.1.2-24]."""
        data = encode_within(packet, self.version, self.max_packet)
        if data is None:  # [MQTT-3.1.2-24]
            return False
        self.broker.metrics.sent[packet.type] += 1
        if promise:
            self.promise(data)
        else:
            self.send(data)
        return True

    def promise(self, data: bytes) -> None:
        """Send an acknowledgement, once what was recorded for its packet is stored, and after those held before it."""
        journal = self.broker.journal
        if journal is None:
            self.send(data)
            return
        number = journal.barrier() if journal.count != self.since else 0
        if not number and not self.held:
            self.send(data)
        elif self.hold(number, data):
            journal.hold(self, number)

    def acknowledge(self, packet_type: int, packet_id: int, reason_code: int = 0, reason: str = "") -> None:
        """Send PUBACK, PUBREC, PUBREL or PUBCOMP; the reason only to those who can take one and asked [MQTT-3.1.2-29]."""
        if not reason_code or self.version != c.MQTT_5_0:
            self.answer(packet_type, packet_id)
        else:
            properties = None
            if reason and self.problem_information:  # [MQTT-3.1.2-29]
                properties = Properties()
                properties.reason_string = reason
            sent = self.send_packet(ACKNOWLEDGEMENTS[packet_type](packet_id, reason_code, properties), True)
            if not sent and packet_type == c.PUBACK:
                self.broker.metrics.qos1_unanswered += 1

    def answer(self, packet_type: int, packet_id: int) -> None:
        """`acknowledge` where all is in good order, as for most messages."""
        journal, held = self.broker.journal, self.held
        self.broker.metrics.sent[packet_type] += 1
        data = SHORT[packet_type] + packet_id.to_bytes(2, "big")  # [MQTT-2.2.1-5]
        if held and journal is not None and held[-1][0] == journal.group:  # as `promise` would
            self.turn.parts_sent += 1
            held[-1][1].append(data)
            return
        if held or (journal is not None and journal.count != self.since):
            self.promise(data)
            return
        if not self.out:
            self.turn.add(self)
        self.out.append(data)

    # Waiting.

    def wait(self, pending: Pending[D], take: "Callable[[Link, D], None]") -> None:
        """Go on with `take` once `pending` is decided, which may be so already; serve nothing before that.

        A connection that has ended waits for nothing.
        """
        if self.state == CLOSED:
            pending.cancel()
        elif pending.decision is not None:
            take(self, pending.decision)
        else:
            pending.hold(self, take)
            self.pending = pending
            self.halted = True

    # Ends.

    def fail(self, error: MQTTError) -> None:
        """Tell the client why, as far as its version can be told, and close [MQTT-4.13.2-1]."""
        if self.state == CLOSED:
            return
        code = error.reason_code if self.state == OPEN else _in_connack(error.reason_code)  # [MQTT-3.2.2-8]
        if self.state == OPENING and self.version:
            self.broker.hooks.run(CLIENT_CONNACK, (self.client(), code))
        if self.version == c.MQTT_5_0:  # known from CONNECT on [MQTT-3.14.0-1]
            properties = Properties()
            properties.reason_string = error.reason
            if code in moving.CODES:
                properties.server_reference = self.broker.settings.server_reference or None
            # [MQTT-3.2.2-6] [MQTT-3.14.0-1] [MQTT-3.14.2-2]
            self.send_packet(Disconnect(code, properties) if self.state == OPEN else Connack(False, code, properties))
        self.end(causes.end_cause(error.reason_code), error.reason)  # [MQTT-3.14.4-2] [MQTT-4.13.2-1]

    def refuse(self, error: MQTTError) -> None:
        """Answer CONNECT with the reason and close [MQTT-3.2.2-7]; before 5.0 not every reason has a return code."""
        if self.state != CLOSED and self.version < c.MQTT_5_0:
            self.broker.hooks.run(CLIENT_CONNACK, (self.client(), error.reason_code))
            if error.reason_code in RETURN_CODES:  # [MQTT3-3.2.2-6]
                # [MQTT3-3.1.2-2] [MQTT3-3.1.3-8] [MQTT3-3.1.3-9] [MQTT3-3.2.2-4]
                self.send_packet(Connack(False, error.reason_code))
            self.end(causes.end_cause(error.reason_code), error.reason)  # [MQTT-3.2.2-7]
        else:
            self.fail(error)

    def end_too_small(self, answer: str) -> None:
        """End it because an answer exceeds the client's Maximum Packet Size [MQTT-3.1.2-24]."""
        if self.state == OPENING:
            self.broker.hooks.run(CLIENT_CONNACK, (self.client(), c.PACKET_TOO_LARGE))
        self.end(causes.end_cause(c.PACKET_TOO_LARGE), f"{answer} exceeds the client's Maximum Packet Size")

    def lost(self, reason: str) -> None:
        """The network connection is gone without DISCONNECT, and nobody takes what was still to be sent."""
        if self.owner is None and self.out:
            self.take()
        self.end(causes.CONNECTION_LOST, reason)

    def end(self, cause: str, reason: str) -> None:
        """Close, whatever the cause: the session goes on or ends, the Will is published or held."""
        if self.state == CLOSED:
            return
        accepted, broker = self.state == OPEN, self.broker
        self.state = CLOSED
        self.cause = cause
        self.halted = True
        if self.pending is not None:
            self.pending.cancel()
            self.pending = None
        self.exchange = None
        self.close()  # first: a defect in what follows must not leave it open
        del broker.links[self]
        broker.metrics.end(cause)
        if accepted or cause == causes.CONNECTION_LOST:
            broker.observer.disconnected(self.client_id, self.peer.text, cause, reason)
        else:
            broker.observer.refused(self.client_id, self.peer.text, self.door.name, cause, reason)
        if self.tap is not None:
            self.tap.ended(self, cause, reason)
            self.tap = None
        session = self.session
        if session is not None:
            self.session = None
            self._leave(session)
        if session is not None and accepted:
            broker.stats.clients -= 1
            broker.observer.departed(self.client_id, self.user_name, cause)
            if broker.hooks.at[CLIENT_DISCONNECTED]:
                broker.hooks.run(CLIENT_DISCONNECTED, (self.client(), cause))

    def client(self) -> Client:
        """Who is at the other end, for those outside the broker who are asked or told."""
        return Client(self.client_id, self.user_name, self.door, self.peer, self.superuser)

    def _leave(self, session: Session) -> None:
        will, self.will = self.will, None
        expiry = session.expiry_interval
        self.broker.sessions.leave(session)  # [MQTT-3.14.4-1]
        if will is not None:  # [MQTT3-3.1.2-12]
            self.broker.hold_will(session.client_id, will, min(will.delay, expiry))  # [MQTT-3.1.2-8]
        elif session.ledger is not None:
            session.ledger.no_will()

    # What time and the adapter tell.

    def check(self, now: float) -> None:
        """Close when CONNECT or the next packet is overdue [MQTT-3.1.2-22]."""
        if self.grants is not None and self.grants.until <= now:
            self.grants = None
        silent = now - self.last_seen
        limit = self.door.terms.connect_timeout or self.broker.settings.connect_timeout
        if self.exchange is not None and self.exchange.is_overdue(now, limit):
            self.fail(NotAuthorized(f"authentication has taken more than {limit:g} s"))
        elif self.state == OPENING:
            if silent >= limit and self.version:
                self.refuse(MQTTError(f"nobody could decide about this CONNECT within {limit:g} s", c.SERVER_UNAVAILABLE))
            elif silent >= limit:
                self.end(causes.CONNECT_TIMEOUT, f"no CONNECT within {limit:g} s")
        elif self.halted:
            pass  # what the client may have sent is not read
        elif self.keep_alive and silent > self.keep_alive * self.broker.settings.keep_alive_backoff * 2:  # [MQTT-3.1.2-22]
            self.fail(KeepAliveTimeout(f"no packet for {silent:.1f} s, Keep Alive is {self.keep_alive} s"))

    def choked(self) -> None:
        """Too much waits to be sent: messages go to the session's queue until `relieved`."""
        self.congested = True
        if self.session is not None:
            self.session.choke()

    def relieved(self) -> None:
        """What waited to be sent is sent: the session may go on."""
        self.congested = False
        if self.session is not None:
            self.session.pump()
