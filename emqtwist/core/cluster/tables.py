"""Tables that one node writes and all others have copies of: no two write to one, so that nothing is to be agreed upon.

The author numbers its changes, and tells each node what is new to it: the changes, or, where it has forgotten them, all of the
table in pieces. When a link opens, and now and then, author and copy compare number and digest; what differs is told anew. A
copy says which number it has come to, so that whoever waits for that can be told.
"""
from collections import deque
from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import islice
from typing import Final

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.pending import Pending

ROUTES: Final = 0  # Topic Filters, with the prefix of shared ones
SESSIONS: Final = 1  # Client Identifiers

Key = bytes | str
Entry = tuple[Key, int]
Send = Callable[[Peer, Frame], None]
Names = tuple[str, ...]

REMEMBERED: Final = 10_000  # changes
PIECE: Final = 500  # entries in a frame
PATIENCE: Final = 0.5  # seconds that a node has to apply what somebody waits for


def digest_of(key: Key, value: int) -> int:
    """Of one entry; those of several are combined by exclusive or, so that no sum of parts may stand for another."""
    text = (key if isinstance(key, bytes) else key.encode()) + b"=%d" % value
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "big")


class Telling:
    """What a node has been told of a table: up to change `told`, -1 while it is asked what it has; it has `applied` so much.

    `rest` is what is left of a snapshot under way, made when the table was at `told`.
    """

    __slots__ = ("told", "applied", "rest", "place", "digest")

    def __init__(self) -> None:
        self.told = -1
        self.applied = -1
        self.rest: list[Entry] | None = None
        self.place = 0
        self.digest = 0


class Authored:
    """A table of this node: `entries` is a dict key -> value, which is never 0; `number` is how many changes it has had."""

    __slots__ = ("table", "entries", "number", "digest", "_send", "_log", "_tellings", "_waiting")

    def __init__(self, table: int, send: Send) -> None:
        self.table = table
        self.entries: dict[Key, int] = {}
        self.number = 0
        self.digest = 0
        self._send = send
        self._log: deque[Entry] = deque(maxlen=REMEMBERED)
        self._tellings: dict[Peer, Telling] = {}  # of those that are connected
        self._waiting: list[tuple[int, float, Pending[Names]]] = []

    def set(self, key: Key, value: int) -> None:
        """The entry of `key` is `value` from now on; 0: there is none."""
        before = self.entries.pop(key, 0)
        if before:
            self.digest ^= digest_of(key, before)
        if value:
            self.entries[key] = value
            self.digest ^= digest_of(key, value)
        if value != before:
            self.number += 1
            self._log.append((key, value))
            for peer in self._tellings:
                peer.stir()

    def opened(self, peer: Peer) -> None:
        """A node is connected: what it has of the table is to be found out."""
        self._tellings[peer] = Telling()
        self._send(peer, (f.STATE, self.table, self.number, self.digest))

    def lost(self, peer: Peer) -> None:
        if self._tellings.pop(peer, None) is not None:
            self._look()

    def compare(self) -> None:
        """Have the copies compared that should be the same."""
        for peer, telling in self._tellings.items():
            if telling.told == telling.applied == self.number and telling.rest is None:
                self._send(peer, (f.STATE, self.table, self.number, self.digest))

    def tell(self, peer: Peer) -> None:
        """Send what is new to a node, as far as its link takes it."""
        telling = self._tellings.get(peer)
        if telling is None or telling.told < 0:
            return
        link = peer.link
        while link is not None and not link.congested and (telling.rest is not None or telling.told < self.number):
            if telling.rest is not None:
                self._tell_piece(peer, telling, telling.rest)
            elif self.number - telling.told > len(self._log):
                self._begin_snapshot(telling)
            else:
                begin = len(self._log) - (self.number - telling.told)
                changes = tuple(islice(self._log, begin, begin + PIECE))
                self._send(peer, (f.DELTA, self.table, telling.told + 1, changes))
                telling.told += len(changes)

    def want(self, peer: Peer, number: int) -> None:
        """A node has the table as it was after change `number`, -1 for not at all."""
        telling = self._tellings.get(peer)
        if telling is None:
            return
        if 0 <= number <= self.number and self.number - number <= len(self._log):
            telling.rest, telling.told = None, number
        else:
            self._begin_snapshot(telling)
        peer.stir()

    def applied(self, peer: Peer, number: int) -> None:
        """A node has the table as it was after change `number`."""
        telling = self._tellings.get(peer)
        if telling is None:
            return
        if telling.told < 0:
            telling.told = number
        telling.applied = number
        if number < self.number:
            peer.stir()
        self._look()

    def is_known_to(self, peer: Peer, number: int) -> bool:
        """Whether a node that is connected has the table as it was after this change, or later."""
        telling = self._tellings.get(peer)
        return telling is not None and telling.applied >= number

    def settled(self, now: float) -> Pending[Names] | None:
        """Decided when all who are connected have all changes, or have had their time: who has them not. None when all have."""
        if not self._behind(self.number):
            return None
        pending: Pending[Names] = Pending()
        self._waiting.append((self.number, now + PATIENCE, pending))
        return pending

    def give_up(self, now: float) -> list[Peer]:
        """Those whose time is over are waited for no longer, and to be cut off."""
        late: dict[Peer, None] = {}
        for number, due, pending in self._waiting:
            if due <= now and pending.decision is None:
                behind = self._behind(number)
                late.update(dict.fromkeys(behind))
                pending.resume(tuple([peer.name for peer in behind]))
        self._waiting = [one for one in self._waiting if one[2].decision is None]
        return list(late)

    def _behind(self, number: int) -> list[Peer]:
        return [peer for peer, telling in self._tellings.items() if telling.applied < number]

    def _look(self) -> None:
        if self._waiting:
            for number, _, pending in self._waiting:
                if not self._behind(number):
                    pending.resume(())
            self._waiting = [one for one in self._waiting if one[2].decision is None]

    def _begin_snapshot(self, telling: Telling) -> None:
        telling.rest = list(self.entries.items())
        telling.place = 0
        telling.told, telling.digest = self.number, self.digest

    def _tell_piece(self, peer: Peer, telling: Telling, rest: list[Entry]) -> None:
        piece = tuple(rest[telling.place:telling.place + PIECE])
        last = telling.place + PIECE >= len(rest)
        self._send(peer, (f.SNAPSHOT, self.table, telling.told, telling.digest, telling.place, last, piece))
        telling.place += PIECE
        if last:
            telling.rest = None


