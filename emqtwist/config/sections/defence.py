"""[flapping], [auth.backoff]: clients that come too often, and addresses from which too many logins fail."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import DURATION, FLAG, INTEGER

FLAPPING: Final = "tests/unit/core/test_flapping.py"
BACKOFF: Final = "tests/adapters/test_backoff.py"


@dataclass(frozen=True, kw_only=True)
class FlappingSection:
    """Clients that connect again and again, or two that take one Client Identifier from each other. See [bans](guide.md#bans)."""

    enable: bool = row(
        "off", FLAG, live=True, test=FLAPPING,
        meaning="Ban clients that connect too often.")
    max_count: int = row(
        "15", INTEGER, live=True, minimum="1", test=FLAPPING,
        meaning="How often one Client Identifier may connect within `window_time`; who comes once more is banned.")
    window_time: float = row(
        "1m", DURATION, live=True, minimum="1s", maximum="1d", test=FLAPPING,
        meaning="Time within which connections are counted.")
    ban_time: float = row(
        "5m", DURATION, live=True, minimum="1s", maximum="7d", test=FLAPPING,
        meaning="How long the Client Identifier is banned.")


@dataclass(frozen=True, kw_only=True)
class BackoffSection:
    """Who guesses passwords: an address from which too many logins fail is refused for a while, and then for longer.

    All clients behind that address are.
    """

    max_failures: int = row(
        "0", INTEGER, live=True, words={"off": 0}, test=BACKOFF,
        meaning="Failed logins from one address within `window_time` after which it is refused. 0 is off.")
    window_time: float = row(
        "1m", DURATION, live=True, minimum="1s", maximum="1d", test=BACKOFF,
        meaning="Time within which failed logins are counted.")
    first_pause: float = row(
        "5s", DURATION, live=True, minimum="1s", maximum="1d", test=BACKOFF,
        meaning="How long the address is refused at first; each further time twice as long.")
    longest_pause: float = row(
        "10m", DURATION, live=True, minimum="1s", maximum="7d", test=BACKOFF,
        meaning="How long it is refused at most. After that time without a failure all is forgotten.")
