"""Peer: another node of the cluster. In the router it stands like a session, so that a message crosses to it once."""
from collections.abc import Callable
from typing import Final

from emqtwist.core import causes
from emqtwist.core.circle import Circle
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.link import send_stored
from emqtwist.core.cluster.origin import Origins
from emqtwist.core.cluster.outbox import Outbox, Sender
from emqtwist.core.ledger import Ledger
from emqtwist.core.link import Link
from emqtwist.core.message import NEVER, NO_IDENTIFIERS, QOS_2_BITS, QOS_BITS, Delivery, Message
from emqtwist.core.settings import QueueSettings
from emqtwist.core.subscriber import Subscriber

# In place of Subscription Identifiers, which do not cross: a store there keeps what comes. What waits has its number beside it.
KEPT: Final = (1,)

Pack = Callable[[Frame], bytes]


class Peer(Subscriber):
    """A node `name`; `link` is there while it is connected, and `incarnation` names the process that it had last.

    `outbox` has what it is still to get; `kept_routes` is how many Topic Filters of persistent sessions it has. `since` is when
    its link came or went. `stirred` while there is something to do for it in the next flush.
    """

    __slots__ = ("name", "link", "incarnation", "outbox", "kept_routes", "since", "stirred", "_circle", "_sending")

    def __init__(self, name: str, identity: str, circle: Circle, rules: QueueSettings, pack: Pack, origins: Origins) -> None:
        super().__init__("")
        self.name = name
        self.link: Link | None = None
        self.incarnation = ""
        self.kept_routes = 0
        self.since = circle.turn.now
        self.stirred = False
        self._circle = circle
        self._sending = Sending(pack, circle, origins)
        self.outbox = Outbox(name, identity, circle, rules, self._sending)

    def attach(self, link: Link | None) -> None:
        """It is connected by `link`, or not any more."""
        self.link = self._sending.link = link
        self.since = self._circle.turn.now
        self.stirred = False  # who was told to go on was the owner of another link
        if link is None:
            self.outbox.lost()

    def stir(self) -> None:
        """Have `Cluster.proceed` called for it in the next flush."""
        if not self.stirred and self.link is not None:
            self.stirred = True
            self.link.turn.proceed(self.link)

    def deliver(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        if first_byte & QOS_BITS:
            number = self._sending.origins.number(message)  # now: all who get a message are asked one after the other
            self.outbox.put(message, first_byte, (identifiers[0] if identifiers else 0, number))
        elif self.link is None or self.link.congested:
            self._circle.drop(self.name, message, causes.NODE_AWAY)
        else:
            self._sending.send(self.link, 0, 0, (message, first_byte, NO_IDENTIFIERS, 0), None)

    def refuses(self, message: Message) -> bool:
        return self.kept_routes > 0 and self.outbox.full(message)

    def full(self, message: Message) -> bool:
        return self.outbox.full(message)

    def load(self) -> int:
        return len(self.outbox)

    def keeps(self) -> bool:
        return self.kept_routes > 0 and self._circle.journal is not None

    def absent(self) -> bool:
        return self.link is None

    def lives_here(self) -> bool:
        return False

    def broken(self, error: Exception) -> None:
        self._circle.observer.delivery_failed(self.name, error)
        if self.link is not None:
            self.link.close()


class Sending(Sender):
    """Makes frames of messages."""

    __slots__ = ("_pack", "_circle", "origins")

    def __init__(self, pack: Pack, circle: Circle, origins: Origins) -> None:
        super().__init__()
        self._pack = pack
        self._circle = circle
        self.origins = origins

    def send(self, link: Link, kept: int, volatile: int, delivery: Delivery, ledger: Ledger | None) -> None:
        message, first_byte, identifiers, _ = delivery
        number = identifiers[1] if len(identifiers) > 1 else self.origins.number(message)
        self._circle.metrics.forwarded_sent += 1
        rest = None if message.expires_at == NEVER else max(0.0, message.expires_at - self._circle.turn.now)
        data = self._pack((f.FORWARD, kept, volatile, number, (first_byte & QOS_BITS) | message.retain,
                           message.topic, message.payload, message.properties, rest, message.publisher, message.group()))
        if ledger is None and first_byte & QOS_BITS == QOS_2_BITS:  # its publisher is not to send it again behind a crash
            send_stored(link, self._circle.journal, data)
        else:
            self._put(link, ledger, data)

    def _put(self, link: Link, ledger: Ledger | None, data: bytes) -> None:
        """Send a frame: with a row once that is stored, and behind what waits for the store."""
        if ledger is not None:
            ledger.send(link, data)
        elif link.held:  # nothing overtakes what waits for the store
            link.hold(link.held[-1][0], data)
        else:
            link.send(data)
