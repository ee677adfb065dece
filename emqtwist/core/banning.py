"""What a ban means: who is not let in, and who has to go."""
from typing import Final, cast

from emqtwist.core.bans import ADDRESS, CLIENT, USER, Ban
from emqtwist.core.broker import Broker
from emqtwist.core.connection import OPEN, Connection
from emqtwist.mqtt.constants import ADMINISTRATIVE_ACTION
from emqtwist.mqtt.errors import Banned, MQTTError
from emqtwist.mqtt.packets import Connect
from emqtwist.mqtt.properties import Properties

WORDS: Final = {CLIENT: "this client identifier", USER: "this user name", ADDRESS: "this address"}


def check(connection: Connection, packet: Connect, answer: Properties) -> None:
    """A step of CONNECT: who is banned need not prove who it is."""
    banned = refusal(connection, packet.user_name)
    if banned is not None:
        raise banned


def refusal(connection: Connection, user_name: str | None) -> Banned | None:
    """Why the client, which is or says that it is `user_name`, does not get in; None when it may."""
    bans = connection.broker.bans
    if not bans.table:
        return None
    found = bans.of(CLIENT, connection.client_id) or bans.of_address(connection.peer.address)
    if found is None and user_name is not None:
        found = bans.of(USER, user_name)
    return None if found is None else Banned(_reason(found))


def ban(broker: Broker, new: Ban) -> bool:
    """Let nobody in whom it means, and let those go who are here; False when there are as many bans as are kept."""
    if not broker.bans.add(new):
        return False
    broker.observer.banned(new.kind, new.value, new.by, new.reason)
    for connection in _meant(broker, new):
        if connection.state == OPEN:
            connection.fail(MQTTError(_reason(new), ADMINISTRATIVE_ACTION))  # Banned is for CONNACK alone
        elif connection.version:
            connection.refuse(Banned(_reason(new)))
        else:
            connection.fail(Banned(_reason(new)))
    return True


def _meant(broker: Broker, new: Ban) -> list[Connection]:
    if new.kind == CLIENT:
        session = broker.sessions.by_id.get(new.value)
        opener = None if session is None else session.opener
        return [] if opener is None else [cast(Connection, opener)]
    found: list[Connection] = []
    for link in broker.links:
        connection = cast(Connection, link)
        if new.kind == USER and connection.user_name == new.value:
            found.append(connection)
        elif new.kind == ADDRESS and broker.bans.of_address(connection.peer.address) is not None:
            found.append(connection)
    return found


def _reason(found: Ban) -> str:
    words = WORDS[found.kind] + " is banned"
    return f"{words}: {found.reason}" if found.reason else words
