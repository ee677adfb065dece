"""The sessions that have come but for what is sent on: the nodes that do not send here yet are asked to cut."""
from typing import Final

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.addressed import CUT, Address, cut, send_cut
from emqtwist.core.cluster.aftermath import Aftermath, ToClient
from emqtwist.core.cluster.flushing import Flushing
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.giving import Giving
from emqtwist.core.cluster.origin import Origins
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.registry import Registry
from emqtwist.core.cluster.tables import Authored, Send
from emqtwist.core.session import Session

AGAIN: Final = 2.0  # seconds until a node is asked again, which may have had no room for the mark
LATER: Final = 15.0  # until one is that has made its mark, which may have to make another


class Aftermaths:
    """All that are `known`, by Client Identifier; also those of sessions that have gone on to another node since."""

    __slots__ = ("known", "_peers", "_origins", "_registry", "_flushing", "_routes", "_to_client", "_send", "_send_stored")

    def __init__(self, peers: dict[str, Peer], origins: Origins, registry: Registry, flushing: Flushing, routes: Authored,
                 to_client: ToClient, send: Send, send_stored: Send) -> None:
        self.known: dict[str, Aftermath] = {}
        self._peers = peers
        self._origins = origins
        self._registry = registry
        self._flushing = flushing
        self._routes = routes
        self._to_client = to_client
        self._send = send
        self._send_stored = send_stored

    def begin(self, session: Session, epoch: int, sources: dict[str, int], nodes: set[str],
              fading: set[str], gone_to: Peer | None, filters: dict[str, list[bytes]]) -> Aftermath:
        aftermath = Aftermath(session, epoch, sources, nodes, fading, gone_to, filters, self._routes.number, self._origins)
        session.move = self.known[session.client_id] = aftermath
        return aftermath

    # What becomes of nodes.

    def opened(self, peer: Peer) -> None:
        """It may not have been told that all has come that it had."""
        for client_id, aftermath in self.known.items():
            if peer.name in aftermath.sources:
                self._send_stored(peer, (f.DONE, client_id, aftermath.sources[peer.name]))

    def lost(self, peer: Peer) -> None:
        """The next process may have what this one had ended, and not stored that."""
        for aftermath in self.known.values():
            aftermath.asked.pop(peer.name, None)
            aftermath.passing.pop(peer.name, None)

    def left(self, peer: Peer) -> None:
        """Nothing comes of it, nor by it."""
        for aftermath in self.known.values():
            aftermath.sources.pop(peer.name, None)
            aftermath.nodes.discard(peer.name)
            aftermath.fading.discard(peer.name)
            if aftermath.gone_to is peer:
                aftermath.gone_to = None
            if aftermath.session.move is aftermath:
                aftermath.note()

    # What is still to come.

    def look(self, aftermath: Aftermath, giving: Giving | None, now: float) -> None:
        """Whether there is more of it; `giving` is there if the session goes on to another node."""
        client_id = aftermath.session.client_id
        for name in list(aftermath.sources):
            peer, passing = self._peers.get(name), aftermath.passing.get(name)
            if peer is not None and passing is None and self._has_ended(client_id, aftermath, giving, peer):
                passing = aftermath.passing[name] = self._flushing.meet(peer)
            if passing is not None and passing.decision:
                del aftermath.sources[name], aftermath.passing[name]
                self._note(aftermath, giving)
        for name in sorted(aftermath.awaited()):
            peer = self._peers.get(name)
            if aftermath.session.move is not aftermath:
                break  # who has it now sees to that
            if peer is not None:
                self._ask(client_id, aftermath, peer, now)
            elif name == self._origins.node:
                self._cut(client_id, aftermath.epoch, None)
        if aftermath.session.move is aftermath and not aftermath.awaited():
            self._look_at_sources(client_id, aftermath, now)

    def _look_at_sources(self, client_id: str, aftermath: Aftermath, now: float) -> None:
        """One that is there still waits for a mark: who made that for this node may not have known of the source then. That may
        have been this node itself.
        """
        here = [peer for peer in self._peers.values() if self._registry.knows(peer)]
        waiting = [peer for peer in here if peer.name in aftermath.sources and peer.name not in aftermath.passing]
        if not waiting:
            return
        for peer in here:
            if peer not in waiting:
                aftermath.asked.setdefault(peer.name, now)
                self._ask(client_id, aftermath, peer, now, LATER)
        aftermath.asked.setdefault(self._origins.node, now)
        if aftermath.is_to_ask(self._origins.node, now, LATER):
            self._cut(client_id, aftermath.epoch, None)

    def _note(self, aftermath: Aftermath, giving: Giving | None) -> None:
        if giving is not None:
            giving.note()
        elif aftermath.session.move is aftermath:
            aftermath.note()

    def _has_ended(self, client_id: str, aftermath: Aftermath, giving: Giving | None, peer: Peer) -> bool:
        """Whether a source sends on nothing more, but for what is on its way: it has the session no more, or has it anew."""
        if not self._registry.knows(peer):
            return False
        epoch = self._registry.epoch_at(peer, client_id)
        return not epoch or (epoch > aftermath.epoch and (giving is None or giving.peer is not peer or giving.done))

    def ask_all(self, peer: Peer, now: float) -> None:
        """It knows more of the routes."""
        for client_id, aftermath in self.known.items():
            if peer.name in aftermath.awaited() and aftermath.session.move is aftermath:
                self._ask(client_id, aftermath, peer, now)

    def _ask(self, client_id: str, aftermath: Aftermath, peer: Peer, now: float, again: float = AGAIN) -> None:
        if self._routes.is_known_to(peer, aftermath.since) and aftermath.is_to_ask(peer.name, now, again):
            self._send(peer, (f.CUT, client_id, aftermath.epoch))

    # What other nodes say.

    def cut(self, peer: Peer, frame: Frame) -> None:
        """All that is published here from now on goes to where the session has come; who had it before learns the same."""
        self._cut(frame[1], frame[2], peer)

    def _cut(self, client_id: str, epoch: int, new: Peer | None) -> None:
        message = cut(client_id, self._origins.node, epoch)
        holders = [peer for peer in self._peers.values() if peer is new or self._registry.may_have(peer, client_id)]
        # One that is away may have had it since: what waits for it from now on comes to the new node too.
        away = [peer for peer in self._peers.values() if peer not in holders and not self._registry.knows(peer)]
        for holder in holders:
            if holder.full(message):
                return  # we are asked again
        for holder in [*holders, *(peer for peer in away if not peer.full(message))]:
            send_cut(holder, message)
        address = Address(CUT, client_id, epoch, self._origins.node)
        session = self._to_client.session(address)
        if session is not None:
            self._to_client.cut(session, address, True)
