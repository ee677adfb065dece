"""From the configuration to listeners: what each asks of its clients, and what its type puts around MQTT."""
from typing import Any

from emqtwist.config import AnyListener, Config, PortListener
from emqtwist.config.sections.websocket import WebSocketRows
from emqtwist.core.door import Door, Terms
from emqtwist.net.batching import SocketSet
from emqtwist.net.listeners import Listener
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.tls.credentials import Credentials
from emqtwist.net.tls.layer import TlsFactory
from emqtwist.net.tls.loaded import Loaded
from emqtwist.net.turns import Turns


def listener_of(section: AnyListener, config: Config, turns: Turns, reactor: Any, sockets: SocketSet | None,
                credentials: Credentials[Loaded] | None) -> Listener:
    """Not bound yet. `credentials` are for those with TLS."""
    no_delay = section.nodelay if isinstance(section, PortListener) else None
    factory = MQTTFactory(turns, reactor, Door(section.label, terms_of(section)), no_delay, config.mqtt.client.max_unsent)
    layers: list[Any] = []  # from MQTT outwards
    websocket = None
    if isinstance(section, WebSocketRows):
        from emqtwist.net.websocket.factory import WebSocketFactory  # only where it is needed: Autobahn is large
        websocket = WebSocketFactory(factory, section, patience_of(section, config), reactor)
        layers.append(websocket)
    if credentials is not None:
        layers.append(TlsFactory([factory, *layers][-1], credentials, patience_of(section, config), reactor))
    listener = Listener(section, factory, reactor, sockets, layers)
    listener.websocket = websocket
    for layer in layers:
        layer.refuse = listener.admission.refuse
    return listener


def configure(listener: Listener, section: AnyListener, config: Config) -> None:
    """Go by the live keys, for who connects from now on."""
    listener.configure(section)
    listener.factory.door.terms = terms_of(section)
    listener.factory.max_unsent = config.mqtt.client.max_unsent
    if listener.websocket is not None and isinstance(section, WebSocketRows):
        listener.websocket.configure(section)
    for layer in listener.layers:
        layer.seconds = patience_of(section, config)


def patience_of(section: AnyListener, config: Config) -> float:
    """Seconds that a client has for a handshake before CONNECT, if there is to be one."""
    return section.handshake_timeout or config.mqtt.client.idle_timeout


def terms_of(section: AnyListener) -> Terms:
    return Terms(versions=section.protocol_versions, max_keep_alive=section.max_keep_alive,
                 user_name_as_client_id=section.use_username_as_clientid, connect_timeout=section.handshake_timeout,
                 mountpoint=section.mountpoint, name_from=section.peer_cert_as_username, superusers=section.superusers)
