"""[node]: what this broker is called."""
from dataclasses import dataclass

from emqtwist.config.rows import row
from emqtwist.config.values import Text


@dataclass(frozen=True, kw_only=True)
class NodeSection:
    """This broker among others."""

    name: str = row(
        "emqtwist@127.0.0.1", Text("a name as emqtwist@127.0.0.1", r"[A-Za-z0-9_.-]+@[A-Za-z0-9_.:-]+"),
        meaning="Name of this broker; it stands in each JSON log line.",
        test="tests/adapters/test_logs.py")
