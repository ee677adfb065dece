"""What a part of the cluster hears of the other nodes."""
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.records import Snapshot


class Part:
    """A part of a Cluster; by itself it ignores what it hears."""

    def recover(self, snapshot: Snapshot) -> None:
        """What the store has, before any node is connected."""

    def opened(self, peer: Peer) -> None:
        """A node is connected; what is sent to it now comes before all else."""

    def lost(self, peer: Peer) -> None:
        """It is not connected any more."""

    def proceed(self, peer: Peer) -> None:
        """It was stirred, or takes more again: send what there is for it, as far as its link takes it."""

    def settle(self, peer: Peer) -> None:
        """All frames of one piece that came from it are served."""

    def left(self, peer: Peer) -> None:
        """It belongs to the cluster no more, and is not connected."""

    def tick(self, now: float) -> None:
        """Some time has passed: about a tenth of a second."""
