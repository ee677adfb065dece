"""The turns of a Broker in a reactor: one flush for all that was produced since the last."""
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emqtwist.core.broker import Broker

# Bytes of a write that waits until those of other links are put together, too. The system's part of short ones takes longer
# than ours, and in turns each puts the other out of the caches of the processor; long ones would only take up memory.
SHORT: Final = 512


class Transport(Protocol):
    """Where bytes go."""

    def write(self, data: bytes) -> None: ...
    def abortConnection(self) -> None: ...


class Owner(Protocol):
    """What holds the transport of a Link; it is the Link's `owner`."""

    def flush(self) -> None:
        """Write what the Link has to send, or put it among the `Turns.writes`; close the transport when the Link is closing."""

    def proceed(self) -> None:
        """What the Link waited for is decided: go on."""


class Turns:
    """Begins turns with `begin`, and flushes once after the first bytes appear, however many chunks make the turn.

    Where whoever reads says when a batch begins and ends (`open`, `close`), that is at the end of the batch; else the reactor
    is asked for a call. `reading` is true within a batch: its time is set. `writes` are short ones, for the end of a flush.
    """

    log = Logger()

    def __init__(self, broker: Broker, clock: IReactorTime, now: Callable[[], float]) -> None:
        self.broker = broker
        self._turn = broker.turn
        self._clock = clock
        self._now = now
        self._scheduled = False
        self.reading = False
        self.writes: list[tuple[Transport, bytes]] = []
        self._turn.wake = self._wake

    def begin(self) -> None:
        """Tell the broker the time; call it before any other call to the broker."""
        self._turn.now = self._now()

    def open(self) -> None:
        """A batch of reads begins: what it produces is flushed by `close`."""
        self.reading = True
        self.begin()

    def close(self) -> None:
        """All of the batch is read."""
        self.reading = False
        if self._scheduled:
            self.flush()

    def flush(self) -> None:
        """Let go on what waited for a decision, continue replays of retained messages, then write each link's bytes once."""
        self._scheduled = False
        self.begin()
        for link in self._turn.take_decided():
            if link.owner is not None:
                cast(Owner, link.owner).proceed()
        try:
            self.broker.feed()
        except Exception:  # or the links would wait for ever: who has bytes already does not wake
            self.log.failure("defect while handing over retained messages")
        for link in self._turn.take():
            owner: Any = link.owner  # an Owner; without a cast, which costs a call for each message
            if owner is not None:
                owner.flush()
        writes, self.writes = self.writes, []
        for transport, data in writes:
            try:
                transport.write(data)
            except Exception:
                self.log.failure("defect while writing to {transport}", transport=transport)
                transport.abortConnection()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            if not self.reading:
                self._clock.callLater(0, self.flush)
