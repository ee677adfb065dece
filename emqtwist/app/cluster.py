"""From the configuration to a node among others."""
import random
import time
from collections.abc import Callable
from dataclasses import replace
from secrets import token_bytes, token_hex
from typing import Any

from emqtwist._version import __version__
from emqtwist.cluster.endpoints import NodePort, dialling
from emqtwist.cluster.links import Links
from emqtwist.cluster.packing import pack
from emqtwist.cluster.proving import SIZE
from emqtwist.cluster.terms import Terms
from emqtwist.cluster.tls import LinkTls
from emqtwist.config import Address, Config
from emqtwist.config.sections.cluster import ClusterSection
from emqtwist.core.broker import Broker
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.discovery import Discovery, Static
from emqtwist.core.cluster.nodes import Nodes
from emqtwist.core.records import Snapshot
from emqtwist.core.settings import QueueSettings


def rules_of(section: ClusterSection, config: Config) -> QueueSettings:
    """For what waits for another node."""
    queue = config.mqtt.mqueue
    return QueueSettings("simple", {}, section.outbox_length, section.outbox_bytes, section.outbox_stored, queue.max_memory,
                         queue.low_watermark, queue.high_watermark, False, "refuse")


def place_of(section: ClusterSection, node: str, bind: Address) -> str:
    """Where others reach this node, which listens at `bind`."""
    if section.address:
        return section.address
    host = node.partition("@")[2] if bind.ip.is_unspecified else bind.host
    return f"[{host}]:{bind.port}" if ":" in host and not host.startswith("[") else f"{host}:{bind.port}"


class Node:
    """This broker among others: `nodes` is what it knows of them, `links` are those that there are, `port` where they connect."""

    def __init__(self, config: Config, broker: Broker, begin: Callable[[], None], reactor: Any, tls: LinkTls | None) -> None:
        section, name = config.cluster, config.node.name
        assert section.bind is not None
        incarnation = token_hex(8)
        discovery = Static(section.seeds) if section.discovery == "static" else Discovery()
        self.cluster = Cluster(broker, name, incarnation, _token, pack, rules_of(section, config))
        self.cluster.takeover.claims.fresh = section.orphan == "fresh"
        self.nodes = Nodes(self.cluster, place_of(section, name, section.bind), __version__, time.time, discovery)
        self.nodes.members.autoclean = section.autoclean
        terms = Terms(cluster=section.name, node=name, incarnation=incarnation, address=self.nodes.members.address,
                      cookie=section.cookie, window=section.window, heartbeat=section.heartbeat, timeout=section.timeout)
        self.links = Links(terms, self.cluster, self.nodes.members, dialling(reactor, tls), begin, reactor, _draw, random.random)
        self.port = NodePort(section.bind, self.links.port, reactor, tls)
        self._section = section
        self._started = False

    def bind(self) -> None:
        """Take the port; CannotListenError."""
        self.port.bind()
        bind = self._section.bind
        assert bind is not None
        address = place_of(self._section, self.cluster.node, Address(bind.host, self.port.number))
        self.links.terms = replace(self.links.terms, address=address)
        self.nodes.members.advertise(address)

    def recover(self, snapshot: Snapshot) -> None:
        """Know what the store has of the cluster."""
        self.nodes.members.recover(snapshot)

    def start(self) -> None:
        """Belong to the cluster from now on, once what the store has is known."""
        if not self._started:
            self._started = True
            self.nodes.members.start()


def _token() -> str:
    return token_hex(8)


def _draw() -> bytes:
    return token_bytes(SIZE)
