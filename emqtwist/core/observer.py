"""What the broker tells whoever watches it: the adapter that logs overrides what it wants to know."""


class Observer:
    """Told of the rare events; by itself it ignores them."""

    def connected(self, client_id: str, peer: str, version: int, session_present: bool) -> None:
        """A client was accepted."""

    def disconnected(self, client_id: str, peer: str, cause: str, reason: str) -> None:
        """A connection ended; `cause` is of the closed list, `reason` words for a person. `client_id` is empty before CONNECT."""

    def queue_filling(self, client_id: str, length: int) -> None:
        """A session's queue rose above its high watermark."""

    def queue_relieved(self, client_id: str, length: int) -> None:
        """The queue fell below its low watermark again."""

    def callback_failed(self, topic_filter: bytes, error: Exception) -> None:
        """A subscriber in this process raised `error`; the publisher and the others go on."""

    def delivery_failed(self, client_id: str, error: Exception) -> None:
        """Serving this receiver raised `error`, a defect of the broker; its connection is closed."""
