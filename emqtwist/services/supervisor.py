"""Supervisor: starts parts in order, starts again what died, and gives up when that happens too often.

All that changes the children goes through one lock, so a death that comes while others are stopped or started waits for its
turn; by then its part may have been replaced, and the death concerns nobody any more.
"""
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.services.part import Killed, Part

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
State = Literal["stopped", "starting", "running", "waiting", "stopping", "ended"]

FIRST_PAUSE: Final = 0.1  # seconds before the second attempt in a row; the first comes at once
LONGEST_PAUSE: Final = 5.0


@dataclass(frozen=True)
class Child:
    """How to make a part, and when to make it again.

    `make` gives a fresh service each time; what has to outlive it belongs to whoever calls. `permanent` parts are always
    started again, `transient` ones when they died, `temporary` ones never. `patience` is how many seconds its start and its
    stop may take; `takes` says what its start has to do, where that may take long.
    """

    name: str
    make: Callable[[], IService]
    restart: Restart = "permanent"
    patience: float = 10.0
    takes: str = ""


class Exhausted(Exception):
    """The parts of a supervisor died more often than it may start them again."""


class Row:
    """A child as it is now: `service` is the one in use, `restarts` how often it was started again, `since` when it began.

    `failure` is why it last died, None if it never did. `attempts` counts deaths in a row. `is_off`: somebody has stopped it.
    """

    def __init__(self, child: Child, service: IService) -> None:
        self.child = child
        self.service = service
        self.state: State = "stopped"
        self.restarts = self.attempts = 0
        self.since = 0.0
        self.failure: Failure | None = None
        self.pause: IDelayedCall | None = None
        self.is_off = False


