"""AUTH: the exchange before CONNACK, and re-authentication on an open connection.

Before CONNACK nothing else is served: a session, a Will, a place in any table come with the acceptance only. During a
re-authentication other packets flow. Either is bounded in time (`connect_timeout`), in rounds and in bytes.
"""
from collections.abc import Callable
from typing import Final, cast

from emqtwist.core import causes, metrics
from emqtwist.core.access import Accept, Client, Continue, Refuse, Step
from emqtwist.core.connection import Connection
from emqtwist.core.exchange import Exchange
from emqtwist.core.link import Link
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, NotAuthorized, ProtocolError, QuotaExceeded
from emqtwist.mqtt.packets import Auth, Packet
from emqtwist.mqtt.properties import Properties

MAX_ROUNDS: Final = 16  # SCRAM needs 2, Kerberos 3 or 4
MAX_BYTES: Final = 0x20000  # of Authentication Data in one exchange; one property holds half of it


def begin(connection: Connection, client: Client, method: str, data: bytes | None,
          accepted: Callable[[Link, Accept], None]) -> None:
    """Begin an exchange by a method that is known; `accepted` is called if it ends well."""
    exchange = connection.exchange
    if exchange is None:
        exchange = connection.exchange = Exchange(method)
    exchange.begin(connection.broker.methods[method].open(client), accepted, connection.turn.now)
    _go_on(connection, exchange, data)


def authenticate_first(connection: Connection, exchange: Exchange, packet: Packet) -> None:
    """A packet before CONNACK: AUTH, DISCONNECT, nothing else [MQTT-3.1.2-30]."""
    if packet.type == c.AUTH:
        _answer(connection, exchange, cast(Auth, packet), c.CONTINUE_AUTHENTICATION)
    elif packet.type == c.DISCONNECT:
        connection.end(causes.NORMAL, "the client disconnected before it was accepted")
    else:
        raise ProtocolError(f"{c.PACKET_NAMES[packet.type]} before the end of authentication")  # [MQTT-3.1.2-30]


def authenticate_again(connection: Connection, packet: Auth) -> None:
    """AUTH on an open connection: re-authentication, or its next round."""
    exchange = connection.exchange
    if exchange is None:
        raise ProtocolError("AUTH, and CONNECT had no Authentication Method")  # [MQTT-4.12.0-7]
    if exchange.conversation is not None:
        _answer(connection, exchange, packet, c.CONTINUE_AUTHENTICATION)
    else:
        _answer(connection, exchange, packet, c.RE_AUTHENTICATE)


def _answer(connection: Connection, exchange: Exchange, packet: Auth, expected: int) -> None:
    """Serve an AUTH that has to have this reason code, and the method of CONNECT [MQTT-4.12.0-3], [MQTT-4.12.1-1]."""
    properties = packet.properties
    if packet.reason_code != expected:  # [MQTT-4.12.0-3] [MQTT-4.12.1-1]
        raise ProtocolError(f"AUTH with reason code 0x{packet.reason_code:02X}, not 0x{expected:02X}")
    if properties is None or properties.authentication_method != exchange.method:
        raise ProtocolError("AUTH with another Authentication Method than CONNECT")  # [MQTT-4.12.0-5]
    data = properties.authentication_data
    if expected == c.CONTINUE_AUTHENTICATION:
        _go_on(connection, exchange, data)
    elif exchange.method in connection.broker.methods:
        client = Client(connection.client_id, connection.user_name, connection.door, connection.peer)
        begin(connection, client, exchange.method, data, _accepted_again)
    else:
        raise MQTTError("this authentication method is not supported any more", c.BAD_AUTHENTICATION_METHOD)


def _go_on(connection: Connection, exchange: Exchange, data: bytes | None) -> None:
    exchange.rounds += 1
    exchange.size += 0 if data is None else len(data)
    if exchange.rounds > MAX_ROUNDS or exchange.size > MAX_BYTES:
        raise QuotaExceeded("the authentication exchange is too long")
    assert exchange.conversation is not None
    connection.wait(exchange.conversation.take(data), _decided)


def _decided(link: Link, step: Step) -> None:
    """Do what the method has decided; whatever it gives that is no acceptance keeps the client out."""
    connection = cast(Connection, link)
    exchange = connection.exchange
    assert exchange is not None  # who waits is still there
    assert exchange.accepted is not None
    if isinstance(step, Continue):
        _send(connection, exchange, c.CONTINUE_AUTHENTICATION, step.data)  # [MQTT-4.12.0-2]
    elif isinstance(step, Accept):
        connection.broker.metrics.authentication(metrics.ACCEPTED)
        accepted = exchange.accepted
        exchange.end()
        accepted(connection, step)
    else:
        broker = connection.broker
        broker.metrics.authentication(metrics.REFUSED)
        broker.logins.failed(connection.peer.address, broker.turn.now, broker.settings.logins)
        connection.fail(cast(Refuse, step).error)  # [MQTT-4.12.0-4], [MQTT-4.12.1-2]


def _accepted_again(link: Link, accept: Accept) -> None:
    """A session belongs to one user: nobody becomes another one on the way."""
    connection = cast(Connection, link)
    exchange = connection.exchange
    assert exchange is not None
    if accept.user_name != connection.user_name:
        raise NotAuthorized("re-authentication as another user")
    _send(connection, exchange, c.SUCCESS, accept.data)


def _send(connection: Connection, exchange: Exchange, reason_code: int, data: bytes | None) -> None:
    properties = Properties()
    properties.authentication_method = exchange.method  # [MQTT-4.12.0-5]
    properties.authentication_data = data
    if not connection.send_packet(Auth(reason_code, properties)):
        connection.end_too_small("AUTH")
