"""Claims: clients who are here while another node has their session, or some of it."""
from collections.abc import Callable
from typing import Final

from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.epochs import COMING, GIVEN, HERE, epoch_of, set_epoch, state_of
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.giving import Giving
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.registry import Registry
from emqtwist.core.cluster.tables import Send
from emqtwist.core.cluster.taking import Taking
from emqtwist.core.move import Claim
from emqtwist.core.pending import Pending
from emqtwist.core.session import Session

PATIENCE: Final = 2.0  # seconds that a client waits for a node that is away
MOST: Final = 10.0  # seconds that it waits for one that is not


def nobody(peer: Peer, frame: Frame) -> None:
    """Serve nobody."""


class Claiming:
    """A client that waits, for as long as it `is_wanted`. `asked` is who was asked for its session, under which `epoch`,
    `awaited` who would be, but is away; `told` was named.

    Who was asked shortly before is in `visited`: when they name each other, they are asked again later.
    """

    __slots__ = ("client_id", "is_wanted", "pending", "began", "away_since", "asked", "epoch", "awaited", "told", "visited",
                 "without", "waiting")

    def __init__(self, client_id: str, is_wanted: Callable[[], bool], now: float) -> None:
        self.client_id = client_id
        self.is_wanted = is_wanted
        self.pending: Pending[Claim] = Pending()
        self.began = now
        self.away_since = 0.0  # since when the node in question is away, 0 while it is not
        self.asked: Peer | None = None
        self.epoch = 0
        self.awaited: Peer | None = None
        self.told: Peer | None = None
        self.visited: set[Peer] = set()
        self.without: set[str] = set()  # processes that have nothing of it
        self.waiting: dict[Peer, Frame] = {}  # other nodes that ask for it meanwhile

    def is_old(self, frame: Frame) -> bool:
        """Whether who was asked answers to an earlier time that it was asked: the other answer follows."""
        return bool(frame[2] < self.epoch)


