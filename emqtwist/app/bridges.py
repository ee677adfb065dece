"""From the configuration to bridges."""
from collections.abc import Callable, Mapping
from dataclasses import replace
from secrets import token_bytes, token_hex
from typing import Any, Final

from emqtwist.app.cluster import Node
from emqtwist.app.secured import CLUSTER, label_of, tls_of
from emqtwist.cluster.bridging import ROLE, Crossing, Welcoming
from emqtwist.cluster.crossings import Crossings
from emqtwist.cluster.dialer import Endpoint
from emqtwist.cluster.endpoints import dialling
from emqtwist.cluster.packing import pack
from emqtwist.cluster.proving import SIZE
from emqtwist.cluster.terms import Terms
from emqtwist.cluster.tls import LinkFiles
from emqtwist.config import Config
from emqtwist.config.sections.bridge import BridgeSection
from emqtwist.core.bridges.bridge import Bridge
from emqtwist.core.bridges.bridges import Bridges
from emqtwist.core.bridges.terms import BridgeTerms
from emqtwist.core.broker import Broker
from emqtwist.net.tls.credentials import Credentials
from emqtwist.net.turns import Turns

PORT: Final = 4370  # where nodes are dialled if nobody says where
PAUSE: Final = 1.0  # seconds between two attempts to reach a node, where nobody says how many


def terms_of(section: BridgeSection) -> BridgeTerms:
    return BridgeTerms(section.name, section.node, section.address, section.topic.encode(), section.prefix.encode(),
                       section.suffix.encode(), section.qos, section.max_queue_len, section.max_queue_bytes, section.on_full)


def place_of(terms: BridgeTerms) -> str:
    """Where to dial."""
    host = terms.node.partition("@")[2]
    return terms.address or (f"[{host}]:{PORT}" if ":" in host else f"{host}:{PORT}")


class Ways:
    """Makes the way of each bridge, out of what its section says, and where it has none, that of the cluster."""

    def __init__(self, config: Config, incarnation: str, begin: Callable[[], None], reactor: Any,
                 credentials: Mapping[str, Credentials[LinkFiles]]) -> None:
        cluster = config.cluster
        self._terms = Terms(cluster=cluster.name, node=config.node.name, incarnation=incarnation, cookie=cluster.cookie,
                            window=cluster.window, heartbeat=cluster.heartbeat, timeout=cluster.timeout, role=ROLE)
        self._sections = {section.name: section for section in config.bridge}
        common = tls_of(credentials, CLUSTER)
        self._endpoints: dict[str, Endpoint] = {
            name: dialling(reactor, tls_of(credentials, label_of(name)) or common) for name in self._sections}
        self._endpoint = dialling(reactor, common)
        self._begin = begin
        self._reactor = reactor
        self.bridges: Bridges | None = None

    def make(self, bridge: Bridge) -> Crossing:
        assert self.bridges is not None
        name, terms, pause = bridge.terms.name, self._terms, PAUSE
        section = self._sections.get(name)
        if section is not None:
            pause = section.ping_down_interval
            terms = replace(terms, cookie=section.cookie or ("" if section.certificate else terms.cookie))
        return Crossing(bridge, terms, place_of(bridge.terms), self._endpoints.get(name, self._endpoint), pause, self.bridges,
                        self._begin, _draw, self._reactor)


def make_crossings(config: Config, broker: Broker, turns: Turns, reactor: Any, node: Node | None,
                   credentials: Mapping[str, Credentials[LinkFiles]]) -> Crossings:
    """All bridges of a broker; those of others are taken where it is a node."""
    incarnation = token_hex(8) if node is None else node.links.terms.incarnation
    ways = Ways(config, incarnation, turns.begin, reactor, credentials)
    bridges = ways.bridges = Bridges(broker, config.node.name, incarnation, _token, pack,
                                     [terms_of(section) for section in config.bridge])
    crossings = Crossings(bridges, ways.make, turns, reactor)
    if node is not None:
        node.links.roles[ROLE] = Welcoming(node.links, bridges)
    if broker.journal is None:
        bridges.begin()
    return crossings


def _token() -> str:
    return token_hex(8)


def _draw() -> bytes:
    return token_bytes(SIZE)
