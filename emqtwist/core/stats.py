"""How many of each thing there are, and the most there have been since the start."""
from typing import Final

CLIENTS: Final = "clients"
SESSIONS: Final = "sessions"
TOPICS: Final = "topics"
SUBSCRIBERS: Final = "subscribers"
SUBSCRIPTIONS: Final = "subscriptions"
ROUTES: Final = "routes"
RETAINED: Final = "retained"
DELAYED: Final = "delayed"
GAUGES: Final = (CLIENTS, SESSIONS, TOPICS, SUBSCRIBERS, SUBSCRIPTIONS, ROUTES, RETAINED, DELAYED)


class Stats:
    """Gauges with emqttd's names; `clients` is how many are connected.

    The others are looked at once a second, sessions also when a client comes. What lives shorter may miss in a maximum.
    `levels` are numbers of other things by name, that are told as they are.
    """

    __slots__ = ("clients", "levels", "_counts", "_most")

    def __init__(self) -> None:
        self.clients = 0
        self.levels: dict[str, int] = {}
        self._counts: dict[str, int] = dict.fromkeys(GAUGES, 0)
        self._most: dict[str, int] = dict.fromkeys(GAUGES, 0)

    def arrived(self, sessions: int) -> None:
        """A client more."""
        self.clients += 1
        if self._most[CLIENTS] < self.clients:
            self._most[CLIENTS] = self.clients
        if self._most[SESSIONS] < sessions:
            self._most[SESSIONS] = sessions

    def note(self, sessions: int, topics: int, subscriptions: int, retained: int, delayed: int) -> None:
        """This is how it is now. On one node each topic is one route, and each subscription one row for either side."""
        self._counts[CLIENTS] = self.clients
        self._counts[SESSIONS] = sessions
        self._counts[TOPICS] = self._counts[ROUTES] = topics
        self._counts[SUBSCRIBERS] = self._counts[SUBSCRIPTIONS] = subscriptions
        self._counts[RETAINED] = retained
        self._counts[DELAYED] = delayed
        for name, count in self._counts.items():
            self._most[name] = max(self._most[name], count)

    def gauges(self) -> dict[str, int]:
        """`clients/count`, `clients/max` and so on, as they were last noted; and the levels."""
        found = dict(self.levels)
        for name, count in self._counts.items():
            found[name + "/count"] = count
            found[name + "/max"] = self._most[name]
        return found
