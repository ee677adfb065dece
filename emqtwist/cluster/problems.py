"""What goes wrong between this node and others: kept for who asks, told in the log, and raised as alarms."""
from dataclasses import dataclass
from typing import Final

from twisted.logger import Logger

from emqtwist.cluster import refusals as r
from emqtwist.cluster.refusals import ALARMS, QUIET, REFUSALS, Refused
from emqtwist.core.alarms import Alarms

MOST: Final = 100  # that are kept, the latest ones; those of whom there is an alarm longest
CALM: Final = 60.0  # seconds without another of its cause, and an alarm is over; longer than the longest pause of a dialer
REPEAT: Final = 60.0  # seconds until the log tells the same again
KEPT: Final = 3600.0  # seconds that a problem is kept after it came last
# What is wrong with nobody in particular: once it is over there is nothing to be looked for.
PASSING: Final = frozenset({r.CROWD})
# What a link that opens disproves; the others come up on links.
SOLVED: Final = frozenset({r.WRONG_COOKIE, r.WRONG_VERSION, r.WRONG_CLUSTER, r.CERTIFICATE, r.NO_NODE, r.UNREACHABLE})

Key = tuple[str, str]


@dataclass
class Problem:
    """`who` is a node or an address, `text` says what is wrong; it came `count` times, at `at` for the last time."""

    cause: str
    who: str
    text: str
    at: float
    count: int = 1
    logged_at: float = 0.0


class Problems:
    """By cause and whom they are about; `counts` says how many there were of each cause."""

    log = Logger()

    def __init__(self, alarms: Alarms) -> None:
        self.counts: dict[str, int] = {}
        self._alarms = alarms
        self._kept: dict[Key, Problem] = {}
        self._raised: dict[str, float] = {}  # causes with an alarm, and when the last of them came

    def all(self) -> list[Problem]:
        """Those that are kept, the latest last."""
        return list(self._kept.values())

    def note(self, who: str, refused: Refused, now: float) -> None:
        """Something is wrong with `who`."""
        cause = refused.cause
        self.counts[cause] = self.counts.get(cause, 0) + 1
        if cause in QUIET:
            return
        before = self._kept.pop((cause, who), None)
        problem = Problem(cause, who, refused.text, now)
        if before is not None:
            problem.count = before.count + 1
            problem.logged_at = before.logged_at
        self._kept[cause, who] = problem
        if len(self._kept) > MOST:
            first = next(iter(self._kept))
            del self._kept[next((key for key in self._kept if key[0] not in ALARMS), first)]
        if before is None or now - before.logged_at >= REPEAT:
            problem.logged_at = now
            self.log.warn("no link with {who}: {cause}: {reason}", who=who, cause=cause, reason=refused.text)
        if cause in ALARMS:
            self._raised[cause] = now
            identifier, severity = ALARMS[cause]
            self._alarms.raise_(identifier, severity, REFUSALS[cause], f"{who}: {refused.text}")

    def solve(self, *whom: str) -> None:
        """There is a link with these: what was wrong with them is not any more."""
        for key in [key for key in self._kept if key[1] in whom and key[0] in SOLVED]:
            del self._kept[key]
        kept = {cause for cause, _ in self._kept}
        for cause in [cause for cause in self._raised if cause not in kept]:
            self._clear(cause)

    def held(self, node: str) -> None:
        """The link with this node has held for some time: whatever was between is over. The log has told of it."""
        self._kept.pop((r.SILENT, node), None)

    def tick(self, now: float) -> None:
        """What has not come for long is over."""
        for key in [key for key, problem in self._kept.items() if now - problem.at >= KEPT]:
            del self._kept[key]
        for cause in [cause for cause, at in self._raised.items() if now - at >= CALM]:
            self._clear(cause)
            if cause in PASSING:
                self._kept = {key: problem for key, problem in self._kept.items() if key[0] != cause}

    def _clear(self, cause: str) -> None:
        del self._raised[cause]
        self._alarms.clear(ALARMS[cause][0])

