"""Remote: commands that a node has others answer, in pages that it asks for one by one.

    asked = remote.ask("b@host", ("clients", "list"))
    asked.wake = go_on          # called when there is something new
    asked.piece                 # what has come; `take` it, and the next page is asked for
    asked.over, asked.failure   # that was all, or why there is no more

A page is bounded in bytes and in work, so that neither node keeps its clients waiting, and there is at most one under way. Who
does not answer in time is given up.
"""
from collections.abc import Callable
from typing import Final, Protocol

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.link import nobody

PATIENCE: Final = 5.0  # seconds that a page may take
PIECE: Final = 60_000  # bytes of a page
IDLE: Final = 600.0  # seconds after which nobody seems to want the rest
MOST: Final = 100  # listings that are open for one node
WORDS: Final = 100  # of a command
LONGEST: Final = 65_535  # characters of a command, or of a failure

DOWN: Final = "it is down"
SILENT: Final = "it does not answer"
CUT: Final = "the link to it is gone"
NO_COMMANDS: Final = "it takes no commands"
BUSY: Final = "it answers too many commands at a time"
GONE: Final = "it has given up"

Words = tuple[str, ...]


class Running(Protocol):
    """A listing that runs here for another node; `over` when there is no more, `failure` why, if it should have been more.

    `used` is when its last page was asked for.
    """

    over: bool
    failure: str
    used: float

    def page(self, size: int) -> bytes:
        """The next bytes, at most `size`, that a little work brings; there may be none yet. Sets `over` and `failure`."""

    def close(self) -> None:
        """Nobody wants the rest."""


class Runner(Protocol):
    """Who knows the commands."""

    def run(self, words: Words) -> Running:
        """Begin with one of them."""


class Asked:
    """What node `node` answers; `waits` while a page is under way that is to come by `due`."""

    __slots__ = ("node", "number", "piece", "over", "failure", "waits", "due", "wake")

    def __init__(self, node: str, number: int) -> None:
        self.node = node
        self.number = number
        self.piece = b""
        self.over = False
        self.failure = ""
        self.waits = False
        self.due = 0.0
        self.wake: Callable[[], None] = nobody

    def fail(self, failure: str) -> None:
        """There will be no more."""
        self.over, self.waits, self.failure = True, False, failure
        self.wake()


class Remote(Part):
    """Asks other nodes, and answers them as `runner` does."""

    __slots__ = ("runner", "_cluster", "_asked", "_running", "_number")

    def __init__(self, cluster: Cluster) -> None:
        self.runner: Runner | None = None
        self._cluster = cluster
        self._asked: dict[int, Asked] = {}
        self._running: dict[str, dict[int, Running]] = {}  # by node, and its number
        self._number = 0
        cluster.serve[f.RUN] = self._run
        cluster.serve[f.MORE] = self._more
        cluster.serve[f.PAGE] = self._page
        cluster.serve[f.STOP] = self._stop
        cluster.parts.append(self)

    # Who asks.

    def ask(self, node: str, words: Words) -> Asked:
        """Have a node begin with a command."""
        self._number += 1
        asked = Asked(node, self._number)
        peer = self._cluster.peers.get(node)
        if peer is None or peer.link is None:
            asked.fail(DOWN)
        else:
            self._asked[asked.number] = asked
            self._want(peer, asked, (f.RUN, asked.number, words))
        return asked

    def take(self, asked: Asked) -> bytes:
        """What has come; the next page is asked for."""
        piece, asked.piece = asked.piece, b""
        peer = self._cluster.peers.get(asked.node)
        if peer is not None and not asked.over and not asked.waits:
            self._want(peer, asked, (f.MORE, asked.number))
        return piece

    def stop(self, asked: Asked) -> None:
        """Nobody wants the rest."""
        if self._asked.pop(asked.number, None) is not None and not asked.over:
            peer = self._cluster.peers.get(asked.node)
            if peer is not None:
                self._cluster.send(peer, (f.STOP, asked.number))

    def _want(self, peer: Peer, asked: Asked, frame: Frame) -> None:
        asked.waits = True
        asked.due = self._cluster.broker.turn.now + PATIENCE
        self._cluster.send(peer, frame)

    def _page(self, peer: Peer, frame: Frame) -> None:
        _, number, piece, last, failure = frame
        if len(piece) > PIECE or len(failure) > LONGEST:
            raise BadFrame("a page is too large")
        asked = self._asked.get(number)
        if asked is None or asked.node != peer.name or not asked.waits:
            return
        asked.waits = False
        asked.piece, asked.over, asked.failure = piece, last, failure
        if last:
            del self._asked[number]
        asked.wake()

    # Who answers.

    def _run(self, peer: Peer, frame: Frame) -> None:
        words = _words_of(frame[2])
        running = self._running.setdefault(peer.name, {})
        self._stop(peer, frame)  # a number begins once
        if self.runner is None:
            self._refuse(peer, frame[1], NO_COMMANDS)
        elif len(running) >= MOST:
            self._refuse(peer, frame[1], BUSY)
        else:
            listing = running[frame[1]] = self.runner.run(words)
            self._answer(peer, frame[1], listing)

    def _more(self, peer: Peer, frame: Frame) -> None:
        listing = self._running.get(peer.name, {}).get(frame[1])
        if listing is None:
            self._refuse(peer, frame[1], GONE)
        else:
            self._answer(peer, frame[1], listing)

    def _answer(self, peer: Peer, number: int, listing: Running) -> None:
        listing.used = self._cluster.broker.turn.now
        piece = listing.page(PIECE)
        if listing.over:
            del self._running[peer.name][number]
        self._cluster.send(peer, (f.PAGE, number, piece, listing.over, listing.failure))

    def _refuse(self, peer: Peer, number: int, failure: str) -> None:
        self._cluster.send(peer, (f.PAGE, number, b"", True, failure))

    def _stop(self, peer: Peer, frame: Frame) -> None:
        listing = self._running.get(peer.name, {}).pop(frame[1], None)
        if listing is not None:
            listing.close()

    # Nodes that come and go.

    def lost(self, peer: Peer) -> None:
        for listing in self._running.pop(peer.name, {}).values():
            listing.close()
        for asked in [asked for asked in self._asked.values() if asked.node == peer.name]:
            del self._asked[asked.number]
            asked.fail(CUT)

    def tick(self, now: float) -> None:
        for asked in [asked for asked in self._asked.values() if asked.waits and asked.due <= now]:
            self.stop(asked)
            asked.fail(SILENT)
        for running in self._running.values():
            for number in [number for number, listing in running.items() if now - listing.used >= IDLE]:
                running.pop(number).close()


def _words_of(words: tuple[object, ...]) -> Words:
    """Checked: BadFrame when these are none."""
    found = [word for word in words if isinstance(word, str)]
    if len(found) != len(words) or len(found) > WORDS or sum([len(word) for word in found]) > LONGEST:
        raise BadFrame("a command is not made of words, or too long")
    return tuple(found)
