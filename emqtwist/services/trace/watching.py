"""What traces of clients say beside packets."""
from emqtwist.core.observer import Observer
from emqtwist.services.trace.summary import text_of
from emqtwist.services.trace.traces import Traces


class Watching(Observer):
    """Tells the traces what happens to sessions."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def queue_filling(self, client_id: str, length: int) -> None:
        self._traces.tell(client_id, "queue_filling", {"messages": length})

    def queue_relieved(self, client_id: str, length: int) -> None:
        self._traces.tell(client_id, "queue_relieved", {"messages": length})

    def subscription_ended(self, client_id: str, topic_filter: bytes) -> None:
        self._traces.tell(client_id, "subscription_ended", {"topic_filter": text_of(topic_filter)})

    def not_subscribed(self, client_id: str, topic_filter: bytes, reason: str) -> None:
        self._traces.tell(client_id, "not_subscribed", {"topic_filter": text_of(topic_filter), "reason": reason})

    def session_forbidden(self, client_id: str, topic_filter: bytes) -> None:
        self._traces.tell(client_id, "session_forbidden", {"topic_filter": text_of(topic_filter)})
