"""Sharing: what nodes tell each other of groups, and what becomes of the messages for one that is lost."""
from typing import Final

from emqtwist.core.broker import Broker
from emqtwist.core.circle import Circle
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.groups import Watch, WideGroup, hand_on, lose, trail_of
from emqtwist.core.cluster.inbox import Inbox, To
from emqtwist.core.cluster.origin import ForwardedMessage
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.routes import Grouped, Routes
from emqtwist.core.cluster.seats import Busy
from emqtwist.core.cluster.tables import Authored, Send
from emqtwist.core.group import Group, SharedMessage
from emqtwist.core.groups import Maker
from emqtwist.core.message import Delivery
from emqtwist.core.prefixes import Prefix
from emqtwist.core.strategies import Dice

EACH: Final = 0.1  # seconds between two looks at how much the members here have to do
NOT_TOLD: Final = -1


class Sharing(Part):
    """The groups of the node `node`, as far as other nodes have to do with them.

    `_known` are the nodes that were connected, by name. `_seated` maps nodes to the groups that they have seats in, `_busy` are
    those who were given messages and have told nothing since. `_served` are the groups that nodes sent messages for lately, with
    the load that each node was told.
    """

    __slots__ = ("node", "groups", "circle", "_send", "_known", "_seated", "_busy", "_served", "_looked")

    def __init__(self, node: str, broker: Broker, routes: Routes, inbox: Inbox, send: Send) -> None:
        self.node = node
        self.groups = broker.subscriptions.groups
        self.circle = broker.circle
        self._send = send
        self._known: dict[str, Peer] = {}
        self._seated: dict[Peer, dict[bytes, WideGroup]] = {}
        self._busy: Busy = {}
        self._served: dict[tuple[Peer, bytes], int] = {}
        self._looked = broker.turn.now
        self.groups.maker = _Maker(node, _Watch(routes.table))
        routes.grouped = _Announced(self)
        inbox.to_group = _Came(self)

    def opened(self, peer: Peer) -> None:
        """What it told before counts until it tells anew; who is chosen wrongly meanwhile hands on what comes."""
        self._known[peer.name] = peer
        self._fill(peer)
        for served in self._served:
            if served[0] is peer:
                self._served[served] = NOT_TOLD

    def lost(self, peer: Peer) -> None:
        """Others get what it has not acknowledged, but for what it was sent at QoS 2, and what waits for it."""
        self._fill(peer)
        peer.outbox.give_away(self._to_one_here)

    def left(self, peer: Peer) -> None:
        self._known.pop(peer.name, None)
        peer.outbox.give_away(self._to_anyone)

    def tick(self, now: float) -> None:
        if now - self._looked >= EACH:
            self._looked = now
            for bench in list(self._busy):
                bench.wane()
            for (peer, name), told in list(self._served.items()):
                self._tell_load(peer, name, told)

    def announced(self, peer: Peer, prefix: Prefix, value: int) -> None:
        """What a node has of a group."""
        if not prefix.group or prefix.local:
            return
        group = self.groups.open(prefix) if value else self.groups.by_name.get(prefix.name)
        if not isinstance(group, WideGroup):
            return
        seated = self._seated.setdefault(peer, {})
        if value:
            seated[prefix.name] = group
        elif seated.pop(prefix.name, None) is None:
            return
        if not group.sit(peer, value, self._busy):
            self.groups.close(group, prefix)

    def came(self, peer: Peer, message: ForwardedMessage, name: bytes) -> None:
        """A message for one member of a group, which the node that sent it looks for here."""
        trail = trail_of(name)
        group = self.groups.by_name.get(trail.name)
        if isinstance(group, WideGroup):
            self._served[peer, trail.name] = NOT_TOLD
            if group.take(message, trail):
                return
        if not trail.anybody:
            hand_on(peer, message, trail.from_nobody(self.node))
            return
        back = self._known.get(trail.back(self.node, peer.name))
        if back is None:
            lose(message, self.circle)
        else:
            hand_on(back, message, trail.behind(self.node, True))

    def loaded(self, peer: Peer, frame: Frame) -> None:
        """How many messages are on their way to the members of a group at a node."""
        group = self._seated.get(peer, {}).get(frame[1])
        if group is not None:
            group.benches[peer].loaded(max(0, frame[2]))

    def _fill(self, peer: Peer) -> None:
        for group in self._seated.get(peer, {}).values():
            bench = group.benches[peer]
            bench.loaded(0)
            bench.fill(group)

    def _tell_load(self, peer: Peer, name: bytes, told: int) -> None:
        group = self.groups.by_name.get(name)
        load = group.load() if isinstance(group, WideGroup) else 0
        if load != told:
            self._send(peer, (f.LOAD, name, load))
        if load:
            self._served[peer, name] = load
        else:
            del self._served[peer, name]

    def _to_one_here(self, delivery: Delivery) -> bool:
        group = self._group_of(delivery)
        return group is not None and bool(group.here.order) and self._pass_on(group, delivery)

    def _to_anyone(self, delivery: Delivery) -> bool:
        group = self._group_of(delivery)
        return group is not None and self._pass_on(group, delivery)

    def _group_of(self, delivery: Delivery) -> Group | None:
        name = delivery[0].group()
        return self.groups.by_name.get(trail_of(name).name) if name else None

    def _pass_on(self, group: Group, delivery: Delivery) -> bool:
        return self.groups.pass_on(group, SharedMessage(delivery[0], group.name))


class _Maker(Maker):

    __slots__ = ("_node", "_watch")

    def __init__(self, node: str, watch: Watch) -> None:
        self._node = node
        self._watch = watch

    def make(self, prefix: Prefix, circle: Circle, dice: Dice) -> Group:
        return WideGroup(prefix, circle, dice, self._node, self._watch)


class _Watch(Watch):
    """Announces what changes here."""

    __slots__ = ("_table",)

    def __init__(self, table: Authored) -> None:
        self._table = table

    def announce(self, name: bytes, value: int) -> None:
        self._table.set(name, value)


class _Announced(Grouped):

    __slots__ = ("_sharing",)

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing

    def announced(self, peer: Peer, prefix: Prefix, value: int) -> None:
        self._sharing.announced(peer, prefix, value)


class _Came(To):

    __slots__ = ("_sharing",)

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing

    def take(self, peer: Peer, message: ForwardedMessage, group: bytes) -> None:
        self._sharing.came(peer, message, group)
