"""The broker's side of a connection that brings commands."""
import json
from collections.abc import Generator, Iterator
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, ITransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure

from emqtwist.ctl import login
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Refused, Registry, Step, WrongWords
from emqtwist.ctl.wire import Failed, Greet, Login, More, NotAllowed, Run
from emqtwist.net.address import describe

STEPS: Final = 100  # of one page: some hundred microseconds, then the reactor serves others
PIECE: Final = 60_000  # bytes; an AMP value holds 65,535
LONGEST: Final = 16_000  # characters of a refusal, each of at most four bytes
PATIENCE: Final = 5.0  # seconds that a stranger has to prove what it knows
STRANGERS: Final = 4096  # bytes that it may send until then


class CtlProtocol(AMP):
    """One client. It has one listing open at a time, which goes with its connection.

    With a `secret` it is a stranger until it has proved to know that.
    """

    log = Logger()

    def __init__(self, factory: "CtlFactory", secret: str) -> None:
        super().__init__()
        self._factory = factory
        self._secret = secret
        self._challenge = login.draw() if secret else b""
        self._stranger = bool(secret)
        self._received = 0
        self._overdue: IDelayedCall | None = None
        self._opened = 0
        self._steps: Iterator[Step] = iter(())
        self._rest = b""
        self._awaited: Deferred[None] | None = None  # what a page waits for

    @property
    def rows(self) -> Iterator[Step]:
        """What is left of the listing."""
        return self._steps

    # Strangers.

    def connectionMade(self) -> None:
        super().connectionMade()
        self._factory.connections[self] = None
        if self._stranger:
            self._overdue = self._factory.context.clock.callLater(PATIENCE, self.drop)

    def dataReceived(self, data: bytes) -> None:
        if self._stranger:
            self._received += len(data)
            if self._received > STRANGERS:
                self.drop()
                return
        super().dataReceived(data)

    def _peer(self) -> str:
        transport: ITransport | None = self.transport
        return "" if transport is None else describe(transport.getPeer())

    def drop(self) -> None:
        """Close the connection."""
        transport: ITransport | None = self.transport
        if transport is not None:
            transport.loseConnection()

    @Greet.responder
    def greet(self) -> dict[str, object]:
        return {"challenge": self._challenge}

    @Login.responder
    def login(self, nonce: bytes, proof: bytes) -> dict[str, object]:
        if not self._secret or not login.is_right(proof, self._secret, login.CLIENT, self._challenge, nonce):
            self.log.warn("somebody at {peer} does not know the secret", peer=self._peer())
            self._factory.context.clock.callLater(0, self.drop)  # once it is told
            raise NotAllowed("the secret is not that of the broker")
        self._stranger = False
        self._stop_waiting()
        return {"proof": login.proof(self._secret, login.BROKER, self._challenge, nonce)}

    def _stop_waiting(self) -> None:
        if self._overdue is not None and self._overdue.active():
            self._overdue.cancel()

    def _check_known(self) -> None:
        if self._stranger:
            raise NotAllowed("prove to know the secret first")

    # Commands.

    @Run.responder
    def run(self, words: list[str]) -> "Deferred[dict[str, object]]":
        return Deferred.fromCoroutine(self._run(words))

    async def _run(self, words: list[str]) -> dict[str, object]:
        self._check_known()
        self._drop_listing()
        number = self._opened
        self._factory.context.begin()
        try:
            steps = await self._factory.registry.open(self._factory.context, words)
        except Exception as error:
            raise self._told(error) from None
        if number != self._opened:
            raise Refused("a later command has taken its place")
        self._steps = steps
        return {}

    def _drop_listing(self) -> None:
        """Nobody wants it any more; a page that waits for it is empty, and the last one."""
        steps, self._steps, self._rest = self._steps, iter(()), b""
        self._opened += 1
        if isinstance(steps, Generator):
            steps.close()
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.callback(None)

    @More.responder
    def more(self) -> "Deferred[dict[str, object]]":
        return Deferred.fromCoroutine(self._more())

    async def _more(self) -> dict[str, object]:
        self._check_known()
        if self._awaited is not None:
            raise Refused("a page is waited for already")
        self._factory.context.begin()
        try:
            last = self._fill()
            while self._awaited is not None and not self._rest:
                await self._awaited
                self._awaited = None
                last = self._fill()
        except Exception as error:
            raise self._told(error) from None
        self._awaited = None  # what there is goes out; the next page waits on
        piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
        return {"piece": piece, "last": last and not self._rest}

    def _fill(self) -> bool:
        """Take some steps, up to one that has to be waited for; whether there are no more."""
        for _ in range(STEPS):
            if len(self._rest) >= PIECE:
                return False
            try:
                step = next(self._steps)
            except StopIteration:
                return True
            if isinstance(step, Deferred):
                self._await(step)
                return False
            if step is not None:
                self._rest += json.dumps(step).encode() + b"\n"
        return False

    def _await(self, step: "Deferred[None]") -> None:
        awaited: Deferred[None] = Deferred()

        def go_on(_: object) -> None:
            if self._awaited is awaited and not awaited.called:
                awaited.callback(None)

        self._awaited = awaited
        step.addBoth(go_on)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_waiting()
        self._drop_listing()
        self._factory.connections.pop(self, None)
        super().connectionLost(reason)

    def _told(self, error: Exception) -> Exception:
        """What the client is told: a refusal in its own words; of all else the log has the traceback."""
        for refusal in (WrongWords, Refused):
            if isinstance(error, refusal):
                return refusal(str(error)[:LONGEST])
        self.log.failure("a command failed")
        return Failed(f"{type(error).__name__}: {error}"[:1000])


class CtlFactory(Factory):
    """Makes a CtlProtocol for each client; those that are connected outlive the port that they came through."""

    noisy = False

    def __init__(self, registry: Registry, context: Context) -> None:
        self.registry = registry
        self.context = context
        self.connections: dict[CtlProtocol, None] = {}

    def buildProtocol(self, address: IAddress | None) -> CtlProtocol:
        """For whom the system has let in already: the owner of a socket."""
        return CtlProtocol(self, "")

    def close(self) -> None:
        """Close all connections."""
        for protocol in list(self.connections):
            protocol.drop()


class Gate(Factory):
    """Makes a CtlProtocol for each stranger who has to prove to know `secret`."""

    noisy = False

    def __init__(self, factory: CtlFactory, secret: str) -> None:
        self._factory = factory
        self._secret = secret

    def buildProtocol(self, address: IAddress | None) -> CtlProtocol:
        return CtlProtocol(self._factory, self._secret)
