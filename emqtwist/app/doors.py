"""From the configuration to listeners: what each type puts around MQTT."""
from typing import Any

from emqtwist.config import AnyListener, Config, PortListener
from emqtwist.core.door import Door
from emqtwist.net.batching import SocketSet
from emqtwist.net.listeners import Listener
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.turns import Turns


def listener_of(section: AnyListener, config: Config, turns: Turns, reactor: Any, sockets: SocketSet | None) -> Listener:
    """Not bound yet."""
    no_delay = section.nodelay if isinstance(section, PortListener) else None
    factory = MQTTFactory(turns, reactor, Door(section.label), no_delay, config.mqtt.client.max_unsent)
    return Listener(section, factory, reactor, sockets)
