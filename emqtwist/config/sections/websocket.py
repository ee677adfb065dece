"""What listeners for WebSocket have in common."""
import re
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import DURATION, FLAG, SIZE, Text, Unit

EFFECTS: Final = "tests/integration/test_websocket.py"
ORIGIN: Final = re.compile(r"\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^\s,/]+")


class Origins(Unit[tuple[str, ...]]):
    """Where pages may come from."""

    name = "origins"
    form = "origins as https://example.org, https://*.example.org:8443, null, *"

    def read(self, text: str) -> tuple[str, ...]:
        origins = tuple(part.strip() for part in text.split(","))
        if not self.holds(origins):
            raise ValueError("not a list of origins")
        return origins

    def holds(self, value: object) -> bool:
        return isinstance(value, tuple) and value != () and all(
            isinstance(origin, str) and ORIGIN.fullmatch(origin) is not None for origin in value)

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return ", ".join(value)


@dataclass(frozen=True, kw_only=True)
class WebSocketRows:
    """The rows of [listener.ws.<name>] and [listener.wss.<name>] that others do not have."""

    path: str = row(
        "/mqtt", Text("a path as /mqtt", r"/(?:(?![?#])[!-~])*"), live=True, test=EFFECTS,
        meaning="Where WebSockets are to be had; at any other path there is 404.")
    require_protocol: bool = row(
        "on", FLAG, live=True, test=EFFECTS,
        meaning="Refuse who does not offer the sub-protocol `mqtt` (or `mqttv3.1`), as the standard wants; off also takes who "
                "offers none at all.")
    origins: tuple[str, ...] = row(
        "*", Origins(), live=True, test=EFFECTS,
        meaning="Of which origins pages may connect; `*` stands for any text but a slash, alone for any origin. Only browsers "
                "tell an origin: whoever tells none is let in.")
    max_upgrade_size: int = row(
        "16KB", SIZE, live=True, minimum="1KB", maximum="1MB", test=EFFECTS,
        meaning="Bytes that the headers of the opening handshake may have.")
    max_message_size: int = row(
        "16MB", SIZE, live=True, minimum="1KB", maximum="1GB", test=EFFECTS,
        meaning="Bytes that a WebSocket message may have, in one frame or in fragments, of which each counts 8 bytes more. "
                "Nothing of it is kept, so this costs no memory; it has to hold the largest packet.")
    ping_interval: float = row(
        "off", DURATION, live=True, words={"off": 0.0}, minimum="1s", test=EFFECTS,
        meaning="How often a WebSocket ping is sent, so that proxies on the way do not take a connection for idle; for those "
                "who connect from then on. Whether a client still answers is told by its Keep Alive.")
