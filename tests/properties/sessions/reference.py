"""The reference: what a broker does at each operation, said as plainly as the standard allows.

It is slow and has nothing in common with the core: each message is offered to each session, each filter is compared level
by level, nothing is cached, shared or paced. Where the standard leaves a choice, the words of ARCHITECTURE §5 and §8 hold.
"""
from dataclasses import dataclass
from math import inf

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connect, Disconnect, Publish, Subscribe, Unsubscribe, Will
from emqtwist.mqtt.properties import Properties
from tests.peers import Peer, properties
from tests.properties.sessions.owed import Answer, Connection, Message, Owed, Replay, Session, Subscription

KEPT = 7 * 24 * 3600.0  # seconds that a 3.x session without Clean Session is kept


@dataclass(frozen=True)
class Rules:
    """The settings that a history is played under; `lines` configures the broker so, with `more` that shows in nothing.

    `chunk` is how many bytes the network brings at once.
    """

    max_inflight: int = 1000
    receive_maximum: int = 1000
    store_qos0: bool = True
    upgrade_qos: bool = False
    ignore_loop_deliver: bool = False
    max_length: int = 0
    more: tuple[str, ...] = ()
    chunk: int = 65536

    def lines(self) -> list[str]:
        flags = {"mqtt.mqueue.store_qos0": self.store_qos0, "mqtt.session.upgrade_qos": self.upgrade_qos,
                 "mqtt.session.ignore_loop_deliver": self.ignore_loop_deliver}
        return [f"mqtt.session.max_inflight = {self.max_inflight}",
                f"mqtt.session.receive_maximum = {self.receive_maximum}",
                f"mqtt.mqueue.max_length = {self.max_length}",
                *[f"{key} = {'on' if flag else 'off'}" for key, flag in flags.items()], *self.more]

    def granted(self, published: int, subscribed: int) -> int:
        """The QoS of a delivery [MQTT-3.8.4-8]."""
        return max(published, subscribed) if self.upgrade_qos else min(published, subscribed)


def selects(topic_filter: bytes, topic: bytes) -> bool:
    """Whether a filter selects a topic [MQTT-4.7.1-1] to [MQTT-4.7.3-4]."""
    if topic.startswith(b"$") and topic_filter[:1] in (b"+", b"#"):
        return False  # [MQTT-4.7.2-1]
    return _selects(topic_filter.split(b"/"), topic.split(b"/"))


def _selects(levels: list[bytes], names: list[bytes]) -> bool:
    if levels == [b"#"]:
        return True
    if not levels or not names:
        return not levels and not names
    return levels[0] in (b"+", names[0]) and _selects(levels[1:], names[1:])


