"""What was decided about clients lately: who was let in, who was refused, why connections ended."""
from collections import deque
from collections.abc import Callable
from typing import Final

from emqtwist.core.observer import Observer

LAST: Final = 1000
LONGEST: Final = 256  # characters of an identifier or a reason

CONNECTED: Final = "connected"
ENDED: Final = "ended"


class Decision:
    """`at` is on the monotonic clock. The `cause` of what ended is of the closed list."""

    __slots__ = ("at", "client_id", "peer", "what", "cause", "reason")

    def __init__(self, at: float, client_id: str, peer: str, what: str, cause: str, reason: str) -> None:
        self.at = at
        self.client_id = client_id[:LONGEST]
        self.peer = peer
        self.what = what
        self.cause = cause
        self.reason = reason[:LONGEST]


class Decisions(Observer):
    """`last` are the latest, oldest first. A client that was refused has ended without having connected."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.last: deque[Decision] = deque(maxlen=LAST)
        self._now = now

    def connected(self, client_id: str, peer: str, version: int, session_present: bool) -> None:
        session = "its session was there" if session_present else "with a new session"
        self.last.append(Decision(self._now(), client_id, peer, CONNECTED, "", f"protocol level {version}, {session}"))

    def disconnected(self, client_id: str, peer: str, cause: str, reason: str) -> None:
        self.last.append(Decision(self._now(), client_id, peer, ENDED, cause, reason))

    def of(self, client_id: str) -> list[Decision]:
        """Those about one client."""
        return [each for each in self.last if each.client_id == client_id[:LONGEST]]
