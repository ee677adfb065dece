"""A request with a result for each of its Topic Filters: SUBSCRIBE and UNSUBSCRIBE, which are `core.subscribing`."""
from collections.abc import Callable
from typing import Final, cast

from emqtwist.core.connection import Connection
from emqtwist.core.link import Link
from emqtwist.core.pool import Job
from emqtwist.core.session import Session
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscriptions import Write
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError

DEFECT: Final = "a defect of the broker kept it from doing this"
FATAL: Final = (c.MALFORMED_PACKET, c.PROTOCOL_ERROR)  # they end the connection


class Request(Job):
    """A SUBSCRIBE or UNSUBSCRIBE, a job of the server pool; each filter is one of the pubsub pool.

    `reason_codes` grow filter by filter, in order. `current` is what is being written, by `write`. `fatal` ends the connection.
    """

    __slots__ = ("connection", "session", "packet_id", "reason_codes", "reasons", "count", "current", "write", "fatal")

    def __init__(self, connection: Connection, session: Session, packet_id: int, count: int) -> None:
        Job.__init__(self, session.client_id)
        self.connection = connection
        self.session = session
        self.packet_id = packet_id
        self.count = count
        self.reason_codes: list[int] = []
        self.reasons: list[str] = []
        self.current: Subscription | None = None
        self.write: Write | None = None
        self.fatal: MQTTError | None = None

    def run(self) -> None:
        journal = self.connection.broker.journal
        if journal is not None:
            self.connection.since = journal.count
        self.go_on()

    def go_on(self) -> None:
        """Serve one filter after the other, until one has to wait."""
        while len(self.reason_codes) < self.count and self.fatal is None and self.waits is None:
            self.step(self.begin)

    def step(self, begin: Callable[[], Write | None]) -> None:
        """Begin with a filter, and finish it if it need not wait."""
        try:
            write = begin()
        except MQTTError as error:
            self.refuse(error)
            return
        if write is None:
            return
        if write.over:
            self.note(write)
        else:
            self.write = write
            self.wait(write.when_over(), self.written)

    def begin(self) -> Write | None:
        """Begin with the next filter; None when nothing is to be written, or not yet."""
        raise NotImplementedError

    def note(self, write: Write) -> None:
        """The write is over."""
        raise NotImplementedError

    def undo(self) -> None:
        """`current` was not written, or not wholly."""
        raise NotImplementedError

    def answer(self, connection: Connection) -> None:
        """Tell the client."""
        raise NotImplementedError

    def refuse(self, error: MQTTError) -> None:
        if error.reason_code in FATAL:  # [MQTT-3.8.3-1] [MQTT3-3.8.3-1]
            self.fatal = error
        else:
            self.reason_codes.append(error.reason_code)  # [MQTT-3.8.4-7]
            self.reasons.append(error.reason)

    def give_up(self, error: Exception) -> None:
        """`current` failed."""
        self.undo()
        self.current = None
        self.refuse(error if isinstance(error, MQTTError) else MQTTError(DEFECT, c.UNSPECIFIED_ERROR))

    def written(self, link: Link, decision: bool) -> None:
        if self.write is not None:
            self.note(self.write)
        self.go_on()

    def failed(self) -> None:
        """What is not done yet is refused."""
        left = self.count - len(self.reason_codes)
        self.reason_codes += [c.UNSPECIFIED_ERROR] * left
        self.reasons.append(DEFECT)
        if self.current is not None:
            self.undo()

    def done(self, link: Link, decision: bool) -> None:
        self.answer(cast(Connection, link))
