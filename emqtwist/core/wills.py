"""Wills: what they are, and where they are between the loss of a connection and their publication."""
from emqtwist.core.access import Client
from emqtwist.core.acl import PUBLISH, Acl, Rule
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.message import NEVER, Message
from emqtwist.core.reserved import is_reserved
from emqtwist.core.who import asker


class WillMessage(Message):
    """A Will: `delay` seconds after the connection it is due; its `lifetime` in seconds begins when it is published.

    It is that of `client`, which has called its topic `said`; None when nobody is to be asked whether it may: it came back from a
    store, which does not know whose it is.
    """

    __slots__ = ("delay", "lifetime", "client", "said")

    def __init__(self, topic: bytes, payload: bytes, qos: int, retain: bool, properties: bytes, publisher: str,
                 delay: float, lifetime: float) -> None:
        super().__init__(topic, payload, qos, retain, properties, NEVER, publisher)
        self.delay = delay
        self.lifetime = lifetime
        self.client: Client | None = None
        self.said = topic


def still_allowed(acl: Acl | None, will: WillMessage) -> bool:
    """Whether the access rules, which may have changed, allow what was allowed at CONNECT.

    Of whom it is in a store nobody knows: that has to do then.
    """
    if will.client is None:
        return True
    if acl is None:
        return not is_reserved(will.said)
    return obeys(acl.decide(asker(will.client), PUBLISH, will.said), will)


def obeys(rule: Rule, will: WillMessage) -> bool:
    return rule.opens() if is_reserved(will.said) else rule.allow


class Wills:
    """Wills of lost connections, one a client identifier, until due, taken or cancelled [MQTT-3.1.2-8]."""

    __slots__ = ("_wills", "_deadlines")

    def __init__(self) -> None:
        self._wills: dict[str, WillMessage] = {}
        self._deadlines: Deadlines[str] = Deadlines()

    def __len__(self) -> int:
        return len(self._wills)

    def hold(self, client_id: str, will: WillMessage, due: float) -> None:
        self._wills[client_id] = will
        self._deadlines.set(client_id, due)

    def cancel(self, client_id: str) -> None:
        """The Session was resumed in time [MQTT-3.1.3-9]."""
        self.take(client_id)

    def take(self, client_id: str) -> WillMessage | None:
        """The Session ends before the Will Delay Interval: its Will is to be published now."""
        self._deadlines.clear(client_id)  # [MQTT-3.1.3-9]
        return self._wills.pop(client_id, None)

    def take_due(self, now: float) -> list[WillMessage]:
        """Remove and return the Wills to be published by `now`, earliest first."""
        return [self._wills.pop(client_id) for client_id in self._deadlines.take(now)]  # [MQTT-3.1.2-8] [MQTT-3.1.2-10]
