"""The alarms of one broker: what is wrong now, and what was wrong lately."""
from collections import deque
from typing import Final

from emqtwist.core.alarm import SEVERITIES, Alarm
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer

HISTORY: Final = 1000
ACTIVE: Final = 10_000


class Alarms:
    """`active` maps identifiers to Alarms in the order they were raised; `history` holds those that were cleared, oldest first.

    `suppressed` counts alarms that were not raised because as many as are kept are active.
    """

    __slots__ = ("active", "history", "suppressed", "_turn", "_observer")

    def __init__(self, turn: Turn, observer: Observer) -> None:
        self.active: dict[str, Alarm] = {}
        self.history: deque[Alarm] = deque(maxlen=HISTORY)
        self.suppressed = 0
        self._turn = turn
        self._observer = observer

    def raise_(self, identifier: str, severity: str, title: str, summary: str) -> bool:
        """Raise an alarm, unless it is active already; whether it is new. ValueError for an unknown severity."""
        if severity not in SEVERITIES:
            raise ValueError(f"the severity {severity!r} is none of {', '.join(SEVERITIES)}")
        if identifier in self.active:
            return False
        if len(self.active) >= ACTIVE:
            self.suppressed += 1
            return False
        alarm = self.active[identifier] = Alarm(identifier, severity, title, summary, self._turn.now)
        self._observer.alarm_raised(alarm)
        return True

    def clear(self, identifier: str) -> bool:
        """Whether the alarm was active."""
        alarm = self.active.pop(identifier, None)
        if alarm is None:
            return False
        alarm.cleared_at = self._turn.now
        self.history.append(alarm)
        self._observer.alarm_cleared(alarm)
        return True
