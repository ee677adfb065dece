"""Aftermath: a session has come, but not all nodes were there meanwhile: what they publish may come twice, directly and sent on.

The node that had it sends on what it still gets of those, with the names of the messages; the first copy of each is taken.
"""
from typing import Final

from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.inbox import To
from emqtwist.core.cluster.origin import ForwardedMessage, Origin, Origins
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.message import NO_IDENTIFIERS, PUBLISH_BYTE, QOS_BITS, Message
from emqtwist.core.move import Move
from emqtwist.core.pending import Pending
from emqtwist.core.session import Session
from emqtwist.core.sessions import Sessions

LASTS: Final = 30.0  # seconds after all nodes are there
MOST: Final = 100_000  # messages that are remembered


class Aftermath(Move):
    """Knows the messages of some `nodes` that have come; `until` is when that ends, once they are there.

    What such a node forwarded before its answer in `met` it may have published before the session moved, when it was for others:
    the session has had it, or gets it sent on. It is `unsure` which nodes these are in a process that has begun since, before the
    node that had the session says so.
    """

    __slots__ = ("unsure", "session", "nodes", "met", "until", "_origins", "_seen")

    def __init__(self, session: Session, nodes: set[str], met: dict[str, Pending[bool]], origins: Origins,
                 seen: dict[Origin, None], now: float) -> None:
        self.unsure = False
        self.session = session
        self.nodes = nodes
        self.met = met
        self.until = now + LASTS
        self._origins = origins
        self._seen = seen

    def know(self, nodes: set[str], met: dict[str, Pending[bool]]) -> None:
        """It is those nodes that may have messages for where the session was."""
        self.unsure = False
        self.nodes = nodes
        self.met = met

    def collect(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        if self.wants(message, first_byte):
            take_past(self.session, message, first_byte, identifiers)

    def wants(self, message: Message, first_byte: int) -> bool:
        """Whether what comes directly is new."""
        if message.group():
            return True
        origin = self._origins.of(message)
        if first_byte & QOS_BITS and not self._has_met(origin[0]):
            return False
        return origin[0] not in self.nodes or self.first(origin)

    def relayed(self, message: Message, origin: Origin) -> None:
        if self.first(origin):
            take_past(self.session, message, PUBLISH_BYTE | message.qos << 1, NO_IDENTIFIERS)

    def _has_met(self, node: str) -> bool:
        met = self.met.get(node)
        if met is None:
            return True
        if met.decision is None:
            return False
        del self.met[node]
        return True

    def seen(self) -> tuple[Origin, ...]:
        """The messages of those nodes that have come."""
        return tuple([origin for origin in self._seen if origin[0] in self.nodes])

    def first(self, origin: Origin) -> bool:
        """Whether no copy of this message has come yet."""
        if origin in self._seen:
            return False
        self._seen[origin] = None
        if len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]
        return True

    def tick(self, now: float, there: set[str]) -> bool:
        """Whether it is over; `there` are the nodes that are connected."""
        if not self.nodes <= there:
            self.until = now + LASTS
        return now >= self.until

    def stop(self) -> None:
        if self.session.move is self:
            self.session.move = None
            self.session.pump()


def take_past(session: Session, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
    """Deliver as if it were not moving."""
    move, session.move = session.move, None
    try:
        session.deliver(message, first_byte, identifiers)
    finally:
        session.move = move


class Relayed(Message):
    """A message for one session that has gone to another node; that has no group, so that its name stands there."""

    __slots__ = ("_target", "_origin")

    def __init__(self, message: Message, target: str, origin: Origin) -> None:
        super().__init__(message.topic, message.payload, message.qos, message.retain, message.properties, message.expires_at,
                         message.publisher)
        self._target = target
        self._origin = origin

    def target(self) -> str:
        return self._target

    def group(self) -> bytes:
        return b"%d %s" % (self._origin[1], self._origin[0].encode())


class ToClient(To):
    """Takes what is for one session."""

    __slots__ = ("_sessions",)

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def take(self, peer: Peer, message: ForwardedMessage, frame: Frame) -> None:
        session = self._sessions.by_id.get(frame[11])
        if session is None:
            return
        move = session.move
        number, _, node = frame[10].partition(b" ")
        if number.isdigit():
            message.origin = node.decode(errors="replace"), int(number)
        if move is not None:
            move.relayed(message, message.origin)
        else:
            session.deliver(message, PUBLISH_BYTE | message.qos << 1, NO_IDENTIFIERS)
