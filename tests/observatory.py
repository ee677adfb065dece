"""A broker in memory whose clients are traced, with threads that a test runs."""
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from emqtwist.mqtt import constants as c
from emqtwist.services.trace import Trace
from tests.desks import Customer, Desk
from tests.threads import HeldThreads
from tests.wires import Caller


class ThreadedReactor(MemoryReactorClock):
    """Can be called from threads; here they are none, so that is at once."""

    def callFromThread(self, function: Callable[..., object], *arguments: Any) -> None:
        function(*arguments)


class Observatory(Desk):
    """Files of traces lie in `folder`."""

    def __init__(self, folder: Path, threads: list[HeldThreads], *lines: str) -> None:
        super().__init__(f"node.data_dir = {folder}", *lines, reactor=ThreadedReactor(), whole=True)
        self.folder = folder / "traces"
        self._threads = threads

    def caller(self, version: int = c.MQTT_5_0, host: str = "127.0.0.1") -> Caller:
        """Somebody who has connected, and sent nothing yet."""
        return Caller(self.service.listeners["default"].factory, self.reactor, host, version)

    def run_threads(self) -> None:
        for threads in self._threads:
            threads.run_all()

    def write(self) -> None:
        """Time for what waits to be written, and for a trace that is over to be gone."""
        for _ in range(3):
            self.reactor.advance(0.2)
            self.run_threads()

    def text(self, name: str) -> list[str]:
        """The lines of a file, without times."""
        self.write()
        return [line.partition(" ")[2] for line in (self.folder / name).read_text().splitlines()]

    def begin(self, *words: str) -> str:
        """`trace ...` with a file, which a thread makes."""
        customer = self.customer()
        asked, out = customer.begin("trace", *words)
        customer.pump.flush()
        self.run_threads()
        customer.pump.flush()
        asked.addErrback(lambda failure: out.append(str(failure.value)))
        self.reactor.advance(0)
        return "".join(out)

    def watch(self, *words: str, form: str = "lines") -> "Watch":
        """`trace ... live`."""
        return Watch(self.customer(), *words, form=form)

    @property
    def traces(self) -> dict[int, Trace]:
        return self.service.traces.running


class Watch:
    """Somebody who reads a trace as it goes."""

    def __init__(self, customer: Customer, *words: str, form: str) -> None:
        self.customer = customer
        self.asked, self.out = customer.begin("trace", *words, form=form)
        self.asked.addErrback(lambda failure: self.out.append(str(failure.value)))
        customer.pump.flush()

    def lines(self) -> list[str]:
        """What has come since the last call, without times."""
        self.customer.pump.flush()
        self.customer.desk.reactor.advance(0)
        lines = "".join(self.out).splitlines()
        self.out.clear()
        return [line.partition(" ")[2] for line in lines]
