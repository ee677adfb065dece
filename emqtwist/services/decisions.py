"""What was decided about clients lately: who was let in, who was refused, why connections ended."""
from collections import deque
from collections.abc import Callable
from typing import Final

from emqtwist.core.door import VERSIONS
from emqtwist.core.observer import Observer

LAST: Final = 1000
LONGEST: Final = 256  # characters of an identifier or a reason

CONNECTED: Final = "connected"
ENDED: Final = "ended"
ENTRIES: Final = {(version, present): f"protocol level {version}, {session}" for version in VERSIONS
                  for present, session in ((False, "with a new session"), (True, "its session was there"))}


class Decision:
    """`at` is on the monotonic clock. The `cause` of what ended is of the closed list."""

    __slots__ = ("at", "client_id", "peer", "what", "cause", "reason")

    def __init__(self, at: float, client_id: str, peer: str, what: str, cause: str, reason: str) -> None:
        self.at = at
        self.client_id = client_id
        self.peer = peer
        self.what = what
        self.cause = cause
        self.reason = reason


class Decisions(Observer):
    """`last` are the latest of all, each as what a Decision is made of when somebody asks.

    A client that was refused has ended without having connected.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.last: deque[tuple[float, str, str, str, str, str]] = deque(maxlen=LAST)
        self._now = now

    def connected(self, client_id: str, user_name: str | None, peer: str, version: int, clean_start: bool,
                  session_present: bool) -> None:
        self.last.append((self._now(), client_id[:LONGEST], peer, CONNECTED, "", ENTRIES[version, session_present]))

    def disconnected(self, client_id: str, peer: str, cause: str, reason: str) -> None:
        self.last.append((self._now(), client_id[:LONGEST], peer, ENDED, cause, reason[:LONGEST]))

    def of(self, client_id: str) -> list[Decision]:
        """Those about one client, oldest first."""
        return [Decision(*each) for each in self.last if each[1] == client_id[:LONGEST]]
