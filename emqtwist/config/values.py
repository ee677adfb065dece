"""How values are written in broker.ini: a class a unit, which turns text into a value and knows a good value.

`read` raises ValueError in words that do not repeat the text, as the text may be a secret. `form` says how a value is
written, for the list of allowed values in an error and in the reference.
"""
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import isfinite
from typing import Final, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S", bound=str)

NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
INTEGER_TEXT: Final = re.compile(r"[0-9]{1,18}")
PART: Final = r"([0-9]+(?:\.[0-9]+)?)"
DURATION_TEXT: Final = re.compile(rf"(?:{PART}d)?(?:{PART}h)?(?:{PART}m)?(?:{PART}s)?(?:{PART}ms)?")
DURATION_PARTS: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)
MODE_TEXT: Final = re.compile(r"0?[0-7]{3}")
SIZE_TEXT: Final = re.compile(r"([0-9]{1,15})(b|kb|mb|gb)?")
SIZE_PARTS: Final[Mapping[str | None, int]] = {None: 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


class Unit(Generic[T_co]):
    """One way of writing values; `name` heads its column in the reference."""

    name = ""
    form = ""

    def read(self, text: str) -> T_co:
        raise NotImplementedError

    def holds(self, value: object) -> bool:
        """Whether `read` could have given this value."""
        raise NotImplementedError

    def write(self, value: object) -> str:
        """Text that `read` takes for this value."""
        return f"{value:.15g}" if isinstance(value, float) else str(value)


class Flag(Unit[bool]):
    name = "flag"
    form = "on or off"
    WORDS: Final = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}

    def read(self, text: str) -> bool:
        if text.lower() not in self.WORDS:
            raise ValueError("neither on nor off")
        return self.WORDS[text.lower()]

    def holds(self, value: object) -> bool:
        return isinstance(value, bool)

    def write(self, value: object) -> str:
        return "on" if value else "off"


class Integer(Unit[int]):
    name = "number"
    form = "a whole number"

    def read(self, text: str) -> int:
        if not INTEGER_TEXT.fullmatch(text):
            raise ValueError("not a whole number")
        return int(text)

    def holds(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)


class Number(Unit[float]):
    name = "number"
    form = "a number"

    def read(self, text: str) -> float:
        if not NUMBER.fullmatch(text):
            raise ValueError("not a number")
        return float(text)

    def holds(self, value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)


class Duration(Unit[float]):
    """Seconds."""

    name = "duration"
    form = "a duration as 500ms, 30s, 1h30m, 7d"

    def read(self, text: str) -> float:
        if NUMBER.fullmatch(text):
            return float(text)
        found = DURATION_TEXT.fullmatch(text.lower())
        if not text or found is None:
            raise ValueError("not a duration")
        return sum(float(part) * seconds for part, seconds in zip(found.groups("0"), DURATION_PARTS, strict=True))

    def holds(self, value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)


class WholeSeconds(Unit[int]):
    """A duration that goes on the wire, where there are no fractions of a second."""

    name = "duration"
    form = "a duration in whole seconds as 30s, 5m"

    def read(self, text: str) -> int:
        seconds = DURATION.read(text)
        if not isfinite(seconds) or seconds != int(seconds):
            raise ValueError("not a whole number of seconds")
        return int(seconds)

    def holds(self, value: object) -> bool:
        return INTEGER.holds(value)


class Size(Unit[int]):
    """Bytes; KB, MB and GB are powers of 1024, as in emq.conf."""

    name = "size"
    form = "a size as 512, 64KB, 1MB, 1GB"

    def read(self, text: str) -> int:
        found = SIZE_TEXT.fullmatch(text.lower())
        if found is None:
            raise ValueError("not a size")
        return int(found[1]) * SIZE_PARTS[found[2]]

    def holds(self, value: object) -> bool:
        return INTEGER.holds(value)


class Percent(Unit[float]):
    """A share of one: `20%` is 0.2."""

    name = "percent"
    form = "a percentage as 20%"

    def read(self, text: str) -> float:
        if not text.endswith("%") or not NUMBER.fullmatch(text[:-1]):
            raise ValueError("not a percentage")
        return float(text[:-1]) / 100

    def holds(self, value: object) -> bool:
        return NUMBER_UNIT.holds(value)

    def write(self, value: object) -> str:
        assert isinstance(value, (int, float))
        return f"{value * 100:.15g}%"


class Choice(Unit[S]):
    """One of some names; `aliases` are other words for them that are read but not advertised."""

    name = "choice"

    def __init__(self, *choices: S, aliases: Mapping[str, S] | None = None) -> None:
        self.choices = choices
        self.form = ", ".join(choices[:-1]) + " or " + choices[-1]
        self._words = {**{choice.lower(): choice for choice in choices}, **(aliases or {})}

    def read(self, text: str) -> S:
        if text.lower() not in self._words:
            raise ValueError("not one of the choices")
        return self._words[text.lower()]

    def holds(self, value: object) -> bool:
        return value in self.choices


class Text(Unit[str]):
    """Text as it stands, whole when it matches `pattern`."""

    name = "text"

    def __init__(self, form: str = "any text", pattern: str = r"(?s:.*)") -> None:
        self.form = form
        self._pattern = re.compile(pattern)

    def read(self, text: str) -> str:
        if not self._pattern.fullmatch(text):
            raise ValueError(f"not {self.form}")
        return text

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and self._pattern.fullmatch(value) is not None


