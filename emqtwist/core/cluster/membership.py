"""Membership: which nodes belong to the cluster; how one joins, leaves, or is made to leave.

Nodes tell each other all rows of their rolls when a link opens, and each change as it comes; who hears something new tells it
on. A node that knows the cookie and is not known to have left belongs to the cluster: so two clusters become one as two nodes do.

One that leaves says so, and takes with it what the others still have for it: each says goodbye when it has nothing more. No
client is dropped by any of it.
"""
from collections.abc import Callable
from typing import Final

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.coming import ALREADY, BUSY, DONE, NOT_IN, PATIENCE, SELF, Going, Joinings, Leaving
from emqtwist.core.cluster.discovery import Discovery
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.roll import LEFT, UP, Member, Roll, members_of
from emqtwist.core.cluster.troubles import CLEANED, DOWN, NAME, REMOVED, Troubles
from emqtwist.core.link import nobody
from emqtwist.core.pending import Pending
from emqtwist.core.records import Snapshot

LEAVE_PATIENCE: Final = 5.0  # seconds in which a node that leaves gets what there is for it
CUT_PATIENCE: Final = 10.0  # seconds after which it is cut off
GRACE: Final = 3.0  # seconds that a node may be away before that is an alarm
CONFLICT: Final = 60.0  # seconds in which a node has but one address, unless two have its name

