"""A service whose end its supervisor sees."""
from collections.abc import Callable

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

    def startService(self) -> "Deferred[None] | None":
        super().startService()
        self.ended = Deferred()
        return None

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

    def guard(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function of this part, while it runs: what it raises is the part's death."""
        if not self.running:
            return
        try:
            function(*arguments)
        except Exception:
            self.die(Failure())

    def kill(self) -> None:
        """End it as a defect would; what it holds outside of itself stays."""
        self.die(Failure(Killed(f"{self.name} was killed")))
