"""The judge: whether each packet that the broker sends is owed, and whether anything owed does not come."""
from collections import Counter

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    Acknowledgement,
    Connack,
    Disconnect,
    Packet,
    Pingresp,
    Publish,
    Suback,
    Unsuback,
)
from tests.properties.sessions.owed import Answer, Connection, Line, Owed, Replay, Session
from tests.properties.sessions.reference import Reference, selects


class Wrong(AssertionError):
    """The broker did what the reference does not allow."""


def saw(reference: Reference, connection: Connection, packet: Packet) -> None:
    """The broker sent `packet`."""
    if isinstance(packet, Publish):
        if not connection.greeted:
            raise Wrong("a PUBLISH before CONNACK [MQTT-3.2.0-1]")
        _saw_publish(reference, connection, packet)
        return
    expected = connection.answers.pop(0) if connection.answers else None
    got = _answer(packet)
    if expected is None or not _satisfies(got, expected):
        raise Wrong(f"{connection.session.client_id} was sent {got} in place of {expected}")
    connection.greeted = True
    if got.type == c.PUBREL:
        released = connection.session.by_packet_id(got.packet_id)
        if released is not None:
            connection.to_complete.append(released)


def _answer(packet: Packet) -> Answer:
    if isinstance(packet, Connack):
        return Answer(c.CONNACK, 0, ((packet.reason_code,),), packet.session_present)
    if isinstance(packet, Acknowledgement):
        return Answer(packet.type, packet.packet_id, ((packet.reason_code,),))
    if isinstance(packet, Suback | Unsuback):
        return Answer(packet.type, packet.packet_id, tuple((code,) for code in packet.reason_codes))
    if isinstance(packet, Disconnect):
        return Answer(c.DISCONNECT, 0, ((packet.reason_code,),))
    if isinstance(packet, Pingresp):
        return Answer(c.PINGRESP)
    raise Wrong(f"a packet that no broker sends: {c.PACKET_NAMES[packet.type]}")


def _satisfies(got: Answer, expected: Answer) -> bool:
    return ((got.type, got.packet_id, got.session_present) == (expected.type, expected.packet_id, expected.session_present)
            and len(got.reason_codes) == len(expected.reason_codes)
            and all(code in allowed for (code,), allowed in zip(got.reason_codes, expected.reason_codes, strict=True)))


# PUBLISH.

def _saw_publish(reference: Reference, connection: Connection, packet: Publish) -> None:
    session = connection.session
    owed = _repeated(reference, connection, packet) if packet.dup else _fresh(reference, connection, packet)
    owed.sent_on = connection
    owed.optional = False
    if not owed.fits(connection):
        raise Wrong(f"larger than the client's Maximum Packet Size [MQTT-3.1.2-24]: {packet.payload!r}")
    under_way = sum(other.sent_on is connection for other in session.inflight)
    if under_way > connection.window:
        raise Wrong(f"{under_way} messages in flight, Receive Maximum {connection.window} [MQTT-3.3.4-9]")


def _repeated(reference: Reference, connection: Connection, packet: Publish) -> Owed:
    """A PUBLISH with DUP: what is in flight from an earlier connection, in the order of its first sending [MQTT-4.6.0-1]."""
    owed = connection.session.by_packet_id(packet.packet_id)
    if owed is None or owed.released or owed.sent_on is connection:
        raise Wrong(f"sent again, but not in flight from before: {packet.payload!r} as {packet.packet_id}")
    if not owed.is_this(packet, connection.version, reference.now):
        raise Wrong(f"sent again, but not the same: {packet.payload!r}")
    for earlier in connection.session.inflight[:connection.session.inflight.index(owed)]:
        if not earlier.optional and not earlier.released and earlier.sent_on is not connection:
            raise Wrong(f"{packet.payload!r} is sent again before {earlier.message.payload!r} [MQTT-4.6.0-1]")
    return owed


def _fresh(reference: Reference, connection: Connection, packet: Publish) -> Owed:
    """A PUBLISH without DUP: the first of those that wait in its line, or a retained message."""
    session = connection.session
    owed = _first_of_a_line(reference, connection, packet) or _retained(reference, connection, packet)
    if owed is None:
        raise Wrong(f"{session.client_id} is not owed {packet.topic_name!r} {packet.payload!r} QoS {packet.qos} "
                    f"RETAIN {packet.retain}, not now at least")
    if not packet.qos:
        return owed
    other = session.by_packet_id(packet.packet_id)
    if other is not None and not other.optional:
        raise Wrong(f"packet identifier {packet.packet_id} is in use [MQTT-2.2.1-4]")
    for held in session.inflight:
        if held.line == owed.line and held.sent_on is not connection and not held.released and not held.optional:
            raise Wrong(f"{packet.payload!r} overtakes {held.message.payload!r}, which is to be sent again")
    if owed.retain and connection.version != c.MQTT_5_0:
        owed.identifiers = None  # it could be the message itself or a replay, of any subscription
    owed.packet_id = packet.packet_id
    session.inflight = [held for held in session.inflight if held is not other] + [owed]
    return owed


