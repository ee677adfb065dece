"""Retained messages are the same at all nodes, once these have heard of each other.

Each change has a stamp. It is told to all who are connected, and takes effect where nothing newer is known. Nodes that were apart
compare what they have when a link opens (`comparing`), and now and then. That a message is gone, deleted or expired, is
remembered for a day: a node that was away for no longer does not bring it back.

What the broker says of itself ($SYS) is each node's own.
"""
from typing import Final

from emqtwist.core.alarm import WARNING
from emqtwist.core.broker import Broker
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.clock import Clock
from emqtwist.core.cluster.comparing import PIECE, Comparing, digests_of, mark_of, marks_of, topics_of
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.marks import Mark, Marks
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Pack, Peer
from emqtwist.core.cluster.tables import Send
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.message import NEVER, Message
from emqtwist.core.records import Snapshot
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_name

DAY: Final = 86400.0
MOST_GONE: Final = 100_000  # topics; the earliest are forgotten first
COMPARE: Final = 60.0  # seconds between two looks whether all is the same
OWN: Final = b"$SYS/"


class Replicas(Part):
    """What the nodes of a cluster know of each other's retained messages.

    `marks` has each topic that is known of, `graves` those without a message, until they are forgotten: when their time is over,
    or there are more than `most_gone`.

    `ahead` maps nodes to the stamp by which their clocks are too far ahead. While the store fails nothing is taken, and all is
    compared when it works again.
    """

    __slots__ = ("marks", "graves", "most_gone", "ahead", "_broker", "_clock", "_node", "_pack", "_send_stored", "_comparing",
                 "_missed", "_compared")

    def __init__(self, broker: Broker, clock: Clock, node: str, pack: Pack, send_stored: Send) -> None:
        self.marks = Marks()
        self.graves: Deadlines[bytes] = Deadlines()
        self.most_gone = MOST_GONE
        self.ahead: dict[str, int] = {}
        self._broker = broker
        self._clock = clock
        self._node = node
        self._pack = pack
        self._send_stored = send_stored
        self._comparing: dict[Peer, Comparing] = {}  # with those who are connected
        self._missed = False
        self._compared = broker.turn.now

    # What the broker says.

    def retained(self, topic: bytes, until: float) -> None:
        """A client has retained a message: record it, and tell others."""
        message, journal = self._broker.retained.get(topic), self._broker.journal
        if message is None:
            return
        if topic.startswith(OWN):
            if journal is not None:
                journal.retain(message, until)
            return
        stamp = self._stamp(topic)
        self._note(message.topic, (stamp, self._node, False))
        if journal is not None:
            journal.retain(message, until, stamp, self._node)
        self._announce(topic)

    def erased(self, topic: bytes) -> None:
        """Somebody has deleted a message, which need not have been known here."""
        if not topic.startswith(OWN):
            self._bury(topic, (self._stamp(topic), self._node, True), DAY)
            self._announce(topic)
        elif self._broker.journal is not None:
            self._broker.journal.retain_no_more(topic)

    def expired(self, topic: bytes) -> None:
        """A message has expired, as it does at the other nodes. One that it took the place of is not to come back."""
        mark = self.marks.get(topic)
        if mark is not None:
            self._bury(topic, (mark[0], mark[1], True), DAY)
        elif self._broker.journal is not None:
            self._broker.journal.retain_no_more(topic)

    def _stamp(self, topic: bytes) -> int:
        held = self.marks.get(topic)
        return self._clock.stamp(0 if held is None else held[0])

    # What is known.

    def recover(self, snapshot: Snapshot) -> None:
        """What was retained before this was a node of a cluster is older than all else."""
        retained, now = self._broker.retained, self._broker.turn.now
        for record in snapshot.retained:
            message = retained.get(record[0])
            if message is not None and not message.topic.startswith(OWN):
                self._clock.hear(record[7])
                self._note(message.topic, (record[7], record[8] or self._node, False))
        for topic, stamp, node, until in snapshot.tombstones:
            self._clock.hear(stamp)
            self._note(topic, (stamp, node, True))
            self.graves.set(topic, now + DAY if until is None else now + min(DAY, until - self._clock.wall()))

    def _note(self, topic: bytes, mark: Mark) -> None:
        self.marks.set(topic, mark)
        if not mark[2]:
            self.graves.clear(topic)

    def _bury(self, topic: bytes, mark: Mark, rest: float) -> None:
        """There is no message of a topic any more; that is remembered for `rest` seconds."""
        self._broker.retained.delete(topic)
        self._note(topic, mark)
        due = self._broker.turn.now + rest
        self.graves.set(topic, due)
        if self._broker.journal is not None:
            self._broker.journal.retain_no_more(topic, mark[0], mark[1], due)
        if len(self.graves) > self.most_gone:
            self._forget(self.graves.take(NEVER, 1))

    def _forget(self, topics: list[bytes]) -> None:
        for topic in topics:
            self.marks.remove(topic)
            if self._broker.journal is not None:
                self._broker.journal.retain_no_more(topic)

    # What others are told.

    def _announce(self, topic: bytes) -> None:
        """Tell all who are connected of a change; who is slow, later."""
        data = b""
        for peer, comparing in self._comparing.items():
            link = peer.link
            if link is None or link.congested or comparing.pending:
                comparing.note(topic)
                peer.stir()
            else:
                data = data or self._state_of(topic)
                if data:
                    link.send(data)

    def _state_of(self, topic: bytes) -> bytes:
        """The frame that says what is known of a topic; empty if nothing is."""
        mark, now = self.marks.get(topic), self._broker.turn.now
        if mark is None:
            return b""
        if mark[2]:
            return self._pack((f.ERASE, topic, mark[0], mark[1], _rest(self.graves.due(topic), now)))
        message = self._broker.retained.get(topic)
        if message is None:
            return b""
        return self._pack((f.RETAIN, topic, mark[0], mark[1], message.qos, message.payload, message.properties,
                           _rest(message.expires_at, now), _rest(self._broker.retained.due(topic), now), message.publisher))

    def opened(self, peer: Peer) -> None:
        """One of the two begins to compare."""
        self._comparing[peer] = Comparing(self._node > peer.name)
        peer.stir()

    def lost(self, peer: Peer) -> None:
        """It may have told some of the others what it could not tell all of them."""
        self._comparing.pop(peer, None)
        self._compare(False)

    def left(self, peer: Peer) -> None:
        self._follows(peer.name)

    def proceed(self, peer: Peer) -> None:
        comparing, link = self._comparing.get(peer), peer.link
        if comparing is None or link is None:
            return
        size = 0
        while comparing.pending and size < PIECE and not link.congested:
            topic, _ = comparing.pending.popitem()
            data = self._state_of(topic)
            if data:
                link.send(data)
                size += len(data)
        if link.congested:
            return
        if comparing.pending:
            peer.stir()
            return
        frame = comparing.next(self.marks.digests, self.marks.buckets)
        if frame is not None:
            self._send_stored(peer, frame)
            peer.stir()

    def tick(self, now: float) -> None:
        self._forget(self.graves.take(now, 1000))
        for node, stamp in list(self.ahead.items()):
            if not self._clock.is_ahead(stamp):
                self._follows(node)
        journal = self._broker.journal
        if self._missed and (journal is None or not journal.failing):
            self._missed = False
            self._compare(True)
        if now - self._compared >= COMPARE:
            self._compared = now
            self._compare(False)

    def _compare(self, all_: bool) -> None:
        for peer, comparing in self._comparing.items():
            if all_ or self._node > peer.name:
                comparing.again = True
                peer.stir()

    # What others say.

    def retain(self, peer: Peer, frame: Frame) -> None:
        """RETAIN: a message that another node knows of. Limits were minded where it was published."""
        _, topic, stamp, node, qos, payload, properties, rest, left, publisher = frame
        mark = mark_of(stamp, node, False)
        _check(topic)
        if not payload or not 0 <= qos <= 2:
            raise BadFrame("RETAIN of no message")
        if not self._is_news(topic, mark):
            return
        broker, now = self._broker, self._broker.turn.now
        message = Message(topic, payload, qos, True, properties, _due(rest, now), publisher)
        until = min(_due(left, now), now + broker.settings.retained_expiry)
        broker.retained.keep(message, until)
        self._note(message.topic, mark)
        if broker.journal is not None:
            broker.journal.retain(message, until, stamp, node)

    def erase(self, peer: Peer, frame: Frame) -> None:
        """ERASE: another node knows that there is no message any more."""
        _, topic, stamp, node, rest = frame
        mark = mark_of(stamp, node, True)
        _check(topic)
        left = min(DAY, _due(rest, 0.0))
        if self._is_news(topic, mark):
            self._bury(topic, mark, left)

    def digests(self, peer: Peer, frame: Frame) -> None:
        """DIGESTS: compare the buckets in which another node has something else."""
        comparing = self._comparing.get(peer)
        if comparing is not None:
            comparing.begin(self.marks.differing(digests_of(frame)))
            peer.stir()

    def marked(self, peer: Peer, frame: Frame) -> None:
        """MARKS: what another node knows of the topics of a bucket."""
        comparing, theirs = self._comparing.get(peer), marks_of(frame)
        if comparing is not None:
            newer, older = self.marks.compare(frame[1], theirs)
            comparing.owe(frame[1], newer, older)
            peer.stir()

    def need(self, peer: Peer, frame: Frame) -> None:
        """NEED: the topics of a bucket that another node wants to be told of."""
        comparing, topics = self._comparing.get(peer), topics_of(frame)
        if comparing is not None:
            comparing.needed(topics)
            peer.stir()

    def _is_news(self, topic: bytes, mark: Mark) -> bool:
        """Whether a change is to take effect here. Its author's clock is looked at, as it may be wrong."""
        if topic.startswith(OWN) or self.marks.holds(topic, mark):
            return False
        if self._broker.journal is not None and self._broker.journal.failing:
            self._missed = True
            return False
        held = self.marks.get(topic)
        if self._clock.hear(mark[0]):
            self._follows(mark[1])
        elif held is None or not self._clock.is_ahead(held[0]):  # else it had to be later still
            self.ahead[mark[1]] = mark[0]
            self._broker.alarms.raise_(f"cluster_stamps/{mark[1]}", WARNING, "retained messages of a node are from the future",
                                       f"the clock of {mark[1]} is wrong, or was, or that of this node is")
        return True

    def _follows(self, node: str) -> None:
        """The clock of a node is as it should be."""
        if self.ahead.pop(node, None) is not None:
            self._broker.alarms.clear(f"cluster_stamps/{node}")


def _check(topic: bytes) -> None:
    try:
        check_topic_name(topic, 0)
    except MQTTError as error:
        raise BadFrame(f"no Topic Name: {error.reason}") from None


def _rest(due: float | None, now: float) -> float | None:
    """As a frame says when something is over."""
    return None if due is None or due == NEVER else max(0.0, due - now)


def _due(rest: float | None, now: float) -> float:
    if rest is None:
        return NEVER
    if not rest >= 0:
        raise BadFrame("less than no time is left")
    return now + rest
