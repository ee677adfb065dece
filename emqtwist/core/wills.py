"""Wills between the loss of a connection and their publication."""
from emqtwist.core.acl import PUBLISH, Acl
from emqtwist.core.deadlines import Deadlines
from emqtwist.core.message import WillMessage
from emqtwist.core.router import is_reserved
from emqtwist.core.who import Asker


def still_allowed(acl: Acl | None, will: WillMessage) -> bool:
    """Whether the access rules, which may have changed, allow what was allowed at CONNECT.

    Of whom it is in a store nobody knows: that has to do then.
    """
    if will.address is None:
        return True
    if acl is None:
        return not is_reserved(will.topic)
    rule = acl.decide(Asker(will.publisher, will.user_name, will.address), PUBLISH, will.topic)
    return rule.opens() if is_reserved(will.topic) else rule.allow


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
