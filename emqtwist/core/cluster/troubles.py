"""Troubles: what goes wrong between nodes, who is concerned, and what to do about it."""
from typing import Final

from emqtwist.core.alarm import ERROR, WARNING
from emqtwist.core.alarms import Alarms

UNREACHABLE: Final = "unreachable"
COOKIE: Final = "cookie"
WIRE: Final = "version"
NAME: Final = "name"
FLOOD: Final = "flood"
FRAME: Final = "frame"
DOWN: Final = "down"
CLOCK: Final = "clock"
REMOVED: Final = "removed"

MOST: Final = 100  # troubles at a time
LASTS: Final = 60.0  # seconds after which one that nobody noted again is over
LONGEST: Final = 500  # characters of a text

TITLES: Final[dict[str, tuple[str, str]]] = {  # and the severity; what is not here raises no alarm
    COOKIE: (ERROR, "a node does not know the cookie of this one"),
    WIRE: (ERROR, "a node speaks another version"),
    NAME: (ERROR, "two nodes have the same name"),
    FLOOD: (WARNING, "a node sends too much"),
    FRAME: (ERROR, "a node sends what this one does not understand"),
    DOWN: (ERROR, "a node of the cluster is down"),
    CLOCK: (WARNING, "the clock of a node is wrong, or that of this one"),
    REMOVED: (WARNING, "this node was made to leave the cluster"),
}
ADVICE: Final[dict[str, str]] = {
    UNREACHABLE: "see that the node runs, and that its address and port can be reached from here",
    COOKIE: "give both the same cluster.cookie",
    WIRE: "update the older one of both",
    NAME: "give one of them another node.name, and start it again",
    FLOOD: "see what is wrong with that node",
    FRAME: "see that both run versions that fit, and what the log of that node says",
    DOWN: "start it again; if it does not come back, cluster force-leave removes it with what waits for it",
    CLOCK: "set the clocks of both machines by NTP",
    REMOVED: "cluster join brings it back",
}


class Trouble:
    """`where` is the name of a node, or an address where its name is not known; `last` is when it was noted last."""

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

    def explained(self) -> str:
        """What it is, and what to do."""
        return f"{self.text}: {ADVICE[self.kind]}"


class Troubles:
    """`known` by kind and where, in the order in which they began; each kind in `TITLES` raises an alarm."""

    __slots__ = ("known", "_alarms")

    def __init__(self, alarms: Alarms) -> None:
        self.known: dict[tuple[str, str], Trouble] = {}
        self._alarms = alarms

    def note(self, kind: str, where: str, text: str, now: float, lasting: bool = False) -> None:
        """It is so now. A `lasting` one is over when it is said to be, others when they are not noted again for a minute."""
        trouble = self.known.get((kind, where))
        if trouble is None:
            if len(self.known) >= MOST:
                return  # strangers from many addresses are no news any more
            trouble = self.known[kind, where] = Trouble(kind, where, text[:LONGEST], now, lasting)
            if kind in TITLES:
                severity, title = TITLES[kind]
                self._alarms.raise_(trouble.alarm(), severity, title, f"{where}: {trouble.explained()}")
        trouble.text = text[:LONGEST]
        trouble.last = now

    def over(self, kind: str, where: str) -> None:
        """It is so no more."""
        trouble = self.known.pop((kind, where), None)
        if trouble is not None and kind in TITLES:
            self._alarms.clear(trouble.alarm())

    def of(self, *places: str) -> list[Trouble]:
        """Those that concern one of these names or addresses."""
        return [trouble for trouble in self.known.values() if trouble.where in places]

    def tick(self, now: float) -> None:
        """Those that were not noted again are over."""
        for trouble in list(self.known.values()):
            if not trouble.lasting and now - trouble.last >= LASTS:
                self.over(trouble.kind, trouble.where)
