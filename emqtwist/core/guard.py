"""What waits in a session when the rules change, or another client comes for it: whether it may still go.

Nobody knows by which subscription a message came to wait. It may go if a subscription that the session still has, and may
have, selects it; else if the client could subscribe to its topic now, as it has only unsubscribed then.

What was sent at QoS 1 is not sent again. What was sent at QoS 2 may have arrived, and its identifier is in use there: the
exchange goes on as if it had, with PUBREL, and the message is not sent again either.
"""
from emqtwist.core import causes
from emqtwist.core.access import Client
from emqtwist.core.acl import CANNOT_TELL, MOST_REMEMBERED, SUBSCRIBE, Acl, Ruling
from emqtwist.core.gate import Gate
from emqtwist.core.groups import Groups
from emqtwist.core.link import Link
from emqtwist.core.message import QOS_2_BITS, Delivery
from emqtwist.core.mounting import seen
from emqtwist.core.pending import Pending
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.mqtt.errors import ServerBusy
from emqtwist.mqtt.topics import matches


class Guard(Gate):
    """Asks `acl` for the `client` of a session; the subscriptions of `ended` are on their way out of it.

    `_known` are topics that were asked about, `_topic` is the one that is asked about now.
    """

    __slots__ = ("_session", "_groups", "_acl", "_client", "_mount", "_ended", "_known", "_topic", "_asked", "_failed")

    def __init__(self, session: Session, groups: Groups, acl: Acl, client: Client, mount: bytes,
                 ended: list[Subscription]) -> None:
        self._session = session
        self._groups = groups
        self._acl = acl
        self._client = client
        self._mount = mount
        self._ended = ended
        self._known: dict[bytes, bool] = {}
        self._topic = b""
        self._asked: Pending[Ruling] | None = None
        self._failed = False

    def passes(self, delivery: Delivery) -> bool:
        allowed = self._allows(delivery[0].topic)
        if allowed is False:
            self._take_out(delivery)
        return allowed is True

    def repeats(self, packet_id: int) -> bool:
        delivery = self._session.inflight.held[packet_id]
        allowed = True if delivery is None else self._allows(delivery[0].topic)
        if allowed is False and delivery is not None:
            self._withhold(packet_id, delivery)
        return allowed is True

    def waits(self) -> bool:
        return self._failed or self._asked is not None

    def is_over(self) -> bool:
        session, inflight = self._session, self._session.inflight
        return session.move is None and not (session.queued() or inflight.resend or (inflight.retries and inflight.held))

    def proceed(self) -> None:
        """What was asked about is decided."""
        if self._asked is not None:
            self._asked.proceed()

    def flush(self) -> None:
        """There is never anything to send: the link of this is only what waits for a decision."""

    # What is allowed.

    def _allows(self, topic: bytes) -> bool | None:
        """None while that is not known."""
        known = self._known.get(topic)
        if known or self.waits():
            return known
        if self._selects(topic):
            return self._note(topic, True)
        if known is not None:
            return known
        pending = self._acl.judge(self._client, SUBSCRIBE, seen(self._mount, topic))
        if pending.decision is not None:
            return self._obey(topic, pending.decision)
        link = Link(self._session.circle.turn)
        link.owner = self
        self._topic, self._asked = topic, pending
        pending.hold(link, self._judged)
        return None

    def _selects(self, topic: bytes) -> bool:
        """Whether a subscription does that stays."""
        subscriptions = self._session.subscriptions
        exact = subscriptions.get(topic)
        if exact is not None and exact not in self._ended:
            return True
        for subscription in subscriptions.values():
            if matches(subscription.topic_filter, topic) and subscription not in self._ended:
                return True
        return False

    def _judged(self, link: Link, ruling: Ruling) -> None:
        self._asked = None
        if self._session.gate is self:
            self._obey(self._topic, ruling)
            self._session.pump()

    def _obey(self, topic: bytes, ruling: Ruling) -> bool | None:
        """A client of whom it cannot be found out has to come again; what waits for it is kept."""
        if not ruling.rule.failed:
            return self._note(topic, ruling.rule.allow)
        self._failed = True
        if self._session.link is not None:
            self._session.link.fail(ServerBusy(CANNOT_TELL))
        return None

    def _note(self, topic: bytes, allowed: bool) -> bool:
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[topic] = allowed
        return allowed

    # What is not.

    def _take_out(self, delivery: Delivery) -> None:
        session, ledger = self._session, self._session.ledger
        if session.backlog is not None:
            session.backlog.take()
        if ledger is not None and delivery[3] in ledger.repeated:  # may have been sent before this process began
            self._withhold(session.inflight.add(delivery), delivery)
            return
        self._lose(delivery)
        if ledger is not None:
            ledger.done(delivery[3])

    def _withhold(self, packet_id: int, delivery: Delivery) -> None:
        session = self._session
        if delivery[1] & QOS_2_BITS:
            session.release(packet_id, delivery)
            session.send_pubrel(packet_id)
            session.circle.drop(session.client_id, delivery[0], causes.NO_LONGER_ALLOWED)
        else:
            session.forget(packet_id)
            self._lose(delivery)

    def _lose(self, delivery: Delivery) -> None:
        """Another member may have what a group has given to this one."""
        if not self._groups.hand_on(self._session, delivery):
            self._session.circle.drop(self._session.client_id, delivery[0], causes.NO_LONGER_ALLOWED)
