"""Access rules: who may publish where, and subscribe to what. The first rule that decides is the answer.

Asked is for a Topic Name, or for a Topic Filter, which stands for all topics that it selects. A rule that allows decides
when its filter contains the one asked for, a rule that denies when the two overlap: so nobody who was allowed a filter gets
by it a topic that he would be denied. As in matching, a wildcard in the first level selects no topic that begins with `$`.
"""
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from emqtwist.core.access import Client
from emqtwist.mqtt.topics import is_wildcard, split

PUBLISH: Final = 1
SUBSCRIBE: Final = 2
PUBSUB: Final = 3

MOST_REMEMBERED: Final = 1000  # Topic Names of one connection
ALL: Final = [b"#"]
MARKS: Final = (b"c", b"u", b"a")


class Asker:
    """Whom the rules are about, in the form in which they compare."""

    __slots__ = ("client_id", "user_name", "address")

    def __init__(self, client_id: str, user_name: str | None, host: str) -> None:
        self.client_id = client_id
        self.user_name = user_name
        self.address = address_of(host)

    def value(self, mark: bytes) -> bytes | None:
        """What stands for `%c`, `%u` or `%a`; None when it is not known, or empty."""
        value: str | None = self.client_id
        if mark == b"u":
            value = self.user_name
        elif mark == b"a":
            value = None if self.address is None else str(self.address)
        return value.encode() if value else None


def asker(client: Client) -> Asker:
    return Asker(client.client_id, client.user_name, client.address)


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address; IPv4 in the clothes of IPv6 is IPv4."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class Who:
    """Everybody."""

    __slots__ = ()

    def includes(self, asker: Asker) -> bool:
        return True


class ClientIs(Who):
    __slots__ = ("_client_id",)

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id

    def includes(self, asker: Asker) -> bool:
        return asker.client_id == self._client_id


class UserIs(Who):
    __slots__ = ("_user_name",)

    def __init__(self, user_name: str) -> None:
        self._user_name = user_name

    def includes(self, asker: Asker) -> bool:
        return asker.user_name == self._user_name


class AddressIn(Who):
    """An address of the network; nobody whose address is not known."""

    __slots__ = ("_network",)

    def __init__(self, network: IPv4Network | IPv6Network) -> None:
        self._network = network

    def includes(self, asker: Asker) -> bool:
        return asker.address is not None and asker.address in self._network


class Every(Who):
    """Whoever is included in each of `parts`."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[Who]) -> None:
        self._parts = parts

    def includes(self, asker: Asker) -> bool:
        for part in self._parts:
            if not part.includes(asker):
                return False
        return True


class Either(Who):
    """Whoever is included in one of `parts`."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[Who]) -> None:
        self._parts = parts

    def includes(self, asker: Asker) -> bool:
        for part in self._parts:
            if part.includes(asker):
                return True
        return False


class Pattern:
    """The Topic Filter of a rule. `literal`: with its wildcards it is meant as it stands there, `eq` of acl.conf."""

    __slots__ = ("_levels", "_literal", "_varies")

    def __init__(self, topic_filter: bytes, literal: bool = False) -> None:
        self._levels = levels_of(topic_filter)
        self._literal = literal and is_wildcard(topic_filter)
        self._varies = not literal and (b"%c" in topic_filter or b"%u" in topic_filter or b"%a" in topic_filter)

    def decides(self, asker: Asker, asked: list[bytes], allow: bool) -> bool:
        if self._literal:
            return asked == self._levels
        levels = self._levels
        if self._varies:
            filled = fill(levels, asker, allow)
            if filled is None:
                return False
            levels = filled
        return contains(levels, asked) if allow else overlaps(levels, asked)