class Supervisor(MultiService):
    """A service of services. `intensity` restarts within `period` seconds are borne; one more ends the supervisor itself.

    With an `intensity` of `inf` it never gives up.

    Its own `ended` then fires with Exhausted, which the supervisor above takes as any other death; at the root, whoever runs
    the process does. `startService` gives a Deferred that fires when all parts have started, or with the failure of the first
    that could not; those before it are stopped again.
    """

    log = Logger()

    def __init__(self, name: str, children: Sequence[Child], clock: IReactorTime, strategy: Strategy = "one_for_one",
                 intensity: float = 10, period: float = 60.0) -> None:
        super().__init__()
        self.setName(name)
        self.strategy = strategy
        self.ended: Deferred[None] = Deferred()
        self.rows: dict[str, Row] = {}
        self._clock = clock
        self._intensity = intensity
        self._period = period
        self._times: deque[float] = deque()  # of the last restarts
        self._lock = DeferredLock()
        self._starting: Deferred[None] | None = None  # the start of all, while it lasts
        for child in children:
            self.add(child)

    # What others call.

    def add(self, child: Child, first: bool = False) -> "Deferred[None]":
        """One more child, the last in order, or the `first`; started at once while the supervisor runs."""
        if child.name in self.rows:
            raise ValueError(f"{self.name} has a part {child.name} already")
        row = Row(child, self._make(child))
        self.rows = {child.name: row, **self.rows} if first else {**self.rows, child.name: row}
        return self._locked(self._start, row) if self.running else succeed(None)

    def remove(self, name: str) -> "Deferred[None]":
        """Stop a child and forget it; KeyError when there is none of this name."""
        return self._locked(self._remove, self.rows[name])

    def stop(self, path: str) -> "Deferred[None]":
        """Stop the part at a path; KeyError when there is none.

        It stays so until its restart, or until all is stopped and started: what is above may die or be restarted meanwhile.
        """
        above, row = self._at(path)
        return above._locked(above._turn_off, row)

    def restart(self, path: str) -> "Deferred[None]":
        """Stop the part at a path and start a fresh one in its place; KeyError when there is none.

        One that cannot be started fails this, and counts as one that died.
        """
        above, row = self._at(path)
        return above._locked(above._replace, row)

    def find(self, path: str) -> Row:
        """The part at a path, `bridges/berlin`; KeyError when there is none."""
        return self._at(path)[1]

    def _at(self, path: str) -> "tuple[Supervisor, Row]":
        name, _, rest = path.partition("/")
        row = self.rows[name]
        if not rest:
            return self, row
        if not isinstance(row.service, Supervisor):
            raise KeyError(path)
        return row.service._at(rest)

    def walk(self, path: str = "") -> Iterator[tuple[str, Row]]:
        """Every part below with its path, `bridges/berlin`, parents first."""
        for name, row in self.rows.items():
            yield path + name, row
            if isinstance(row.service, Supervisor):
                yield from row.service.walk(f"{path}{name}/")

    # As a service.

    def privilegedStartService(self) -> None:
        for row in self._wanted():
            row.service.privilegedStartService()

    def startService(self) -> "Deferred[None]":
        self.running = 1
        self.ended = Deferred()
        return self._locked(self._start_all)

    def stopService(self) -> "Deferred[None]":
        self.running = 0
        if self._starting is not None:
            self._starting.cancel()
        for row in self.rows.values():
            row.is_off = False
        return self._locked(self._stop, list(self.rows.values()))

    def kill(self, path: str = "") -> None:
        """End the part at a path as a defect would, KeyError when there is none; without a path, itself as exhaustion would."""
        if not path:
            self._locked(self._give_up, Failure(Killed(f"{self.name} was killed")))
            return
        above, row = self._at(path)
        if isinstance(row.service, Part | Supervisor):
            row.service.kill()
        else:
            above._locked(above._died, row, row.service, Failure(Killed(f"{row.child.name} was killed")))

    # What happens under the lock.

    def _locked(self, function: "Callable[..., Coroutine[Deferred[Any], Any, None]]", *arguments: object) -> "Deferred[None]":
        return self._lock.run(lambda: Deferred.fromCoroutine(function(*arguments)))

    async def _start_all(self) -> None:
        started: list[Row] = []
        for row in self._wanted():
            started.append(row)
            self._starting = Deferred.fromCoroutine(self._start(row))
            try:
                await self._starting
            except BaseException as error:
                was_stopped = isinstance(error, CancelledError) and not self.running
                self.running = 0
                self._starting = None
                await self._stop(started)
                if was_stopped:
                    return
                raise
            self._starting = None
            if not self.running:
                return

    async def _start(self, row: Row) -> None:
        row.state = "starting"
        row.since = self._clock.seconds()
        await self._bounded(row, row.service.startService)
        row.state = "running"
        ended: Deferred[Any] | None = getattr(row.service, "ended", None)
        if ended is not None:
            ended.addBoth(self._ended, row, row.service)
            ended.addErrback(self._defect)

    def _ended(self, result: Failure | None, row: Row, service: IService) -> "Deferred[None]":
        """A part stopped by itself."""
        if isinstance(result, Failure):
            return self._locked(self._died, row, service, result)
        return self._locked(self._finished, row, service)

    def _defect(self, failure: Failure) -> None:
        self.log.failure("defect in {supervisor}", failure, supervisor=self.name)

    async def _stop(self, rows: list[Row]) -> None:
        """In reverse order; what fails or lasts too long is logged, and does not keep the others."""
        for row in reversed(rows):
            if row.state in ("stopped", "ended"):
                continue
            if row.pause is not None and row.pause.active():
                row.pause.cancel()
            row.state = "stopping"
            try:
                await self._bounded(row, row.service.stopService)
            except Exception:
                self.log.failure("{part} of {supervisor} did not stop as it should", part=row.child.name, supervisor=self.name)
            row.state = "stopped"

    async def _turn_off(self, row: Row) -> None:
        row.is_off = True
        await self._stop([row])

    def _off(self) -> list[str]:
        """The paths of the parts below that somebody has stopped."""
        return [path for path, row in self.walk() if row.is_off]

    def _wanted(self) -> list[Row]:
        return [row for row in self.rows.values() if not row.is_off]

    async def _remove(self, row: Row) -> None:
        await self._stop([row])
        del self.rows[row.child.name]
        row.service.disownServiceParent()

    async def _renew(self, rows: list[Row]) -> None:
        """Stop these, and start fresh ones in their place."""
        off = [row.service._off() if isinstance(row.service, Supervisor) else [] for row in rows]
        await self._stop(rows)
        for row, paths in zip(rows, off, strict=True):
            row.state = "starting"
            if row.service.parent is not None:  # it has none when none could be made after it
                row.service.disownServiceParent()
            row.service = self._make(row.child)
            if isinstance(row.service, Supervisor):
                for path, below in row.service.walk():
                    below.is_off = path in paths
            row.service.privilegedStartService()
            await self._start(row)

    async def _replace(self, row: Row) -> None:
        row.is_off = False
        try:
            await self._renew([row])
        except Exception:
            await self._died(row, row.service, Failure())
            raise

    async def _finished(self, row: Row, service: IService) -> None:
        if row.service is service and self.running:
            if row.child.restart == "permanent":
                await self._died(row, service, Failure(RuntimeError(f"{row.child.name} ended, but is permanent")))
            else:
                row.state = "ended"

    async def _died(self, row: Row, service: IService, failure: Failure) -> None:
        if not self._is_meant(row, service):
            return
        self._note(row, failure)
        if row.child.restart == "temporary":
            await self._stop([row])
            row.state = "ended"
        elif self._exhausted():
            await self._give_up(failure)
        elif row.attempts < 2:
            await self._again(row, service)
        else:  # others must not wait for it, so the lock is free meanwhile
            row.state = "waiting"
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(row.attempts - 2, 10))
            row.pause = self._clock.callLater(pause, self._locked, self._again, row, service)

    def _is_meant(self, row: Row, service: IService) -> bool:
        """Whether a death concerns a part still: it was not replaced, nor stopped or removed, while that waited its turn."""
        return row.service is service and row.state != "stopped" and bool(self.running)

    async def _again(self, row: Row, service: IService) -> None:
        if not self._is_meant(row, service):
            return
        row.restarts += 1
        try:
            await self._renew(self._concerned(row))
        except Exception:
            failed = next(each for each in self._concerned(row) if each.state == "starting")
            await self._died(failed, failed.service, Failure())

    def _note(self, row: Row, failure: Failure) -> None:
        ran = self._clock.seconds() - row.since
        row.attempts = 1 if row.state == "running" and ran > self._period else row.attempts + 1
        row.failure = failure
        if failure.getTracebackObject() is None:  # nothing was raised here: a process or a port is gone, or somebody ended it
            self.log.error("{part} of {supervisor} died: {reason}", part=row.child.name, supervisor=self.name,
                           reason=failure.getErrorMessage())
        else:
            self.log.failure("{part} of {supervisor} died", failure, part=row.child.name, supervisor=self.name)

    def _exhausted(self) -> bool:
        now = self._clock.seconds()
        self._times.append(now)
        while self._times[0] <= now - self._period:
            self._times.popleft()
        return len(self._times) > self._intensity

    async def _give_up(self, failure: Failure) -> None:
        self.running = 0
        reason = failure.getErrorMessage()
        if len(self._times) > self._intensity:
            reason = f"its parts died {len(self._times)} times within {self._period} s, the last time: {reason}"
        self.log.critical("{supervisor} gives up: {reason}", supervisor=self.name, reason=reason)
        await self._stop(list(self.rows.values()))
        error = Exhausted(f"{self.name}: {failure.getErrorMessage()}")
        error.__cause__ = failure.value
        self.ended.errback(Failure(error))

    def _concerned(self, row: Row) -> list[Row]:
        """Which parts a death takes with it."""
        rows = self._wanted()
        if self.strategy == "one_for_all":
            return rows
        return rows[rows.index(row):] if self.strategy == "rest_for_one" else [row]

    def _make(self, child: Child) -> IService:
        service = child.make()
        service.setName(child.name)
        service.setServiceParent(self)
        return service

    def addService(self, service: IService) -> None:
        """Take a part in, without starting it: that has its order. Called by `setServiceParent`."""
        running, self.running = self.running, 0
        super().addService(service)
        self.running = running

    def removeService(self, service: IService) -> None:
        """Let go of a part that was stopped."""
        running, self.running = self.running, 0
        super().removeService(service)
        self.running = running

    async def _bounded(self, row: Row, function: "Callable[[], Awaitable[None] | None]") -> None:
        done: Deferred[Any] = maybeDeferred(function)
        await done.addTimeout(row.child.patience, self._clock)
