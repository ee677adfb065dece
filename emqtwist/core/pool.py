"""Pools of workers: who changes a table does so in a job, one at a time for each key.

An idle worker runs a job at once, in the turn of whoever submits it. Jobs queue in two cases: behind one of their own key that
waits for something, and while their worker is down. Jobs of other keys go on, so that one that waits holds up nobody who
merely has the same worker.

What a job raises is a defect. It costs the job alone, whose requester is told by `failed`; the worker is down until somebody
starts it again, and then goes on with its other jobs. Whatever a job refuses is no defect, and the job keeps it to itself.
"""
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from emqtwist.core.link import Link, Turn
from emqtwist.core.pending import Pending, Waiting

Key = str | bytes
D = TypeVar("D")

WORKERS: Final = 8
SPARE: Final = 1000  # jobs that may queue before those are looked for that nobody wants any more


class Job:
    """One change, for one key. `over` once it took effect or failed, `error` is why it failed; `waits` is for what it waits,
    `then` for whom it is over.
    """

    __slots__ = ("key", "over", "error", "waits", "then")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.over = False
        self.error: Exception | None = None
        self.waits: Waiting | None = None
        self.then: Pending[bool] | None = None

    def run(self) -> None:
        """Do it, or a part of it and `wait`."""
        raise NotImplementedError

    def failed(self) -> None:
        """`error` has ended it: leave nothing half done. What this raises is ignored."""

    def wait(self, pending: Pending[D], take: Callable[[Link, D], None]) -> None:
        """Go on with `take` once `pending` is decided; to be called last."""
        pending.hold(None, take)
        self.waits = pending

    def when_over(self) -> Pending[bool]:
        """Decided when the job is over: whether it took effect. Nobody waits for what is cancelled, nor is it run."""
        if self.then is None:
            self.then = Pending(self.error is None if self.over else None)
        return self.then

    def unwanted(self) -> bool:
        """Whether who waited for it is gone; what has begun is done all the same."""
        return self.waits is None and self.then is not None and self.then.cancelled

    def finish(self) -> None:
        """It is over."""
        self.over = True
        then, self.then = self.then, None
        if then is not None:
            then.resume(self.error is None)


class Line:
    """The jobs of one key, in order, while the first one waits or their worker is down; `link` waits for the first."""

    __slots__ = ("link", "jobs")

    def __init__(self, worker: "Worker", key: Key) -> None:
        self.link = Link(worker.turn)
        self.link.owner = Going(worker, key)
        self.jobs: deque[Job] = deque()


class Going:
    """What owns the link of a line: to the turn it is one that goes on in a flush, as a connection does that waited."""

    __slots__ = ("worker", "key")

    def __init__(self, worker: "Worker", key: Key) -> None:
        self.worker = worker
        self.key = key

    def proceed(self) -> None:
        self.worker.go_on(self.key)

    def flush(self) -> None:
        """There is never anything to send."""


