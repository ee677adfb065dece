"""CONNECT, as a list of steps: each refuses or fills in the answer, the last opens the session."""
from collections.abc import Callable
from typing import Final, cast

from emqtwist.core import admitting, authenticating, banning, metrics, moving, overload, quotas, ruling, terms
from emqtwist.core.access import Accept, Client
from emqtwist.core.aliases import Outgoing
from emqtwist.core.connection import CLOSED, OPEN, Connection
from emqtwist.core.forwarded import check_forwarded
from emqtwist.core.hooks import (
    CLIENT_CONNACK,
    CLIENT_CONNECT,
    CLIENT_CONNECTED,
    SESSION_CREATED,
    SESSION_RESUMED,
    SESSION_TAKENOVER,
)
from emqtwist.core.journal import Journal
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, WillMessage
from emqtwist.core.pool import Job
from emqtwist.core.questioning import Questioning, admits_unasked, is_asked, result_of, take_name
from emqtwist.core.session import Session
from emqtwist.core.sessions import End
from emqtwist.core.willing import check_will
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, NotAuthorized, ServerBusy, SessionTakenOver
from emqtwist.mqtt.packets import Connack, Connect
from emqtwist.mqtt.properties import Properties, forwarded_properties
from emqtwist.mqtt.topics import check_topic_name

DEFECT: Final = "a defect of the broker kept the session from being opened"
NOTHING: Final = Properties()  # stands for absent properties where they are only read


def connect(connection: Connection, packet: Connect) -> None:
    """Accept or refuse the client, or begin to authenticate it."""
    connection.version = packet.version
    answer = Properties()
    try:
        for step in STEPS:
            step(connection, packet, answer)
    except MQTTError as error:
        connection.refuse(error)  # [MQTT-3.1.4-2]
        return
    if connection.broker.hooks.at[CLIENT_CONNECT] or is_asked(connection):
        Questioning(packet, answer, _admit).begin(connection)
    else:
        if answer.authentication_method is None:
            connection.broker.metrics.authentication(result_of(connection, False))
        _admit(connection, packet, answer)


def _admit(connection: Connection, packet: Connect, answer: Properties) -> None:
    """Nobody has anything against the client; where it asked for a method, that has the last word."""
    if answer.authentication_method is None:  # [MQTT-4.12.0-6]
        check_will(connection, packet, answer, _open)
    else:
        _authenticate(connection, packet, answer, answer.authentication_method)


def _authenticate(connection: Connection, packet: Connect, answer: Properties, method: str) -> None:
    """Let the method decide; who is not accepted yet sends packets no larger than CONNECT may be."""
    opening = _Opening(packet, answer, connection.decoder.max_packet_size)
    settings = connection.broker.settings
    connection.decoder.max_packet_size = min(settings.max_connect_size, opening.max_packet_size)
    client = Client(packet.client_id, packet.user_name, connection.door, connection.peer)
    authenticating.begin(connection, client, method, (packet.properties or NOTHING).authentication_data, opening.accepted)


class _Opening:
    """A CONNECT whose client authenticates."""

    __slots__ = ("packet", "answer", "max_packet_size")

    def __init__(self, packet: Connect, answer: Properties, max_packet_size: int) -> None:
        self.packet = packet
        self.answer = answer
        self.max_packet_size = max_packet_size

    def accepted(self, link: Link, accept: Accept) -> None:
        connection = cast(Connection, link)
        connection.decoder.max_packet_size = self.max_packet_size
        self.answer.authentication_data = accept.data
        self.packet.user_name = accept.user_name  # the proved one
        terms.take_user_name(connection, self.packet, self.answer)
        check_will(connection, self.packet, self.answer, _open)


def _read_properties(connection: Connection, packet: Connect, answer: Properties) -> None:
    properties = packet.properties or NOTHING
    if properties.maximum_packet_size is not None:
        connection.max_packet = properties.maximum_packet_size  # [MQTT-3.1.2-24]
    connection.problem_information = properties.request_problem_information != 0  # [MQTT-3.1.2-29]
    aliases = min(properties.topic_alias_maximum or 0, connection.topic_alias_maximum)  # [MQTT-3.1.2-27]
    if aliases:
        connection.aliases = Outgoing(aliases)  # of this connection; others get none [MQTT-3.3.2-7]


def _check_moved(connection: Connection, packet: Connect, answer: Properties) -> None:
    gone = moving.gone(connection.broker.settings)
    if gone is not None:
        raise gone


