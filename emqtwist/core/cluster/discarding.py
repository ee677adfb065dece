"""Discarding: after a partition has healed, or where a client has begun anew at another node, it has several sessions.

The one with the highest epoch is the one. Nodes that meet tell each other the epoch of theirs, and who has a lower one ends it.
"""
from typing import cast

from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.claims import Claims
from emqtwist.core.cluster.epochs import GIVEN, HERE, epoch_of, state_of
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.keeping import end_given
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.registry import Conflicts, Registry
from emqtwist.core.cluster.tables import Send
from emqtwist.core.connection import Connection
from emqtwist.core.entry import take_over
from emqtwist.core.pool import Job


class Discarding(Conflicts):
    """Ends what is not the one any more, here and elsewhere."""

    __slots__ = ("_broker", "_node", "_registry", "_claims", "_send_stored")

    def __init__(self, broker: Broker, node: str, registry: Registry, claims: Claims, send_stored: Send) -> None:
        self._broker = broker
        self._node = node
        self._registry = registry
        self._claims = claims
        self._send_stored = send_stored
        registry.conflicts = self

    def meet_all(self, peer: Peer) -> None:
        """A node is connected."""
        for client_id in list(self._registry.shared):
            for other, value in self._registry.rows(client_id):
                if other is peer:
                    self.meet(client_id, peer, value)

    def meet_all_of(self, client_id: str) -> None:
        """What other nodes have of this client is not needed any more."""
        if client_id in self._registry.table.entries:
            for peer, value in self._registry.rows(client_id):
                self.meet(client_id, peer, value)

    def meet(self, client_id: str, peer: Peer, value: int) -> None:
        session = self._broker.sessions.by_id.get(client_id)
        giving = self._claims.givings.get(client_id)
        if not value & 1 and giving is not None and giving.peer is peer and giving.done:
            giving.end()  # what it was sent on for has ended there
            return
        if not value:
            if session is None:
                self._registry.drop(client_id)
            return
        if session is not None and state_of(session) != HERE:
            return  # that is up to the node that it was given to, or is looked at again when it has come wholly
        self._send_stored(peer, (f.DISCARD, client_id, self._registry.table.entries.get(client_id, 0) >> 1))

    def discard(self, peer: Peer, frame: Frame) -> None:
        """Another node has a session of this client too: what is here is to end if that is the one.

        A client that is about to come into it does so first, and is ended with it: a session whose client is back would not end.
        """
        session = self._broker.sessions.by_id.get(frame[1])
        if session is None or state_of(session) == GIVEN:
            self.compare(peer, frame)
        else:
            self._broker.pools.sm.submit(Comparison(self, peer, frame))

    def compare(self, peer: Peer, frame: Frame) -> None:
        """End what is here unless it is the one."""
        _, client_id, epoch = frame
        session = self._broker.sessions.by_id.get(client_id)
        giving = self._claims.givings.get(client_id)
        if giving is not None and giving.peer is not None:
            mine = giving.epoch, giving.peer.name  # it counts as what it becomes
        elif session is not None:
            mine = epoch_of(session), self._node
        else:
            mine = self._registry.table.entries.get(client_id, 0) >> 1, self._node
        if (epoch, peer.name) < mine:
            return
        if session is None:
            self._registry.withdraw(client_id)
        elif giving is not None:
            giving.end()  # where the session is wholly, nothing is to be sent on any more
        elif state_of(session) == GIVEN:
            end_given(self._broker.sessions, session)
        else:
            if session.opener is not None:
                take_over(cast(Connection, session.opener), f"the node {peer.name} has the session of this client identifier")
            if self._broker.sessions.by_id.get(client_id) is session:
                self._broker.discard_session(session)


class Comparison(Job):
    """What is here of a client is compared with what another node has, a job of the sm pool."""

    __slots__ = ("_discarding", "_peer", "_frame")

    def __init__(self, discarding: Discarding, peer: Peer, frame: Frame) -> None:
        Job.__init__(self, frame[1])
        self._discarding = discarding
        self._peer = peer
        self._frame = frame

    def run(self) -> None:
        self._discarding.compare(self._peer, self._frame)
