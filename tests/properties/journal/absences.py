"""How long a client has been away, as far as its broker can know it: what may and what must have fallen due."""
from typing import Final

from emqtwist.mqtt.packets import Will
from tests.properties.journal.clients import Client

DUE: Final = "due"
IN_TIME: Final = "in time"
UNKNOWN: Final = "unknown"


class Absence:
    """Between two connections of a client, something falls due after `delay` seconds, and is cancelled by coming back before.

    That a connection ended may be lost with the broker: then it ended with that. So does a connection that was asked for and
    not accepted. `lost` and `latest`: on the wall, when the connection ended at the earliest and at the latest.
    """

    def __init__(self, client: Client, delay: float) -> None:
        self.client = client
        self.delay = delay
        self.lost: float | None = None
        self.latest = 0.0
        self.stored = False
        self.blurred = False

    def begin(self, now: float) -> None:
        """The connection ended."""
        if self.lost is None:
            self.lost = self.latest = now
            self.stored = False

    def committed(self) -> None:
        self.stored = True

    def crashed(self, now: float) -> None:
        self.begin(now)
        if not self.stored or self.blurred:
            self.latest = now
        self.stored = False

    def back(self, now: float) -> str:
        """What a CONNECT at this time finds, if it is accepted."""
        if self.lost is None or self.blurred:
            return DUE if self.lost is not None and now >= self.latest + self.delay else UNKNOWN
        if now >= self.latest + self.delay:
            return DUE
        return IN_TIME if now < self.lost + self.delay else UNKNOWN

    def unanswered(self) -> None:
        """The broker crashed before that CONNECT was accepted."""
        self.blurred = True

    def over(self) -> None:
        """The CONNECT is accepted."""
        self.lost, self.blurred = None, False


class Testator:
    """A client of which it is known what its absences bring about: whether its session, and which of its Wills.

    `due` are payloads of Wills that have to arrive, once, `cancelled` those that must not.
    """

    def __init__(self, client: Client, delay: float) -> None:
        self.client = client
        self.absence = Absence(client, delay)
        self.due: set[bytes] = set()
        self.cancelled: set[bytes] = set()
        self.asked = ""  # what the CONNECT under way finds
        self._will: Will | None = None  # of the connection that was accepted last, as long as something is to be said of it
        self._offered: Will | None = None
        self._withdrawn = False

    def connect(self, will: Will | None) -> None:
        self.drop()
        self.asked = self.absence.back(self.client.world.wall)
        self._offered = will
        self.client.connect(will)

    def drop(self) -> None:
        self.ended()
        self.client.drop()

    def disconnect(self) -> None:
        self._withdrawn = self._withdrawn or self.client.here
        self.ended()
        self.client.disconnect()

    def ended(self) -> None:
        """The connection ends, if there is one, or does with the broker."""
        now = self.client.world.wall
        if self.asked:
            self._unanswered()
            self.absence.begin(now)
            self.absence.latest = now
            self.absence.stored = False
        elif self.client.here:
            self.absence.begin(now)

    def committed(self) -> None:
        """All that the broker has done is stored."""
        self.absence.committed()
        if self._withdrawn and self._will is not None:
            self.cancelled.add(self._will.payload)
            self._will = None

    def crashed(self) -> None:
        """The broker is back."""
        if self.asked:
            self._unanswered()
        if self._withdrawn:
            self._will = None  # perhaps
        self.absence.crashed(self.client.world.wall)

    def _unanswered(self) -> None:
        if self.asked != DUE:
            self._will = None  # taken back, perhaps
        self.asked = ""
        self.absence.unanswered()

    def look(self) -> str:
        """What an accepted CONNECT was to find; nothing when none was."""
        if not self.client.here or not self.asked:
            return ""
        found, self.asked = self.asked, ""
        if self._will is not None and found != UNKNOWN and not self._withdrawn:
            (self.due if found == DUE else self.cancelled).add(self._will.payload)
        self._will, self._withdrawn = self._offered, False
        self.absence.over()
        return found