def _check_method(connection: Connection, packet: Connect, answer: Properties) -> None:
    method = (packet.properties or NOTHING).authentication_method
    if method is not None and method not in connection.broker.methods:
        # [MQTT-4.12.0-1]
        raise MQTTError(f"the authentication method {method[:40]!r} is not supported", c.BAD_AUTHENTICATION_METHOD)
    answer.authentication_method = method  # [MQTT-4.12.0-5]; none where there was none


def _check_identifier(connection: Connection, packet: Connect, answer: Properties) -> None:
    limit = connection.broker.settings.max_client_id
    if len(packet.client_id.encode()) > limit:  # [MQTT-3.1.3-5]
        # [MQTT-3.1.3-8] [MQTT3-3.1.3-9]
        raise MQTTError(f"the client identifier is longer than {limit} bytes", c.CLIENT_IDENTIFIER_NOT_VALID)
    if not packet.client_id and (packet.version == c.MQTT_3_1 or (packet.version == c.MQTT_3_1_1 and not packet.clean_start)):
        raise MQTTError("an empty client identifier needs a clean session", c.CLIENT_IDENTIFIER_NOT_VALID)  # [MQTT3-3.1.3-8]
    connection.client_id = packet.client_id


def _check_access(connection: Connection, packet: Connect, answer: Properties) -> None:
    if answer.authentication_method is not None or is_asked(connection):
        return  # somebody decides
    if not admits_unasked(connection):
        connection.broker.metrics.authentication(metrics.REFUSED)
        raise NotAuthorized("anonymous clients are not allowed here (mqtt.allow_anonymous)")  # [MQTT-3.1.4-2]


def _check_will(connection: Connection, packet: Connect, answer: Properties) -> None:
    will = packet.will
    if will is None:
        return
    settings = connection.broker.settings
    if will.qos > settings.max_qos:
        raise MQTTError(f"the Will has QoS {will.qos}, allowed is {settings.max_qos}", c.QOS_NOT_SUPPORTED)  # [MQTT-3.2.2-12]
    if will.retain and not connection.broker.retains():
        raise MQTTError("retained messages are not available", c.RETAIN_NOT_SUPPORTED)  # [MQTT-3.2.2-13]
    check_topic_name(will.topic_name, settings.max_topic_levels)
    check_forwarded(will.properties or NOTHING, will.payload, settings.max_topic_levels)


def _assign_identifier(connection: Connection, packet: Connect, answer: Properties) -> None:
    # [MQTT-3.1.3-6] [MQTT-3.2.2-16]
    while not connection.client_id or (not packet.client_id and connection.client_id in connection.broker.sessions.by_id):
        # [MQTT3-3.1.3-6]
        connection.client_id = answer.assigned_client_identifier = f"emqtwist-{connection.broker.token()}"  # [MQTT-3.1.3-7]


def _set_keep_alive(connection: Connection, packet: Connect, answer: Properties) -> None:
    connection.keep_alive = packet.keep_alive  # [MQTT-3.2.2-22]
    ours = connection.broker.settings.server_keep_alive
    if ours and packet.version == c.MQTT_5_0:
        connection.keep_alive = answer.server_keep_alive = ours  # [MQTT-3.1.2-21] [MQTT-3.2.2-21]


def _announce_limits(connection: Connection, packet: Connect, answer: Properties) -> None:
    settings = connection.broker.settings
    if connection.decoder.max_packet_size < c.MAX_PACKET:
        answer.maximum_packet_size = connection.decoder.max_packet_size
    if connection.receive_maximum < c.MAX_PACKET_ID:
        answer.receive_maximum = connection.receive_maximum
    if settings.max_qos < 2:
        answer.maximum_qos = settings.max_qos  # [MQTT-3.2.2-9]
    if not connection.broker.retains():
        answer.retain_available = 0
    if not settings.wildcard_subscription:
        answer.wildcard_subscription_available = 0
    if not settings.subscription_identifiers:
        answer.subscription_identifier_available = 0
    if connection.topic_alias_maximum:
        answer.topic_alias_maximum = connection.topic_alias_maximum
    if not settings.shared_subscription:
        answer.shared_subscription_available = 0


def _check_store(connection: Connection, packet: Connect, answer: Properties) -> None:
    """A session that is kept already may go on: what its client acknowledges makes room."""
    journal = connection.broker.journal
    if journal is None or not journal.failing or _expiry(connection, packet, answer) <= 0:
        return
    if packet.clean_start or packet.client_id not in connection.broker.sessions.by_id:
        raise MQTTError(f"sessions cannot be kept now: {journal.failing}", c.SERVER_UNAVAILABLE)


