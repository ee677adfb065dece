"""Outbox: the messages for one other node at QoS 1 and 2, until it has them.

There are two lanes of numbers. *Kept* is what a persistent session there waits for, and all that has to wait here: each is a row
of the store, sent when that has it, and the other node takes each number once, whatever crashes. *Volatile* is the rest, and all
of it where there is no store: it is numbered for as long as both processes live.

What was sent is held until it is acknowledged, and sent again over the next link. What comes while the node is away or slow
waits behind it, as in a session's queue, and within bounds.
"""
from collections import deque
from collections.abc import Callable
from typing import Final

from emqtwist.core import causes
from emqtwist.core import records as r
from emqtwist.core.backlog import Backlog
from emqtwist.core.circle import Circle
from emqtwist.core.ledger import Ledger, Row
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, NO_IDENTIFIERS, QOS_1_BITS, QOS_2_BITS, QOS_BITS, Delivery, Message
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.core.settings import QueueSettings

WINDOW: Final = 10_000  # messages that are sent and not acknowledged

Sent = tuple[int, int, Delivery]  # number in its lane, place in the order of both, and what was sent


class Outbox:
    """`identity` names it towards the other node, and stands in the store with it: numbers of another one mean nothing here.
    There it is a session of `version`, which is no client's, and `label` says what it is for.

    Nothing is sent while `ready` is not set. `known` is the highest kept number that the other node is known to have.
    """

    __slots__ = ("name", "identity", "circle", "rules", "ready", "known", "backlog", "_ledger", "_kept", "_fleeting", "_order",
                 "_number", "_sender", "_version", "_label")

    def __init__(self, name: str, identity: str, circle: Circle, rules: QueueSettings, sender: "Sender", version: int = r.OUTBOX,
                 label: str = "") -> None:
        self.name = name
        self._version = version
        self._label = label or name
        self.identity = identity
        self.circle = circle
        self.rules = rules
        self.ready = False
        self.known = 0
        self.backlog: Backlog | None = None
        self._sender = sender
        self._ledger: Ledger | None = None
        self._kept: deque[Sent] = deque()
        self._fleeting: deque[Sent] = deque()
        self._order = 0
        self._number = 0  # the last one of the volatile lane

    @property
    def ledger(self) -> Ledger | None:
        """Its rows in the store, none where nothing is stored, or nothing had to be."""
        return self._ledger

    def recover(self, number: int, next_seq: int, queued: int, queued_bytes: int) -> None:
        """It is in the store already, as session `number`."""
        journal = self.circle.journal
        if journal is None:
            return
        ledger = self._ledger = Ledger(number, journal, 0)
        ledger.next_seq = next_seq
        if queued:
            queue = self._waiting().queue
            queue.stored, queue.stored_bytes = queued, queued_bytes + queued * OVERHEAD

    def note_route(self, topic_filter: bytes, kept: bool) -> None:
        """Whether the node has a persistent session that subscribes to this: known also after a restart, while it is away."""
        if self.circle.journal is None:
            return
        ledger = self._made()
        if kept:
            ledger.subscribed(topic_filter, 0, NO_IDENTIFIERS)
        else:
            ledger.journal.add((r.UNSUBSCRIBED, ledger.number, topic_filter))

    def __len__(self) -> int:
        """How many messages the other node is not known to have."""
        return len(self._kept) + len(self._fleeting) + (0 if self.backlog is None else len(self.backlog))

    def is_sent(self) -> bool:
        """Whether nothing waits: what is sent to the node now comes behind all that was forwarded to it."""
        return self.ready and (self.backlog is None or not len(self.backlog))

    def full(self, message: Message) -> bool:
        """Whether there is no room for it."""
        return self.backlog is not None and self.backlog.full(message.topic, message.size)

    def put(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        """Send a message, or let it wait; `identifiers` say whether it is to be kept, and its number at this node."""
        link, backlog = self._sender.link, self.backlog
        if link is None or not self.ready or link.congested or (backlog is not None and len(backlog)) or not self._room():
            self._wait((message, first_byte, identifiers, 0))
        elif identifiers[0] and self.circle.journal is not None:
            ledger = self._made()
            self._send(link, ledger.enter(ledger.front, message, first_byte, identifiers))
        else:
            self._send(link, (message, first_byte, identifiers, 0))

    def pump(self) -> None:
        """Send what waits, as far as the link takes it."""
        link, backlog = self._sender.link, self.backlog
        if backlog is None or link is None or not self.ready:
            return
        while backlog.queue and not link.congested and self._room():
            delivery = backlog.take()
            if 0 < delivery[3] <= self.known:
                self._over([delivery[3]])
            elif delivery[0].expires_at <= self.circle.turn.now:
                backlog.expire(delivery[0], delivery[3])  # [MQTT-3.3.2-5]
            else:
                self._send(link, delivery)
        backlog.refill()

    def bring_back(self, rows: list[Row], more: bool) -> None:
        """The next page of what waits has come from the store."""
        backlog, ledger = self.backlog, self._ledger
        if backlog is None or ledger is None:
            return
        ledger.bring_back(rows)
        backlog.bring_back(rows)
        if not rows and not more:
            backlog.nothing_stored()
        self.pump()

    # What the other node says.

    def begin(self, kept: int, volatile: int) -> None:
        """It has what is up to these numbers: send the rest again, in its order, and go on."""
        self.took(kept, volatile)
        self.ready = True
        link = self._sender.link
        if link is not None:
            for number, _, delivery in sorted([*self._kept, *self._fleeting], key=_place):
                self._sender.send(link, number if delivery[3] else 0, 0 if delivery[3] else number, delivery, self._ledger)
        self.pump()

    def took(self, kept: int, volatile: int) -> None:
        """It has what is up to these numbers."""
        self.known = max(self.known, kept)
        done: list[int] = []
        while self._kept and self._kept[0][0] <= kept:
            done.append(self._kept.popleft()[0])
        if done:
            self._over(done)
        while self._fleeting and self._fleeting[0][0] <= volatile:
            self._fleeting.popleft()

    def lost(self) -> None:
        """The link is gone: what comes waits."""
        self.ready = False

    def restarted(self) -> None:
        """The other process is another one: those whom the volatile messages were for have gone with the old one.

        Without a store all messages are volatile, and some may be for persistent sessions.
        """
        if self.circle.journal is not None:
            self._drop(self._fleeting, causes.NODE_RESTARTED)

    def give_away(self, give: Callable[[Delivery], bool]) -> None:
        """Offer to `give` what another may have instead: what waits, and of what was sent QoS 1. What that takes is over here."""
        given = self._give_away(self._kept, give)
        if given:
            self._kept = deque([sent for sent in self._kept if sent[0] not in given])
            self._over(sorted(given))
        given = self._give_away(self._fleeting, give)
        if given:
            self._fleeting = deque([sent for sent in self._fleeting if sent[0] not in given])
        if self.backlog is not None:
            self.backlog.give_away(lambda each: 0 < each[3] <= self.known or give(each))

    def _give_away(self, lane: deque[Sent], give: Callable[[Delivery], bool]) -> set[int]:
        given: set[int] = set()
        for number, _, delivery in list(lane):
            if delivery[1] & QOS_BITS == QOS_1_BITS and give(delivery):
                given.add(number)
        return given

    def end(self, cause: str = causes.NODE_LEFT) -> None:
        """The node belongs to the cluster no more: nobody waits for what is here."""
        self._drop(self._kept, cause)
        self._drop(self._fleeting, cause)
        if self.backlog is not None:
            self.backlog.end(cause)
        self.ready = False
        if self._ledger is not None:
            self._ledger.ended()
            self._ledger = None
        self.backlog = None

    def _drop(self, lane: deque[Sent], cause: str) -> None:
        for _, _, delivery in lane:
            self.circle.drop(self.name, delivery[0], cause)
        lane.clear()

    def _room(self) -> bool:
        return len(self._kept) + len(self._fleeting) < WINDOW

    def _over(self, seqs: list[int]) -> None:
        if self._ledger is not None:
            self._ledger.done_together(seqs)

    def _send(self, link: Link, delivery: Delivery) -> None:
        self._order += 1
        number = delivery[3]
        if number and self._ledger is not None:
            if delivery[1] & QOS_2_BITS and delivery[0].group():  # nobody else of the group gets it, after a crash either
                self._ledger.begin(delivery)
            self._kept.append((number, self._order, delivery))
            self._sender.send(link, number, 0, delivery, self._ledger)
        else:
            self._number += 1
            self._fleeting.append((self._number, self._order, delivery))
            self._sender.send(link, 0, self._number, delivery, None)

    def _wait(self, delivery: Delivery) -> None:
        backlog = self._waiting()
        if not delivery[2][0] and backlog.full(delivery[0].topic, delivery[0].size):
            self.circle.drop(self.name, delivery[0], causes.QUEUE_FULL)  # nobody keeps it, so it pushes nothing out
        else:
            backlog.put(delivery, True)

    def _waiting(self) -> Backlog:
        """Where messages wait; made when first needed."""
        if self.backlog is None:
            ledger = None if self.circle.journal is None else self._made()
            self.backlog = Backlog(self.name, self.circle, ledger, self.rules)
        return self.backlog

    def keep(self) -> None:
        """It is to be in the store, whatever waits."""
        if self.circle.journal is not None:
            self._made()

    def _made(self) -> Ledger:
        """Its rows in the store; they begin with the first message that needs one."""
        ledger, journal = self._ledger, self.circle.journal
        if ledger is None:
            assert journal is not None
            ledger = self._ledger = Ledger(journal.session_number(), journal, 0)
            journal.add((r.OPENED, ledger.number, f"{self.identity} {self._label}", NEVER, self._version, 0))
        return ledger


class Sender:
    """Puts messages on the link to a node; `link` is None while there is none."""

    __slots__ = ("link",)

    def __init__(self) -> None:
        self.link: Link | None = None

    def send(self, link: Link, kept: int, volatile: int, delivery: Delivery, ledger: Ledger | None) -> None:
        """With its number in one of the lanes; what has a row, once the store has that."""
        raise NotImplementedError


def _place(sent: Sent) -> int:
    return sent[1]
