"""Certificates of listeners and of links with other nodes: loaded again when their files change, told of before they expire."""
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emqtwist.config.sections.sysmon import SysmonSection
from emqtwist.core.alarm import CRITICAL, ERROR, WARNING
from emqtwist.core.broker import Broker
from emqtwist.net.tls.credentials import Credentials
from emqtwist.services.periodic import Periodic

INTERVAL: Final = 10.0  # seconds between looks at the files
DAY: Final = 86400.0

FILES: Final = "tls_files"
EXPIRING: Final = "tls_expiring"
EXPIRED: Final = "tls_expired"


class Certificates:
    """By label: that of a listener, `cluster`, or `bridge.<name>`.

    `wall` gives Unix seconds, `begin` tells the broker the time.
    """

    log = Logger()

    def __init__(self, credentials: Mapping[str, Credentials[Any]], section: SysmonSection, broker: Broker,
                 begin: Callable[[], None], wall: Callable[[], float]) -> None:
        self.credentials = credentials
        self.section = section
        self._alarms = broker.alarms
        self._stats = broker.stats
        self._begin = begin
        self._wall = wall

    def look(self) -> None:
        """Load what has changed, and see what expires."""
        for label, credentials in self.credentials.items():
            if credentials.have_changed():
                self.reload(label)
        self.tell()

    def reload(self, label: str) -> str:
        """Load the files of this label again; what is wrong with them, empty when nothing is."""
        self._begin()
        credentials = self.credentials[label]
        credentials.reload()
        problem = credentials.problem
        if problem:
            self.log.error("{label} keeps the certificates that it has: {problem}", label=label, problem=problem)
            self._alarms.clear(f"{FILES}/{label}")  # the next one says what is wrong now
        else:
            self.log.info("{label} has loaded its certificates", label=label)
        self._tell_files(label, problem)
        return problem

    def _tell_files(self, label: str, problem: str) -> None:
        self._set(FILES, label, ERROR, bool(problem), "new certificates are of no use",
                  f"it keeps those that it has: {problem}")

    def tell(self) -> None:
        """Set the gauges, and the alarms of what expires or has expired."""
        self._begin()
        now = self._wall()
        for label, credentials in self.credentials.items():
            loaded = credentials.loaded
            self._tell_files(label, credentials.problem)  # a reload of the configuration may have brought good ones
            if not loaded.expiries:  # it goes by keys, which do not expire
                self._stats.levels.pop(f"certificates/{label}/days", None)
                for kind in (EXPIRING, EXPIRED):
                    self._alarms.clear(f"{kind}/{label}")
                continue
            path, end = min(loaded.expiries, key=at)
            self._stats.levels[f"certificates/{label}/days"] = int((end - now) // DAY)
            self._set(EXPIRING, label, WARNING, now < end < now + self.section.certificate_expiry,
                      "a certificate expires soon", f"{path} is good until {date(end)}")
            path, end = min(loaded.expiries + loaded.lists, key=at)
            self._set(EXPIRED, label, CRITICAL, end <= now, "a certificate has expired, or a list of revoked ones",
                      f"{path} was good until {date(end)}")

    def _set(self, kind: str, label: str, severity: str, wrong: bool, title: str, summary: str) -> None:
        identifier = f"{kind}/{label}"
        if wrong:
            self._alarms.raise_(identifier, severity, title, f"{label}: {summary}")
        else:
            self._alarms.clear(identifier)


def at(expiry: tuple[str, float]) -> float:
    return expiry[1]


def date(at: float) -> str:
    """Of a moment in Unix seconds, which may be never."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at)) if at < inf else "for ever"


class Looking(Periodic):
    """The part that looks after them, the first time when it starts."""

    def __init__(self, certificates: Certificates, clock: IReactorTime) -> None:
        super().__init__("certificates", INTERVAL, certificates.look, clock)
        self._certificates = certificates

    def startService(self) -> None:
        super().startService()
        self.guard(self._certificates.look)