@dataclass(frozen=True)
class Address:
    """Where a listener listens: an IP address and a port; port 0 lets the system choose one."""

    host: str
    port: int

    @property
    def ip(self) -> IPv4Address | IPv6Address:
        return ip_address(self.host)

    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect to it."""
        ip = self.ip
        return ((ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip).is_loopback

    def overlaps(self, other: object) -> bool:
        """Whether the system would refuse one of the two: the same port, and the same address or all of its family."""
        if not isinstance(other, Address):
            return False
        mine, theirs = self.ip, other.ip
        if not self.port or self.port != other.port or mine.version != theirs.version:
            return False
        return mine == theirs or mine.is_unspecified or theirs.is_unspecified

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class SocketFile:
    """Where a listener listens: the file of a Unix socket."""

    path: str

    def is_loopback(self) -> bool:
        """Only programs on this machine can connect to it."""
        return True

    def overlaps(self, other: object) -> bool:
        """Whether the system would refuse one of the two."""
        return self == other

    def __str__(self) -> str:
        return self.path


class BindFile(Unit[SocketFile]):
    """A Unix socket to listen on."""

    name = "path"
    form = "a path"

    def read(self, text: str) -> SocketFile:
        if not self.holds(SocketFile(text)):
            raise ValueError("not a path")
        return SocketFile(text)

    def holds(self, value: object) -> bool:
        return isinstance(value, SocketFile) and value.path != "" and "\0" not in value.path


class FileMode(Unit[int]):
    """The permissions of a file, in octal digits."""

    name = "mode"
    form = "a file's mode as 0660"

    def read(self, text: str) -> int:
        if not MODE_TEXT.fullmatch(text):
            raise ValueError("not a file's mode in three octal digits")
        return int(text, 8)

    def holds(self, value: object) -> bool:
        return INTEGER.holds(value) and isinstance(value, int) and 0 <= value <= 0o777

    def write(self, value: object) -> str:
        return f"{value:04o}"


class Bind(Unit[Address]):
    """An address to listen on; a bare port means every IPv4 address of the machine, as in emq.conf."""

    name = "address"
    form = "an address as 1883, 127.0.0.1:1883, [::1]:1883"

    def read(self, text: str) -> Address:
        host, _, port = text.rpartition(":")
        if not INTEGER_TEXT.fullmatch(port) or int(port) > 65535:
            raise ValueError("not a port from 0 to 65535")
        return Address(self._host(host), int(port))

    def _host(self, text: str) -> str:
        if text in ("", "localhost"):
            return "127.0.0.1" if text else "0.0.0.0"
        bracketed = text.startswith("[") and text.endswith("]")
        try:
            ip = ip_address(text[1:-1] if bracketed else text)
        except ValueError:
            raise ValueError("not an IP address") from None
        if bracketed != (ip.version == 6):
            raise ValueError("square brackets are for IPv6 addresses, which need them")
        return str(ip)

    def holds(self, value: object) -> bool:
        return isinstance(value, Address) and self._good(value)

    def _good(self, address: Address) -> bool:
        try:
            return self.read(str(address)) == address
        except ValueError:
            return False


class Priorities(Unit[tuple[tuple[str, int], ...]]):
    """Pairs of Topic Name and priority, in the order written."""

    name = "priorities"
    form = "topic=N,topic2=M with N from 0 to 255, topics without wildcards"

    def read(self, text: str) -> tuple[tuple[str, int], ...]:
        pairs = tuple(self._pair(part) for part in text.split(",")) if text else ()
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a topic stands twice")
        return pairs

    def _pair(self, text: str) -> tuple[str, int]:
        topic, _, priority = text.strip().rpartition("=")
        if not INTEGER_TEXT.fullmatch(priority.strip()) or not self._holds_pair((topic.strip(), int(priority))):
            raise ValueError("not a list of topics and priorities")
        return topic.strip(), int(priority)

    def _holds_pair(self, pair: object) -> bool:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            return False
        return pair[0] != "" and not set("+#\0") & set(pair[0]) and INTEGER.holds(pair[1]) and 0 <= pair[1] <= 255

    def holds(self, value: object) -> bool:
        return isinstance(value, tuple) and all(self._holds_pair(pair) for pair in value)

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return ",".join(f"{topic}={priority}" for topic, priority in value)


class Versions(Unit[tuple[int, ...]]):
    """Versions of MQTT, as protocol levels."""

    name = "versions"
    form = "versions as 3.1, 3.1.1, 5.0"
    LEVELS: Final = {"3.1": 3, "3.1.1": 4, "5.0": 5}

    def read(self, text: str) -> tuple[int, ...]:
        names = [part.strip() for part in text.split(",")]
        if not all(name in self.LEVELS for name in names):
            raise ValueError("not a list of versions of MQTT")
        return tuple(sorted({self.LEVELS[name] for name in names}))

    def holds(self, value: object) -> bool:
        return isinstance(value, tuple) and value != () and set(value) <= set(self.LEVELS.values())

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return ", ".join(name for name, level in self.LEVELS.items() if level in value)


FLAG: Final = Flag()
INTEGER: Final = Integer()
NUMBER_UNIT: Final = Number()
DURATION: Final = Duration()
WHOLE_SECONDS: Final = WholeSeconds()
SIZE: Final = Size()
PERCENT: Final = Percent()
TEXT: Final = Text()
BIND: Final = Bind()
BIND_FILE: Final = BindFile()
FILE_MODE: Final = FileMode()
PRIORITIES: Final = Priorities()
VERSIONS: Final = Versions()
