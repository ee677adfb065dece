"""CONNECT, as a list of steps: each refuses or fills in the answer, the last opens the session.

A step is left out where the settings and the listener's terms give it nothing to look at.
"""
from collections.abc import Callable
from typing import Final, cast

from emqtwist.core import admitting, authenticating, banning, metrics, moving, overload, terms
from emqtwist.core.access import Accept, Client
from emqtwist.core.aliases import Outgoing
from emqtwist.core.connection import Connection
from emqtwist.core.door import VERSIONS, Terms
from emqtwist.core.entry import NOTHING, Entry, expiry_of
from emqtwist.core.forwarded import check_forwarded
from emqtwist.core.hooks import CLIENT_CONNECT
from emqtwist.core.link import Link
from emqtwist.core.questioning import Questioning, admits_unasked, is_asked, result_of, take_name
from emqtwist.core.settings import Settings
from emqtwist.core.willing import check_will
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, NotAuthorized
from emqtwist.mqtt.packets import Connect
from emqtwist.mqtt.properties import Properties
from emqtwist.mqtt.topics import check_topic_name

UNSEEN: Final = Properties()  # what steps write for clients before 5.0, which get no properties: one for all, not to be read


class Plan:
    """What is to be looked at in a CONNECT under these `settings` and `terms`: the steps for 5.0, and those for others."""

    __slots__ = ("settings", "terms", "steps", "steps_before_5")

    def __init__(self, settings: Settings, terms: Terms) -> None:
        self.settings = settings
        self.terms = terms
        self.steps = [step for step, matters in STEPS if matters(settings, terms)]
        self.steps_before_5 = [step for step in self.steps if step not in ABOUT_PROPERTIES]


def connect(connection: Connection, packet: Connect) -> None:
    """Accept or refuse the client, or begin to authenticate it."""
    version = connection.version = packet.version
    answer = Properties() if version == c.MQTT_5_0 else UNSEEN
    door, broker = connection.door, connection.broker
    plan: Plan | None = door.plan
    if plan is None or plan.settings is not broker.settings or plan.terms is not door.terms:
        plan = door.plan = Plan(broker.settings, door.terms)
    try:
        for step in plan.steps if version == c.MQTT_5_0 else plan.steps_before_5:
            step(connection, packet, answer)
    except MQTTError as error:
        connection.refuse(error)  # [MQTT-3.1.4-2]
        return
    if broker.hooks.at[CLIENT_CONNECT] or is_asked(connection):
        Questioning(packet, answer, _admit).begin(connection)
    else:
        if answer.authentication_method is None:
            broker.metrics.authentication(result_of(connection, False))
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
    if admits_unasked(connection) or answer.authentication_method is not None or is_asked(connection):
        return  # or somebody decides
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
    if journal is None or not journal.failing or expiry_of(connection, packet, answer) <= 0:
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


def _always(settings: Settings, asked: Terms) -> bool:
    return True


Step = Callable[[Connection, Connect, Properties], None]
STEPS: Final[list[tuple[Step, Callable[[Settings, Terms], bool]]]] = [
    (terms.check_version, lambda settings, asked: asked.versions != VERSIONS),
    (_read_properties, _always),
    (_check_moved, lambda settings, asked: moving.gone(settings) is not None),
    (overload.check, _always),
    (_check_store, _always),
    (_check_method, _always),
    (take_name, lambda settings, asked: asked.name_from != "off"),
    (terms.take_user_name, lambda settings, asked: asked.user_name_as_client_id),
    (_check_identifier, _always),
    (banning.check, _always),
    (_check_access, _always),
    (_check_will, _always),
    (_assign_identifier, _always),
    (_set_keep_alive, _always),
    (terms.bound_keep_alive, lambda settings, asked: asked.max_keep_alive > 0),
    (_announce_limits, _always),
    (_inform, lambda settings, asked: settings.response_information != ""),
]
ABOUT_PROPERTIES: Final = (_read_properties, _check_method, _announce_limits, _inform)  # others have none


def _open(connection: Connection, packet: Connect, answer: Properties) -> None:
    """Have the session opened or resumed, one at a time for each client."""
    error = admitting.refusal(connection, packet)
    if error is not None:
        connection.refuse(error)
        return
    entry = Entry(connection, packet, answer)
    connection.broker.pools.sm.submit(entry)
    if entry.over:
        entry.answer_now()
    else:
        connection.wait(entry.when_over(), entry.opened)
