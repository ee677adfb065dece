"""CONNECT, as the listener wants it: steps beside those of `core.connecting`."""
from emqtwist.core.connection import Connection
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, NotAuthorized
from emqtwist.mqtt.packets import Connect
from emqtwist.mqtt.properties import Properties


def check_version(connection: Connection, packet: Connect, answer: Properties) -> None:
    if packet.version not in connection.door.terms.versions:
        raise MQTTError(f"{connection.door.name} does not take this version of MQTT", c.UNSUPPORTED_PROTOCOL_VERSION)


def take_user_name(connection: Connection, packet: Connect, answer: Properties) -> None:
    """The User Name becomes the Client Identifier, where the listener wants that and there is one."""
    if packet.user_name and connection.door.terms.user_name_as_client_id:
        packet.client_id = connection.client_id = packet.user_name
        answer.assigned_client_identifier = None


def bound_keep_alive(connection: Connection, packet: Connect, answer: Properties) -> None:
    """A 5.0 client is told the longest that it may have; others cannot be told, and do not get in with more."""
    most = connection.door.terms.max_keep_alive
    if not most or 0 < connection.keep_alive <= most:
        return
    if packet.version != c.MQTT_5_0:
        asked = f"{packet.keep_alive} s" if packet.keep_alive else "off"
        raise NotAuthorized(f"Keep Alive is {asked}, {connection.door.name} takes at most {most} s")
    connection.keep_alive = answer.server_keep_alive = most
