"""SQLiteStore: the broker's side of the store process, which it starts and watches.

Every request stays until it is answered. When the process dies, the next one is asked again, in the same order: a group
has its number and the name of this start stored with it, so it is never stored twice. The next one comes with the next
`start`, which whoever watches calls.
"""
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from emqtwist.core.records import LISTS, Fetch, Snapshot
from emqtwist.interfaces import IStore
from emqtwist.storage.errors import KINDS, Stopped, StoreError
from emqtwist.storage.sqlite.frames import DONE, FAILED, PART, Frames, frame

LONGEST_END: Final = 20.0  # seconds that it has to close the file; what is committed is safe without that
ATTEMPTS: Final = 3  # to start it for the first time
PROGRAM: Final = "import sys; sys.path.append({root!r}); from emqtwist.storage.sqlite.process import main; main()"


def command(program: str = PROGRAM) -> list[str]:
    """How to run the store process: with this Python, and this package, whatever the folder."""
    root = str(Path(__file__).parents[3])
    return [sys.executable, "-P", "-c", program.replace("{root!r}", repr(root))]


class StoreProcess(ProcessProtocol):
    """One run of the process: frames out and in, what it says on standard error, its end."""

    def __init__(self, store: "SQLiteStore") -> None:
        self.store = store
        self._frames = Frames()
        self.ended = False

    @property
    def process(self) -> Any:
        return self.transport

    def send(self, data: bytes) -> None:
        self.process.write(data)

    def kill(self) -> None:
        if not self.ended:
            with suppress(ProcessExitedAlready):
                self.process.signalProcess("KILL")

    def outReceived(self, data: bytes) -> None:
        for number, kind, value in self._frames.feed(data):
            self.store.answered(self, number, kind, value)

    def errReceived(self, data: bytes) -> None:
        self.store.log.error("the store process says: {text}", text=data.decode(errors="replace").rstrip())

    def childConnectionLost(self, descriptor: int) -> None:
        """Its standard output closes with it, also where nobody reaps children."""
        if descriptor == 1:
            self._end()

    def processEnded(self, reason: Failure) -> None:
        self._end()

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self.store.died(self)


class Request:
    """What was asked and not answered yet."""

    def __init__(self, data: bytes, repeated: bool) -> None:
        self.data = data
        self.repeated = repeated  # whether a new process is asked again
        self.parts: list[Any] = []
        self.answer: Deferred[Any] = Deferred()


