"""How the system monitor warns: a line in the log, a message below $SYS, an alarm.

`Reports` outlives the parts that watch: an alarm that one of them has raised is cleared by the one that comes after it.
"""
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from emqtwist.config.sections.sysmon import SysmonSection
from emqtwist.core.alarm import WARNING
from emqtwist.core.alarms import Alarms

LONG_SCHEDULE: Final = "long_schedule"
LONG_GC: Final = "long_gc"
LARGE_HEAP: Final = "large_heap"
BUSY_PORT: Final = "busy_port"
OPEN_FILES: Final = "open_files"
BUSY_CPU: Final = "busy_cpu"
BUSY_POOL: Final = "busy_pool"

TITLES: Final = {
    LONG_SCHEDULE: "something holds the broker up",
    LONG_GC: "the garbage collector holds the broker up",
    LARGE_HEAP: "the process occupies much memory",
    BUSY_PORT: "a client reads too slowly",
    OPEN_FILES: "the process has few descriptors left",
    BUSY_CPU: "the broker uses its processor up",
    BUSY_POOL: "many jobs wait for a thread",
}
PROCESS: Final = "{kind} warning: pid = {who}, info: {words}"
PORT: Final = "{kind} warning: suspid = {who}, port = {peer}, info: {words}"
SILENCE: Final = 1.0  # seconds in which the same is not told again
LOW: Final = 0.8  # share of its threshold below which a level is good again


def ignored(late: float) -> None:
    """What is done with beats where nobody wants to know."""


class Reports:
    """Warnings of one broker. `suppressed` counts those that were not told, for the same had just been.

    `begin` tells the broker the time before it is called, `publish(topic, text)` publishes below `$SYS/brokers/<node>/`.
    """

    log = Logger()

    def __init__(self, section: SysmonSection, alarms: Alarms, begin: Callable[[], None],
                 publish: Callable[[str, str], None], now: Callable[[], float]) -> None:
        self.section = section
        self.beat: Callable[[float], object] = ignored  # called for each beat of the reactor's heart, with how late it comes
        self.suppressed = 0
        self._alarms = alarms
        self._begin = begin
        self._publish = publish
        self._now = now
        self._told: dict[tuple[str, str], float] = {}  # when the same is told again
        self._over: dict[str, float] = {}  # kind -> when its last event was

    def event(self, kind: str, who: str, words: str) -> None:
        """Something lasted too long; its alarm is over when `alarm_time` has passed without another."""
        self._over[kind] = self._now()
        self.tell(kind, who, words)
        self._raise(kind, kind, f"{who}: {words}")

    def level(self, kind: str, value: float, threshold: float, words: str, name: str = "") -> None:
        """A level is as high as `value`; without a threshold it is always good. `name` is of which it is, of several."""
        identifier = f"{kind}/{name}" if name else kind
        if 0 < threshold < value:
            if self._raise(kind, identifier, words):
                self.tell(kind, name or "broker", words)
        elif threshold <= 0 or value < LOW * threshold:
            self.clear(identifier)

    def tell(self, kind: str, who: str, words: str, form: str = PROCESS, peer: str = "") -> None:
        """In emqttd's words: `form` is what it says of an event of this kind."""
        now = self._now()
        if self._told.get((kind, who), now) > now:
            self.suppressed += 1
            return
        self._told[kind, who] = now + SILENCE
        self.log.warn(form, kind=kind, who=who, words=words, peer=peer)
        self._publish(f"sysmon/{kind}", form.format(kind=kind, who=who, words=words, peer=peer))

    def busy_port(self, client_id: str, peer: str, words: str) -> None:
        """A client does not read what it is sent."""
        self._raise(BUSY_PORT, f"{BUSY_PORT}/{client_id}", words)
        self.tell(BUSY_PORT, client_id, words, PORT, peer)

    def clear(self, identifier: str) -> None:
        self._begin()
        self._alarms.clear(identifier)

    def settle(self) -> None:
        """What is over by now; to be called once a second."""
        now = self._now()
        self._told = {key: until for key, until in self._told.items() if until > now}
        for kind, last in list(self._over.items()):
            if now - last >= self.section.alarm_time:
                del self._over[kind]
                self.clear(kind)

    def _raise(self, kind: str, identifier: str, summary: str) -> bool:
        self._begin()
        return self._alarms.raise_(identifier, WARNING, TITLES[kind], summary)