class Worker:
    """Runs the jobs of its keys. `lines` are the keys that have jobs which cannot run now, `queued` how many these are.

    A worker whose job raised something is down, and `on_failure` is called: whoever that is calls `start`, at once or later.
    """

    __slots__ = ("name", "turn", "up", "lines", "queued", "on_failure", "_enough")

    def __init__(self, name: str, turn: Turn, on_failure: "OnFailure") -> None:
        self.name = name
        self.turn = turn
        self.up = True
        self.lines: dict[Key, Line] = {}
        self.queued = 0
        self.on_failure = on_failure
        self._enough = SPARE

    def submit(self, job: Job) -> None:
        """Run the job now if nothing is before it.

        A job that a running one submits under its own key is part of that one, and runs within it.
        """
        if self.up and not (self.lines and job.key in self.lines):
            self.run(job)
        else:
            self._enqueue(job)
            if self.queued > self._enough:
                self._leave_out()

    def stop(self) -> None:
        """Be down: all that comes queues, and so does what waits."""
        self.up = False

    def start(self) -> None:
        """Be up, and go on in the next flush with what queued."""
        self.up = True
        for line in self.lines.values():
            self.turn.proceed(line.link)

    def go_on(self, key: Key) -> None:
        """Run what can be run of a line."""
        line = self.lines.get(key)
        while line is not None and self.up:
            job = line.jobs[0]
            if job.waits is not None and not job.waits.is_decided():
                return
            del self.lines[key]  # what the job submits under its own key is part of it
            line.jobs.popleft()
            self.queued -= 1
            if not job.unwanted():
                self.run(job)
            line = self._join(key, line)

    def _join(self, key: Key, rest: Line) -> Line | None:
        """Put the rest of a line behind what is left of the job that was before it."""
        line = self.lines.get(key)
        if line is not None:
            line.jobs.extend(rest.jobs)
        elif rest.jobs:
            line = self.lines[key] = rest
        return line

    def run(self, job: Job) -> None:
        """The next step of a job whose key is free. If it waits it is the first in line, but for parts of it that wait too."""
        waited = job.waits
        try:
            if waited is None:
                job.run()
            else:
                job.waits = None
                waited.proceed()
        except Exception as error:
            self.fail(job, error)
            return
        if job.waits is None:
            job.over = True
            if job.then is not None:
                job.finish()
        else:
            line = self._enqueue(job)
            if job.waits.is_decided():
                self.turn.proceed(line.link)

    def fail(self, job: Job, error: Exception) -> None:
        """The job is over, the worker down; `on_failure` may start it at once."""
        self.up = False
        job.error = error
        job.waits = None
        try:
            job.failed()
        except Exception as second:
            second.__context__ = error
            error = second
        job.finish()
        self.on_failure(self, error)

    def _enqueue(self, job: Job) -> Line:
        line = self.lines.get(job.key)
        if line is None:
            line = self.lines[job.key] = Line(self, job.key)
        line.jobs.append(job)
        self.queued += 1
        if job.waits is not None:
            job.waits.link = line.link
        return line

    def _leave_out(self) -> None:
        """Forget the jobs of those who are gone, or a client that comes and goes would make the queue grow without end."""
        for key, line in list(self.lines.items()):
            wanted = deque([job for job in line.jobs if not job.unwanted()])
            self.queued -= len(line.jobs) - len(wanted)
            line.jobs = wanted
            if not wanted:
                del self.lines[key]
        self._enough = 2 * self.queued + SPARE


OnFailure = Callable[[Worker, Exception], None]


class Pool:
    """Workers among whom the keys are divided."""

    __slots__ = ("name", "workers")

    def __init__(self, name: str, turn: Turn, on_failure: OnFailure, size: int = WORKERS) -> None:
        self.name = name
        self.workers = [Worker(f"{name}/{number}", turn, on_failure) for number in range(size)]

    def worker(self, key: Key) -> Worker:
        return self.workers[hash(key) % len(self.workers)]

    def is_busy(self, key: Key) -> bool:
        """Whether a job of this key waits."""
        return key in self.worker(key).lines

    def submit(self, job: Job) -> None:
        """Let the worker of its key do it."""
        worker = self.workers[hash(job.key) % len(self.workers)]
        if worker.up and not worker.lines:
            worker.run(job)
        else:
            worker.submit(job)


class Pools:
    """`sm`, by Client Identifier: sessions are opened, resumed, taken over, ended. `server`, by Client Identifier: a subscriber's
    own subscriptions. `pubsub`, by Topic Filter: the tables that routes are made of.
    """

    __slots__ = ("sm", "server", "pubsub")

    def __init__(self, turn: Turn, on_failure: OnFailure) -> None:
        self.sm = Pool("sm", turn, on_failure)
        self.server = Pool("server", turn, on_failure)
        self.pubsub = Pool("pubsub", turn, on_failure)

    def all(self) -> list[Pool]:
        return [self.sm, self.server, self.pubsub]
