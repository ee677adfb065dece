"""The seam to those who look at what goes over a connection; most connections have nobody who does."""
from typing import Protocol

from emqtwist.core.link import Link
from emqtwist.mqtt.packets import Packet


class Tap(Protocol):
    """Looks at one connection, whose `tap` it is, and raises nothing."""

    def received(self, link: Link, packets: list[Packet]) -> None:
        """What a read has completed, before any of it is served."""

    def sent(self, link: Link, pieces: list[bytes]) -> None:
        """What is written now: whole packets, in pieces."""

    def ended(self, link: Link, cause: str, reason: str) -> None:
        """The connection is over: what `link.out` has is still written, nothing else is told."""
