"""Who is not let in: client identifiers, user names and addresses, each until some time or for ever."""
from collections import Counter
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from emqtwist.core import records as r
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from emqtwist.core.message import NEVER
from emqtwist.core.who import address_of

CLIENT: Final = "client"
USER: Final = "user"
ADDRESS: Final = "address"  # or a network
KINDS: Final = (CLIENT, USER, ADDRESS)
MOST: Final = 100_000  # bans at a time
LONGEST: Final = 1000  # characters of a reason

Key = tuple[str, str]  # kind, value
Network = tuple[int, int, int]  # version, length of the prefix, the prefix as a number


class Ban:
    """`value` is what the `kind` says: an identifier, a name, an address or a network. `by` is who has set it.

    `at` and `until` are monotonic; NEVER is for ever.
    """

    __slots__ = ("kind", "value", "reason", "by", "at", "until")

    def __init__(self, kind: str, value: str, reason: str, by: str, at: float, until: float) -> None:
        self.kind = kind
        self.value = value
        self.reason = reason
        self.by = by
        self.at = at
        self.until = until


def canonical(kind: str, value: str) -> str:
    """`value` as it is kept: an address as a network, without a prefix where it is one host. ValueError for what is none."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
    if kind != ADDRESS:
        if not value:
            raise ValueError(f"no {kind}")
        return value
    network = ip_network(value, strict=False)
    return str(network) if network.num_addresses > 1 else str(network.network_address)


class Bans:
    """All bans in force, `table` by kind and value. With a `journal` they outlive the process."""

    __slots__ = ("table", "_turn", "_journal", "_deadlines", "_networks", "_prefixes", "_most")

    def __init__(self, turn: Turn, journal: Journal | None, most: int = MOST) -> None:
        self._most = most
        self.table: dict[Key, Ban] = {}
        self._turn = turn
        self._journal = journal
        self._deadlines: Deadlines[Key] = Deadlines()
        self._networks: dict[Network, Ban] = {}
        self._prefixes: Counter[tuple[int, int]] = Counter()  # (version, length of the prefix) -> how many networks

    def add(self, ban: Ban) -> bool:
        """In place of one for the same; `value` is canonical. False when there are as many as are kept."""
        if (ban.kind, ban.value) not in self.table and len(self.table) >= self._most:
            return False
        self.put(ban)
        if self._journal is not None:
            self._journal.add((r.BAN, ban.kind, ban.value, ban.reason, ban.by, self._journal.wall(ban.at),
                               self._journal.wall(ban.until)))
        return True

    def put(self, ban: Ban) -> None:
        """One that the store has."""
        key = ban.kind, ban.value
        known = self.table.get(key)
        self.table[key] = ban
        if ban.until == NEVER:
            self._deadlines.clear(key)
        else:
            self._deadlines.set(key, ban.until)
        if ban.kind == ADDRESS:
            network = _network(ban.value)
            self._networks[network] = ban
            if known is None:
                self._prefixes[network[0], network[1]] += 1

    def remove(self, kind: str, value: str) -> bool:
        """Whether there was one."""
        key = kind, value
        if self.table.pop(key, None) is None:
            return False
        self._deadlines.clear(key)
        if kind == ADDRESS:
            network = _network(value)
            del self._networks[network]
            form = network[0], network[1]
            self._prefixes[form] -= 1
            if not self._prefixes[form]:
                del self._prefixes[form]
        if self._journal is not None:
            self._journal.add((r.BAN_GONE, kind, value))
        return True

    def take_expired(self, now: float) -> None:
        """End those whose time is over."""
        for kind, value in self._deadlines.take(now):
            self.remove(kind, value)

    def of(self, kind: str, value: str) -> Ban | None:
        """The ban in force of a client identifier or a user name."""
        return self._in_force(self.table.get((kind, value)))

    def of_address(self, host: str) -> Ban | None:
        """The ban in force that has this address; that of the smallest network, if several have."""
        if not self._prefixes:
            return None
        address = address_of(host)
        if address is None:
            return None
        for version, length in sorted(self._prefixes, reverse=True):
            if version == address.version:
                found = self._in_force(self._networks.get((version, length, int(address) >> (address.max_prefixlen - length))))
                if found is not None:
                    return found
        return None

    def _in_force(self, ban: Ban | None) -> Ban | None:
        return ban if ban is not None and ban.until > self._turn.now else None


def _network(value: str) -> Network:
    network: IPv4Network | IPv6Network = ip_network(value)
    return network.version, network.prefixlen, int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
