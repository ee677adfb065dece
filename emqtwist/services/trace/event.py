"""One event of a trace, and the line that it makes."""
import json
from datetime import UTC, datetime
from typing import Final

from emqtwist.services.trace.summary import Fields

LONGEST: Final = 256  # characters of one value
PLAIN: Final = frozenset('\t "=[]\\')  # what a value that stands as it is has none of

Line = tuple[str, dict[str, object]]  # text, and the same in columns


class Event:
    """`what` is `received`, `sent` with the name of a `packet`, or what happened; `payload` has the first bytes of one."""

    __slots__ = ("at", "client_id", "peer", "what", "packet", "fields", "payload")

    def __init__(self, at: float, client_id: str, peer: str, what: str, packet: str, fields: Fields,
                 payload: bytes = b"") -> None:
        self.at = at
        self.client_id = client_id
        self.peer = peer
        self.what = what
        self.packet = packet
        self.fields = fields
        self.payload = payload

    def line(self, payload: int) -> Line:
        """With `payload` bytes of the payload at most."""
        time = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = self.fields
        if payload and self.payload:
            fields = {**fields, "payload": self.payload[:payload].decode("utf-8", "backslashreplace")}
        words = [time, word(self.client_id) if self.client_id else "-", self.peer or "-", self.what]
        if self.packet:
            words.append(self.packet)
        words += [f"{name}={word(value, payload)}" for name, value in fields.items()]
        columns: dict[str, object] = {"time": time, "client": self.client_id, "peer": self.peer, "event": self.what,
                                      "packet": self.packet}
        columns.update((name, shortened(value, payload)) for name, value in fields.items())
        return " ".join(words), columns


def word(value: object, longest: int = 0) -> str:
    """One word, whatever a client has made up: it cannot forge a line, nor another field."""
    if isinstance(value, list):
        return "[" + ", ".join([word(each) for each in value]) + "]"
    text = "-" if value is None else str(shortened(value, longest))
    return text if text and text.isprintable() and PLAIN.isdisjoint(text) else json.dumps(text)


def shortened(value: object, longest: int = 0) -> object:
    """A text is cut after LONGEST characters, or `longest` if that is more."""
    longest = max(longest, LONGEST)
    if isinstance(value, list):
        return [shortened(each) for each in value]
    if not isinstance(value, str) or len(value) <= longest:
        return value
    return f"{value[:longest]}... ({len(value)} characters)"
