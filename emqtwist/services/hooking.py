"""Functions at hooks that are coroutine functions, or give a Deferred."""
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from emqtwist.core.hooks import Answer
from emqtwist.core.pending import Pending


class Asker:
    """Calls `function`, awaits what it gives, and makes a Pending of it. `patience` gives the seconds that it may take."""

    def __init__(self, function: Callable[..., Awaitable[object]], patience: Callable[[], float], clock: IReactorTime) -> None:
        self._function = function
        self._patience = patience
        self._clock = clock

    def ask(self, *arguments: object) -> Pending[Answer]:
        pending: Pending[Answer] = Pending()

        patience = self._patience()
        asked: Deferred[Any] = Deferred.fromCoroutine(self._await(arguments))

        def late() -> None:  # who goes on in spite of that is not waited for
            pending.resume(Answer(None, TimeoutError(patience, "Deferred")))
            asked.cancel()

        due = self._clock.callLater(patience, late)

        def gave(value: object) -> None:
            pending.resume(Answer(value))

        def failed(reason: Failure) -> None:
            pending.resume(Answer(None, _error(reason)))

        def over(_: None) -> None:
            if due.active():
                due.cancel()

        asked.addCallbacks(gave, failed).addCallback(over)
        return pending

    async def _await(self, arguments: tuple[object, ...]) -> object:
        return await self._function(*arguments)


def _error(reason: Failure) -> Exception:
    return reason.value if isinstance(reason.value, Exception) else RuntimeError(reason.getErrorMessage())
