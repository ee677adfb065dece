"""Aftermath: a session has come, but not all nodes were there meanwhile: what they publish goes to where it was.

There it is sent on, and here it is left out where it comes directly too, until such a node cuts, as it is asked to: it marks at
one moment what it has for each other node. What is before the mark comes by where the session was, what is behind it directly.
"""
from emqtwist.core.cluster.addressed import CUT, LEFT, RELAYED, Address, address_of, cut, send_cut, send_left
from emqtwist.core.cluster.course import Course
from emqtwist.core.cluster.epochs import began, epoch_of
from emqtwist.core.cluster.groups import trail_of
from emqtwist.core.cluster.inbox import Inbox, To
from emqtwist.core.cluster.origin import ForwardedMessage, Origin, Origins
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.group import SharedMessage
from emqtwist.core.message import NO_IDENTIFIERS, PUBLISH_BYTE, QOS_BITS, Message
from emqtwist.core.move import Move
from emqtwist.core.pending import Pending
from emqtwist.core.prefixes import Prefixed
from emqtwist.core.session import Session
from emqtwist.core.sessions import Sessions
from emqtwist.core.subscriber import Subscriber
from emqtwist.mqtt.topics import matches


class Aftermath(Move):
    """What the `nodes` publish comes by the `sources`, which are nodes with the epoch that they gave the session under; it has
    come under `epoch`. That of the `fading`, who knew it here before, comes directly up to the mark that they made when it had
    gone to the node `gone_to`, and by the sources from there on. Who knows the routes up to the change `since` knows where it
    subscribes.

    Of each node `filters` are what the session subscribed to where that node's messages come by.

    `asked` are those who were asked to cut, with the time; `passing` those sources that have nothing more, but for what is on its
    way.
    """

    __slots__ = ("session", "sources", "nodes", "fading", "gone_to", "filters", "since", "asked", "passing",
                 "_origins")

    def __init__(self, session: Session, epoch: int, sources: dict[str, int], nodes: set[str], fading: set[str],
                 gone_to: Peer | None, filters: dict[str, list[bytes]], since: int, origins: Origins) -> None:
        self.session = session
        self.epoch = epoch
        self.sources = sources
        self.nodes = nodes
        self.fading = fading
        self.gone_to = gone_to
        self.since = since
        self.asked: dict[str, float] = {}
        self.passing: dict[str, Pending[bool]] = {}
        self._origins = origins
        self.filters = filters

    def describe(self, course: Course) -> None:
        course.come, course.sources, course.via, course.fading = self.epoch, self.sources, self.nodes, self.fading
        course.filters = {node: self.filters[node] for node in self.filters if node in self.nodes or node in self.fading}
        course.gone_to = "" if self.gone_to is None else self.gone_to.name

    def note(self) -> None:
        course = Course()
        self.describe(course)
        course.note(self.session)

    def collect(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        if self.wants(message, first_byte):
            take_past(self.session, message, first_byte, identifiers)

    def wants(self, message: Message, first_byte: int) -> bool:
        """Whether what comes directly does not come by where the session was: it did not subscribe to all of this there."""
        node = self._origins.of(message)[0]
        if not first_byte & QOS_BITS or message.group() or node not in self.nodes:
            return True
        for topic_filter in self.filters[node]:
            if matches(topic_filter, message.topic):
                return False
        return True

    def relayed(self, message: Message, origin: Origin, peer: Subscriber) -> None:
        take_past(self.session, message, PUBLISH_BYTE | message.qos << 1, NO_IDENTIFIERS)

    def cut(self, node: str, epoch: int, direct: bool) -> None:
        if direct and self.passes(node, epoch):
            self.note()

    def is_to_ask(self, node: str, now: float, again: float) -> bool:
        """Whether this node has not been asked for so many seconds; it is now."""
        asked = self.asked.get(node)
        if asked is not None and now - asked < again:
            return False
        self.asked[node] = now
        return True

    def awaited(self) -> set[str]:
        """The nodes of which something comes by the sources, or will."""
        return self.nodes | self.fading

    def passes(self, node: str, epoch: int) -> bool:
        """A mark of that node itself: whether what it sends comes another way from here on. The sources are told at the same
        moment, also where the session has gone on meanwhile: they send on nothing that is behind any mark.
        """
        fades = node in self.fading
        if not fades and (node not in self.nodes or epoch < self.epoch):
            return False
        if fades:
            self.fading.discard(node)
            if self.gone_to is not None:
                send_cut(self.gone_to, cut(self.session.client_id, node, epoch))
        if epoch < self.epoch:
            self.nodes.add(node)
        else:
            self.nodes.discard(node)
        return True

    def stop(self) -> None:
        if self.session.move is self:
            self.session.move = None
            self.session.pump()


def filters_of(session: Session) -> list[bytes]:
    """By which other nodes send to it, all of them the same."""
    return [each.topic_filter for each in session.subscriptions.values()
            if not each.local() and not (isinstance(each, Prefixed) and each.prefix.group)]


def take_past(session: Session, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
    """Deliver as if it were not moving."""
    move, session.move = session.move, None
    try:
        session.deliver(message, first_byte, identifiers)
    finally:
        session.move = move


def subscribes(session: Session, message: Message) -> bool:
    """Whether it still does to such: its copies, where it was, do to all that it subscribed to there."""
    for subscription in session.subscriptions.values():
        if matches(subscription.topic_filter, message.topic):
            return True
    return False


def is_of(address: Address, session: Session) -> bool:
    """Whether it is for this session of its client, under whichever epoch. At the other node it may go on as a later one, if that
    node knows of one that has ended.
    """
    epochs = [epoch_of(session)] if session.move is None else [epoch_of(session), session.move.epoch]
    return began(address.epoch) in [began(epoch) for epoch in epochs]


class ToClient(To):
    """Takes what is for one session."""

    __slots__ = ("_sessions", "_inbox")

    def __init__(self, sessions: Sessions, inbox: Inbox) -> None:
        self._sessions = sessions
        self._inbox = inbox

    def session(self, address: Address) -> Session | None:
        """That of this address, if it is here: another of its client may have begun since."""
        session = self._sessions.by_id.get(address.client_id)
        return session if session is not None and is_of(address, session) else None

    def take(self, peer: Peer, message: ForwardedMessage, group: bytes) -> None:
        address = address_of(group)
        if address is None:
            return
        session = self.session(address)
        if address.what == RELAYED and address.group and (session is None or address.group not in session.subscriptions):
            self._to_group(peer, message, address)
        elif session is None:
            return
        elif address.what == RELAYED and subscribes(session, message):
            message.origin = address.node, address.number
            self._relayed(peer, session, SharedMessage(message, address.group) if address.group else message, message.origin)
        elif address.what == CUT:
            self.cut(session, address, peer.name == address.node)
        elif address.what == LEFT and session.move is not None:
            session.move.left(address.group, peer)

    def _relayed(self, peer: Peer, session: Session, message: Message, origin: Origin) -> None:
        if session.move is not None:
            session.move.relayed(message, origin, peer)
        else:
            session.deliver(message, PUBLISH_BYTE | message.qos << 1, NO_IDENTIFIERS)

    def _to_group(self, peer: Peer, message: ForwardedMessage, address: Address) -> None:
        """The client has left: another member gets it. Before it can come back to that node, the copy there leaves too."""
        send_left(peer, address.client_id, address.epoch, address.group)
        if self._inbox.to_group is not None:
            self._inbox.to_group.take(peer, message, trail_of(address.group).behind(peer.name, True))

    def cut(self, session: Session, address: Address, direct: bool) -> None:
        if session.move is not None:
            session.move.cut(address.node, address.epoch, direct)
