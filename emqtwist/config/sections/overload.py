"""[overload]: what the broker does when it cannot keep up."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import DURATION

EFFECTS: Final = "tests/adapters/test_overload.py"


@dataclass(frozen=True, kw_only=True)
class OverloadSection:
    """A broker that cannot keep up accepts nobody, slows publishers down and drops QoS 0: see
    [overload](operations.md#overload)."""

    lag: float = row(
        "off", DURATION, live=True, minimum="10ms", maximum="1h", words={"off": 0.0}, test=EFFECTS,
        meaning="How late the broker comes to what is due when it is overloaded; `off`: it never is.")
    time: float = row(
        "2s", DURATION, live=True, minimum="100ms", maximum="1h", test=EFFECTS,
        meaning="How long it is always that late before it counts as overloaded: once is not enough.")
    calm: float = row(
        "5s", DURATION, live=True, minimum="100ms", maximum="1h", test=EFFECTS,
        meaning="How long it comes to everything within half of `lag` before it is not overloaded any more.")
