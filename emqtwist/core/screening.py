"""PUBLISH where somebody is asked whether the client may: before its own course, which is `core.publishing`."""
from typing import Final, cast

from emqtwist.core import causes, overload, publishing
from emqtwist.core.acl import PUBLISH as TO_PUBLISH
from emqtwist.core.acl import Acl, Grants, Rule, Ruling, denial
from emqtwist.core.chain import ask
from emqtwist.core.connection import Connection
from emqtwist.core.hooks import CLIENT_AUTHORIZE, PUBLISH, Folded
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, Message
from emqtwist.core.session import Session
from emqtwist.mqtt.errors import MQTTError, NotAuthorized
from emqtwist.mqtt.packets import AliasedPublish, Publish
from emqtwist.mqtt.topics import check_topic_name

NOT_ALLOWED: Final = "this client may not publish to this topic"
NOTHING: Final[set[bytes]] = set()  # nobody adds to it


def screen(connection: Connection, session: Session, packet: Publish) -> None:
    """Ask, then publish or refuse. One that was passed on already is not asked for again: its flow has to come to its end."""
    acl = connection.broker.acl
    if acl is not None and not (packet.qos == 2 and packet.packet_id in session.received):
        _rule(connection, session, packet, acl)
    else:
        _allowed(connection, session, packet)


def _allowed(connection: Connection, session: Session, packet: Publish) -> None:
    broker = connection.broker
    if broker.circle.overloaded:
        packet = _in_full(connection, packet)
        if overload.shed(connection, packet):
            return
    if not broker.hooks.screens:
        _go_on(connection, session, packet)
    else:
        _ask(connection, session, packet)


def granted(connection: Connection) -> set[bytes]:
    """The Topic Names that need no `screen`: nobody but the rules is to be asked, and they have allowed them."""
    broker, grants = connection.broker, connection.grants
    if grants is None or grants.acl is not broker.acl or broker.hooks.screens or broker.circle.overloaded or connection.mount:
        return NOTHING
    return grants.allowed


def _rule(connection: Connection, session: Session, packet: Publish, acl: Acl) -> None:
    """Ask who rules what clients may do. A Topic Name that is none is left to `publish`, which says so."""
    topic_name = packet.topic_name
    if isinstance(packet, AliasedPublish):
        topic_name = (connection.incoming or connection.take_aliases()).resolve(packet.topic_alias, topic_name)
    grants = connection.grants
    if grants is None or grants.acl is not acl:
        grants = connection.grants = Grants(acl, connection.client(), connection.turn.now)
    topic_name = connection.broker.delayed.meant(topic_name)
    if topic_name in grants.allowed or not topic_name:
        _allowed(connection, session, packet)
        return
    rule = grants.denied.get(topic_name)
    if rule is None:
        check_topic_name(topic_name, connection.broker.settings.max_topic_levels)
        if not grants.asks_rules_only():
            _Judging(_in_full(connection, packet), grants, topic_name).begin(connection)
            return
        rule = grants.ask(topic_name)
    _obey(connection, session, packet, rule)


def _obey(connection: Connection, session: Session, packet: Publish, rule: Rule) -> None:
    if rule.allow:
        _allowed(connection, session, packet)
    else:
        _deny(connection, packet, rule)


def _deny(connection: Connection, packet: Publish, rule: Rule) -> None:
    broker = connection.broker
    if packet.qos == 2:
        broker.metrics.qos2_received += 1
    _turn_away(connection, _in_full(connection, packet), denial(broker.settings, NOT_ALLOWED, rule))


def _turn_away(connection: Connection, packet: Publish, error: MQTTError) -> None:
    """It goes nowhere; what its publisher is told `mqtt.acl_deny_action` says."""
    broker = connection.broker
    message = Message(packet.topic_name, packet.payload, packet.qos, packet.retain, b"", NEVER, connection.client_id)
    broker.circle.lose(message, causes.ACL_DENIED)
    action = broker.settings.acl_deny_action
    if action == "disconnect":
        broker.metrics.deny(causes.PUBLISH_DISCONNECTED)
        raise error
    if action == "acknowledge":
        broker.metrics.deny(causes.PUBLISH_ACKNOWLEDGED)
        publishing.refuse(connection, packet, error)
    else:
        broker.metrics.deny(causes.PUBLISH_DROPPED)
        broker.metrics.qos1_unanswered += packet.qos == 1


