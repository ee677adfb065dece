"""Threads for work that would block the broker.

The `Pool` is where jobs are given and wait; it outlives the `Pooler`, whose threads run them. All of the pool is the reactor
thread's; a thread gets one job at a time and gives its outcome back to the reactor.
"""
from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from emqtwist.config.sections.pooler import PoolerSection
from emqtwist.core.metrics import Metrics
from emqtwist.services.part import Killed, Part

PATIENCE: Final = 5.0  # seconds that running jobs have when the pooler stops
T = TypeVar("T")


class Refused(Exception):
    """The pool does not take a job: too many wait already, or it is closed."""


class Abandoned(Exception):
    """The pool was closed before the job had run."""


class Threads(Protocol):
    """What runs functions in other threads; Twisted's ThreadPool is one."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def callInThread(self, func: Callable[..., object], /, *args: object) -> object: ...
    def adjustPoolsize(self, minthreads: int, maxthreads: int) -> None: ...


class Job:
    """A function to call elsewhere; `done` gets what comes of it, None when nobody asks."""

    __slots__ = ("function", "arguments", "done")

    def __init__(self, function: Callable[..., object], arguments: tuple[object, ...], done: "Deferred[Any] | None") -> None:
        self.function = function
        self.arguments = arguments
        self.done = done


class Pool:
    """Jobs that wait in turn. `running` are those in threads now; jobs of `async_submit` that fail are counted in `metrics`.

    Jobs wait as well while no Pooler runs; `close` lets go of those that are left.
    """

    log = Logger()

    def __init__(self, section: PoolerSection, metrics: Metrics) -> None:
        self.section = section
        self.metrics = metrics
        self.waiting: deque[Job] = deque()
        self.running: set[Job] = set()
        self.closed = False
        self.serve: Callable[[], None] | None = None  # called when there is a job to run

    def submit(self, function: Callable[..., T], *arguments: object) -> "Deferred[T]":
        """Call `function(*arguments)` in a thread; what it gives or raises. Fails with Refused when too many wait.

        Cancelled, it is not called any more, or nobody hears of it.
        """
        done: Deferred[T] = Deferred(self._cancelled)
        try:
            self._add(Job(function, arguments, done))
        except Refused:
            done.errback()
        return done

    def async_submit(self, function: Callable[..., object], *arguments: object) -> None:
        """Call `function(*arguments)` in a thread; what it raises is logged and counted. Raises Refused when too many wait."""
        self._add(Job(function, arguments, None))

    def close(self) -> None:
        """Take no more jobs; who waits for one that has not ended hears Abandoned."""
        self.closed = True
        left, self.waiting, self.running = [*self.running, *self.waiting], deque(), set()
        for job in left:
            self._tell(job, Failure(Abandoned("the broker stops")))

    def configure(self, section: PoolerSection) -> None:
        self.section = section
        self._serve()

    def ended(self, job: Job, outcome: object) -> None:
        """A thread is done with `job`: a Failure, or what the function gave."""
        if job in self.running:
            self.running.remove(job)
            self._tell(job, outcome)

    def _add(self, job: Job) -> None:
        if self.closed:
            raise Refused("the pool is closed")
        if len(self.waiting) >= self.section.max_waiting:
            raise Refused(f"{len(self.waiting)} jobs wait for a thread, as many as may (pooler.max_waiting)")
        self.waiting.append(job)
        self._serve()

    def _serve(self) -> None:
        if self.serve is not None:
            self.serve()

    def _tell(self, job: Job, outcome: object) -> None:
        if job.done is not None:
            if not job.done.called:
                job.done.callback(outcome)  # a Failure goes to the errbacks
        elif isinstance(outcome, Failure):
            self.metrics.job_failures += 1
            self.log.failure("{function} failed in the pooler", outcome, function=_name(job.function))

    def _cancelled(self, done: "Deferred[Any]") -> None:
        for job in self.waiting:
            if job.done is done:
                self.waiting.remove(job)
                return


class Pooler(Part):
    """The threads of a Pool, `pooler.size` at most.

    An Exception of a job is its requester's affair. What is none, such as SystemExit, ends the Pooler as well: the supervisor
    starts another, which goes on with the jobs that wait. Jobs in threads are waited for a while when it stops; what they give
    later still reaches who asked, and none of them keeps the process from its end.
    """

    log = Logger()

    def __init__(self, pool: Pool, reactor: Any, make: "Callable[[int], Threads] | None" = None) -> None:
        self._pool = pool
        self._reactor = reactor
        self._make: Callable[[int], Threads] = make or _Daemons
        self._busy = 0
        self._idle: Deferred[None] | None = None

    def startService(self) -> None:
        super().startService()
        self._size = self._pool.section.size
        self._threads = self._make(self._size)
        self._threads.start()
        self._pool.serve = self.serve
        self.serve()

    def stopService(self) -> "Deferred[None]":
        super().stopService()
        if self._pool.serve == self.serve:
            self._pool.serve = None
        if self._busy:
            self._idle = Deferred()
            idle = self._idle.addTimeout(PATIENCE, self._clock()).addErrback(self._late)
        else:
            idle = succeed(None)
        return idle.addCallback(self._end)

    def serve(self) -> None:
        """Give jobs to the threads that are free."""
        if self._size != self._pool.section.size:
            self._size = self._pool.section.size
            self._threads.adjustPoolsize(0, self._size)
        while self.running and self._pool.waiting and self._busy < self._size:
            job = self._pool.waiting.popleft()
            self._pool.running.add(job)
            self._busy += 1
            self._threads.callInThread(self._run, job)

    def _run(self, job: Job) -> None:
        """In a thread."""
        outcome: object
        try:
            outcome = job.function(*job.arguments)
        except BaseException:
            outcome = Failure()
        self._reactor.callFromThread(self._ended, job, outcome)

    def _ended(self, job: Job, outcome: object) -> None:
        self._busy -= 1
        try:
            self._pool.ended(job, outcome)
        finally:
            if isinstance(outcome, Failure) and (outcome.check(Killed) or not outcome.check(Exception)):
                self.die(outcome)
            self.serve()
            if self._idle is not None and not self._busy and not self._idle.called:
                self._idle.callback(None)

    def _late(self, failure: Failure) -> None:
        failure.trap(TimeoutError)
        self.log.warn("{count} jobs still run in the pooler, and are waited for no longer", count=self._busy)

    def _end(self, _: None) -> None:
        """Off the reactor's thread: it joins the threads."""
        Thread(target=self._threads.stop, name="pooler-end", daemon=True).start()

    def _clock(self) -> IReactorTime:
        clock: IReactorTime = self._reactor
        return clock


class _Daemon(Thread):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.daemon = True


class _Daemons(ThreadPool):
    """Threads that do not keep the process from its end; none is there before it is needed."""

    threadFactory = _Daemon

    def __init__(self, size: int) -> None:
        super().__init__(0, size, "pooler")


def waiting(reactor: Any) -> int:
    """How many jobs wait in the reactor's own thread pool; asking does not make it one."""
    pool: ThreadPool | None = getattr(reactor, "threadpool", None)
    return 0 if pool is None else pool.q.qsize()


def _name(function: object) -> str:
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', repr(function))}"
