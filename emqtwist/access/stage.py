"""Who is asked, with what keeps it from holding up the broker."""
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Invalid
from zope.interface.verify import verifyObject

from emqtwist.access.breaker import Breaker
from emqtwist.access.line import Line
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok
from emqtwist.core.alarm import ERROR
from emqtwist.core.alarms import Alarms
from emqtwist.interfaces import IAuthenticator

T = TypeVar("T")


class Failed(Exception):
    """An authenticator has not answered as it should; the message says why."""


class Unwanted(Exception):
    """There is no use in asking any more: nobody waits for the answer, or it would come too late."""


class Limits(Protocol):
    """How somebody is asked; a section of the configuration."""

    @property
    def concurrency(self) -> int: ...

    @property
    def timeout(self) -> float: ...

    @property
    def breaker_failures(self) -> int: ...

    @property
    def breaker_pause(self) -> float: ...


class Bounded:
    """Has `asked`, known as `name`, answer a bounded number of questions at a time, and waits a bounded time for each answer.

    One that fails again and again is not asked for a while, and there is an alarm; `role` says what it is. `places` are how many
    questions, if fewer than the section says.
    """

    log = Logger()
    role = ""

    def __init__(self, name: str, asked: Any, section: Limits, clock: IReactorTime, now: Callable[[], float],
                 alarms: Alarms, places: int | None = None) -> None:
        self.name = name
        self.asked = asked
        self._line = Line(min(section.concurrency, places or section.concurrency), clock)
        self._timeout = section.timeout
        self._clock = clock
        self._alarms = alarms
        self._breaker = Breaker(section.breaker_failures, section.breaker_pause, now)

    async def answer(self, begin: Callable[[], Awaitable[T]], wanted: Callable[[], bool]) -> T:
        """What comes of what `begin` begins; raises Failed, or Unwanted when it is not `wanted` any more when its turn comes."""
        await self._line.enter()
        try:
            if not wanted():
                raise Unwanted
            return await self._ask(begin)
        finally:
            self._line.leave()

    def close(self) -> None:
        self._alarms.clear(self._alarm)
        self.asked.close()

    @property
    def _alarm(self) -> str:
        return f"{self.role}_failing/{self.name}"

    async def _ask(self, begin: Callable[[], Awaitable[T]]) -> T:
        if not self._breaker.lets_through():
            raise Failed(f"it has failed {self._breaker.in_a_row} times in a row, and is left alone for a while")
        try:
            found = await within(self._timeout, self._clock, begin())
            self.check(found)
        except CancelledError:  # not its fault
            self._breaker.dropped()
            raise
        except Exception as error:
            raise self._failed(error) from None
        self._worked()
        return found

    def check(self, found: object) -> None:
        """Raises Failed for what is no answer."""
        raise NotImplementedError

    def tell(self, why: str) -> None:
        """Log a failure."""
        raise NotImplementedError

    def _worked(self) -> None:
        if self._breaker.worked():
            self._alarms.clear(self._alarm)

    def _failed(self, error: Exception) -> Failed:
        """The first of a row is told, the one that opens the breaker is an alarm."""
        why = f"no answer within {self._timeout:g} s" if isinstance(error, TimeoutError) else describe(error)
        opened = self._breaker.failed()
        if self._breaker.in_a_row == 1:
            self.tell(why)
        if opened:
            self._alarms.raise_(self._alarm, ERROR, f"an {self.role} keeps failing",
                                f"{self.name} has failed {self._breaker.in_a_row} times in a row, the last time: {why}")
        return Failed(why)


class Stage(Bounded):
    """A stage of the chain: an authenticator. It may find a client `Ok`, `Deny` or `Ignore`; anything else is `Failed`."""

    role = "authenticator"

    async def ask(self, client: Client, password: bytes | None, wanted: Callable[[], bool]) -> Finding:
        """What it finds; raises Failed, or Unwanted."""
        found: Finding = await self.answer(lambda: self.asked.authenticate(client, password), wanted)
        return found

    def check(self, found: object) -> None:
        if not isinstance(found, Ok | Deny | Ignore):
            raise Failed(f"it gave {type(found).__name__}, which is no finding")

    def tell(self, why: str) -> None:
        self.log.error("{authenticator} failed: {reason}", authenticator=self.name, reason=why)


def verify(asked: object, interface: Any = IAuthenticator) -> None:
    """ValueError when it does not provide that."""
    try:
        verifyObject(interface, asked)
    except Invalid as error:
        raise ValueError(f"does not provide {interface.getName()}: {error}") from None


class Unreachable(Exception):
    """A back-end does not do what it is asked to; the message is made of nothing that a client has sent."""


def describe(error: Exception) -> str:
    """What may be told of an error: others than ours may have the password in their message."""
    return str(error) if isinstance(error, Unreachable | Failed) else type(error).__name__


def within(seconds: float, clock: IReactorTime, awaitable: Awaitable[T]) -> "Deferred[T]":
    """What `awaitable` gives, or a TimeoutError after that time, also where it would go on when it is cancelled.

    It fails with a CancelledError only when it was cancelled itself.
    """
    asked: Deferred[T] = Deferred.fromCoroutine(_await(awaitable))

    def give_up(_: "Deferred[T]") -> None:
        due.cancel()
        asked.cancel()

    result: Deferred[T] = Deferred(give_up)

    def late() -> None:
        result.errback(TimeoutError(seconds, "Deferred"))
        asked.cancel()

    due = clock.callLater(seconds, late)

    def came(value: "T | Failure") -> None:
        if due.active():
            due.cancel()
            result.callback(value)  # a Failure goes to the errbacks

    asked.addBoth(came)
    return result


async def _await(awaitable: Awaitable[T]) -> T:
    try:
        return await awaitable
    except CancelledError:
        raise Failed("it was cancelled") from None
