"""The store as a part: started, told when it ended by itself, started again."""
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from emqtwist.core.records import Snapshot
from emqtwist.interfaces import IStore
from emqtwist.services.part import Killed, Part


class Storing(Part):
    """Runs `store`; `recover` gets what it has, once.

    Requests wait from a stop to the next start, until the store itself is stopped.
    """

    def __init__(self, store: IStore, recover: Callable[[Snapshot], None]) -> None:
        self._store = store
        self._recover = recover

    def startService(self) -> "Deferred[None]":
        super().startService()
        self._store.watch(self._lost)
        return self._store.start().addCallback(self._started)

    def _lost(self, reason: Exception) -> None:
        self.die(Failure(reason))

    def _started(self, snapshot: Snapshot | None) -> None:
        if snapshot is not None:
            self._recover(snapshot)

    def stopService(self) -> "Deferred[None]":
        super().stopService()
        return self._store.interrupt()

    def kill(self) -> None:
        """Its process is killed too: the requests under way are asked again."""
        self._store.interrupt().addCallback(lambda _: self.die(Failure(Killed(f"{self.name} was killed"))))
