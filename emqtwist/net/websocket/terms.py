"""Whom a WebSocket listener takes, by what the opening handshake says."""
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

SUBPROTOCOLS: Final = ("mqtt", "mqttv3.1")  # the better one first

NOT_FOUND: Final = 404
FORBIDDEN: Final = 403
NOT_ACCEPTABLE: Final = 406


class Refused(Exception):
    """`status` is that of HTTP, `reason` words for the client and the log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def choose(path: str, wanted: str, origin: str, origins: Sequence[str], offered: Sequence[str], required: bool) -> str | None:
    """The sub-protocol to speak, None where the client need not offer one; raises Refused.

    Only browsers tell an `origin`; whoever else connects says what he likes, so "" is good.
    """
    if path != wanted:
        raise Refused(NOT_FOUND, f"nothing is at this path, but at {wanted}")
    if origin and not any(_pattern(each).fullmatch(origin) for each in origins):
        raise Refused(FORBIDDEN, f"pages of {origin} may not connect")
    chosen = next((each for each in SUBPROTOCOLS if each in offered), None)  # [MQTT-6.0.0-4]
    if chosen is None and (required or offered):
        raise Refused(NOT_ACCEPTABLE, f"the sub-protocol {' or '.join(SUBPROTOCOLS)} is not among those offered")
    return chosen


@lru_cache(256)
def _pattern(origin: str) -> re.Pattern[str]:
    """`origin` in any case, a `*` in it for all but a slash; alone it is any origin."""
    return re.compile(".*" if origin == "*" else re.escape(origin).replace(r"\*", "[^/]*"), re.IGNORECASE)
