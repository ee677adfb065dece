"""The broker's events in the log."""
from traceback import extract_tb

from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.core import causes
from emqtwist.core.alarm import ERROR, WARNING, Alarm
from emqtwist.core.hooks import SECRETIVE
from emqtwist.core.observer import Observer
from emqtwist.net.sparing import Sparing

QUIET = frozenset((causes.NORMAL, causes.CONNECTION_LOST, causes.DISCONNECT_WITH_WILL))  # everyday ends


class LogObserver(Observer):
    """Writes what happens to clients as log lines with the same field names everywhere.

    `debugging` may be False where nobody reads what is for debugging: a line that is written for nobody takes longer than
    all the rest of a CONNECT that is no system call. Of many clients that a listener refuses for one cause it tells the first,
    and once a second, by `tell`, how many there were besides.
    """

    log = Logger()

    def __init__(self) -> None:
        self.debugging = True
        self._refusals: Sparing[tuple[str, str]] = Sparing()  # listener and cause

    def connected(self, client_id: str, user_name: str | None, peer: str, version: int, clean_start: bool,
                  session_present: bool) -> None:
        if not self.debugging:
            return
        self.log.debug("{client_id} connected from {peer}, protocol level {version}, session present: {session_present}",
                       client_id=client_id, peer=peer, version=version, session_present=session_present)

    def disconnected(self, client_id: str, peer: str, cause: str, reason: str) -> None:
        quiet = cause in QUIET
        if quiet and not self.debugging:
            return
        write = self.log.debug if quiet else self.log.warn
        write("{client_id} from {peer} ended: {cause}: {reason}", client_id=client_id or "(no client)", peer=peer,
              cause=cause, reason=reason)

    def refused(self, client_id: str, peer: str, listener: str, cause: str, reason: str) -> None:
        if self._refusals.is_first((listener, cause)):
            self.log.warn("{listener} refuses {client_id} from {peer}: {cause}: {reason}", listener=listener,
                          client_id=client_id or "(no client)", peer=peer, cause=cause, reason=reason)

    def tell(self) -> None:
        """Once a second: how many clients were refused and not told."""
        for (listener, cause), count in self._refusals.take():
            self.log.warn("{listener} has refused {count} more clients: {cause}", listener=listener, count=count, cause=cause)

    def alarm_raised(self, alarm: Alarm) -> None:
        write = {WARNING: self.log.warn, ERROR: self.log.error}.get(alarm.severity, self.log.critical)
        write("alarm {alarm}: {summary}", alarm=alarm.identifier, severity=alarm.severity, title=alarm.title,
              summary=alarm.summary)

    def alarm_cleared(self, alarm: Alarm) -> None:
        self.log.info("alarm {alarm} is over", alarm=alarm.identifier)

    def subscription_ended(self, client_id: str, topic_filter: bytes) -> None:
        self.log.warn("the subscription of {client_id} to {topic_filter} ended: the access rules do not allow it any more",
                      client_id=client_id, topic_filter=topic_filter)

    def not_subscribed(self, client_id: str, topic_filter: bytes, reason: str) -> None:
        self.log.warn("{client_id} is not subscribed to {topic_filter}, as the module subscription would have it: {reason}",
                      client_id=client_id, topic_filter=topic_filter, reason=reason)

    def unannounced(self, client_id: str, count: int, nodes: str) -> None:
        self.log.warn("{client_id} has subscribed to {count} topic filters that were not told to {nodes} in time: what is "
                      "published there comes once there is a link again", client_id=client_id, count=count, nodes=nodes)

    def session_forbidden(self, client_id: str, topic_filter: bytes) -> None:
        self.log.warn("the session of {client_id} is not resumed: the access rules do not allow its subscription to "
                      "{topic_filter}", client_id=client_id, topic_filter=topic_filter)

    def banned(self, kind: str, value: str, by: str, reason: str) -> None:
        self.log.warn("{kind} {value} is banned by {by}: {reason}", kind=kind, value=value, by=by,
                      reason=reason or "no reason given")

    def callback_failed(self, topic_filter: bytes, error: Exception) -> None:
        self.log.failure("a subscriber of {topic_filter} in this process failed", Failure(error), topic_filter=topic_filter)

    def hook_failed(self, hook: str, function: str, error: Exception) -> None:
        if hook in SECRETIVE:
            self.log.error("{function} at {hook} failed: {reason}", hook=hook, function=function, reason=_without_message(error))
            return
        self.log.failure("{function} at {hook} failed", Failure(error), hook=hook, function=function)

    def job_failed(self, worker: str, error: Exception) -> None:
        self.log.failure("defect in a job of {worker}", Failure(error), worker=worker)

    def delivery_failed(self, client_id: str, error: Exception) -> None:
        self.log.failure("defect while delivering to {client_id}", Failure(error), client_id=client_id)


def _without_message(error: Exception) -> str:
    """What an error is, and where it was raised."""
    where = "".join([f" at {frame.filename}:{frame.lineno}" for frame in extract_tb(error.__traceback__)[-1:]])
    return type(error).__name__ + where
