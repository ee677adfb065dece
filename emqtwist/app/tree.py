"""The parts of a broker, in the order in which they start: the tree that `emqtwist_ctl supervisor tree` shows.

What a part works on is the Foundation, which outlives it: a part that died leaves it as it is, and the next one goes on.
"""
from math import inf
from typing import Final

from emqtwist.access.asking import Asking
from emqtwist.app.foundation import Foundation
from emqtwist.cluster.part import LINKS, MEMBERSHIP, ROUTER, Belonging, Linking, Port, Routing
from emqtwist.net.listeners import Listener
from emqtwist.services.certificates import Looking
from emqtwist.services.keeper import Keeper
from emqtwist.services.listening import Listening
from emqtwist.services.periodic import Periodic
from emqtwist.services.pooler import Pooler
from emqtwist.services.pools import pool_children
from emqtwist.services.storing import Storing
from emqtwist.services.supervisor import Child, Supervisor
from emqtwist.services.systopics import Telling

TICK: Final = 1.0  # seconds between looks at what fell due
STORE_PATIENCE: Final = 3600.0  # seconds to open the store: a large one may have to be upgraded, or its log to be read

OPENING: Final = "which opens the store: after a crash its log is read, an older one is upgraded, and what it has is loaded"


def tree(on: Foundation) -> Supervisor:
    """All of them, not started yet."""
    clock = on.reactor
    return Supervisor("emqtwist", [
        *pool_children(on.broker.pools, clock),
        *_storage(on),
        Child("pooler", lambda: Pooler(on.pool, clock)),
        Child("access_control", lambda: Supervisor("access_control", [
            Child("hashing", lambda: Pooler(on.hashing, clock)),
            Child("asking", lambda: Asking(on.access)),
            Child("authorizing", lambda: Asking(on.authorization)),
        ], clock)),
        Child("sysmon", on.monitor.supervisor),
        Child("trace", on.traces.supervisor),
        Child("ticker", lambda: Periodic("ticker", TICK, on.tick, clock)),
        Child("systopics", lambda: Telling(on.systopics, clock)),
        Child("modules", on.modules.supervisor),
        *_certificates(on),
        *_websockets(on),
        *_cluster(on),
        Child("bridges", on.bridges.supervisor),
        Child("listeners", lambda: Supervisor("listeners", [
            _listening(listener) for listener in on.listeners.values()
        ], clock, intensity=inf)),  # that another program has one port is no reason to close the others
    ], clock)


def _storage(on: Foundation) -> list[Child]:
    """What keeps messages, where something does."""
    store, journal = on.store, on.journal
    if store is None or journal is None:
        return []
    return [
        Child("store", lambda: Supervisor("store", [
            Child("process", lambda: Storing(store, on.recover), patience=STORE_PATIENCE, takes=OPENING),
        ], on.reactor, intensity=inf), patience=STORE_PATIENCE),  # without it the broker still serves what need not be kept
        Child("keeper", lambda: Keeper(on.broker, journal, store, on.work, on.reactor, on.turns.begin,
                                       on.now)),
    ]


def _certificates(on: Foundation) -> list[Child]:
    """What looks after the files of listeners with TLS, where there are any."""
    certificates = on.certificates
    if not certificates.credentials:
        return []
    return [Child("certificates", lambda: Looking(certificates, on.reactor))]


def _websockets(on: Foundation) -> list[Child]:
    """What sees to handshakes and pings, where a listener is for WebSocket."""
    if all(listener.websocket is None for listener in on.listeners.values()):
        return []
    return [Child("websocket", lambda: Periodic("websocket", TICK, on.watch_websockets, on.reactor))]


def _cluster(on: Foundation) -> list[Child]:
    """What keeps this node among others, where it is one."""
    node = on.node
    if node is None:
        return []
    return [Child("cluster", lambda: Supervisor("cluster", [
        Child(MEMBERSHIP, lambda: Belonging(node.nodes, node.start, on.turns.begin, on.reactor)),
        Child(ROUTER, lambda: Routing(node.cluster, on.turns.begin, on.reactor)),
        Child("port", lambda: Port(node.port)),
        Child(LINKS, lambda: Linking(node.links, on.reactor)),
    ], on.reactor, intensity=inf))]  # a node that is alone still serves its clients


def _listening(listener: Listener) -> Child:
    return Child(listener.name, lambda: Listening(listener))