def _first_of_a_line(reference: Reference, connection: Connection, packet: Publish) -> Owed | None:
    """Take what fits from `waiting`; what may have been dropped can be skipped, and is then gone [MQTT-4.6.0-5]."""
    session = connection.session
    skipped: dict[Line, list[Owed]] = {}
    for owed in session.waiting:
        before = skipped.setdefault(owed.line, [])
        if owed.message.expires_at > reference.now and owed.is_this(packet, connection.version, reference.now) and all(
                _may_be_gone(reference, connection, other) for other in before):
            gone = [*before, owed]
            session.waiting = [other for other in session.waiting if other not in gone]
            return owed
        before.append(owed)
    return None


def _may_be_gone(reference: Reference, connection: Connection, owed: Owed) -> bool:
    return owed.optional or owed.message.expires_at <= reference.now or not owed.fits(connection)


def _retained(reference: Reference, connection: Connection, packet: Publish) -> Owed | None:
    """What a replay may give: the message of the moment, once for each subscription that is owed its topic."""
    topic, session = packet.topic_name, connection.session
    message = reference.retained.get(topic)
    replays = [replay for replay in session.replays if selects(replay.topic_filter, topic)]
    if message is None or message.expires_at <= reference.now or session.replayed[topic] == len(replays):
        return None
    session.replayed[topic] += 1
    owed = [each for replay in replays for each in reference.replayed(replay, message, session)]
    return next((each for each in owed if each.is_this(packet, connection.version, reference.now)), None)


# What is owed and does not come.

def settled(reference: Reference) -> None:
    """The broker has nothing more to do: nobody who could have taken more may still be owed it."""
    for session in reference.sessions.values():
        session.waiting = [owed for owed in session.waiting if owed.message.expires_at > reference.now]
        if session.expiry and reference.rules.max_length:  # what its queue had no room for was dropped when it came
            session.waiting = [owed for owed in session.waiting if not owed.optional]
        connection = session.connection
        if connection is None or connection.stalled:
            continue
        if len([owed for owed in session.held() if not owed.optional]) < connection.window:
            _settle_free(reference, session, connection)
        else:
            _settle_full(reference, session, connection)


def quiet(connection: Connection) -> None:
    """Every answer has come, and the connection is closed if and only if it ought to be."""
    if connection.answers:
        raise Wrong(f"{connection.session.client_id} still has to be sent {connection.answers}")
    if connection.peer.closed == connection.open:
        raise Wrong(f"the connection of {connection.session.client_id} is {'closed' if connection.open else 'open'}")


def _settle_free(reference: Reference, session: Session, connection: Connection) -> None:
    """There is room: all that waits must have come, unless it is too large or was dropped."""
    for owed in session.inflight:
        if not owed.optional and not owed.released and owed.sent_on is not connection:
            raise Wrong(f"{owed.message.payload!r} was not sent again [MQTT-4.4.0-1]")
    for owed in session.waiting:
        if not owed.optional and owed.fits(connection):
            raise Wrong(f"{session.client_id} was not sent {owed.message.payload!r}")
    wanted = Counter(topic for replay in session.replays for topic in _to_come(reference, session, connection, replay))
    if missing := wanted - session.replayed:
        raise Wrong(f"{session.client_id} was not sent what is retained for {list(missing)} [MQTT-3.3.1-9]")
    session.inflight = [owed for owed in session.inflight if not owed.optional]
    session.waiting, session.replays, session.replayed = [], [], Counter()


def _settle_full(reference: Reference, session: Session, connection: Connection) -> None:
    """There is no room; what is too large was dropped if its turn came before that."""
    for owed in session.waiting:
        owed.optional = owed.optional or not owed.fits(connection)
    for replay in session.replays:
        replay.topics = {topic: message for topic, message in replay.topics.items()
                         if all(owed.fits(connection) for owed in reference.replayed(replay, message, session))}


def _to_come(reference: Reference, session: Session, connection: Connection, replay: Replay) -> list[bytes]:
    """The topics whose retained message has not changed since it was owed, and fits."""
    found = []
    for topic, message in replay.topics.items() if not replay.optional else []:
        owed = [each for each in reference.replayed(replay, message, session) if each.fits(connection)]
        alive = reference.retained.get(topic) is message and message.expires_at > reference.now
        if alive and len(owed) == len(replay.subscriptions):
            found.append(topic)
    return found
