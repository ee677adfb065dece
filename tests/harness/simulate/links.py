"""The links of a simulated node: those of emqtwist, and a log of what they hear."""
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

from emqtwist.cluster import refusals as r
from emqtwist.cluster.links import Links
from emqtwist.cluster.protocol import LinkProtocol
from emqtwist.cluster.proving import SIZE
from emqtwist.cluster.refusals import Refused
from emqtwist.cluster.terms import Terms
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.peer import Peer

if TYPE_CHECKING:
    from tests.harness.simulate.network import Network
    from tests.harness.simulate.node import Node

MAY_BE: Final = r.QUIET | {r.UNREACHABLE, r.SILENT}  # causes of what goes wrong between nodes that are as they should be
BROKEN: Final = "the connection was closed before anything was proved"


class Hearing:
    """A Cluster, and a log of the frames that it takes."""

    def __init__(self, cluster: Cluster, node: "Node") -> None:
        self._cluster = cluster
        self._node = node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def take(self, peer: Peer, frames: Iterable[object]) -> None:
        found = cast(list[tuple[object, ...]], list(frames))
        for frame in found:
            self._node.sim.say(self._node.name, f"from {peer.name}: {shown(frame)}")
        self._cluster.take(peer, found)


class SimLinks(Links):
    """Those of `node`, whose `blames` has what it says that others do, and none does."""

    def __init__(self, network: "Network", node: "Node", window: int) -> None:
        random = node.sim.random
        terms = Terms(node=node.name, incarnation=node.cluster.incarnation, address=node.name, cookie="a cookie", window=window)
        super().__init__(terms, cast(Cluster, Hearing(node.cluster, node)), node.membership,
                         lambda address: network.endpoint(node, address), node.turns.begin, cast(Any, node.reactor),
                         lambda: random.randbytes(SIZE), random.random)
        self._network = network
        self._node = node

    def opened(self, protocol: LinkProtocol) -> Peer:
        self._network.happens(self._node.name, protocol.node)
        self._node.sim.say(self._node.name, f"linked to {protocol.node}, process {protocol.incarnation}")
        return super().opened(protocol)

    def ended(self, protocol: LinkProtocol, refused: Refused) -> None:
        if protocol.peer is not None:
            self._network.happens(self._node.name, protocol.node)
        if protocol.node:
            what = "no link to" if protocol.peer is None else "the link is gone to"
            self._node.sim.say(self._node.name, f"{what} {protocol.node}: {refused.cause}")
        if refused.cause not in MAY_BE and refused.detail != BROKEN:
            self._node.blames.append(refused)
        super().ended(protocol, refused)


def shown(frame: tuple[object, ...]) -> str:
    kind = frame[0]
    assert isinstance(kind, int)
    return f"{f.KINDS[kind][0]} " + " ".join(
        (value[:6] if kind == f.FORWARD and len(value) > 40 else value).decode(errors="replace") if isinstance(value, bytes)
        else str(value) for value in frame[1:] if value not in (b"", ""))