@implementer(IStore)
class SQLiteStore:
    """The store in `folder`, which must be there. `durability`: `always`, `interval` or `off`."""

    log = Logger()

    def __init__(self, folder: Path, reactor: Any, durability: str = "always", sync_interval: float = 1.0,
                 max_size: int = 0) -> None:
        self._options = (str(folder.absolute()), token_hex(8), durability, sync_interval, max_size)
        self._spawner: IReactorProcess = reactor
        self._clock: IReactorTime = reactor
        self._process: StoreProcess | None = None
        self._requests: dict[int, Request] = {}
        self._last = 0
        self._opening = 0  # the number of the request to open
        self._ready = False
        self._running = False
        self._loading = self._loaded = False  # the snapshot was asked for, and given
        self._failures = 0
        self._started: Deferred[Snapshot | None] | None = None
        self._stopped: Deferred[None] | None = None
        self._watcher: Callable[[Exception], object] = _nobody

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return cast(int, self._process.process.pid) if self._process is not None else None

    # What IStore asks for.

    def start(self) -> "Deferred[Snapshot | None]":
        if not self._running:
            self._running, self._loading, self._loaded = True, False, False
        self._failures = 0
        self._started = Deferred()
        self._spawn()
        return self._started

    def watch(self, function: Callable[[Exception], object]) -> None:
        self._watcher = function

    def interrupt(self) -> Deferred[None]:
        if self._process is None:
            return succeed(None)
        self._stopped = Deferred()
        self._process.kill()
        return self._stopped

    def commit(self, number: int, records: Sequence[tuple[Any, ...]]) -> Deferred[None]:
        return self._ask("commit", number, list(records))

    def page(self, fetch: Fetch) -> "Deferred[tuple[list[tuple[Any, ...]], bool]]":
        return self._ask("page", fetch.session, fetch.after_rank, fetch.after_seq, fetch.limit_bytes)

    def info(self) -> Deferred[dict[str, float]]:
        return self._ask("info")

    def backup(self, target: Path) -> Deferred[int]:
        return self._ask("backup", str(target.absolute()), repeated=False)

    def check(self) -> Deferred[list[str]]:
        return self._ask("check")

    def stop(self) -> Deferred[None]:
        """Ends the process when it has closed the file; what is not answered by then fails."""
        if not self._running:
            return succeed(None)
        self._running = False
        if self._process is None:
            self._give_up(Stopped("the store was stopped"))
            return succeed(None)
        self._stopped = Deferred()
        self._last += 1
        self._process.send(frame((self._last, "stop", ())))
        patience = self._clock.callLater(LONGEST_END, self._process.kill)
        return self._stopped.addCallback(lambda _: patience.cancel() if patience.active() else None)

    # Requests.

    def _ask(self, operation: str, *arguments: object, repeated: bool = True) -> Deferred[Any]:
        if not self._running:
            return fail(Stopped("the store does not run"))
        self._last += 1
        request = Request(frame((self._last, operation, arguments)), repeated)
        self._requests[self._last] = request
        if self._ready and self._process is not None:
            self._process.send(request.data)
        return request.answer

    def answered(self, process: StoreProcess, number: int, kind: str, value: Any) -> None:
        """A frame came from a process."""
        if process is not self._process:
            return
        if number == self._opening:
            self._opened(kind, value)
            return
        request = self._requests.get(number)
        if request is None:
            return
        if kind == PART:
            request.parts.append(value)
            return
        del self._requests[number]
        if kind == DONE:
            request.answer.callback((value, request.parts) if request.parts else value)
        else:
            request.answer.errback(_error(kind, value))

    # The process.

    def _spawn(self) -> None:
        self._ready = False
        self._process = StoreProcess(self)
        arguments = command()
        self._spawner.spawnProcess(self._process, arguments[0], arguments, env=os.environ,
                                   childFDs={0: "w", 1: "r", 2: "r"})  # and no other
        self._last += 1
        self._opening = self._last
        self._process.send(frame((self._last, "open", self._options)))

    def _opened(self, kind: str, value: Any) -> None:
        if kind != DONE:
            self._refused(_error(kind, value))
            return
        self._ready = True
        assert self._process is not None
        for request in list(self._requests.values()):
            self._process.send(request.data)
        if self._loaded:
            self._give(None)
        elif not self._loading:
            self._loading = True
            self._ask("snapshot").addCallbacks(self._give, self._not_loaded)

    def _give(self, answer: Any) -> None:
        """It has started: with what is stored, if that was not given yet."""
        snapshot = None
        if answer is not None:
            highest, parts = answer if isinstance(answer[0], tuple) else (answer, [])
            lists: list[list[tuple[Any, ...]]] = [[] for _ in range(LISTS)]
            for which, rows in parts:
                lists[which] += rows
            snapshot = Snapshot(*highest, *lists)
        self._loaded = True
        started, self._started = self._started, None
        if started is not None:
            started.callback(snapshot)

    def _not_loaded(self, reason: Failure) -> None:
        self._refused(cast(BaseException, reason.value))

    def _refused(self, error: BaseException) -> None:
        """The store cannot be opened: at the first time that is the end, later it may be tried again."""
        process, started = self._process, self._started
        self._process, self._started = None, None
        if not self._loaded:
            self._running = False
        if process is not None:
            process.process.loseConnection()
        if started is not None:
            started.errback(error)

    def died(self, process: StoreProcess) -> None:
        """A process has ended."""
        if process is not self._process:
            return
        self._process, self._ready = None, False
        stopped, self._stopped = self._stopped, None
        if not self._running:
            self._give_up(Stopped("the store was stopped"))
        else:
            self._keep_requests()
        if stopped is not None:
            stopped.callback(None)
        elif self._running:
            self._lost()

    def _keep_requests(self) -> None:
        """For the next process; what it cannot do again has failed."""
        for number in [number for number, request in self._requests.items() if not request.repeated]:
            self._requests.pop(number).answer.errback(Stopped("the store process ended"))
        for request in self._requests.values():
            request.parts.clear()

    def _lost(self) -> None:
        """It ended by itself. One that has not told yet what is stored is replaced: nobody can do so before the start is over."""
        self._failures += 1
        if self._started is None:
            self._watcher(StoreError("the store process ended"))
        elif self._failures < ATTEMPTS:
            self._spawn()
        else:
            self._refused(StoreError("the store process cannot be started, or ends at once"))

    def _give_up(self, error: StoreError) -> None:
        """Nobody waits any more; who waits for the first start is told by whoever gave that up."""
        if self._loaded and self._started is not None:
            started, self._started = self._started, None
            started.errback(error)
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.answer.errback(error)


def _nobody(error: Exception) -> None:
    """Watches nothing."""


def _error(kind: str, value: Any) -> StoreError:
    """What went wrong, in words that a client may see; a traceback of the process is for the log."""
    if kind == FAILED:
        name, text = value
        return KINDS[name](text)
    SQLiteStore.log.error("defect in the store process: {traceback}", traceback=value)
    return StoreError("a defect of the store process")
