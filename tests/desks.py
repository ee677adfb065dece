"""Commands for a broker in memory: a BrokerService on a clock, clients of it, and who asks it over AMP."""
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.amp import AMP
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase

from emqtwist import BrokerService
from emqtwist.app.control import Control
from emqtwist.config import Config, parse
from emqtwist.ctl.client import ask
from emqtwist.ctl.printer import Printer
from emqtwist.ctl.server import CtlProtocol
from emqtwist.mqtt import constants as c
from emqtwist.services.supervisor import Supervisor
from tests.wires import Caller

TEST = SynchronousTestCase()
WALL = 5000.0  # Unix seconds at the start
NODE = "emqtwist@127.0.0.1"  # what it is called, unless a test says otherwise


class Desk:
    """A broker that takes commands; each line of configuration is `section.key = value`.

    Commands see an empty tree, so that a test can put into it what it likes, or the `whole` one of the broker.
    """

    def __init__(self, *lines: str, logs: bool = True, whole: bool = False, reactor: MemoryReactorClock | None = None) -> None:
        self.reactor = reactor or MemoryReactorClock()
        self.service = BrokerService(parse("\n".join(lines)), self.reactor, self._now)
        self.service.startService()
        if whole:
            self.root = self.service.root
        else:
            self.root = Supervisor("root", [], self.reactor)
            self.root.startService()
        self.applied: list[Config] = []
        self.control = Control(self.service, self.root, self._apply, lambda: logs, self.reactor)
        self.control.factory.context.wall = lambda: WALL + self.reactor.seconds()

    def _now(self) -> float:
        return 1000.0 + self.reactor.seconds()

    def _apply(self, config: Config) -> None:
        self.applied.append(config)
        self.service.reconfigure(config)

    def client(self, client_id: str, version: int = c.MQTT_5_0, clean_start: bool = True) -> Caller:
        """An MQTT client that was accepted."""
        caller = Caller(self.service.listeners["default"].factory, self.reactor, version=version)
        assert caller.connect(client_id, clean_start).reason_code == c.SUCCESS
        return caller

    def customer(self) -> "Customer":
        return Customer(self)

    def ask(self, *words: str, form: str = "lines") -> str:
        """The output of a command."""
        return self.customer().ask(*words, form=form)

    def lines(self, *words: str) -> list[str]:
        return self.ask(*words).splitlines()

    def error(self, *words: str) -> Exception:
        """What a command that cannot be done raises at the client."""
        return self.customer().error(*words)


class Customer:
    """Who asks: an AMP client, and the broker's side of its connection."""

    def __init__(self, desk: Desk, make: Callable[[], CtlProtocol] | None = None) -> None:
        self.desk = desk
        self.server = make() if make is not None else desk.control.factory.buildProtocol(None)
        self.client = AMP()
        self.pump: IOPump = connect(self.server, FakeTransport(self.server, True), self.client, FakeTransport(self.client, False))

    def begin(self, *words: str, form: str = "lines") -> "tuple[Deferred[None], list[str]]":
        """Ask, and leave what follows to the pump; what is printed comes into the list."""
        out: list[str] = []
        return Deferred.fromCoroutine(ask(self.client, words, Printer(form, out.append))), out

    def ask(self, *words: str, form: str = "lines") -> str:
        asked, out = self.begin(*words, form=form)
        self.pump.flush()
        TEST.successResultOf(asked)
        self.desk.reactor.advance(0)
        return "".join(out)

    def error(self, *words: str) -> Exception:
        asked, _ = self.begin(*words)
        self.pump.flush()
        error = TEST.failureResultOf(asked).value
        assert isinstance(error, Exception)
        return error

    def leave(self) -> None:
        assert self.client.transport is not None
        self.client.transport.loseConnection()
        self.pump.flush()
