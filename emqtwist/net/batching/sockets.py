"""The epoll set that all sockets of a broker are in.

Its own descriptor is readable while any member is ready, so for the reactor it is one reader, whatever reactor it is. When
the reactor comes round, the set serves what is ready in one batch: all sockets are read, then what has come is handed on, and
what that produced is written at the end. The system's part and ours in turns for each packet would put each other out of the
caches of the processor.

Readiness is level-triggered: what a batch leaves unread is still ready in the next. HUP and ERR cannot be masked, so a
socket that wants neither to read nor to write is not in the epoll set, only in `members`. An event that is out of date does no
harm: a member that is told so finds nothing to read.
"""
import select
import time
from collections.abc import Callable
from socket import SocketType
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

EVENTS = 128  # sockets that one batch serves at most: as many CONNECTs take some 10 ms, and nothing else is done meanwhile
BATCH_BYTES = 512 * 1024  # bytes after which a batch leaves the other sockets to the next

# Where many sockets bring a run of messages each, who comes back for the next piece as soon as it is there meets their senders at
# the same sockets all the time, and each waits for the other in the system. So such a batch is followed by a rest (decision 32).
RUNS = 2  # sockets, and more
RUN = 512  # bytes of each, in the mean: more than one at a time sends
REST = 50e-6  # seconds

READ: int = getattr(select, "EPOLLIN", 1)
WRITE: int = getattr(select, "EPOLLOUT", 4)


class Batch(Protocol):
    """What is told where a batch begins and ends."""

    def open(self) -> None:
        """A batch begins: data will be received."""

    def close(self) -> None:
        """All is read: write what was produced."""


class Member(Protocol):
    """A socket in the set."""

    fd: int

    def ready(self, events: int, read: "Read") -> int:
        """Read or write what can be; how many bytes were read, which are in `read` now."""

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket and leave the set."""


class Source(Member, Protocol):
    """A member that bytes come from, for its protocol as long as it is not `disconnecting`."""

    protocol: TwistedProtocol
    disconnecting: bool


Read = list[tuple[Source, bytes]]


class Leaver(Member, Protocol):
    """A member that closes when the batch is over."""

    def part(self) -> None:
        """Close now, for the reason that it knows."""


def can_batch(reactor: object) -> bool:
    """Whether sockets can be served in batches: on Linux, by a reactor that waits for descriptors, with CPython's sockets."""
    return hasattr(select, "epoll") and hasattr(SocketType, "_accept") and isinstance(reactor, PosixReactorBase)


@implementer(IReadDescriptor)
class SocketSet:
    """All sockets of one broker: `members` is a dict descriptor -> Member. It is in the reactor while it has members.

    `writing` are the descriptors of those with bytes that their peer has not taken yet. `sleep` is for the rest behind a batch.
    """

    log = Logger()

    def __init__(self, reactor: Any, batch: Batch, sleep: Callable[[float], None] = time.sleep) -> None:
        self.reactor = reactor
        self.sleep = sleep
        self.members: dict[int, Member] = {}
        self.writing: set[int] = set()
        self._batch = batch
        self._epoll: select.epoll | None = None
        self._rest: list[tuple[int, int]] = []  # events that the last batch had no bytes left for
        self._open = False
        self._parting: list[Leaver] = []

    # Members.

    def add(self, member: Member) -> None:
        """A member that waits for bytes, or for who connects."""
        if self._epoll is None:
            self._epoll = select.epoll()
            self.reactor.addReader(self)
        self._epoll.register(member.fd, READ)
        self.members[member.fd] = member

    def remove(self, member: Member) -> None:
        """Its descriptor is about to be closed; it waits for nothing any more."""
        self.members.pop(member.fd, None)
        self.writing.discard(member.fd)
        if not self.members and self._epoll is not None:
            self.reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None

    def watch(self, fd: int, before: int, after: int) -> None:
        """What a member waits for, of READ and WRITE, was `before` and is to be `after`."""
        assert self._epoll is not None
        if (before ^ after) & WRITE:
            if after & WRITE:
                self.writing.add(fd)
            else:
                self.writing.discard(fd)
        if not before:
            self._epoll.register(fd, after)
        elif after:
            self._epoll.modify(fd, after)
        else:
            self._epoll.unregister(fd)

    def part(self, member: Leaver) -> None:
        """Have `member` close soon, not within its own call: at the end of the batch, or in the reactor's next iteration."""
        if not self._parting and not self._open:
            self.reactor.callLater(0, self._part)
        self._parting.append(member)

    # The reactor's side.

    def fileno(self) -> int:
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:
        return type(self).__name__

    def doRead(self) -> None:
        """One batch. Sockets that it has no bytes left for come first in the next, before those that were served."""
        assert self._epoll is not None
        events = self._rest or self._epoll.poll(0, EVENTS)
        self._rest = []
        self._open = True
        try:
            self._batch.open()
            runs = self._serve(events)
            self._batch.close()
        finally:
            self._open = False
        if self._parting:
            self._part()
        if runs and not self._rest:
            self.sleep(REST)

    def _serve(self, events: list[tuple[int, int]]) -> bool:
        """Whether many sockets have brought much."""
        members = self.members
        left = BATCH_BYTES
        read: Read = []
        for served, (fd, mask) in enumerate(events, 1):
            member = members.get(fd)
            if member is not None:
                try:
                    left -= member.ready(mask, read)
                except Exception:
                    self._broken(member)
                if left <= 0:
                    self._rest = events[served:]
                    break
        for source, data in read:
            if not source.disconnecting:  # since it was read
                try:
                    source.protocol.dataReceived(data)
                except Exception:
                    self._broken(source)
        return len(read) > RUNS and BATCH_BYTES - left > RUN * len(read)

    def _broken(self, member: Member) -> None:
        """An exception that a protocol lets out costs its own connection."""
        failure = Failure()
        self.log.failure("defect while serving a connection", failure)
        self.lose(member, failure)

    def lose(self, member: Member, reason: Failure) -> None:
        """End that one; a defect at its end is nobody else's."""
        try:
            member.connectionLost(reason)
        except Exception:
            self.log.failure("defect after the end of a connection")

    def _part(self) -> None:
        parting, self._parting = self._parting, []
        for member in parting:
            try:
                member.part()
            except Exception:
                self.log.failure("defect after the end of a connection")

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops: so do all connections and ports."""
        for member in list(self.members.values()):
            self.lose(member, reason)
