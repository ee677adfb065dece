"""What the system monitor says, to whom: reports on a clock that a test moves."""
from dataclasses import replace
from typing import Any

from twisted.python.failure import Failure

from emqtwist.config import SysmonSection
from emqtwist.core.alarm import Alarm
from emqtwist.core.alarms import Alarms
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.services.sysmon.machine import Machine
from emqtwist.services.sysmon.reports import Reports
from tests.threads import ThreadedClock


class Listener(Observer):
    """The alarms as they come and go: `+long_gc`, `-long_gc`."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def alarm_raised(self, alarm: Alarm) -> None:
        self.heard.append(f"+{alarm.identifier}")

    def alarm_cleared(self, alarm: Alarm) -> None:
        self.heard.append(f"-{alarm.identifier}")


class Post:
    """Reports whose parts a test makes; `told` are the texts below $SYS with their topics."""

    def __init__(self, **rows: Any) -> None:
        self.clock = ThreadedClock()
        self.turn = Turn()
        self.listener = Listener()
        self.alarms = Alarms(self.turn, self.listener)
        self.told: list[tuple[str, str]] = []
        self.reports = Reports(SysmonSection(**rows), self.alarms, self.begin, self.publish, self.clock.seconds)

    def begin(self) -> None:
        self.turn.now = self.clock.seconds()

    def publish(self, topic: str, text: str) -> None:
        self.told.append((topic, text))

    def set(self, **rows: Any) -> None:
        """A reload."""
        self.reports.section = replace(self.reports.section, **rows)

    def seconds(self, count: int) -> None:
        self.clock.pump([1.0] * count)

    def heard(self) -> list[str]:
        """The alarms that came and went since the last call."""
        heard, self.listener.heard = self.listener.heard, []
        return heard


class FakeMachine(Machine):
    """Has what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.resident = self.open = 0
        self.much, self.most = 1000, 100
        self.used = 0.0
        self.listed = 0
        self.breaks: BaseException | None = None

    def memory(self) -> int:
        if self.breaks is not None:
            breaks, self.breaks = self.breaks, None
            raise breaks
        return self.resident

    def large(self) -> int:
        return self.much

    def descriptors(self) -> int:
        return self.open

    def listed_descriptors(self) -> int:
        return self.listed

    def most_descriptors(self) -> int:
        return self.most

    def cpu(self) -> float:
        return self.used


def kinds(failures: list[Failure]) -> list[object]:
    """The types of what was logged, which was expected."""
    found: list[object] = [failure.type for failure in failures]
    failures.clear()
    return found
