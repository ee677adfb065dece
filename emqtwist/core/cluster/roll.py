"""Roll: which nodes belong to the cluster. Each row has a stamp, and of two rows of one node the later one holds everywhere.

A stamp counts how often the row of this node was changed, by whoever knew the one before. So it needs no clock: who removes a
node has seen its row, and a node that is back has seen that it was removed before it can say otherwise. Of two changes at a time
the removal holds.
"""
from collections.abc import Iterable
from typing import Final

from emqtwist.core import records as r
from emqtwist.core.cluster.frames import BadFrame
from emqtwist.core.journal import Journal
from emqtwist.core.records import Record

UP: Final = "up"
LEFT: Final = "left"
MOST: Final = 1000  # nodes, those that have left included
LONGEST: Final = 255  # characters of a name or an address
HIGHEST: Final = 2 ** 53  # of a stamp that another node may say

Row = tuple[str, str, int, str]


class Member:
    """A node `name` that is dialled at `address`, "host:port"; `state` is UP or LEFT."""

    __slots__ = ("name", "address", "stamp", "state")

    def __init__(self, name: str, address: str, stamp: int, state: str) -> None:
        self.name = name
        self.address = address
        self.stamp = stamp
        self.state = state

    def row(self) -> Row:
        return self.name, self.address, self.stamp, self.state

    def is_later(self, other: "Member") -> bool:
        """Whether this row holds and the other one does not."""
        return (self.stamp, self.state == LEFT, self.address) > (other.stamp, other.state == LEFT, other.address)


class Roll:
    """`members` by name. With a `journal` they outlive the process."""

    __slots__ = ("members", "_journal", "_most")

    def __init__(self, journal: Journal | None, most: int = MOST) -> None:
        self.members: dict[str, Member] = {}
        self._journal = journal
        self._most = most

    def recover(self, records: Iterable[Record]) -> None:
        """What the store has."""
        for name, address, stamp, state in records:
            self.members[name] = Member(name, address, stamp, state)

    def is_up(self, name: str) -> bool:
        """Whether this node belongs to the cluster."""
        member = self.members.get(name)
        return member is not None and member.state == UP

    def up(self) -> list[Member]:
        """Those that belong to the cluster, by name."""
        return [self.members[name] for name in sorted(self.members) if self.members[name].state == UP]

    def take(self, member: Member) -> bool:
        """Whether this row is later than the one that is known, and holds from now on. There may be too many."""
        known = self.members.get(member.name)
        if known is None:
            if len(self.members) >= self._most and not self._make_room():
                return False
        elif not member.is_later(known):
            return False
        self.put(member)
        return True

    def put(self, member: Member) -> None:
        """This row holds."""
        self.members[member.name] = member
        if self._journal is not None:
            self._journal.add((r.MEMBER, *member.row()))

    def remove(self, name: str) -> None:
        """Nothing is known of this node any more."""
        if self.members.pop(name, None) is not None and self._journal is not None:
            self._journal.add((r.MEMBER_GONE, name))

    def rows(self) -> tuple[Row, ...]:
        """All, as other nodes are told."""
        return tuple([member.row() for member in self.members.values()])

    def _make_room(self) -> bool:
        """One that has left is forgotten; whether there was one."""
        for name, member in self.members.items():
            if member.state == LEFT:
                self.remove(name)
                return True
        return False


def members_of(rows: Iterable[object]) -> list[Member]:
    """Checked: BadFrame when one is no row."""
    return [_member_of(row) for row in rows]


def _member_of(row: object) -> Member:
    if not isinstance(row, tuple) or len(row) != 4:
        raise BadFrame("the row of a node has not four fields")
    name, address, stamp, state = row
    if not isinstance(name, str) or not isinstance(address, str) or type(stamp) is not int or not isinstance(state, str):
        raise BadFrame("the row of a node has fields of other types")
    if not 0 < len(name) <= LONGEST or len(address) > LONGEST:
        raise BadFrame("the name of a node, or its address, is empty or too long")
    if not 0 <= stamp <= HIGHEST or state not in (UP, LEFT):
        raise BadFrame("the row of a node has an impossible stamp or state")
    return Member(name, address, stamp, state)
