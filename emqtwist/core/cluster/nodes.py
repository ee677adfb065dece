"""Nodes: what this node knows of the others, for those who look at the cluster as a whole."""
from collections.abc import Callable

from emqtwist.core.cluster.clocks import Clocks
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.discovery import Discovery
from emqtwist.core.cluster.membership import Membership
from emqtwist.core.cluster.remote import Remote


class Nodes:
    """`members` says which there are, `clocks` what each says of itself, `remote` asks them; `troubles` are what is wrong.

    This node is found at `address` and runs `version`; `wall` gives wall time.
    """

    __slots__ = ("cluster", "troubles", "members", "clocks", "remote")

    def __init__(self, cluster: Cluster, address: str, version: str, wall: Callable[[], float], discovery: Discovery) -> None:
        self.cluster = cluster
        self.members = Membership(cluster, address, discovery)
        self.troubles = self.members.troubles
        self.clocks = Clocks(cluster, version, wall, self.troubles)
        self.remote = Remote(cluster)

    def tick(self, now: float) -> None:
        """What is due, some ten times a second."""
        for part in (self.members, self.clocks, self.remote):
            part.tick(now)
