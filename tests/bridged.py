"""Brokers with bridges between them, without sockets: each has a store, and links carry what they send when a test says so.

    lands = Lands("a@x", "b@x")
    bridge = lands.bridge("a@x", "b@x", "t/#")
    lands["a@x"].connect("alice").publish("t/1", b"x", qos=1)

What is sent arrives at once while the two are `joined`.
"""
from collections import deque
from typing import Any

import msgpack

from emqtwist.core.bridges.bridge import Bridge
from emqtwist.core.bridges.bridges import Bridges
from emqtwist.core.bridges.terms import BridgeTerms
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.link import NodeLink
from emqtwist.core.cluster.peer import Peer
from tests.clusters import pack
from tests.stores import StoredWorld


class Side:
    """One end of a link of a bridge."""

    def __init__(self, land: "Land") -> None:
        self.land = land
        self.link = NodeLink(land.turn)
        self.link.owner = self
        self.peer: Peer | None = None
        self.other: Side | None = None
        self.stalled = False
        self.under_way: deque[bytes] = deque()
        self.frames: list[Frame] = []  # all that came
        self.unpacker = msgpack.Unpacker(use_list=False)

    def proceed(self) -> None:
        if self.peer is not None:
            self.land.bridges.proceed(self.peer)

    def flush(self) -> None:
        data = self.link.take()
        if data:
            self.under_way.append(data)
        if self.link.closing:
            self.cut()

    def cut(self) -> None:
        """Both ends learn that the link is gone; what is under way is lost."""
        for side in (self, self.other):
            if side is not None and side.peer is not None:
                side.under_way.clear()
                peer, side.peer = side.peer, None
                side.land.bridges.closed(peer, side.link)

    def carry(self) -> bool:
        """Hand over what is under way; whether there was any."""
        other = self.other
        if self.stalled or not self.under_way or other is None:
            return False
        other.unpacker.feed(self.under_way.popleft())
        frames = list(other.unpacker)
        other.frames += frames
        if other.peer is not None:
            other.land.bridges.take(other.peer, frames)
        return True


class Land(StoredWorld):
    """A broker with bridges; `declared` are those of its configuration."""

    def __init__(self, lands: "Lands", name: str, *lines: str, declared: tuple[BridgeTerms, ...] = ()) -> None:
        self.lands = lands
        self.name = name
        self.declared = list(declared)
        self.starts = 0
        super().__init__(*lines)

    def prepare(self) -> None:
        self.starts += 1
        process = f"{self.name}-{self.starts}"
        self.bridges = Bridges(self.broker, self.name, process, lambda: f"{process}-{self._token()}", pack, list(self.declared))

    def settle(self) -> None:
        self.lands.settle()

    def settle_alone(self) -> bool:
        busy = bool(self.turn.links or self.turn.decided or self.journal.wanted or self.journal.barrier())
        if self.stored:
            self.commit()
        else:
            while self.flush():
                busy = True
            return False
        return busy

    def crash(self, seconds: float = 0.0) -> None:
        """The process ends at once, its links with it; another begins."""
        for side in list(self.lands.sides):
            if side.land is self or (side.other is not None and side.other.land is self):
                side.cut()
        super().crash(seconds)

    def dropped(self) -> dict[str, int]:
        return {cause: count for cause, count in self.broker.metrics.drops.items() if count}


class Lands:
    """By name; `sides` are the ends of all links that there were."""

    def __init__(self, *names: str, lines: tuple[str, ...] = ()) -> None:
        self.sides: list[Side] = []
        self._settling = False
        self._lands: dict[str, Land] = {}
        for name in names:
            self._lands[name] = Land(self, name, *lines)

    def __getitem__(self, name: str) -> Land:
        return self._lands[name]

    def add(self, land: Land) -> Land:
        self._lands[land.name] = land
        return land

    def bridge(self, here: str, there: str, topic_filter: str, join: bool = True, **options: Any) -> Bridge:
        """Start one, and join it."""
        land = self[here]
        name = land.bridges.free_name(there)
        bridge = land.bridges.start(BridgeTerms(name, there, "", topic_filter.encode(), by_hand=True, **options))
        if join:
            self.join(here, bridge)
        return bridge

    def join(self, here: str, bridge: Bridge) -> tuple[Side, Side]:
        """There is a link from the bridge to where it leads: its end, and the other."""
        land, far = self[here], self[bridge.terms.node]
        near, remote = Side(land), Side(far)
        near.other, remote.other = remote, near
        self.sides += [near, remote]
        near.peer = bridge
        remote.peer = far.bridges.welcome(land.name, f"{land.name}-{land.starts}", remote.link)
        land.bridges.opened(bridge, f"{far.name}-{far.starts}", near.link)
        self.settle()
        return near, remote

    def settle(self) -> None:
        if self._settling:
            return
        self._settling = True
        try:
            for _ in range(10_000):
                busy = sum([land.settle_alone() for land in self._lands.values()])
                busy += sum([side.carry() for side in self.sides])
                if not busy:
                    return
            raise AssertionError("it never ends")
        finally:
            self._settling = False