class Claims:
    """`givings` and `takings` are sessions on their way, by Client Identifier. `fresh`: who would have to wait for a node that is
    away gets a new session, and is not refused. `take` serves other nodes that ask for a session, `peers` are all of
    them by name.
    """

    __slots__ = ("fresh", "take", "givings", "takings", "under_way", "_broker", "peers", "_registry", "_send")

    def __init__(self, broker: Broker, peers: dict[str, Peer], registry: Registry, send: Send) -> None:
        self.fresh = False
        self.take: Callable[[Peer, Frame], None] = nobody
        self.givings: dict[str, Giving] = {}
        self.takings: dict[str, Taking] = {}
        self.under_way: dict[str, Claiming] = {}
        self._broker = broker
        self.peers = peers
        self._registry = registry
        self._send = send

    def claim(self, client_id: str, clean_start: bool, is_wanted: Callable[[], bool]) -> Pending[Claim] | None:
        """As `Neighbours.claim`."""
        session = self._broker.sessions.by_id.get(client_id)
        if clean_start:
            giving = self.givings.get(client_id)
            if giving is not None and session is not None:  # the next one takes the place of both
                set_epoch(session, max(epoch_of(session), giving.epoch), GIVEN)
                self._registry.put(session)
            return None
        if not self._is_elsewhere(client_id, session):
            return None
        claiming = self.under_way[client_id] = Claiming(client_id, is_wanted, self._broker.turn.now)
        self.pursue(claiming)
        return claiming.pending

    def knows_all(self) -> bool:
        """Whether it is known of all nodes which sessions they have."""
        return not [peer for peer in self.peers.values() if not self._registry.knows(peer)]

    def look(self) -> None:
        """Nodes have come or gone, or sessions."""
        for claiming in list(self.under_way.values()):
            self.pursue(claiming)

    def look_at(self, client_id: str) -> None:
        claiming = self.under_way.get(client_id)
        if claiming is not None:
            self.pursue(claiming)

    def pursue(self, claiming: Claiming) -> None:
        """Ask whoever has the session, or let the client in if nobody has."""
        client_id = claiming.client_id
        session = self._broker.sessions.by_id.get(client_id)
        if not self._is_elsewhere(client_id, session) and claiming.told is None:
            self._let_in(claiming)
            return
        holder = claiming.told or self._holder(claiming, session)
        if holder is not None:
            self._ask(claiming, holder)
        elif session is None and not self._registry.rows(client_id) and self._may_be_unheard():
            self._note_away(claiming)
        elif session is None:
            self._let_in(claiming)
        elif state_of(session) == GIVEN and self._is_going(client_id):
            claiming.away_since = 0.0
        elif not self.knows_all():
            self._note_away(claiming)
        else:  # nobody has the other part
            self._make_do(session)
            self._let_in(claiming)

    def gone(self, peer: Peer, frame: Frame) -> None:
        """A node that was asked does not have the session; it may know who has."""
        claiming = self.under_way.get(frame[1])
        if claiming is None or claiming.asked is not peer or claiming.is_old(frame):
            return
        claiming.asked = None
        claiming.told = self.peers.get(frame[3])
        if claiming.told is None:
            claiming.without.add(peer.incarnation)
        elif claiming.told in claiming.visited:
            claiming.told = None
            return
        self.pursue(claiming)

    def lost(self, peer: Peer) -> None:
        for claiming in list(self.under_way.values()):
            claiming.waiting.pop(peer, None)
            if claiming.asked is peer:
                claiming.asked = None
                self.pursue(claiming)

    def come(self, client_id: str) -> None:
        """The session is here, or begins to come."""
        claiming = self.under_way.get(client_id)
        if claiming is not None:
            self._let_in(claiming)

    def tick(self, now: float) -> None:
        for claiming in list(self.under_way.values()):
            claiming.visited.clear()
            away = claiming.away_since
            if (away and now - away >= PATIENCE) or now - claiming.began >= MOST:
                self._give_up(claiming)

    def _is_elsewhere(self, client_id: str, session: Session | None) -> bool:
        """Whether another node has the session, or some of it."""
        if session is None:
            rows = self._registry.rows(client_id)
            return rows[0][1] & 1 != 0 if rows else self._may_be_unheard()
        if state_of(session) == COMING:
            taking = self.takings.get(client_id)
            return taking is not None and not taking.ending and (taking.peer is None or taking.peer.link is None)
        return state_of(session) == GIVEN

    def _may_be_unheard(self) -> bool:
        """Whether a node may have sessions that this process has not heard of yet."""
        for peer in self.peers.values():
            if not self._registry.has_heard(peer):
                return True
        return False

    def _holder(self, claiming: Claiming, session: Session | None) -> Peer | None:
        """The node that has the session, by all that is known."""
        if session is not None and state_of(session) == COMING:
            taking = self.takings.get(claiming.client_id)
            return None if taking is None else taking.peer
        least = 0 if session is None else epoch_of(session)
        for peer, value in self._registry.rows(claiming.client_id):
            if value & 1 and value >> 1 > least and peer.incarnation not in claiming.without:
                return peer
        return None

    def _is_going(self, client_id: str) -> bool:
        """Whether the session that was here goes to a node that is there."""
        giving = self.givings.get(client_id)
        return giving is not None and giving.peer is not None and giving.peer.link is not None and not giving.stale

    def _ask(self, claiming: Claiming, holder: Peer) -> None:
        """What is known of an earlier process of the holder need not hold any more: it may have crashed before it had stored what
        it took, and would give what it had before.

        Nobody is asked for a client that has gone meanwhile: it may be where its session is by now.
        """
        if not self._registry.knows(holder):
            claiming.awaited = holder
            self._note_away(claiming)
            return
        claiming.away_since = 0.0
        if claiming.asked is not holder and claiming.client_id not in self.takings:
            if not claiming.is_wanted():
                self._let_in(claiming)
                return
            claiming.asked = holder
            claiming.visited.add(holder)
            claiming.epoch = self._registry.highest(claiming.client_id) + 1
            self._send(holder, (f.TAKE, claiming.client_id, claiming.epoch, -1))

    def _note_away(self, claiming: Claiming) -> None:
        if not claiming.away_since:
            claiming.away_since = self._broker.turn.now

    def _let_in(self, claiming: Claiming) -> None:
        self._decide(claiming, Claim())

    def _decide(self, claiming: Claiming, claim: Claim) -> None:
        self.under_way.pop(claiming.client_id, None)
        claiming.pending.resume(claim)
        for peer, frame in claiming.waiting.items():
            self.take(peer, frame)

    def _give_up(self, claiming: Claiming) -> None:
        client_id = claiming.client_id
        session = self._broker.sessions.by_id.get(client_id)
        if self.fresh:
            if session is not None:
                self._make_do(session)
            self._let_in(claiming)
            return
        self._decide(claiming, Claim(f"the session is at the node {self._names(claiming)}, which does not answer"))

    def _names(self, claiming: Claiming) -> str:
        """Who may have it."""
        peer = claiming.asked or claiming.awaited
        if peer is not None:
            return peer.name
        away = [peer.name for peer in self.peers.values() if not self._registry.knows(peer)]
        return " or ".join(away)

    def _make_do(self, session: Session) -> None:
        """Go on with what is here of the session, which is the one from now on."""
        giving, taking = self.givings.pop(session.client_id, None), self.takings.get(session.client_id)
        epoch = self._registry.highest(session.client_id) + (1 if self.fresh else 0)
        set_epoch(session, max(epoch, epoch_of(session)), HERE)
        if giving is not None:
            giving.take_back()
        elif taking is not None:
            taking.epoch = epoch_of(session)
            taking.give_up()
        self._registry.put(session)