class Membership(Part):
    """Of the node of `cluster`, which others find at `address`. Call `start` before the first link opens.

    Who dials asks for `addresses`, anew when `changed` is called, and says who was found where (`dialled`, before the link opens)
    or why nobody was (`failed`). `autoclean`: after so many seconds a node that is down is made to leave; 0: never.
    """

    __slots__ = ("cluster", "node", "address", "roll", "troubles", "discovery", "changed", "autoclean", "joinings", "leaving",
                 "_going", "_told", "_welcome", "_readdressed")

    def __init__(self, cluster: Cluster, address: str, discovery: Discovery) -> None:
        self.cluster = cluster
        self.node = cluster.node
        self.address = address
        self.roll = Roll(cluster.broker.journal)
        self.troubles = Troubles(cluster.broker.alarms)
        self.discovery = discovery
        self.changed: Callable[[], None] = nobody
        self.autoclean = 0.0
        self.joinings = Joinings()
        self.leaving: Leaving | None = None
        self._going: dict[str, Going] = {}
        self._told: dict[str, None] = {}  # nodes whose rows have come over the link that there is
        self._welcome: dict[str, None] = {}  # those that want us to be of one cluster
        self._readdressed = -CONFLICT
        cluster.serve[f.MEMBERS] = self._members
        cluster.serve[f.JOIN] = self._join
        cluster.serve[f.GOODBYE] = self._goodbye
        cluster.parts.append(self)

    def recover(self, snapshot: Snapshot) -> None:
        self.roll.recover(snapshot.members)

    def start(self) -> None:
        """Belong to a cluster as before, or to one of its own; after what the store has is known."""
        mine = self.roll.members.get(self.node)
        if mine is None:
            self.roll.put(Member(self.node, self.address, 1, UP))
        elif mine.state == LEFT:
            self._be_alone()  # it ended in the midst of leaving
        elif mine.address != self.address:
            self.roll.put(Member(self.node, self.address, mine.stamp + 1, UP))
        for member in self.roll.up():
            if member.name != self.node:
                self.cluster.peer(member.name)
        self._discover()

    # What is asked of it.

    def is_in(self) -> bool:
        """Whether this node belongs to a cluster, be it one of its own."""
        return self.roll.is_up(self.node)

    def running(self) -> list[str]:
        """The names of the nodes that are up and connected, this one among them."""
        return sorted([self.node, *[name for name, peer in self.cluster.peers.items() if peer.link and self.roll.is_up(name)]])

    def stopped(self) -> list[str]:
        """The names of the others."""
        running = self.running()
        return [member.name for member in self.roll.up() if member.name not in running]

    def is_going(self, name: str) -> bool:
        """Whether this other node is about to leave."""
        return name in self._going

    def addresses(self) -> dict[str, str]:
        """Where to dial: the name of who should be there, empty where that is to be found out."""
        found: dict[str, str] = {}
        if self.is_in():
            for member in self.roll.up():
                if member.name != self.node:
                    found[member.address] = member.name
        for joining in self.joinings.known.values():
            found.setdefault(joining.address, joining.name)
        found.pop(self.address, None)
        found.pop("", None)
        return found

    def advertise(self, address: str) -> None:
        """Others find this node at `address` from now on."""
        self.address = address
        mine = self.roll.members.get(self.node)
        if mine is not None and mine.state == UP and mine.address != address:
            self._say(UP, mine.stamp + 1)

    def join(self, address: str, patience: float = PATIENCE) -> Pending[str]:
        """Be of one cluster with the node at `address`. Decided: DONE, SELF, ALREADY, BUSY, or NODE_DOWN and why."""
        if self.leaving is not None:
            return Pending(BUSY)
        if address == self.address:
            return Pending(SELF)
        if self.is_in() and address in [member.address for member in self.roll.up()]:
            return Pending(ALREADY)
        now = self.cluster.broker.turn.now
        pending: Pending[str] = Pending()
        self.joinings.begin(address, now, now + patience).pendings.append(pending)
        self.changed()
        return pending

    def leave(self) -> Pending[str]:
        """Be alone from now on. Decided: NOT_IN, or DONE, or of how many messages for others nothing became."""
        if self.leaving is None and (not self.is_in() or len(self.running()) < 2):
            return Pending(NOT_IN)
        pending: Pending[str] = Pending()
        leaving = self.leaving or self._begin_leaving(self.roll.members[self.node].stamp + 1)
        leaving.pendings.append(pending)
        return pending

    def force_leave(self, name: str) -> str:
        """Another node belongs to the cluster no more, and what waits for it is gone: DONE, SELF or NOT_IN."""
        if name == self.node:
            return SELF
        member = self.roll.members.get(name)
        if member is None or member.state == LEFT or not self.is_in():
            return NOT_IN
        gone = Member(name, member.address, member.stamp + 1, LEFT)
        self.roll.put(gone)
        self.cluster.broadcast((f.MEMBERS, (gone.row(),)))
        self._changed(gone)
        return DONE

    # What the dialer says.

    def dialled(self, address: str, name: str) -> None:
        """A node that proved to know the cookie answers at `address`. To be called before its link opens."""
        joining = self.joinings.known.get(address)
        if joining is None:
            return
        joining.name = name
        peer = self.cluster.peers.get(name)
        if name == self.node:
            self.joinings.end(joining, SELF)
        elif name in self._told and self.roll.is_up(name):
            self.joinings.end(joining, ALREADY)
        elif peer is not None and peer.link is not None:
            self._introduce(peer)

    def failed(self, address: str, reason: str) -> None:
        """Nobody answers at `address`, or not as a node should."""
        joining = self.joinings.known.get(address)
        if joining is not None:
            joining.failure = reason

    # What it hears of others.

    def opened(self, peer: Peer) -> None:
        self.troubles.over(DOWN, peer.name)
        member = self.roll.members.get(peer.name)
        if member is not None and member.state == LEFT:
            self._going[peer.name] = Going(self.cluster.broker.turn.now + CUT_PATIENCE)  # it does not know
        self._introduce(peer)

    def lost(self, peer: Peer) -> None:
        self._told.pop(peer.name, None)
        self._welcome.pop(peer.name, None)

    def left(self, peer: Peer) -> None:
        self._going.pop(peer.name, None)

    def settle(self, peer: Peer) -> None:
        going = self._going.get(peer.name)
        if going is not None:
            self._see_off(peer, going)

    def tick(self, now: float) -> None:
        if self.leaving is not None:
            self._go_on_leaving(self.leaving, now)
        self.joinings.tick(now)
        for name, going in list(self._going.items()):
            peer = self.cluster.peers[name]
            if peer.link is None or now >= going.due:
                self.cluster.forget(name)
            else:
                self._see_off(peer, going)
        for name, peer in list(self.cluster.peers.items()):
            if peer.link is None:
                self._miss(name, peer, now)
        self.troubles.tick(now)
        self._discover()

    # Frames.

    def _members(self, peer: Peer, frame: Frame) -> None:
        news: list[Member] = []
        for member in members_of(frame[1]):
            if member.name == self.node:
                self._hear_of_us(peer, member)
            elif self.is_in() and self.roll.take(member):
                news.append(member)
        self._told[peer.name] = None
        self._welcome.pop(peer.name, None)
        if news:
            told = f.MEMBERS, tuple([member.row() for member in news])
            for other in self.cluster.peers.values():
                if other is not peer:
                    self.cluster.send(other, told)
        for member in news:
            self._changed(member)
        if self.roll.is_up(peer.name):
            self.joinings.end_all(peer.name, self.roll.members[peer.name].address, DONE)

    def _hear_of_us(self, peer: Peer, member: Member) -> None:
        """Another node has a row of this one."""
        mine = self.roll.members[self.node]
        if not member.is_later(mine):
            return
        now = self.cluster.broker.turn.now
        if member.state == LEFT:
            if mine.state == LEFT:
                self.roll.put(member)
            elif self._is_welcome(peer.name):
                self._say(UP, member.stamp + 1)
            else:
                self.troubles.note(REMOVED, self.node, f"{peer.name} says that it was made to leave", now, True)
                self._begin_leaving(member.stamp)
        elif member.address == self.address and mine.state == UP:
            self.roll.put(member)  # this node has lost its store
        elif now - self._readdressed < CONFLICT and mine.state == UP:
            self.troubles.note(NAME, self.node, f"another node of this name is at {member.address}", now)
            self.roll.put(member)
        else:
            self._readdressed = now
            self._say(mine.state, member.stamp + 1)

    def _join(self, peer: Peer, frame: Frame) -> None:
        """A node wants to be of one cluster, whatever was before."""
        self._welcome[peer.name] = None
        mine = self.roll.members[self.node]
        if mine.state == LEFT and self.leaving is None:
            self._come_back(mine.stamp + 1)

    def _goodbye(self, peer: Peer, frame: Frame) -> None:
        if self.leaving is not None:
            self.leaving.said[peer.name] = None
        elif not self.is_in() and peer.link is not None:
            peer.link.close()  # it did not know that this node had left

    # Joining.

    def _introduce(self, peer: Peer) -> None:
        if self.joinings.has(peer.name):
            self.cluster.send(peer, (f.JOIN,))
            mine = self.roll.members[self.node]
            if mine.state == LEFT:
                self._come_back(mine.stamp + 1)
        self.cluster.send(peer, (f.MEMBERS, self.roll.rows()))

    def _is_welcome(self, name: str) -> bool:
        """Whether this node and that one want to be of one cluster, so that it does not count that they were not."""
        return name in self._welcome or self.joinings.has(name)

    def _come_back(self, stamp: int) -> None:
        self.troubles.over(REMOVED, self.node)
        self._say(UP, stamp)

    def _discover(self) -> None:
        """Join whom discovery has found; not by ourselves once this node has left."""
        if self.is_in():
            known = {member.address for member in self.roll.members.values()}
            if self.joinings.discover(self.discovery.found, known, self.cluster.broker.turn.now):
                self.changed()

    # Leaving.

    def _begin_leaving(self, stamp: int) -> Leaving:
        leaving = self.leaving = Leaving(self.cluster.broker.turn.now + LEAVE_PATIENCE)
        self.joinings.end_all("", "", BUSY)
        self._say(LEFT, stamp)
        self.changed()
        return leaving

    def _go_on_leaving(self, leaving: Leaving, now: float) -> None:
        """Until all that are connected have said goodbye and have what there is for them."""
        for name, peer in self.cluster.peers.items():
            if peer.link is not None and now < leaving.due and (name not in leaving.said or len(peer.outbox)):
                return
        lost = sum([len(peer.outbox) for peer in self.cluster.peers.values()])
        self.leaving = None
        self._be_alone()
        for pending in leaving.pendings:
            pending.resume(f"{lost} messages for others are lost" if lost else DONE)

    def _be_alone(self) -> None:
        for name in [*self.cluster.peers]:
            self.cluster.forget(name)
        for name in [name for name in self.roll.members if name != self.node]:
            self.troubles.over(DOWN, name)
            self.roll.remove(name)
        self.changed()

    def _see_off(self, peer: Peer, going: Going) -> None:
        """Say goodbye once there is nothing more for it, and it has said what it wants."""
        if not going.said and peer.name in self._told and not len(peer.outbox):
            going.said = True
            self.cluster.send(peer, (f.GOODBYE,))

    def _is_majority(self) -> bool:
        """Whether more than half of the nodes are here: two parts of a network are not to remove each other."""
        return 2 * len(self.running()) > len(self.roll.up())

    # Rows.

    def _say(self, state: str, stamp: int) -> None:
        """Tell all of this node."""
        mine = Member(self.node, self.address, stamp, state)
        self.roll.put(mine)
        self.cluster.broadcast((f.MEMBERS, (mine.row(),)))

    def _changed(self, member: Member) -> None:
        """The row of another node is a new one."""
        peer = self.cluster.peers.get(member.name)
        if member.state == UP:
            self._going.pop(member.name, None)
            self.cluster.peer(member.name)
        else:
            self.troubles.over(DOWN, member.name)
            if peer is not None and peer.link is not None:
                self._going[member.name] = Going(self.cluster.broker.turn.now + CUT_PATIENCE)
            elif peer is not None:
                self.cluster.forget(member.name)
        self.changed()

    def _miss(self, name: str, peer: Peer, now: float) -> None:
        """A node that is not connected: it is down, or not one of ours."""
        if self.roll.is_up(name):
            away = now - peer.since
            if away >= GRACE:
                self.troubles.note(DOWN, name, "there is no link to it", now, True)
            if self.autoclean and away >= self.autoclean and self._is_majority():
                self.troubles.note(CLEANED, name, f"there was no link to it for {away:.0f} s", now)
                self.force_leave(name)
        elif name in self.roll.members or not len(peer.outbox):
            self.cluster.forget(name)
