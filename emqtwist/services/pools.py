"""The workers of the core's pools as parts that a supervisor starts again.

The queue of a worker is the core's, so that nothing is lost with the part: while it is down, jobs wait.
"""
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from emqtwist.core.pool import OnFailure, Pool, Pools, Worker
from emqtwist.services.part import Part
from emqtwist.services.supervisor import Child, Supervisor

BURST = 100  # restarts within a period that a supervisor bears: more than its back-off lets happen
PERIOD = 1.0  # seconds; a worker that has run longer is started again at once


class PoolWorker(Part):
    """Stands for a Worker: dies when one of its jobs fails, and goes on with the others when it is started again."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._before: OnFailure | None = None

    def startService(self) -> None:
        super().startService()
        self._before, self.worker.on_failure = self.worker.on_failure, self._failed
        self.worker.start()

    def stopService(self) -> None:
        """From here on nobody supervises the worker, which goes on by itself: sessions end after this, too."""
        super().stopService()
        if self._before is not None:
            self.worker.on_failure, self._before = self._before, None
        self.worker.start()

    def die(self, failure: Failure) -> None:
        self.worker.stop()
        super().die(failure)

    def _failed(self, worker: Worker, error: Exception) -> None:
        self.die(Failure(error))


def pool_supervisor(pool: Pool, clock: IReactorTime) -> Supervisor:
    """The supervisor of a pool; it never gives up, for a client that knows a defect could otherwise stop the broker."""
    children = [Child(str(number), partial(PoolWorker, worker)) for number, worker in enumerate(pool.workers)]
    return Supervisor(pool.name, children, clock, "one_for_one", BURST, PERIOD)


def pool_children(pools: Pools, clock: IReactorTime) -> list[Child]:
    """A row for each pool."""
    return [Child(pool.name, partial(pool_supervisor, pool, clock)) for pool in pools.all()]
