"""Discovery: where other nodes may be found that this one has not been told of by hand.

What is found stands in a `Discovery`: multicast, DNS, etcd or Kubernetes would each be an adapter that puts into `found` what it
hears, and Membership looks there. Each address is tried until a node answers there, and then never again: from then on that node
is known by its row, so that one that was made to leave does not come back by itself.
"""
from collections.abc import Iterable


class Discovery:
    """By hand: nothing is found. `found` has "host:port" of each node in the order of their discovery."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: dict[str, None] = {}


class Static(Discovery):
    """A list that somebody has written down."""

    __slots__ = ()

    def __init__(self, seeds: Iterable[str]) -> None:
        super().__init__()
        self.found = dict.fromkeys(seeds)
