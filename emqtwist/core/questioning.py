"""CONNECT where somebody is asked: whether to take it at all, and who the client is. What follows is `core.connecting`."""
from collections.abc import Callable
from typing import cast

from emqtwist.core import metrics
from emqtwist.core.access import Client, Deny, Finding, Ok
from emqtwist.core.chain import announce, ask
from emqtwist.core.connection import Connection
from emqtwist.core.hooks import CLIENT_AUTHENTICATE, CLIENT_CONNECT, Folded
from emqtwist.core.link import Link
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, NotAuthorized
from emqtwist.mqtt.packets import Connect
from emqtwist.mqtt.properties import Properties


def has_name(connection: Connection) -> bool:
    """Whether the client's certificate says who it is, at a listener that goes by that."""
    return connection.door.terms.name_from != "off" and connection.peer.certificate is not None


def take_name(connection: Connection, packet: Connect, answer: Properties) -> None:
    """A step of CONNECT: the user name is the certificate's, where the listener goes by it.

    So may it be that the client is a superuser, but not where a method is to prove who it is.
    """
    certificate = connection.peer.certificate
    if certificate is not None and has_name(connection):
        packet.user_name = certificate.name(connection.door.terms.name_from)
        if not packet.user_name:
            raise NotAuthorized(f"the certificate has no {connection.door.terms.name_from.upper()} to take the user name from")
        connection.superuser = packet.user_name in connection.door.terms.superusers and answer.authentication_method is None


def admits_unasked(connection: Connection) -> bool:
    """Whether a client whom nobody has asked who it is may come in."""
    anonymous = connection.broker.settings.allow_anonymous
    return anonymous == "on" or (anonymous == "loopback" and connection.peer.loopback) or has_name(connection)


def is_guarded(connection: Connection) -> bool:
    """Whether a gatekeeper says who the client is; where its certificate does, nobody has to."""
    gatekeeper = connection.broker.gatekeeper
    return gatekeeper is not None and gatekeeper.guards(connection.door.name) and not has_name(connection)


def is_asked(connection: Connection) -> bool:
    """Whether somebody decides who a client without Authentication Method is: a gatekeeper, or functions of others."""
    return is_guarded(connection) or bool(connection.broker.hooks.at[CLIENT_AUTHENTICATE])


def result_of(connection: Connection, asked: bool) -> str:
    """How the question who the client is has ended, when it comes in and no method was used."""
    return metrics.ACCEPTED if asked or has_name(connection) else metrics.ANONYMOUS


class Questioning:
    """A CONNECT that is decided upon; `admit` is called with it when all agree."""

    __slots__ = ("packet", "answer", "_admit", "_known")

    def __init__(self, packet: Connect, answer: Properties, admit: Callable[[Connection, Connect, Properties], None]) -> None:
        self.packet = packet
        self.answer = answer
        self._admit = admit
        self._known = False  # somebody has decided who it is

    def begin(self, connection: Connection) -> None:
        announce(connection, CLIENT_CONNECT, (self._client(connection),), self._announced)

    def _client(self, connection: Connection) -> Client:
        client = connection.client()
        client.user_name = self.packet.user_name  # the connection does not have it before its session is open
        return client

    def _announced(self, connection: Connection, folded: Folded[bool]) -> None:
        if folded.stopped:
            connection.refuse(NotAuthorized("a function at the hook client.connect refuses this client"))
        elif self.answer.authentication_method is not None:
            self._admit(connection, self.packet, self.answer)
        else:
            self._judge(connection)

    def _judge(self, connection: Connection) -> None:
        gatekeeper = connection.broker.gatekeeper
        if gatekeeper is not None and is_guarded(connection):
            connection.wait(gatekeeper.judge(self._client(connection), self.packet.password), self._judged)
        else:
            self._ask(connection, admits_unasked(connection))

    def _judged(self, link: Link, finding: Finding) -> None:
        """Functions may refuse whom the gatekeeper knows, and accept whom it does not know, but not whom it denies."""
        connection = cast(Connection, link)
        if isinstance(finding, Deny):
            self._refuse(connection, finding.error)
        elif isinstance(finding, Ok):
            self._known = True
            connection.superuser = finding.superuser
            self._ask(connection, True)
        else:
            self._ask(connection, self._is_nameless() and admits_unasked(connection))

    def _is_nameless(self) -> bool:
        """Whether it does not say who it is. Who does, and is not known, is not anonymous."""
        return self.packet.user_name is None and self.packet.password is None

    def _ask(self, connection: Connection, accepted: bool) -> None:
        if connection.broker.hooks.at[CLIENT_AUTHENTICATE]:
            self._known = True
        ask(connection, CLIENT_AUTHENTICATE, (self._client(connection), self.packet.password), accepted, self._authenticated)

    def _authenticated(self, connection: Connection, accepted: Folded[bool]) -> None:
        if accepted.value:
            connection.broker.metrics.authentication(result_of(connection, self._known))
            self._admit(connection, self.packet, self.answer)
        elif self._is_nameless():
            self._refuse(connection, NotAuthorized("clients have to say who they are here"))
        else:
            self._refuse(connection, MQTTError("the user name or the password is wrong", c.BAD_USER_NAME_OR_PASSWORD))

    def _refuse(self, connection: Connection, error: MQTTError) -> None:
        broker = connection.broker
        broker.metrics.authentication(metrics.REFUSED)
        if error.reason_code == c.BAD_USER_NAME_OR_PASSWORD:
            broker.logins.failed(connection.peer.address, broker.turn.now, broker.settings.logins)
        connection.refuse(error)
