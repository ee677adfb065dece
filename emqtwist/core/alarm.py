"""One alarm."""
from typing import Final

WARNING: Final = "warning"
ERROR: Final = "error"
CRITICAL: Final = "critical"
SEVERITIES: Final = (WARNING, ERROR, CRITICAL)


class Alarm:
    """What is wrong; `identifier` is the same as long as it is the same thing. Times are on the broker's clock.

    `cleared_at` is None while the alarm is active.
    """

    __slots__ = ("identifier", "severity", "title", "summary", "raised_at", "cleared_at")

    def __init__(self, identifier: str, severity: str, title: str, summary: str, raised_at: float) -> None:
        self.identifier = identifier
        self.severity = severity
        self.title = title
        self.summary = summary
        self.raised_at = raised_at
        self.cleared_at: float | None = None