class Rule:
    """`place` is the file and the line that it stands in. No patterns: it is about every topic."""

    __slots__ = ("allow", "place", "_who", "_access", "_patterns")

    def __init__(self, allow: bool, who: Who, access: int, patterns: list[Pattern], place: str = "") -> None:
        self.allow = allow
        self.place = place
        self._who = who
        self._access = access
        self._patterns = patterns

    def decides(self, asker: Asker, access: int, asked: list[bytes]) -> bool:
        if not self._access & access or not self._who.includes(asker):
            return False
        for pattern in self._patterns:
            if pattern.decides(asker, asked, self.allow):
                return True
        return not self._patterns


class Acl:
    """Rules in their order; `otherwise` is what holds where none decides."""

    __slots__ = ("rules", "otherwise")

    def __init__(self, rules: list[Rule], otherwise: bool) -> None:
        self.rules = rules
        self.otherwise = otherwise

    def allows(self, asker: Asker, access: int, topic_filter: bytes) -> bool:
        """Whether `asker` may publish to the Topic Name, or subscribe to the Topic Filter, without what stands before it."""
        asked = levels_of(topic_filter)
        for rule in self.rules:
            if rule.decides(asker, access, asked):
                return rule.allow
        return self.otherwise


class Grants:
    """What one connection may publish: `known`, as far as it was asked for already. Another set of rules needs others."""

    __slots__ = ("acl", "asker", "known")

    def __init__(self, acl: Acl, client: Client) -> None:
        self.acl = acl
        self.asker = asker(client)
        self.known: dict[bytes, bool] = {}

    def ask(self, topic_name: bytes) -> bool:
        if len(self.known) >= MOST_REMEMBERED:
            self.known.clear()
        allowed = self.known[topic_name] = self.acl.allows(self.asker, PUBLISH, topic_name)
        return allowed


def levels_of(topic_filter: bytes) -> list[bytes]:
    """`+/#` selects what `#` does, and is taken for it."""
    levels = split(topic_filter)
    return ALL if levels == [b"+", b"#"] else levels


def fill(levels: list[bytes], asker: Asker, allow: bool) -> list[bytes] | None:
    """`levels` with what is known of the asker put in for `%c`, `%u` and `%a`.

    None where that is missing; for a rule that allows, also where it could mean more than itself.
    """
    filled: list[bytes] = []
    for level in levels:
        parts = level.split(b"%")
        text = parts[0]
        for part in parts[1:]:
            mark = part[:1]
            if mark not in MARKS:
                text += b"%" + part
                continue
            value = asker.value(mark)
            if value is None or (allow and not is_word(value)):
                return None
            text += value + part[1:]
        filled.append(text)
    if allow and filled[0][:1] == b"$" and levels[0][:1] != b"$":
        return None  # the broker's own
    return filled


def is_word(value: bytes) -> bool:
    """Whether it can only be a part of a level: no wildcard, and no more levels."""
    return not (is_wildcard(value) or b"/" in value)


def contains(outer: list[bytes], inner: list[bytes]) -> bool:
    """Whether every topic that `inner` selects is one that `outer` selects."""
    if inner[0][:1] == b"$" and is_wildcard(outer[0]):
        return False
    depth = 0
    for level in outer:
        if level == b"#":
            return True  # the parent level too
        if depth == len(inner) or inner[depth] == b"#":
            return False
        if level != b"+" and level != inner[depth]:
            return False
        depth += 1
    return depth == len(inner)


def overlaps(one: list[bytes], other: list[bytes]) -> bool:
    """Whether there is a topic that both select."""
    if (one[0][:1] == b"$" and is_wildcard(other[0])) or (other[0][:1] == b"$" and is_wildcard(one[0])):
        return False
    for depth in range(min(len(one), len(other))):
        mine, theirs = one[depth], other[depth]
        if mine == b"#" or theirs == b"#":
            return True
        if mine != theirs and mine != b"+" and theirs != b"+":
            return False
    longer = one if len(one) > len(other) else other
    shorter = min(len(one), len(other))
    return len(one) == len(other) or longer[shorter] == b"#"  # `a/#` selects `a`
