"""The dialer: tries each address again and again, until there is a link with the node that is there."""
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.cluster.protocol import LinkProtocol
from emqtwist.cluster.refusals import ITSELF, UNREACHABLE, Refused

FIRST: Final = 0.25  # seconds before the second attempt, give or take half of it
LONGEST: Final = 10.0
STEADY: Final = 10.0  # seconds after which a link counts as one that holds
PATIENCE: Final = 5.0  # seconds to connect
YIELD: Final = 0.5  # seconds that a node of a smaller name may dial first: links that begin together are made in vain

Endpoint = Callable[[str], IStreamClientEndpoint]


class Wanted(Protocol):
    """Who knows where to dial. `changed` is for it to call."""

    changed: Callable[[], None]

    def addresses(self) -> dict[str, str]:
        """Where to dial: by address the name of who should be there, empty where that is to be found out."""

    def dialled(self, address: str, name: str) -> None:
        """A node that proved to know the cookie answers at `address`."""

    def failed(self, address: str, reason: str) -> None:
        """Nobody answers at `address`, or not as a node should."""


class Attempt:
    """At one address: `failures` in a row, `due` when it may be tried again. `node` is who was found there."""

    def __init__(self, due: float) -> None:
        self.node = ""
        self.failures = 0
        self.due = due
        self.connecting: Deferred[Any] | None = None
        self.protocol: LinkProtocol | None = None

    @property
    def is_busy(self) -> bool:
        return self.connecting is not None or self.protocol is not None


class Dialer:
    """That of `node`. `endpoint` gives what connects to an address, `make` a protocol for it, `random` a number below 1.

    `attempts` is a dict address -> Attempt. `is_up` tells whether there is a link with a node, `unreachable` is told where nobody
    is.
    """

    log = Logger()

    def __init__(self, node: str, wanted: Wanted, endpoint: Endpoint, make: Callable[[str], LinkProtocol],
                 is_up: Callable[[str], bool], unreachable: Callable[[str, Refused], None], clock: IReactorTime,
                 random: Callable[[], float]) -> None:
        self.attempts: dict[str, Attempt] = {}
        self._node = node
        self._wanted = wanted
        self._endpoint = endpoint
        self._make = make
        self._is_up = is_up
        self._unreachable = unreachable
        self._clock = clock
        self._random = random
        self._running = False

    def start(self) -> None:
        self._running = True
        self._wanted.changed = self.look
        self.look()

    def stop(self) -> None:
        """Dial nobody; links that there are stay."""
        self._running = False
        for attempt in self.attempts.values():
            if attempt.connecting is not None:
                attempt.connecting.cancel()

    def look(self) -> None:
        """Dial where there is somebody to be found, and no link yet."""
        if not self._running:
            return
        wanted = self._wanted.addresses()
        for address in [address for address in self.attempts if address not in wanted]:
            attempt = self.attempts.pop(address)
            if attempt.connecting is not None:
                attempt.connecting.cancel()
        now = self._clock.seconds()
        for address, name in wanted.items():
            if address not in self.attempts:
                self.attempts[address] = Attempt(now + self._yielded(name))
            attempt = self.attempts[address]
            known = name or attempt.node
            if not attempt.is_busy and attempt.due <= now and not (known and self._is_up(known)):
                self._dial(address, attempt)

    def _dial(self, address: str, attempt: Attempt) -> None:
        attempt.connecting = connecting = maybeDeferred(self._connect, address)
        connecting.addTimeout(PATIENCE, self._clock)
        connecting.addCallbacks(self._connected, self._not_connected, (attempt,), {}, (address, attempt))
        connecting.addErrback(lambda failure: self.log.failure("defect while dialling {address}", failure, address=address))

    def _connect(self, address: str) -> Deferred[Any]:
        return self._endpoint(address).connect(Dialling(address, self._make))

    def _connected(self, protocol: Any, attempt: Attempt) -> None:
        attempt.connecting = None

    def _not_connected(self, failure: Failure, address: str, attempt: Attempt) -> None:
        attempt.connecting = None
        if self.attempts.get(address) is not attempt or not self._running:
            return
        self._wait(attempt)
        refused = Refused(UNREACHABLE, failure.getErrorMessage() or type(failure.value).__name__)
        self._unreachable(address, refused)
        self._wanted.failed(address, refused.text)

    def met(self, protocol: LinkProtocol) -> None:
        """Somebody is there."""
        attempt = self.attempts.get(protocol.dialled)
        if attempt is not None:
            attempt.protocol = protocol

    def found(self, protocol: LinkProtocol) -> None:
        """It is a node that knows the cookie."""
        attempt = self.attempts.get(protocol.dialled)
        if attempt is not None:
            attempt.node = protocol.node
        self._wanted.dialled(protocol.dialled, protocol.node)

    def ended(self, protocol: LinkProtocol, refused: Refused, now: float) -> None:
        """It is over with this one."""
        attempt = self.attempts.get(protocol.dialled)
        if attempt is None or attempt.protocol is not protocol:
            return
        attempt.protocol = None
        if protocol.peer is not None and now - protocol.since >= STEADY:
            attempt.failures = 0
        self._wait(attempt)
        if refused.cause == ITSELF:
            attempt.due = self._clock.seconds() + LONGEST
        if protocol.peer is None:
            self._wanted.failed(protocol.dialled, refused.text)

    def _wait(self, attempt: Attempt) -> None:
        """Longer each time, and not as long as others do."""
        pause = min(LONGEST, FIRST * 2.0 ** min(attempt.failures, 10))
        attempt.failures += 1
        attempt.due = self._clock.seconds() + pause * (0.5 + self._random()) + self._yielded(attempt.node)

    def _yielded(self, name: str) -> float:
        return YIELD if name and name < self._node else 0.0


class Dialling(Factory):
    """Makes the protocol for one address."""

    noisy = False

    def __init__(self, address: str, make: Callable[[str], LinkProtocol]) -> None:
        self._address = address
        self._make = make

    def buildProtocol(self, address: Any) -> LinkProtocol:
        return self._make(self._address)
