"""subscription: clients are subscribed when they connect, without asking for it."""
from emqtwist.config.sections.module import ModuleSection
from emqtwist.core.access import Client
from emqtwist.core.broker import Broker
from emqtwist.core.connection import Connection
from emqtwist.core.filters import fill
from emqtwist.core.hooks import CLIENT_CONNECTED
from emqtwist.core.observer import Observers
from emqtwist.core.prefixes import canonical
from emqtwist.core.session import Session
from emqtwist.core.subscribing import subscribe_unasked
from emqtwist.core.who import Asker, asker
from emqtwist.mqtt.constants import OPTION_QOS
from emqtwist.mqtt.topics import split
from emqtwist.services.modules import Module


class Subscription(Module):
    name = "subscription"
    description = "Subscribes clients when they connect"

    def __init__(self, broker: Broker, observers: Observers) -> None:
        super().__init__(broker.hooks, observers)
        self._broker = broker
        self._topics: list[tuple[bytes, int]] = []

    def take(self, section: ModuleSection) -> bool:
        self._topics = [(topic_filter.encode(), qos) for topic_filter, qos in section.subscription.topics]
        return section.subscription.enable

    def add(self) -> None:
        self.hook(CLIENT_CONNECTED, self.connected)

    def connected(self, client: Client) -> None:
        """What a session that is resumed has already is left to it: its retained messages have come."""
        session = self._broker.sessions.by_id.get(client.client_id)
        link = None if session is None else session.link
        if session is not None and isinstance(link, Connection):
            filters = [pair for pair in filled(self._topics, asker(client)) if not has(session, *pair)]
            if filters:
                subscribe_unasked(link, filters)


def filled(topics: list[tuple[bytes, int]], client: Asker) -> list[tuple[bytes, int]]:
    """The filters with what is known of the client put in; without those that would mean more then, or for which it is not
    known.
    """
    found = [(fill(split(topic_filter), client, True), qos) for topic_filter, qos in topics]
    return [(b"/".join(levels), qos) for levels, qos in found if levels is not None]


def has(session: Session, topic_filter: bytes, qos: int) -> bool:
    """Whether the session has this subscription already, with this QoS."""
    held = session.subscriptions.get(canonical(topic_filter))
    return held is not None and held.options & OPTION_QOS == qos
