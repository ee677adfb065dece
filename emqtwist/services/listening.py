"""A listener as a part: it accepts while it runs, and dies with its port."""
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from emqtwist.net.listeners import Listener
from emqtwist.services.part import Part


class Listening(Part):
    """Accepts at a Listener while it runs. Starting raises CannotListenError when the port cannot be had."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self.listener.bind()

    def startService(self) -> None:
        self.listener.accept()
        super().startService()
        self.listener.watch = self._lost

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.listener.watch = None
        return self.listener.close()

    def _lost(self) -> None:
        self.die(Failure(ConnectionLost(f"{self.listener.name} has lost its port")))
