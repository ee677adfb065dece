"""The sending side of a link to another node. What is on it is not counted among what clients are sent."""
from typing import Final

from emqtwist.core.journal import Journal
from emqtwist.core.link import Link, Turn

NO_CLIENT: Final = -1


class NodeLink(Link):
    """As the link of a client, for frames."""

    __slots__ = ()

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self.version = NO_CLIENT

    def hold(self, number: int, data: bytes) -> bool:
        new = super().hold(number, data)
        self.turn.parts_sent -= 1
        return new

    def release(self, number: int) -> None:
        parts = self.turn.parts_sent
        super().release(number)
        self.turn.parts_sent = parts

    def take(self) -> bytes:
        parts, size = self.turn.parts_sent, self.turn.bytes_sent
        data = super().take()
        self.turn.parts_sent, self.turn.bytes_sent = parts, size
        return data


def send_stored(link: Link, journal: Journal | None, data: bytes) -> None:
    """Send once all that was recorded is stored."""
    number = 0 if journal is None else journal.barrier()
    if journal is None or not number:
        link.send(data)
    elif link.hold(number, data):
        journal.hold(link, number)
