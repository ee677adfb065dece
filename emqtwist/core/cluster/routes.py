"""Routes: which Topic Filters are subscribed to on which node. Each announces its own; those of others stand in the Router."""
from typing import Final

from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.peer import KEPT, Peer
from emqtwist.core.cluster.tables import ROUTES, Authored, Key, Mirrored, Send
from emqtwist.core.message import NO_IDENTIFIERS
from emqtwist.core.prefixes import Prefix, parse_prefix
from emqtwist.core.router import Router
from emqtwist.core.subscriber import Subscription
from emqtwist.mqtt.constants import OPTION_RETAIN_AS_PUBLISHED
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter

HELD: Final = 1  # somebody subscribes
STORED: Final = 2  # and a store keeps what some of them get
AS_PUBLISHED: Final = 2 | OPTION_RETAIN_AS_PUBLISHED  # what crosses is not changed


class Routes:
    """`table` is what this node announces, `mirrors` what others do: a dict node -> Mirrored.

    `grouped` takes the entries of groups, where somebody sees to them.
    """

    __slots__ = ("table", "mirrors", "grouped", "_router", "_send", "_send_stored", "_holders", "_keepers", "_noted")

    def __init__(self, router: Router, send: Send, send_stored: Send) -> None:
        self.table = Authored(ROUTES, send)
        self.mirrors: dict[str, Mirrored] = {}
        self.grouped: Grouped | None = None
        self._router = router
        self._send = send
        self._send_stored = send_stored
        self._noted = False  # something is on its way to the store that the next confirmation waits for
        self._holders: dict[bytes, int] = {}  # by Topic Filter
        self._keepers: dict[bytes, int] = {}

    def changed(self, topic_filter: bytes, before: Subscription | None, after: Subscription | None) -> None:
        """What one subscriber has of a filter, before and from now on; what is only for this node does not count."""
        held = _counts(after) - _counts(before)
        kept = _keeps(after) - _keeps(before)
        if held or kept:
            holders = _add(self._holders, topic_filter, held)
            keepers = _add(self._keepers, topic_filter, kept)
            self.table.set(topic_filter, (HELD if holders else 0) | (STORED if keepers else 0))

    def mirror(self, peer: Peer) -> Mirrored:
        """The copy of the table of a node."""
        mirror = self.mirrors.get(peer.name)
        if mirror is None:
            mirror = self.mirrors[peer.name] = Mirrored(ROUTES, peer, self._send, self._confirm, self._announced)
        return mirror

    def recover(self, peer: Peer, topic_filter: bytes) -> None:
        """A persistent session of this node subscribed to a filter when this process ended."""
        self.mirror(peer).recover(topic_filter, HELD | STORED)
        peer.kept_routes += 1
        self._lead(peer, topic_filter, HELD | STORED)

    def left(self, peer: Peer) -> None:
        """Nothing leads to this node any more."""
        mirror = self.mirrors.pop(peer.name, None)
        if mirror is not None:
            mirror.clear()

    def _confirm(self, peer: Peer, frame: Frame) -> None:
        """What is to be kept for a node is known also after a restart, once that is confirmed."""
        (self._send_stored if self._noted else self._send)(peer, frame)
        self._noted = False

    def _announced(self, peer: Peer, key: Key, before: int, value: int) -> None:
        if not isinstance(key, bytes):
            return
        try:
            prefix = parse_prefix(key)
            check_topic_filter(key if prefix is None else prefix.topic_filter, 0)
        except MQTTError:
            return  # it would match nothing
        if (value ^ before) & STORED:
            peer.kept_routes += 1 if value & STORED else -1
            peer.outbox.note_route(key, value & STORED != 0)
            self._noted = True
        self._lead(peer, key, value)

    def _lead(self, peer: Peer, key: bytes, value: int) -> None:
        """Messages to this filter cross to this node, or do so no longer."""
        prefix = parse_prefix(key)
        if prefix is not None:
            if self.grouped is not None:
                self.grouped.announced(peer, prefix, value)
        elif value:
            identifiers = KEPT if value & STORED else NO_IDENTIFIERS
            new = self._router.subscribe(Subscription(peer, key, AS_PUBLISHED, identifiers))
            self._router.subscriptions -= new  # of other nodes' those are not counted
        elif self._router.unsubscribe(key, peer):
            self._router.subscriptions += 1


class Grouped:
    """Who sees to the groups that other nodes have members of."""

    def announced(self, peer: Peer, prefix: Prefix, value: int) -> None:
        """A node has so much of a group; HELD and STORED are as for a Topic Filter, 0 is for nothing."""
        raise NotImplementedError


def _counts(subscription: Subscription | None) -> int:
    return 0 if subscription is None or subscription.local() else 1


def _keeps(subscription: Subscription | None) -> int:
    return 1 if subscription is not None and not subscription.local() and subscription.subscriber.keeps() else 0


def _add(counts: dict[bytes, int], key: bytes, change: int) -> int:
    count = counts.get(key, 0) + change
    if count:
        counts[key] = count
    else:
        counts.pop(key, None)
    return count
