"""A stage of the chain: an authenticator, with what keeps it from holding up the broker."""
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Invalid
from zope.interface.verify import verifyObject

from emqtwist.access.breaker import Breaker
from emqtwist.config.sections.auth import AuthSection
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok
from emqtwist.core.alarm import ERROR
from emqtwist.core.alarms import Alarms
from emqtwist.interfaces import IAuthenticator

T = TypeVar("T")


class Failed(Exception):
    """An authenticator has not answered as it should; the message says why."""


class Unwanted(Exception):
    """Nobody waits for the answer any more."""


class Stage:
    """Asks `authenticator`, known as `name`, about a bounded number of clients at a time, and waits a bounded time.

    It may find a client `Ok`, `Deny` or `Ignore`; anything else is `Failed`. One that fails again and again is not asked for a
    while, and there is an alarm.
    """

    log = Logger()

    def __init__(self, name: str, authenticator: Any, section: AuthSection, clock: IReactorTime, now: Callable[[], float],
                 alarms: Alarms) -> None:
        self.name = name
        self.authenticator = authenticator
        self._turns = DeferredSemaphore(section.concurrency)
        self._timeout = section.timeout
        self._clock = clock
        self._alarms = alarms
        self._breaker = Breaker(section.breaker_failures, section.breaker_pause, now)

    async def ask(self, client: Client, password: bytes | None, wanted: Callable[[], bool]) -> Finding:
        """What it finds; raises Failed, or Unwanted when nobody is `wanted` to be told by the time that it would be asked."""
        await self._turns.acquire()
        try:
            if not wanted():
                raise Unwanted
            return await self._ask(client, password)
        finally:
            self._turns.release()

    def close(self) -> None:
        self._alarms.clear(self._alarm)
        self.authenticator.close()

    @property
    def _alarm(self) -> str:
        return f"authenticator_failing/{self.name}"

    async def _ask(self, client: Client, password: bytes | None) -> Finding:
        if not self._breaker.lets_through():
            raise Failed(f"it has failed {self._breaker.in_a_row} times in a row, and is left alone for a while")
        try:
            found: object = await within(self._timeout, self._clock, self.authenticator.authenticate(client, password))
            if not isinstance(found, Ok | Deny | Ignore):
                raise Failed(f"it gave {type(found).__name__}, which is no finding")
        except CancelledError:  # not its fault
            self._breaker.dropped()
            raise
        except Exception as error:
            raise self._failed(error) from None
        self._worked()
        return found

    def _worked(self) -> None:
        if self._breaker.worked():
            self._alarms.clear(self._alarm)

    def _failed(self, error: Exception) -> Failed:
        """The first of a row is told, the one that opens the breaker is an alarm."""
        why = f"no answer within {self._timeout:g} s" if isinstance(error, TimeoutError) else describe(error)
        opened = self._breaker.failed()
        if self._breaker.in_a_row == 1:
            self.log.error("{authenticator} failed: {reason}", authenticator=self.name, reason=why)
        if opened:
            self._alarms.raise_(self._alarm, ERROR, "an authenticator keeps failing",
                                f"{self.name} has failed {self._breaker.in_a_row} times in a row, the last time: {why}")
        return Failed(why)


def verify(authenticator: object) -> None:
    """ValueError when it is none."""
    try:
        verifyObject(IAuthenticator, authenticator)
    except Invalid as error:
        raise ValueError(f"does not provide IAuthenticator: {error}") from None


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
