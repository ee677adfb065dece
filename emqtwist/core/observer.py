"""What the broker tells whoever watches it: the adapter that logs overrides what it wants to know."""
from emqtwist.core.alarm import Alarm


class Observer:
    """Told of the rare events; by itself it ignores them."""

    def connected(self, client_id: str, user_name: str | None, peer: str, version: int, clean_start: bool,
                  session_present: bool) -> None:
        """A client was accepted, its CONNACK is on its way."""

    def disconnected(self, client_id: str, peer: str, cause: str, reason: str) -> None:
        """A connection ended; `cause` is of the closed list, `reason` words for a person. `client_id` is empty before CONNECT."""

    def refused(self, client_id: str, peer: str, listener: str, cause: str, reason: str) -> None:
        """A connection ended before a client was let in, and not by the client's choice. An end as others, to most."""
        self.disconnected(client_id, peer, cause, reason)

    def departed(self, client_id: str, user_name: str | None, cause: str) -> None:
        """A client that was accepted is gone, whatever the cause."""

    def alarm_raised(self, alarm: Alarm) -> None:
        """Something needs a person's attention."""

    def alarm_cleared(self, alarm: Alarm) -> None:
        """It does not any more."""

    def queue_filling(self, client_id: str, length: int) -> None:
        """A session's queue rose above its high watermark."""

    def queue_relieved(self, client_id: str, length: int) -> None:
        """The queue fell below its low watermark again."""

    def subscription_ended(self, client_id: str, topic_filter: bytes) -> None:
        """The access rules do not allow it any more."""

    def not_subscribed(self, client_id: str, topic_filter: bytes, reason: str) -> None:
        """A client was to be subscribed without asking for it, and could not be."""

    def unannounced(self, client_id: str, count: int, nodes: str) -> None:
        """A client has subscribed so many times and was not told that these nodes do not know of it yet."""

    def session_forbidden(self, client_id: str, topic_filter: bytes) -> None:
        """A session is not resumed, as the access rules do not allow what it has subscribed to."""

    def banned(self, kind: str, value: str, by: str, reason: str) -> None:
        """Somebody is not let in any more; the words are those of `bans.Ban`."""

    def callback_failed(self, topic_filter: bytes, error: Exception) -> None:
        """A subscriber in this process raised `error`; the publisher and the others go on."""

    def hook_failed(self, hook: str, function: str, error: Exception) -> None:
        """A function at a hook raised `error`, for the first time or after it had worked again."""

    def job_failed(self, worker: str, error: Exception) -> None:
        """A job of a worker that nobody supervises raised `error`."""

    def delivery_failed(self, client_id: str, error: Exception) -> None:
        """Serving this receiver raised `error`, a defect of the broker; its connection is closed."""


class Observers(Observer):
    """Tells each of `each`, in turn.

    What happens once for each connection is told to those alone who listen: who does not has not overridden it.
    """

    def __init__(self, *each: Observer) -> None:
        self.each: list[Observer] = []
        self.add(*each)

    def add(self, *observers: Observer) -> None:
        self.each += observers
        self._ask()

    def remove(self, observer: Observer) -> None:
        self.each.remove(observer)
        self._ask()

    def _ask(self) -> None:
        """Find out who listens to what."""
        self._connected = [one for one in self.each if type(one).connected is not Observer.connected]
        self._disconnected = [one for one in self.each if type(one).disconnected is not Observer.disconnected]
        self._departed = [one for one in self.each if type(one).departed is not Observer.departed]

    def connected(self, client_id: str, user_name: str | None, peer: str, version: int, clean_start: bool,
                  session_present: bool) -> None:
        for one in self._connected:
            one.connected(client_id, user_name, peer, version, clean_start, session_present)

    def disconnected(self, client_id: str, peer: str, cause: str, reason: str) -> None:
        for one in self._disconnected:
            one.disconnected(client_id, peer, cause, reason)

    def refused(self, client_id: str, peer: str, listener: str, cause: str, reason: str) -> None:
        for one in self.each:
            one.refused(client_id, peer, listener, cause, reason)

    def departed(self, client_id: str, user_name: str | None, cause: str) -> None:
        for one in self._departed:
            one.departed(client_id, user_name, cause)

    def alarm_raised(self, alarm: Alarm) -> None:
        for one in self.each:
            one.alarm_raised(alarm)

    def alarm_cleared(self, alarm: Alarm) -> None:
        for one in self.each:
            one.alarm_cleared(alarm)

    def queue_filling(self, client_id: str, length: int) -> None:
        for one in self.each:
            one.queue_filling(client_id, length)

    def queue_relieved(self, client_id: str, length: int) -> None:
        for one in self.each:
            one.queue_relieved(client_id, length)

    def subscription_ended(self, client_id: str, topic_filter: bytes) -> None:
        for one in self.each:
            one.subscription_ended(client_id, topic_filter)

    def not_subscribed(self, client_id: str, topic_filter: bytes, reason: str) -> None:
        for one in self.each:
            one.not_subscribed(client_id, topic_filter, reason)

    def unannounced(self, client_id: str, count: int, nodes: str) -> None:
        for one in self.each:
            one.unannounced(client_id, count, nodes)

    def session_forbidden(self, client_id: str, topic_filter: bytes) -> None:
        for one in self.each:
            one.session_forbidden(client_id, topic_filter)

    def banned(self, kind: str, value: str, by: str, reason: str) -> None:
        for one in self.each:
            one.banned(kind, value, by, reason)

    def callback_failed(self, topic_filter: bytes, error: Exception) -> None:
        for one in self.each:
            one.callback_failed(topic_filter, error)

    def hook_failed(self, hook: str, function: str, error: Exception) -> None:
        for one in self.each:
            one.hook_failed(hook, function, error)

    def job_failed(self, worker: str, error: Exception) -> None:
        for observer in self.each:
            observer.job_failed(worker, error)

    def delivery_failed(self, client_id: str, error: Exception) -> None:
        for one in self.each:
            one.delivery_failed(client_id, error)
