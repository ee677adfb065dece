"""Who comes from one address: how many connections it has at a listener, and how fast it makes new ones."""
from collections import OrderedDict
from typing import Final

from emqtwist.core.addresses import source_of
from emqtwist.core.buckets import Bucket
from emqtwist.core.causes import CONNECTION_RATE, TOO_MANY_FROM_ADDRESS
from emqtwist.net.listeners import Listener

MOST: Final = 100_000  # addresses whose rate is remembered: the one that came least lately is forgotten first


class Crowd:
    """The checks of one listener that are about an address. What has none is not bounded."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def check(self, host: str) -> str:
        """A cause of REFUSALS, or "" when there is nothing against `host`."""
        section = self._listener.section
        most, rate = section.max_connections_per_address, section.connection_rate_per_address
        source = source_of(host) if most or rate else ""
        if not source:
            return ""
        if most and self._listener.connections_from(source) >= most:
            return TOO_MANY_FROM_ADDRESS
        if rate and not self._bucket(source).try_take(1, rate, self._listener.factory.turns.broker.turn.now):
            return CONNECTION_RATE
        return ""

    def _bucket(self, source: str) -> Bucket:
        bucket = self._buckets.pop(source, None)
        if bucket is None:
            bucket = Bucket(self._listener.factory.turns.broker.turn.now)
            if len(self._buckets) >= MOST:
                self._buckets.popitem(last=False)
        self._buckets[source] = bucket
        return bucket
