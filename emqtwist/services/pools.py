"""The workers of the core's pools as parts that a supervisor starts again.

The queue of a worker is the core's, so that nothing is lost with the part: while it is down, jobs wait.
"""
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from emqtwist.core.pool import OnFailure, Pool, Pools, Worker
from emqtwist.services.part import Part
from emqtwist.services.supervisor import Child, Row, Supervisor


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


class PoolSupervisor(Supervisor):
    """Starts the workers of a pool again, always and at once.

    A worker holds nothing that could be broken: it dies once for each job that fails, and no more. To pause, or to give up,
    would let a client that knows a defect stop the others.
    """

    def __init__(self, pool: Pool, clock: IReactorTime) -> None:
        children = [Child(str(number), partial(PoolWorker, worker)) for number, worker in enumerate(pool.workers)]
        super().__init__(pool.name, children, clock)

    def _note(self, row: Row, failure: Failure) -> None:
        super()._note(row, failure)
        row.attempts = 1

    def _exhausted(self) -> bool:
        return False


def pool_children(pools: Pools, clock: IReactorTime) -> list[Child]:
    """A row for each pool."""
    return [Child(pool.name, partial(PoolSupervisor, pool, clock)) for pool in pools.all()]
