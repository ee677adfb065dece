"""The entry of an accepted client: the session that it finds or gets, and what follows its CONNACK."""
from typing import Final, cast

from emqtwist.core import quotas, ruling
from emqtwist.core.acl import CANNOT_TELL
from emqtwist.core.connection import CLOSED, OPEN, Connection
from emqtwist.core.hooks import CLIENT_CONNACK, CLIENT_CONNECTED, SESSION_CREATED, SESSION_RESUMED, SESSION_TAKENOVER
from emqtwist.core.journal import Journal
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER
from emqtwist.core.mounting import seen
from emqtwist.core.move import Claim
from emqtwist.core.neighbours import Names
from emqtwist.core.pool import Job
from emqtwist.core.session import Session
from emqtwist.core.sessions import End
from emqtwist.core.wills import WillMessage
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.errors import MQTTError, ServerBusy, SessionTakenOver
from emqtwist.mqtt.packets import Connack, Connect, Will
from emqtwist.mqtt.properties import Properties, forwarded_properties

DEFECT: Final = "a defect of the broker kept the session from being opened"
ACCEPTED: Final = {(version, present): encode(Connack(present), version)
                   for version in (c.MQTT_3_1, c.MQTT_3_1_1) for present in (False, True)}
NOTHING: Final = Properties()  # stands for absent properties where they are only read


def _commit(connection: Connection, session: Session, journal: Journal) -> int:
    """The group that the CONNACK waits for; none when nothing is to be stored, or nothing can be."""
    if journal.failing or (session.ledger is None and journal.count == connection.since):
        return 0
    return journal.barrier()


def take_over(old: Connection, reason: str) -> None:
    """End the connection that has the Client Identifier; one that was not answered yet is told otherwise."""
    old.fail(SessionTakenOver(reason) if old.state == OPEN else ServerBusy(reason))  # [MQTT-3.1.4-3]


def _record(connection: Connection, session: Session, packet: Connect, will: WillMessage | None) -> None:
    connection.broker.sessions.keep(session, packet.version)
    if session.ledger is not None and will is not None:
        session.ledger.will(will)
    elif session.ledger is not None:
        session.ledger.no_will()


