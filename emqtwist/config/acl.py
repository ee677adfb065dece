"""Access rules as broker.ini has them: whom a rule is about, and which topics."""
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from emqtwist.config.values import Unit
from emqtwist.core.acl import Pattern
from emqtwist.core.who import AddressIn, CertificateIs, ClientIs, Either, Every, UserIs, Who
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter

ALL: Final = "all"
TOKEN: Final = re.compile(r'\s*(?:(?P<sign>[(),])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s(),"]+))\s*')
DEEPEST: Final = 50  # brackets within brackets


class _Reader:
    """A walk over words, signs and texts in quotes; of each whether it was in quotes."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, bool]] = []
        position = 0
        while position < len(text):
            found = TOKEN.match(text, position)
            if found is None:
                raise ValueError("a quote has no end")
            quoted = found["quoted"]
            token = found["sign"] or found["word"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            self._tokens.append((token, quoted is not None))
            position = found.end()
        self._tokens.reverse()

    def at_end(self) -> bool:
        return not self._tokens

    def took(self, word: str) -> bool:
        """Whether this is what comes next; then it is behind us."""
        if self._tokens and self._tokens[-1] == (word, False):
            self._tokens.pop()
            return True
        return False

    def value(self, what: str) -> tuple[str, bool]:
        """A word, or text in quotes."""
        if not self._tokens or self._tokens[-1] in [("(", False), (")", False), (",", False)]:
            raise ValueError(f"{what} is missing")
        return self._tokens.pop()


def who_of(text: str) -> Who:
    """`user office and ip 10.1.0.0/16 or client "a b"`, with brackets; ValueError when it is none."""
    reader = _Reader(text)
    who = _either(reader, 0)
    if not reader.at_end():
        raise ValueError("something is left over at the end")
    return who


def _either(reader: _Reader, depth: int) -> Who:
    if depth > DEEPEST:
        raise ValueError("too many brackets")
    parts = [_every(reader, depth)]
    while reader.took("or"):
        parts.append(_every(reader, depth))
    return parts[0] if len(parts) == 1 else Either(parts)


def _every(reader: _Reader, depth: int) -> Who:
    parts = [_one(reader, depth)]
    while reader.took("and"):
        parts.append(_one(reader, depth))
    return parts[0] if len(parts) == 1 else Every(parts)


def _one(reader: _Reader, depth: int) -> Who:
    if reader.took("("):
        who = _either(reader, depth + 1)
        if not reader.took(")"):
            raise ValueError("a bracket has no end")
        return who
    word, quoted = reader.value("who is meant")
    match word if not quoted else "":
        case "all":
            return Who()
        case "client":
            return ClientIs(reader.value("an identifier")[0])
        case "user":
            return UserIs(reader.value("a name")[0])
        case "cert":
            return CertificateIs(reader.value("a name")[0])
        case "ip":
            return AddressIn(network_of(reader.value("an address")[0]))
    raise ValueError("not all, client, user, cert or ip")


def network_of(text: str) -> IPv4Network | IPv6Network:
    """An address, or a network with a mask; ValueError when it is neither."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError("not an IP address or network") from None


def patterns_of(text: str) -> list[Pattern]:
    """`a/+/b, eq "#"`; none for `all`. ValueError when a Topic Filter is none."""
    reader = _Reader(text)
    patterns: list[Pattern] = []
    if reader.took(ALL) and reader.at_end():
        return patterns
    reader = _Reader(text)
    while True:
        literal = reader.took("eq")
        topic_filter = reader.value("a topic")[0].encode()
        try:
            check_topic_filter(topic_filter, 0)
        except MQTTError as error:
            raise ValueError(error.reason) from None
        patterns.append(Pattern(topic_filter, literal))
        if reader.at_end():
            return patterns
        if not reader.took(","):
            raise ValueError("a comma is missing between topics")


class WhoText(Unit[str]):
    """What `who_of` reads."""

    name = "clients"
    form = 'all; client, user, cert or ip with a name or a network behind it; as many of these as wanted, with and, or, brackets'

    def read(self, text: str) -> str:
        who_of(text)
        return text

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and _is_good(self, value)


class TopicsText(Unit[str]):
    """What `patterns_of` reads."""

    name = "topics"
    form = 'all, or Topic Filters with commas between them; one that begins with # stands in quotes, eq "#" is that filter itself'

    def read(self, text: str) -> str:
        patterns_of(text)
        return text

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and _is_good(self, value)


def _is_good(unit: Unit[str], text: str) -> bool:
    try:
        unit.read(text)
    except ValueError:
        return False
    return True


WHO: Final = WhoText()
TOPICS: Final = TopicsText()
