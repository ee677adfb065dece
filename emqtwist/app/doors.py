"""From the configuration to listeners: what each asks of its clients, and what its type puts around MQTT."""
from typing import Any

from emqtwist.config import AnyListener, Config, PortListener
from emqtwist.core.door import Door, Terms
from emqtwist.net.batching import SocketSet
from emqtwist.net.listeners import Listener
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.turns import Turns


def listener_of(section: AnyListener, config: Config, turns: Turns, reactor: Any, sockets: SocketSet | None) -> Listener:
    """Not bound yet."""
    no_delay = section.nodelay if isinstance(section, PortListener) else None
    door = Door(section.label, terms_of(section))
    return Listener(section, MQTTFactory(turns, reactor, door, no_delay, config.mqtt.client.max_unsent), reactor, sockets)


def configure(listener: Listener, section: AnyListener, config: Config) -> None:
    """Go by the live keys, for who connects from now on."""
    listener.configure(section)
    listener.factory.door.terms = terms_of(section)
    listener.factory.max_unsent = config.mqtt.client.max_unsent


def terms_of(section: AnyListener) -> Terms:
    return Terms(versions=section.protocol_versions, max_keep_alive=section.max_keep_alive,
                 user_name_as_client_id=section.use_username_as_clientid, connect_timeout=section.handshake_timeout)
