"""Settling: how a session that comes from another node subscribes at this one, and how it begins."""
from collections.abc import Callable

from emqtwist.core.cluster.aftermath import Aftermath
from emqtwist.core.cluster.epochs import COMING, set_epoch
from emqtwist.core.cluster.flushing import Flush
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.keeping import AS_IT_WAS
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.tables import Names
from emqtwist.core.cluster.taking import Surroundings, Taking
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER
from emqtwist.core.pool import Job
from emqtwist.core.prefixes import Prefixed, subscription_to
from emqtwist.core.records import RECEIVED
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.mqtt.errors import MQTTError


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
        self._early = bool(taking.claimed())  # it is to subscribe at once

    def run(self) -> None:
        if self._early:
            self._left = self._plain()
            self._enter()
        else:
            self._begin()

    def _plain(self) -> list[Subscription]:
        """What is to be entered first: what only this node has members or publishers of begins at the very end."""
        held = self._taking.session.subscriptions.values()
        return [each for each in held if not isinstance(each, Prefixed) and each.name() not in self._held]

    def _begin(self) -> None:
        """Wait until the other node has sent what there is."""
        self._last = False
        self._taking.forget()
        self.wait(self._taking.level, self._levelled)

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
            self._begin()
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
        if taking.again:
            self._begin()
        elif self._last:
            taking.close()
        else:
            taking.there.difference_update(late)
            taking.tell_ready()
            self.wait(taking.ended, self._ended)

    def _ended(self, link: Link, decision: bool) -> None:
        if self._taking.stopped:
            return
        if not decision:
            self._begin()
            return
        self._ask(self._flushed)

    def _flushed(self, link: Link, decision: bool) -> None:
        """What was forwarded to both nodes has come from both; the other node itself has sent that before it said so."""
        taking = self._taking
        if taking.stopped:
            return
        late = taking.there - taking.late - self._answered() - {self._around.origins.node}
        if taking.peer is not None and late - {taking.peer.name}:
            taking.start_over()
        if taking.again:
            self._begin()
            return
        held = taking.session.subscriptions.values()
        self._left = [each for each in held if each.name() not in self._held]
        self._last = True
        self._enter()


def settle(taking: Taking, around: Surroundings, entered: list[Subscription]) -> None:
    """Have it subscribe when it is time to; `entered` are those by which it is subscribed already."""
    around.broker.pools.server.submit(Settling(taking, around, entered))


def begin(around: Surroundings, peer: Peer, frame: Frame, back: set[str], before: Aftermath | None,
          gone_to: Peer | None) -> Taking:
    """A session as another node describes it; its client is away as yet."""
    _, client_id, epoch, expiry_interval, subscriptions, received = frame
    broker = around.broker
    sessions = broker.sessions
    session = sessions.create(client_id)
    session.expiry_interval = NEVER if expiry_interval is None else float(expiry_interval)
    set_epoch(session, epoch, COMING)
    sessions.keep(session, AS_IT_WAS)
    taking = Taking(session, around, peer, back, before, gone_to)
    if before is not None:
        before.session = session
    taking.note()
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
    settle(taking, around, [])
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
