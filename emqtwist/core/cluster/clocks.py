"""Clocks: what other nodes say of themselves, and how far their clocks are from that of this one.

A node asks, and the other answers with the time that it has. By how long that took, the difference is known but for half of it.
"""
from collections.abc import Callable
from typing import Final

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.troubles import CLOCK, Troubles

EVERY: Final = 10.0  # seconds
SLOW: Final = 10.0  # seconds after which an answer says nothing of a clock
SKEW: Final = 5.0  # seconds that clocks may differ
LATEST: Final = 1e12  # seconds that a clock can show
LONGEST: Final = 100  # characters of a version


class About:
    """Of a node: its `version`, and by how many seconds its clock is ahead of ours, None while that is not known.

    It differs by at most `doubt` seconds from that. `asked` numbers the questions, the last one was put at `at`.
    """

    __slots__ = ("version", "skew", "doubt", "asked", "at")

    def __init__(self) -> None:
        self.version = ""
        self.skew: float | None = None
        self.doubt = 0.0
        self.asked = 0
        self.at = 0.0


class Clocks(Part):
    """`known` by name of the node. `wall` gives wall time, `version` is what this node runs."""

    __slots__ = ("known", "version", "_cluster", "_wall", "_troubles", "_last")

    def __init__(self, cluster: Cluster, version: str, wall: Callable[[], float], troubles: Troubles) -> None:
        self.known: dict[str, About] = {}
        self._cluster = cluster
        self.version = version
        self._wall = wall
        self._troubles = troubles
        self._last = cluster.broker.turn.now
        cluster.serve[f.ABOUT] = self._asked
        cluster.serve[f.ECHO] = self._answered
        cluster.parts.append(self)

    def opened(self, peer: Peer) -> None:
        self.known[peer.name] = About()
        self._ask(peer)

    def left(self, peer: Peer) -> None:
        self.known.pop(peer.name, None)
        self._troubles.over(CLOCK, peer.name)

    def tick(self, now: float) -> None:
        if now - self._last >= EVERY:
            self._last = now
            for peer in self._cluster.peers.values():
                if peer.link is not None:
                    self._ask(peer)

    def _ask(self, peer: Peer) -> None:
        about = self.known[peer.name]
        about.asked += 1
        about.at = self._cluster.broker.turn.now
        self._cluster.send(peer, (f.ABOUT, self.version, about.asked))

    def _asked(self, peer: Peer, frame: Frame) -> None:
        self.known[peer.name].version = frame[1][:LONGEST]
        self._cluster.send(peer, (f.ECHO, frame[2], self._wall()))

    def _answered(self, peer: Peer, frame: Frame) -> None:
        about = self.known[peer.name]
        took = self._cluster.broker.turn.now - about.at
        wall = float(frame[2])
        if frame[1] != about.asked or took > SLOW or not abs(wall) < LATEST:
            return
        about.doubt = took / 2
        about.skew = skew = wall - (self._wall() - about.doubt)
        if abs(skew) > SKEW + about.doubt:
            ahead = "ahead of" if skew > 0 else "behind"
            text = f"its clock is {abs(skew):.1f} s {ahead} that of {self._cluster.node}"
            self._troubles.note(CLOCK, peer.name, text, self._cluster.broker.turn.now, True)
        else:
            self._troubles.over(CLOCK, peer.name)
