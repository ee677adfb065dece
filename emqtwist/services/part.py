"""A service whose end its supervisor sees."""
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


class Killed(Exception):
    """Somebody ended this part on purpose."""


class Part(Service):
    """A Service that can end by itself: `ended` fires with None when its work is done, with a Failure when it died.

    There is a fresh `ended` for each start. After `stopService` it fires no more.
    """

    ended: "Deferred[None]"

    def startService(self) -> None:
        super().startService()
        self.ended = Deferred()

    def finish(self) -> None:
        """Its work is done."""
        if self.running:
            self.running = 0
            self.ended.callback(None)

    def die(self, failure: Failure) -> None:
        """It cannot go on."""
        if self.running:
            self.running = 0
            self.ended.errback(failure)

    def kill(self) -> None:
        """End it as a defect would; what it holds outside of itself stays."""
        self.die(Failure(Killed(f"{self.name} was killed")))