def _ask(connection: Connection, session: Session, packet: Publish) -> None:
    if packet.qos == 2:
        connection.broker.metrics.qos2_received += 1
    packet = _in_full(connection, packet)
    if packet.qos == 2 and packet.packet_id in session.received:
        _publish(connection, session, packet)
        return
    screening = _Screening(packet, connection.broker.delayed.meant(packet.topic_name))
    ask(connection, CLIENT_AUTHORIZE, (connection.client(), PUBLISH, screening.topic_name), True, screening.decided)
    if not screening.over and packet.qos == 1:
        screening.waits = True
        connection.broker.metrics.qos1_unanswered += 1  # until it is


def _publish(connection: Connection, session: Session, packet: Publish) -> None:
    if packet.qos == 2:
        connection.broker.metrics.qos2_received -= 1  # `publish` counts it
    _go_on(connection, session, packet)


def _go_on(connection: Connection, session: Session, packet: Publish) -> None:
    if connection.mount:
        packet = _in_full(connection, packet)
        if packet.topic_name:
            packet.topic_name = connection.broker.delayed.mounted(connection.mount, packet.topic_name)
    publishing.publish(connection, session, packet)


def _in_full(connection: Connection, packet: Publish) -> Publish:
    """The packet with its Topic Name, and without the bytes that would be passed on as they are."""
    if isinstance(packet, AliasedPublish):
        aliases = connection.incoming or connection.take_aliases()
        topic = aliases.resolve(packet.topic_alias, packet.topic_name)
        return Publish(topic, packet.payload, packet.qos, packet.retain, packet.dup, packet.packet_id, packet.properties)
    packet.frame = b""
    return packet


class _Screening:
    """A PUBLISH to `topic_name` that is decided upon."""

    __slots__ = ("packet", "topic_name", "waits", "over")

    def __init__(self, packet: Publish, topic_name: bytes) -> None:
        self.packet = packet
        self.topic_name = topic_name
        self.waits = False
        self.over = False

    def decided(self, connection: Connection, allowed: Folded[bool]) -> None:
        self.over = True
        session = cast(Session, connection.session)
        if self.topic_name != connection.broker.delayed.meant(self.packet.topic_name):  # whether it is to wait has changed
            connection.broker.metrics.qos2_received -= self.packet.qos == 2
            screen(connection, session, self.packet)
        elif allowed.value:
            _publish(connection, session, self.packet)
        else:
            _turn_away(connection, self.packet, NotAuthorized(NOT_ALLOWED))
        if self.waits:
            connection.broker.metrics.qos1_unanswered -= 1


class _Judging:
    """A PUBLISH to `topic_name` that the authority decides upon. Until then it counts as unanswered, or as one at QoS 2."""

    __slots__ = ("packet", "grants", "topic_name", "over", "waits")

    def __init__(self, packet: Publish, grants: Grants, topic_name: bytes) -> None:
        self.packet = packet
        self.grants = grants
        self.topic_name = topic_name
        self.over = False
        self.waits = False

    def begin(self, connection: Connection) -> None:
        connection.wait(self.grants.acl.judge(connection.client(), TO_PUBLISH, self.topic_name), self.judged)
        if not self.over:
            self.waits = True
            self._count(connection, 1)

    def judged(self, link: Link, ruling: Ruling) -> None:
        """What others have ruled in the meantime is asked about once more."""
        self.over = True
        connection, packet, grants = cast(Connection, link), self.packet, self.grants
        if self.waits:
            self._count(connection, -1)
        session = cast(Session, connection.session)
        meant = connection.broker.delayed.meant(packet.topic_name)
        if connection.broker.acl is not grants.acl or meant != self.topic_name:
            screen(connection, session, packet)
            return
        if ruling.holds and connection.grants is grants:
            grants.note(self.topic_name, ruling.rule)
        _obey(connection, session, packet, ruling.rule)

    def _count(self, connection: Connection, one: int) -> None:
        metrics = connection.broker.metrics
        metrics.qos1_unanswered += one * (self.packet.qos == 1)
        metrics.qos2_received += one * (self.packet.qos == 2)
