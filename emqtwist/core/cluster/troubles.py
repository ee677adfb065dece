"""Troubles: what is wrong with the nodes of a cluster, seen from this one. Why a link does not come about is told elsewhere."""
from typing import Final

from emqtwist.core.alarm import ERROR, WARNING
from emqtwist.core.alarms import Alarms

DOWN: Final = "down"
CLOCK: Final = "clock"
NAME: Final = "name"
REMOVED: Final = "removed"
CLEANED: Final = "cleaned"

MOST: Final = 3000  # troubles at a time
LASTS: Final = 60.0  # seconds after which one that nobody noted again is over
LONGEST: Final = 500  # characters of a text

TITLES: Final[dict[str, tuple[str, str]]] = {  # with the severity
    DOWN: (ERROR, "a node of the cluster is down"),
    CLOCK: (WARNING, "the clock of a node is wrong, or that of this one"),
    NAME: (ERROR, "two nodes have the same name"),
    REMOVED: (WARNING, "this node was made to leave the cluster"),
    CLEANED: (WARNING, "a node was down for so long that it was made to leave"),
}


class Trouble:
    """`kind` is one of TITLES, `where` the name of a node; `last` is when it was noted last."""

    __slots__ = ("kind", "where", "text", "last", "lasting")

    def __init__(self, kind: str, where: str, text: str, last: float, lasting: bool) -> None:
        self.kind = kind
        self.where = where
        self.text = text
        self.last = last
        self.lasting = lasting

    def alarm(self) -> str:
        """The identifier of its alarm."""
        return f"cluster_{self.kind}/{self.where}"


class Troubles:
    """`known` by kind and where, in the order in which they began; each is an alarm."""

    __slots__ = ("known", "_alarms")

    def __init__(self, alarms: Alarms) -> None:
        self.known: dict[tuple[str, str], Trouble] = {}
        self._alarms = alarms

    def note(self, kind: str, where: str, text: str, now: float, lasting: bool = False) -> None:
        """It is so now. A `lasting` one is over when it is said to be, others when they are not noted again for a minute."""
        trouble = self.known.get((kind, where))
        if trouble is None:
            if len(self.known) >= MOST:
                return
            trouble = self.known[kind, where] = Trouble(kind, where, text[:LONGEST], now, lasting)
            severity, title = TITLES[kind]
            self._alarms.raise_(trouble.alarm(), severity, title, f"{where}: {text[:LONGEST]}")
        trouble.text = text[:LONGEST]
        trouble.last = now

    def over(self, kind: str, where: str) -> None:
        """It is so no more."""
        trouble = self.known.pop((kind, where), None)
        if trouble is not None:
            self._alarms.clear(trouble.alarm())

    def tick(self, now: float) -> None:
        """Those that were not noted again are over."""
        for trouble in list(self.known.values()):
            if not trouble.lasting and now - trouble.last >= LASTS:
                self.over(trouble.kind, trouble.where)
