"""Taking: a session that comes from another node, which keeps its copy until all of it is here.

The client is answered once what the session is has been stored, and gets its queue as that comes. What is published meanwhile
goes to the copy at the other node, and comes behind the rest. When all is here that there was, the session subscribes at this
node; what comes directly from then on waits until the last of the other node has come, and is left out if it has come that way
too.

A process that crashes meanwhile finds the session as one that is coming: it asks for the rows that it does not have. When the
other node is lost, the session subscribes no more, until that one is back.
"""
from collections.abc import Callable
from typing import Final

from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.aftermath import take_past
from emqtwist.core.cluster.epochs import AWAITING, COMING, HERE, epoch_of, set_epoch
from emqtwist.core.cluster.flushing import Flush, Flushing
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.giving import AS_IT_WAS, keep_now
from emqtwist.core.cluster.moved import NO_ORIGIN, row_of
from emqtwist.core.cluster.origin import Origin, Origins
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.placing import place
from emqtwist.core.cluster.tables import Names, Send
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, NO_IDENTIFIERS, PUBLISH_BYTE, QOS_BITS, Delivery, Message
from emqtwist.core.move import Move
from emqtwist.core.pending import Pending
from emqtwist.core.pool import Job
from emqtwist.core.prefixes import Prefixed, subscription_to
from emqtwist.core.records import RECEIVED
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.mqtt.errors import MQTTError

PATIENCE: Final = 2.0  # seconds without the other node, after which the client is told to come again


class Surroundings:
    """What a session needs to come: the broker, and ways to other nodes."""

    __slots__ = ("broker", "peers", "origins", "flushing", "send", "send_stored", "done")

    def __init__(self, broker: Broker, peers: dict[str, Peer], origins: Origins, flushing: Flushing, send: Send,
                 send_stored: Send, done: "Done") -> None:
        self.broker = broker
        self.peers = peers
        self.origins = origins
        self.flushing = flushing
        self.send = send
        self.send_stored = send_stored
        self.done = done

    def connected(self) -> set[str]:
        """The names of the nodes that are."""
        return {peer.name for peer in self.peers.values() if peer.link is not None}


class Done:
    """Who hears that a session has come wholly."""

    def arrived(self, taking: "Taking") -> None:
        raise NotImplementedError