class Reference:
    """The state of the naive broker; each operation is told before it is done, and says what is owed to whom from then on."""

    def __init__(self, rules: Rules, now: float) -> None:
        self.rules = rules
        self.now = now
        self.sessions: dict[str, Session] = {}
        self.connections: list[Connection] = []
        self.retained: dict[bytes, Message] = {}
        self.wills: dict[str, tuple[float, Message, float]] = {}  # when it is due, the Will, its lifetime

    # Connections.

    def connect(self, peer: Peer, packet: Connect) -> Connection:
        client_id = packet.client_id
        session = self.sessions.get(client_id)
        if session is not None and session.connection is not None:
            self.close(session.connection, c.SESSION_TAKEN_OVER)  # [MQTT-3.1.4-3]
        if packet.clean_start and client_id in self.sessions:
            self.end(self.sessions[client_id])  # [MQTT-3.1.2-4]
        present = client_id in self.sessions
        session = self.sessions.setdefault(client_id, Session(client_id))
        self.wills.pop(client_id, None)  # [MQTT-3.1.3-9]
        asked = packet.properties or properties()
        session.expiry = _expiry(packet, asked)
        session.ends_at = inf
        session.connection = connection = Connection(
            peer, session, packet.version, min(asked.receive_maximum or c.MAX_PACKET_ID, self.rules.max_inflight),
            asked.maximum_packet_size or c.MAX_PACKET, packet.keep_alive, packet.will, self.now)
        self.connections.append(connection)
        connection.answers.append(Answer(c.CONNACK, session_present=present and packet.version != c.MQTT_3_1))
        self._resend(session, connection)
        return connection

    def _resend(self, session: Session, connection: Connection) -> None:
        """PUBREL for what the client has; all else in flight is to come again [MQTT-4.4.0-1]."""
        for owed in session.inflight:
            if owed.released:
                connection.owe(c.PUBREL, owed.packet_id)
            elif not owed.fits(connection):
                owed.optional = True

    def lost(self, connection: Connection, with_will: bool = True) -> None:
        """The connection is gone; the session stays for its expiry interval, the Will waits for its delay."""
        session = connection.session
        connection.open = False
        self.connections.remove(connection)
        session.connection = None
        session.ends_at = self.now + session.expiry
        if session.expiry == 0:
            self.end(session)
        if with_will and connection.will is not None:
            self._hold_will(session, connection.will)

    def _hold_will(self, session: Session, will: Will) -> None:
        made = will.properties or properties()
        message = Message(will.topic_name, will.payload, will.qos, will.retain, session.client_id)
        lifetime = inf if made.message_expiry_interval is None else made.message_expiry_interval
        delay = min(made.will_delay_interval or 0, session.expiry)
        self.wills[session.client_id] = self.now + delay, message, lifetime
        if not delay:
            self._publish_will(session.client_id)

    def close(self, connection: Connection, reason_code: int) -> None:
        """The broker ends the connection and says why to those who can read it."""
        if connection.version == c.MQTT_5_0:
            connection.owe(c.DISCONNECT, 0, reason_code)
        self.lost(connection)

    def disconnect(self, connection: Connection, packet: Disconnect) -> None:
        expiry = packet.properties.session_expiry_interval if packet.properties else None
        if expiry and not connection.session.expiry:
            self.close(connection, c.PROTOCOL_ERROR)
            return
        if expiry is not None:
            connection.session.expiry = float(expiry)
        self.lost(connection, with_will=packet.reason_code == c.DISCONNECT_WITH_WILL)  # [MQTT-3.14.4-3]

    def end(self, session: Session) -> None:
        """The session is over; a Will that waits for its delay is due now."""
        del self.sessions[session.client_id]
        session.subscriptions = {}
        if session.client_id in self.wills:
            self._publish_will(session.client_id)

    def tick(self, now: float) -> None:
        """All that fell due."""
        self.now = now
        for connection in list(self.connections):
            if connection.keep_alive and now - connection.last_seen > 1.5 * connection.keep_alive:
                self.close(connection, c.KEEP_ALIVE_TIMEOUT)  # [MQTT-3.1.2-22]
        for _, client_id in sorted((due, client_id) for client_id, (due, _, _) in self.wills.items() if due <= now):
            self._publish_will(client_id)
        for _, client_id in sorted((session.ends_at, session.client_id) for session in self.sessions.values()
                                   if session.ends_at <= now):
            self.end(self.sessions[client_id])  # [MQTT-3.1.2-23]

    def _publish_will(self, client_id: str) -> None:
        _, message, lifetime = self.wills.pop(client_id)
        message.expires_at = self.now + lifetime
        self._spread(message)

    # Messages from clients.

    def publish(self, connection: Connection, packet: Publish) -> None:
        session, client_id, five = connection.session, connection.session.client_id, connection.version == c.MQTT_5_0
        answer = {0: 0, 1: c.PUBACK, 2: c.PUBREC}[packet.qos]
        made = packet.properties or properties()
        lifetime = inf if made.message_expiry_interval is None else made.message_expiry_interval
        message = Message(packet.topic_name, packet.payload, packet.qos, packet.retain, client_id,
                          self.now + lifetime, made.user_properties)
        reason_codes = self._reasons(message)
        if packet.qos == 2 and packet.packet_id in session.received:
            reason_codes = (0, c.NO_MATCHING_SUBSCRIBERS)  # it is known: nothing else happens
        elif packet.qos == 2 and five and len(session.received) >= self.rules.receive_maximum:
            self.close(connection, c.RECEIVE_MAXIMUM_EXCEEDED)
            return
        elif reason_codes == (c.QUOTA_EXCEEDED,) and not five:
            self.close(connection, c.QUOTA_EXCEEDED)
            return
        elif reason_codes[0] < 0x80:
            self._spread(message)
        if packet.qos == 2 and (reason_codes[0] < 0x80 or not five):
            session.received[packet.packet_id] = packet
        if answer:
            connection.owe(answer, packet.packet_id, *reason_codes)

    def _reasons(self, message: Message) -> tuple[int, ...]:
        """The reason codes that its acknowledgement may have."""
        if message.topic.startswith(b"$SYS/"):
            return (c.NOT_AUTHORIZED,)
        if message.qos and any(self._has_no_room(session, message) for session in self.sessions.values()):
            return (c.QUOTA_EXCEEDED,)
        subscribed = [session for session in self.sessions.values()
                      if any(selects(topic_filter, message.topic) for topic_filter in session.subscriptions)]
        if any(session.client_id != message.publisher for session in subscribed):
            return (0,)
        return (0, c.NO_MATCHING_SUBSCRIBERS) if subscribed else (c.NO_MATCHING_SUBSCRIBERS,)

    def _has_no_room(self, session: Session, message: Message) -> bool:
        """Whether a session that keeps what it is given could not keep this too."""
        owed = self._owed(session, message)
        waiting = [other for other in session.waiting if other.message.expires_at > self.now]
        return owed is not None and owed.qos > 0 and session.expiry > 0 and 0 < self.rules.max_length <= len(waiting)

    def release(self, connection: Connection, packet_id: int) -> None:
        """PUBREL came."""
        known = connection.session.received.pop(packet_id, None)
        connection.owe(c.PUBCOMP, packet_id, 0 if known else c.PACKET_IDENTIFIER_NOT_FOUND)

    def _spread(self, message: Message) -> None:
        if message.retain:
            self.retained.pop(message.topic, None)  # [MQTT-3.3.1-5], [MQTT-3.3.1-6]
            if message.payload:
                self.retained[message.topic] = message
        for session in self.sessions.values():
            owed = self._owed(session, message)
            if owed is not None:
                self._owe(session, owed)

    def _owed(self, session: Session, message: Message) -> Owed | None:
        """One PUBLISH however many subscriptions match: the highest QoS, all identifiers."""
        matching = [subscription for topic_filter, subscription in session.subscriptions.items()
                    if selects(topic_filter, message.topic)
                    and not (subscription.no_local and message.publisher == session.client_id)]  # [MQTT-3.8.3-3]
        if not matching:
            return None
        return Owed(message, self.rules.granted(message.qos, max(each.qos for each in matching)),
                    message.retain and any(each.retain_as_published for each in matching),
                    sorted(each.identifier for each in matching if each.identifier))

    def _owe(self, session: Session, owed: Owed) -> None:
        if owed.qos == 0 and not self.rules.store_qos0 and not session.listens():
            return
        session.waiting = [other for other in session.waiting if other.message.expires_at > self.now]
        session.waiting.append(owed)
        if 0 < self.rules.max_length < len(session.waiting):
            owed.optional = True  # QoS 0 or a Will: nobody was promised that it is kept
            for other in session.waiting if not session.expiry else []:
                other.optional = True  # a session that ends with its connection loses its oldest

    # Subscriptions.

    def subscribe(self, connection: Connection, packet: Subscribe) -> None:
        identifiers = packet.properties.subscription_identifiers if packet.properties else [0]
        connection.answers.append(Answer(c.SUBACK, packet.packet_id,
                                         tuple((options & c.OPTION_QOS,) for _, options in packet.filters)))
        for topic_filter, options in packet.filters:
            no_local = options & c.OPTION_NO_LOCAL != 0 or self.rules.ignore_loop_deliver
            subscription = Subscription(options & c.OPTION_QOS, no_local,
                                        options & c.OPTION_RETAIN_AS_PUBLISHED != 0, identifiers[0])
            new = topic_filter not in connection.session.subscriptions
            connection.session.subscriptions[topic_filter] = subscription  # [MQTT-3.8.4-3]
            handling = (options & c.OPTION_RETAIN_HANDLING) >> 4
            self._replay(connection.session, topic_filter, subscription, handling == 0 or (handling == 1 and new))

    def _replay(self, session: Session, topic_filter: bytes, subscription: Subscription, again: bool) -> None:
        """Owe the retained messages; those still owed to the subscription that this one replaces stay so."""
        for replay in session.replays:
            if replay.topic_filter == topic_filter:
                replay.optional = replay.optional or again
                replay.subscriptions.append(subscription)
        if again:
            topics = {topic: message for topic, message in self.retained.items()
                      if selects(topic_filter, topic) and message.expires_at > self.now}
            session.replays.append(Replay(topic_filter, [subscription], topics))

    def replayed(self, replay: Replay, message: Message, session: Session) -> list[Owed]:
        """What a retained message may look like now; nothing where it must not come [MQTT-3.8.3-3]."""
        return [Owed(message, self.rules.granted(message.qos, each.qos), True, [each.identifier] if each.identifier else [])
                for each in replay.subscriptions if not (each.no_local and message.publisher == session.client_id)]

    def unsubscribe(self, connection: Connection, packet: Unsubscribe) -> None:
        codes = []
        for topic_filter in packet.filters:
            known = connection.session.subscriptions.pop(topic_filter, None)
            codes.append((0 if known else c.NO_SUBSCRIPTION_EXISTED,))
            for replay in connection.session.replays:
                replay.optional = replay.optional or replay.topic_filter == topic_filter
        connection.answers.append(Answer(c.UNSUBACK, packet.packet_id,
                                         tuple(codes) if connection.version == c.MQTT_5_0 else ()))

    # Acknowledgements from clients.

    def acknowledge(self, connection: Connection, owed: Owed, reason_code: int = 0) -> None:
        """PUBACK, PUBREC or PUBCOMP, as it is due."""
        if owed.qos == 2 and not owed.released and reason_code < 0x80:
            owed.released = True
            connection.session.inflight.remove(owed)
            connection.session.inflight.append(owed)
            connection.owe(c.PUBREL, owed.packet_id)
        else:
            connection.session.inflight.remove(owed)
            connection.to_complete = [other for other in connection.to_complete if other is not owed]


def _expiry(packet: Connect, asked: Properties) -> float:
    if packet.version != c.MQTT_5_0:
        return 0.0 if packet.clean_start else KEPT
    return float(min(asked.session_expiry_interval or 0, KEPT))