def _inform(connection: Connection, packet: Connect, answer: Properties) -> None:
    """Response Information for a client that asked for it [MQTT-3.1.2-28]."""
    pattern = connection.broker.settings.response_information
    if pattern and (packet.properties or NOTHING).request_response_information:  # [MQTT-3.1.2-28]
        text = pattern.replace("%c", connection.client_id)
        if not set("+#") & set(text) and len(text.encode()) <= c.MAX_STRING:  # an identifier need not fit in a topic
            answer.response_information = text


STEPS: Final[list[Callable[[Connection, Connect, Properties], None]]] = [
    terms.check_version, _read_properties, _check_moved, overload.check, _check_store,
    _check_method, take_name, terms.take_user_name, _check_identifier, banning.check, _check_access, _check_will,
    _assign_identifier, _set_keep_alive, terms.bound_keep_alive, _announce_limits, _inform,
]


def _open(connection: Connection, packet: Connect, answer: Properties) -> None:
    """Have the session opened or resumed, one at a time for each client."""
    error = admitting.refusal(connection, packet)
    if error is not None:
        connection.refuse(error)
        return
    entry = _Entry(connection, packet, answer)
    connection.broker.pools.sm.submit(entry)
    if entry.over:
        entry.answer_now()
    else:
        connection.wait(entry.when_over(), entry.opened)


def _commit(connection: Connection, session: Session, journal: Journal) -> int:
    """The group that the CONNACK waits for; none when nothing is to be stored, or nothing can be."""
    if journal.failing or (session.ledger is None and journal.count == connection.since):
        return 0
    return journal.barrier()


def _take_over(connection: Connection, old: Connection) -> None:
    """End the connection that has the Client Identifier; one that was not answered yet is told otherwise."""
    reason = f"a new connection from {connection.peer.text} uses this client identifier"
    old.fail(SessionTakenOver(reason) if old.state == OPEN else ServerBusy(reason))  # [MQTT-3.1.4-3]


def _record(connection: Connection, session: Session, packet: Connect, will: WillMessage | None) -> None:
    connection.broker.sessions.keep(session, packet.version)
    if session.ledger is not None and will is not None:
        session.ledger.will(will)
    elif session.ledger is not None:
        session.ledger.no_will()


