"""The broker's events in the log."""
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.core import causes
from emqtwist.core.observer import Observer

QUIET = frozenset((causes.NORMAL, causes.CONNECTION_LOST, causes.DISCONNECT_WITH_WILL))  # everyday ends


class LogObserver(Observer):
    """Writes what happens to clients as log lines with the same field names everywhere."""

    log = Logger()

    def connected(self, client_id: str, peer: str, version: int, session_present: bool) -> None:
        self.log.debug("{client_id} connected from {peer}, protocol level {version}, session present: {session_present}",
                       client_id=client_id, peer=peer, version=version, session_present=session_present)

    def disconnected(self, client_id: str, peer: str, cause: str, reason: str) -> None:
        write = self.log.debug if cause in QUIET else self.log.warn
        write("{client_id} from {peer} ended: {cause}: {reason}", client_id=client_id or "(no client)", peer=peer,
              cause=cause, reason=reason)

    def queue_filling(self, client_id: str, length: int) -> None:
        self.log.warn("{length} messages wait for {client_id}, above the high watermark", client_id=client_id, length=length)

    def queue_relieved(self, client_id: str, length: int) -> None:
        self.log.info("{length} messages wait for {client_id}, below the low watermark", client_id=client_id, length=length)

    def callback_failed(self, topic_filter: bytes, error: Exception) -> None:
        self.log.failure("a subscriber of {topic_filter} in this process failed", Failure(error), topic_filter=topic_filter)

    def delivery_failed(self, client_id: str, error: Exception) -> None:
        self.log.failure("defect while delivering to {client_id}", Failure(error), client_id=client_id)