class Mirrored:
    """A copy of the table of another node; `number` is -1 before there is one. `changed` is called with each difference. It is
    `current` once it was the same as there since the link opened.

    What has been applied is confirmed by `confirm`, which may wait until it is stored.
    """

    __slots__ = ("table", "peer", "entries", "number", "digest", "incarnation", "current", "_send", "_changed", "_coming",
                 "_confirm_by")

    def __init__(self, table: int, peer: Peer, send: Send, confirm: Send, changed: "Changed") -> None:
        self.table = table
        self.peer = peer
        self.entries: dict[Key, int] = {}
        self.number = -1
        self.digest = 0
        self.incarnation = ""  # of the process that counts the changes
        self.current = False
        self._send = send
        self._confirm_by = confirm
        self._changed = changed
        self._coming: dict[Key, int] | None = None  # a snapshot, as far as it has come

    def state(self, number: int, digest: int) -> None:
        """What the author has; what is the same is confirmed, what is not is asked for."""
        self._coming = None
        known = self.number if self.incarnation == self.peer.incarnation else -1
        if known == number and self.digest == digest:
            self._confirm()
        else:
            self._send(self.peer, (f.WANT, self.table, known if known < number else -1))

    def delta(self, first: int, changes: Iterable[object]) -> None:
        """The changes from number `first` on."""
        if self.incarnation != self.peer.incarnation or first > self.number + 1 or self._coming is not None:
            self._coming = None
            self._send(self.peer, (f.WANT, self.table, -1))
            return
        number = first - 1
        for key, value in entries_of(changes):
            number += 1
            if number > self.number:
                self._set(key, value)
                self.number = number
        self._confirm()

    def snapshot(self, number: int, digest: int, place: int, last: bool, entries: Iterable[object]) -> None:
        """A piece of the whole table, as it was after change `number`; it counts when the last one is there."""
        if not place:
            self._coming = {}
        if self._coming is None or len(self._coming) != place:
            self._coming = None
            self._send(self.peer, (f.WANT, self.table, -1))
            return
        self._coming.update(entries_of(entries))
        if last:
            coming, self._coming = self._coming, None
            for key in [key for key in self.entries if key not in coming]:
                self._set(key, 0)
            for key, value in coming.items():
                self._set(key, value)
            self.number, self.incarnation = number, self.peer.incarnation
            if self.digest == digest:
                self._confirm()
            else:
                self.incarnation = ""
                self._send(self.peer, (f.WANT, self.table, -1))

    def recover(self, key: Key, value: int) -> None:
        """An entry that this node has stored; the author is asked whether it still holds when it is connected."""
        self.entries[key] = value
        self.digest ^= digest_of(key, value)

    def clear(self) -> None:
        """Nothing of it holds any more."""
        for key in list(self.entries):
            self._set(key, 0)
        self.number, self.incarnation = -1, ""

    def _confirm(self) -> None:
        self.current = True
        self._confirm_by(self.peer, (f.APPLIED, self.table, self.number))

    def _set(self, key: Key, value: int) -> None:
        before = self.entries.pop(key, 0)
        if before:
            self.digest ^= digest_of(key, before)
        if value:
            self.entries[key] = value
            self.digest ^= digest_of(key, value)
        if value != before:
            self._changed(self.peer, key, before, value)


Changed = Callable[[Peer, Key, int, int], None]  # node, key, the value before and from now on


def entries_of(entries: Iterable[object]) -> list[Entry]:
    """Checked: BadFrame when one is no pair of a key and a number."""
    found: list[Entry] = []
    for entry in entries:
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise BadFrame("an entry of a table is no pair")
        key, value = entry
        if not isinstance(key, (bytes, str)) or type(value) is not int:
            raise BadFrame("an entry of a table is no key with a number")
        found.append((key, value))
    return found