class _Entry(Job):
    """An accepted CONNECT. It opens the session, a job of the sm pool; what that holds follows the CONNACK [MQTT-3.2.0-1]."""

    __slots__ = ("connection", "packet", "answer", "present", "will", "_ending")

    def __init__(self, connection: Connection, packet: Connect, answer: Properties) -> None:
        Job.__init__(self, connection.client_id)
        self.connection = connection
        self.packet = packet
        self.answer = answer
        self.present = False  # [MQTT-3.2.2-2] [MQTT-3.2.2-3]
        self.will: WillMessage | None = None
        self._ending: End | None = None

    def run(self) -> None:
        connection, broker = self.connection, self.connection.broker
        if broker.journal is not None:
            connection.since = broker.journal.count
        old = broker.sessions.by_id.get(connection.client_id)
        if old is None:
            self._create()
            return
        opener = old.opener
        if opener is not None:
            broker.hooks.run(SESSION_TAKENOVER, (connection.client_id,))
            _take_over(connection, cast(Connection, opener))
        if old.client_id not in broker.sessions.by_id:
            self._create()
        elif self.packet.clean_start or old.expiry_interval <= 0:
            self._end(_discard(connection, old, self.packet.clean_start))
        elif not ruling.may_resume(connection, self.packet.user_name, old):
            self._end(_discard(connection, old, True))
        elif connection.state != CLOSED:
            self.present = True  # [MQTT-3.2.2-3]
            self._open(old)  # [MQTT-3.1.2-5]

    def _end(self, end: End) -> None:
        """Open a new session when the old one has ended."""
        if not end.over:
            self._ending = end
            self.wait(end.when_over(), self._ended)
        elif end.error is not None:
            self.error = end.error
        else:
            self._create()

    def _ended(self, link: Link, decision: bool) -> None:
        if self._ending is not None:
            self._end(self._ending)

    def _create(self) -> None:
        if self.connection.state != CLOSED:  # or it would be for nobody
            self._open(self.connection.broker.sessions.create(self.connection.client_id))  # [MQTT-3.1.2-6]

    def _open(self, session: Session) -> None:
        """From here on the end of the connection leaves the session."""
        connection, packet = self.connection, self.packet
        session.opener = connection
        connection.session = session
        if self.present:
            connection.broker.sessions.resume(session)  # [MQTT-4.1.0-1]
            connection.broker.wills.cancel(session.client_id)  # [MQTT-3.1.3-9]
        session.expiry_interval = _expiry(connection, packet, self.answer)  # [MQTT-3.1.2-23]
        connection.user_name = session.user_name = packet.user_name
        quotas.own(connection, packet.user_name)
        self.will = _will(connection, packet)
        if connection.broker.journal is not None:
            _record(connection, session, packet, self.will)

    def opened(self, link: Link, decision: bool) -> None:
        """The session is there, or could not be had."""
        self.answer_now()

    def answer_now(self) -> None:
        """Where a store keeps the session, the answer waits until that has it."""
        connection, journal = self.connection, self.connection.broker.journal
        if self.error is not None and connection.version == c.MQTT_5_0:
            connection.refuse(MQTTError(DEFECT, c.UNSPECIFIED_ERROR))
        elif self.error is not None:
            connection.refuse(MQTTError(DEFECT, c.SERVER_UNAVAILABLE))
        elif journal is not None and connection.session is not None:
            connection.wait(journal.wait(_commit(connection, connection.session, journal)), self.stored)
        else:
            self.enter(connection)

    def stored(self, link: Link, decision: bool) -> None:
        """The store has the session."""
        self.enter(cast(Connection, link))

    def enter(self, connection: Connection) -> None:
        broker, packet, session = connection.broker, self.packet, connection.session
        if session is None:
            return
        answer = self.answer if packet.version == c.MQTT_5_0 else None
        if not connection.send_packet(Connack(self.present, c.SUCCESS, answer)):  # [MQTT-3.1.4-5] [MQTT-3.2.0-1]
            connection.end_too_small("CONNACK")
            return
        connection.state = OPEN  # [MQTT-3.2.0-2]
        connection.connected_at = broker.turn.now
        connection.will = self.will  # [MQTT-3.1.2-7]
        session.attach(connection, _window(connection, packet))
        broker.metrics.connects += 1
        broker.observer.connected(connection.client_id, connection.peer.text, packet.version, self.present)
        broker.stats.arrived(len(broker.sessions.by_id))
        user_name = connection.user_name
        broker.observer.arrived(connection.client_id, user_name, connection.peer.text, packet.version, packet.clean_start)
        if broker.hooks.at[CLIENT_CONNACK]:
            broker.hooks.run(CLIENT_CONNACK, (connection.client(), c.SUCCESS))
        if connection.state == OPEN:  # nobody has ended it there
            broker.hooks.run(SESSION_RESUMED if self.present else SESSION_CREATED, (connection.client_id, user_name))
        if connection.state == OPEN and broker.hooks.at[CLIENT_CONNECTED]:
            broker.hooks.run(CLIENT_CONNECTED, (connection.client(),))
        if connection.state == OPEN:
            session.redeliver()  # [MQTT-3.2.0-1]


def _discard(connection: Connection, old: Session, clean_start: bool) -> End:
    """Have the session ended that the client had; without Clean Start it should have ended already."""
    if clean_start:
        return connection.broker.discard_session(old)  # [MQTT-3.1.2-4] [MQTT-3.1.4-4]
    return connection.broker.sessions.discard(old)


def _expiry(connection: Connection, packet: Connect, answer: Properties) -> float:
    """The session's expiry interval in seconds, within the server's bound; before 5.0 Clean Session decides."""
    most = connection.broker.settings.max_session_expiry
    if packet.version != c.MQTT_5_0:
        return 0.0 if packet.clean_start else most
    asked = (packet.properties or NOTHING).session_expiry_interval or 0
    wanted = NEVER if asked == c.SESSION_NEVER_EXPIRES else float(asked)
    if wanted > most:
        longest = c.SESSION_NEVER_EXPIRES - 1  # that the property can hold
        answer.session_expiry_interval = min(int(most), longest)  # what the server uses instead
        return most
    return wanted


def _window(connection: Connection, packet: Connect) -> int:
    theirs = (packet.properties or NOTHING).receive_maximum or c.MAX_PACKET_ID  # [MQTT-3.3.4-9]
    ours = connection.broker.settings.max_inflight
    return min(theirs, ours) if ours else theirs  # [MQTT-4.9.0-1]


def _will(connection: Connection, packet: Connect) -> WillMessage | None:
    will = packet.will
    if will is None:
        return None
    properties = will.properties or NOTHING
    expiry = properties.message_expiry_interval
    message = WillMessage(will.topic_name, will.payload, will.qos, will.retain, forwarded_properties(properties),
                          connection.client_id, properties.will_delay_interval or 0, NEVER if expiry is None else expiry)
    if not connection.superuser:  # whom rules do not concern later either
        message.user_name, message.address = packet.user_name, connection.peer.address
    return message
