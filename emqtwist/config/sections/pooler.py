"""[pooler]: threads for work that would block the broker."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import INTEGER

EFFECTS: Final = "tests/adapters/test_pooler.py"


@dataclass(frozen=True, kw_only=True)
class PoolerSection:
    """Threads for work that would block the broker: reading files, hashing passwords, what plug-ins submit."""

    size: int = row(
        "8", INTEGER, live=True, minimum="1", maximum="256", test=EFFECTS,
        meaning="Jobs that run at the same time, each in a thread of its own; a thread begins when it is first needed.")
    max_waiting: int = row(
        "10000", INTEGER, live=True, minimum="1", maximum="10000000", test=EFFECTS,
        meaning="Jobs that may wait for a thread; one more is refused.")
