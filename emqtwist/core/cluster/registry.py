"""Registry: which node has the session of which client. Each announces its own; who moves may have several for a while."""
from emqtwist.core.cluster.epochs import epoch_of
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.tables import SESSIONS, Authored, Key, Mirrored, Send
from emqtwist.core.session import Session

Row = tuple[Peer, int]  # a node, and what it announces: epoch << 1 | whether the session outlives its connection


class Registry:
    """`table` is what this node announces, `mirrors` what others do: a dict node -> Mirrored.

    A row of this node without a session is a discard record: it stays as long as another node has an older row of the client.
    `shared` are the clients that this node and another have a row of. `conflicts` is told of each such row of another node.
    """

    __slots__ = ("table", "mirrors", "shared", "conflicts", "_send", "_rows", "_more", "_dropped")

    def __init__(self, send: Send) -> None:
        self.table = Authored(SESSIONS, send)
        self.mirrors: dict[str, Mirrored] = {}
        self.shared: set[str] = set()
        self.conflicts: Conflicts | None = None
        self._send = send
        self._rows: dict[str, Row] = {}  # of other nodes, by Client Identifier
        self._more: dict[str, dict[Peer, int]] = {}  # all of those that several have
        self._dropped = "", 0  # the last one of this node that is no more, which another may take the place of

    def mirror(self, peer: Peer) -> Mirrored:
        """The copy of the table of a node."""
        mirror = self.mirrors.get(peer.name)
        if mirror is None:
            mirror = self.mirrors[peer.name] = Mirrored(SESSIONS, peer, self._send, self._send, self._changed)
        return mirror

    def lost(self, peer: Peer) -> None:
        """What becomes of its sessions is not heard of for now."""
        mirror = self.mirrors.get(peer.name)
        if mirror is not None:
            mirror.current = False

    def left(self, peer: Peer) -> None:
        """It belongs to the cluster no more, nor do its sessions."""
        mirror = self.mirrors.pop(peer.name, None)
        if mirror is not None:
            mirror.clear()

    def knows(self, peer: Peer) -> bool:
        """Whether what is known of the sessions of a node is what it has told over the link that there is."""
        mirror = self.mirrors.get(peer.name)
        return peer.link is not None and mirror is not None and mirror.current

    def has_heard(self, peer: Peer) -> bool:
        """Whether all is known of the sessions of a node that it could tell: not so in a process that it has not been linked to,
        or that it is telling just now."""
        mirror = self.mirrors.get(peer.name)
        return mirror is not None and mirror.number >= 0 and (peer.link is None or mirror.current)

    def may_have(self, peer: Peer, client_id: str) -> bool:
        """Whether a node has a session of a client, by all that is known of it."""
        return not self.has_heard(peer) or self.epoch_at(peer, client_id) > 0

    def epoch_at(self, peer: Peer, client_id: str) -> int:
        """That of the session that a node has of a client; 0 if it has none."""
        for other, value in self.rows(client_id):
            if other is peer and value & 1:
                return value >> 1
        return 0

    # What there is.

    def rows(self, client_id: str) -> list[Row]:
        """What other nodes have of a client, the highest epoch first; of one epoch the name of the node decides."""
        more = self._more.get(client_id)
        if more is not None:
            return sorted(more.items(), key=_place, reverse=True)
        row = self._rows.get(client_id)
        return [] if row is None else [row]

    def highest(self, client_id: str) -> int:
        """The highest epoch of a client that is known; 0 if none is."""
        rows = self.rows(client_id)
        before = self._dropped[1] if self._dropped[0] == client_id else 0
        return max(self.table.entries.get(client_id, 0) >> 1, rows[0][1] >> 1 if rows else 0, before)

    # What there is here.

    def put(self, session: Session) -> None:
        """A session is here, and its epoch is set."""
        self._set(session.client_id, epoch_of(session) << 1 | (session.expiry_interval > 0))

    def drop(self, client_id: str) -> None:
        """It is no more. As long as another node has an older one, it is known that it was there."""
        own = self.table.entries.get(client_id, 0)
        self._dropped = client_id, own >> 1
        older = [row for row in self.rows(client_id) if row[1] >> 1 < own >> 1]
        self._set(client_id, own & ~1 if older else 0)

    def withdraw(self, client_id: str) -> None:
        """There is nothing of this client here."""
        self._set(client_id, 0)

    def _set(self, client_id: str, value: int) -> None:
        self.table.set(client_id, value)
        if value and client_id in self._rows:
            self.shared.add(client_id)
            for peer, theirs in self.rows(client_id):
                self._tell(client_id, peer, theirs)
        else:
            self.shared.discard(client_id)

    def _changed(self, peer: Peer, key: Key, before: int, value: int) -> None:
        client_id = key if isinstance(key, str) else key.decode(errors="replace")
        self._note(client_id, peer, value)
        if client_id not in self.table.entries:
            return
        if client_id in self._rows:
            self.shared.add(client_id)
        else:
            self.shared.discard(client_id)
        self._tell(client_id, peer, value)

    def _note(self, client_id: str, peer: Peer, value: int) -> None:
        known = dict(self.rows(client_id))
        known.pop(peer, None)
        if value:
            known[peer] = value
        self._more.pop(client_id, None)
        self._rows.pop(client_id, None)
        for other, theirs in known.items():
            self._rows[client_id] = other, theirs
        if len(known) > 1:
            self._more[client_id] = known

    def _tell(self, client_id: str, peer: Peer, value: int) -> None:
        if self.conflicts is not None:
            self.conflicts.meet(client_id, peer, value)


class Conflicts:
    """Who sees to clients of whom two nodes have a row."""

    def meet(self, client_id: str, peer: Peer, value: int) -> None:
        """This node has a row of a client, and this is what another has; 0: no more."""
        raise NotImplementedError


def _place(row: Row) -> tuple[int, str]:
    return row[1] >> 1, row[0].name
