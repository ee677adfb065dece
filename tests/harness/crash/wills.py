"""Clients that leave a Will with each connection, and what has to become of it."""
import time
from typing import Final

from emqtwist.mqtt.packets import Will
from emqtwist.mqtt.properties import Properties
from tests.harness.crash.client import Client, Found, Loop

TOPIC: Final = b"w/x"
MARGIN: Final = 0.5  # seconds within which it cannot be said whether a client was back in time


class Testator(Client):
    """Has a Will in each connection, at QoS 2, its payload numbered; `delay` is its Will Delay Interval."""

    def __init__(self, loop: Loop, port: int, client_id: str, delay: int = 0) -> None:
        super().__init__(loop, port, client_id)
        self.delay = delay
        self.due: set[bytes] = set()  # Wills that have to be published
        self.cancelled: set[bytes] = set()  # and those that must not be
        self.current = b""  # that of the connection that was accepted last
        self._count = 0
        self._offered = b""
        self._lost = 0.0  # when the connection was found to have ended

    def next_will(self) -> Will:
        self._count += 1
        self._offered = b"%s %s 2 %d" % (self.client_id.encode(), TOPIC, self._count)
        if self._lost == 0.0:
            self._lost = time.monotonic()  # taken over
        properties = Properties()
        properties.will_delay_interval = self.delay
        return Will(TOPIC, self._offered, 2, properties=properties)

    def drop(self) -> None:
        if self.connected:
            self._lost = time.monotonic()
        super().drop()

    def got_session(self, present: bool) -> None:
        """What this connection has replaced was due, or is taken back; a moment later both may be."""
        super().got_session(present)
        if not self.current:
            pass  # the first
        elif not self.delay:
            self.due.add(self.current)
        elif time.monotonic() - self._lost < self.delay - MARGIN:
            self.cancelled.add(self.current)
        self.current = self._offered
        self._lost = 0.0

    def verify(self, published: set[bytes]) -> None:
        """The last connection ended, too, and nobody came back."""
        self.due.add(self.current)
        lacking, surplus = self.due - published, self.cancelled & published
        if lacking:
            raise Found(f"the Wills {sorted(lacking)[:5]} were not published")
        if surplus:
            raise Found(f"the Wills {sorted(surplus)[:5]} were published, and {self.client_id} was back in time")
