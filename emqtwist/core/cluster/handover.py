"""Handover: the sessions of this node that others take, because their clients are there."""
from typing import Final, cast

from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.claims import Claims
from emqtwist.core.cluster.epochs import GIVEN, epoch_of, state_of
from emqtwist.core.cluster.flushing import Flushing
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.giving import Giving, fence
from emqtwist.core.cluster.origin import Origins
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.registry import Registry
from emqtwist.core.cluster.tables import Send
from emqtwist.core.connection import Connection
from emqtwist.core.entry import take_over
from emqtwist.core.hooks import SESSION_TAKENOVER
from emqtwist.core.pending import Pending
from emqtwist.core.pool import Job
from emqtwist.core.session import Session

NOTHING_YET: Final = -1  # rows that the other node has


class Handover:
    """Serves nodes that take sessions."""

    __slots__ = ("broker", "claims", "registry", "origins", "flushing", "send", "send_stored")

    def __init__(self, broker: Broker, claims: Claims, registry: Registry, origins: Origins, flushing: Flushing, send: Send,
                 send_stored: Send) -> None:
        self.broker = broker
        self.claims = claims
        claims.take = self.take
        self.registry = registry
        self.origins = origins
        self.flushing = flushing
        self.send = send
        self.send_stored = send_stored

    # What the other node says.

    def take(self, peer: Peer, frame: Frame) -> None:
        """A client of this session is there now, or the node that takes it is back."""
        _, client_id, epoch, have = frame
        session = self.broker.sessions.by_id.get(client_id)
        taking = self.claims.takings.get(client_id)
        if taking is not None:
            taking.waiting[peer] = frame
            return
        claiming = self.claims.under_way.get(client_id)
        if claiming is not None and session is None:
            claiming.waiting[peer] = frame
            return
        owner = self._owner(client_id, session, peer)
        if session is None or owner is not None:
            self.send(peer, (f.GONE, client_id, epoch, owner.name if owner is not None else ""))
        elif state_of(session) == GIVEN:
            self.give(session, peer, epoch, have)
        else:
            self.broker.pools.sm.submit(Leaving(self, peer, frame))

    def has(self, peer: Peer, frame: Frame) -> None:
        giving = self._giving(peer, frame)
        if giving is not None:
            giving.has(frame[3])

    def ready(self, peer: Peer, frame: Frame) -> None:
        """All nodes send there what is for the session, as they do here still."""
        giving = self._giving(peer, frame)
        if giving is not None:
            knowing, claimed = set(frame[3]), set(frame[4])
            unknowing = {self.origins.node, *self.claims.peers} - knowing
            giving.await_flush(self.flushing.flush(self.broker.turn.now), unknowing, claimed)

    def done(self, peer: Peer, frame: Frame) -> None:
        """The other node has stored all of it. As long as not all nodes send there, it is sent what those send here."""
        giving = self._giving(peer, frame)
        if giving is not None and giving.over:
            giving.finish()

    def gone(self, peer: Peer, frame: Frame) -> bool:
        """Whether the other node said that it has nothing of what it took."""
        giving = self._giving(peer, frame)
        if giving is None or giving.done:
            return False
        self.take_back(giving)
        return True

    def look(self) -> None:
        """Take back what was given in vain: the client may have come elsewhere meanwhile, and nobody asks for it."""
        stale = [giving for giving in self.claims.givings.values() if giving.stale]
        if not stale or not self.claims.knows_all():
            return  # another node may have it
        for giving in stale:
            session = giving.session
            if not giving.done and self._has_nothing(giving) and self.registry.highest(session.client_id) <= epoch_of(session):
                self.take_back(giving)

    def take_back(self, giving: Giving) -> None:
        """The other node has nothing of it. If another one has an older session of the client, that is to end now."""
        del self.claims.givings[giving.session.client_id]
        giving.take_back()
        self.registry.put(giving.session)

    def give(self, session: Session, peer: Peer, epoch: int, have: int) -> None:
        """Send the session, or what the other node does not have of it."""
        giving = self.claims.givings.get(session.client_id)
        if giving is None:
            giving = fence(self.broker.sessions, session, self.origins, self.send, self.send_stored)
            self.claims.givings[session.client_id] = giving
        journal = self.broker.journal
        number = 0 if journal is None else journal.barrier()
        stored: Pending[bool] = Pending(True) if journal is None or not number else journal.wait(number)
        giving.start(peer, max(epoch, epoch_of(session) + 1), have, stored)

    def _giving(self, peer: Peer, frame: Frame) -> Giving | None:
        """What goes to this node under this epoch."""
        giving = self.claims.givings.get(frame[1])
        return giving if giving is not None and giving.peer is peer and giving.epoch == frame[2] else None

    def _owner(self, client_id: str, session: Session | None, peer: Peer) -> Peer | None:
        """Another node than the one that asks, which has the session rather than this one."""
        if session is not None and state_of(session) != GIVEN:
            return None
        giving = self.claims.givings.get(client_id)
        if giving is not None and giving.peer is not None and giving.peer is not peer and not self._has_nothing(giving):
            return giving.peer
        least = 0 if session is None else epoch_of(session)
        for other, value in self.registry.rows(client_id):
            if other is peer:
                return None
            if value & 1 and value >> 1 > least:
                return other
        return None

    def _has_nothing(self, giving: Giving) -> bool:
        """Whether the node that takes a session was away, and is back without it: with none, or with one that is older."""
        if not giving.stale or giving.peer is None or not self.registry.knows(giving.peer):
            return False
        return self.registry.epoch_at(giving.peer, giving.session.client_id) < giving.epoch


class Leaving(Job):
    """The end of what a session is here, a job of the sm pool: its client has come to another node."""

    __slots__ = ("_handover", "_peer", "_frame")

    def __init__(self, handover: Handover, peer: Peer, frame: Frame) -> None:
        Job.__init__(self, frame[1])
        self._handover = handover
        self._peer = peer
        self._frame = frame

    def run(self) -> None:
        handover, peer = self._handover, self._peer
        _, client_id, epoch, have = self._frame
        broker = handover.broker
        session = broker.sessions.by_id.get(client_id)
        if session is not None and state_of(session) == GIVEN:
            handover.take(peer, self._frame)
            return
        if session is not None and session.opener is not None:
            broker.hooks.run(SESSION_TAKENOVER, (client_id,))
            take_over(cast(Connection, session.opener), f"a new connection at the node {peer.name} uses this client identifier")
        if session is None or broker.sessions.by_id.get(client_id) is not session or session.expiry_interval <= 0:
            handover.send(peer, (f.GONE, client_id, epoch, ""))
        elif have != NOTHING_YET:
            handover.send(peer, (f.GONE, client_id, epoch, ""))  # what it has is of another session
        else:
            broker.wills.cancel(client_id)  # [MQTT-3.1.3-9]
            handover.give(session, peer, epoch, have)