class Entry(Job):
    """An accepted CONNECT. It opens the session, a job of the sm pool; what that holds follows the CONNACK [MQTT-3.2.0-1]."""

    __slots__ = ("connection", "packet", "answer", "present", "will", "_ending", "_old")

    def __init__(self, connection: Connection, packet: Connect, answer: Properties) -> None:
        Job.__init__(self, connection.client_id)
        self.connection = connection
        self.packet = packet
        self.answer = answer
        self.present = False  # [MQTT-3.2.2-2] [MQTT-3.2.2-3]
        self.will: WillMessage | None = None
        self._ending: End | None = None
        self._old: Session | None = None

    def run(self) -> None:
        """Where there are other nodes, one of them may have the session."""
        cluster = self.connection.broker.cluster
        claim = None if cluster is None else cluster.claim(self.connection.client_id, self.packet.clean_start,
                                                               self._is_wanted)
        if claim is None:
            self._begin()
        else:
            self.wait(claim, self._claimed)

    def _is_wanted(self) -> bool:
        """Whether the client is still here."""
        return self.connection.state != CLOSED

    def _claimed(self, link: Link, claim: Claim) -> None:
        if claim.refusal:
            self.connection.refuse(MQTTError(claim.refusal, c.SERVER_UNAVAILABLE))
        elif self._is_wanted():
            self._begin()

    def _begin(self) -> None:
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
            take_over(cast(Connection, opener), f"a new connection from {connection.peer.text} uses this client identifier")
        if old.client_id not in broker.sessions.by_id:
            self._create()
        elif self.packet.clean_start or old.expiry_interval <= 0:
            self._end(_discard(connection, old, self.packet.clean_start))
        else:
            self._sweep(old)

    def _sweep(self, old: Session) -> None:
        connection = self.connection
        self._old = old
        client = ruling.claimed(connection, self.packet.user_name)
        ruling.Sweep(self, connection.broker.acl, client, old, connection.mount, self._swept).go_on()

    def _swept(self, sweep: ruling.Sweep) -> None:
        """What others have ruled in the meantime is asked about once more."""
        connection, old = self.connection, self._old
        if old is None or connection.state == CLOSED:
            return
        if sweep.failed:
            connection.refuse(MQTTError(CANNOT_TELL, c.SERVER_UNAVAILABLE))
        elif sweep.acl is not connection.broker.acl:
            self._sweep(old)
        elif sweep.left:
            ruling.regret(connection, old, sweep)
            self._end(_discard(connection, old, True))
        else:
            sweep.guard(connection.broker)
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
        broker = connection.broker
        session.opener = connection
        connection.session = session
        if self.present:
            broker.sessions.resume(session)  # [MQTT-4.1.0-1]
            broker.wills.cancel(session.client_id)  # [MQTT-3.1.3-9]
        session.expiry_interval = expiry_of(connection, packet, self.answer)  # [MQTT-3.1.2-23]
        acl = broker.acl
        if acl is not None and not self.present and session.expiry_interval > 0:
            session.judged = ruling.inputs_of(acl, ruling.claimed(connection, packet.user_name), connection.mount)
        connection.user_name = session.user_name = packet.user_name
        if broker.settings.max_sessions_per_user:
            quotas.own(connection, packet.user_name)
        if broker.cluster is not None:
            broker.cluster.session_opened(session, packet.clean_start)
        if packet.will is not None:
            self.will = _will(connection, packet, packet.will)
        if session.ledger is not None or session.expiry_interval > 0:
            _record(connection, session, packet, self.will)

    def opened(self, link: Link, decision: bool) -> None:
        """The session is there, or could not be had."""
        self.answer_now()

    def answer_now(self) -> None:
        """A new session that is to last is known at all nodes first: its client may come to any of them next."""
        connection, cluster = self.connection, self.connection.broker.cluster
        if cluster is None:
            self._answer()
            return
        session = connection.session
        lasts = self.error is None and not self.present and session is not None and session.expiry_interval > 0
        announced = cluster.announced() if lasts else None
        if announced is None:
            self._answer()
        else:
            connection.wait(announced, self._announced)

    def _announced(self, link: Link, late: Names) -> None:
        """Those who are late are cut off, and learn of it when they are back."""
        self._answer()

    def _answer(self) -> None:
        """Where a store keeps the session, the answer waits until that has it."""
        connection, journal = self.connection, self.connection.broker.journal
        if self.error is not None and connection.version == c.MQTT_5_0:
            connection.refuse(MQTTError(DEFECT, c.UNSPECIFIED_ERROR))
        elif self.error is not None:
            connection.refuse(MQTTError(DEFECT, c.SERVER_UNAVAILABLE))
        elif journal is not None and connection.session is not None:
            group = _commit(connection, connection.session, journal)
            if group:
                connection.wait(journal.wait(group), self.stored)
            else:
                self.enter(connection)
        else:
            self.enter(connection)

    def stored(self, link: Link, decision: bool) -> None:
        """The store has the session."""
        self.enter(cast(Connection, link))

    def enter(self, connection: Connection) -> None:
        broker, packet, session = connection.broker, self.packet, connection.session
        if session is None:
            return
        if packet.version != c.MQTT_5_0:
            broker.metrics.sent[c.CONNACK] += 1
            connection.send(ACCEPTED[packet.version, self.present])  # [MQTT-3.1.4-5] [MQTT-3.2.0-1]
        elif not connection.send_packet(Connack(self.present, c.SUCCESS, self.answer)):  # [MQTT-3.1.4-5] [MQTT-3.2.0-1]
            connection.end_too_small("CONNACK")
            return
        connection.state = OPEN  # [MQTT-3.2.0-2]
        connection.connected_at = broker.turn.now
        connection.will = self.will  # [MQTT-3.1.2-7]
        session.attach(connection, _window(connection, packet))
        broker.metrics.connects += 1
        broker.stats.arrived(len(broker.sessions.by_id))
        user_name = connection.user_name
        broker.observer.connected(connection.client_id, user_name, connection.peer.text, packet.version, packet.clean_start,
                                  self.present)
        if broker.hooks.at[CLIENT_CONNACK]:
            broker.hooks.run(CLIENT_CONNACK, (connection.client(), c.SUCCESS))
        hook = SESSION_RESUMED if self.present else SESSION_CREATED
        if connection.state == OPEN and broker.hooks.at[hook]:  # nobody has ended it there
            broker.hooks.run(hook, (connection.client_id, user_name))
        if connection.state == OPEN and broker.hooks.at[CLIENT_CONNECTED]:
            broker.hooks.run(CLIENT_CONNECTED, (connection.client(),))
        if connection.state != OPEN:
            return
        if self.present:
            session.redeliver()  # [MQTT-3.2.0-1]
        else:
            session.pump()


def _discard(connection: Connection, old: Session, clean_start: bool) -> End:
    """Have the session ended that the client had; without Clean Start it should have ended already."""
    if clean_start:
        return connection.broker.discard_session(old)  # [MQTT-3.1.2-4] [MQTT-3.1.4-4]
    return connection.broker.sessions.discard(old)


def expiry_of(connection: Connection, packet: Connect, answer: Properties) -> float:
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


def _will(connection: Connection, packet: Connect, will: Will) -> WillMessage:
    properties = will.properties or NOTHING
    expiry = properties.message_expiry_interval
    message = WillMessage(will.topic_name, will.payload, will.qos, will.retain, forwarded_properties(properties),
                          connection.client_id, properties.will_delay_interval or 0, NEVER if expiry is None else expiry)
    message.client = ruling.claimed(connection, packet.user_name)
    message.said = seen(connection.mount, connection.broker.delayed.meant(will.topic_name))
    return message