class Taking(Move):
    """What comes from `peer`, None while that is not known; `lost_at` is since when it is away, NEVER while it is here.

    `waiting` are other nodes that ask for the session. `level`, `ended` are for what the other node says. `there` are nodes
    that knew all the time where it subscribes. The session was here before, and of the nodes `believed` messages come here still
    that come nowhere else.
    """

    __slots__ = ("session", "epoch", "peer", "lost_at", "waiting", "level", "ended", "stopped", "ending", "there", "_around",
                 "_late", "_known", "_next", "believed")

    def __init__(self, session: Session, around: Surroundings, peer: Peer | None) -> None:
        self.session = session
        self.epoch = epoch_of(session)
        self.peer = peer
        self.lost_at = NEVER if peer is not None else session.circle.turn.now
        self.waiting: dict[Peer, Frame] = {}
        self.level: Pending[bool] = Pending()
        self.ended: Pending[bool] = Pending()
        self.stopped = False
        self.ending = False  # all of it is here
        self._around = around
        self._next = 1 if session.ledger is None else session.ledger.next_seq  # of the rows that come
        self.there: set[str] = set()
        self.believed: set[str] = set()
        self._late: list[tuple[Origin, Delivery]] = []
        self._known: dict[Origin, None] = {}  # of rows that may come directly too
        session.move = self

    def settle(self, entered: list[Subscription]) -> None:
        """Have it subscribe when it is time to; `entered` are those by which it is subscribed already."""
        self._around.broker.pools.server.submit(Settling(self, self._around, entered))

    # What comes from the other node.

    def find(self, peer: Peer) -> None:
        """That node has the rest: it is asked for that."""
        self.peer = peer
        if peer.link is not None and not self.ending:
            self.lost_at = NEVER
            self._around.send_stored(peer, (f.TAKE, self.session.client_id, self.epoch, self._next - 1))

    def lose(self, now: float) -> None:
        """The other node is away."""
        if not self.ending:
            self.lost_at = min(self.lost_at, now)
            if self.level.decision is not None:
                self.level = Pending()
                self.ended.resume(False)

    def end(self, late: set[str], seen: tuple[object, ...]) -> None:
        """That was the last of it, but for what these nodes still have for the other node; of that it has `seen` some."""
        self.there -= late - {self._around.origins.node}
        for origin in seen:
            if not isinstance(origin, tuple) or len(origin) != 2 or type(origin[0]) is not str or type(origin[1]) is not int:
                raise BadFrame("END: not the name of a message")
            self._known[origin] = None
        if self.ended.decision is None and self.level.decision:
            self.ending = True
            self.ended.resume(True)

    def give_up(self) -> None:
        """There is no more of it: what is here is all."""
        self.peer, self.ending, self.lost_at = None, True, NEVER
        self.level.resume(True)
        self.ended.resume(True)

    def rows(self, rows: tuple[object, ...]) -> None:
        now = self.session.circle.turn.now
        last = -1
        for wire in rows:
            row = row_of(wire, now)
            if row.origin != NO_ORIGIN:
                self._known[row.origin] = None
            if row.seq < self._next:
                continue  # it is here already
            last, self._next = row.seq, row.seq + 1
            place(self.session, row)
        self.session.pump()
        if self.peer is not None and last >= 0:
            self._around.send_stored(self.peer, (f.HAVE, self.session.client_id, self.epoch, last))

    # What comes directly.

    def collect(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        origin = NO_ORIGIN if message.group() else self._around.origins.of(message)
        if origin != NO_ORIGIN and first_byte & QOS_BITS and origin[0] not in self.there and origin[0] not in self.believed:
            return  # it comes from the other node, or has come before the session moved
        self._late.append((origin, (message, first_byte, identifiers, 0)))

    def relayed(self, message: Message, origin: Origin) -> None:
        """The other node has this no more, nor any rows: this process has crashed after it had taken them all."""
        if origin not in self._known:
            self._known[origin] = None
            take_past(self.session, message, PUBLISH_BYTE | message.qos << 1, NO_IDENTIFIERS)

    def absent(self) -> dict[str, Peer]:
        """The nodes that did not know all the time where it subscribes."""
        nodes = {self._around.origins.node, *self.there}
        return {name: peer for name, peer in self._around.peers.items() if name not in nodes}

    def seen(self) -> dict[Origin, None]:
        """The messages that have come, as far as they may come once more."""
        return {**self._known, **dict.fromkeys([origin for origin, _ in self._late])}

    def forget(self) -> None:
        """It does not subscribe any more: all that came directly goes to the other node too."""
        self.ended = Pending(True if self.ending else None)
        self._late = [late for late in self._late if late[0][0] in self.believed]
        self.there.clear()

    # Ends.

    def stop(self) -> None:
        self.stopped = True
        if self.session.move is self:
            self.session.move = None
        self.level.resume(False)
        self.ended.resume(False)

    def close(self) -> None:
        """All is here: go on as any other session."""
        session, broker = self.session, self._around.broker
        self.stop()
        set_epoch(session, self.epoch, AWAITING if self.absent() else HERE)
        keep_now(broker.sessions, session)
        for origin, (message, first_byte, identifiers, _) in self._late:
            if origin == NO_ORIGIN or origin not in self._known:
                session.deliver(message, first_byte, identifiers)
        session.pump()
        self._around.done.arrived(self)


class Settling(Job):
    """A session that comes subscribes, a job of the server pool: whatever else its client wants of its subscriptions waits."""

    __slots__ = ("_taking", "_around", "_held", "_left", "_last", "_flush", "_early")

    def __init__(self, taking: Taking, around: Surroundings, entered: list[Subscription]) -> None:
        Job.__init__(self, taking.session.client_id)
        self._taking = taking
        self._around = around
        self._held: dict[bytes, Subscription] = {each.name(): each for each in entered}  # what is entered
        self._left: list[Subscription] = []  # what is still to be
        self._last = False  # nothing else will be
        self._flush: Flush | None = None  # the one that it waits for
        self._early = bool(taking.believed)  # it is to subscribe at once

    def run(self) -> None:
        if self._early:
            self._left = self._plain()
            self._enter()
        else:
            self._leave()

    def _plain(self) -> list[Subscription]:
        """What is to be entered first: what only this node has members or publishers of begins at the very end."""
        held = self._taking.session.subscriptions.values()
        return [each for each in held if not isinstance(each, Prefixed) and each.name() not in self._held]

    def _leave(self) -> None:
        """Be subscribed to nothing, and wait until the other node has sent what there is."""
        tables = self._around.broker.subscriptions
        while self._held:
            subscription = self._held.popitem()[1]
            write = tables.take_out(subscription, {})
            if not write.over:
                self.wait(write.when_over(), self._removed)
                return
        self._taking.forget()
        self.wait(self._taking.level, self._levelled)

    def _removed(self, link: Link, decision: bool) -> None:
        self._leave()

    def _levelled(self, link: Link, decision: bool) -> None:
        """What was sent here before, for others, has come from the other node too, and is let pass before it is waited for."""
        if not self._taking.stopped:
            self._ask(self._passed)

    def _ask(self, take: Callable[[Link, bool], None]) -> None:
        self._flush = self._around.flushing.flush(self._around.broker.turn.now)
        self.wait(self._flush.pending, take)

    def _answered(self) -> set[str]:
        """The nodes from which all has come that was asked for."""
        return self._around.connected() - (self._flush.late if self._flush is not None else set())

    def _passed(self, link: Link, decision: bool) -> None:
        if not self._taking.stopped:
            self._taking.there = self._answered() | {self._around.origins.node}
            self._left = self._plain()
            self._enter()

    def _enter(self) -> None:
        tables = self._around.broker.subscriptions
        while self._left:
            subscription = self._left.pop()
            self._held[subscription.name()] = subscription
            write = tables.enter(subscription, self._held)
            if not write.over:
                self.wait(write.when_over(), self._entered)
                return
        if self._early:
            self._early = False
            self.wait(self._taking.level, self._levelled)
            return
        cluster = self._around.broker.cluster
        settled = None if cluster is None else cluster.settled()
        if settled is None:
            self._settled(Link(self._around.broker.turn), ())
        else:
            self.wait(settled, self._settled)

    def _entered(self, link: Link, decision: bool) -> None:
        self._enter()

    def _settled(self, link: Link, late: Names) -> None:
        """Those who are late are cut off, and learn it before anything else when they are back."""
        taking = self._taking
        if taking.stopped:
            return
        if self._last:
            taking.close()
            return
        taking.there.difference_update(late)
        if taking.peer is not None and taking.ended.decision is None:
            self._around.send(taking.peer, (f.READY, taking.session.client_id, taking.epoch))
        self.wait(taking.ended, self._ended)

    def _ended(self, link: Link, decision: bool) -> None:
        if self._taking.stopped:
            return
        if not decision:
            self._leave()
            return
        self._ask(self._flushed)

    def _flushed(self, link: Link, decision: bool) -> None:
        """What was forwarded to both nodes has come from both."""
        if not self._taking.stopped:
            self._taking.there &= self._answered() | {self._around.origins.node}
            held = self._taking.session.subscriptions.values()
            self._left = [each for each in held if each.name() not in self._held]
            self._last = True
            self._enter()


def begin(around: Surroundings, peer: Peer, frame: Frame, believed: set[str]) -> Taking:
    """A session as another node describes it; its client is away as yet."""
    _, client_id, epoch, expiry_interval, subscriptions, received = frame
    broker = around.broker
    sessions = broker.sessions
    session = sessions.create(client_id)
    session.expiry_interval = NEVER if expiry_interval is None else float(expiry_interval)
    set_epoch(session, epoch, COMING)
    sessions.keep(session, AS_IT_WAS)
    taking = Taking(session, around, peer)
    taking.believed = believed
    for one in subscriptions:
        _note_subscription(session, one)
    ledger = session.ledger
    for packet_id in received:
        if type(packet_id) is not int:
            raise BadFrame("SESSION: a Packet Identifier that is no number")
        session.received[packet_id] = None
        if ledger is not None:
            ledger.journal.add((RECEIVED, ledger.number, packet_id))
    due = broker.turn.now + session.expiry_interval
    sessions.expire_at(session, due)
    if ledger is not None:
        ledger.left(due)
    taking.settle([])
    return taking


def _note_subscription(session: Session, one: object) -> None:
    if not isinstance(one, tuple) or len(one) != 3 or not isinstance(one[0], bytes) or not isinstance(one[2], tuple):
        raise BadFrame("SESSION: not a subscription")
    name, options, identifiers = one
    try:
        session.subscriptions[name] = subscription_to(session, name, options, identifiers)
    except MQTTError as error:
        raise BadFrame(f"SESSION: {error.reason}") from error
    if session.ledger is not None:
        session.ledger.subscribed(name, options, identifiers)
